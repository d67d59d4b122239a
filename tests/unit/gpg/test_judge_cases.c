/* What strangers' certificates showed, held against both judges: each case in a kind that GnuPG judges (RSA primary,
 * Curve25519 subkeys) and in one that is judged natively (Ed25519 and X25519 of RFC 9580). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gpgme.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"
#include "tests/support/pgp_forge.h"
#include "tests/unit/armor.h"

enum { T0 = 1700000000, DAY = 86400, NOW = T0 + 100 * DAY, ENC = 12, CERT = 0x13, BIND = 0x18 };

static char dir[] = "/dev/shm/letterlock-cases-XXXXXX";
static struct forge f;
static struct forge_key primary, rsa;
static bool native;
static struct gpg_judgement j;

static void start_at(uint32_t created)
{
    f.len = 0;
    if (native)
        forge_key_make(&primary, 4, PGP_ED25519, created, 1);
    else
        primary = rsa;
    forge_be(primary.body + 1, created, 4);
    forge_finger(&primary);
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
}

static void start(void)
{
    start_at(T0);
}

/* Beside the fingerprint, the key id: GnuPG 2.2 wants it. */
static void put_sig(struct forge_sig s, const struct forge_key *sub, const char *uid)
{
    uint8_t issuer[10] = {9, 16};
    memcpy(issuer + 2, primary.fpr + 12, 8);
    s.unhashed = issuer;
    s.unhashed_len = sizeof(issuer);
    forge_put_sig(&f, s, &primary, &primary, sub, uid);
}

static void put_uid(const char *uid, uint32_t created, int features)
{
    forge_put_uid(&f, uid);
    put_sig((struct forge_sig){.type = CERT, .created = created, .flags = 3, .features = features}, NULL, uid);
}

static void revoke_uid(const char *uid)
{
    put_sig((struct forge_sig){.type = 0x30, .created = T0 + DAY}, NULL, uid);
}

static struct forge_key make_sub(uint32_t created, uint8_t seed)
{
    static const uint8_t oid[] = {10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1}, kdf[] = {3, 1, 8, 7};
    struct forge_key k = {0};
    uint8_t m[64], point[33] = {0x40, seed};
    if (native) {
        forge_key_make(&k, 4, PGP_X25519, created, seed);
        return k;
    }
    crypto_scalarmult_base(point + 1, (const uint8_t[32]){seed});
    memcpy(m, oid, sizeof(oid));
    size_t n = sizeof(oid) + forge_mpi(m + sizeof(oid), point, sizeof(point));
    memcpy(m + n, kdf, sizeof(kdf));
    forge_body(&k, 4, PGP_ECDH, created, m, n + sizeof(kdf));
    return k;
}

static struct forge_key put_sub(uint32_t created, uint8_t seed, uint32_t life)
{
    struct forge_key k = make_sub(created, seed);
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
    put_sig((struct forge_sig){.type = BIND, .created = created, .flags = ENC, .key_expires = life}, &k, NULL);
    return k;
}

static int judged_bytes(const void *data, size_t len, uint64_t now, const char *address)
{
    const struct gpg_policy policy = {.rsa_bits_min = 2048, .accept_dsa = true, .accept_elgamal = true, .now = now};
    const struct gpg_request q = {.cert = data, .len = len, .addresses = {address}, .naddresses = address != NULL};
    free(j.cert);
    return gpg_judge(dir, &q, &policy, &j);
}

static int judged(void)
{
    return judged_bytes(f.data, f.len, NOW, NULL);
}

static void expect_words(int status, const char *words)
{
    if (j.status != status || !strstr(j.why, words))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", native ? "native" : "GnuPG", j.status, j.why, status, words);
}

static bool seals_to(const struct forge_key *k)
{
    return j.verdict.enc_fpr_len == k->fpr_len && !memcmp(j.verdict.enc_fpr, k->fpr, k->fpr_len);
}

/* ---- the cases ---- */

static void a_clock_ahead(void)
{
    static const uint32_t ahead[] = {1, 5, 120, 3600, 2 * DAY};
    for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        start_at(NOW + ahead[i]);
        put_uid("Ann <ann@example.test>", NOW + ahead[i], 1);
        put_sub(NOW + ahead[i], 2, 0);
        judged();
        expect_words(ERR_REFUSED, "clock");
        assert_int_equal(judged_bytes(f.data, f.len, NOW + ahead[i], NULL), OK); /* when it has begun */
    }
}

static void rotating_subkeys(void)
{
    static const struct {
        uint32_t made[3], life[3]; /* 0: no such subkey; a life of 0: for ever */
        int chosen;
    } t[] = {
        {{T0, NOW - DAY}, {0, 10 * DAY}, 0},                          /* draft-autocrypt-openpgp-v2-cert */
        {{T0, NOW - 4 * DAY, NOW - DAY}, {0, 10 * DAY, 10 * DAY}, 0}, /* two of them overlap */
        {{NOW - DAY, T0}, {10 * DAY, 0}, 1},                          /* in the other order */
        {{T0, NOW - DAY}, {800 * DAY, 10 * DAY}, 0},                  /* lasting, if not for ever */
        {{T0, NOW - 20 * DAY}, {0, 10 * DAY}, 0},                     /* the rotating one has expired */
        {{NOW - 4 * DAY, NOW - DAY}, {10 * DAY, 10 * DAY}, 1},        /* nothing lasts: the newest */
        {{T0, NOW - DAY}, {0, 365 * DAY}, 1},                         /* a year is no rotation: the newest */
        {{T0, NOW - DAY}, {0, 0}, 1},
        {{T0, NOW - DAY}, {50 * DAY, 10 * DAY}, 1}, /* the lasting one has expired */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct forge_key sub[3];
        start();
        put_uid("Ann <ann@example.test>", T0, 1);
        for (int k = 0; k < 3 && t[i].made[k]; k++)
            sub[k] = put_sub(t[i].made[k], (uint8_t)(2 + k), t[i].life[k]);
        judged();
        if (j.status != OK || !seals_to(&sub[t[i].chosen]))
            fail_msg("%s %zu: %d \"%s\"", native ? "native" : "GnuPG", i, j.status, j.why);
    }
}

static void many_user_ids(void)
{
    static const int others[] = {63, 64, 128, 255, 256};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        start();
        for (int k = 0; k < others[i]; k++) {
            char uid[64];
            snprintf(uid, sizeof(uid), "Other %d <other%d@example.net>", k, k);
            put_uid(uid, T0, 1);
        }
        put_uid("Ann <ann@example.test>", T0, 1);
        put_sub(T0, 2, 0);
        int err = judged_bytes(f.data, f.len, NOW, "ann@example.test");
        if (others[i] == 256) {
            expect_words(ERR_LIMIT, "user ids (256)");
        } else {
            assert_int_equal(err, OK);
            assert_string_equal(j.why, ""); /* no word about user ids that name somebody else */
            assert_non_null(memmem(j.cert, j.cert_len, "ann@example.test", 16));
            assert_null(memmem(j.cert, j.cert_len, "other", 5));
        }
    }
}

static void revoked_user_ids(void)
{
    for (int n = 1; n <= 3; n++) {
        for (int revoked = 1; revoked <= n; revoked++) {
            start();
            for (int k = 0; k < n; k++) {
                const char *const names[] = {"Ann <ann@example.test>", "Ben <ben@example.test>", "c@example.test"};
                put_uid(names[k], T0, 1);
                if (k < revoked)
                    revoke_uid(names[k]);
            }
            put_sub(T0, 2, 0);
            judged();
            expect_words(revoked == n ? ERR_REFUSED : OK, revoked == n ? "each of its user ids has been revoked" : "");
        }
    }
}

/* ---- files ---- */

static size_t wide(const char *text, size_t len, bool big, uint8_t *out)
{
    size_t n = 0;
    out[n++] = big ? 0xfe : 0xff;
    out[n++] = big ? 0xff : 0xfe;
    for (size_t i = 0; i < len; i++) {
        out[n++] = big ? 0 : (uint8_t)text[i];
        out[n++] = big ? (uint8_t)text[i] : 0;
    }
    return n;
}

static void files(void)
{
    static char text[2][16 * 1024];
    static uint8_t out[64 * 1024];
    start();
    put_uid("Ann <ann@example.test>", T0, 1);
    put_sub(T0, 2, 0);
    size_t n = armor_encode(f.data, f.len, "PUBLIC KEY BLOCK", text[0]);
    assert_int_equal(judged_bytes(text[0], n, NOW, NULL), OK);
    for (int big = 0; big < 2; big++)
        assert_int_equal(judged_bytes(out, wide(text[0], n, big, out), NOW, NULL), OK);
    memcpy(out, "\xef\xbb\xbf", 3);
    memcpy(out + 3, text[0], n);
    assert_int_equal(judged_bytes(out, 3 + n, NOW, NULL), OK);
    memcpy(text[0] + n, text[0], n); /* twice, and thrice */
    assert_int_equal(judged_bytes(text[0], 2 * n, NOW, NULL), OK);
    memcpy(text[0] + 2 * n, text[0], n);
    assert_int_equal(judged_bytes(text[0], 3 * n, NOW, NULL), OK);
    assert_int_equal(judged_bytes(out, wide(text[0], 2 * n, false, out), NOW, NULL), OK);
    memcpy(out, f.data, f.len);
    memcpy(out + f.len, f.data, f.len);
    assert_int_equal(judged_bytes(out, 2 * f.len, NOW, NULL), OK);
    out[2 * f.len - 1] ^= 1; /* not the same */
    judged_bytes(out, 2 * f.len, NOW, NULL);
    expect_words(ERR_REFUSED, "more than one certificate");
    memcpy(out + 2 * f.len, f.data, f.len - 1);
    out[2 * f.len - 1] ^= 1;
    assert_int_not_equal(judged_bytes(out, 3 * f.len - 1, NOW, NULL), OK);
    assert_int_not_equal(judged_bytes("\xff\xfe", 2, NOW, NULL), OK);
    assert_int_not_equal(judged_bytes("\xff\xfe-", 3, NOW, NULL), OK);
    assert_int_not_equal(judged_bytes("\xef\xbb\xbf", 3, NOW, NULL), OK);
}

/* ---- what it advertises, and numbers ---- */

static void the_newer_format(void)
{
    static const int features[] = {1, 9, 8, 7, 1009};
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        start();
        put_uid("Ann <ann@example.test>", T0, features[i]);
        put_sub(T0, 2, 0);
        assert_int_equal(judged(), OK);
        bool asks = (features[i] % 1000) & 8 && features[i] < 1000;
        assert_int_equal(j.verdict.prefs.seipd_v2, asks);
        assert_int_equal(strstr(j.why, "--seal-v2 never") != NULL, asks && !native);
    }
}

static void numbers(void)
{
    static const uint8_t y[] = {4, 1, 0};
    for (size_t i = 0; i < 3 && !native; i++) { /* GnuPG's to seal to */
        struct forge_key k = forge_elgamal(4, T0 + DAY, y[i]);
        for (int beside = 0; beside < 2; beside++) { /* a sound one */
            struct forge_key sub = {0};
            start();
            put_uid("Ann <ann@example.test>", T0, 1);
            forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
            put_sig((struct forge_sig){.type = BIND, .created = T0 + DAY, .flags = ENC}, &k, NULL);
            if (beside)
                sub = put_sub(T0, 2, 0);
            judged();
            if (i == 0 || beside)
                expect_words(OK, "");
            else
                expect_words(ERR_FORMAT, "its public number tells the secret one");
            assert_true(j.status != OK || seals_to(i ? &sub : &k));
        }
    }
}

/* On a curve that only GnuPG knows: a point, and one off it, to which gpg would seal. */
static void curves_of_gnupg(void)
{
    static const struct {
        uint8_t curve, spoil;
        int status;
        const char *words;
    } t[] = {{10, 0, OK, ""}, {10, 1, ERR_FORMAT, "not on its curve"}};
    static const uint8_t kdf[] = {3, 1, 8, 7};
    EVP_PKEY *pkey = EVP_EC_gen("secp256k1");
    uint8_t point[65], m[100];
    size_t len;
    assert_true(EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len));
    EVP_PKEY_free(pkey);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]) && !native; i++) {
        const uint8_t oid[] = {5, 0x2b, 0x81, 4, 0, t[i].curve};
        struct forge_key k = {0};
        point[64] ^= t[i].spoil;
        memcpy(m, oid, sizeof(oid));
        size_t n = sizeof(oid) + forge_mpi(m + sizeof(oid), point, len);
        point[64] ^= t[i].spoil;
        memcpy(m + n, kdf, sizeof(kdf));
        forge_body(&k, 4, PGP_ECDH, T0, m, n + sizeof(kdf));
        start();
        put_uid("Ann <ann@example.test>", T0, 1);
        forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &k);
        put_sig((struct forge_sig){.type = BIND, .created = T0, .flags = ENC}, &k, NULL);
        judged();
        expect_words(t[i].status, t[i].words);
    }
}

/* gpg comes to no end there, which is not for want of time. */
static void no_room_for_gpg(void **state)
{
    (void)state;
    native = false;
    if (mount("none", dir, "tmpfs", 0, "size=4k") != 0)
        skip();
    start();
    put_uid("Ann <ann@example.test>", T0, 1);
    put_sub(T0, 2, 0);
    judged();
    umount2(dir, MNT_DETACH);
    expect_words(ERR_IO, "is /dev/shm full?");
}

static void each(void **state)
{
    void (*const *run)(void) = (void (*const *)(void)) * state;
    for (int n = 0; n < 2; n++) {
        native = n;
        (*run)();
    }
}

static void (*const cases[])(void) = {a_clock_ahead, rotating_subkeys, many_user_ids, revoked_user_ids,
                                      files,         the_newer_format, numbers,       curves_of_gnupg};
#define CASE(i, name)                             \
    {                                             \
        name, each, NULL, NULL, (void *)&cases[i] \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(0, "a_clock_ahead"),
        CASE(1, "rotating_subkeys"),
        CASE(2, "many_user_ids"),
        CASE(3, "revoked_user_ids"),
        CASE(4, "files"),
        CASE(5, "the_newer_format"),
        CASE(6, "numbers"),
        CASE(7, "curves_of_gnupg"),
        cmocka_unit_test(no_room_for_gpg),
    };
    if (sodium_init() < 0 || !mkdtemp(dir))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    gpgme_check_version(NULL);
    rsa = forge_rsa(4, 2048);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(j.cert);
    EVP_PKEY_free(rsa.pkey);
    gpg_remove_tree(dir);
    return failed;
}
