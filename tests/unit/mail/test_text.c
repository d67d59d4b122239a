/* Text for people: any charset to UTF-8, encoded words, one line without controls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/text.h"

static void charsets(void **state)
{
    static const struct {
        const char *charset, *in, *out;
    } t[] = {
        {"utf-8", "\xc3\xa4", "\xc3\xa4"},
        {NULL, "\xc3\xa4", "\xc3\xa4"},
        {NULL, "\xe4 and more", "\xc3\xa4 and more"}, /* windows-1252 */
        {"us-ascii", "\x84quoted\x93 ", "\xe2\x80\x9equoted\xe2\x80\x9c "},
        {"koi8-r", "\xd0\xd2", "\xd0\xbf\xd1\x80"},
        {"iso-2022-jp", "\x1b$B4A\x1b(B", "\xe6\xbc\xa2"},
        {"no such charset", "\xe4", "\xc3\xa4"},
        {"euc-kr",
         "a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char out[64];
        size_t n = text_to_utf8(t[i].charset, t[i].in, strlen(t[i].in), out, sizeof(out));
        if (n != strlen(t[i].out) || memcmp(out, t[i].out, n) != 0)
            fail_msg("%zu: %.*s", i, (int)n, out);
        for (size_t cap = 0; cap < n; cap++)
            assert_true(text_to_utf8(t[i].charset, t[i].in, strlen(t[i].in), out, cap) <= cap);
    }
}

/* One octet that is not UTF-8, wherever it stands, makes the text windows-1252; a NUL as well. */
static void odd_octets(void **state)
{
    for (size_t i = 0; i < 44; i++) {
        char in[48], out[64];
        memset(in, 'a', sizeof(in));
        in[i] = '\xe4';
        assert_int_equal(text_to_utf8(NULL, in, sizeof(in), out, sizeof(out)), sizeof(in) + 1);
        assert_memory_equal(out + i, "\xc3\xa4", 2);
        in[i] = '\0';
        in[47] = '\xe4';
        assert_int_equal(text_to_utf8(NULL, in, sizeof(in), out, sizeof(out)), sizeof(in) + 1);
        assert_memory_equal(out + 47, "\xc3\xa4", 2);
    }
}

static void lines(void **state)
{
    static const struct {
        const char *in, *out;
        bool html;
    } t[] = {
        {"a\r\n  b\tc \xc2\xa0 d", "a b c d", false},
        {"a\x1b[2Jb\xc2\x9b"
         "c\xc2\x85"
         "d\x7f"
         "e",
         "a [2Jb c d e", false},
        {"\xc3\xa4\xff", "\xc3\xa4\xef\xbf\xbd", false},
        {"<p>a</p>&lt;b&gt;&#x1b;&#155;c", "<p>a</p>&lt;b&gt;&#x1b;&#155;c", false},
        {"<p>a</p>&lt;b&gt;&#x1b;&#155;c&auml;", "a <b> c\xc3\xa4", true},
        {"<style>x</style><script>y</script>z", "z", true},
        {"a<!-- b > -->c", "a c", true},
        {"&#xd800;&#x110000;&#0;&unknown;a", "&unknown;a", true},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char out[4 * 64];
        size_t n = text_to_line(t[i].in, strlen(t[i].in), t[i].html, 64, out);
        if (n != strlen(t[i].out) || memcmp(out, t[i].out, n) != 0)
            fail_msg("%s: %.*s", t[i].in, (int)n, out);
        assert_true(utf8_printable(out, n));
    }
    char out[12];
    assert_int_equal(text_to_line("\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80", 12, false, 3, out), 9);
}

static void check(int (*write)(const char *value, struct buf *out), const char *in, const char *want)
{
    struct buf b;
    buf_init(&b, 4096, true);
    assert_int_equal(write(in, &b), OK);
    assert_true(utf8_printable(b.data, b.len));
    assert_int_equal(buf_append(&b, "", 1), OK);
    assert_string_equal((char *)b.data, want);
    buf_free(&b);
}

static void fields(void **state)
{
    static const struct {
        const char *in, *text, *addresses;
    } t[] = {
        {"=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?b?5A==?=",
         "Gr\xc3\xbc\xc3\x9f"
         "e\xc3\xa4",
         NULL},
        /* controls, however they came in */
        {"a =?utf-8?q?=1B=C2=9B=0D=0Ab?=", "a     b", NULL},
        {"a\x1b \xc2\x9b"
         "b",
         "a   b", NULL},
        /* an address in a name is quoted */
        {"=?utf-8?q?x=40y=2E?= <a@b>", NULL, "\"x@y.\" <a@b>"},
        {"=?utf-8?q?=C2=9B=22?= <a@b>", NULL, "\" \\\"\" <a@b>"},
        {"team: a@b, c@d;", NULL, "team: a@b, c@d;"},
        {"no address", NULL, "no address"},
        {"Bank <security@pay pal.com>", NULL, "Bank \"<security@pay pal.com>\""},
        {"root, g: a@b (A b)", NULL, "root, g: A b <a@b>;"},
        {"\"Facebook\" <>", NULL, "Facebook \"<>\""},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        if (t[i].text)
            check(text_put_field, t[i].in, t[i].text);
        if (t[i].addresses)
            check(text_put_addresses, t[i].in, t[i].addresses);
    }
    struct buf b;
    buf_init(&b, 4, true);
    assert_int_equal(text_put_field("longer", &b), ERR_LIMIT);
    assert_int_equal(text_put_addresses("a@bcdef", &b), ERR_LIMIT);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(charsets), cmocka_unit_test(odd_octets),
                                       cmocka_unit_test(lines), cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
