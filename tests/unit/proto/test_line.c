/* The line reader: the same verdicts at the same octets however the input was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/proto/line.h"

static void drain(struct line_reader *r, struct buf *in, struct buf *out)
{
    struct slice line;
    int err;

    while ((err = line_next(r, in, &line)) != ERR_AGAIN) {
        if (err == OK) {
            buf_printf(out, "[%.*s]", (int)line.len, (const char *)line.data);
            line_consume(in, line);
        } else {
            buf_puts(out, err == ERR_LIMIT ? "!long" : "!bare");
        }
    }
}

/* Feeds text cut after `cut` octets (cut 0: one octet at a time). */
static void check_cut(const char *text, size_t len, size_t cut, const char *want)
{
    struct line_reader r;
    struct buf in, out;

    line_init(&r, 5);
    buf_init(&in, 4096, false);
    buf_init(&out, 4096, false);
    for (size_t i = 0; i < len;) {
        size_t n = cut == 0 ? 1 : i < cut ? cut - i : len - i;
        assert_int_equal(buf_append(&in, text + i, n), OK);
        drain(&r, &in, &out);
        i += n;
    }
    assert_int_equal(buf_append(&out, "", 1), OK);
    assert_string_equal((char *)out.data, want);
    buf_free(&in);
    buf_free(&out);
}

static const struct {
    const char *text;
    size_t len;
    const char *want;
} cases[] = {
#define CASE(text, want)             \
    {                                \
        text, sizeof(text) - 1, want \
    }
    CASE("a\r\nbc\r\n", "[a][bc]"),
    CASE("\r\n\r\n", "[][]"),
    CASE("12345\r\n", "[12345]"),
    CASE("123456\r\nx\r\n", "!long[x]"),
    CASE("1234567890123456789\r\nx\r\n", "!long[x]"),
    CASE("123456", "!long"),
    CASE("12345\r", ""),
    CASE("a\nb\r\nc\r\n", "!bare[c]"),
    CASE("a\rb\r\nc\r\n", "!bare[c]"),
    CASE("a\r\r\nc\r\n", "!bare[c]"),
    CASE("\n\r\nc\r\n", "!bare[c]"),
    CASE("\n\n\n\r\nc\r\n", "!bare[c]"),
    CASE("\r\r\r\n\r\nc\r\n", "!bare[][c]"),
    CASE("a\nQUIT\nQUIT\n", "!bare"),
    CASE("1234567\nQUIT\r\nc\r\n", "!long[c]"),
    CASE("12345\nQUIT\r\nc\r\n", "!bare[c]"),
    CASE("1234567\rQUIT\r\r\nc\r\n", "!long[c]"),
};

static void test_cuts(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t cut = 0; cut <= cases[i].len; cut++)
            check_cut(cases[i].text, cases[i].len, cut, cases[i].want);
}

static void test_scan_is_linear(void **state)
{
    struct line_reader r;
    size_t max = 1 << 20, len;
    uint8_t *big = malloc(max + 2);

    memset(big, 'x', max);
    memcpy(big + max, "\r\n", 2);
    line_init(&r, max);
    /* A million one-octet steps end in reasonable time only if nothing is scanned twice. */
    for (size_t n = 1; n < max + 2; n++)
        assert_int_equal(line_scan(&r, big, n, &len), ERR_AGAIN);
    assert_int_equal(line_scan(&r, big, max + 2, &len), OK);
    assert_int_equal(len, max);
    free(big);
}

static void test_skip(void **state)
{
    struct line_reader r;
    struct buf in;
    struct slice line;

    line_init(&r, 100);
    buf_init(&in, 100, false);
    buf_puts(&in, "rest\rof\nit\r\nnext\r\n");
    line_skip(&r);
    assert_int_equal(line_next(&r, &in, &line), OK);
    assert_int_equal(line.len, 4);
    assert_memory_equal(line.data, "next", 4);
    buf_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_scan_is_linear),
        cmocka_unit_test(test_skip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
