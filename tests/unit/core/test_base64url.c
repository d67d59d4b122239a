/* base64url: RFC 4648's vectors (section 10) without padding, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/base64url.h"

static const char *const vectors[][2] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
};

static void both_ways(void **state)
{
    char text[16];
    uint8_t octets[8];

    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        const struct slice plain = slice_str(vectors[i][0]), coded = slice_str(vectors[i][1]);
        assert_int_equal(BASE64URL_LEN(plain.len), coded.len);
        memset(text, 'x', sizeof(text));
        base64url_write(plain, text);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(base64url_read(coded, octets, plain.len), (long)plain.len);
        assert_memory_equal(octets, plain.data, plain.len);
        if (plain.len)
            assert_int_equal(base64url_read(coded, octets, plain.len - 1), -1);
    }
}

static void one_text_for_a_value(void **state)
{
    static const char *const none[] = {"Z",   "Zg=", "Zg==", "Zh",     "Zm9",  "Zm8=", "Zm9v=",
                                       " Zg", "Zg ", "Z\ng", "Zm9v\n", "++++", "////", "Zm9vZ"};
    uint8_t octets[8];

    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(base64url_read(slice_str(none[i]), octets, sizeof(octets)), -1);
    assert_int_equal(base64url_read(slice_of("Zg\0", 3), octets, sizeof(octets)), -1);
    for (unsigned c = 0; c < 256; c++) {
        const char text[2] = {(char)c, 'A'};
        const int known =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        assert_int_equal(base64url_read(slice_of(text, 2), octets, sizeof(octets)), known ? 1 : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways), cmocka_unit_test(one_text_for_a_value)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
