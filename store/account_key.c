/* The lifecycle of an account's certificates on the write side: current, retired, revoked. Whatever becomes of a key,
 * its record stays, so that old mail is recognised as sealed to it. */
#include "store/account.h"

#include <string.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"

enum { KEYS_CURRENT_MAX = 16 /* one seal's recipients */ };

struct key_scan {
    uint32_t n, current;
    const uint8_t *fpr;
    size_t fpr_len;
    bool found;
    struct schema_key key;
};

static int key_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    struct key_scan *s = arg;
    struct schema_key k;
    int err = schema_unpack_key(value, &k);
    if (err != OK)
        return err;
    s->n++;
    s->current += k.state == KEY_CURRENT;
    if (k.verdict.primary_fpr_len == s->fpr_len && memcmp(k.verdict.primary_fpr, s->fpr, s->fpr_len) == 0) {
        s->found = true;
        s->key = k;
    }
    return 0;
}

static int keys_scan(struct store_write *w, struct key_scan *s)
{
    struct schema_keybuf from, to;
    return engine_scan(w->t, w->account, key_simple(&from, 'K'), key_simple(&to, 'K' + 1), 0, key_one, s);
}

bool key_verdict_valid(const struct pgp_verdict *v)
{
    return (v->primary_fpr_len == 20 || v->primary_fpr_len == 32) && (v->enc_fpr_len == 20 || v->enc_fpr_len == 32);
}

/* ---- which keys may be current together ---- */

static bool is_known_to_gpg(const struct pgp_verdict *v)
{
    return v->enc_fpr_len == 20 && v->primary_algo < PGP_X25519 && v->enc_algo < PGP_X25519;
}

bool key_goes_with(const struct pgp_verdict *a, const struct pgp_verdict *b)
{
    return (a->native || is_known_to_gpg(b)) && (b->native || is_known_to_gpg(a));
}

static int goes_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    const struct pgp_verdict *v = arg;
    struct schema_key k;
    int err = schema_unpack_key(value, &k);
    if (err != OK || k.state != KEY_CURRENT ||
        (k.verdict.primary_fpr_len == v->primary_fpr_len &&
         memcmp(k.verdict.primary_fpr, v->primary_fpr, v->primary_fpr_len) == 0))
        return err;
    return key_goes_with(v, &k.verdict) ? 0 : ERR_UNSUPPORTED;
}

/* With every other current key. */
static int goes_with_current(struct store_write *w, const struct pgp_verdict *v)
{
    struct schema_keybuf from, to;
    struct pgp_verdict copy = *v;
    return engine_scan(w->t, w->account, key_simple(&from, 'K'), key_simple(&to, 'K' + 1), 0, goes_one, &copy);
}

/* ---- renewal ---- */

static bool same_enc(const struct pgp_verdict *v, const uint8_t *fpr, size_t len)
{
    return v->enc_fpr_len == len && memcmp(v->enc_fpr, fpr, len) == 0;
}

static void former_add(struct schema_key *k, const uint8_t *fpr, uint8_t len)
{
    if (k->nformer == KEY_FORMER_MAX) { /* the oldest mail is the likeliest to be gone */
        memmove(&k->former[0], &k->former[1], sizeof(k->former[0]) * (KEY_FORMER_MAX - 1));
        k->nformer--;
    }
    memset(&k->former[k->nformer], 0, sizeof(k->former[0]));
    memcpy(k->former[k->nformer].fpr, fpr, len);
    k->former[k->nformer++].fpr_len = len;
}

/* What the new record takes over from the old one: mail sealed to an earlier encryption key stays recognised. */
static void inherit(struct schema_key *k, const struct schema_key *old)
{
    bool same = same_enc(&k->verdict, old->verdict.enc_fpr, old->verdict.enc_fpr_len);
    k->added = old->added;
    for (unsigned i = 0; i < old->nformer; i++)
        if (!same_enc(&k->verdict, old->former[i].fpr, old->former[i].fpr_len))
            former_add(k, old->former[i].fpr, old->former[i].fpr_len);
    if (!same)
        former_add(k, old->verdict.enc_fpr, old->verdict.enc_fpr_len);
    if (same && k->verdict.enc_expires == old->verdict.enc_expires)
        k->noticed = old->noticed; /* another expiry is told anew */
}

/* A certificate under a blob number of its own; the old one goes. */
static int cert_replace(struct store_write *w, struct schema_account *account, struct schema_key *k,
                        const struct schema_key *old, struct slice cert)
{
    k->blob = account->message_next++;
    k->cert_len = (uint32_t)cert.len;
    w->wrote = true;
    if (old != NULL) {
        int err = engine_blob_del(w->t, w->account, BLOB_CERTIFICATE, old->blob);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return schema_put_cert(w->t, w->keys, w->account, k->blob, cert);
}

static int key_put(struct store_write *w, struct schema_account *account, const struct schema_key *k)
{
    account->keys_version++;
    w->wrote = true;
    int err = schema_put_key(w->t, w->account, k);
    return err == OK ? schema_put_account(w->t, w->keys, w->account, account) : err;
}

int account_key_add(struct store_write *w, struct schema_account *account, const struct pgp_verdict *v,
                    struct slice cert)
{
    if (!key_verdict_valid(v))
        return ERR_REFUSED;
    struct key_scan s = {.fpr = v->primary_fpr, .fpr_len = v->primary_fpr_len};
    int err = keys_scan(w, &s);
    if (err != OK)
        return err;
    if (s.found && (s.key.state == KEY_REVOKED ||
                    (s.key.state == KEY_ENC_REVOKED && same_enc(v, s.key.verdict.enc_fpr, s.key.verdict.enc_fpr_len))))
        return ERR_DENIED;
    bool one_more = !s.found || s.key.state != KEY_CURRENT;
    if ((one_more && s.current >= KEYS_CURRENT_MAX) || (!s.found && s.n >= PGP_KEYS_MAX))
        return ERR_LIMIT;
    if ((err = goes_with_current(w, v)) != OK)
        return err;
    struct schema_key key = {.state = KEY_CURRENT, .added = w->now, .verdict = *v};
    if (s.found)
        inherit(&key, &s.key);
    err = cert_replace(w, account, &key, s.found ? &s.key : NULL, cert);
    return err == OK ? key_put(w, account, &key) : err;
}

/* ---- states ---- */

/* The account and one of its keys. */
static int key_find(struct store_write *w, const uint8_t *fpr, size_t len, struct schema_account *ret_account,
                    struct key_scan *ret)
{
    *ret = (struct key_scan){.fpr = fpr, .fpr_len = len};
    int err = schema_get_account(w->t, w->keys, w->account, ret_account);
    if (err == OK)
        err = keys_scan(w, ret);
    return err != OK ? err : ret->found ? OK : ERR_NOT_FOUND;
}

int account_key_retire(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_scan s;
    int err = key_find(w, fpr, len, &account, &s);
    if (err != OK || s.key.state != KEY_CURRENT)
        return err;
    if (s.current < 2)
        return ERR_CONFLICT;
    s.key.state = KEY_RETIRED;
    s.key.ended = w->now;
    return key_put(w, &account, &s.key);
}

int account_key_current(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_scan s;
    int err = key_find(w, fpr, len, &account, &s);
    if (err != OK || s.key.state == KEY_CURRENT)
        return err;
    if (s.key.state != KEY_RETIRED)
        return ERR_DENIED;
    if (s.current >= KEYS_CURRENT_MAX)
        return ERR_LIMIT;
    if ((err = goes_with_current(w, &s.key.verdict)) != OK)
        return err;
    s.key.state = KEY_CURRENT;
    s.key.ended = 0;
    return key_put(w, &account, &s.key);
}

int account_key_revoked(struct store_write *w, const uint8_t *fpr, size_t len, struct slice cert)
{
    struct schema_account account;
    struct key_scan s;
    int err = key_find(w, fpr, len, &account, &s);
    if (err != OK || s.key.state == KEY_REVOKED)
        return err;
    struct schema_key old = s.key;
    s.key.state = KEY_REVOKED;
    s.key.ended = w->now;
    err = cert_replace(w, &account, &s.key, &old, cert);
    return err == OK ? key_put(w, &account, &s.key) : err;
}

int account_key_enc_revoked(struct store_write *w, const uint8_t *fpr, size_t len)
{
    struct schema_account account;
    struct key_scan s;
    int err = key_find(w, fpr, len, &account, &s);
    if (err != OK || s.key.state == KEY_REVOKED || s.key.state == KEY_ENC_REVOKED)
        return err;
    s.key.state = KEY_ENC_REVOKED;
    s.key.ended = w->now;
    return key_put(w, &account, &s.key);
}

/* ---- notices ---- */

enum { NOTICE_AHEAD_MAX = 366 * 86400 /* more than key_notice_days may say */ };

/* What has not happened is not noted: whoever could note it ahead would keep its reader from being told when it
 * does. */
static bool have_happened(const struct schema_key *k, uint8_t events, uint64_t now)
{
    uint64_t end = k->verdict.enc_expires;
    if (events & KEY_EVENT_REVOKED)
        return events == KEY_EVENT_REVOKED && (k->state == KEY_REVOKED || k->state == KEY_ENC_REVOKED);
    return k->state == KEY_CURRENT && end != 0 &&
           end <= now + (events & KEY_EVENT_EXPIRED ? 0 : (uint64_t)NOTICE_AHEAD_MAX);
}

int account_key_notice_due(struct store_write *w, const uint8_t *fpr, size_t len, uint8_t events, uint32_t keys_version,
                           struct schema_key *ret)
{
    struct schema_account account;
    struct key_scan s;
    int err = key_find(w, fpr, len, &account, &s);
    if (err != OK)
        return err;
    if (account.keys_version != keys_version)
        return ERR_CONFLICT;
    if ((s.key.noticed & events) == events)
        return ERR_EXISTS;
    if (!have_happened(&s.key, events, w->now))
        return ERR_CONFLICT;
    *ret = s.key;
    ret->noticed |= events;
    return OK;
}
