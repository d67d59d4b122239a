/* MIME fields read strictly and leniently; the encodings of mail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/mime.h"

/* "type/subtype name=value ..." of what is read, "!" where it is malformed. */
static void read_all(const char *in, bool strict, char out[256])
{
    struct mime_reader r = mime_read(slice_str(in), strict);
    struct slice type, subtype;
    struct mime_parameter p;
    enum mime_next next;
    if (!mime_read_type(&r, &type, &subtype)) {
        strcpy(out, "!");
        return;
    }
    int n = snprintf(out, 256, "%.*s/%.*s", (int)type.len, type.data, (int)subtype.len, subtype.data);
    while ((next = mime_read_parameter(&r, &p)) == MIME_PARAMETER) {
        uint8_t value[64];
        size_t len = mime_unquote(p.value, value, sizeof(value));
        n += snprintf(out + n, 256 - (size_t)n, " %.*s=%.*s", (int)p.name.len, p.name.data, (int)len, value);
    }
    if (next == MIME_MALFORMED)
        strcat(out, " !");
}

static void both_ways(void **state)
{
    static const struct {
        const char *in, *strict, *lenient;
    } t[] = {
        {"text/plain", "text/plain", "text/plain"},
        {" text/plain; charset=utf-8\r\n", "text/plain charset=utf-8", "text/plain charset=utf-8"},
        {"a/b; c=\"d \\\"e\"; f=g", "a/b c=d \"e f=g", "a/b c=d \"e f=g"},
        {"a/b;\r\n\tc=d;", "a/b c=d", "a/b c=d"},
        {"a/b; c=d;; e=f", "a/b c=d !", "a/b c=d e=f"},
        {"a/b; c = d", "a/b !", "a/b c=d"},
        {"a / b", "!", "a/b"},
        {"a/b (c); d=e", "a/b !", "a/b d=e"},
        {"(c) a/b", "!", "a/b"},
        {"a/b; c=d/e", "a/b c=d !", "a/b c=d/e"},
        {"a/b; c=\"d\r\n e\"", "a/b !", "a/b c=d\r\n e"},
        {"a/b; c=\"open", "a/b !", "a/b !"},
        {"a/b; c", "a/b !", "a/b !"},
        {"a/b; =c", "a/b !", "a/b !"},
        {"a/b c", "a/b !", "a/b !"},
        {"a/b (open", "a/b !", "a/b !"},
        {"a/", "!", "!"},
        {"a", "!", "!"},
        {"", "!", "!"},
        {"a/b; c=\"\"", "a/b c=", "a/b c="},
    };
    char out[256];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        read_all(t[i].in, true, out);
        if (strcmp(out, t[i].strict) != 0)
            fail_msg("%s strictly: %s", t[i].in, out);
        read_all(t[i].in, false, out);
        if (strcmp(out, t[i].lenient) != 0)
            fail_msg("%s leniently: %s", t[i].in, out);
    }
    uint8_t small[3];
    assert_int_equal(mime_unquote(slice_str("\"a\\\"b\""), small, 3), 3);
    assert_memory_equal(small, "a\"b", 3);
    assert_int_equal(mime_unquote(slice_str("abcd"), small, 3), (size_t)-1);
}

static void hp_goes(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: not ok */
        bool hp;
    } t[] = {
        {"text/plain", "text/plain", false},
        {"text/plain; HP=clear; a=b", "text/plain;\r\n\ta=b", true},
        {"a/b; hp*0=c; protected-headers=\"v1\"; d=\"e\"", "a/b;\r\n\td=\"e\"", true},
        {"a/b; hpx=c", "a/b;\r\n\thpx=c", false},
        {"a/b; c=d;", "a/b;\r\n\tc=d", false},
        {"a/b; c=\x01", NULL, false},
        {"a/b\r; c=d", NULL, false},
        {"a/b; c", NULL, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct mime_type type;
        mime_type_scan(slice_str(t[i].in), &type);
        assert_int_equal(type.ok, t[i].out != NULL);
        if (!type.ok)
            continue;
        assert_int_equal(type.has_hp, t[i].hp);
        struct buf b;
        buf_init(&b, 256, false);
        assert_int_equal(mime_type_without_hp(slice_str(t[i].in), &b), OK);
        assert_int_equal(buf_append(&b, "", 1), OK);
        assert_string_equal((char *)b.data, t[i].out);
        buf_free(&b);
    }
    struct mime_type type;
    mime_type_scan(slice_str("multipart/signed; protocol=\"application/pgp-signature\"; \r\n"), &type);
    assert_true(type.ok && type.is_pgp_signed && type.ends_in_semicolon && type.end == 55);
}

static void whose_results(void **state)
{
    static const struct {
        const char *s;
        bool ours;
    } t[] = {
        {"mx.example; spf=pass", true},
        {" (c) MX.Example.; x", true},
        {"\"mx.example\" 1; x", true},
        {"mx.example.org; x", false},
        {"xmx.example; x", false},
        {"other", false},
        {"(open", true},
        {"", true},
        {"\"mx\\.example\"; x", true}, /* who can tell */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        if (mime_auth_results_is_ours(slice_str(t[i].s), "mx.example") != t[i].ours)
            fail_msg("%s", t[i].s);
}

static void bodies(void **state)
{
    static const struct {
        const char *in, *base64, *qp; /* NULL: refused */
    } t[] = {
        {"SGVsbG8=", "Hello", NULL},
        {"SGVs\r\n bG8=", "Hello", NULL},
        {"SGVsbG8", NULL, "SGVsbG8"},
        {"SGVsbG8=SGVs", NULL, NULL},
        {"S===", NULL, NULL},
        {"====", NULL, NULL},
        {"SG-s", NULL, "SG-s"},
        {"", "", ""},
        {"a=3Db=\r\nc=\nd=c3=A4", NULL, "a=bcd\xc3\xa4"},
        {"a=", NULL, NULL},
        {"a=3", NULL, NULL},
        {"a=3g", NULL, NULL},
        {"a=\rb", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct slice in = slice_str(t[i].in);
        uint8_t *out = malloc(in.len ? in.len : 1);
        size_t n;
        int err = encoding_decode_base64(in, out, &n);
        assert_int_equal(err, t[i].base64 ? OK : ERR_FORMAT);
        if (!err && (n != strlen(t[i].base64) || memcmp(out, t[i].base64, n) != 0))
            fail_msg("%s: %.*s", t[i].in, (int)n, out);
        err = encoding_decode_quoted_printable(in, out, &n);
        assert_int_equal(err, t[i].qp ? OK : ERR_FORMAT);
        if (!err && (n != strlen(t[i].qp) || memcmp(out, t[i].qp, n) != 0))
            fail_msg("%s: %.*s", t[i].in, (int)n, out);
        free(out);
    }
}

static void words(void **state)
{
    static const struct {
        const char *in, *charset, *text; /* charset NULL: no word */
    } t[] = {
        {"=?utf-8?Q?Gr=C3=BC=C3=9Fe_x?= y", "utf-8",
         "Gr\xc3\xbc\xc3\x9f"
         "e x"},
        {"=?ISO-8859-1*de?b?5A==?=", "ISO-8859-1", "\xe4"},
        {"=?a?q?=4?=", "a", "=4"}, /* as far as it can be read */
        {"=?a?b?SG*VsbG8?=", "a", "H"},
        {"=?a?q?"
         "?=",
         "a", ""},
        {"=?a?x?b?=", NULL, NULL},
        {"=?a?q?b c?=", NULL, NULL},
        {"=?a?q?b", NULL, NULL},
        {"=?a?q?b?", NULL, NULL},
        {"=?a?q", NULL, NULL},
        {"=a?q?b?=", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        for (size_t len = 0; len <= strlen(t[i].in); len++) {
            char *exact = malloc(len ? len : 1);
            struct encoded_word w;
            uint8_t text[64];
            memcpy(exact, t[i].in, len);
            size_t used = encoding_word(slice_of(exact, len), &w), n;
            if (len == strlen(t[i].in))
                assert_int_equal(used > 0, t[i].charset != NULL);
            if (used && t[i].charset) {
                n = encoding_word_decode(&w, text, sizeof(text));
                assert_int_equal(w.charset.len, strlen(t[i].charset));
                assert_memory_equal(w.charset.data, t[i].charset, w.charset.len);
                assert_int_equal(n, strlen(t[i].text));
                assert_memory_equal(text, t[i].text, n);
                assert_int_equal(encoding_word_decode(&w, text, n / 2), n / 2);
            }
            free(exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways), cmocka_unit_test(hp_goes), cmocka_unit_test(whose_results),
        cmocka_unit_test(bodies),    cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
