#include "store/key_rules.h"

#include <sodium.h>
#include <string.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"

enum { NOTICE_AHEAD_MAX = 366 * 86400 /* more than key_notice_days may say */ };

bool key_verdict_valid(const struct pgp_verdict *v)
{
    return (v->primary_fpr_len == 20 || v->primary_fpr_len == 32) && (v->enc_fpr_len == 20 || v->enc_fpr_len == 32);
}

bool key_is(const struct schema_key *k, const uint8_t *fpr, size_t len)
{
    return k->verdict.primary_fpr_len == len && memcmp(k->verdict.primary_fpr, fpr, len) == 0;
}

const struct schema_key *key_find(const struct key_set *s, const uint8_t *fpr, size_t len)
{
    for (size_t i = 0; i < s->n; i++)
        if (key_is(&s->v[i], fpr, len))
            return &s->v[i];
    return NULL;
}

static size_t count_current(const struct key_set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->v[i].state == KEY_CURRENT;
    return n;
}

/* ---- encryption keys ---- */

static bool is_enc(const struct pgp_verdict *v, const uint8_t *fpr, size_t len)
{
    return v->enc_fpr_len == len && memcmp(v->enc_fpr, fpr, len) == 0;
}

static bool same_enc(const struct pgp_verdict *a, const struct pgp_verdict *b)
{
    return is_enc(a, b->enc_fpr, b->enc_fpr_len);
}

static bool is_former(const struct schema_key *k, const struct pgp_verdict *v)
{
    for (unsigned i = 0; i < k->nformer; i++)
        if (is_enc(v, k->former[i].fpr, k->former[i].fpr_len))
            return true;
    return false;
}

bool key_opens(const struct schema_key *k, const uint8_t fpr[MESSAGE_FPR_SIZE])
{
    bool opens = memcmp(k->verdict.enc_fpr, fpr, MESSAGE_FPR_SIZE) == 0;
    for (unsigned i = 0; i < k->nformer && !opens; i++)
        opens = memcmp(k->former[i].fpr, fpr, MESSAGE_FPR_SIZE) == 0;
    return opens;
}

/* ---- which keys may be current together ---- */

static bool is_known_to_gpg(const struct pgp_verdict *v)
{
    return v->enc_fpr_len == 20 && v->primary_algo < PGP_X25519 && v->enc_algo < PGP_X25519;
}

static bool goes_with(const struct pgp_verdict *a, const struct pgp_verdict *b)
{
    return (a->native || is_known_to_gpg(b)) && (b->native || is_known_to_gpg(a));
}

const struct schema_key *key_at_odds(const struct key_set *s, const struct pgp_verdict *v)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].state == KEY_CURRENT && !key_is(&s->v[i], v->primary_fpr, v->primary_fpr_len) &&
            !goes_with(v, &s->v[i].verdict))
            return &s->v[i];
    return NULL;
}

/* ---- older copies ---- */

static bool has_subkey(struct slice cert, const struct pgp_packet *subkey)
{
    struct pgp_packet p;
    size_t pos = 0;
    while (pgp_packet_next(cert.data, cert.len, &pos, &p) == OK)
        if (p.tag == PGP_TAG_PUBLIC_SUBKEY && p.body_len == subkey->body_len &&
            memcmp(p.body, subkey->body, p.body_len) == 0)
            return true;
    return false;
}

static bool has_all_subkeys(struct slice cert, struct slice of)
{
    struct pgp_packet p;
    size_t pos = 0;
    while (pgp_packet_next(of.data, of.len, &pos, &p) == OK)
        if (p.tag == PGP_TAG_PUBLIC_SUBKEY && !has_subkey(cert, &p))
            return false;
    return true;
}

bool key_is_older_copy(const struct schema_key *present, struct slice present_cert, const struct pgp_verdict *v,
                       struct slice cert)
{
    return v->signed_at < present->verdict.signed_at ||
           (is_former(present, v) && !same_enc(v, &present->verdict) && !has_all_subkeys(cert, present_cert));
}

/* ---- states ---- */

int key_may_add(const struct key_set *s, const struct pgp_verdict *v, struct slice cert, struct slice present)
{
    if (!key_verdict_valid(v))
        return ERR_REFUSED;
    const struct schema_key *old = key_find(s, v->primary_fpr, v->primary_fpr_len);
    if (old != NULL && (old->state == KEY_REVOKED || (old->state == KEY_ENC_REVOKED && same_enc(v, &old->verdict))))
        return ERR_DENIED;
    if (old != NULL && key_is_older_copy(old, present, v, cert))
        return ERR_CONFLICT;
    bool one_more = old == NULL || old->state != KEY_CURRENT;
    if ((one_more && count_current(s) >= KEYS_CURRENT_MAX) || (old == NULL && s->n >= PGP_KEYS_MAX))
        return ERR_LIMIT;
    return key_at_odds(s, v) == NULL ? OK : ERR_UNSUPPORTED;
}

void key_cert_hash(struct slice cert, uint8_t ret[CERT_HASH_SIZE])
{
    crypto_generichash(ret, CERT_HASH_SIZE, cert.data, cert.len, NULL, 0);
}

static void set_cert(struct schema_key *k, struct slice cert)
{
    k->cert_len = (uint32_t)cert.len;
    key_cert_hash(cert, k->cert_hash);
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

struct schema_key key_added(const struct schema_key *old, const struct pgp_verdict *v, struct slice cert, uint64_t now)
{
    struct schema_key k = {.state = KEY_CURRENT, .added = now, .verdict = *v};
    set_cert(&k, cert);
    if (old == NULL)
        return k;
    k.added = old->added;
    for (unsigned i = 0; i < old->nformer; i++)
        if (!is_enc(v, old->former[i].fpr, old->former[i].fpr_len))
            former_add(&k, old->former[i].fpr, old->former[i].fpr_len);
    if (!same_enc(v, &old->verdict))
        former_add(&k, old->verdict.enc_fpr, old->verdict.enc_fpr_len);
    else if (v->enc_expires == old->verdict.enc_expires)
        k.noticed = old->noticed; /* another expiry is a new event */
    return k;
}

bool key_must_be_told(const struct key_set *s, const uint8_t *fpr, size_t len)
{
    const struct schema_key *k = key_find(s, fpr, len);
    return count_current(s) > 0 && (k == NULL || k->state != KEY_CURRENT);
}

int key_may_retire(const struct key_set *s, const struct schema_key *k)
{
    return k->state == KEY_CURRENT && count_current(s) < 2 ? ERR_CONFLICT : OK;
}

int key_may_be_current(const struct key_set *s, const struct schema_key *k)
{
    if (k->state == KEY_CURRENT)
        return OK;
    if (k->state != KEY_RETIRED)
        return ERR_DENIED;
    if (count_current(s) >= KEYS_CURRENT_MAX)
        return ERR_LIMIT;
    return key_at_odds(s, &k->verdict) == NULL ? OK : ERR_UNSUPPORTED;
}

bool key_stays(const struct schema_key *k, enum key_state to)
{
    return k->state == to || (to == KEY_RETIRED && k->state != KEY_CURRENT) ||
           (to == KEY_ENC_REVOKED && k->state == KEY_REVOKED);
}

int key_may_become(const struct key_set *s, const struct schema_key *k, enum key_state to)
{
    return to == KEY_RETIRED ? key_may_retire(s, k) : to == KEY_CURRENT ? key_may_be_current(s, k) : OK;
}

struct schema_key key_with_state(const struct schema_key *k, enum key_state to, struct slice cert, uint64_t now)
{
    struct schema_key changed = *k;
    changed.state = (uint8_t)to;
    changed.ended = to == KEY_CURRENT ? 0 : now;
    if (to == KEY_REVOKED)
        set_cert(&changed, cert);
    return changed;
}

/* ---- notices ---- */

/* What has not happened is not noted: whoever could note it ahead would keep its reader from being told when it
 * does. */
bool key_events_due(const struct schema_key *k, uint8_t events, uint64_t now)
{
    uint64_t end = k->verdict.enc_expires;
    if (events & KEY_EVENT_REVOKED)
        return events == KEY_EVENT_REVOKED && (k->state == KEY_REVOKED || k->state == KEY_ENC_REVOKED);
    return k->state == KEY_CURRENT && end != 0 &&
           end <= now + (events & KEY_EVENT_EXPIRED ? 0 : (uint64_t)NOTICE_AHEAD_MAX);
}
