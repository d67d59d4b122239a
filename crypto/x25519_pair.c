/* An X25519 public key from a secret, in half the time of libsodium's crypto_scalarmult_base, which here climbs the
 * Montgomery ladder: the same point on the Edwards curve, from libsodium's table, brought over by RFC 7748
 * section 4.1's map. What the map is applied to is public, so GMP's inversion need not take constant time. */
#include <gmp.h>
#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"

static _Thread_local struct {
    bool made;
    mpz_t p, above, below;
} map;

static void map_make(void)
{
    mpz_init_set_ui(map.p, 1);
    mpz_mul_2exp(map.p, map.p, 255);
    mpz_sub_ui(map.p, map.p, 19);
    mpz_inits(map.above, map.below, NULL);
    map.made = true;
}

void pgp_x25519_forget(void)
{
    if (map.made)
        mpz_clears(map.p, map.above, map.below, NULL);
    map.made = false;
}

int pgp_x25519_public(uint8_t out[32], const uint8_t secret[32])
{
    uint8_t edwards[32];
    size_t n = 0;
    /* Clamps as X25519 does; fails for the neutral element, where the map has no value. */
    if (crypto_scalarmult_ed25519_base(edwards, secret) != 0)
        return ERR_CRYPTO;
    if (!map.made)
        map_make();
    edwards[31] &= 0x7f; /* x's sign */
    mpz_import(map.above, 32, -1, 1, 0, 0, edwards);
    mpz_sub(map.below, map.p, map.above);
    mpz_add_ui(map.above, map.above, 1);
    mpz_add_ui(map.below, map.below, 1);
    if (!mpz_invert(map.below, map.below, map.p))
        return ERR_CRYPTO;
    mpz_mul(map.above, map.above, map.below); /* u = (1 + y) / (1 - y) */
    mpz_mod(map.above, map.above, map.p);
    memset(out, 0, 32);
    mpz_export(out, &n, -1, 1, 0, 0, map.above);
    return OK;
}
