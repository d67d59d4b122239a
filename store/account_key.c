/* The lifecycle of an account's certificates on the write side: current, retired, revoked, as the rules in key_rules.h
 * allow. Whatever becomes of a key, its record stays, so that old mail is recognised as sealed to it. */
#include "store/account.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/approval.h"
#include "store/key_rules.h"

/* All of an account's keys, read anew by each request. */
static struct schema_key keys[PGP_KEYS_MAX];

static int keys_read(struct store_write *w, struct key_set *ret)
{
    *ret = (struct key_set){.v = keys};
    return schema_get_keys(w->t, w->keys, w->account, keys, &ret->n);
}

/* Whether the command line has approved the keys as they will be, with this record and under the next keys_version. */
static int approved(struct store_write *w, struct schema_account next, const struct key_set *s,
                    const struct schema_key *changed, const struct vault_approval *a)
{
    uint8_t uuid[STORE_UUID_SIZE];
    struct approval_text text;
    if (next.keys_version != a->keys_version)
        return ERR_OVERRUN;
    int err = schema_get_uuid(w->t, uuid);
    if (err != OK)
        return err;
    next.keys_version++;
    approval_of_keys(uuid, &next, s, changed, &text);
    return approval_check(w->keys, &text, a->keys);
}

int account_keys_put_version(struct store_write *w, struct schema_account *account, const struct vault_approval *a)
{
    account->keys_version++;
    w->wrote = true;
    int err = schema_put_approval(w->t, w->keys, w->account, account->keys_version, a->keys);
    return err == OK ? schema_put_account(w->t, w->keys, w->account, account) : err;
}

/* A certificate under a blob number of its own; the old one goes. */
static int cert_replace(struct store_write *w, struct schema_key *k, const struct schema_key *old, struct slice cert)
{
    int err = usage_take_number(w, &k->blob);
    if (err != OK)
        return err;
    w->wrote = true;
    if (old != NULL) {
        err = engine_blob_del(w->t, w->account, BLOB_CERTIFICATE, old->blob);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return schema_put_cert(w->t, w->keys, w->account, k->blob, cert);
}

static int key_put(struct store_write *w, struct schema_account *account, const struct schema_key *k,
                   const struct vault_approval *a)
{
    w->wrote = true;
    int err = schema_put_key(w->t, w->keys, w->account, k);
    return err == OK ? account_keys_put_version(w, account, a) : err;
}

/* One that is damaged is no reason to refuse its renewal: then nothing is known of it. */
static int cert_read(struct store_write *w, const struct schema_key *k, uint8_t **ret_bytes, struct slice *ret)
{
    size_t len = 0;
    uint8_t *bytes = malloc(k->cert_len > 0 ? k->cert_len : 1);
    if (bytes == NULL)
        return ERR_MEMORY;
    if (schema_get_cert(w->t, w->keys, w->account, k, bytes, &len) != OK)
        len = 0;
    *ret_bytes = bytes;
    *ret = slice_of(bytes, len);
    return OK;
}

/* What an account's keys and a certificate's record become. */
struct adding {
    struct key_set s;
    const struct schema_key *old;
    struct schema_key key;
};

static int adding(struct store_write *w, const struct schema_account *account, const struct pgp_verdict *v,
                  struct slice cert, const struct vault_approval *a, struct adding *ret)
{
    uint8_t *bytes = NULL;
    struct slice present = {0};
    int err = keys_read(w, &ret->s);
    if (err != OK)
        return err;
    ret->old = key_find(&ret->s, v->primary_fpr, v->primary_fpr_len);
    if (ret->old != NULL && (err = cert_read(w, ret->old, &bytes, &present)) != OK)
        return err;
    err = key_may_add(&ret->s, v, cert, present);
    free(bytes);
    if (err != OK)
        return err;
    ret->key = key_added(ret->old, v, cert, w->now);
    return approved(w, *account, &ret->s, &ret->key, a);
}

int account_key_may_add(struct store_write *w, const struct schema_account *account, const struct pgp_verdict *v,
                        struct slice cert, const struct vault_approval *a, bool *ret_told)
{
    struct adding add;
    int err = adding(w, account, v, cert, a, &add);
    if (err == OK)
        *ret_told = key_must_be_told(&add.s, v->primary_fpr, v->primary_fpr_len);
    return err;
}

int account_key_add(struct store_write *w, struct schema_account *account, const struct pgp_verdict *v,
                    struct slice cert, const struct vault_approval *a)
{
    struct adding add;
    int err = adding(w, account, v, cert, a, &add);
    if (err == OK)
        err = cert_replace(w, &add.key, add.old, cert);
    return err == OK ? key_put(w, account, &add.key, a) : err;
}

/* ---- states ---- */

/* The account, its keys and one of them. */
static int key_get(struct store_write *w, const uint8_t *fpr, size_t len, struct schema_account *ret_account,
                   struct key_set *ret_keys, struct schema_key *ret)
{
    int err = schema_get_account(w->t, w->keys, w->account, ret_account);
    if (err == OK)
        err = keys_read(w, ret_keys);
    if (err != OK)
        return err;
    const struct schema_key *found = key_find(ret_keys, fpr, len);
    if (found == NULL)
        return ERR_NOT_FOUND;
    *ret = *found;
    return OK;
}

int account_key_state(struct store_write *w, const uint8_t *fpr, size_t len, enum key_state to, struct slice cert,
                      const struct vault_approval *a)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK || key_stays(&k, to))
        return err;
    err = key_may_become(&s, &k, to);
    if (err != OK)
        return err;
    struct schema_key changed = key_with_state(&k, to, cert, w->now);
    err = approved(w, account, &s, &changed, a);
    if (err == OK && to == KEY_REVOKED)
        err = cert_replace(w, &changed, &k, cert);
    return err == OK ? key_put(w, &account, &changed, a) : err;
}

int account_key_may_be_current(struct store_write *w, const uint8_t *fpr, size_t len, const struct vault_approval *a,
                               bool *ret_told)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    bool told = err == OK && key_must_be_told(&s, fpr, len);
    if (err == OK && told)
        err = key_may_become(&s, &k, KEY_CURRENT);
    if (err == OK && told) {
        const struct schema_key changed = key_with_state(&k, KEY_CURRENT, slice_of("", 0), w->now);
        err = approved(w, account, &s, &changed, a);
    }
    if (err == OK)
        *ret_told = told;
    return err;
}

int account_key_first_approved(struct store_write *w, const struct schema_account *account, const struct pgp_verdict *v,
                               struct slice cert, const struct vault_approval *a)
{
    struct schema_key key = key_added(NULL, v, cert, w->now);
    return approved(w, *account, &(struct key_set){.n = 0}, &key, a);
}

int account_keys_approved(struct store_write *w, const struct schema_account *account, const struct vault_approval *a)
{
    struct key_set s;
    int err = keys_read(w, &s);
    return err == OK ? approved(w, *account, &s, NULL, a) : err;
}

int account_key_notice_due(struct store_write *w, const uint8_t *fpr, size_t len, uint8_t events, uint32_t keys_version,
                           struct schema_key *ret)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK)
        return err;
    if (account.keys_version != keys_version)
        return ERR_CONFLICT;
    if ((k.noticed & events) == events)
        return ERR_EXISTS;
    if (!key_events_due(&k, events, w->now))
        return ERR_CONFLICT;
    k.noticed |= events;
    *ret = k;
    return OK;
}
