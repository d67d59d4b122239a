/* UTF-8: every character there and back, everything that is none refused, controls kept from logs and terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/utf8.h"

static bool is_character(uint32_t c)
{
    return c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
}

static void every_character_there_and_back(void **state)
{
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char text[4];
        uint32_t back = ~c;
        size_t n = utf8_encode(c, text);
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        if (!is_character(c)) {
            assert_int_equal(utf8_decode(text, n, &back), 0);
            continue;
        }
        assert_int_equal(utf8_decode(text, n, &back), n);
        assert_int_equal(back, c);
        assert_int_equal(utf8_decode(text, n - 1, &back), 0); /* cut off */
        assert_int_equal(utf8_valid(text, n), !(c >= 0x80 && c < 0xa0));
        assert_int_equal(utf8_printable(text, n), !(c < 0x20 || (c >= 0x7f && c < 0xa0)));
    }
}

/* Of all sequences of up to three octets just so many are characters as RFC 3629 has; of four octets, by their first
 * two. */
static void nothing_else_is_a_character(void **state)
{
    unsigned long two = 0, three = 0, four = 0;
    uint32_t c;
    for (unsigned a = 0x80; a < 0x100; a++)
        for (unsigned b = 0; b < 0x100; b++) {
            uint8_t s[4] = {(uint8_t)a, (uint8_t)b, 0x80, 0x80};
            two += utf8_decode(s, 2, &c) == 2;
            four += utf8_decode(s, 4, &c) == 4;
            for (unsigned d = 0; d < 0x100; d++) {
                s[2] = (uint8_t)d;
                three += utf8_decode(s, 3, &c) == 3;
            }
        }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
    assert_int_equal(four, 0x100000 / 0x1000);
    assert_int_equal(utf8_decode("", 0, &c), 0);
}

/* Wherever in a text the octet stands: long runs of ASCII go by the word. */
static void in_long_texts(void **state)
{
    static const struct {
        const char *s;
        bool is, valid;
    } t[] = {{"\xc3\xa4", true, true}, {"\xc2\x9b", true, false}, {"\xff", false, false}, {"\xc3", false, false}};
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        for (size_t before = 0; before < 20; before++)
            for (size_t after = 0; after < 20; after++) {
                size_t n = strlen(t[i].s), len = before + n + after;
                char *exact = malloc(len);
                memset(exact, 'a', len);
                memcpy(exact + before, t[i].s, n);
                assert_int_equal(utf8_prefix(exact, len), t[i].is ? len : before);
                assert_int_equal(utf8_valid(exact, len), t[i].valid);
                free(exact);
            }
}

static void what_is_tamed(void **state)
{
    static const struct {
        const char *in, *out;
    } t[] = {
        {"anna@b\xc3\xbc"
         "cher.org",
         "anna@b\xc3\xbc"
         "cher.org"},
        {"a\r\nb\tc\x7f", "a??b?c?"},
        {"\x1b[2J", "?[2J"},
        {"\xc2\x9b"
         "2J",
         "??2J"}, /* CSI as one character */
        {"\x9b"
         "2J",
         "?2J"}, /* and as one octet */
        {"\xc3", "?"},
        {"\xed\xa0\x80", "???"},
        {"\xc0\xaf", "??"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"a\xe2\x80\xae"
         "b",
         "a???b"}, /* right to left from here on */
        {"\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf", "????????"},
        {"\xe2\x80\x8d", "\xe2\x80\x8d"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char text[64];
        strcpy(text, t[i].in);
        utf8_tame(text, strlen(text));
        assert_string_equal(text, t[i].out);
        assert_true(utf8_printable(text, strlen(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_there_and_back),
        cmocka_unit_test(nothing_else_is_a_character),
        cmocka_unit_test(in_long_texts),
        cmocka_unit_test(what_is_tamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
