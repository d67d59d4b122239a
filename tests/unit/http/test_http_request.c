/* Heads of requests: who they are for, and where their bodies end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/http/request.h"

enum { N = 4 };
struct line {
    const char *name, *value;
};

static unsigned head(const char *method, const char *target, bool old, const struct line fields[N],
                     struct http_intent *ret)
{
    struct http_field f[N];
    struct http_head h = {.method = method, .target = slice_str(target), .http_1_0 = old, .fields = f};

    for (size_t i = 0; i < N && fields[i].name; i++)
        f[h.nfields++] = (struct http_field){fields[i].name, fields[i].value};
    return http_head_read(&h, ret);
}

#define HOST                    \
    {                           \
        "Host", "a.example.org" \
    }

static void a_plain_request_is_read(void **state)
{
    struct http_intent in;

    assert_int_equal(head("POST", "/x?q=1&r", false,
                          (struct line[N]){{"host", "A.Example.ORG.:443"},
                                           {"content-length", "17"},
                                           {"Content-TYPE", "Application/JSON; charset=utf-8"},
                                           {"Expect", "100-Continue"}},
                          &in),
                     0);
    assert_int_equal(in.method, HTTP_POST);
    assert_string_equal(in.host, "a.example.org");
    assert_string_equal(in.path.text, "/x");
    assert_int_equal(in.query.len, 5);
    assert_int_equal(in.body, 17);
    assert_string_equal(in.type, "application/json");
    assert_int_equal(head("GET", "/", true, (struct line[N]){HOST}, &in), 0);
    assert_int_equal(in.body, 0);
    assert_string_equal(in.type, "");
}

static void a_body_has_one_end(void **state)
{
    static const struct {
        unsigned status;
        struct line fields[N];
    } cases[] = {
        {400, {HOST, {"Content-Length", "1"}, {"Content-Length", "2"}}},
        {400, {HOST, {"Content-Length", "1"}, {"content-length", "1"}}},
        {400, {HOST, {"Content-Length", "1, 1"}}},
        {400, {HOST, {"Content-Length", "-1"}}},
        {400, {HOST, {"Content-Length", "+1"}}},
        {400, {HOST, {"Content-Length", "0x10"}}},
        {400, {HOST, {"Content-Length", "1 "}}},
        {400, {HOST, {"Content-Length", "1e3"}}},
        {400, {HOST, {"Content-Length", ""}}},
        {413, {HOST, {"Content-Length", "9999999999999999999"}}},
        {413, {HOST, {"Content-Length", "18446744073709551616"}}},
        {0, {HOST, {"Content-Length", "000000000000000001"}}},
        {400, {HOST, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}},
        {400, {HOST, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}},
        {411, {HOST, {"Transfer-Encoding", "chunked"}}},
        {411, {HOST, {"transfer-ENCODING", "Chunked"}}},
        {501, {HOST, {"Transfer-Encoding", "gzip, chunked"}}},
        {501, {HOST, {"Transfer-Encoding", "gzip,\tCHUNKED"}}},
        {400, {HOST, {"Transfer-Encoding", "chunked, gzip"}}},
        {400, {HOST, {"Transfer-Encoding", "chunked,"}}},
        {400, {HOST, {"Transfer-Encoding", "xchunked"}}},
        {400, {HOST, {"Transfer-Encoding", "identity"}}},
        {400, {HOST, {"Transfer-Encoding", ""}}},
        {400, {HOST, {"Transfer-Encoding", "chunked\x0b"}}},
        {417, {HOST, {"Expect", "200-ok"}}},
    };
    struct http_intent in;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned status = head("POST", "/", false, cases[i].fields, &in);
        if (status != cases[i].status)
            fail_msg("case %zu: %u, not %u", i, status, cases[i].status);
    }
    assert_int_equal(head("POST", "/", true, (struct line[N]){HOST, {"Transfer-Encoding", "chunked"}}, &in), 400);
}

static void a_host_is_a_name_or_an_address(void **state)
{
    static const struct {
        const char *field, *host; /* NULL: 400 */
    } cases[] = {
        {"localhost", "localhost"},
        {"EXAMPLE.org:8443", "example.org"},
        {"example.org:", "example.org"},
        {"example.org.", "example.org"},
        {"127.0.0.1:80", "127.0.0.1"},
        {"[::1]:443", "[::1]"},
        {"[2001:DB8::1]", "[2001:db8::1]"},
        {"", NULL},
        {":80", NULL},
        {".", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"-a.b", NULL},
        {"a-.b", NULL},
        {"a_b.c", NULL},
        {"a b", NULL},
        {"a/b", NULL},
        {"a,b", NULL},
        {"user@a.b", NULL},
        {"a.b:80:80", NULL},
        {"a.b:8x", NULL},
        {"a.b:123456", NULL},
        {"a.b..", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[::g]", NULL},
        {"[]", NULL},
        {"::1", NULL},
        {"b\xc3\xbc.example", NULL},
        {"a.b%00", NULL},
        {"0123456789012345678901234567890123456789012345678901234567890123.org", NULL},
    };
    struct http_intent in;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned status = head("GET", "/", false, (struct line[N]){{"Host", cases[i].field}}, &in);
        if (status != (cases[i].host ? 0 : 400))
            fail_msg("%s: %u", cases[i].field, status);
        if (cases[i].host)
            assert_string_equal(in.host, cases[i].host);
    }
    assert_int_equal(head("GET", "/", false, (struct line[N]){{"X", "y"}}, &in), 400);
    assert_int_equal(head("GET", "/", true, (struct line[N]){{"X", "y"}}, &in), 400);
    assert_int_equal(head("GET", "/", false, (struct line[N]){HOST, {"HOST", "a.example.org"}}, &in), 400);
}

static void targets_have_four_forms_and_two_are_taken(void **state)
{
    static const struct {
        const char *method, *target;
        unsigned status;
        const char *host, *path;
    } cases[] = {
        {"GET", "http://b.example.org/x", 0, "b.example.org", "/x"},
        {"GET", "HTTPS://B.example.org:444/x?y", 0, "b.example.org", "/x"},
        {"GET", "http://b.example.org", 0, "b.example.org", "/"},
        {"GET", "http://b.example.org?y", 0, "b.example.org", "/"},
        {"GET", "http://", 400, NULL, NULL},
        {"GET", "http:///x", 400, NULL, NULL},
        {"GET", "http://u:p@b.example.org/", 400, NULL, NULL},
        {"GET", "http://b.example.org\\@c/", 400, NULL, NULL},
        {"GET", "http://b.example.org#x", 400, NULL, NULL},
        {"GET", "ftp://b.example.org/", 400, NULL, NULL},
        {"GET", "//b.example.org/x", 400, NULL, NULL},
        {"GET", "x", 400, NULL, NULL},
        {"GET", "", 400, NULL, NULL},
        {"GET", "?x", 400, NULL, NULL},
        {"GET", "*", 400, NULL, NULL},
        {"OPTIONS", "*", 0, "a.example.org", ""},
        {"OPTIONS", "/x", 0, "a.example.org", "/x"},
        {"CONNECT", "b.example.org:443", 501, NULL, NULL},
        {"TRACE", "/", 501, NULL, NULL},
        {"PATCH", "/", 501, NULL, NULL},
        {"get", "/", 501, NULL, NULL},
        {"GE T", "/", 400, NULL, NULL},
        {"", "/", 400, NULL, NULL},
        {"GET", "/x?a b", 400, NULL, NULL},
        {"GET", "/a/../b", 400, NULL, NULL},
    };
    struct http_intent in;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned status = head(cases[i].method, cases[i].target, false, (struct line[N]){HOST}, &in);
        if (status != cases[i].status)
            fail_msg("%s %s: %u", cases[i].method, cases[i].target, status);
        if (!status) {
            assert_string_equal(in.host, cases[i].host);
            assert_string_equal(in.path.len ? in.path.text : "", cases[i].path);
        }
    }
}

static void names_and_values_of_fields_are_held_to_their_grammar(void **state)
{
    assert_true(http_name_valid(slice_str("X-Y_z.1")));
    assert_false(http_name_valid(slice_str("")));
    assert_false(http_name_valid(slice_str("X ")));
    assert_false(http_name_valid(slice_str("X\t")));
    assert_false(http_name_valid(slice_str("X:")));
    assert_false(http_name_valid(slice_str("X\xc3\xa9")));
    assert_false(http_name_valid(slice_of("X\0Y", 3)));
    assert_true(http_value_valid(slice_str("a b\tc \xc3\xa9")));
    assert_true(http_value_valid(slice_str("")));
    assert_false(http_value_valid(slice_str("a\rb")));
    assert_false(http_value_valid(slice_str("a\nb")));
    assert_false(http_value_valid(slice_of("a\0b", 3)));
    assert_false(http_value_valid(slice_str("a\x7f")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_request_is_read),
        cmocka_unit_test(a_body_has_one_end),
        cmocka_unit_test(a_host_is_a_name_or_an_address),
        cmocka_unit_test(targets_have_four_forms_and_two_are_taken),
        cmocka_unit_test(names_and_values_of_fields_are_held_to_their_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
