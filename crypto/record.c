/* Sealing of records that name something, and blinded look-up hashes, under keys derived from the store key.
 * A sealed record is: version octet, 24-octet nonce, ciphertext, 16-octet tag. */
#include "crypto/record.h"

#include <sodium.h>
#include <string.h>

#include "server/core/secmem.h"
#include "server/core/error.h"

enum { RECORD_VERSION = 1, NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };
_Static_assert(NONCE == 24 && crypto_aead_xchacha20poly1305_ietf_ABYTES == 16, "RECORD_OVERHEAD");

struct record_keys {
    uint8_t seal[32];
    uint8_t hash[RECORD_PURPOSES][32];
};

/* One subkey a use. The personal string carries the version, so keys of a later format are unrelated to these. */
static void derive(const uint8_t store_key[RECORD_KEY_SIZE], uint8_t use, uint8_t out[32])
{
    static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "letterlock-rec1";
    uint8_t salt[crypto_generichash_blake2b_SALTBYTES] = {use};
    (void)crypto_generichash_blake2b_salt_personal(out, 32, NULL, 0, store_key, RECORD_KEY_SIZE, salt, personal);
}

struct record_keys *record_keys_create(const uint8_t store_key[RECORD_KEY_SIZE])
{
    if (sodium_init() < 0)
        return NULL;
    struct record_keys *k = secmem_key_alloc(sizeof(*k));
    if (!k)
        return NULL;
    derive(store_key, 0, k->seal);
    for (uint8_t p = 0; p < RECORD_PURPOSES; p++)
        derive(store_key, (uint8_t)(p + 1), k->hash[p]);
    return k;
}

void record_keys_destroy(struct record_keys *k)
{
    secmem_key_free(k, sizeof(*k));
}

void record_seal(const struct record_keys *k, const void *place, size_t place_len, const void *plain, size_t len,
                 uint8_t *out)
{
    out[0] = RECORD_VERSION;
    randombytes_buf(out + 1, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + 1 + NONCE, NULL, plain, len, place, place_len, NULL, out + 1,
                                                     k->seal);
}

int record_open(const struct record_keys *k, const void *place, size_t place_len, const uint8_t *sealed,
                size_t sealed_len, uint8_t *out, size_t *ret_len)
{
    if (sealed_len < 1)
        return ERR_CRYPTO;
    if (sealed[0] > RECORD_VERSION)
        return ERR_VERSION;
    if (sealed[0] != RECORD_VERSION || sealed_len < RECORD_OVERHEAD)
        return ERR_CRYPTO;
    unsigned long long n = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL, sealed + 1 + NONCE, sealed_len - 1 - NONCE, place,
                                                   place_len, sealed + 1, k->seal) != 0)
        return ERR_CRYPTO;
    *ret_len = (size_t)n;
    return OK;
}

static void hash_u64(crypto_generichash_blake2b_state *st, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    (void)crypto_generichash_blake2b_update(st, b, sizeof(b));
}

void record_hash(const struct record_keys *k, enum record_purpose purpose, uint64_t account,
                 const struct record_part *parts, size_t nparts, uint8_t out[RECORD_HASH_SIZE])
{
    crypto_generichash_blake2b_state st;
    (void)crypto_generichash_blake2b_init(&st, k->hash[purpose], 32, RECORD_HASH_SIZE);
    hash_u64(&st, account);
    hash_u64(&st, nparts);
    for (size_t i = 0; i < nparts; i++) {
        hash_u64(&st, parts[i].len);
        (void)crypto_generichash_blake2b_update(&st, parts[i].data, parts[i].len);
    }
    (void)crypto_generichash_blake2b_final(&st, out, RECORD_HASH_SIZE);
    secmem_wipe(&st, sizeof(st));
}
