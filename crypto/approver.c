/* Ed25519, whose pair is made of the root and wiped again. */
#include "crypto/approver.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

_Static_assert((int)APPROVER_PUBLIC_SIZE == crypto_sign_ed25519_PUBLICKEYBYTES, "public key");
_Static_assert((int)APPROVAL_SIZE == crypto_sign_ed25519_BYTES, "signature");

/* Unrelated to every record key (crypto/record.c), which the roles have. */
static void pair(const uint8_t root[32], uint8_t public[APPROVER_PUBLIC_SIZE],
                 uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES])
{
    static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "letterlock-appr";
    uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
    (void)crypto_generichash_blake2b_salt_personal(seed, sizeof(seed), NULL, 0, root, 32, NULL, personal);
    (void)crypto_sign_ed25519_seed_keypair(public, secret, seed);
    secmem_wipe(seed, sizeof(seed));
}

void approver_public(const uint8_t root[32], uint8_t ret[APPROVER_PUBLIC_SIZE])
{
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
    pair(root, ret, secret);
    secmem_wipe(secret, sizeof(secret));
}

void approver_sign(const uint8_t root[32], const void *text, size_t len, uint8_t ret[APPROVAL_SIZE])
{
    uint8_t public[APPROVER_PUBLIC_SIZE], secret[crypto_sign_ed25519_SECRETKEYBYTES];
    pair(root, public, secret);
    (void)crypto_sign_ed25519_detached(ret, NULL, text, len, secret);
    secmem_wipe(secret, sizeof(secret));
}

int approver_check(const uint8_t approver[APPROVER_PUBLIC_SIZE], const void *text, size_t len,
                   const uint8_t approval[APPROVAL_SIZE])
{
    return crypto_sign_ed25519_verify_detached(approval, text, len, approver) == 0 ? OK : ERR_CRYPTO;
}
