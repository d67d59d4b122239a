/* Dates of mail as they are and as they must be; the calendar against libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/date.h"

static void what_mail_has(void **state)
{
    static const struct {
        const char *s;
        long long t;
    } t[] = {
        {"Thu, 01 Jan 1970 00:00:00 +0000", 0},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557},
        {"Tue, 1 Jul 2003 10:52:37 +0200 (CEST)", 1057049557},
        {"1 Jul 03 10:52 EST", 1057074720},
        {"Fri, 21 Nov 97 09(comment):   55  :  06 -0600", 880127706},
        {"29 Feb 2000 23:59:60 GMT", 951868800},
        {"29 Feb 2001 00:00 +0000", -1},
        {"31 Apr 2001 00:00 +0000", -1},
        {"1 Jan 1969 00:00 +0000", -1},
        {"Mon, 1 Jan 2001 24:00:00 +0000", -1},
        {"", -1},
        {"yesterday", -1},
        {"Mon", -1},
        {"Mon, 1 Jan 2001 00:00:00 +0060", -1},
        {"Mon, 1 Jan 2001 00:00:00 +0000 x", -1},
        {"Mon, 1 Jan 2001 00:00:00 (open", -1},
        {"0 Jan 2001 00:00 Z", -1},
        {"1 Jan 1970 00:00:00 +0100", -1},
        {"31 Dec 9999 23:59:59 +0000", 253402300799},
        {"31 Dec 9999 23:59:59 -0100", -1},
    };
    char out[DATE_SIZE];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        uint64_t v = 77;
        int err = date_read((const uint8_t *)t[i].s, strlen(t[i].s), &v, NULL);
        if (err != (t[i].t < 0 ? ERR_FORMAT : OK) || v != (err ? 77 : (uint64_t)t[i].t))
            fail_msg("%s: %d, %llu", t[i].s, err, (unsigned long long)v);
        if (err == OK) {
            date_write(v, out);
            assert_true(date_is_utc((const uint8_t *)out, strlen(out)));
        }
    }
}

static void the_day_is_its_senders(void **state)
{
    uint64_t t;
    int32_t day;
    const char *s = "1 Jul 03 23:00 -0500";
    assert_int_equal(date_read((const uint8_t *)s, strlen(s), &t, &day), OK);
    assert_int_equal(day, 12234);
    assert_int_equal(t / 86400, 12235);
}

static void strictly(void **state)
{
    static const struct {
        const char *s;
        bool valid, utc;
    } t[] = {
        {"Tue, 01 Jan 2030 00:00:00 +0000", true, true},
        {"Tue, 1 Jan 2030 00:00:00 +0000", true, false},
        {"Wed, 01 Jan 2030 00:00:00 +0000", true, false}, /* was a Tuesday */
        {"Tue, 01 Jan 2030 00:00:00 GMT", true, false},
        {"Tue, 01 Jan 2030 00:00:60 +0000", true, false},
        {"tue, 01 Jan 2030 00:00:00 +0000", true, false},
        {"Tue,\t01 Jan 2030 00:00:00 +0000", false, false},
        {"Tue, 01 Jan 2030 00:00:00 +0000 (\xc3\xa4)", false, false},
        {"01 Jan 2030 00:00:00 +0000 (eighty-one octets long, one more than is allowed. xx)", false, false},
        {"01 Jan 2030 00:00:00 +0000 (eighty octets long, which is just what is allowed. )", true, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        if (date_valid((const uint8_t *)t[i].s, strlen(t[i].s)) != t[i].valid)
            fail_msg("%s (%zu octets)", t[i].s, strlen(t[i].s));
        assert_int_equal(date_is_utc((const uint8_t *)t[i].s, strlen(t[i].s)), t[i].utc);
    }
}

/* Every day up to the year 9999 as libc has it. */
static void the_calendar(void **state)
{
    char mine[DATE_SIZE], theirs[64], day[DATE_DAY_SIZE];
    for (int32_t days = 0; (uint64_t)days * 86400 < DATE_LAST; days++) {
        uint64_t t = (uint64_t)days * 86400 + (uint64_t)days * 7919 % 86400, back;
        time_t when = (time_t)t;
        struct tm tm;
        int32_t read_day;
        gmtime_r(&when, &tm);
        struct date_civil d = date_from_days(days);
        assert_true(d.year == tm.tm_year + 1900 && d.month == tm.tm_mon + 1 && d.day == tm.tm_mday);
        assert_true(date_exists(d));
        assert_int_equal(date_to_days(d), days);
        date_write(t, mine);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S +0000", &tm);
        assert_string_equal(mine, theirs);
        assert_int_equal(date_read((const uint8_t *)mine, strlen(mine), &back, &read_day), OK);
        assert_true(back == t && read_day == days);
        date_write_day(t, day);
        strftime(theirs, sizeof(theirs), "%Y-%m-%d", &tm);
        assert_string_equal(day, theirs);
    }
    date_write(UINT64_MAX, mine);
    assert_string_equal(mine, "Fri, 31 Dec 9999 23:59:59 +0000");
    date_write_day(UINT64_MAX, day);
    assert_string_equal(day, "9999-12-31");
    assert_int_equal(date_to_days((struct date_civil){1, 1, 1}), -719162); /* dates of SEARCH begin there */
}

static void days_that_are_none(void **state)
{
    static const struct date_civil none[] = {{0, 1, 1},     {2001, 0, 1},  {2001, 13, 1}, {2001, 1, 0}, {2001, 1, 32},
                                             {2001, 4, 31}, {2001, 2, 29}, {1900, 2, 29}, {-1, 1, 1},   {2001, 1, -1}};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_false(date_exists(none[i]));
    assert_true(date_exists((struct date_civil){2000, 2, 29}));
    assert_int_equal(date_month("mAy"), 5);
    assert_int_equal(date_month("Mai"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_mail_has), cmocka_unit_test(the_day_is_its_senders), cmocka_unit_test(strictly),
        cmocka_unit_test(the_calendar),  cmocka_unit_test(days_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
