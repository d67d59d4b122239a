#include "server/ingest/submission/autocrypt.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_minimise.h"
#include "crypto/pgp_packet.h"
#include "crypto/pgp_published.h"
#include "server/core/error.h"
#include "server/mail/autocrypt.h"

enum { KEY_MAX = 7 * 1024 /* octets: fields of more than 10 KB do not get through everywhere (level 1, "Key data") */ };

struct choice {
    uint64_t account;
    bool mutual;
    struct schema_key keys[PGP_KEYS_MAX];
    size_t n;
    uint8_t cert[PGP_CERT_MAX];
    size_t len; /* 0: none */
};

static int choose(void *arg, struct view *v)
{
    struct choice *c = arg;
    struct schema_account a;
    c->len = c->n = 0;
    int err = view_account(v, c->account, &a);
    if (err)
        return err;
    const bool wanted = !a.no_autocrypt;
    c->mutual = a.encrypt != ENCRYPT_NEVER;
    if (wanted)
        err = view_keys_read(v, a.id, c->keys, &c->n);
    if (!err && wanted)
        err = view_keys_approved(v, &a, c->keys, c->n);
    explicit_bzero(&a, sizeof(a));
    for (size_t i = 0; !err && wanted && i < c->n && !c->len; i++)
        if (c->keys[i].state == KEY_CURRENT && c->keys[i].cert_len <= sizeof(c->cert))
            err = view_key_cert(v, c->account, &c->keys[i], c->cert, &c->len);
    return err;
}

static int put(const char *address, bool mutual, const uint8_t *key, size_t len, uint8_t **ret, size_t *ret_len)
{
    uint8_t *out = malloc(autocrypt_write_max(len));
    if (!out)
        return ERR_MEMORY;
    *ret_len = autocrypt_write(address, mutual, key, len, (char *)out);
    *ret = out;
    return OK;
}

static int write_field(const struct choice *c, const char *address, uint64_t now, uint8_t **ret, size_t *ret_len)
{
    uint8_t key[KEY_MAX];
    struct pgp_minimised m;
    size_t len;
    int err =
        pgp_minimise(c->cert, c->len, now, published_names, (void *)(uintptr_t)address, key, sizeof(key), &len, &m);
    if (err == ERR_MEMORY)
        return err;
    if (err || m.revoked || m.expired)
        return OK;
    return put(address, c->mutual, key, len, ret, ret_len);
}

static bool is_own(const struct choice *c, const uint8_t *cert, size_t len)
{
    uint8_t fpr[PGP_FPR_MAX], fpr_len, key_id[8];
    struct pgp_packet primary;
    size_t pos = 0;
    if (pgp_packet_next(cert, len, &pos, &primary) || primary.tag != PGP_TAG_PUBLIC_KEY || primary.partial ||
        pgp_fingerprint(primary.body, primary.body_len, fpr, &fpr_len, key_id))
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (c->keys[i].state == KEY_CURRENT && c->keys[i].verdict.primary_fpr_len == fpr_len &&
            !memcmp(c->keys[i].verdict.primary_fpr, fpr, fpr_len))
            return true;
    return false;
}

/* The client's field, with the account's wish: Thunderbird, for one, writes none. */
static int add_wish(struct choice *c, const struct autocrypt *a, uint8_t **ret, size_t *ret_len)
{
    size_t len;
    if (!c->mutual || a->keydata.len > sizeof(c->cert) || autocrypt_decode(a, c->cert, &len) || len > KEY_MAX ||
        !is_own(c, c->cert, len))
        return OK;
    return put(a->address, true, c->cert, len, ret, ret_len);
}

int submission_autocrypt(struct view *v, uint64_t account, const struct clean_header *h, uint64_t now, uint8_t **ret,
                         size_t *ret_len)
{
    char address[ADDRESS_MAX];
    struct choice *c;
    *ret = NULL;
    *ret_len = 0;
    const struct header_view head = {.s = h->s, .len = h->len, .fields = h->fields, .count = h->n};
    const bool theirs = header_find(&head, "Autocrypt");
    struct autocrypt field;
    int err = theirs ? autocrypt_find(&head, (int64_t)now, &field) : autocrypt_author(h->s, h->fields, h->n, address);
    if (err || (theirs && field.mutual))
        return err == ERR_NOT_FOUND ? OK : err;
    c = malloc(sizeof(*c));
    if (!c)
        return ERR_MEMORY;
    c->account = account;
    err = view_run(v, choose, c);
    if (!err && theirs)
        err = add_wish(c, &field, ret, ret_len);
    else if (!err && c->len)
        err = write_field(c, address, now, ret, ret_len);
    free(c);
    return err;
}
