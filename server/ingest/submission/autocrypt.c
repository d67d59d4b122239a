#include "server/ingest/submission/autocrypt.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_minimise.h"
#include "server/core/error.h"
#include "server/mail/autocrypt.h"

enum { KEY_MAX = 7 * 1024 /* octets: fields of more than 10 KB do not get through everywhere (level 1, "Key data") */ };

struct choice {
    uint64_t account;
    bool mutual;
    struct schema_key keys[PGP_KEYS_MAX];
    uint8_t cert[PGP_CERT_MAX];
    size_t len; /* 0: none */
};

static int choose(void *arg, struct view *v)
{
    struct choice *c = arg;
    struct schema_account a;
    size_t n = 0;
    c->len = 0;
    int err = view_account(v, c->account, &a);
    if (err)
        return err;
    const bool wanted = !a.no_autocrypt;
    c->mutual = a.encrypt != ENCRYPT_NEVER;
    if (wanted)
        err = view_keys_read(v, a.id, c->keys, &n);
    if (!err && wanted)
        err = view_keys_approved(v, &a, c->keys, n);
    explicit_bzero(&a, sizeof(a));
    for (size_t i = 0; !err && wanted && i < n && !c->len; i++)
        if (c->keys[i].state == KEY_CURRENT && c->keys[i].cert_len <= sizeof(c->cert))
            err = view_key_cert(v, c->account, &c->keys[i], c->cert, &c->len);
    return err;
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
    uint8_t *out = malloc(autocrypt_write_max(len));
    if (!out)
        return ERR_MEMORY;
    *ret_len = autocrypt_write(address, c->mutual, key, len, (char *)out);
    *ret = out;
    return OK;
}

int submission_autocrypt(struct view *v, uint64_t account, const struct clean_header *h, uint64_t now, uint8_t **ret,
                         size_t *ret_len)
{
    char address[ADDRESS_MAX];
    struct choice *c;
    *ret = NULL;
    *ret_len = 0;
    for (size_t i = 0; i < h->n; i++)
        if (header_field_is(h->s, &h->fields[i], "Autocrypt"))
            return OK;
    int err = autocrypt_author(h->s, h->fields, h->n, address);
    if (err)
        return err == ERR_NOT_FOUND ? OK : err;
    c = malloc(sizeof(*c));
    if (!c)
        return ERR_MEMORY;
    c->account = account;
    err = view_run(v, choose, c);
    if (!err && c->len)
        err = write_field(c, address, now, ret, ret_len);
    free(c);
    return err;
}
