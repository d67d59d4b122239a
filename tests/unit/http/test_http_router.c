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

static void the_first_of_a_name_is_a_querys_value(void **state)
{
    static const struct {
        const char *raw, *name;
        size_t cap;
        const char *value; /* NULL: there is none */
    } table[] = {
        {"op=get&search=ann%40example.org&op=index", "op", 64, "get"},
        {"op=get&search=ann%40example.org", "search", 64, "ann@example.org"},
        {"a=b=c", "a", 64, "b=c"},
        {"a+b=c+d%2Be", "a b", 64, "c d+e"},
        {"exact&x=1", "exact", 64, ""},
        {"%6fp=get", "op", 64, "get"},
        {"op=get", "o", 64, NULL},
        {"op=get", "opt", 64, NULL},
        {"", "op", 64, NULL},
        {"a=b%00c", "a", 64, NULL},
        {"a=b%zz", "a", 64, NULL},
        {"a=12345", "a", 4, NULL},
        {"long-name-here=1&a=1234", "a", 4, "1234"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct http_request r = {.query = slice_str(table[i].raw)};
        struct slice value;
        char buf[64];
        bool there = http_query(&r, table[i].name, buf, table[i].cap, &value);

        if (there != (table[i].value != NULL) ||
            (there && (value.len != strlen(table[i].value) || memcmp(value.data, table[i].value, value.len) != 0)))
            fail_msg("%s of %s", table[i].name, table[i].raw);
    }
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
    {.methods = HTTP_GET, .pattern = "/any/case/:x.y", .flags = HTTP_ANY_CASE},
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

static void a_path_in_any_case(void **state)
{
    static const char *const good[] = {"/any/case/X", "/ANY/Case/X", "/aNy/cASE/X"};
    static const char *const none[] = {"/any/cases/X", "/Anyy/case/X", "/ANY/CAS/X", "/CLEAR"};
    struct http_match m;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(find(HTTP_GET, true, good[i], &m), 0);
        assert_ptr_equal(m.row, &rows[5]);
        assert_memory_equal(m.params[0].data, "X", 1);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(find(HTTP_GET, true, none[i], &m), 404);
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
        cmocka_unit_test(a_path_in_any_case),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(other_methods_are_405_with_those_there_are),
        cmocka_unit_test(what_needs_tls_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
