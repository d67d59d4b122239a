#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/parts.h"

static struct header_field fields[HEADER_FIELDS_MAX];

struct seen {
    char text[256];
    int stop_at, n;
};

static int see(void *arg, struct slice part)
{
    struct seen *s = arg;
    strcat(s->text, "[");
    strncat(s->text, (const char *)part.data, part.len);
    strcat(s->text, "]");
    return ++s->n == s->stop_at ? ERR_LIMIT : OK;
}

static void parts_stand_between_boundaries(void **state)
{
    static const struct {
        const char *body, *want;
    } rows[] = {
        {"", ""},
        {"before\n--b\none\n--b\ntwo\n--b--\nbehind\n--b\nno", "[one\n][two\n]"},
        {"--b\r\none\r\n--b  \r\ntwo", "[one\r\n][two]"},
        {"--bb\nx\n--b\none\n --b\n--b x\n--b--x\n", "[one\n --b\n--b x\n--b--x\n]"},
        {"--b\n--b\n--b--", "[][]"},
        {"--b", "[]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen s = {0};
        struct part p = {.body = slice_str(rows[i].body), .boundary = "b", .boundary_len = 1};
        assert_int_equal(part_each(&p, see, &s), OK);
        assert_string_equal(s.text, rows[i].want);
    }
    struct seen s = {.stop_at = 1};
    struct part p = {.body = slice_str("--b\n1\n--b\n2\n"), .boundary = "b", .boundary_len = 1};
    assert_int_equal(part_each(&p, see, &s), ERR_LIMIT);
    assert_int_equal(s.n, 1);
}

static void a_header_says_what_it_is(void **state)
{
    static const char text[] = "content-type: Multipart/Mixed; boundary=\"a b\"; boundary=c\r\n"
                               "Content-Transfer-Encoding: BASE64\r\n\r\nbody";
    struct part p;
    assert_int_equal(part_read(slice_str(text), fields, &p), OK);
    assert_true(part_is(&p, "multipart", "mixed"));
    assert_true(part_is(&p, "multipart", NULL));
    assert_false(part_is(&p, "text", NULL));
    assert_int_equal(p.boundary_len, 3);
    assert_memory_equal(p.boundary, "a b", 3);
    assert_int_equal(p.transfer, TRANSFER_BASE64);
    assert_int_equal(p.body.len, 4);
    assert_int_equal(part_read(slice_str("\r\n"), fields, &p), OK);
    assert_int_equal(p.type.len, 0);
    assert_int_equal(p.transfer, TRANSFER_NONE);
    assert_int_equal(part_read(slice_str("Content-Transfer-Encoding: x-uuencode\r\n\r\n"), fields, &p), OK);
    assert_int_equal(p.transfer, TRANSFER_UNKNOWN);
}

static void a_body_is_decoded_strictly_or_as_readers_do(void **state)
{
    static const struct {
        enum transfer transfer;
        const char *body;
        int strict;
        const char *want;
    } rows[] = {
        {TRANSFER_NONE, "a=3D", OK, "a=3D"},
        {TRANSFER_NONE, "", OK, ""},
        {TRANSFER_UNKNOWN, "abc", ERR_FORMAT, "abc"},
        {TRANSFER_BASE64, "YWJj\r\nZA==", OK, "abcd"},
        {TRANSFER_BASE64, "YWJj-ZA", ERR_FORMAT, "abcd"},
        {TRANSFER_BASE64, "YQ==YmM=ZA", ERR_FORMAT, "abcd"},
        {TRANSFER_BASE64, "A", ERR_FORMAT, ""},
        {TRANSFER_BASE64, "====", ERR_FORMAT, ""},
        {TRANSFER_QUOTED_PRINTABLE, "a=3Db=\r\nc=\nd", OK, "a=bcd"},
        {TRANSFER_QUOTED_PRINTABLE, "a=b=", ERR_FORMAT, "a=b="},
        {TRANSFER_QUOTED_PRINTABLE, "=4", ERR_FORMAT, "=4"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct part p = {.body = slice_str(rows[i].body), .transfer = rows[i].transfer};
        uint8_t out[64];
        size_t len = 0;
        assert_int_equal(part_decode(&p, true, out, &len), rows[i].strict);
        assert_int_equal(part_decode(&p, false, out, &len), OK);
        assert_int_equal(len, strlen(rows[i].want));
        assert_memory_equal(out, rows[i].want, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_stand_between_boundaries),
        cmocka_unit_test(a_header_says_what_it_is),
        cmocka_unit_test(a_body_is_decoded_strictly_or_as_readers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
