/* TOTP: RFC 6238's vectors (appendix B, the SHA-1 rows, the last six of their eight digits), RFC 4226's (appendix D),
 * windows, replays; and recovery codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "server/core/error.h"
#include "webmail-api/session/totp.h"

static const uint8_t secret[] = "12345678901234567890"; /* of both RFCs */

static int verify(uint64_t now, uint64_t last, const char *code, uint64_t *step)
{
    return totp_verify(secret, now, last, slice_str(code), step);
}

static void vectors(void **state)
{
    static const struct {
        uint64_t time;
        const char *code; /* behind its first two digits */
        uint64_t step;
    } rows[] = {
        {59, "287082", 1},
        {1111111109, "081804", 0x23523EC},
        {1111111111, "050471", 0x23523ED},
        {1234567890, "005924", 0x273EF07},
        {2000000000, "279037", 0x3F940AA},
        {20000000000, "353130", 0x27BC86AA},
    };
    static const char *const hotp[] = {"755224", "287082", "359152", "969429", "338314",
                                       "254676", "287922", "162583", "399871", "520489"};
    uint64_t step;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(verify(rows[i].time, 0, rows[i].code, &step), OK);
        assert_int_equal(step, rows[i].step);
    }
    for (uint64_t i = 1; i < 10; i++) {
        assert_int_equal(verify(i * TOTP_SECONDS, 0, hotp[i], &step), OK);
        assert_int_equal(step, i);
    }
}

static void window(void **state)
{
    uint64_t step = 7;

    for (uint64_t now = 0; now < 8 * TOTP_SECONDS; now++) {
        const uint64_t at = now / TOTP_SECONDS;
        int err = verify(now, 0, "969429", &step); /* of step 3 */
        assert_int_equal(err, at >= 2 && at <= 4 ? OK : ERR_DENIED);
        assert_true(err != OK || step == 3);
    }
    /* time that nobody has */
    assert_int_equal(verify(UINT64_MAX, 0, "000000", &step), ERR_DENIED);
}

static void each_code_is_good_once(void **state)
{
    uint64_t step = 0, last = 0;

    assert_int_equal(verify(3 * TOTP_SECONDS, last, "969429", &last), OK);
    assert_int_equal(last, 3);
    for (uint64_t now = 2 * TOTP_SECONDS; now < 5 * TOTP_SECONDS; now += 10)
        assert_int_equal(verify(now, last, "969429", &step), ERR_DENIED);
    assert_int_equal(verify(3 * TOTP_SECONDS, last, "359152", &step), ERR_DENIED); /* of step 2, which is over */
    assert_int_equal(verify(3 * TOTP_SECONDS, last, "338314", &last), OK);         /* of step 4 */
    assert_int_equal(last, 4);
    assert_int_equal(step, 0);
}

static void what_is_no_code(void **state)
{
    static const char *const none[] = {"",
                                       "96942",
                                       "9694290",
                                       "96942a",
                                       " 969429",
                                       "969429 ",
                                       "969 429",
                                       "+69429",
                                       "-69429",
                                       "0x9694",
                                       "\xef\xbc\x91\xef\xbc\x92"};
    uint64_t step = 7;

    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(verify(3 * TOTP_SECONDS, 0, none[i], &step), ERR_FORMAT);
    assert_int_equal(totp_verify(secret, 90, 0, slice_of("96942\0", 6), &step), ERR_FORMAT);
    assert_int_equal(totp_verify(secret, 90, 0, slice_of("969429969429", 12), &step), ERR_FORMAT);
    for (unsigned i = 0; i < 6; i++) {
        char other[] = "969429";
        other[i] = (char)('0' + (other[i] - '0' + 1) % 10);
        assert_int_equal(verify(3 * TOTP_SECONDS, 0, other, &step), ERR_DENIED);
    }
    assert_int_equal(step, 7);
}

static void uris(void **state)
{
    uint8_t one[TOTP_KEY_SIZE], other[TOTP_KEY_SIZE];
    char uri[TOTP_URI_MAX], *long_name;
    char big[700];

    assert_int_equal(totp_uri(secret, "mail.example.org", "J\xc3\xbc r&g:x@example.org", uri), OK);
    assert_string_equal(uri, "otpauth://totp/mail.example.org:J%C3%BC%20r%26g%3Ax%40example.org"
                             "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=mail.example.org"
                             "&algorithm=SHA1&digits=6&period=30");
    memset(big, '@', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    long_name = big;
    assert_int_equal(totp_uri(secret, "i", long_name, uri), ERR_LIMIT);
    assert_int_equal(uri[0], '\0');
    totp_secret_make(one);
    totp_secret_make(other);
    assert_memory_not_equal(one, other, sizeof(one));
}

/* ---- recovery codes ---- */

static void codes_on_paper(void **state)
{
    char text[100][RECOVERY_CODE_MAX], again[RECOVERY_CODE_MAX];

    for (unsigned i = 0; i < 100; i++) {
        recovery_code_make(text[i]);
        assert_int_equal(strlen(text[i]), 14);
        assert_true(text[i][4] == '-' && text[i][9] == '-' && !strpbrk(text[i], "ilouILOU"));
        assert_int_equal(recovery_code_read(slice_str(text[i]), again), OK);
        assert_string_equal(again, text[i]);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(text[i], text[k]);
    }
}

static void as_people_type(void **state)
{
    static const char *const typed[] = {"0123-4567-89ab", "OI23-4567-89AB", "ol234567 89aB", " 0i23 - 4567 -- 89ab - ",
                                        "0-1-2-3-4-5-6-7-8-9-a-b"};
    static const char *const none[] = {"",
                                       "0123-4567-89a",
                                       "0123-4567-89abc",
                                       "0123-4567-89au",
                                       "0123-4567-89a\n",
                                       "0123_4567_89ab",
                                       "0123-4567-89a\xc3\xa9",
                                       "----------------",
                                       "0123-4567-89ab                                              "};
    char code[RECOVERY_CODE_MAX] = "unread";

    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(recovery_code_read(slice_str(none[i]), code), ERR_FORMAT);
    assert_int_equal(recovery_code_read(slice_of("0123-4567-89a\0", 14), code), ERR_FORMAT);
    assert_string_equal(code, "unread");
    for (size_t i = 0; i < sizeof(typed) / sizeof(*typed); i++) {
        memset(code, 'x', sizeof(code));
        assert_int_equal(recovery_code_read(slice_str(typed[i]), code), OK);
        assert_string_equal(code, "0123-4567-89ab");
    }
    assert_int_equal(recovery_code_read(slice_str("CDEF-GHJK-MNPQ"), code), OK);
    assert_string_equal(code, "cdef-ghjk-mnpq");
    assert_int_equal(recovery_code_read(slice_str("rstv-wxyz-0000"), code), OK);
    assert_string_equal(code, "rstv-wxyz-0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),         cmocka_unit_test(window), cmocka_unit_test(each_code_is_good_once),
        cmocka_unit_test(what_is_no_code), cmocka_unit_test(uris),   cmocka_unit_test(codes_on_paper),
        cmocka_unit_test(as_people_type),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
