/* The content's hash: Poly1305 under a derived key, the same however the content is cut, another for another key or
 * content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/content.h"
#include "server/core/error.h"

enum { LEN = 1000 };
static uint8_t text[LEN];

static void take(struct content_hash *h, size_t len, uint8_t out[16])
{
    const struct iovec all = {text, len};
    assert_int_equal(content_hash(h, &all, 1, out), OK);
}

static void same_however_it_is_cut(void **state)
{
    static const uint8_t store_key[32] = {1};
    struct record_keys *keys = record_keys_of_root(store_key);
    struct content_hash *h = content_hash_create(keys);
    uint8_t whole[16], cut[16];
    take(h, LEN, whole);
    for (size_t a = 0; a <= LEN; a++) {
        const struct iovec pieces[] = {{text, a},
                                       {text + a, 0},
                                       {text + a, (LEN - a) / 2},
                                       {text + a + (LEN - a) / 2, LEN - a - (LEN - a) / 2}};
        assert_int_equal(content_hash(h, pieces, 4, cut), OK);
        assert_memory_equal(cut, whole, 16);
    }
    content_hash_destroy(h);
    record_keys_destroy(keys);
}

/* Every length and every flipped bit gives another hash, and an empty content one as well. */
static void differs_with_the_content(void **state)
{
    static const uint8_t store_key[32] = {1};
    struct record_keys *keys = record_keys_of_root(store_key);
    struct content_hash *h = content_hash_create(keys);
    uint8_t seen[LEN + 1][16], one[16];
    assert_int_equal(content_hash(h, NULL, 0, seen[0]), OK);
    for (size_t len = 1; len <= LEN; len++) {
        take(h, len, seen[len]);
        for (size_t other = 0; other < len; other++)
            assert_memory_not_equal(seen[len], seen[other], 16);
    }
    for (size_t bit = 0; bit < 8 * LEN; bit++) {
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        take(h, LEN, one);
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_memory_not_equal(one, seen[LEN], 16);
    }
    content_hash_destroy(h);
    record_keys_destroy(keys);
}

/* A restart makes the same hash (ids are kept for days); another store's is another; libsodium's Poly1305 agrees. */
static void is_poly1305_under_the_store_key(void **state)
{
    static const char *const halves[] = {"content hash key, first half", "content hash key, second half"};
    uint8_t store_key[32] = {1}, first[16], again[16], want[16], key[32];
    struct record_keys *keys = record_keys_of_root(store_key), *twin = record_keys_of_root(store_key), *others;
    struct content_hash *h = content_hash_create(keys), *restarted = content_hash_create(twin), *theirs;
    for (int i = 0; i < 2; i++) {
        const struct record_part part = {halves[i], strlen(halves[i])};
        record_hash(keys, RECORD_DELIVERY, 0, &part, 1, key + 16 * i);
    }
    store_key[31] = 1;
    others = record_keys_of_root(store_key);
    theirs = content_hash_create(others);
    take(h, LEN, first);
    take(restarted, LEN, again);
    assert_memory_equal(first, again, 16);
    crypto_onetimeauth(want, text, LEN, key);
    assert_memory_equal(first, want, 16);
    take(theirs, LEN, again);
    assert_memory_not_equal(first, again, 16);
    content_hash_destroy(h);
    content_hash_destroy(restarted);
    content_hash_destroy(theirs);
    content_hash_destroy(NULL);
    record_keys_destroy(keys);
    record_keys_destroy(twin);
    record_keys_destroy(others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_however_it_is_cut),
        cmocka_unit_test(differs_with_the_content),
        cmocka_unit_test(is_poly1305_under_the_store_key),
    };
    if (sodium_init() < 0)
        return 1;
    randombytes_buf(text, LEN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
