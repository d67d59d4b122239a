/* Moments as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/cli/trace.h"
#include "server/core/error.h"

enum { NOW = 1795921200 /* 2026-11-29T03:00:00 */, TODAY = NOW - 3 * 3600 };

static void what_is_meant(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"2026-11-29", TODAY},
        {"2026-11-29T03:00", NOW},
        {"2026-11-29 03:00:30", NOW + 30},
        {"2026-11-29T03:00:30Z", NOW + 30},
        {"2024-02-29", 1709164800},
        {"1970-01-01", 0},
        {"today", TODAY},
        {"yesterday", TODAY - 86400},
        {"14:05", TODAY + 14 * 3600 + 5 * 60},
        {"1 hour ago", NOW - 3600},
        {"2 hours ago", NOW - 7200},
        {"90 minutes ago", NOW - 5400},
        {"90m", NOW - 5400},
        {"3d", NOW - 3 * 86400},
        {"1 week ago", NOW - 7 * 86400},
        {"2w", NOW - 14 * 86400},
        {"0m", NOW},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t got = 1;
        assert_int_equal(trace_time_read(rows[i].text, NOW, &got), OK);
        assert_int_equal(got, rows[i].want);
    }
}

static void what_is_none(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "now",
        "2026",
        "2026-11",
        "2026-11-31",
        "2026-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-11-29T",
        "2026-11-29T3",
        "2026-11-29T24:00",
        "2026-11-29T03:60",
        "2026-11-29T03:00:60",
        "2026-11-29T03:00+01:00",
        "2026-11-29T03:00ZZ",
        "2026-11-29  03:00",
        "2 hours",
        "hours ago",
        "-2h",
        "2h ago",
        "1 h ",
        "100000000000000h",
        "1000000d",
        "25:00",
        "today 14:00",
        "Nov 29",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t got = 77;
        assert_int_equal(trace_time_read(rows[i], NOW, &got), ERR_FORMAT);
        assert_int_equal(got, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_meant), cmocka_unit_test(what_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
