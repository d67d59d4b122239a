/* Both ends of the channel between askers and `fetcher`; neither believes the other. */
#include "server/fetch/message.h"

#include <string.h>

#include "server/core/error.h"

enum { STATUS_MIN = 200, STATUS_MAX = 599, REDIRECTION = 3 /* the first digit (RFC 9110 section 15.4) */ };

static const struct fetch_kind_row rows[] = {
    /* RFC 8461 section 3.3 suggests 64 KB at most; a policy of two hundred servers has a tenth of that. */
    [FETCH_MTA_STS] = {.body_max = FETCH_BODY_MAX, .type = "text/plain"},
    [FETCH_TLS_REPORT] = {.post = true, .body_max = 4096}, /* what is said to a report nobody needs */
    [FETCH_DOCTOR] = {.body_max = FETCH_BODY_MAX},
    [FETCH_KEY] = {.body_max = FETCH_BODY_MAX},
};

const struct fetch_kind_row *fetch_kind_row(unsigned kind)
{
    return kind && kind < sizeof(rows) / sizeof(*rows) ? &rows[kind] : NULL;
}

static bool visible(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

bool fetch_type_valid(const char *type)
{
    for (const char *s = type; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            return false;
    return visible(type) && strlen(type) <= FETCH_TYPE_MAX;
}

int fetch_question_check(const struct fetch_question *q)
{
    const struct fetch_kind_row *row = fetch_kind_row(q->kind);

    if (!row || !*q->url || !visible(q->url) || !fetch_type_valid(q->type) || q->body.len > FETCH_BODY_MAX)
        return ERR_FORMAT;
    return row->post == (*q->type != '\0') && (row->post || !q->body.len) ? OK : ERR_FORMAT;
}

void fetch_question_pack(struct pack *p, const struct fetch_question *q)
{
    pack_u8(p, (uint8_t)q->kind);
    pack_str(p, q->url);
    pack_str(p, q->type);
    pack_bytes(p, q->body.data, q->body.len);
}

int fetch_question_unpack(struct unpack *u, struct fetch_question *ret)
{
    struct fetch_question q = {.kind = unpack_u8(u)};
    int err;

    unpack_str(u, q.url, sizeof(q.url));
    unpack_str(u, q.type, sizeof(q.type));
    q.body = unpack_bytes(u, FETCH_BODY_MAX);
    err = unpack_done(u) ? fetch_question_check(&q) : ERR_FORMAT;
    if (err == OK)
        *ret = q;
    return err;
}

void fetch_answer_pack(struct pack *p, const struct fetch_answer *a)
{
    pack_u32(p, a->status);
    pack_str(p, a->type);
    pack_bytes(p, a->body.data, a->body.len);
}

int fetch_answer_unpack(struct unpack *u, unsigned kind, char *type, struct fetch_answer *ret)
{
    const struct fetch_kind_row *row = fetch_kind_row(kind);
    struct fetch_answer a = {.status = unpack_u32(u), .type = type};

    unpack_str(u, type, FETCH_TYPE_MAX + 1);
    a.body = unpack_bytes(u, FETCH_BODY_MAX);
    if (!unpack_done(u) || !row || a.status < STATUS_MIN || a.status > STATUS_MAX || a.status / 100 == REDIRECTION ||
        a.body.len > row->body_max || !fetch_type_valid(type))
        return ERR_FORMAT;
    if (a.status == 200 && row->type && strcmp(type, row->type) != 0)
        return ERR_FORMAT;
    *ret = a;
    return OK;
}
