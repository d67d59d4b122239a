/* A block under its place: XTS as the standard has it and as OpenSSL does it; no two places alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "crypto/record_block.h"

enum { TRIES = 100 };

static void hex(const char *text, uint8_t *out, size_t len)
{
    assert_int_equal(sodium_hex2bin(out, len, text, strlen(text), NULL, NULL, NULL), 0);
}

/* IEEE 1619-2007, vector 10: the first block. */
static void the_standards_vector(void **state)
{
    const struct record_place place = {.unit = {0xff}};
    uint8_t data[32], tweak[32], want[16], in[16], out[16];
    hex("2718281828459045235360287471352662497757247093699959574966967627", data, sizeof(data));
    hex("3141592653589793238462643383279502884197169399375105820974944592", tweak, sizeof(tweak));
    hex("1c3b3a102f770386e4836c99e370cf9b", want, sizeof(want));
    for (uint8_t i = 0; i < sizeof(in); i++)
        in[i] = i;
    struct record_block *b = record_block_create(data, tweak);
    assert_non_null(b);
    record_block_crypt(b, true, &place, in, out);
    assert_memory_equal(out, want, sizeof(want));
    record_block_crypt(b, false, &place, out, out);
    assert_memory_equal(out, in, sizeof(in));
    record_block_destroy(b);
}

/* Whole units, of which the blocks come in any order, two units in turn: the tweak that is kept is the right one's. */
static void as_openssl_does_it(void **state)
{
    enum { UNIT = RECORD_UNIT_BLOCKS * RECORD_BLOCK_SIZE };
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    for (unsigned i = 0; i < TRIES; i++) {
        uint8_t key[64], in[2][UNIT], theirs[2][UNIT], out[RECORD_BLOCK_SIZE];
        struct record_place place[2] = {0};
        int got;
        randombytes_buf(key, sizeof(key));
        randombytes_buf(in, sizeof(in));
        struct record_block *b = record_block_create(key, key + 32);
        assert_non_null(b);
        for (unsigned u = 0; u < 2; u++) {
            randombytes_buf(place[u].unit, i % 2 ? sizeof(place[u].unit) : 1); /* or none, or close to one another */
            assert_true(EVP_EncryptInit_ex(x, EVP_aes_256_xts(), NULL, key, place[u].unit) &&
                        EVP_EncryptUpdate(x, theirs[u], &got, in[u], UNIT) && got == UNIT);
        }
        for (unsigned n = 0; n < 2 * RECORD_UNIT_BLOCKS; n++) {
            unsigned u = i % 3 ? n / RECORD_UNIT_BLOCKS : n % 2;
            place[u].block = n * 37 % RECORD_UNIT_BLOCKS;
            const size_t at = (size_t)place[u].block * RECORD_BLOCK_SIZE;
            record_block_crypt(b, true, &place[u], in[u] + at, out);
            assert_memory_equal(out, theirs[u] + at, sizeof(out));
            record_block_crypt(b, false, &place[u], out, out);
            assert_memory_equal(out, in[u] + at, sizeof(out));
        }
        record_block_destroy(b);
    }
    EVP_CIPHER_CTX_free(x);
}

/* Under keys of the store, which differ with the root, and go to whoever has the use. */
static void keys_of_a_root(void **state)
{
    const struct record_place place = {{3}, 5};
    uint8_t root[RECORD_KEY_SIZE] = {1}, other[RECORD_KEY_SIZE] = {2}, in[16] = {4}, a[16], b[16];
    struct record_keys *k = record_keys_of_root(root), *of_other = record_keys_of_root(other);
    struct record_bundle bundle;
    record_bundle_make(root, other, &bundle);
    struct record_keys *same = record_keys_create(&bundle);
    record_bundle_keep(&bundle, RECORD_ALL & ~RECORD_BIT(RECORD_ENTRY));
    struct record_keys *without = record_keys_create(&bundle);
    assert_true(k && of_other && same && without && !record_keys_have(without, RECORD_ENTRY));
    record_block_hide(k, &place, in, a);
    record_block_hide(of_other, &place, in, b);
    assert_memory_not_equal(a, b, sizeof(a));
    record_block_hide(same, &place, in, b);
    assert_memory_equal(a, b, sizeof(a));
    record_block_show(same, &place, a, a);
    assert_memory_equal(a, in, sizeof(a));
    record_keys_destroy(k);
    record_keys_destroy(of_other);
    record_keys_destroy(same);
    record_keys_destroy(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_vector),
        cmocka_unit_test(as_openssl_does_it),
        cmocka_unit_test(keys_of_a_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
