/* Paths, queries and rows: what two readers could understand in two ways is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/http/router.h"

static unsigned read_path(const char *raw, struct http_path *p)
{
    return http_path_read(slice_str(raw), p);
}

static void a_path_is_decoded_once(void **state)
{
    static const struct {
        const char *raw, *text;
    } good[] = {
        {"/", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/.well-known/x", "/.well-known/x"},
        {"/a%20b/c", "/a b/c"},
        {"/%c3%A9", "/\xc3\xa9"},
        {"/a+b", "/a+b"},
        {"/...", "/..."},
        {"/a..b/..c", "/a..b/..c"},
        {"/ann%40example.org", "/ann@example.org"},
        {"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
    };
    struct http_path p;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(read_path(good[i].raw, &p), 0);
        assert_string_equal(p.text, good[i].text);
        assert_int_equal(p.len, strlen(good[i].text));
    }
}

static void tricks_with_paths_are_refused(void **state)
{
    static const char *const bad[] = {
        "",       "a",       "*",         "//",        "//a",        "/a//b",        "/a//",     "/.",
        "/..",    "/./a",    "/../a",     "/a/..",     "/a/../b",    "/a/.",         "/%2e",     "/%2e%2e/a",
        "/.%2e",  "/%2E./a", "/a/%2e%2e", "/a%2fb",    "/a%2Fb",     "/%2f",         "/a%5cb",   "/a\\b",
        "/a%00b", "/%00",    "/a%0ab",    "/a%0d%0ab", "/a%7f",      "/a%252fb",     "/%2525",   "/a%25",
        "/%",     "/a%2",    "/a%zz",     "/a%u002f",  "/a b",       "/a\tb",        "/a?b",     "/a#b",
        "/a\"b",  "/a<b>",   "/a[b]",     "/a^b",      "/a`b",       "/a{b}",        "/a|b",     "/\xc3\xa9",
        "/a\x7f", "/\x01",   "/..%2fa",   "/..%5ca",   "/%c0%af/..", "/a/%2e%2e%2f", "/a;/../b",
    };
    struct http_path p = {.text = "as it was", .len = 9};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (read_path(bad[i], &p) != 400)
            fail_msg("%s was taken", bad[i]);
    assert_string_equal(p.text, "as it was");
    assert_int_equal(http_path_read(slice_of("/a\0b", 4), &p), 400);
}

static void a_long_path_is_414(void **state)
{
    char raw[HTTP_PATH_MAX + 2];
    struct http_path p;

    memset(raw, 'a', sizeof(raw));
    raw[0] = '/';
    assert_int_equal(http_path_read(slice_of(raw, HTTP_PATH_MAX), &p), 0);
    assert_int_equal(p.len, HTTP_PATH_MAX);
    assert_int_equal(http_path_read(slice_of(raw, HTTP_PATH_MAX + 1), &p), 414);
}

static bool query(const char *raw, const char *name, char *out, size_t cap)
{
    struct http_request r = {.query = slice_str(raw)};
    struct slice value;
    char buf[64];

    if (!http_query(&r, name, buf, cap < sizeof(buf) ? cap : sizeof(buf), &value))
        return false;
    memcpy(out, value.data, value.len);
    out[value.len] = '\0';
    return true;
}

static void the_first_of_a_name_is_a_querys_value(void **state)
{
    char out[65];

    assert_true(query("op=get&search=ann%40example.org&op=index", "op", out, 64));
    assert_string_equal(out, "get");
    assert_true(query("op=get&search=ann%40example.org", "search", out, 64));
    assert_string_equal(out, "ann@example.org");
    assert_true(query("a=b=c", "a", out, 64));
    assert_string_equal(out, "b=c");
    assert_true(query("a+b=c+d%2Be", "a b", out, 64));
    assert_string_equal(out, "c d+e");
    assert_true(query("exact&x=1", "exact", out, 64));
    assert_string_equal(out, "");
    assert_true(query("%6fp=get", "op", out, 64));
    assert_string_equal(out, "get");
    assert_false(query("op=get", "o", out, 64));
    assert_false(query("op=get", "opt", out, 64));
    assert_false(query("", "op", out, 64));
    assert_false(query("a=b%00c", "a", out, 64));
    assert_false(query("a=b%zz", "a", out, 64));
    assert_false(query("a=12345", "a", out, 4));
    assert_true(query("long-name-here=1&a=1234", "a", out, 4));
    assert_string_equal(out, "1234");
}

static void a_query_is_made_of_what_queries_have(void **state)
{
    static char raw[HTTP_QUERY_MAX + 1];

    assert_int_equal(http_query_check(slice_str("a=b&c=/d?e:@+%20-._~!$'()*,;")), 0);
    assert_int_equal(http_query_check(slice_str("")), 0);
    assert_int_equal(http_query_check(slice_str("a=b c")), 400);
    assert_int_equal(http_query_check(slice_str("a=b#c")), 400);
    assert_int_equal(http_query_check(slice_str("a=%f")), 400);
    assert_int_equal(http_query_check(slice_str("a=\xc3\xa9")), 400);
    assert_int_equal(http_query_check(slice_str("a=<script>")), 400);
    memset(raw, 'a', sizeof(raw));
    assert_int_equal(http_query_check(slice_of(raw, HTTP_QUERY_MAX)), 0);
    assert_int_equal(http_query_check(slice_of(raw, HTTP_QUERY_MAX + 1)), 414);
}

static const struct http_route rows[] = {
    {.methods = HTTP_GET, .pattern = "/"},
    {.methods = HTTP_GET, .pattern = "/a"},
    {.methods = HTTP_POST, .pattern = "/a", .body_max = 10},
    {.methods = HTTP_GET, .pattern = "/:one/b/:two", .flags = HTTP_ANY_ORIGIN},
    {.methods = HTTP_GET, .pattern = "/clear", .flags = HTTP_CLEAR_TOO},
    {.methods = HTTP_GET, .pattern = "/alone", .flags = HTTP_CLEAR_ALONE},
};
static const struct http_route more[] = {
    {.methods = HTTP_DELETE, .pattern = "/a"}, {.methods = HTTP_GET, .pattern = "/a"}, /* never: the first row has it */
};
static int here, there;
static const struct http_routes tables[] = {{rows, sizeof(rows) / sizeof(*rows), &here}, {more, 2, &there}};

static unsigned find(enum http_method method, bool tls, const char *raw, struct http_match *m)
{
    static struct http_path p;

    assert_int_equal(read_path(raw, &p), 0);
    return http_route_find(tables, 2, method, tls, &p, m);
}

static void rows_are_found(void **state)
{
    struct http_match m;

    assert_int_equal(find(HTTP_GET, true, "/", &m), 0);
    assert_ptr_equal(m.row, &rows[0]);
    assert_int_equal(find(HTTP_GET, true, "/a", &m), 0);
    assert_ptr_equal(m.row, &rows[1]);
    assert_ptr_equal(m.service, &here);
    assert_int_equal(find(HTTP_HEAD, true, "/a", &m), 0);
    assert_ptr_equal(m.row, &rows[1]);
    assert_int_equal(find(HTTP_POST, true, "/a", &m), 0);
    assert_ptr_equal(m.row, &rows[2]);
    assert_int_equal(find(HTTP_DELETE, true, "/a", &m), 0);
    assert_ptr_equal(m.row, &more[0]);
    assert_ptr_equal(m.service, &there);
    assert_int_equal(find(HTTP_GET, true, "/x%20y/b/z", &m), 0);
    assert_ptr_equal(m.row, &rows[3]);
    assert_memory_equal(m.params[0].data, "x y", 3);
    assert_int_equal(m.params[0].len, 3);
    assert_int_equal(m.params[1].len, 1);
    assert_int_equal(m.flags, HTTP_ANY_ORIGIN);
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const none[] = {"/b", "/a/", "/A", "/aa", "/x/b", "/x/b/", "/x/b/z/y", "/x/c/z", "/%3Aone/b/"};
    struct http_match m;

    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        if (find(HTTP_GET, true, none[i], &m) != 404)
            fail_msg("%s was found", none[i]);
    assert_int_equal(find(HTTP_OPTIONS, true, "/b", &m), 404);
}

static void other_methods_are_405_with_those_there_are(void **state)
{
    struct http_match m;
    char out[64];

    assert_int_equal(find(HTTP_PUT, true, "/a", &m), 405);
    assert_string_equal(http_allow(m.allowed, out, sizeof(out)), "GET, HEAD, POST, DELETE, OPTIONS");
    assert_int_equal(find(HTTP_OPTIONS, true, "/a", &m), 204);
    assert_string_equal(http_allow(m.allowed, out, sizeof(out)), "GET, HEAD, POST, DELETE, OPTIONS");
    assert_int_equal(find(HTTP_POST, true, "/", &m), 405);
    assert_string_equal(http_allow(m.allowed, out, sizeof(out)), "GET, HEAD, OPTIONS");
}

static void what_needs_tls_has_it(void **state)
{
    struct http_match m;

    assert_int_equal(find(HTTP_GET, false, "/a", &m), 404);
    assert_int_equal(find(HTTP_GET, false, "/clear", &m), 0);
    assert_int_equal(find(HTTP_GET, true, "/clear", &m), 0);
    assert_int_equal(find(HTTP_GET, false, "/alone", &m), 0);
    assert_int_equal(find(HTTP_GET, true, "/alone", &m), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_decoded_once),
        cmocka_unit_test(tricks_with_paths_are_refused),
        cmocka_unit_test(a_long_path_is_414),
        cmocka_unit_test(the_first_of_a_name_is_a_querys_value),
        cmocka_unit_test(a_query_is_made_of_what_queries_have),
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(other_methods_are_405_with_those_there_are),
        cmocka_unit_test(what_needs_tls_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
