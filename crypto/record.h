/* The second lock: records that name something are sealed under the store key (XChaCha20-Poly1305 with a fresh nonce).
 * A record's place is its associated data, so records cannot be swapped. Look-ups and blinded identifiers are keyed
 * BLAKE2b. Each purpose has a subkey of its own. */
#ifndef CRYPTO_RECORD_H
#define CRYPTO_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum { RECORD_KEY_SIZE = 32, RECORD_OVERHEAD = 1 + 24 + 16 /* version, nonce, tag */, RECORD_HASH_SIZE = 16 };

struct record_keys; /* derived keys, in secmem */

/* Copies what it needs; the caller may wipe store_key. NULL: out of memory. */
struct record_keys *record_keys_create(const uint8_t store_key[RECORD_KEY_SIZE]);
void record_keys_destroy(struct record_keys *k);

/* out has len + RECORD_OVERHEAD bytes. place: bytes that say where the record stands (partition and key). */
void record_seal(const struct record_keys *k, const void *place, size_t place_len, const void *plain, size_t len,
                 uint8_t *out);
/* out has sealed_len - RECORD_OVERHEAD bytes. ERR_CRYPTO: not ours, moved or damaged. ERR_VERSION. */
int record_open(const struct record_keys *k, const void *place, size_t place_len, const uint8_t *sealed,
                size_t sealed_len, uint8_t *out, size_t *ret_len);

enum record_purpose {
    RECORD_ADDRESS,
    RECORD_DOMAIN,
    RECORD_MAILBOX,
    RECORD_APP_PASSWORD,
    RECORD_DELIVERY,
    RECORD_THREAD,
    RECORD_MESSAGE_ID,
    RECORD_LOGIN_SALT,
    RECORD_LOG, /* server/format/log_name.h; for the account stands which side of a mail it is */
    RECORD_PURPOSES
};
/* Keyed hash of (account, parts...). Parts are length-prefixed, so no two lists collide by concatenation. */
struct record_part {
    const void *data;
    size_t len;
};
void record_hash(const struct record_keys *k, enum record_purpose purpose, uint64_t account,
                 const struct record_part *parts, size_t nparts, uint8_t out[RECORD_HASH_SIZE]);

#endif
