/* A key's end by its owner's word: a revocation certificate, or the certificate with its revocation inside, is put
 * together with the certificate that the account has, and judged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_revocation.h"
#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/key_facts.h"

/* What stands in the file in binary, malloc'd; the whole of it if it is not armoured. */
static int to_binary(const char *text, size_t len, uint8_t **ret, size_t *ret_len)
{
    size_t begin, end;
    uint8_t *out = malloc(len + 1);
    if (!out)
        return ERR_MEMORY;
    int err = OK;
    if (len && (uint8_t)text[0] & 0x80) {
        memcpy(out, text, len);
        *ret_len = len;
    } else {
        err = pgp_armor_decode((const uint8_t *)text, len, "PUBLIC KEY BLOCK", out, len, ret_len, &begin, &end);
        if (err == ERR_NOT_FOUND)
            err = pgp_armor_decode((const uint8_t *)text, len, "SIGNATURE", out, len, ret_len, &begin, &end);
    }
    if (err)
        free(out);
    else
        *ret = out;
    return err;
}

bool key_is_revocation(const char *text, size_t len)
{
    struct pgp_revocations r;
    uint8_t *data;
    size_t n;
    if (to_binary(text, len, &data, &n))
        return false;
    bool is = pgp_revocations_read(data, n, &r) == OK && r.bare;
    free(data);
    return is;
}

struct ending {
    const struct cli *c;
    struct instance *i;
    struct key_list *list;
    const struct key_facts *key;
};

/* What remains when this key has gone. */
static void say_ended(const struct ending *e, const char *what)
{
    unsigned others = 0;
    for (size_t k = 0; k < e->list->n; k++)
        others += e->list->keys[k].key.state == KEY_CURRENT && &e->list->keys[k] != e->key;
    cli_mind(e->c, "%s: %s: mail is no longer sealed to it%s", e->c->arg[1], what,
             others ? "" : ", and it was the last key: senders have to wait until key add gives a good one");
}

static int tell_vault(const struct ending *e, enum vault_msg type, const uint8_t *cert, size_t len)
{
    const struct pgp_verdict *v = &e->key->key.verdict;
    const struct vault_request q = {.type = type,
                                    .account = e->list->account,
                                    .key = {.fpr = slice_of(v->primary_fpr, v->primary_fpr_len),
                                            .cert_len = (uint32_t)len}};
    int rc = e->i->vault < 0 ? instance_vault(e->c, e->i) : EXIT_DONE;
    if (rc)
        return rc;
    return cert ? instance_call_cert(e->c, e->i, &q, cert, len) : instance_call(e->c, e->i, &q, -1, NULL);
}

/* The account's certificate with these revocations: *ret_revoked says what the judge makes of it. */
static int judge_with(const struct ending *e, const struct pgp_revocations *r, uint8_t **ret, size_t *ret_len,
                      bool *ret_revoked)
{
    struct pgp_verdict verdict;
    size_t cap = e->key->cert_len + PGP_REVOCATIONS_MAX * PGP_REVOCATION_LEN_MAX, len, none;
    uint8_t *merged = malloc(cap), *minimal = NULL;
    if (cap > PGP_CERT_MAX)
        cap = PGP_CERT_MAX;
    int err = merged ? pgp_revocations_insert(r, e->key->cert, e->key->cert_len, merged, cap, &len) : ERR_MEMORY;
    int rc = err ? cli_fail(e->c, "%s: it does not fit the certificate: %s", e->c->arg[1], err_str(err))
                 : cli_judge(e->c, e->i, e->c->arg[1], merged, len, &verdict, &minimal, &none, ret_revoked);
    free(minimal);
    if (rc) {
        free(merged);
        return rc;
    }
    *ret = merged;
    *ret_len = len;
    return EXIT_DONE;
}

/* The whole certificate is revoked, if one of the revocations is its own and right. */
static int end_whole(const struct ending *e, const struct pgp_revocations *r, bool *ret_revoked)
{
    uint8_t *merged;
    size_t len;
    int rc = judge_with(e, r, &merged, &len, ret_revoked);
    if (rc)
        return rc;
    if (*ret_revoked)
        rc = tell_vault(e, VAULT_KEY_REVOKED, merged, len);
    free(merged);
    if (!rc && *ret_revoked)
        say_ended(e, "it has been revoked");
    return rc;
}

static const struct key_facts *find_named(struct key_list *l, const struct pgp_revocations *r)
{
    for (size_t k = 0; k < l->n; k++)
        if (pgp_revocations_name(r, &l->keys[k].primary))
            return &l->keys[k];
    return NULL;
}

static const struct key_facts *find_primary(struct key_list *l, const uint8_t *data, size_t len)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    return pgp_cert_keys(data, len, keys, &n) == OK && n ? key_list_find(l, keys[0].fpr, keys[0].fpr_len) : NULL;
}

/* By a signature alone. */
static int end_by_signature(struct ending *e, const struct pgp_revocations *r)
{
    const struct cli *c = e->c;
    bool revoked = false;
    e->key = find_named(e->list, r);
    if (!e->key)
        return cli_fail(c, "%s: %s has no key that this revokes; letterlock key list shows them", c->arg[1], c->arg[0]);
    int rc = end_whole(e, r, &revoked);
    if (!rc && !revoked)
        rc = cli_fail(c, "%s: it was not made by the key that it names: nothing has changed", c->arg[1]);
    return rc;
}

/* By a certificate of which the judge has said that it is revoked: the whole of it, or what it encrypts with. */
static int end_by_certificate(struct ending *e, const struct pgp_revocations *r, const uint8_t *data, size_t len)
{
    const struct cli *c = e->c;
    bool revoked = false;
    e->key = find_primary(e->list, data, len);
    if (!e->key)
        return cli_fail(c, "%s: it has been revoked, and %s has no such key: give a good one", c->arg[1], c->arg[0]);
    int rc = r ? end_whole(e, r, &revoked) : EXIT_DONE;
    if (rc || revoked)
        return rc;
    if (!key_knows_encryption(e->key, data, len)) /* what is revoked in it is a former one */
        return key_older_copy(c);
    rc = tell_vault(e, VAULT_KEY_ENC_REVOKED, NULL, 0);
    if (!rc)
        say_ended(e, "its encryption key has been revoked");
    return rc;
}

int key_revoke(const struct cli *c, struct instance *i, uint64_t account, const char *text, size_t len)
{
    static struct key_list list;
    struct ending e = {.c = c, .i = i, .list = &list};
    struct pgp_revocations r;
    uint8_t *data;
    size_t n;
    int err = to_binary(text, len, &data, &n);
    if (err)
        return cli_fail(c, "%s: it cannot be read: %s", c->arg[1], err_str(err));
    int rc = key_list_read(c, i, account, &list);
    if (!rc) {
        err = pgp_revocations_read(data, n, &r);
        if (err && err != ERR_NOT_FOUND)
            rc = cli_fail(c, "%s: its revocations cannot be read: %s", c->arg[1], err_str(err));
        else if (!err && r.bare)
            rc = end_by_signature(&e, &r);
        else
            rc = end_by_certificate(&e, err ? NULL : &r, data, n);
        key_list_free(&list);
    }
    free(data);
    return rc;
}
