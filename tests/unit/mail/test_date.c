/* Dates of mail as they are and as they must be; the calendar against libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/date.h"

#define NONE INT64_MIN

static void what_mail_has(void **state)
{
    static const struct {
        const char *s;
        long long t; /* NONE: it cannot be read */
    } t[] = {
        {"Thu, 01 Jan 1970 00:00:00 +0000", 0},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557},
        {"Tue, 1 Jul 2003 10:52:37 +0200 (CEST)", 1057049557},
        {"1 Jul 03 10:52 EST", 1057074720},
        {"Fri, 21 Nov 97 09(comment):   55  :  06 -0600", 880127706},
        {"29 Feb 2000 23:59:60 GMT", 951868800},
        {"29 Feb 2001 00:00 +0000", NONE},
        {"31 Apr 2001 00:00 +0000", NONE},
        {"1 Jan 1969 00:00 +0000", -31536000},
        {"Mon, 1 Jan 2001 24:00:00 +0000", NONE},
        {"", NONE},
        {"yesterday", NONE},
        {"Mon", NONE},
        {"Mon, 1 Jan 2001 00:00:00 +0060", 978307200} /* no zone counts as UTC */,
        {"Mon, 1 Jan 2001 00:00:00 +0000 x", 978307200},
        {"Mon, 1 Jan 2001 00:00:00 (open", 978307200},
        {"0 Jan 2001 00:00 Z", NONE},
        {"1 Jan 1970 00:00:00 +0100", -3600},
        {"31 Dec 9999 23:59:59 +0000", 253402300799},
        {"31 Dec 9999 23:59:59 -0100", NONE},
        {"31 Dec 1899 23:59:59 +0000", NONE},
        {"1 Jan 1900 00:00:00 +0000", DATE_OLDEST},
        {"1 Jan 1900 00:00:00 +0100", NONE},
    };
    char out[DATE_SIZE];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        int64_t v = 77;
        int err = date_read((const uint8_t *)t[i].s, strlen(t[i].s), &v, NULL);
        if (err != (t[i].t == NONE ? ERR_FORMAT : OK) || v != (err ? 77 : t[i].t))
            fail_msg("%s: %d, %lld", t[i].s, err, (long long)v);
        if (err == OK) {
            date_write(v, out);
            assert_true(date_is_utc((const uint8_t *)out, strlen(out)));
        }
    }
}

/* Forms that no RFC has, as Python's email and GMime read them (tests/interop/test_dates.py asks both). */
static void what_others_read(void **state)
{
    enum { T = 1185303307 /* 24 Jul 2007 18:55:07 */, H = 3600 };
    static const struct {
        const char *s;
        int64_t t;
    } t[] = {
        {"Tue Jul 24 18:55:07 2007", T}, /* asctime(3) */
        {"Tue Jul 24 18:55:07 +0200 2007", T - 2 * H},
        {"Tue Jul 24 18:55:07 GMT 2007", T},
        {"Tue Jul 24 18:55:07 EDT 2007", T + 4 * H},
        {"Tue Jul 24 18:55:07 2007 -0700 (PDT)", T + 7 * H},
        {"Tue Jul  4 18:55:07 2007", T - 20 * 24 * H},
        {"Tue, Jul 24 18:55:07 2007", T},
        {"Jul 24 18:55:07 2007", T},
        {"Jul 24, 2007 18:55:07 +0200", T - 2 * H},
        {"July 24, 2007 18:55:07", T},
        {"Tuesday, July 24, 2007 18:55:07", T},
        {"Tue Jul 24 2007 18:55:07 GMT+0200 (CEST)", T},
        {"Tue, 24 Jul 2007 18:55:07 GMT-0700", T},
        {"Tue, 24 Jul 2007 18:55:07 UTC+2", T},
        {"Tue, 24 Jul 2007 18:55:07 +02:00", T},
        {"Tue, 24 Jul 2007 18:5:7", T - 3000},
        {"Tue, 24 Jul 2007 018:55:07 +0000", T},
        {"Tue, 024 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"Sat, 6 October 2007 18:55:07 +0200", T + (74 * 24 - 2) * H},
        {"Thursday, 24 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"Thurs, 24 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"Di, 24 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"mar., 24 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"m\xc3\xa5n, 24 Jul 2007 18:55:07 +0200", T - 2 * H},
        {"24-Jul-2007 18:55:07 +0200", T - 2 * H},
        {"Tuesday, 24-Jul-07 18:55:07 GMT", T},
        {"Tue, 24 Jul 2007, 18:55:07 +0200", T - 2 * H},
        {"Tue, 24 Jul 2007 18:55:07, +0200", T - 2 * H},
        {"Tue, 24 Jul 2007 18:55:07 +0200 GMT", T - 2 * H},
        {"Tue, 24 Jul 2007 18:55:07 +0200 (open", T - 2 * H},
        {"Tue, 24 Jul 2007 18:55:07 Pacific Daylight Time", T},
        {"Tue, 24 Jul 2007 18:55:07 \"GMT\"", T},
        {"Tue, 24 Jul 2007 18:55:07 --0400", T},
        {"Tue, 24 Jul 2007 18:55:07 -04-00", T},
        {"Tue, 24 Jul 1968 18:55:07 +0200", T - (14244 * 24 + 2) * INT64_C(3600)},
        /* one of the two, or the plain meaning */
        {"Tue, 24 Jul 2007 18:55:07+0200", T - 2 * H},
        {"Tue, 24 Jul 2007 18:55:07.123 +0200", T - 2 * H},
        {"Tue, 24 Jul 2007 18.55.07 +0200", T - 2 * H},
        {"Tues, 24 Sept 2007 18:55:07 +0200", T + (62 * 24 - 2) * H},
        {"2007-07-24 18:55:07", T},
        {"2007-07-24T18:55:07Z", T},
        {"2007 Jul 24 18:55:07 +0000", T},
        {"2007/07/24 Tue 18:55:07 CDT", T + 5 * H},
        {"Tue, 24 Jul 2007 06:55:07 PM -0400", T - 8 * H},
        {"Tue, 24 Jul 50 18:55:07", T - (20819 * 24) * INT64_C(3600)}, /* 1950: RFC 5322 section 4.3 */
        {"24 Jul 2007", T - 18 * H - 3307},
        /* none */
        {"Tue, 24 Jul 18:55:07 +0200", NONE},
        {"Tue, 24th Jul 2007 18:55:07", NONE},
        {"24 Foo 2007 18:55:07", NONE},
        {"24 Jul 20007 18:55:07", NONE},
        {"24 Jul 0102 18:55:07", NONE},
        {"24 Jul 2007 18:60:07", NONE},
        {"24 Jul 2007 18:xx", NONE},
        {"Jul", NONE},
        {"Jul,", NONE},
        {"2007-", NONE},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        int64_t v = NONE;
        date_read((const uint8_t *)t[i].s, strlen(t[i].s), &v, NULL);
        if (v != t[i].t)
            fail_msg("%s: %lld", t[i].s, (long long)v);
        for (size_t cut = 0; cut < strlen(t[i].s); cut++) { /* the sanitizer guards the end */
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, t[i].s, cut);
            date_read(part, cut, &v, NULL);
            free(part);
        }
    }
}

static void the_day_is_its_senders(void **state)
{
    int64_t t;
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
        {"1 Jan 2030 00:00 +0000", true, false},
        {"1 Jan 30 00:00 EST", true, false},
        {"Tue 1 Jan 2030 00:00:00 +0000", true, false},
        {"Mon, 1 Jan 2001 00:00:00 +0060", false, false},
        {"Mon, 1 Jan 2001 00:00:00 +0000 x", false, false},
        {"Mon, 1 Jan 2001 00:00:00 (open", false, false},
        {"Tue Jan  1 00:00:00 2030", false, false},
        {"Jan 1 2030 00:00:00 +0000", false, false},
        {"Tue, 01 January 2030 00:00:00 +0000", false, false},
        {"Tuesday, 01 Jan 2030 00:00:00 +0000", false, false},
        {"Di, 01 Jan 2030 00:00:00 +0000", false, false},
        {"Tue, 01-Jan-2030 00:00:00 +0000", false, false},
        {"Tue, 01 Jan 2030, 00:00:00 +0000", false, false},
        {"Tue, 01 Jan 2030 00:00:00 GMT+0200", false, false},
        {"Tue, 01 Jan 2030 00:00:00 +02:00", false, false},
        {"Tue, 01 Jan 2030 0:0:0 +0000", false, false},
        {"Tue, 01 Jan 2030 00.00.00 +0000", false, false},
        {"Tue, 01 Jan 2030", false, false},
        {"2030-01-01 00:00:00 +0000", false, false},
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
    for (int32_t days = -25567; days * INT64_C(86400) < (int64_t)DATE_LAST; days++) { /* from 1900 on */
        int64_t t = days * INT64_C(86400) + (days + INT64_C(25567)) * 7919 % 86400, back;
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
        if (t < 0)
            continue;
        date_write_day((uint64_t)t, day);
        strftime(theirs, sizeof(theirs), "%Y-%m-%d", &tm);
        assert_string_equal(day, theirs);
    }
    date_write(INT64_MIN, mine);
    assert_string_equal(mine, "Mon, 01 Jan 1900 00:00:00 +0000");
    date_write(INT64_MAX, mine);
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

static void of_the_internet(void **state)
{
    static const struct {
        const char *text;
        int64_t t; /* INT64_MIN: none */
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-10-14T17:46:40Z", 1792000000},
        {"2026-10-14t17:46:40.999z", 1792000000},
        {"2026-10-14T19:16:40+01:30", 1792000000},
        {"2026-10-14T17:16:40-00:30", 1792000000},
        {"2026-10-14T17:46:40", INT64_MIN},
        {"2026-10-14T17:46:40.Z", INT64_MIN},
        {"2026-10-14 17:46:40Z", INT64_MIN},
        {"2026-02-29T17:46:40Z", INT64_MIN},
        {"2026-10-14T24:46:40Z", INT64_MIN},
        {"2026-10-14T17:60:40Z", INT64_MIN},
        {"2026-10-14T17:46:61Z", INT64_MIN},
        {"2026-10-14T17:46:40+24:00", INT64_MIN},
        {"2026-10-14T17:46:40+0100", INT64_MIN},
        {"2026-10-14T17:46:40ZZ", INT64_MIN},
        {"2026\r10\r14T17:46:40Z", INT64_MIN},
        {"26-10-14T17:46:40Z", INT64_MIN},
        {"", INT64_MIN},
    };
    char out[DATE_INTERNET_SIZE];
    int64_t t;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        t = INT64_MIN;
        assert_int_equal(date_read_internet((const uint8_t *)rows[i].text, strlen(rows[i].text), &t),
                         rows[i].t == INT64_MIN ? ERR_FORMAT : OK);
        assert_int_equal(t, rows[i].t);
    }
    date_write_internet(1792000000, out);
    assert_string_equal(out, "2026-10-14T17:46:40Z");
    date_write_internet(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_mail_has),   cmocka_unit_test(what_others_read), cmocka_unit_test(the_day_is_its_senders),
        cmocka_unit_test(strictly),        cmocka_unit_test(the_calendar),     cmocka_unit_test(days_that_are_none),
        cmocka_unit_test(of_the_internet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
