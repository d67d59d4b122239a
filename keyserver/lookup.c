/* What every way of asking shares: finding a certificate, and answering with it. */
#include <string.h>

#include "crypto/pgp_armor.h"
#include "keyserver/impl.h"
#include "server/core/digit.h"
#include "server/core/error.h"

/* ---- looking up ---- */

static int known_domain(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

bool keyserver_is_hosted(struct keyserver *k, const char *domain)
{
    return view_run(k->view, known_domain, (void *)(uintptr_t)domain) == OK;
}

struct question {
    struct keyserver *k;
    const char *address, *domain, *hash;
    uint8_t name[PGP_FPR_MAX];
    size_t name_len;
    bool primary; /* of what was kept: it is of that name */
};

int keyserver_unread(int err)
{
    return err == ERR_FORMAT ? ERR_NOT_FOUND : err;
}

static int keep(struct keyserver *k, const struct published *p)
{
    memcpy(k->cert, p->cert, p->len);
    k->len = p->len;
    return OK;
}

static int by_address(void *arg, struct view *v)
{
    struct question *q = arg;
    int err = view_published(v, q->address, &q->k->room);
    return err ? err : keep(q->k, &q->k->room);
}

int keyserver_find_address(struct keyserver *k, const char *address, size_t len)
{
    char normal[ADDRESS_MAX];
    size_t at, plus;
    struct question q = {.k = k, .address = normal};
    int err = address_normalize(address, len, normal, &at, &plus);
    return err ? keyserver_unread(err) : view_run(k->view, by_address, &q);
}

static int by_wkd(void *arg, struct view *v)
{
    struct question *q = arg;
    int err = view_published_wkd(v, q->domain, q->hash, &q->k->room);
    return err ? err : keep(q->k, &q->k->room);
}

int keyserver_find_wkd(struct keyserver *k, const char *domain, const char *hash, size_t len)
{
    struct question q = {.k = k, .domain = domain, .hash = hash};
    return len == WKD_HASH_LEN ? view_run(k->view, by_wkd, &q) : ERR_NOT_FOUND;
}

/* Whether the key asked for is the primary one: anybody can take another's key into his certificate as a subkey. */
static int is_primary(const struct question *q, const uint8_t *cert, size_t len, bool *ret)
{
    struct pgp_published p;
    int err = pgp_published_read(cert, len, &p);
    if (!err)
        *ret = !memcmp(q->name, q->name_len == sizeof(p.key[0].key_id) ? p.key[0].key_id : p.key[0].fpr, q->name_len);
    return err;
}

/* Several addresses may have one certificate. Of a key that is a subkey of two different ones the first counts. */
static int join(void *arg, const struct published *p)
{
    struct question *q = arg;
    struct keyserver *k = q->k;
    bool primary;
    size_t len;
    int err = is_primary(q, p->cert, p->len, &primary);
    if (err)
        return err;
    if (!k->len || (primary && !q->primary)) {
        q->primary = primary;
        return keep(k, p);
    }
    err = pgp_published_join(k->cert, k->len, p->cert, p->len, k->joined, sizeof(k->joined), &len);
    if (!err) {
        memcpy(k->cert, k->joined, len);
        k->len = len;
    }
    return err == ERR_LIMIT || err == ERR_CONFLICT ? OK : err;
}

static int by_key(void *arg, struct view *v)
{
    struct question *q = arg;
    q->k->len = 0;
    q->primary = false;
    int err = view_published_key(v, q->name, q->name_len, &q->k->room, join, q);
    return err ? err : q->k->len ? OK : ERR_NOT_FOUND;
}

int keyserver_find_key(struct keyserver *k, struct slice hex)
{
    struct question q = {.k = k};
    const size_t skip = hex.len > 2 && hex.data[0] == '0' && (hex.data[1] | 0x20) == 'x' ? 2 : 0, len = hex.len - skip;
    /* Of short key ids anybody makes as many as he wants. */
    if (len != 16 && len != 40 && len != 64)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < len; i++) {
        const int digit = digit_hex(hex.data[skip + i]);
        if (digit < 0)
            return ERR_NOT_FOUND;
        q.name[i / 2] = (uint8_t)(q.name[i / 2] << 4 | digit);
    }
    q.name_len = len / 2;
    return view_run(k->view, by_key, &q);
}

/* ---- answering ---- */

void keyserver_answer_not_found(struct http_exchange *x, int err)
{
    http_answer_status(x, err == ERR_NOT_FOUND ? 404 : err == ERR_OVERRUN || err == ERR_MEMORY ? 503 : 500);
}

void keyserver_answer(struct keyserver *k, struct http_exchange *x, int err)
{
    if (err)
        keyserver_answer_not_found(x, err);
    else
        http_answer(x, &(struct http_reply){.status = 200,
                                            .type = "application/octet-stream",
                                            .body = slice_of(k->cert, k->len)});
}

void keyserver_answer_armored(struct keyserver *k, struct http_exchange *x, int err)
{
    struct pgp_published p;
    size_t len = 0;
    if (!err)
        err = pgp_published_read(k->cert, k->len, &p);
    if (!err)
        err =
            pgp_armor_encode(k->cert, k->len, "PUBLIC KEY BLOCK", p.key[0].version < 6, k->text, sizeof(k->text), &len);
    if (err)
        keyserver_answer_not_found(x, err);
    else
        http_answer(x, &(struct http_reply){.status = 200,
                                            .type = "application/pgp-keys",
                                            .body = slice_of(k->text, len)});
}
