/* The lifecycle of an account's certificates on the write side: current, retired, revoked, as the rules in key_rules.h
 * allow. Whatever becomes of a key, its record stays, so that old mail is recognised as sealed to it. */
#include "store/account.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/key_rules.h"

/* All of an account's keys, read anew by each request. */
static struct schema_key keys[PGP_KEYS_MAX];

static int keys_read(struct store_write *w, struct key_set *ret)
{
    *ret = (struct key_set){.v = keys};
    return schema_get_keys(w->t, w->keys, w->account, keys, &ret->n);
}

/* A certificate under a blob number of its own; the old one goes. */
static int cert_replace(struct store_write *w, struct schema_key *k, const struct schema_key *old, struct slice cert)
{
    int err = usage_take_number(w, &k->blob);
    if (err != OK)
        return err;
    k->cert_len = (uint32_t)cert.len;
    schema_cert_hash(cert, k->cert_hash);
    w->wrote = true;
    if (old != NULL) {
        err = engine_blob_del(w->t, w->account, BLOB_CERTIFICATE, old->blob);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return schema_put_cert(w->t, w->keys, w->account, k->blob, cert);
}

static int key_put(struct store_write *w, struct schema_account *account, const struct schema_key *k)
{
    account->keys_version++;
    w->wrote = true;
    int err = schema_put_key(w->t, w->keys, w->account, k);
    return err == OK ? schema_put_account(w->t, w->keys, w->account, account) : err;
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

int account_key_add(struct store_write *w, struct schema_account *account, const struct pgp_verdict *v,
                    struct slice cert)
{
    struct key_set s;
    uint8_t *bytes = NULL;
    struct slice present = {0};
    int err = keys_read(w, &s);
    if (err != OK)
        return err;
    const struct schema_key *old = key_find(&s, v->primary_fpr, v->primary_fpr_len);
    if (old != NULL && (err = cert_read(w, old, &bytes, &present)) != OK)
        return err;
    err = key_may_add(&s, v, cert, present);
    free(bytes);
    if (err != OK)
        return err;
    struct schema_key key = key_added(old, v, w->now);
    err = cert_replace(w, &key, old, cert);
    return err == OK ? key_put(w, account, &key) : err;
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

static int key_end(struct store_write *w, struct schema_account *account, struct schema_key *k, uint8_t state)
{
    k->state = state;
    k->ended = state == KEY_CURRENT ? 0 : w->now;
    return key_put(w, account, k);
}

int account_key_retire(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK || k.state != KEY_CURRENT)
        return err;
    err = key_may_retire(&s, &k);
    return err == OK ? key_end(w, &account, &k, KEY_RETIRED) : err;
}

int account_key_current(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK || k.state == KEY_CURRENT)
        return err;
    err = key_may_be_current(&s, &k);
    return err == OK ? key_end(w, &account, &k, KEY_CURRENT) : err;
}

int account_key_revoked(struct store_write *w, const uint8_t *fpr, size_t len, struct slice cert)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK || k.state == KEY_REVOKED)
        return err;
    struct schema_key old = k;
    err = cert_replace(w, &k, &old, cert);
    return err == OK ? key_end(w, &account, &k, KEY_REVOKED) : err;
}

int account_key_enc_revoked(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_set s;
    struct schema_key k;
    int err = key_get(w, fpr, len, &account, &s, &k);
    if (err != OK || k.state == KEY_REVOKED || k.state == KEY_ENC_REVOKED)
        return err;
    return key_end(w, &account, &k, KEY_ENC_REVOKED);
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
