/* Header blocks as they come, values as they must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/header.h"

static struct header_field fields[HEADER_FIELDS_MAX];

static struct header_view parse(const char *s, size_t len)
{
    struct header_view v;
    assert_int_equal(header_parse((const uint8_t *)s, len, fields, HEADER_FIELDS_MAX, &v), OK);
    return v;
}

static void blocks(void **state)
{
    static const struct {
        const char *s;
        size_t count, header_len;
        bool malformed, ends;
    } t[] = {
        {"", 0, 0, false, false},
        {"\r\n", 0, 2, false, true},
        {"\n", 0, 1, false, true},
        {"A: b\r\n\r\nbody", 1, 8, false, true},
        {"A: b\nC: d\n\nbody", 2, 11, false, true},
        {"A: b\r\n c\r\n\td\r\nE:\r\n\r\n", 2, 20, false, true},
        {"A: b", 1, 4, false, false},
        {"A: b\r\n", 1, 6, false, false},
        {"A : b\r\n\r\n", 1, 9, false, true},
        {"A: b\r\nno field\r\nC: d\r\n\r\n", 1, 6, true, true},
        {"From me Mon Jan 1 00:00:00\r\nA: b\r\n\r\n", 0, 0, true, true}, /* a blank in a name */
        {" folded: first\r\nA: b\r\n\r\n", 0, 0, true, true},
        {": b\r\n\r\n", 0, 0, true, true},
        {"A\xc3\xa4: b\r\n\r\n", 0, 0, true, true},   /* names are ASCII */
        {"A: b\r\n\rC: d\r\n\r\n", 1, 6, true, true}, /* a CR alone ends nothing */
        /* Stray lines count as entries of the view where a telling field stands behind them. */
        {"From me Mon Jan 1 00:00:00\r\nFrom: b\r\n\r\n", 2, 39, false, true},
        {">From me\r\nTo: b\r\n\r\n", 2, 19, false, true},
        {"\xef\xbb\xbfSubject: b\r\n\r\n", 2, 17, false, true},
        {"\xef\xbb\xbfHello\r\n\r\n", 0, 0, true, true},
        {"A: b\r\nno field\r\n folded\r\nDate: d\r\n\r\nbody", 3, 36, false, true},
        {"A\xc3\xa4: b\r\nCONTENT-TYPE : d\r\n\r\n", 0, 0, true, true},
        {"A: b\r\nno field\r\n\r\nDate: d\r\n\r\n", 1, 6, true, true}, /* behind the empty line nothing tells */
        {"A: b\r\nno field\r\nDate: d\r\nnor here\r\n\r\n", 3, 25, true, true},
        {"A: b\r\nA\xc3\xa4: b\r\nCONTENT-TYPE : d\r\n\r\n", 3, 34, false, true},
        {" folded: first\r\nDate: d\r\n\r\n", 0, 0, true, true},
        /* Cut off: more octets may make a field of it. */
        {"A: b\r\nC", 1, 6, true, false},
        {"A: b\r\nC ", 1, 6, true, false},
        {"A: b\r\n\r", 1, 6, true, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        size_t len = strlen(t[i].s);
        char *exact = malloc(len ? len : 1);
        memcpy(exact, t[i].s, len);
        struct header_view v = parse(exact, len);
        if (v.count != t[i].count || v.header_len != t[i].header_len || v.malformed != t[i].malformed ||
            v.ends != t[i].ends)
            fail_msg("%s: %zu fields, %zu octets, malformed %d, ends %d", t[i].s, v.count, v.header_len, v.malformed,
                     v.ends);
        free(exact);
    }
}

static void fields_and_values(void **state)
{
    static const char s[] = "Subject: two\r\n lines\r\nX-Subject: a\r\nSUBJECT : b\r\nContent-Type: c\r\n\r\n";
    struct header_view v = parse(s, sizeof(s) - 1);
    assert_int_equal(v.count, 4);
    const struct header_field *f = header_find(&v, "subject");
    assert_ptr_equal(f, &v.fields[0]);
    struct slice value = header_field_value(v.s, f);
    assert_int_equal(value.len, 14);
    assert_memory_equal(value.data, " two\r\n lines\r\n", 14);
    assert_false(f->blank);
    assert_true(v.fields[2].blank && header_field_is(v.s, &v.fields[2], "Subject"));
    assert_null(header_find(&v, "Subj"));
    assert_null(header_find(&v, "Subject "));
    assert_true(header_field_is_content(v.s, &v.fields[3]) && !header_field_is_content(v.s, &v.fields[1]));
}

static void limits(void **state)
{
    size_t len = HEADER_MAX + 16;
    char *s = malloc(len);
    struct header_view v;
    memset(s, 'a', len);
    memcpy(s, "A:", 2);
    s[HEADER_MAX - 1] = '\n';
    assert_int_equal(header_parse((uint8_t *)s, HEADER_MAX, fields, HEADER_FIELDS_MAX, &v), OK);
    assert_int_equal(header_parse((uint8_t *)s, len, fields, HEADER_FIELDS_MAX, &v), ERR_LIMIT);
    for (size_t i = 0; i < HEADER_FIELDS_MAX + 1; i++)
        memcpy(s + 4 * i, "a:\r\n", 4);
    assert_int_equal(header_parse((uint8_t *)s, 4 * HEADER_FIELDS_MAX, fields, HEADER_FIELDS_MAX, &v), OK);
    assert_int_equal(v.count, HEADER_FIELDS_MAX);
    assert_int_equal(header_parse((uint8_t *)s, 4 * (HEADER_FIELDS_MAX + 1), fields, HEADER_FIELDS_MAX, &v), ERR_LIMIT);
    free(s);
}

static void strict_values(void **state)
{
    static const struct {
        const char *s;
        bool valid;
    } t[] = {
        {"", true},
        {"plain", true},
        {"tab\there", true},
        {"fold\r\n ed", true},
        {"fold\r\n\ted", true},
        {"\xc3\xa4", true},
        {"fold\r\ned", false},
        {"end\r\n", false},
        {"end\r\n ", false}, /* a line of white space alone looks like a header's end */
        {"a\r\n \r\n b", false},
        {"cr\rx", false},
        {"lf\n x", false},
        {"esc\x1b[2J", false},
        {"del\x7f", false},
        {"c1\xc2\x9b"
         "2J",
         false},
        {"\xc3", false},
        {"\xed\xa0\x80", false},
        {"\xe4", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        if (header_value_valid((const uint8_t *)t[i].s, strlen(t[i].s), 9, HEADER_LINE_MAX) != t[i].valid)
            fail_msg("%zu: %s", i, t[i].s);
    assert_false(header_value_valid((const uint8_t *)"a\0b", 3, 9, HEADER_LINE_MAX));
    assert_true(header_value_valid((const uint8_t *)"12345\r\n 234567890", 17, 5, 10));
    assert_false(header_value_valid((const uint8_t *)"123456", 6, 5, 10));
    assert_false(header_value_valid((const uint8_t *)"1\r\n 2345678901", 14, 5, 10));
}

static void plain_fields(void **state)
{
    static const struct {
        const char *s;
        bool plain;
    } t[] = {
        {"A: b\r\n", true},      {"A: b\r\n c\r\n", true}, {"A: b\n", false},
        {"A: b\r\n c\n", false}, {"A: b\rc\r\n", false},   {"A: b", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct header_view v = parse(t[i].s, strlen(t[i].s));
        assert_int_equal(v.count, 1);
        if (header_field_is_plain(v.s, v.fields) != t[i].plain)
            fail_msg("%s", t[i].s);
    }
    struct header_view v = parse("A: \0\r\n", 6);
    assert_false(header_field_is_plain(v.s, v.fields));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),        cmocka_unit_test(fields_and_values), cmocka_unit_test(limits),
        cmocka_unit_test(strict_values), cmocka_unit_test(plain_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
