/* Opening what the queue's seal makes: every length, every cut; nothing that was changed, cut short or is another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_open.h"
#include "tests/support/pgp_open.h"

enum { LONGEST = 200 * 1024, SEALED_MAX = LONGEST + 4096 };

static const uint8_t root[32] = {1, 2, 3}, other_root[32] = {3, 2, 1};
static uint8_t public_key[QUEUE_PUBLIC_MAX], secret[QUEUE_SECRET_SIZE];
static size_t public_len;
static struct pgp_recipient *to;
static struct pgp_opener *opener;
static uint8_t plain[LONGEST], sealed[SEALED_MAX], bad[SEALED_MAX], opened[SEALED_MAX];
static size_t sealed_len, opened_len;
static int sink_says;

static int keep_sealed(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    assert_true(sealed_len + len <= SEALED_MAX);
    memcpy(sealed + sealed_len, data, len);
    sealed_len += len;
    return OK;
}

static int keep_opened(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    assert_true(len > 0 && len <= PGP_CHUNK);
    if (opened_len + len > SEALED_MAX)
        return ERR_LIMIT;
    memcpy(opened + opened_len, data, len);
    opened_len += len;
    return sink_says;
}

static int setup(void **state)
{
    (void)state;
    queue_key_public(root, public_key, &public_len);
    queue_key_secret(root, secret);
    for (size_t i = 0; i < LONGEST; i++)
        plain[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    opener = pgp_opener_create(secret, slice_of(public_key, public_len));
    return opener && queue_key_recipient(slice_of(public_key, public_len), &to) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pgp_recipient_destroy(to);
    pgp_opener_destroy(opener);
    return 0;
}

static void seal(size_t len)
{
    const struct iovec in[] = {{plain, len / 3}, {plain + len / 3, len - len / 3}};
    sealed_len = 0;
    assert_int_equal(pgp_seal(&to, 1, in, 2, keep_sealed, NULL, NULL), OK);
}

/* In pieces of so many octets. */
static int open_pieces(struct pgp_opener *o, const uint8_t *data, size_t len, size_t piece)
{
    struct pgp_open *p;
    int err = OK;
    opened_len = 0;
    assert_int_equal(pgp_open_begin(o, keep_opened, NULL, &p), OK);
    for (size_t at = 0; at < len && err == OK; at += piece)
        err = pgp_open_update(p, slice_of(data + at, len - at < piece ? len - at : piece));
    int end = pgp_open_end(p);
    assert_true(err == OK || end == err);
    pgp_open_free(p);
    return end;
}

static void must_open(size_t len, size_t piece)
{
    assert_int_equal(open_pieces(opener, sealed, sealed_len, piece), OK);
    assert_int_equal(opened_len, len);
    assert_memory_equal(opened, plain, len);
}

/* The packet's head grows at 192 and 8384 octets, and there is a chunk more from 65536 on: all about these. */
static void every_length_and_cut(void **state)
{
    static const size_t about[] = {0, 170, 180, 192, 8192, 8384, 65536, 131072, LONGEST - 40};
    (void)state;
    for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
        for (size_t len = about[i] < 40 ? 0 : about[i] - 40; len < about[i] + 40; len++) {
            seal(len);
            must_open(len, SEALED_MAX);
            must_open(len, 1 + len * 7919 % 70001);
        }
    seal(300);
    for (size_t piece = 1; piece <= sealed_len; piece++)
        must_open(300, piece);
    seal(65536 + 300);
    for (size_t piece = 1; piece < 40; piece++)
        must_open(65536 + 300, piece);
}

/* As RFC 9580 has it, and not just as we do. */
static void another_decryptor_agrees(void **state)
{
    static const size_t lengths[] = {0, 1, 191, 192, 65523, 65524, 65525, 150000};
    struct test_key k = {.algo = PGP_X25519};
    struct test_session s;
    struct pgp_key_ref ref;
    (void)state;
    k.priv = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, sizeof(secret));
    k.pub_len = 32;
    memcpy(k.pub, public_key + public_len - 32, 32);
    assert_int_equal(queue_key_ref(slice_of(public_key, public_len), &ref), OK);
    k.verdict = (struct pgp_verdict){.enc_fpr_len = 32, .enc_algo = PGP_X25519};
    memcpy(k.verdict.enc_fpr, ref.fpr, 32);
    memcpy(k.cert, public_key, public_len);
    k.cert_len = public_len;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        seal(lengths[i]);
        assert_int_equal(test_open(&k, sealed, sealed_len, opened, &opened_len, &s), 0);
        assert_int_equal(opened_len, lengths[i]);
        assert_memory_equal(opened, plain, lengths[i]);
    }
    EVP_PKEY_free(k.priv);
}

static void changed_anywhere(void **state)
{
    (void)state;
    seal(500);
    for (size_t at = 0; at < sealed_len; at++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, sealed, sealed_len);
            bad[at] ^= (uint8_t)(1 << bit);
            /* The top bit of an X25519 point is not looked at (RFC 7748 section 5), but the KDF has it. */
            assert_int_not_equal(open_pieces(opener, bad, sealed_len, SEALED_MAX), OK);
            assert_int_equal(opened_len, at < sealed_len - 16 ? 0 : 500); /* void, but only the end is missing */
        }
    /* A chunk that was changed gives nothing, and neither does what follows. */
    seal(150000);
    sealed[200 + 65552] ^= 1;
    assert_int_equal(open_pieces(opener, sealed, sealed_len, 1000), ERR_CRYPTO);
    assert_true(opened_len < 65536);
}

static void cut_short_or_longer(void **state)
{
    (void)state;
    seal(500);
    for (size_t len = 0; len < sealed_len; len++)
        assert_int_equal(open_pieces(opener, sealed, len, SEALED_MAX), ERR_CRYPTO);
    sealed[sealed_len] = 0;
    assert_int_equal(open_pieces(opener, sealed, sealed_len + 1, SEALED_MAX), ERR_FORMAT);
    assert_int_equal(open_pieces(opener, sealed, sealed_len + 1, 1), ERR_FORMAT);
    seal(150000);
    for (size_t len = 0; len < sealed_len; len += 97)
        assert_int_equal(open_pieces(opener, sealed, len, SEALED_MAX), ERR_CRYPTO);
    /* Whole chunks are gone, and the length says so too. */
    size_t at = 111, cut = sealed_len - 65552;
    assert_int_equal(sealed[at], 0xc0 | PGP_TAG_SEIPD);
    memcpy(bad, sealed, 111 + 6 + 36);
    uint32_t body = (uint32_t)(cut - 111 - 6);
    for (int i = 0; i < 4; i++)
        bad[113 + i] = (uint8_t)(body >> (24 - 8 * i));
    memcpy(bad + 153, sealed + 153, 65552);
    memcpy(bad + 153 + 65552, sealed + 153 + 2 * 65552, sealed_len - 153 - 2 * 65552);
    assert_int_not_equal(open_pieces(opener, bad, cut, SEALED_MAX), OK);
}

static void for_another(void **state)
{
    uint8_t public2[QUEUE_PUBLIC_MAX], secret2[QUEUE_SECRET_SIZE];
    size_t len2;
    (void)state;
    queue_key_public(other_root, public2, &len2);
    queue_key_secret(other_root, secret2);
    assert_null(pgp_opener_create(secret2, slice_of(public_key, public_len)));
    struct pgp_opener *o = pgp_opener_create(secret2, slice_of(public2, len2));
    assert_non_null(o);
    seal(100);
    assert_int_equal(open_pieces(o, sealed, sealed_len, SEALED_MAX), ERR_CRYPTO);
    /* It is the secret that opens, and not the name. */
    struct pgp_key_ref ref;
    assert_int_equal(queue_key_ref(slice_of(public2, len2), &ref), OK);
    memcpy(sealed + 5, ref.fpr, 32);
    assert_int_equal(open_pieces(o, sealed, sealed_len, SEALED_MAX), ERR_CRYPTO);
    pgp_opener_destroy(o);
}

static void sinks_error_stands(void **state)
{
    struct pgp_open *p;
    (void)state;
    seal(100);
    sink_says = ERR_FULL;
    assert_int_equal(open_pieces(opener, sealed, sealed_len, 1), ERR_FULL);
    sink_says = OK;
    assert_int_equal(pgp_open_begin(opener, keep_opened, NULL, &p), OK);
    assert_int_not_equal(pgp_open_update(p, slice_of("x", 1)) == OK && pgp_open_end(p) == OK, true);
    assert_int_equal(pgp_open_update(p, slice_of(sealed, sealed_len)), pgp_open_end(p));
    pgp_open_free(p);
}

/* The same as ever: what stands in a queue must open after an upgrade. */
static void key_is_as_it_was(void **state)
{
    static const char was[] = "95d02601";
    char hex[9];
    struct pgp_key_ref ref;
    (void)state;
    assert_int_equal(public_len, 44);
    assert_int_equal(queue_key_ref(slice_of(public_key, public_len), &ref), OK);
    sodium_bin2hex(hex, sizeof(hex), ref.fpr, 4);
    assert_string_equal(hex, was);
    for (size_t len = 0; len < public_len; len++)
        assert_int_equal(queue_key_ref(slice_of(public_key, len), &ref), ERR_FORMAT);
    for (size_t at = 0; at < public_len - 32; at++) {
        public_key[at] ^= 1;
        assert_int_equal(queue_key_ref(slice_of(public_key, public_len), &ref), ERR_FORMAT);
        public_key[at] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_and_cut), cmocka_unit_test(another_decryptor_agrees),
        cmocka_unit_test(changed_anywhere),     cmocka_unit_test(cut_short_or_longer),
        cmocka_unit_test(for_another),          cmocka_unit_test(sinks_error_stands),
        cmocka_unit_test(key_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
