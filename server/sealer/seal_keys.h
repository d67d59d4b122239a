/* The sealer's cache of prepared keys, by account, primary address and keys_version. */
#ifndef SEALER_SEAL_KEYS_H
#define SEALER_SEAL_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_check.h"
#include "crypto/pgp_seal.h"
#include "server/gpg/gpg.h"
#include "store/view.h"

/* What an account seals to. Reference counted: a seal under way keeps its set when the account's keys change. */
struct seal_keys {
    unsigned refs;
    uint64_t account;
    uint32_t version;
    char address[ADDRESS_MAX];              /* primary: a number that was given out twice is another account's */
    uint8_t seal_v2;                        /* enum seal_v2 */
    struct pgp_key_ref known[PGP_KEYS_MAX]; /* every key, retired ones too: recognise mail that is encrypted already */
    size_t nknown;
    size_t ncurrent; /* keys that seal */
    bool native;     /* all of them by our engine, else all through the gpg role */
    struct pgp_recipient *recipients[PGP_SEAL_RECIPIENTS_MAX];
    struct gpg_seal_cert certs[PGP_SEAL_RECIPIENTS_MAX]; /* unless native; memory is owned */
    uint8_t fprs[PGP_SEAL_RECIPIENTS_MAX][PGP_FPR_MAX];
    uint32_t first_expiry; /* the earliest expiry of a current key; 0: none expires */
};

struct seal_key_cache;
struct seal_key_cache *seal_key_cache_create(void); /* NULL: no memory */
void seal_key_cache_destroy(struct seal_key_cache *c);

/* The set of the account's keys_version, or NULL. Not referenced for the caller. */
struct seal_keys *seal_key_cache_find(struct seal_key_cache *c, const struct schema_account *a);
/* Reads the set in the open snapshot. A key whose numbers protect nothing is left out. ERR_NO_KEY, ERR_UNAPPROVED,
 * ERR_LIMIT (more current keys than one message can be sealed to), or the view's and the certificate's errors. One
 * reference for the caller. Only once the snapshot has ended well may it go into the cache. */
int seal_keys_load(struct seal_key_cache *c, struct view *v, const struct schema_account *a, struct seal_keys **ret);
void seal_key_cache_put(struct seal_key_cache *c, struct seal_keys *k); /* takes a reference of its own */
void seal_keys_unref(struct seal_keys *k);                              /* NULL is allowed */

#endif
