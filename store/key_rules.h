/* The rules of a certificate's life in an account (docs/openpgp.md, "Keys of an account"), without store or clock: the
 * vault holds every request against them, the command line what it is about to ask. The records are all those of one
 * account, in any order. */
#ifndef STORE_KEY_RULES_H
#define STORE_KEY_RULES_H

#include "store/records.h"

enum { KEYS_CURRENT_MAX = 16 /* one seal's recipients */ };

struct key_set {
    const struct schema_key *v;
    size_t n; /* at most PGP_KEYS_MAX */
};

void key_cert_hash(struct slice cert, uint8_t ret[CERT_HASH_SIZE]);
bool key_verdict_valid(const struct pgp_verdict *v);
bool key_is(const struct schema_key *k, const uint8_t *fpr, size_t len); /* by its primary fingerprint */
const struct schema_key *key_find(const struct key_set *s, const uint8_t *fpr, size_t len); /* NULL: none */
/* Whether mail sealed to the encryption key with this fingerprint is this certificate's, also from before a renewal. */
bool key_opens(const struct schema_key *k, const uint8_t fpr[MESSAGE_FPR_SIZE]);

/* A mail is sealed once, to all current keys, by one engine: the native one, or GnuPG 2.2, which does not know every
 * kind. The first other current key that cannot be sealed to together with this one; NULL: there is none. */
const struct schema_key *key_at_odds(const struct key_set *s, const struct pgp_verdict *v);

/* Whether a certificate is an older copy of the one that the account has, whose encryption key may have been given up
 * since. It is if its newest self-signature is older, or if it names a former encryption key and lacks a subkey that
 * the account's copy has: one that has them all has a reason to name another. */
bool key_is_older_copy(const struct schema_key *present, struct slice present_cert, const struct pgp_verdict *v,
                       struct slice cert);

/* May this certificate be current? present: the account's certificate of the same fingerprint, or empty. ERR_REFUSED:
 * no fingerprints; ERR_DENIED: it has been revoked; ERR_CONFLICT: an older copy; ERR_LIMIT; ERR_UNSUPPORTED: at odds
 * with a current one. */
int key_may_add(const struct key_set *s, const struct pgp_verdict *v, struct slice cert, struct slice present);
/* The record of a certificate that becomes current; old: its record until now, or NULL. A renewal keeps the encryption
 * keys that sealed before, the newest of them, and the notices, unless the expiry is another. */
struct schema_key key_added(const struct schema_key *old, const struct pgp_verdict *v, struct slice cert, uint64_t now);
/* Whether it would stay as it is: in that state already, or beyond it. */
bool key_stays(const struct schema_key *k, enum key_state to);
int key_may_become(const struct key_set *s, const struct schema_key *k, enum key_state to);
/* The record then. cert: KEY_REVOKED alone, with the revocation. */
struct schema_key key_with_state(const struct schema_key *k, enum key_state to, struct slice cert, uint64_t now);
/* Whether others, which are current now, are to hear that it becomes current: it is not yet. */
bool key_must_be_told(const struct key_set *s, const uint8_t *fpr, size_t len);
int key_may_retire(const struct key_set *s, const struct schema_key *k); /* ERR_CONFLICT: the last current one */
/* A retired one. ERR_DENIED: it has been revoked; ERR_LIMIT, ERR_UNSUPPORTED as above. */
int key_may_be_current(const struct key_set *s, const struct schema_key *k);
/* Whether these events (a set of enum key_event) have happened to it, or may be told ahead. */
bool key_events_due(const struct schema_key *k, uint8_t events, uint64_t now);

#endif
