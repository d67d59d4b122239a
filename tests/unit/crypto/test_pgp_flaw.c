/* Keys whose numbers protect nothing, one beside a sound one of each kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/dsa.h>

#include "crypto/pgp_cert.h"
#include "tests/support/pgp_forge.h"

static struct forge certificate;

/* The flaw of a key of version 4 with this material. */
static enum pgp_flaw flaw_of(uint8_t algo, int version, const uint8_t *m, size_t len)
{
    struct forge_key k = {0};
    struct pgp_key read[1];
    size_t n = 1;
    enum pgp_flaw flaw;
    forge_body(&k, version, algo, 1700000000, m, len);
    certificate.len = 0;
    forge_put_key(&certificate, PGP_TAG_PUBLIC_KEY, &k);
    assert_int_equal(pgp_cert_keys(certificate.data, certificate.len, read, &n), 0);
    assert_int_equal(pgp_key_flaw(&read[0], &flaw), 0);
    return flaw;
}

static size_t put_bn(uint8_t *m, const BIGNUM *v)
{
    uint8_t b[600];
    return forge_mpi(m, b, (size_t)BN_bn2bin(v, b));
}

static enum pgp_flaw flaw_of_numbers(uint8_t algo, const BIGNUM *const *v, size_t n)
{
    uint8_t m[1200];
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += put_bn(m + len, v[i]);
    return flaw_of(algo, 4, m, len);
}

static BIGNUM *number(BN_ULONG w)
{
    BIGNUM *v = BN_new();
    BN_set_word(v, w);
    return v;
}

/* ---- RSA ---- */

static enum pgp_flaw rsa(const BIGNUM *n, const BIGNUM *e)
{
    return flaw_of_numbers(PGP_RSA, (const BIGNUM *const[]){n, e}, 2);
}

static void rsa_keys(void **state)
{
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    BIGNUM *n = NULL, *e = NULL, *other = BN_new(), *odd = number(1), *two = number(2), *three = number(3);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e);
    assert_int_equal(rsa(n, e), PGP_FLAW_NONE);
    assert_int_equal(rsa(n, three), PGP_FLAW_NONE);
    assert_int_equal(rsa(n, odd), PGP_FLAW_EXPONENT);
    assert_int_equal(rsa(n, two), PGP_FLAW_EXPONENT);
    BN_copy(other, e);
    BN_sub_word(other, 1);
    assert_int_equal(rsa(n, other), PGP_FLAW_EXPONENT);
    assert_int_equal(rsa(n, n), PGP_FLAW_EXPONENT);
    BN_copy(other, n);
    BN_sub_word(other, 1);
    assert_int_equal(rsa(other, e), PGP_FLAW_MODULUS);
    static const BN_ULONG factors[] = {3, 7, 641, 997};
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        BN_copy(other, n);
        BN_mul_word(other, factors[i]);
        assert_int_equal(rsa(other, e), PGP_FLAW_MODULUS);
    }
    assert_int_equal(flaw_of_numbers(PGP_RSA, (const BIGNUM *const[]){n}, 1), PGP_FLAW_FIELDS);
    assert_int_equal(flaw_of_numbers(PGP_RSA_SIGN, (const BIGNUM *const[]){n, odd}, 2), PGP_FLAW_EXPONENT);
    BIGNUM *all[] = {n, e, other, odd, two, three};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        BN_free(all[i]);
    EVP_PKEY_free(pkey);
}

/* ---- ElGamal and DSA ---- */

static enum pgp_flaw elgamal(const BIGNUM *p, const BIGNUM *g, const BIGNUM *y)
{
    return flaw_of_numbers(PGP_ELGAMAL, (const BIGNUM *const[]){p, g, y}, 3);
}

static void elgamal_keys(void **state)
{
    BIGNUM *p = BN_get_rfc3526_prime_2048(NULL), *less = BN_dup(p), *more = BN_dup(p), *odd = BN_dup(p),
           *zero = number(0), *one = number(1), *g = number(2), *y = number(4);
    BN_sub_word(less, 1);
    BN_add_word(more, 4);
    BN_sub_word(odd, 2);
    assert_int_equal(elgamal(p, g, y), PGP_FLAW_NONE);
    assert_int_equal(elgamal(p, g, one), PGP_FLAW_ELEMENT);
    assert_int_equal(elgamal(p, g, zero), PGP_FLAW_ELEMENT);
    assert_int_equal(elgamal(p, g, less), PGP_FLAW_ELEMENT);
    assert_int_equal(elgamal(p, g, more), PGP_FLAW_ELEMENT);
    assert_int_equal(elgamal(p, one, y), PGP_FLAW_GROUP);
    assert_int_equal(elgamal(p, zero, y), PGP_FLAW_GROUP);
    assert_int_equal(elgamal(p, less, y), PGP_FLAW_GROUP);
    assert_int_equal(elgamal(p, p, y), PGP_FLAW_GROUP);
    assert_int_equal(elgamal(less, g, y), PGP_FLAW_GROUP); /* even */
    assert_int_equal(elgamal(odd, g, y), PGP_FLAW_GROUP);  /* no prime */
    assert_int_equal(elgamal(zero, g, y), PGP_FLAW_FIELDS);
    assert_int_equal(elgamal(one, g, y), PGP_FLAW_GROUP);
    BIGNUM *all[] = {p, less, more, odd, zero, one, g, y};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        BN_free(all[i]);
}

static void dsa_keys(void **state)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    EVP_PKEY *params = NULL, *pkey = NULL;
    BIGNUM *v[4] = {0}, *one = number(1), *less;
    static const char *const names[] = {OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q, OSSL_PKEY_PARAM_FFC_G,
                                        OSSL_PKEY_PARAM_PUB_KEY};
    assert_true(EVP_PKEY_paramgen_init(ctx) > 0 && EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) > 0 &&
                EVP_PKEY_paramgen(ctx, &params) > 0);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
    assert_true(EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_keygen(ctx, &pkey) > 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(EVP_PKEY_get_bn_param(pkey, names[i], &v[i]));
    less = BN_dup(v[0]);
    BN_sub_word(less, 1);
    const BIGNUM *good[] = {v[0], v[1], v[2], v[3]};
    const struct {
        int at;
        const BIGNUM *put;
        enum pgp_flaw flaw;
    } t[] = {{0, v[0], PGP_FLAW_NONE},   {0, less, PGP_FLAW_GROUP},  {1, v[0], PGP_FLAW_GROUP},
             {1, one, PGP_FLAW_GROUP},   {2, one, PGP_FLAW_GROUP},   {2, less, PGP_FLAW_GROUP},
             {3, one, PGP_FLAW_ELEMENT}, {3, less, PGP_FLAW_ELEMENT}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        const BIGNUM *q[4];
        memcpy(q, good, sizeof(q));
        q[t[i].at] = t[i].put;
        assert_int_equal(flaw_of_numbers(PGP_DSA, q, 4), t[i].flaw);
    }
    for (size_t i = 0; i < 4; i++)
        BN_free(v[i]);
    BN_free(one);
    BN_free(less);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(params);
    EVP_PKEY_free(pkey);
}

/* ---- curves ---- */

static const struct curve {
    const char *name;
    uint8_t oid[11]; /* with its length */
    size_t octets;
} curves[] = {
    {"P-256", {8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, 32},
    {"P-384", {5, 0x2b, 0x81, 4, 0, 0x22}, 48},
    {"P-521", {5, 0x2b, 0x81, 4, 0, 0x23}, 66},
    {"brainpoolP256r1", {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7}, 32},
    {"brainpoolP512r1", {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13}, 64},
};
static const uint8_t curve25519[] = {10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1},
                     ed25519[] = {9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1}, kdf_good[] = {3, 1, 8, 7};

static size_t point_material(uint8_t *m, const uint8_t *oid, const uint8_t *point, size_t len, const uint8_t *kdf)
{
    size_t n = (size_t)oid[0] + 1;
    memcpy(m, oid, n);
    n += forge_mpi(m + n, point, len);
    if (kdf)
        memcpy(m + n, kdf, 4);
    return n + (kdf ? 4 : 0);
}

static enum pgp_flaw ecdh(const uint8_t *oid, const uint8_t *point, size_t len, const uint8_t *kdf)
{
    uint8_t m[200];
    return flaw_of(PGP_ECDH, 4, m, point_material(m, oid, point, len, kdf));
}

static void points_of_curves(void **state)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        const struct curve *c = &curves[i];
        EVP_PKEY *pkey = EVP_EC_gen(c->name);
        uint8_t point[140], m[200];
        size_t len;
        assert_true(EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len));
        assert_int_equal(len, 1 + 2 * c->octets);
        assert_int_equal(ecdh(c->oid, point, len, kdf_good), PGP_FLAW_NONE);
        assert_int_equal(flaw_of(PGP_ECDSA, 4, m, point_material(m, c->oid, point, len, NULL)), PGP_FLAW_NONE);
        point[len - 1] ^= 1;
        assert_int_equal(ecdh(c->oid, point, len, kdf_good), PGP_FLAW_POINT);
        assert_int_equal(flaw_of(PGP_ECDSA, 4, m, point_material(m, c->oid, point, len, NULL)), PGP_FLAW_POINT);
        point[len - 1] ^= 1;
        uint8_t form = point[0];
        point[0] = (uint8_t)(2 + (point[len - 1] & 1));
        assert_int_equal(ecdh(c->oid, point, 1 + c->octets, kdf_good), PGP_FLAW_FORM); /* compressed */
        point[0] = (uint8_t)(6 + (point[len - 1] & 1));
        assert_int_equal(ecdh(c->oid, point, len, kdf_good), PGP_FLAW_FORM); /* hybrid (X9.62) */
        point[0] = form;
        assert_int_equal(ecdh(c->oid, point, len - 1, kdf_good), PGP_FLAW_FORM);
        memset(point + 1, 0, len - 1);
        assert_int_equal(ecdh(c->oid, point, len, kdf_good), PGP_FLAW_POINT);
        EVP_PKEY_free(pkey);
    }
    assert_int_equal(ecdh(curves[1].oid, (const uint8_t[]){0}, 1, kdf_good), PGP_FLAW_FORM); /* infinity */
}

static void derivations(void **state)
{
    static const struct {
        uint8_t kdf[4];
        enum pgp_flaw flaw;
    } t[] = {{{3, 1, 8, 7}, PGP_FLAW_NONE}, {{3, 1, 9, 8}, PGP_FLAW_NONE},   {{3, 1, 10, 9}, PGP_FLAW_NONE},
             {{3, 1, 2, 7}, PGP_FLAW_KDF},  {{3, 1, 8, 2}, PGP_FLAW_KDF},    {{3, 1, 2, 2}, PGP_FLAW_KDF},
             {{3, 1, 1, 7}, PGP_FLAW_KDF},  {{3, 1, 8, 13}, PGP_FLAW_KDF},   {{3, 1, 0, 0}, PGP_FLAW_KDF},
             {{3, 1, 11, 7}, PGP_FLAW_KDF}, {{3, 2, 8, 7}, PGP_FLAW_FIELDS}, {{4, 1, 8, 7}, PGP_FLAW_FIELDS}};
    uint8_t point[33] = {0x40, 9};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        assert_int_equal(ecdh(curve25519, point, sizeof(point), t[i].kdf), t[i].flaw);
}

/* Every point of Curve25519 whose order divides 8, in each spelling (RFC 7748 section 7; cr.yp.to/ecdh.html). */
static void small_orders(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t p[57] = {0x40};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        assert_int_equal(sodium_hex2bin(p + 1, 32, points[i], 64, NULL, NULL, NULL), 0);
        assert_int_equal(flaw_of(PGP_X25519, 6, p + 1, 32), PGP_FLAW_SMALL_ORDER);
        assert_int_equal(ecdh(curve25519, p, 33, kdf_good), PGP_FLAW_SMALL_ORDER);
    }
    p[1] = 9;
    memset(p + 2, 0, 31);
    assert_int_equal(flaw_of(PGP_X25519, 6, p + 1, 32), PGP_FLAW_NONE);
    assert_int_equal(flaw_of(PGP_X25519, 4, p + 1, 31), PGP_FLAW_FIELDS);
    assert_int_equal(ecdh(curve25519, p + 1, 32, kdf_good), PGP_FLAW_FORM); /* without 0x40 */
    p[0] = 4;
    assert_int_equal(ecdh(curve25519, p, 33, kdf_good), PGP_FLAW_FORM);
    memset(p, 0, sizeof(p));
    assert_int_equal(flaw_of(PGP_X448, 6, p, 56), PGP_FLAW_SMALL_ORDER);
    p[0] = 1;
    assert_int_equal(flaw_of(PGP_X448, 6, p, 56), PGP_FLAW_SMALL_ORDER);
    p[0] = 5;
    assert_int_equal(flaw_of(PGP_X448, 6, p, 56), PGP_FLAW_NONE);
    assert_int_equal(flaw_of(PGP_X448, 6, p, 57), PGP_FLAW_FIELDS);
}

static void signing_points(void **state)
{
    uint8_t p[33] = {0x40}, secret[64], m[60];
    crypto_sign_seed_keypair(p + 1, secret, (const uint8_t[32]){7});
    assert_int_equal(flaw_of(PGP_ED25519, 6, p + 1, 32), PGP_FLAW_NONE);
    assert_int_equal(flaw_of(PGP_EDDSA_LEGACY, 4, m, point_material(m, ed25519, p, 33, NULL)), PGP_FLAW_NONE);
    assert_int_equal(flaw_of(PGP_EDDSA_LEGACY, 4, m, point_material(m, ed25519, p + 1, 32, NULL)), PGP_FLAW_FORM);
    assert_int_equal(flaw_of(PGP_ED25519, 6, p + 1, 31), PGP_FLAW_FIELDS);
    memset(p + 1, 0, 32);
    p[1] = 1; /* the neutral element: it verifies what nobody signed */
    assert_int_equal(flaw_of(PGP_ED25519, 6, p + 1, 32), PGP_FLAW_SMALL_ORDER);
    assert_int_equal(flaw_of(PGP_EDDSA_LEGACY, 4, m, point_material(m, ed25519, p, 33, NULL)), PGP_FLAW_SMALL_ORDER);
    assert_int_equal(flaw_of(PGP_EDDSA_LEGACY, 4, m, 0), PGP_FLAW_FIELDS);
    assert_int_equal(flaw_of(99, 4, p, 33), PGP_FLAW_NONE); /* not known: somebody else's to say */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys),         cmocka_unit_test(elgamal_keys), cmocka_unit_test(dsa_keys),
        cmocka_unit_test(points_of_curves), cmocka_unit_test(derivations),  cmocka_unit_test(small_orders),
        cmocka_unit_test(signing_points),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
