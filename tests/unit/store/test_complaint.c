/* The token by which a message that went out is known again: nobody makes one, and no two show whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "server/core/error.h"
#include "store/complaint.h"

enum { DAY = 86400, TOKENS = 2000 };
static const uint64_t now = UINT64_C(1800000000);
static struct record_keys *keys, *others;

static int setup(void **state)
{
    static const uint8_t root[RECORD_KEY_SIZE] = {1}, other[RECORD_KEY_SIZE] = {2};
    assert_true(sodium_init() >= 0);
    keys = record_keys_of_root(root);
    others = record_keys_of_root(other);
    assert_true(keys && others);
    return 0;
}

static int teardown(void **state)
{
    record_keys_destroy(keys);
    record_keys_destroy(others);
    return 0;
}

static void test_known_again(void **state)
{
    char token[COMPLAINT_TOKEN_CAP], again[COMPLAINT_TOKEN_CAP];
    uint8_t message[COMPLAINT_MESSAGE], same[COMPLAINT_MESSAGE];
    uint64_t account = 0;

    complaint_token_make(keys, 77, now, token);
    complaint_token_make(keys, 77, now, again);
    assert_int_equal(strlen(token), COMPLAINT_TOKEN_CAP - 1);
    assert_string_not_equal(token, again);
    assert_int_equal(complaint_token_read(keys, token, now, &account, message), OK);
    assert_int_equal(account, 77);
    assert_int_equal(complaint_token_read(keys, token, now + COMPLAINT_DAYS * DAY, &account, same), OK);
    assert_memory_equal(message, same, sizeof(message)); /* it counts once */
    assert_int_equal(complaint_token_read(keys, again, now, &account, same), OK);
    assert_memory_not_equal(message, same, sizeof(message));
    assert_int_equal(complaint_token_read(keys, token, now + (COMPLAINT_DAYS + 2) * DAY, &account, message),
                     ERR_TIMEOUT);
    assert_int_equal(complaint_token_read(keys, token, now - 3 * DAY, &account, message), ERR_TIMEOUT);
}

/* There is one spelling of it: another would count once more. */
static void test_forged(void **state)
{
    static const char *const none[] = {"", "x", "1:2:3:alice", "====",
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                       "AAAAAAAAAAAAAAAA"};
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ ";
    char token[COMPLAINT_TOKEN_CAP + 1] = "", changed[COMPLAINT_TOKEN_CAP + 1];
    uint8_t message[COMPLAINT_MESSAGE] = {9};
    uint64_t account = 5;

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_not_equal(complaint_token_read(keys, none[i], now, &account, message), OK);
    complaint_token_make(keys, 77, now, token);
    assert_int_equal(complaint_token_read(others, token, now, &account, message), ERR_CRYPTO);
    for (size_t i = 0; i < COMPLAINT_TOKEN_CAP - 1; i++)
        for (const char *d = digits; *d; d++) {
            memcpy(changed, token, sizeof(changed));
            changed[i] = *d;
            if (*d != token[i])
                assert_int_not_equal(complaint_token_read(keys, changed, now, &account, message), OK);
        }
    memcpy(changed, token, sizeof(changed));
    changed[COMPLAINT_TOKEN_CAP - 1] = 'A';
    assert_int_equal(complaint_token_read(keys, changed, now, &account, message), ERR_FORMAT);
    changed[COMPLAINT_TOKEN_CAP - 2] = '\0';
    assert_int_equal(complaint_token_read(keys, changed, now, &account, message), ERR_FORMAT);
    assert_int_equal(account, 5);
    assert_int_equal(message[0], 9);
}

/* What two tokens of one account have in common is no more than what two of two accounts have: at each place of them,
 * in 2,000 pairs. */
static void test_tells_no_stranger(void **state)
{
    unsigned same[2][COMPLAINT_TOKEN_CAP] = {{0}};

    for (unsigned n = 0; n < TOKENS; n++) {
        char a[COMPLAINT_TOKEN_CAP], of[2][COMPLAINT_TOKEN_CAP];
        complaint_token_make(keys, 77, now, a);
        complaint_token_make(keys, 77, now, of[0]);
        complaint_token_make(keys, 1000000 + n, now + n * DAY, of[1]);
        for (size_t who = 0; who < 2; who++)
            for (size_t i = 0; i < COMPLAINT_TOKEN_CAP - 1; i++)
                same[who][i] += a[i] == of[who][i];
    }
    for (size_t i = 0; i < COMPLAINT_TOKEN_CAP - 1; i++)
        if (same[1][i] == TOKENS) /* the version, before what is random */
            assert_int_equal(same[0][i], TOKENS);
        else
            assert_true(same[0][i] < TOKENS / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_again),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_tells_no_stranger),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
