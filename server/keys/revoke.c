/* A key's end by its owner's word: a revocation certificate, or the certificate with its revocation inside, is put
 * together with the certificate that the account has, and judged. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_revocation.h"
#include "server/core/error.h"
#include "server/keys/keys.h"

/* What stands in the file in binary, malloc'd; the whole of it if it is not armoured. */
static int to_binary(const uint8_t *text, size_t len, uint8_t **ret, size_t *ret_len)
{
    size_t begin, end, n;
    uint8_t *out = malloc(len + 1), *plain = malloc(len + 1);
    int err = out && plain ? OK : ERR_MEMORY;
    if (!err)
        pgp_armor_plain(text, len, plain, &n);
    if (!err && n && plain[0] & 0x80) {
        memcpy(out, plain, n);
        *ret_len = n;
    } else if (!err) {
        err = pgp_armor_decode(plain, n, "PUBLIC KEY BLOCK", out, len, ret_len, &begin, &end);
        if (err == ERR_NOT_FOUND)
            err = pgp_armor_decode(plain, n, "SIGNATURE", out, len, ret_len, &begin, &end);
    }
    free(plain);
    if (err)
        free(out);
    else
        *ret = out;
    return err;
}

bool keys_is_revocation(const void *text, size_t len)
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

static enum keys_fault fault(struct keys_ending *e, enum keys_fault f, int err)
{
    e->err = err;
    return e->fault = f;
}

/* What is asked of the vault. */
static void decide(struct keys_ending *e, uint64_t account, enum vault_msg type)
{
    const struct pgp_verdict *v = &e->key->key.verdict;
    e->request = (struct vault_request){.type = type,
                                        .account = account,
                                        .key = {.fpr = slice_of(v->primary_fpr, v->primary_fpr_len),
                                                .cert_len = (uint32_t)e->cert_len}};
}

/* The account's certificate with these revocations goes into *e if the judge then finds the whole of it revoked. */
static enum keys_fault judge_with(const struct keys_judge *j, const struct pgp_revocations *r, struct keys_ending *e,
                                  bool *ret_revoked)
{
    struct gpg_judgement found = {0};
    size_t cap = e->key->cert_len + PGP_REVOCATIONS_MAX * PGP_REVOCATION_LEN_MAX, len;
    if (cap > PGP_CERT_MAX)
        cap = PGP_CERT_MAX;
    uint8_t *merged = malloc(cap);
    int err = merged ? pgp_revocations_insert(r, e->key->cert, e->key->cert_len, merged, cap, &len) : ERR_MEMORY;
    if (err) {
        free(merged);
        return fault(e, KEYS_FAULT_DOES_NOT_FIT, err);
    }
    err = keys_judge(j, merged, len, &found);
    free(found.cert);
    *ret_revoked = err == ERR_NO_KEY;
    if (*ret_revoked) {
        e->cert = merged;
        e->cert_len = len;
        return KEYS_FAULT_NONE;
    }
    free(merged);
    memcpy(e->why, found.why, sizeof(e->why));
    return err == OK ? KEYS_FAULT_NONE : fault(e, KEYS_FAULT_JUDGED, err);
}

static const struct keys_entry *find_named(struct keys_list *l, const struct pgp_revocations *r)
{
    for (size_t k = 0; k < l->n; k++)
        if (pgp_revocations_name(r, &l->v[k].primary))
            return &l->v[k];
    return NULL;
}

static bool is_in(const struct pgp_key *keys, size_t n, const uint8_t *fpr, size_t len)
{
    for (size_t k = 0; k < n; k++)
        if (keys[k].fpr_len == len && !memcmp(keys[k].fpr, fpr, len))
            return true;
    return false;
}

/* By a signature alone. */
static enum keys_fault end_by_signature(const struct keys_judge *j, struct keys_list *l,
                                        const struct pgp_revocations *r, struct keys_ending *e)
{
    bool revoked = false;
    e->key = find_named(l, r);
    if (!e->key)
        return fault(e, KEYS_FAULT_NO_KEY_OF_IT, ERR_NOT_FOUND);
    enum keys_fault f = judge_with(j, r, e, &revoked);
    if (f == KEYS_FAULT_NONE && !revoked)
        return fault(e, KEYS_FAULT_NOT_BY_THE_KEY, ERR_DENIED);
    if (f == KEYS_FAULT_NONE)
        decide(e, l->account, VAULT_KEY_REVOKED);
    return f;
}

/* By a certificate of which the judge has said that it is revoked: the whole of it, or what it encrypts with. */
static enum keys_fault end_by_certificate(const struct keys_judge *j, struct keys_list *l,
                                          const struct pgp_revocations *r, const uint8_t *data, size_t len,
                                          struct keys_ending *e)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    bool revoked = false;
    if (pgp_cert_keys(data, len, keys, &n) != OK)
        n = 0;
    e->key = n > 0 ? keys_find(l, keys[0].fpr, keys[0].fpr_len) : NULL;
    if (!e->key)
        return fault(e, KEYS_FAULT_NO_SUCH_KEY, ERR_NOT_FOUND);
    enum keys_fault f = r ? judge_with(j, r, e, &revoked) : KEYS_FAULT_NONE;
    if (f != KEYS_FAULT_NONE)
        return f;
    const struct pgp_verdict *v = &e->key->key.verdict;
    if (!revoked && !is_in(keys, n, v->enc_fpr, v->enc_fpr_len))
        return fault(e, KEYS_FAULT_OLDER_COPY, ERR_CONFLICT);
    decide(e, l->account, revoked ? VAULT_KEY_REVOKED : VAULT_KEY_ENC_REVOKED);
    return KEYS_FAULT_NONE;
}

enum keys_fault keys_revocation(const struct keys_judge *j, struct keys_list *l, const void *text, size_t len,
                                struct keys_ending *ret)
{
    struct pgp_revocations r;
    uint8_t *data;
    size_t n;
    *ret = (struct keys_ending){.fault = KEYS_FAULT_NONE};
    int err = to_binary(text, len, &data, &n);
    if (err)
        return fault(ret, KEYS_FAULT_UNREADABLE, err);
    err = pgp_revocations_read(data, n, &r);
    enum keys_fault f;
    if (err && err != ERR_NOT_FOUND)
        f = fault(ret, KEYS_FAULT_REVOCATIONS, err);
    else if (!err && r.bare)
        f = end_by_signature(j, l, &r, ret);
    else
        f = end_by_certificate(j, l, err ? NULL : &r, data, n, ret);
    free(data);
    return f;
}
