/* The judge's walk over a certificate, told which user ids to look at, and a copy of what it found. */
#include "crypto/pgp_minimise.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_judge_internal.h"
#include "server/core/error.h"

static int put_user_ids(struct pgp_copy *o, const struct judge *w, size_t *ret_n)
{
    const struct pgp_judged *j = w->j;
    size_t n = 0;
    for (size_t i = 0; i < j->nuser_ids; i++) {
        if (!pgp_copy_has_user_id(j, i))
            continue;
        int err = pgp_copy_user_id(o, w->cert, w->len, j, i);
        if (err)
            return err;
        n++;
    }
    *ret_n = n;
    return n ? OK : ERR_NOT_FOUND;
}

/* Encrypts or makes signatures (section 5.2.3.29); without flags its algorithm says it. */
static bool is_wanted(const struct judge *w, size_t i)
{
    const struct pgp_judged *j = w->j;
    struct pgp_signature s;
    if (!j->key_self[i] || (j->validity[i] == PGP_EXPIRED && j->validity[0] != PGP_EXPIRED))
        return false;
    return pgp_signature_at(w->cert, w->len, j->key_self[i], &s) == OK &&
           (!s.has_flags || s.flags & (PGP_FLAG_ENCRYPT | PGP_FLAG_SIGN | PGP_FLAG_CERTIFY));
}

static int copy(const struct judge *w, struct pgp_copy *o, struct pgp_minimised *ret)
{
    const struct pgp_judged *j = w->j;
    int err = pgp_copy_key(o, w->cert, w->len, j, 0);
    if (!err)
        err = put_user_ids(o, w, &ret->user_ids);
    for (size_t i = 1; !err && i < j->nkeys; i++)
        if (is_wanted(w, i))
            err = pgp_copy_key(o, w->cert, w->len, j, i);
    memcpy(ret->fpr, j->keys[0].fpr, sizeof(ret->fpr));
    ret->fpr_len = j->keys[0].fpr_len;
    ret->revoked = j->validity[0] == PGP_REVOKED;
    ret->expired = j->validity[0] == PGP_EXPIRED;
    return err;
}

int pgp_minimise(const uint8_t *cert, size_t len, uint64_t now, pgp_keep_fn *keep, void *arg, uint8_t *out, size_t cap,
                 size_t *ret_len, struct pgp_minimised *ret)
{
    struct pgp_judged *j = calloc(1, sizeof(*j));
    struct pgp_minimised m = {.fpr_len = 0};
    struct pgp_copy o = {out, cap, 0};
    if (!j)
        return ERR_MEMORY;
    j->now = now;
    j->any_hash = true;
    struct judge w = {
        .cert = cert, .len = len, .j = j, .keep = keep, .keep_arg = arg, .signature_max = PGP_MINIMISE_SIGNATURE_MAX};
    int err = pgp_judge_state(&w);
    if (keep && (j->fault == PGP_FAULT_USER_IDS || j->fault == PGP_FAULT_CLOCK ||
                 (j->fault == PGP_FAULT_SELF_SIGNED && j->keys[0].version == 4)))
        err = ERR_NOT_FOUND; /* perhaps it has others that may */
    if (!err)
        err = copy(&w, &o, &m);
    free(w.c);
    free(j);
    if (err)
        return err;
    *ret_len = o.len;
    *ret = m;
    return OK;
}
