/* Making the capsule (docs/store-format.md). */
#include "server/format/capsule.h"

#include <string.h>
#include <strings.h>

#include "server/format/capsule_impl.h"
#include "server/mail/address.h"
#include "server/mail/date.h"
#include "server/mail/message_id.h"
#include "server/mail/summary.h"
#include "server/mail/header.h"
#include "server/core/error.h"

/* Octets of the output that each item may take; together less than CAPSULE_MAX. */
enum {
    SHARE_HEADER = 16 * 1024,
    SHARE_LIST = 4096,
    SHARE_FROM = 2048,
    SHARE_SUBJECT = 4096,
    SHARE_AUTH = 3072,
    SHARE_RECEIVED = 3072,
    SHARE_SMALL = 512,
    SHARE_WARNINGS = 1024,
    SHARE_PREVIEW = 6 * SUMMARY_PREVIEW_CHARS + 2
};

/* A list of addresses that takes at most share octets. */
struct addresses {
    struct json *j;
    size_t start, share;
};

static void put_mailbox(void *arg, const char *name, const char *address)
{
    const struct addresses *a = arg;
    struct json *j = a->j;
    size_t used = j->out->len - a->start;
    if (used + 64 > a->share)
        return;
    size_t half = (a->share - used - 32) / 2;
    capsule_raw(j, j->out->data[j->out->len - 1] == '[' ? "{" : ",{");
    if (*name) {
        capsule_key(j, "name");
        capsule_string(j, name, strlen(name), half < SHARE_SMALL ? half : SHARE_SMALL);
    }
    capsule_key(j, "email");
    capsule_string(j, address, strlen(address), half < SHARE_SMALL ? half : SHARE_SMALL);
    capsule_raw(j, "}");
}

static void put_addresses(struct json *j, const char *key, const struct summary *s, enum summary_list list,
                          size_t share)
{
    capsule_key(j, key);
    capsule_raw(j, "[");
    struct addresses a = {j, j->out->len, share};
    summary_addresses(s, list, put_mailbox, &a);
    if (list == SUMMARY_FROM && j->err == OK && j->out->len == a.start) /* as the outer header has it */
        put_mailbox(&a, "", ADDRESS_UNREADABLE);
    capsule_raw(j, "]");
    j->comma = true;
}

static void put_attachments(struct json *j, const struct summary *s)
{
    const char *name;
    capsule_key(j, "attachments");
    capsule_raw(j, "[");
    size_t start = j->out->len;
    for (size_t i = 0; (name = summary_attachment(s, i)); i++) {
        size_t used = j->out->len - start;
        if (used + 16 > SHARE_LIST)
            break;
        if (j->out->len > start)
            capsule_raw(j, ",");
        capsule_string(j, name, strlen(name), SHARE_LIST - used < SHARE_SMALL ? SHARE_LIST - used - 1 : SHARE_SMALL);
    }
    capsule_raw(j, "]");
    j->comma = true;
}

static void put_preview(struct json *j, const struct summary *s)
{
    char text[SUMMARY_PREVIEW_SIZE];
    size_t len = summary_preview(s, text);
    capsule_key(j, "preview");
    capsule_string(j, text, len, SHARE_PREVIEW);
}

static void put_warnings(struct json *j, const char *s)
{
    size_t start = j->out->len;
    capsule_key(j, "warnings");
    capsule_raw(j, "[");
    for (bool first = true; *s && j->out->len - start < SHARE_WARNINGS - 80;) {
        size_t n = strcspn(s, ",");
        if (n) {
            if (!first)
                capsule_raw(j, ",");
            capsule_string(j, s, n, 64);
            first = false;
        }
        s += n + (s[n] == ',');
    }
    capsule_raw(j, "]");
    j->comma = true;
}

static void put_text(struct json *j, const char *key, const char *s, size_t share)
{
    capsule_key(j, key);
    capsule_string(j, s ? s : "", s ? strlen(s) : 0, share);
}

static void put_provenance(struct json *j, const struct capsule_params *p)
{
    put_text(j, "auth", p->auth_results, SHARE_AUTH);
    put_warnings(j, p->warnings ? p->warnings : "");
    capsule_key(j, "sealed");
    capsule_raw(j, "{");
    put_text(j, "by", p->sealed_by, SHARE_SMALL);
    capsule_key(j, "at");
    if (j->err == OK)
        j->err = buf_printf(j->out, "%llu", (unsigned long long)p->sealed_at);
    put_text(j, "tls", p->tls, SHARE_SMALL);
    capsule_raw(j, "}");
    j->comma = true;
    if (p->return_path)
        put_text(j, "return_path", p->return_path, SHARE_SMALL);
    if (p->received)
        put_text(j, "received", p->received, SHARE_RECEIVED);
}

/* What a header is cut by: fields of the first kind go last. */
enum header_rank { RANK_MAIL, RANK_WAY, RANK_UNKNOWN, RANKS };

static bool begins(const struct header_view *v, const struct header_field *f, const char *prefix)
{
    size_t n = strlen(prefix);
    return f->name_len >= n && strncasecmp((const char *)v->s + f->offset, prefix, n) == 0;
}

static enum header_rank rank_of(const struct header_view *v, const struct header_field *f)
{
    if (f->name_len == 0 || begins(v, f, "X-"))
        return RANK_UNKNOWN;
    return begins(v, f, "ARC-") || header_field_is(v->s, f, "Received") ? RANK_WAY : RANK_MAIL;
}

/* In the JSON, at most. */
static size_t written_size(const uint8_t *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += s[i] >= 0x80 ? 3 : s[i] < 0x20 || s[i] == 0x7f ? 6 : s[i] == '"' || s[i] == '\\' ? 2 : 1;
    return n;
}

/* Each field that still fits, rank by rank; gives how many do not. */
static size_t choose_fields(const struct header_view *v, bool keep[HEADER_FIELDS_MAX])
{
    size_t left = SHARE_HEADER - 2 - 12 /* quotes; the empty line */, cut = 0;
    for (unsigned rank = 0; rank < RANKS; rank++)
        for (size_t i = 0; i < v->count; i++) {
            if (rank_of(v, &v->fields[i]) != rank)
                continue;
            size_t size = written_size(v->s + v->fields[i].offset, v->fields[i].len);
            keep[i] = size <= left;
            left -= keep[i] ? size : 0;
            cut += !keep[i];
        }
    return cut;
}

static void put_header_cut(struct json *j, const struct header_view *v)
{
    bool keep[HEADER_FIELDS_MAX] = {false};
    struct buf text;
    buf_init(&text, SHARE_HEADER, true);
    size_t cut = choose_fields(v, keep);
    for (size_t i = 0; i < v->count && j->err == OK; i++)
        if (keep[i])
            j->err = buf_append(&text, v->s + v->fields[i].offset, v->fields[i].len);
    if (j->err == OK)
        j->err = buf_puts(&text, "\r\n");
    capsule_key(j, "header");
    capsule_string(j, (const char *)text.data, text.len, SHARE_HEADER);
    buf_free(&text);
    capsule_key(j, "header_cut");
    if (j->err == OK)
        j->err = buf_printf(j->out, "%zu", cut);
    j->comma = true;
}

static void put_header(struct json *j, const struct header_view *v)
{
    if (written_size(v->s, v->header_len) + 2 > SHARE_HEADER && v->count <= HEADER_FIELDS_MAX) {
        put_header_cut(j, v);
        return;
    }
    capsule_key(j, "header");
    capsule_string(j, (const char *)v->s, v->header_len, SHARE_HEADER);
}

static void put_date(struct json *j, const struct header_view *v)
{
    const struct header_field *f = header_find(v, "Date");
    struct slice value = f ? header_field_value(v->s, f) : slice_str("");
    int64_t t;
    capsule_key(j, "date");
    if (date_read(value.data, value.len, &t, NULL) != OK)
        capsule_raw(j, "null");
    else if (j->err == OK)
        j->err = buf_printf(j->out, "%lld", (long long)t);
    j->comma = true;
}

int capsule_make(const struct capsule_params *p, const struct header_view *v, struct buf *out)
{
    struct json j = {.out = out};
    struct summary *s;
    int err = summary_create(v, &s);
    if (err != OK)
        return err;
    capsule_raw(&j, "{\"v\":1");
    j.comma = true;
    put_addresses(&j, "from", s, SUMMARY_FROM, SHARE_FROM);
    put_addresses(&j, "to", s, SUMMARY_TO, SHARE_LIST);
    put_addresses(&j, "cc", s, SUMMARY_CC, SHARE_LIST);
    put_text(&j, "subject", summary_subject(s), SHARE_SUBJECT);
    put_date(&j, v);
    put_preview(&j, s);
    put_attachments(&j, s);
    put_provenance(&j, p);
    if (p->foreign)
        put_header(&j, v);
    capsule_raw(&j, "}");
    summary_destroy(s);
    return j.err;
}

static int keep_id(void *arg, const uint8_t *id, size_t len)
{
    char *out = arg, text[MESSAGE_ID_MAX];
    size_t n = message_id_text(id, len, text);
    if (n - 2 >= 512)
        return 0;
    memcpy(out, text + 1, n - 2);
    out[n - 2] = '\0';
    return 1;
}

static void first_id(const struct header_view *v, const char *name, char out[512])
{
    const struct header_field *f = header_find(v, name);
    if (!f)
        return;
    struct slice value = header_field_value(v->s, f);
    message_id_each(value.data, value.len, keep_id, out);
}

void capsule_thread_ids(const struct header_view *v, char own[512], char root[512])
{
    own[0] = root[0] = '\0';
    first_id(v, "Message-ID", own);
    first_id(v, "References", root);
    if (!root[0])
        first_id(v, "In-Reply-To", root);
    if (!root[0])
        memcpy(root, own, 512);
}
