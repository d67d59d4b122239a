/* What clients of the Web Key Service ask over HTTP before they write to a submission address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>

#include "server/core/error.h"
#include "tests/support/keyserver_bench.h"

static struct keyserver_bench b;

static unsigned get(struct slice target)
{
    return keyserver_bench_ask(&b, HTTP_GET, "example.org", target);
}

static void check_text(const char *want)
{
    assert_int_equal(b.a.times, 1);
    assert_int_equal(b.a.len, strlen(want));
    assert_memory_equal(b.a.body, want, b.a.len);
}

/* Of a domain that is hosted, by its path or by its host; only while certificates are taken in. */
static void what_clients_ask(void **state)
{
    static const struct {
        const char *host, *path;
        bool ours;
    } rows[] = {{"elsewhere.example", "/.well-known/openpgpkey/hosted.example/", true},
                {"elsewhere.example", "/.well-known/openpgpkey/HOSTED.Example/", true},
                {HOSTED, "/.well-known/openpgpkey/", true},
                {HOSTED, "/.well-known/openpgpkey/elsewhere.example/", false},
                {HOSTED, "/.well-known/openpgpkey/not..a..name/", false},
                {"elsewhere.example", "/.well-known/openpgpkey/", false}};
    char target[256];
    for (size_t n = 0; n < 2 * sizeof(rows) / sizeof(rows[0]); n++) {
        const bool ours = rows[n / 2].ours && n % 2 == 0;
        b.no_uploads = n % 2;
        snprintf(target, sizeof(target), "%spolicy", rows[n / 2].path);
        assert_int_equal(keyserver_bench_ask(&b, HTTP_GET, rows[n / 2].host, slice_str(target)), 200);
        check_text(ours ? "protocol-version: 14\nsubmission-address: key-submission@hosted.example\n" : "");
        snprintf(target, sizeof(target), "%ssubmission-address", rows[n / 2].path);
        const unsigned status = keyserver_bench_ask(&b, HTTP_GET, rows[n / 2].host, slice_str(target));
        assert_int_equal(status, ours ? 200 : 404);
        if (ours)
            check_text("key-submission@hosted.example\n");
        b.key.times = 0;
        snprintf(target, sizeof(target), "%shu/54f6ry7x1qqtpor16txw5gdmdbbh6a73", rows[n / 2].path);
        if (keyserver_bench_ask(&b, HTTP_GET, rows[n / 2].host, slice_str(target)) == 200) {
            assert_string_equal(b.key.domain, HOSTED);
            assert_string_equal(b.a.type, "application/octet-stream");
            assert_int_equal(b.a.len, strlen(SUBMISSION_KEY));
            assert_memory_equal(b.a.body, SUBMISSION_KEY, b.a.len);
        }
        assert_int_equal(b.key.times, ours);
    }
    b.no_uploads = false;
}

/* Its certificate comes from another role: later, never, or to nobody. */
static void the_key_comes_later(void **state)
{
    static const char target[] = "/.well-known/openpgpkey/hosted.example/hu/54f6ry7x1qqtpor16txw5gdmdbbh6a73";
    static const struct {
        int status;
        unsigned code;
    } rows[] = {{OK, 200}, {ERR_TIMEOUT, 503}, {ERR_GONE, 503}};
    b.key.later = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)get(slice_str(target));
        assert_int_equal(b.a.times, 0);
        b.key.done(b.key.asker, rows[i].status, slice_str(SUBMISSION_KEY));
        assert_int_equal(b.a.times, 1);
        assert_int_equal(b.a.status, rows[i].code);
    }
    (void)get(slice_str(target));
    b.waits->gone(b.waits->gone_arg);
    assert_null(b.key.done);
    b.key.fail = ERR_FULL;
    assert_int_equal(get(slice_str(target)), 503);
    b.key.fail = OK;
    b.key.later = false;
}

static int open_bench(void **state)
{
    keyserver_bench_open(&b);
    return 0;
}

static int close_bench(void **state)
{
    keyserver_bench_close(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_ask),
        cmocka_unit_test(the_key_comes_later),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
