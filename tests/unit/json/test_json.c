/* JSON by tables: what is read, what is refused and where, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "webmail-api/json/json_in.h"
#include "webmail-api/json/json_out.h"

struct inner {
    uint64_t n;
};

struct asked {
    char address[11];
    uint8_t ke1[3];
    JSON_SPAN(5) wrapped;
    uint64_t profile;
    bool keep, has_keep;
    uint32_t scopes;
    struct inner inner;
    bool has_wrapped, has_scopes, has_inner;
};

static const char *const words[] = {"mail", "jmap", NULL};
static const struct json_in_member inner_rows[] = {{"n", JSON_IN_UNSIGNED, JSON_IN_AT(struct inner, n), .max = 9}};
static const struct json_in_table inner_table = JSON_IN_TABLE(struct inner, inner_rows);
static const struct json_in_member rows[] = {
    {"address", JSON_IN_TEXT, JSON_IN_AT(struct asked, address)},
    {"ke1", JSON_IN_OCTETS, JSON_IN_AT(struct asked, ke1)},
    {"profile", JSON_IN_UNSIGNED, JSON_IN_AT(struct asked, profile), .max = 255},
    {"wrapped", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct asked, wrapped), JSON_IN_FLAG(struct asked, has_wrapped)},
    {"keep", JSON_IN_BOOL, JSON_IN_AT(struct asked, keep), JSON_IN_FLAG(struct asked, has_keep)},
    {"scopes", JSON_IN_WORDS, JSON_IN_AT(struct asked, scopes), JSON_IN_FLAG(struct asked, has_scopes), .words = words},
    {"inner", JSON_IN_OBJECT, JSON_IN_AT(struct asked, inner), JSON_IN_FLAG(struct asked, has_inner),
     .table = &inner_table},
};
static const struct json_in_table table = JSON_IN_TABLE(struct asked, rows);

#define HEAD "{\"address\":\"a@b.org\",\"ke1\":\"AQID\",\"profile\":1"

static int read_n(const void *text, size_t len, struct asked *ret, struct json_in_why *why)
{
    char *copy = malloc(len + 1); /* so that a reader that goes too far is seen */
    int err;

    assert_non_null(copy);
    memcpy(copy, text, len);
    err = json_in_read(slice_of(copy, len), &table, ret, why);
    free(copy);
    return err;
}

static int read(const char *text, struct asked *ret, struct json_in_why *why)
{
    return read_n(text, strlen(text), ret, why);
}

static void what_was_asked(void **state)
{
    struct asked a = {.profile = 7};
    struct json_in_why why = {"unsaid", "unsaid"};

    assert_int_equal(read(HEAD "}", &a, &why), OK);
    assert_string_equal(a.address, "a@b.org");
    assert_memory_equal(a.ke1, "\1\2\3", 3);
    assert_int_equal(a.profile, 1);
    assert_false(a.has_wrapped || a.has_keep || a.has_scopes || a.has_inner);
    assert_string_equal(why.what, "unsaid");

    assert_int_equal(read(" {\"scopes\":[\"jmap\",\"mail\"],\"wrapped\":\"AQIDBAU\",\"keep\":true,\"inner\":{\"n\":9},"
                          "\"profile\":255,\"ke1\":\"____\",\"address\":\"\\u00fc\xc3\xbc\xf0\x9f\x98\x80@b\"}\r\n",
                          &a, NULL),
                     OK);
    assert_string_equal(a.address, "\xc3\xbc\xc3\xbc\xf0\x9f\x98\x80@b");
    assert_true(a.has_wrapped && a.has_keep && a.keep && a.has_scopes && a.has_inner);
    assert_int_equal(a.scopes, 3);
    assert_int_equal(a.inner.n, 9);
    assert_int_equal(a.wrapped.len, 5);
    assert_memory_equal(a.wrapped.data, "\1\2\3\4\5", 5);
    assert_int_equal(read(HEAD ",\"wrapped\":\"\",\"keep\":false,\"scopes\":[]}", &a, NULL), OK);
    assert_true(a.has_wrapped && a.wrapped.len == 0 && a.has_keep && !a.keep && a.has_scopes && a.scopes == 0);
}

#define TEN "0123456789"

static const struct {
    const char *text, *name, *what;
} wrong[] = {
    {"", NULL, "it is not a JSON object"},
    {"[]", NULL, "it is not a JSON object"},
    {"null", NULL, "it is not a JSON object"},
    {HEAD "} {}", NULL, "it is not a JSON object"},
    {HEAD ",}", NULL, "it is not a JSON object"},
    {HEAD "}}", NULL, "it is not a JSON object"},
    {HEAD, NULL, "it is not a JSON object"},
    {"\xef\xbb\xbf" HEAD "}", NULL, "it is not a JSON object"}, /* a byte order mark (RFC 8259 section 8.1) */
    {HEAD ",\"profile\":1}", NULL, "it is not a JSON object"},  /* twice */
    {HEAD ",\"prof\\u0069le\":2}", NULL, "it is not a JSON object"},
    {HEAD ",'keep':true}", NULL, "it is not a JSON object"},
    {HEAD ",\"keep\":NaN}", NULL, "it is not a JSON object"},
    {HEAD "/**/}", NULL, "it is not a JSON object"},
    {HEAD ",\"x\\u0000y\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"a\\u0000b\",\"ke1\":\"AQID\",\"profile\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"\\ud800\",\"ke1\":\"AQID\",\"profile\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"\xc0\xaf\",\"ke1\":\"AQID\",\"profile\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"\xed\xa0\x80\",\"ke1\":\"AQID\",\"profile\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"a\nb\",\"ke1\":\"AQID\",\"profile\":1}", NULL, "it is not a JSON object"},
    {"{\"address\":\"a\\nb\",\"ke1\":\"AQID\",\"profile\":1}", "address", "is not a text that may stand there"},
    {"{\"address\":\"\\u0085\",\"ke1\":\"AQID\",\"profile\":1}", "address", "is not a text that may stand there"},
    {"{\"address\":\"" TEN "1\",\"ke1\":\"AQID\",\"profile\":1}", "address", "is not a text that may stand there"},
    {"{\"address\":7,\"ke1\":\"AQID\",\"profile\":1}", "address", "is not a text that may stand there"},
    {"{\"address\":null,\"ke1\":\"AQID\",\"profile\":1}", "address", "is not a text that may stand there"},
    {"{\"ke1\":\"AQID\",\"profile\":1}", "address", "is missing"},
    {"{\"Address\":\"a\",\"ke1\":\"AQID\",\"profile\":1}", "address", "is missing"},
    {"{\"address\":\"a\",\"ke1\":\"AQI\",\"profile\":1}", "ke1", "is not base64url of so many octets"},
    {"{\"address\":\"a\",\"ke1\":\"AQIDBA\",\"profile\":1}", "ke1", "is not base64url of so many octets"},
    {"{\"address\":\"a\",\"ke1\":\"AQI/\",\"profile\":1}", "ke1", "is not base64url of so many octets"},
    {"{\"address\":\"a\",\"ke1\":[1,2,3],\"profile\":1}", "ke1", "is not base64url of so many octets"},
    {"{\"address\":\"a\",\"ke1\":\"AQID\",\"profile\":256}", "profile", "is not a number that may stand there"},
    {"{\"address\":\"a\",\"ke1\":\"AQID\",\"profile\":-1}", "profile", "is not a number that may stand there"},
    {"{\"address\":\"a\",\"ke1\":\"AQID\",\"profile\":\"1\"}", "profile", "is not a number that may stand there"},
    {"{\"address\":\"a\",\"ke1\":\"AQID\",\"profile\":1.0}", NULL, "a number is not an integer"},
    {"{\"address\":\"a\",\"ke1\":\"AQID\",\"profile\":1e2}", NULL, "a number is not an integer"},
    {HEAD ",\"wrapped\":\"AQIDBAUG\"}", "wrapped", "is not base64url, or too long"},
    {HEAD ",\"wrapped\":null}", "wrapped", "is not base64url, or too long"},
    {HEAD ",\"keep\":1}", "keep", "is neither true nor false"},
    {HEAD ",\"scopes\":[\"mail\",\"mail\"]}", "scopes", "is not a list of words that are known"},
    {HEAD ",\"scopes\":[\"admin\"]}", "scopes", "is not a list of words that are known"},
    {HEAD ",\"scopes\":[1]}", "scopes", "is not a list of words that are known"},
    {HEAD ",\"scopes\":\"mail\"}", "scopes", "is not a list of words that are known"},
    {HEAD ",\"inner\":[]}", "inner", "is not an object"},
    {HEAD ",\"inner\":{\"n\":10}}", "n", "is not a number that may stand there"},
    {HEAD ",\"inner\":{\"n\":1,\"m\":1}}", NULL, "there is a member that is not known"},
    {HEAD ",\"prf\":\"AQID\"}", NULL, "there is a member that is not known"},
    {HEAD ",\"\":1}", NULL, "there is a member that is not known"},
};

static void what_was_not(void **state)
{
    struct asked before, a;

    memset(&before, 0x5a, sizeof(before));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct json_in_why why = {"unsaid", "unsaid"};
        a = before;
        if (read(wrong[i].text, &a, &why) != ERR_FORMAT || strcmp(why.what, wrong[i].what) != 0)
            fail_msg("%s: %s", wrong[i].text, why.what);
        assert_true(wrong[i].name ? why.name && strcmp(why.name, wrong[i].name) == 0 : !why.name);
        assert_memory_equal(&a, &before, sizeof(a));
    }
    assert_int_equal(read_n(HEAD "}\0", strlen(HEAD) + 2, &a, NULL), ERR_FORMAT);
    assert_int_equal(json_in_read(slice_of(NULL, 0), &table, &a, NULL), ERR_FORMAT);
}

/* A text of n repeated pieces between two others. */
static char *repeated(const char *front, const char *piece, size_t n, const char *behind)
{
    char *s = calloc(1, strlen(front) + n * (strlen(piece) + 8) + strlen(behind) + 1), *at;

    assert_non_null(s);
    at = s + sprintf(s, "%s", front);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, piece, (unsigned)i);
    strcpy(at, behind);
    return s;
}

static void limits(void **state)
{
    static const struct json_in_member none[1];
    const struct json_in_table others = {.members = none, .n = 0, .size = 1, .others = true};
    const struct {
        const char *front, *piece, *behind;
        size_t fits, over;
        const char *what;
    } cases[] = {
        {"{\"a\":", "[", "", 3, 4, "nested"},
        {"{\"x\":0", ",\"%u\":1", "}", 31, 32, "members"},
        {"{\"x\":[0", ",%u", "]}", 31, 32, "members"},
        {"{\"x\":{\"x\":0", ",\"%u\":1", "}}", 31, 32, "members"},
        {"{}", " ", "", 65534, 65535, "large"},
        {"{\"x\":900719925474099", "1", "}", 1, 2, "large"},
        {"{\"x\":-900719925474099", "1", "}", 1, 2, "large"},
    };
    struct json_in_why why;
    char *text, *closed;
    char out[1];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (size_t n = cases[i].fits; n <= cases[i].over; n++) {
            text = repeated(cases[i].front, cases[i].piece, n, cases[i].behind);
            closed = i == 0 ? repeated(text, "]", n, "}") : repeated(text, "", 0, "");
            assert_int_equal(json_in_read(slice_str(closed), &others, out, &why), n == cases[i].fits ? OK : ERR_LIMIT);
            assert_true(n == cases[i].fits || strstr(why.what, cases[i].what));
            free(text);
            free(closed);
        }
    }
    /* what would be deep work is refused as well, and takes no stack */
    text = repeated("{\"a\":", "[", 60000, "");
    assert_int_equal(json_in_read(slice_str(text), &others, out, &why), ERR_LIMIT);
    free(text);
    /* what is in a string is no value */
    text = repeated("{\"x\":\"\\\"", ",[{", 20000, "\"}");
    assert_int_equal(json_in_read(slice_str(text), &others, out, &why), OK);
    free(text);
    /* nothing has 32 of them, but all together more than 256 */
    for (size_t n = 8; n <= 9; n++) {
        text = repeated("{\"x\":0",
                        ",\"%u\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,"
                        "30,31]",
                        n, "}");
        assert_int_equal(json_in_read(slice_str(text), &others, out, &why), n == 8 ? OK : ERR_LIMIT);
        free(text);
    }
    assert_int_equal(json_in_read(slice_str("{\"x\":9223372036854775808}"), &others, out, &why), ERR_FORMAT);
    assert_int_equal(json_in_read(slice_str("{\"x\":1e999}"), &others, out, &why), ERR_FORMAT);
}

/* Whatever is cut off or changed in a request is refused or read as what it then is, and never as a piece of it. */
static void cut(void **state)
{
    static const char whole[] = HEAD ",\"wrapped\":\"AQIDBA\",\"keep\":true,\"inner\":{\"n\":3}}";
    struct asked a;

    for (size_t n = 0; n < sizeof(whole) - 1; n++)
        assert_int_equal(read_n(whole, n, &a, NULL), ERR_FORMAT);
    for (size_t i = 0; i < sizeof(whole) - 1; i++) {
        char text[sizeof(whole)];
        for (unsigned c = 0; c < 256; c++) {
            memcpy(text, whole, sizeof(whole));
            text[i] = (char)c;
            int err = read_n(text, sizeof(whole) - 1, &a, NULL);
            assert_true(err == OK || err == ERR_FORMAT || err == ERR_LIMIT);
        }
    }
}

/* ---- written ---- */

static void written(void **state)
{
    struct json_out o;
    struct buf b;

    buf_init(&b, 1024, true);
    json_out_init(&o);
    json_out_text(&o, "t", slice_str("a\"\\\n\xc3\xbc</script>"));
    json_out_octets(&o, "o", slice_of("\xfb\xff", 2));
    json_out_octets(&o, "e", slice_of(NULL, 0));
    json_out_number(&o, "n", -257);
    json_out_list(&o, "l");
    json_out_bool(&o, NULL, true);
    json_out_object(&o, NULL);
    json_out_bool(&o, "f", false);
    json_out_end(&o);
    json_out_number(&o, NULL, INT64_C(9007199254740991));
    json_out_end(&o);
    json_out_text(&o, "z", slice_of(NULL, 0));
    assert_int_equal(json_out_finish(&o, &b), OK);
    assert_int_equal(buf_append(&b, "", 1), OK);
    assert_string_equal(b.data, "{\"t\":\"a\\\"\\\\\\n\\u00FC</script>\",\"o\":\"-_8\",\"e\":\"\",\"n\":-257,"
                                "\"l\":[true,{\"f\":false},9007199254740991],\"z\":\"\"}");
    buf_free(&b);
}

static void written_in_vain(void **state)
{
    struct json_out o;
    struct buf b;

    buf_init(&b, 16, false);
    assert_int_equal(buf_puts(&b, "before"), OK);
    json_out_init(&o);
    json_out_text(&o, "t", slice_str("too long for it"));
    assert_int_equal(json_out_finish(&o, &b), ERR_LIMIT);
    json_out_init(&o);
    json_out_text(&o, "t", slice_str("\xc3"));
    json_out_list(&o, "l"); /* nothing comes of it */
    json_out_number(&o, NULL, 1);
    assert_int_equal(json_out_finish(&o, &b), ERR_FORMAT);
    assert_int_equal(b.len, 6);
    buf_free(&b);
}

static void problems(void **state)
{
    const struct json_in_why with = {"is missing", "ke1"}, without = {"it is too large", NULL};
    struct buf b;

    buf_init(&b, 1024, false);
    assert_int_equal(json_out_problem("login", "That did not fit.", &b), OK);
    assert_int_equal(json_out_malformed(&with, &b), OK);
    assert_int_equal(json_out_malformed(&without, &b), OK);
    assert_int_equal(buf_append(&b, "", 1), OK);
    assert_string_equal(b.data, "{\"type\":\"urn:letterlock:error:login\",\"detail\":\"That did not fit.\"}"
                                "{\"type\":\"urn:letterlock:error:request\",\"detail\":\"ke1 is missing\"}"
                                "{\"type\":\"urn:letterlock:error:request\",\"detail\":\"it is too large\"}");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked), cmocka_unit_test(what_was_not),
        cmocka_unit_test(limits),         cmocka_unit_test(cut),
        cmocka_unit_test(written),        cmocka_unit_test(written_in_vain),
        cmocka_unit_test(problems),
    };

    json_in_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
