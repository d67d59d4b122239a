/* The outer seal: what was sealed opens; nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "crypto/outer_seal.h"
#include "server/core/error.h"

enum { ROOM = 700, LEN = 333 };

static struct record_keys *keys;
static struct outer_key key;
static uint8_t plain[ROOM], salt[OUTER_SEAL_SALT];

static int setup(void **state)
{
    const uint8_t root[RECORD_KEY_SIZE] = {7};
    keys = sodium_init() < 0 ? NULL : record_keys_of_root(root);
    if (!keys)
        return 1;
    randombytes_buf(plain, sizeof(plain));
    outer_key_make(keys, RECORD_CONTENT, 16, 5, salt, &key);
    return 0;
}

static int teardown(void **state)
{
    record_keys_destroy(keys);
    return 0;
}

static void hides_and_opens(void **state)
{
    static const uint8_t zeros[ROOM];
    uint8_t out[ROOM + OUTER_SEAL_TAG], back[ROOM];
    for (size_t len = 0; len <= ROOM; len += 7) {
        assert_int_equal(outer_seal_hide(&key, 3, len % 2, plain, len, ROOM, out), OK);
        assert_true(len < 8 || !memmem(out, sizeof(out), plain, 8));
        assert_null(memmem(out, sizeof(out), zeros, 8));
        assert_int_equal(outer_seal_open(&key, 3, len % 2, out, sizeof(out), back), OK);
        assert_memory_equal(back, plain, len);
        assert_memory_equal(back + len, zeros, ROOM - len);
    }
}

static void marks_and_checks(void **state)
{
    uint8_t out[ROOM + OUTER_SEAL_TAG], twin[sizeof(out)];
    assert_int_equal(outer_seal_mark(&key, 3, true, plain, LEN, ROOM, out), OK);
    assert_int_equal(outer_seal_mark(&key, 3, true, plain, LEN, ROOM, twin), OK);
    assert_memory_equal(out, plain, LEN);
    assert_memory_not_equal(out + LEN, twin + LEN, ROOM - LEN); /* random octets behind it */
    assert_int_equal(outer_seal_check(&key, 3, true, out, sizeof(out)), OK);
    assert_int_equal(outer_seal_check(&key, 3, true, twin, sizeof(twin)), OK);
}

static void each_octet_counts(void **state)
{
    uint8_t hidden[ROOM + OUTER_SEAL_TAG], marked[sizeof(hidden)], back[ROOM];
    assert_int_equal(outer_seal_hide(&key, 0, true, plain, LEN, ROOM, hidden), OK);
    assert_int_equal(outer_seal_mark(&key, 0, true, plain, LEN, ROOM, marked), OK);
    for (size_t i = 0; i < sizeof(hidden); i++) {
        hidden[i] ^= 1, marked[i] ^= 0x80;
        assert_int_equal(outer_seal_open(&key, 0, true, hidden, sizeof(hidden), back), ERR_CRYPTO);
        assert_true(sodium_is_zero(back, sizeof(back)));
        assert_int_equal(outer_seal_check(&key, 0, true, marked, sizeof(marked)), ERR_CRYPTO);
        hidden[i] ^= 1, marked[i] ^= 0x80;
    }
    for (size_t len = 0; len < sizeof(hidden); len++) {
        assert_int_equal(outer_seal_open(&key, 0, true, hidden, len, back), ERR_CRYPTO);
        assert_int_equal(outer_seal_check(&key, 0, true, marked, len), ERR_CRYPTO);
    }
}

/* Another place, another account, message or salt; and a form that it has not. */
static void each_place_counts(void **state)
{
    static const struct {
        uint64_t account, message;
        uint8_t salt0;
        uint32_t n;
        bool last, opens;
    } table[] = {
        {16, 5, 0, 9, false, true},  {16, 5, 0, 8, false, false}, {16, 5, 0, 9, true, false},
        {17, 5, 0, 9, false, false}, {16, 6, 0, 9, false, false}, {16, 5, 1, 9, false, false},
    };
    uint8_t hidden[ROOM + OUTER_SEAL_TAG], marked[sizeof(hidden)], back[ROOM];
    assert_int_equal(outer_seal_hide(&key, 9, false, plain, LEN, ROOM, hidden), OK);
    assert_int_equal(outer_seal_mark(&key, 9, false, plain, LEN, ROOM, marked), OK);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const uint8_t other[OUTER_SEAL_SALT] = {table[i].salt0};
        int want = table[i].opens ? OK : ERR_CRYPTO;
        struct outer_key k;
        outer_key_make(keys, RECORD_CONTENT, table[i].account, table[i].message, other, &k);
        assert_int_equal(outer_seal_open(&k, table[i].n, table[i].last, hidden, sizeof(hidden), back), want);
        assert_int_equal(outer_seal_check(&k, table[i].n, table[i].last, marked, sizeof(marked)), want);
    }
    assert_int_equal(outer_seal_open(&key, 9, false, marked, sizeof(marked), back), ERR_CRYPTO);
    assert_int_equal(outer_seal_check(&key, 9, false, hidden, sizeof(hidden)), ERR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hides_and_opens),
        cmocka_unit_test(marks_and_checks),
        cmocka_unit_test(each_octet_counts),
        cmocka_unit_test(each_place_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
