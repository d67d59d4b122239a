/* Signatures taken apart and verified: every algorithm with every hash, against signatures made by OpenSSL and
 * libsodium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/pgp_forge.h"
#include "crypto/pgp_judge.h"
#include "crypto/pgp_signature.h"
#include "server/core/error.h"

enum { T0 = 1700000000 };

static const uint8_t oid_p256[] = {8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, oid_p384[] = {5, 0x2b, 0x81, 4, 0, 0x22},
                     oid_p521[] = {5, 0x2b, 0x81, 4, 0, 0x23}, oid_b256[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7},
                     oid_b384[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 0x0b},
                     oid_b512[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 0x0d},
                     oid_ed25519[] = {9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1};

static struct forge_key make_ec(int version, const char *curve, const uint8_t *oid)
{
    static struct forge_key k;
    uint8_t m[256], *point = NULL;
    memset(&k, 0, sizeof(k));
    k.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
    size_t len = EVP_PKEY_get1_encoded_public_key(k.pkey, &point);
    memcpy(m, oid, oid[0] + 1u);
    size_t n = oid[0] + 1u;
    n += forge_mpi(m + n, point, len);
    OPENSSL_free(point);
    forge_body(&k, version, PGP_ECDSA, T0, m, n);
    return k;
}

static struct forge_key make_dsa(void)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q, OSSL_PKEY_PARAM_FFC_G,
                                        OSSL_PKEY_PARAM_PUB_KEY};
    static struct forge_key k;
    uint8_t m[1200];
    EVP_PKEY *params = NULL;
    memset(&k, 0, sizeof(k));
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    assert_true(EVP_PKEY_paramgen_init(c) > 0);
    size_t pbits = 1024, qbits = 224; /* small ones are quickly made; how weak is too weak is the judge's to say */
    OSSL_PARAM p[] = {OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_FFC_PBITS, &pbits),
                      OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_FFC_QBITS, &qbits), OSSL_PARAM_construct_end()};
    pbits = 2048;
    assert_true(EVP_PKEY_CTX_set_params(c, p) > 0 && EVP_PKEY_generate(c, &params) > 0);
    EVP_PKEY_CTX_free(c);
    c = EVP_PKEY_CTX_new(params, NULL);
    assert_true(EVP_PKEY_keygen_init(c) > 0 && EVP_PKEY_generate(c, &k.pkey) > 0);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(params);
    forge_body(&k, 4, PGP_DSA, T0, m, forge_params(m, k.pkey, names, 4));
    return k;
}

static struct forge_key make_ed448(int version)
{
    static struct forge_key k;
    uint8_t m[57];
    size_t n = sizeof(m);
    memset(&k, 0, sizeof(k));
    k.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    EVP_PKEY_get_raw_public_key(k.pkey, m, &n);
    forge_body(&k, version, PGP_ED448, T0, m, n);
    return k;
}

static struct forge_key make_eddsa_legacy(void)
{
    static struct forge_key k;
    uint8_t m[64], point[33] = {0x40};
    forge_key_make(&k, 4, PGP_ED25519, T0, 9);
    memcpy(point + 1, k.pk, 32);
    memcpy(m, oid_ed25519, 10);
    forge_body(&k, 4, PGP_EDDSA_LEGACY, T0, m, 10 + forge_mpi(m + 10, point, 33));
    return k;
}

static void as_key(const struct forge_key *k, struct pgp_key *ret, uint8_t room[1400])
{
    size_t h = pgp_packet_header(room, PGP_TAG_PUBLIC_KEY, k->body_len), n = 1;
    memcpy(room + h, k->body, k->body_len);
    assert_int_equal(pgp_cert_keys(room, h + k->body_len, ret, &n), OK);
}

/* One direct key signature, verified; then with each octet of it changed. */
static int verified(const struct forge_key *k, struct forge_sig s, bool each_octet)
{
    uint8_t body[2048], room[1400];
    struct pgp_key key;
    struct pgp_signature sig;
    as_key(k, &key, room);
    s.type = s.type ? s.type : PGP_SIG_DIRECT;
    s.created = T0;
    size_t n = forge_sig_body(body, &s, k, k, NULL, NULL);
    assert_int_equal(pgp_signature_read(body, n, &sig), OK);
    int err = pgp_signature_verify(&sig, &key, &(struct pgp_signed){.primary = &key});
    for (size_t i = 0; each_octet && i < n; i++) {
        uint8_t *copy = malloc(n);
        memcpy(copy, body, n);
        copy[i] ^= 0x11;
        if (pgp_signature_read(copy, n, &sig) == OK &&
            pgp_signature_verify(&sig, &key, &(struct pgp_signed){.primary = &key}) == OK)
            fail_msg("octet %zu of %zu changed, and it verifies", i, n);
        free(copy);
        copy = malloc(i + 1); /* cut there */
        memcpy(copy, body, i);
        if (pgp_signature_read(copy, i, &sig) == OK &&
            pgp_signature_verify(&sig, &key, &(struct pgp_signed){.primary = &key}) == OK)
            fail_msg("cut at octet %zu of %zu, and it verifies", i, n);
        free(copy);
    }
    return err;
}

/* Which hashes verify: bits by hash id. Octets each, in the order of the ids: 28, 32, 48, 64, SHA3 32, 64, and
 * SHA-1's 20. */
static unsigned hashes_of(const struct forge_key *k)
{
    static const uint8_t ids[] = {2, 8, 9, 10, 11, 12, 14};
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof(ids); i++) {
        int err = verified(k, (struct forge_sig){.hash = ids[i]}, false);
        assert_true(err == OK || err == ERR_REFUSED);
        bits |= (unsigned)(err == OK) << ids[i];
    }
    return bits;
}

enum {
    SHA1_BIT = 1u << 2,
    LONG = 1u << 10 | 1u << 14,
    FROM_384 = LONG | 1u << 9,
    FROM_256 = FROM_384 | 1u << 8 | 1u << 12,
    FROM_224 = FROM_256 | 1u << 11,
};

static void check_key(struct forge_key k, unsigned hashes)
{
    /* SHA-1 is refused in version 6 by itself, in version 4 by pgp_signature_hash_counts. */
    assert_int_equal(hashes_of(&k), k.version == 6 ? hashes & ~(unsigned)SHA1_BIT : hashes);
    assert_int_equal(verified(&k, (struct forge_sig){0}, k.version == 6), OK);
    /* Another key of the kind did not make it. */
    struct forge_key other = k;
    uint8_t body[2048], room[1400];
    struct pgp_key key;
    struct pgp_signature sig;
    other.body[4] ^= 1;
    as_key(&other, &key, room);
    size_t n = forge_sig_body(body, &(struct forge_sig){.type = PGP_SIG_DIRECT, .created = T0 + 9}, &k, &k, NULL, NULL);
    assert_int_equal(pgp_signature_read(body, n, &sig), OK);
    assert_int_equal(pgp_signature_verify(&sig, &key, &(struct pgp_signed){.primary = &key}), ERR_REFUSED);
    EVP_PKEY_free(k.pkey);
}

static void algorithms(void **state)
{
    for (int v = 4; v <= 6; v += 2) {
        struct forge_key ed;
        forge_key_make(&ed, v, PGP_ED25519, T0, 3);
        check_key(ed, FROM_256);
        check_key(make_ed448(v), LONG);
        check_key(forge_rsa(v, 2048), FROM_224 | SHA1_BIT);
        check_key(forge_rsa(v, 2049), FROM_224 | SHA1_BIT);
        check_key(make_ec(v, "P-256", oid_p256), FROM_256);
        check_key(make_ec(v, "P-384", oid_p384), FROM_384);
        check_key(make_ec(v, "P-521", oid_p521), LONG);
        check_key(make_ec(v, "brainpoolP256r1", oid_b256), FROM_256);
        check_key(make_ec(v, "brainpoolP384r1", oid_b384), FROM_384);
        check_key(make_ec(v, "brainpoolP512r1", oid_b512), LONG);
    }
    check_key(make_eddsa_legacy(), FROM_256);
    check_key(make_dsa(), FROM_224);
}

/* Integers lose leading zeros: many signatures, so that some have them. */
static void leading_zeros(void **state)
{
    struct forge_key legacy = make_eddsa_legacy(), rsa = forge_rsa(4, 2048), ec = make_ec(4, "P-256", oid_p256);
    size_t shorter = 0;
    for (uint32_t i = 0; i < 600; i++) {
        uint8_t body[2048];
        struct forge_sig s = {.key_expires = i + 1};
        assert_int_equal(verified(&legacy, s, false), OK);
        if (i < 300) {
            assert_int_equal(verified(&rsa, s, false), OK);
            assert_int_equal(verified(&ec, s, false), OK);
        }
        s.type = PGP_SIG_DIRECT;
        s.created = T0;
        size_t n = forge_sig_body(body, &s, &legacy, &legacy, NULL, NULL);
        /* Head, areas with date, expiry and issuer, two octets of the hash, two integers of 32 octets. */
        shorter += n < 4 + 2 + (6 + 6 + 23) + 2 + 2 + 2 * 34;
    }
    assert_true(shorter > 0);
    EVP_PKEY_free(rsa.pkey);
    EVP_PKEY_free(ec.pkey);
}

static void hash_policy(void **state)
{
    static const uint8_t types[] = {0x10, 0x13, 0x18, 0x19, 0x1f, 0x20, 0x28, 0x30};
    for (int v = 4; v <= 6; v += 2) {
        for (size_t i = 0; i < sizeof(types); i++) {
            for (unsigned hash = 0; hash < 256; hash++) {
                struct pgp_signature s = {.version = (uint8_t)v, .type = types[i], .hash = (uint8_t)hash};
                bool strong = hash >= 8 && hash <= 14 && hash != 13, takes = types[i] == 0x20 || types[i] == 0x28;
                assert_int_equal(pgp_signature_hash_counts(&s), strong || (hash == 2 && v == 4 && takes));
            }
        }
    }
}

/* An RSA key of version 4 as people have them, with an old hash: it revokes and does nothing else. */
static void old_hash(void **state)
{
    static struct forge f;
    static struct pgp_judged j;
    struct forge_key rsa = forge_rsa(4, 2048), enc;
    forge_key_make(&enc, 4, PGP_X25519, T0, 2);
    for (int what = 0; what < 4; what++) {
        static const enum pgp_fault want[] = {PGP_FAULT_NONE, PGP_FAULT_REVOKED, PGP_FAULT_ENC_REVOKED,
                                              PGP_FAULT_SELF_SIGNED};
        f.len = 0;
        forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &rsa);
        if (what == 1)
            forge_put_sig(&f, (struct forge_sig){.type = 0x20, .created = T0, .hash = 2}, &rsa, &rsa, NULL, NULL);
        forge_put_uid(&f, "a");
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = T0, .flags = 3, .hash = what == 3 ? 2 : 8}, &rsa,
                      &rsa, NULL, "a");
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forge_put_sig(&f, (struct forge_sig){.type = 0x18, .created = T0, .flags = 12}, &rsa, &rsa, &enc, NULL);
        if (what == 2)
            forge_put_sig(&f, (struct forge_sig){.type = 0x28, .created = T0, .hash = 2}, &rsa, &rsa, &enc, NULL);
        pgp_judge(f.data, f.len, T0 + 9, &j);
        assert_int_equal(j.fault, want[what]);
    }
    EVP_PKEY_free(rsa.pkey);
}

static void subpackets(void **state)
{
    uint8_t area[400] = {0};
    struct pgp_subpacket p;
    static const struct {
        uint8_t head[5];
        size_t head_len, body, len;
        int err;
    } t[] = {{{1}, 1, 1, 2, OK},
             {{1}, 1, 1, 1, ERR_FORMAT},
             {{0}, 1, 0, 1, ERR_FORMAT},
             {{191}, 1, 191, 192, OK},
             {{191}, 1, 191, 191, ERR_FORMAT},
             {{192, 0}, 2, 192, 194, OK},
             {{192, 0}, 2, 192, 193, ERR_FORMAT},
             {{192}, 1, 0, 1, ERR_FORMAT},
             {{192, 100}, 2, 292, 294, OK},
             {{255, 0, 0, 0, 1}, 5, 1, 6, OK},
             {{255, 0, 0, 0, 0}, 5, 0, 6, ERR_FORMAT},
             {{255, 0, 0, 1}, 4, 0, 4, ERR_FORMAT},
             {{255, 255, 255, 255, 255}, 5, 0, 300, ERR_FORMAT},
             {{254, 255}, 2, 0, 300, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint8_t *copy = malloc(t[i].len);
        size_t pos = 0;
        memcpy(area, t[i].head, t[i].head_len);
        area[t[i].head_len] = 0x80 | 33;
        memcpy(copy, area, t[i].len);
        int err = pgp_subpacket_next((struct pgp_area){copy, t[i].len}, &pos, &p);
        assert_int_equal(err, t[i].err);
        if (!err) {
            assert_int_equal(p.type, 33);
            assert_true(p.critical);
            assert_int_equal(p.value.len, t[i].body - 1);
            assert_int_equal(pos, t[i].len);
            assert_int_equal(pgp_subpacket_next((struct pgp_area){copy, t[i].len}, &pos, &p), ERR_NOT_FOUND);
        }
        free(copy);
    }
    /* Versions. */
    struct pgp_signature s;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t body[64] = {(uint8_t)v, 0x13, 1, 8};
        assert_int_equal(pgp_signature_read(body, sizeof(body), &s), v == 4 || v == 6 ? OK : ERR_UNSUPPORTED);
    }
    assert_int_equal(pgp_signature_read((const uint8_t *)"\4\x13\1\10\0\0\0\0\1", 9, &s),
                     ERR_FORMAT); /* one octet of the hash */
    assert_int_equal(pgp_signature_read((const uint8_t *)"\4\x13\1\10\0\0\0\0\1\2", 10, &s), OK);
    assert_true(s.unusable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algorithms), cmocka_unit_test(leading_zeros), cmocka_unit_test(hash_policy),
        cmocka_unit_test(old_hash),   cmocka_unit_test(subpackets),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
