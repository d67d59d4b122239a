/* What the holder of the store key's root says is right, and who checks it. The vault writes every record, but has no
 * root: it cannot make an approval. So a vault that does what it likes has nothing sealed to a key of its own, nor one
 * person's mail to another's keys. The command line makes them (store/approve.h); vault, ingest, access and audit check
 * them. What it does not stop: an earlier set that was approved, or an address that was taken away, may be put back.
 *
 * Both texts name the account by its number and its primary address, so that a number given out twice joins nobody's
 * address to another's keys. */
#ifndef STORE_APPROVAL_H
#define STORE_APPROVAL_H

#include "crypto/approver.h"
#include "store/key_rules.h"

enum {
    STORE_UUID_SIZE = 16,
    KEY_DIGEST_SIZE = 32,
    APPROVAL_TEXT_MAX = 64 + STORE_UUID_SIZE + 8 + 2 * (4 + ADDRESS_MAX) + 4 + 3 + 4 + PGP_KEYS_MAX * KEY_DIGEST_SIZE
};

struct approval_text {
    uint8_t data[APPROVAL_TEXT_MAX];
    size_t len;
};

/* The certificates of an account: account's id, address, keys_version, seal_v2, encrypt and where its mail goes on to,
 * and of each certificate its state, verdict, former encryption keys and hash. changed: a record that stands instead of
 * the one of its fingerprint, or beside all of them; or NULL. Not in it: what its reader was told, times, where the
 * certificate lies. */
void approval_of_keys(const uint8_t uuid[STORE_UUID_SIZE], const struct schema_account *account,
                      const struct key_set *keys, const struct schema_key *changed, struct approval_text *ret);
/* That mail for an address goes to an account; a's own approval is not in it. */
void approval_of_address(const uint8_t uuid[STORE_UUID_SIZE], const struct schema_address *a, const char *primary,
                         struct approval_text *ret);
/* ERR_UNAPPROVED */
int approval_check(const struct record_keys *k, const struct approval_text *text,
                   const uint8_t approval[APPROVAL_SIZE]);

#endif
