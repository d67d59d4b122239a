/* Whole certificates that are none, hold what they must not, or are too large, and packets of all sorts in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "tests/support/judge_forged.h"

static void expect(enum pgp_fault fault, unsigned detail)
{
    assert_int_equal(forged_judged(), fault);
    assert_int_equal(judgement.detail, detail);
}

/* A certificate that is good but for one packet behind it or a key of another kind. */
static void whole_certificates(void **state)
{
    struct forge_key k;
    uint8_t old[80];
    for (int v = 4; v <= 6; v += 2) {
        forged_start(v);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        size_t good = forged.len;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &primary);
        expect(PGP_FAULT_SEVERAL, 0);
        forged.len = good;
        forge_put_key(&forged, PGP_TAG_SECRET_SUBKEY, &enc2);
        expect(PGP_FAULT_SECRET, 0);
        forged.len = good;
        forge_packet(&forged, PGP_TAG_LITERAL, "b\0\0\0\0\0", 6);
        expect(PGP_FAULT_FORMAT, 0);
        forged.len = good;
        forge_packet(&forged, 39, "x", 1); /* unknown and critical; the next one is not */
        expect(PGP_FAULT_FORMAT, 0);
        forged.len = good;
        forge_packet(&forged, 40, "x", 1);
        forge_packet(&forged, PGP_TAG_MARKER, "PGP", 3);
        forge_packet(&forged, PGP_TAG_TRUST, "x", 1);
        forge_packet(&forged, PGP_TAG_PADDING, "xxxx", 4);
        forge_packet(&forged, PGP_TAG_USER_ATTRIBUTE, "x", 1);
        forge_packet(&forged, PGP_TAG_SIGNATURE, "\3\5\x13zzzz", 7); /* version 3 does not count */
        forge_packet(&forged, PGP_TAG_SIGNATURE, "\5", 1);
        forge_packet(&forged, PGP_TAG_SIGNATURE, "", 0);
        expect(PGP_FAULT_NONE, 0);
        forged.len = good;
        forge_key_make(&k, 10 - v, PGP_X25519, T0, 8);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &k);
        expect(PGP_FAULT_FORMAT, 0);
        forged.len = good;
        forge_key_make(&k, 4, PGP_X25519, T0, 8);
        k.body[0] = 5;
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &k);
        expect(PGP_FAULT_VERSION, 5);
        forged.len = good - 1; /* the last packet is cut */
        expect(PGP_FAULT_FORMAT, 0);
    }
    for (uint8_t v = 2; v <= 5; v += v == 3 ? 2 : 1) {
        memcpy(old, enc.body, enc.body_len);
        old[0] = v;
        forged.len = 0;
        forge_packet(&forged, PGP_TAG_PUBLIC_KEY, old, enc.body_len);
        expect(PGP_FAULT_VERSION, v);
    }
    forged.len = 0;
    expect(PGP_FAULT_FORMAT, 0);
    forge_put_key(&forged, PGP_TAG_SECRET_KEY, &primary);
    expect(PGP_FAULT_SECRET, 0);
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    expect(PGP_FAULT_FORMAT, 0);
    forged.len = 0;
    memcpy(forged.data, "-----BEGIN PGP", 14);
    forged.len = 14;
    expect(PGP_FAULT_FORMAT, 0);
}

static bool keep_b(void *arg, const uint8_t *user_id, size_t len)
{
    return len == 1 && *user_id == 'b';
}

/* Of a certificate that somebody else has forged_judged, what is not its owner's plain word goes. */
static void stripped(void **state)
{
    uint8_t out[4096];
    size_t n, good;
    forged_start(4);
    forge_packet(&forged, PGP_TAG_TRUST, "readable", 8);
    forge_put_uid(&forged, "b");
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL, "b");
    forge_packet(&forged, PGP_TAG_USER_ATTRIBUTE, "readable", 8);
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0, .flags = 3}, &primary, &primary, NULL,
                  "readable");
    forge_packet(&forged, 60, "readable", 8);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    assert_int_equal(pgp_judge(forged.data, forged.len, NOW, &judgement), OK);
    assert_int_equal(pgp_cert_minimal(forged.data, forged.len, &judgement, keep_b, NULL, out, sizeof(out), &good), OK);
    assert_null(memmem(out, good, "readable", 8));
    uint8_t *want = malloc(good);
    memcpy(want, out, good);
    assert_int_equal(pgp_cert_strip(forged.data, forged.len, keep_b, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(n, good); /* this one had nothing to lose in its signatures */
    assert_memory_equal(out, want, n);
    free(want);
    assert_int_equal(pgp_cert_strip(forged.data, forged.len - 1, keep_b, NULL, out, sizeof(out), &n), ERR_FORMAT);
}

static void kinds_of_keys(void **state)
{
    struct forge_key k;
    static const struct {
        uint8_t algo;
        unsigned detail;
        enum pgp_fault fault;
    } t[] = {{35, 35, PGP_FAULT_ALGORITHM},
             {PGP_ELGAMAL, PGP_ELGAMAL, PGP_FAULT_ALGORITHM},
             {PGP_ED25519, 0, PGP_FAULT_SIGNING_ONLY},
             {PGP_X448, PGP_FLAW_FIELDS, PGP_FAULT_NUMBERS}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        forged_start(6);
        forge_key_make(&k, 6, PGP_X25519, T0, 8);
        k.body[5] = t[i].algo;
        if (t[i].algo == PGP_ELGAMAL)
            k.body[10] = 9; /* 2,300 bits and more */
        forge_finger(&k);
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &k);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &k);
        expect(t[i].fault, t[i].detail);
    }
    forged_start(6); /* a point of small order */
    k = enc;
    memset(k.body + 10, 0, 32);
    forge_finger(&k);
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &k);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &k);
    expect(PGP_FAULT_NUMBERS, PGP_FLAW_SMALL_ORDER);
    static const struct {
        uint8_t algo;
        uint8_t m[4];
        enum pgp_fault fault;
        unsigned detail;
    } p[] = {{35, {0}, PGP_FAULT_ALGORITHM, 35},
             {PGP_X25519, {0}, PGP_FAULT_ALGORITHM, PGP_X25519},
             {PGP_RSA, {4, 0}, PGP_FAULT_WEAK, 1024},
             {PGP_RSA, {7, 0xff}, PGP_FAULT_WEAK, 2047},
             {PGP_DSA, {4, 0}, PGP_FAULT_WEAK, 1024},
             {PGP_ECDSA, {2, 1, 2}, PGP_FAULT_ALGORITHM, PGP_ECDSA},
             {PGP_EDDSA_LEGACY, {3, 1, 2, 3}, PGP_FAULT_ALGORITHM, PGP_EDDSA_LEGACY}};
    for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
        forge_key_make(&k, 4, PGP_ED25519, T0, 8);
        k.body[5] = p[i].algo;
        memcpy(k.body + 6, p[i].m, 4);
        forged.len = 0;
        forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &k);
        forge_put_uid(&forged, "a");
        expect(p[i].fault, p[i].detail);
    }
    forge_key_make(&k, 6, PGP_ED25519, T0, 8); /* not in version 6 (section 9.1) */
    k.body[5] = PGP_DSA;
    k.body[10] = 8;
    forged.len = 0;
    forge_put_key(&forged, PGP_TAG_PUBLIC_KEY, &k);
    expect(PGP_FAULT_ALGORITHM, PGP_DSA);
}

static void limits(void **state)
{
    static uint8_t big[PGP_CERT_MAX + 1];
    struct forge_key k;
    char name[16];
    assert_int_equal(pgp_judge(big, sizeof(big), NOW, &judgement), ERR_LIMIT);
    for (int more = 0; more < 2; more++) {
        forged_start(6);
        for (int i = 0; i < PGP_KEYS_MAX - 1 + more; i++) {
            forge_key_make(&k, 6, PGP_X25519, T0 + 1000u + (uint32_t)i, 8);
            forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &k);
            forged_bind((struct forge_sig){.flags = ENC, .created = T0 + DAY}, &primary, &k);
        }
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_NONE, 0);
        forged_start(6);
        for (int i = 0; i < PGP_USER_IDS_MAX - 1 + more; i++) {
            snprintf(name, sizeof(name), "name %d", i);
            forge_put_uid(&forged, name);
            forge_put_uid(&forged, "a"); /* again: not one more */
        }
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_SIGNING_ONLY, 0);
        forged_start(6);
        memset(big, 'x', sizeof(big));
        forge_packet(&forged, PGP_TAG_USER_ID, big, PGP_USER_ID_LEN_MAX + (size_t)more);
        expect(more ? PGP_FAULT_LIMIT : PGP_FAULT_SIGNING_ONLY, 0);
        forged_start(6); /* forged signatures, each newer than the good one: as many as are looked at, and one more */
        forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
        forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
        size_t at = forged.len;
        forged_bind((struct forge_sig){.flags = ENC, .created = T0 + 1, .bad = true}, &primary, &enc);
        size_t one = forged.len - at;
        forged.len = at;
        /* Besides: the direct key signature, the user id's, the good binding. */
        for (int i = 0; i < PGP_SIGNATURES_MAX - 3 + more; i++) {
            if (i == 0)
                forged_bind((struct forge_sig){.flags = ENC, .created = T0 + 1, .bad = true}, &primary, &enc);
            else
                memcpy(forged.data + forged.len, forged.data + at, one), forged.len += one;
        }
        clock_t before = clock();
        assert_int_equal(pgp_judge(forged.data, forged.len, NOW, &judgement), more ? ERR_LIMIT : OK);
        assert_int_equal(judgement.fault, more ? PGP_FAULT_LIMIT : PGP_FAULT_NONE);
        assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 5);
    }
    /* Strangers' signatures are not even tried, however many. */
    forged_start(6);
    size_t at = forged.len;
    forge_put_sig(&forged, (struct forge_sig){.type = CERT, .created = T0}, &stranger, &primary, NULL, "a");
    size_t one = forged.len - at;
    while (forged.len + one + 1000 < sizeof(forged.data))
        memcpy(forged.data + forged.len, forged.data + at, one), forged.len += one;
    forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forged_bind((struct forge_sig){.flags = ENC}, &primary, &enc);
    expect(PGP_FAULT_NONE, 0);
    uint8_t out[2048];
    size_t n;
    assert_int_equal(pgp_cert_minimal(forged.data, forged.len, &judgement, NULL, NULL, out, sizeof(out), &n), OK);
    assert_true(n < 1000);
    /* A key packet of a size that no algorithm has. */
    forged.len = 0;
    memset(big, 0, 9000);
    memcpy(big, primary.body, 6);
    forge_be(big + 6, 8990, 4);
    forge_packet(&forged, PGP_TAG_PUBLIC_KEY, big, 9000);
    expect(PGP_FAULT_LIMIT, 0);
}

/* Packets of all sorts in any order: whatever is accepted has a minimal copy that is forged_judged alike. */
static void any_order(void **state)
{
    uint64_t x = 88172645463325252u;
    size_t accepted = 0;
    for (int round = 0; round < 1500; round++) {
        forged_start(round & 1 ? 6 : 4);
        const struct forge_key *subkeys[] = {&enc, &enc2, &sign},
                               *signers[] = {&primary, &primary, &primary, &liar, &stranger};
        static const char *const names[] = {"a", "b", "c"};
        static const uint8_t types[] = {BIND, BIND, BIND, 0x28, CERT, 0x10, 0x30, DIRECT, 0x20, BACK};
        for (int i = 0; i < 12; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            struct forge_sig s = {.type = types[x % 10],
                                  .created = T0 + (uint32_t)(x >> 8) % 5 * DAY,
                                  .flags = (x >> 16) % 3 ? ENC : 0x20,
                                  .features = (int)((x >> 18) % 2 * 9),
                                  .key_expires = (x >> 20) % 3 ? 0 : 30 * DAY,
                                  .expires = (x >> 22) % 4 ? 0 : 3 * DAY,
                                  .reason = (x >> 24) % 2 ? 0 : 3,
                                  .bad = (x >> 26) % 5 == 0,
                                  .primary_uid = (x >> 30) % 3 == 0};
            const struct forge_key *sub = subkeys[(x >> 32) % 3], *by = signers[(x >> 36) % 5];
            const char *uid = names[(x >> 40) % 3];
            bool over_subkey = s.type == BIND || s.type == 0x28 || s.type == BACK,
                 over_uid = s.type < BIND || s.type == 0x30;
            if (s.type == 0x20)
                s.created = NOW + DAY; /* or nothing would be left */
            if ((x >> 44) % 3 == 0)
                forge_put_key(&forged, PGP_TAG_PUBLIC_SUBKEY, sub);
            if ((x >> 44) % 3 == 1 && over_uid)
                forge_put_uid(&forged, uid);
            forge_put_sig(&forged, s, by, &primary, over_subkey ? sub : NULL, over_uid ? uid : NULL);
        }
        accepted += forged_judged_at(T0 + (x >> 50) % 60 * DAY) == PGP_FAULT_NONE;
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_certificates), cmocka_unit_test(stripped),
        cmocka_unit_test(kinds_of_keys),      cmocka_unit_test(limits),
        cmocka_unit_test(any_order),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
