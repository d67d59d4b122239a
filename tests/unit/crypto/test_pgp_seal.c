/* Sealing checked by a decryptor of our own: SEIPD v2, the RFC 9580 algorithms, mixed recipients, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <sodium.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_armor.h"
#include "crypto/pgp_check.h"
#include "crypto/pgp_internal.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"

struct sunk {
    uint8_t *data;
    size_t len, cap;
    unsigned calls, fail_at;
};

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct sunk *s = arg;
    if (++s->calls == s->fail_at || s->len + len > s->cap)
        return ERR_FULL;
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return OK;
}

static uint8_t *sample(size_t len)
{
    uint8_t *p = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    return p;
}

enum { KEYS = 7 };
static const struct {
    int version;
    uint8_t algo;
    const uint8_t *oid;
} kinds[KEYS] = {
    {4, PGP_ECDH, test_oid_25519}, {4, PGP_X25519, NULL}, {6, PGP_X25519, NULL},
    {6, PGP_X448, NULL},           {4, PGP_RSA, NULL},    {4, PGP_ECDH, test_oid_p256},
    {6, PGP_ECDH, test_oid_p256},
};
static struct test_key keys[KEYS];

static int setup(void **state)
{
    for (int i = 0; i < KEYS; i++) {
        if (test_key_make(&keys[i], kinds[i].version, kinds[i].algo, kinds[i].oid) != 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < KEYS; i++)
        test_key_free(&keys[i]);
    return 0;
}

static struct pgp_recipient *recipient(int i, bool v2, bool aes256)
{
    struct pgp_verdict v = keys[i].verdict;
    struct pgp_recipient *r = NULL;
    v.prefs = (struct pgp_prefs){.seipd_v2 = v2, .aes256 = aes256};
    assert_int_equal(pgp_recipient_create(keys[i].cert, keys[i].cert_len, &v, &r), OK);
    return r;
}

static void seal_and_open(const int *who, size_t n, bool v2, bool aes256, size_t len)
{
    struct pgp_recipient *r[KEYS];
    struct pgp_key_ref refs[KEYS];
    for (size_t i = 0; i < n; i++) {
        r[i] = recipient(who[i], v2, aes256);
        refs[i] = pgp_verdict_key(&keys[who[i]].verdict, true);
    }
    uint8_t *plain = sample(len);
    struct iovec iov = {plain, len};
    struct sunk s = {.cap = pgp_seal_size(r, n, len)};
    s.data = malloc(s.cap);
    uint64_t size = 0;
    assert_int_equal(pgp_seal(r, n, &iov, 1, sink, &s, &size), OK);
    assert_int_equal(size, s.cap);
    assert_int_equal(s.len, s.cap);
    struct pgp_check_result res;
    const char *why = NULL;
    assert_int_equal(pgp_check_message(s.data, s.len, refs, n, PGP_CHECK_SERVER_SEAL, &res, &why), OK);
    assert_int_equal(res.seipd_version, v2 ? 2 : 1);
    for (size_t i = 0; i < n; i++) {
        uint8_t *out = malloc(s.len);
        struct test_session session;
        size_t got = 0;
        if (test_open(&keys[who[i]], s.data, s.len, out, &got, &session) != 0)
            fail_msg("key %d, v%d, %zu octets: does not open", who[i], v2 ? 2 : 1, len);
        assert_int_equal(session.len, aes256 ? 32 : 16);
        assert_int_equal(got, len);
        assert_memory_equal(out, plain, len);
        /* A flipped bit anywhere near the end, or a missing chunk, must show. */
        s.data[s.len - 1] ^= 1;
        assert_int_not_equal(test_open(&keys[who[i]], s.data, s.len, out, &got, &session), 0);
        s.data[s.len - 1] ^= 1;
        free(out);
    }
    for (size_t i = 0; i < n; i++)
        pgp_recipient_destroy(r[i]);
    free(plain);
    free(s.data);
}

/* Without its key id, what is sealed to a key fits that key, and none of another algorithm, curve or length. */
static void hidden_it_fits_its_key_alone(void **state)
{
    struct iovec iov = {(char *)(uintptr_t) "hello", 5};
    for (int i = 0; i < KEYS * 8; i++) {
        struct pgp_recipient *r = recipient(i % KEYS, false, i / KEYS % 2);
        struct sunk s = {.cap = pgp_seal_size(&r, 1, 5)};
        s.data = malloc(s.cap);
        assert_int_equal(pgp_seal(&r, 1, &iov, 1, sink, &s, NULL), OK);
        test_hide(s.data, s.len);
        for (int k = 0; k < KEYS; k++) {
            const struct pgp_key_ref ref = pgp_verdict_key(&keys[k].verdict, true),
                                     own = pgp_verdict_key(&keys[i % KEYS].verdict, true);
            struct pgp_check_result res;
            const char *why;
            int err = pgp_check_message(s.data, s.len, &ref, 1, PGP_CHECK_FOREIGN_WILDCARD, &res, &why);
            bool same = ref.algo == own.algo && ref.octets == own.octets;
            if (err != (same ? OK : ERR_REFUSED))
                fail_msg("sealed to key %d, judged for %d: %d", i % KEYS, k, err);
        }
        pgp_recipient_destroy(r);
        free(s.data);
    }
}

static void every_key_both_versions(void **state)
{
    for (int i = 0; i < KEYS; i++) {
        for (int mode = 0; mode < 4; mode++)
            seal_and_open(&i, 1, mode & 1, mode & 2, 5000 + (size_t)i);
    }
}

/* Lengths that end a stage, a block or a chunk with the literal header counted in. */
static void lengths_around_every_edge(void **state)
{
    static const size_t edges[] = {0, 16, 186, 192, 8192, 16384, 32768, 65536, 131072, 196608};
    const int who[2] = {2, 0};
    for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++) {
        size_t from = edges[e] > 48 ? edges[e] - 48 : 0;
        for (size_t len = from; len <= edges[e] + 2; len++) {
            seal_and_open(&who[0], 1, true, len & 1, len);
            seal_and_open(&who[1], 1, false, len & 1, len);
        }
    }
    seal_and_open(who, 1, true, true, 1024 * 1024 + 5);
}

static void many_recipients(void **state)
{
    const int all[KEYS] = {0, 1, 2, 3, 4, 5, 6};
    seal_and_open(all, KEYS, true, true, 70000);
    seal_and_open(all, KEYS, true, false, 0);
    seal_and_open(all, KEYS, false, true, 70000);
}

/* The weakest recipient decides: one without SEIPD v2 or AES-256 brings all down to what it reads. */
static void weakest_recipient_decides(void **state)
{
    struct pgp_recipient *r[2] = {recipient(2, true, true), recipient(0, false, false)};
    uint8_t out[4096], buf[4096];
    struct sunk s = {.data = buf, .cap = sizeof(buf)};
    struct iovec iov = {(char[]){"x"}, 1};
    size_t got;
    struct test_session session;
    assert_int_equal(pgp_seal(r, 2, &iov, 1, sink, &s, NULL), OK);
    assert_int_equal(test_open(&keys[2], s.data, s.len, out, &got, &session), 0);
    assert_int_equal(session.cipher, 7);
    pgp_recipient_destroy(r[0]);
    pgp_recipient_destroy(r[1]);
}

/* RFC 7748 section 6.1, and the library's own slower way. */
static void x25519_public_keys(void **state)
{
    static const uint8_t alice[32] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
                                      0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
                                      0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
    static const uint8_t theirs[32] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
                                       0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
                                       0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a};
    uint8_t out[32], want[32], secret[32];
    unsigned zeros = 0;
    assert_int_equal(pgp_x25519_public(out, alice), OK);
    assert_memory_equal(out, theirs, 32);
    for (int i = 0; i < 20000; i++) {
        randombytes_buf(secret, 32);
        if (i < 512) /* sparse and full ones */
            memset(secret, i & 256 ? 255 : 0, 32), secret[i / 8 % 32] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(crypto_scalarmult_base(want, secret), 0);
        assert_int_equal(pgp_x25519_public(out, secret), OK);
        assert_memory_equal(out, want, 32);
        zeros += out[31] == 0;
    }
    assert_true(zeros > 0); /* short numbers were among them */
}

/* What pgp_seal_parts may share, and what it may not: packet by packet, with two keys of a kind among the
 * recipients. */
static void parts_share_ephemeral_pairs_alone(void **state)
{
    struct test_key twin;
    struct pgp_recipient *r[KEYS + 1];
    uint8_t *plain = sample(70000), *out = malloc(80000), point[KEYS + 1][80] = {{0}};
    struct sunk s[2] = {{.data = malloc(80000), .cap = 80000}, {.data = malloc(80000), .cap = 80000}};
    const struct iovec iov[2] = {{plain, 100}, {plain + 100, 69900}};
    const struct pgp_seal_part parts[2] = {{&iov[0], 1, sink, &s[0]}, {&iov[1], 1, sink, &s[1]}};
    assert_int_equal(test_key_make(&twin, 4, PGP_X25519, NULL), 0);
    for (int v2 = 0; v2 < 2; v2++) {
        struct pgp_verdict v = twin.verdict;
        v.prefs = (struct pgp_prefs){.seipd_v2 = v2, .aes256 = true};
        for (int i = 0; i < KEYS; i++)
            r[i] = recipient(i, v2, true);
        assert_int_equal(pgp_recipient_create(twin.cert, twin.cert_len, &v, &r[KEYS]), OK);
        for (int round = 0; round < 2; round++) {
            size_t pos[2] = {0};
            s[0].len = s[1].len = 0;
            assert_int_equal(pgp_seal_parts(r, KEYS + 1, parts, 2), OK);
            for (int i = 0; i <= KEYS; i++) {
                struct test_key *k = i < KEYS ? &keys[i] : &twin;
                struct test_session session[2];
                struct pgp_packet p[2];
                size_t got;
                for (int m = 0; m < 2; m++) {
                    assert_int_equal(s[m].len, pgp_seal_size(r, KEYS + 1, iov[m].iov_len));
                    assert_int_equal(test_open(k, s[m].data, s[m].len, out, &got, &session[m]), 0);
                    assert_int_equal(got, iov[m].iov_len);
                    assert_memory_equal(out, iov[m].iov_base, got);
                    assert_int_equal(pgp_packet_next(s[m].data, s[m].len, &pos[m], &p[m]), OK);
                }
                assert_memory_not_equal(session[0].key, session[1].key, 32);
                assert_int_equal(p[0].body_len, p[1].body_len);
                assert_memory_not_equal(p[0].body + p[0].body_len - 24, p[1].body + p[1].body_len - 24, 24);
                if (k->algo == PGP_RSA)
                    continue;
                size_t head = v2 ? 4 + (size_t)k->verdict.enc_fpr_len : 10, n = k->algo == PGP_X448 ? 56 : 32;
                head += k->algo == PGP_ECDH ? 3 : 0;
                assert_memory_equal(p[0].body + head, p[1].body + head, n);
                assert_memory_not_equal(point[i], p[0].body + head, n); /* nor with another mail */
                memcpy(point[i], p[0].body + head, n);
                for (int other = 0; other < i; other++) /* nor with another recipient */
                    assert_memory_not_equal(point[i], point[other], 32);
            }
        }
        /* The second part's failure is the whole's, and nothing of it reaches the next mail. */
        s[0].len = s[1].len = 0;
        s[1].calls = 0;
        s[1].fail_at = 1;
        assert_int_equal(pgp_seal_parts(r, KEYS + 1, parts, 2), ERR_FULL);
        s[1].fail_at = 0;
        for (int i = 0; i <= KEYS; i++)
            pgp_recipient_destroy(r[i]);
    }
    test_key_free(&twin);
    free(s[0].data);
    free(s[1].data);
    free(plain);
    free(out);
}

/* Many RSA seals: ciphertexts with leading zeros (one in 256) must have been made again. */
static void rsa_sizes_are_constant(void **state)
{
    struct pgp_recipient *r = recipient(4, false, false);
    struct iovec iov = {(char[]){"x"}, 1};
    uint64_t want = pgp_seal_size(&r, 1, 1);
    for (int i = 0; i < 2000; i++) {
        uint8_t buf[1024];
        struct sunk s = {.data = buf, .cap = sizeof(buf)};
        assert_int_equal(pgp_seal(&r, 1, &iov, 1, sink, &s, NULL), OK);
        assert_int_equal(s.len, want);
    }
    pgp_recipient_destroy(r);
}

/* A modulus of 8n + 1 bits: n + 1 octets may be rare among its ciphertexts, so they always have n; and a long
 * exponent. */
static void odd_rsa_keys(void **state)
{
    static const struct {
        unsigned bits;
        bool long_exponent;
    } t[] = {{1025, false}, {1025, false}, {1033, true}, {1031, false}, {2049, true}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct test_key k;
        struct pgp_recipient *r;
        test_rsa.bits = t[i].bits;
        test_rsa.long_exponent = t[i].long_exponent;
        assert_int_equal(test_key_make(&k, 4, PGP_RSA, NULL), 0);
        assert_int_equal(pgp_recipient_create(k.cert, k.cert_len, &k.verdict, &r), OK);
        for (int n = 0; n < 100; n++) {
            uint8_t buf[1024], out[64];
            size_t got = sizeof(out);
            struct sunk s = {.data = buf, .cap = sizeof(buf)};
            struct iovec iov = {(char[]){"odd"}, 3};
            assert_int_equal(pgp_seal(&r, 1, &iov, 1, sink, &s, NULL), OK);
            assert_int_equal(s.len, pgp_seal_size(&r, 1, 3));
            struct test_session session;
            assert_int_equal(test_open(&k, s.data, s.len, out, &got, &session), 0);
            assert_int_equal(got, 3);
            assert_memory_equal(out, "odd", 3);
        }
        pgp_recipient_destroy(r);
        test_key_free(&k);
    }
    test_rsa.bits = 1024;
    test_rsa.long_exponent = false;
}

static void limits_and_failing_sinks(void **state)
{
    struct pgp_recipient *r[PGP_SEAL_RECIPIENTS_MAX + 1];
    uint8_t *plain = sample(300000);
    struct iovec iov = {plain, 300000};
    r[0] = recipient(2, true, true);
    for (int i = 1; i <= PGP_SEAL_RECIPIENTS_MAX; i++)
        r[i] = r[0];
    struct sunk s = {.data = malloc(400000), .cap = 400000};
    assert_int_equal(pgp_seal(r, 0, &iov, 1, sink, &s, NULL), ERR_LIMIT);
    assert_int_equal(pgp_seal(r, PGP_SEAL_RECIPIENTS_MAX + 1, &iov, 1, sink, &s, NULL), ERR_LIMIT);
    struct iovec huge[2] = {{plain, SIZE_MAX}, {plain, 100}}, big = {plain, (size_t)0xffffffffu};
    assert_int_equal(pgp_seal(r, 1, huge, 2, sink, &s, NULL), ERR_LIMIT);
    assert_int_equal(pgp_seal(r, 1, &big, 1, sink, &s, NULL), ERR_LIMIT);
    assert_int_equal(s.calls, 0);
    uint64_t size = 77;
    for (unsigned fail = 1; fail <= 5; fail++) {
        for (int v2 = 0; v2 < 2; v2++) {
            struct pgp_recipient *one = recipient(2, v2, true);
            s.len = 0;
            s.calls = 0;
            s.fail_at = fail;
            assert_int_equal(pgp_seal(&one, 1, &iov, 1, sink, &s, &size), ERR_FULL);
            assert_int_equal(size, 77);
            assert_int_equal(s.calls, fail);
            pgp_recipient_destroy(one);
        }
    }
    /* A failed seal leaves nothing behind that would spoil the next. */
    seal_and_open((const int[]){2}, 1, true, true, 100);
    free(s.data);
    free(plain);
    pgp_recipient_destroy(r[0]);
}

/* RFC 9580 appendix A.4 (the encryption subkey) and A.8. */
static void rfc_9580_sample(void **state)
{
    static const char message[] = "-----BEGIN PGP MESSAGE-----\n\n"
                                  "wV0GIQYSyD8ecG9jCP4VGkF3Q6HwM3kOk+mXhIjR2zeNqZMIhRmHzxjV8bU/gXzO\n"
                                  "WgBM85PMiVi93AZfJfhK9QmxfdNnZBjeo1VDeVZheQHgaVf7yopqR6W1FT6NOrfS\n"
                                  "aQIHAgZhZBZTW+CwcW1g4FKlbExAf56zaw76/prQoN+bAzxpohup69LA7JW/Vp0l\n"
                                  "yZnuSj3hcFj0DfqLTGgr4/u717J+sPWbtQBfgMfG9AOIwwrUBqsFE9zW+f1zdlYo\n"
                                  "bhF30A+IitsxxA==\n"
                                  "-----END PGP MESSAGE-----\n";
    static const uint8_t secret[32] = {0x4d, 0x60, 0x0a, 0x4f, 0x79, 0x4d, 0x44, 0x77, 0x5c, 0x57, 0xa2,
                                       0x6e, 0x0f, 0xee, 0xfe, 0xd5, 0x58, 0xe9, 0xaf, 0xff, 0xd6, 0xad,
                                       0x0d, 0x58, 0x2d, 0x57, 0xfb, 0x2b, 0xa2, 0xdc, 0xed, 0xb8};
    static const uint8_t fpr[32] = {0x12, 0xc8, 0x3f, 0x1e, 0x70, 0x6f, 0x63, 0x08, 0xfe, 0x15, 0x1a,
                                    0x41, 0x77, 0x43, 0xa1, 0xf0, 0x33, 0x79, 0x0e, 0x93, 0xe9, 0x97,
                                    0x84, 0x88, 0xd1, 0xdb, 0x37, 0x8d, 0xa9, 0x93, 0x08, 0x85};
    uint8_t msg[512], out[512];
    size_t n, from, to, got;
    struct test_session session;
    struct test_key k = {.algo = PGP_X25519, .pub_len = 32};
    assert_int_equal(pgp_armor_decode((const uint8_t *)message, sizeof(message) - 1, "MESSAGE", msg, sizeof(msg), &n,
                                      &from, &to),
                     OK);
    k.priv = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, 32);
    assert_true(EVP_PKEY_get_raw_public_key(k.priv, k.pub, &k.pub_len));
    memcpy(k.verdict.enc_fpr, fpr, 32);
    k.verdict.enc_fpr_len = 32;
    /* The decryptor that judges our seals reads the RFC's sample. */
    assert_int_equal(test_open(&k, msg, n, out, &got, &session), 0);
    assert_int_equal(got, 13);
    assert_memory_equal(out, "Hello, world!", 13);
    /* The key packet made of the same numbers has the RFC's fingerprint, and the gate takes the sample. */
    uint8_t cert[512], primary[32] = {0};
    size_t len = test_put_key(cert, PGP_TAG_PUBLIC_KEY, 6, PGP_ED25519, primary, 32);
    uint8_t body[42] = {6, 0x63, 0x87, 0x7f, 0xe3, PGP_X25519, 0, 0, 0, 32};
    memcpy(body + 10, k.pub, 32);
    len += pgp_packet_header(cert + len, PGP_TAG_PUBLIC_SUBKEY, sizeof(body));
    memcpy(cert + len, body, sizeof(body));
    len += sizeof(body);
    struct pgp_key list[2];
    size_t count = 2;
    assert_int_equal(pgp_cert_keys(cert, len, list, &count), OK);
    assert_memory_equal(list[1].fpr, fpr, 32);
    struct pgp_key_ref ref = {.fpr_len = 32, .current = true};
    memcpy(ref.fpr, fpr, 32);
    struct pgp_check_result res;
    const char *why;
    assert_int_equal(pgp_check_message(msg, n, &ref, 1, PGP_CHECK_SERVER_SEAL, &res, &why), OK);
    assert_int_equal(res.seipd_version, 2);
    /* Our own seal for that key opens with it. */
    struct pgp_verdict v = {.enc_fpr_len = 32, .prefs = {.seipd_v2 = true}};
    memcpy(v.enc_fpr, fpr, 32);
    struct pgp_recipient *r;
    assert_int_equal(pgp_recipient_create(cert, len, &v, &r), OK);
    struct sunk s = {.data = msg, .cap = sizeof(msg)};
    struct iovec iov = {(char[]){"Hello, world!"}, 13};
    assert_int_equal(pgp_seal(&r, 1, &iov, 1, sink, &s, NULL), OK);
    assert_int_equal(test_open(&k, msg, s.len, out, &got, &session), 0);
    pgp_recipient_destroy(r);
    EVP_PKEY_free(k.priv);
}

static void bad_keys_make_no_recipient(void **state)
{
    struct test_key k;
    struct pgp_recipient *r = NULL;
    assert_int_equal(test_key_make(&k, 4, PGP_X25519, NULL), 0);
    test_key_free(&k);
    struct pgp_verdict v = k.verdict;
    v.enc_fpr[3] ^= 1;
    assert_int_equal(pgp_recipient_create(k.cert, k.cert_len, &v, &r), ERR_NOT_FOUND);
    assert_int_equal(pgp_recipient_create(k.cert, k.cert_len - 1, &k.verdict, &r), ERR_FORMAT);
    assert_int_equal(pgp_recipient_create(k.cert, 0, &k.verdict, &r), ERR_FORMAT);

    /* Material that is no key: each with what it is refused for. */
    static const uint8_t zero[56], p256_off[] = {8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 2, 3, 4};
    uint8_t rsa_even[140] = {4, 0}, off[128], cv[64], rsa_long[2 + 385 + 2 + 9] = {12, 1, 1};
    rsa_even[2] = 0x80;
    memcpy(rsa_even + 130, "\0\x11\1\0\1", 5);
    rsa_long[2 + 384] = 1;
    memcpy(rsa_long + 2 + 385, "\0\x41\1\0\0\0\0\0\0\0\1", 11);
    memcpy(off, p256_off, sizeof(p256_off));
    off[9] = 2, off[10] = 3, off[11] = 4;
    memset(off + 12, 0x11, 64);
    memcpy(off + 76, "\3\1\10\7", 4);
    memcpy(cv, test_oid_25519, 11);
    memcpy(cv + 11, "\1\7\x40", 3);
    memset(cv + 14, 0, 32);
    memcpy(cv + 46, "\3\1\10\7", 4);
    const struct {
        const char *what;
        uint8_t algo;
        const uint8_t *m;
        size_t len;
        int err;
    } bad[] = {
        {"X25519 of small order", PGP_X25519, zero, 32, ERR_FORMAT},
        {"X25519 too short", PGP_X25519, zero, 31, ERR_FORMAT},
        {"X448 too short", PGP_X448, zero, 55, ERR_FORMAT},
        {"X448 of small order", PGP_X448, zero, 56, ERR_FORMAT},
        {"RSA without material", PGP_RSA, zero, 0, ERR_FORMAT},
        {"RSA of 0 bits", PGP_RSA, zero, 4, ERR_FORMAT},
        {"RSA with an even modulus", PGP_RSA, rsa_even, 135, ERR_FORMAT},
        {"RSA with trailing octets", PGP_RSA, rsa_even, 137, ERR_FORMAT},
        {"RSA of 3073 bits, exponent of 65", PGP_RSA, rsa_long, sizeof(rsa_long), ERR_UNSUPPORTED},
        {"P-256 point off the curve", PGP_ECDH, off, 80, ERR_FORMAT},
        {"cv25519 of small order", PGP_ECDH, cv, 50, ERR_FORMAT},
        {"cv25519 without KDF", PGP_ECDH, cv, 46, ERR_FORMAT},
        {"ElGamal", PGP_ELGAMAL, zero, 8, ERR_UNSUPPORTED},
        {"signing only", PGP_ED25519, zero, 32, ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t cert[1024], primary[32] = {1};
        size_t n = test_put_key(cert, PGP_TAG_PUBLIC_KEY, 4, PGP_ED25519, primary, 32);
        n += test_put_key(cert + n, PGP_TAG_PUBLIC_SUBKEY, 4, bad[i].algo, bad[i].m, bad[i].len);
        struct pgp_key list[2];
        size_t count = 2;
        assert_int_equal(pgp_cert_keys(cert, n, list, &count), OK);
        v = (struct pgp_verdict){.enc_fpr_len = 20};
        memcpy(v.enc_fpr, list[1].fpr, 20);
        int err = pgp_recipient_create(cert, n, &v, &r);
        if (err != bad[i].err)
            fail_msg("%s: %d", bad[i].what, err);
        assert_null(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_9580_sample),
        cmocka_unit_test(every_key_both_versions),
        cmocka_unit_test(hidden_it_fits_its_key_alone),
        cmocka_unit_test(lengths_around_every_edge),
        cmocka_unit_test(many_recipients),
        cmocka_unit_test(weakest_recipient_decides),
        cmocka_unit_test(x25519_public_keys),
        cmocka_unit_test(parts_share_ephemeral_pairs_alone),
        cmocka_unit_test(rsa_sizes_are_constant),
        cmocka_unit_test(odd_rsa_keys),
        cmocka_unit_test(limits_and_failing_sinks),
        cmocka_unit_test(bad_keys_make_no_recipient),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
