/* App passwords to the hash that finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/records.h"

static void test_app_passwords(void **st)
{
    uint8_t k[RECORD_KEY_SIZE] = {1}, a[RECORD_HASH_SIZE], b[RECORD_HASH_SIZE];
    struct record_keys *keys = record_keys_of_root(k);
    static const char *const same[] = {"abcd2-efgh3", "ABCD2-EFGH3", "abcd2efgh3", " a b c d 2 e f g h 3 ",
                                       "--abcd2efgh3--"};
    static const char *const other[] = {"", "abcd2-efgh", "abcd2-efgh33", "abcd2_efgh3", "abcd2\tefgh3"};
    assert_int_equal(app_password_hash(keys, 16, same[0], strlen(same[0]), a), OK);
    for (unsigned i = 1; i < 5; i++) {
        assert_int_equal(app_password_hash(keys, 16, same[i], strlen(same[i]), b), OK);
        assert_memory_equal(a, b, sizeof(a));
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(app_password_hash(keys, 16, other[i], strlen(other[i]), b), OK);
        assert_memory_not_equal(a, b, sizeof(a));
    }
    assert_int_equal(app_password_hash(keys, 17, same[0], strlen(same[0]), b), OK);
    assert_memory_not_equal(a, b, sizeof(a)); /* another account's */
    char big[5000];
    memset(big, 'a', sizeof(big));
    assert_int_equal(app_password_hash(keys, 16, big, 128, b), OK);
    assert_int_equal(app_password_hash(keys, 16, big, 129, b), ERR_FORMAT);
    memset(big + 10, '-', sizeof(big) - 10);
    assert_int_equal(app_password_hash(keys, 16, big, sizeof(big), b), OK);
    record_keys_destroy(keys);
}

static int setup(void **st)
{
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app_passwords),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
