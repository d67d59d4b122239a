/* SPF records (RFC 7208): what the grammar takes, what it refuses, what macros mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/spf.h"

static struct spf_record record;

/* From memory of its own length, so that a sanitizer sees each octet read behind it. */
static char *copy;
static int parse(const char *text)
{
    struct slice bad = {0};
    size_t len = strlen(text);
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    int err = spf_parse(slice_of(copy, len), &record, &bad);
    if (err == ERR_FORMAT)
        assert_non_null(bad.data);
    return err;
}

static void test_what_is_a_record(void **state)
{
    static const char *const yes[] = {"v=spf1", "v=spf1 ", "V=SPF1 -all", "v=spf1  mx"};
    static const char *const no[] = {"", "v=spf", "v=spf10", "v=spf1-all", " v=spf1", "v=spf2.0/pra", "v=spf1\tmx"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(spf_is_record(slice_of(yes[i], strlen(yes[i]))));
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(spf_is_record(slice_of(no[i], strlen(no[i]))));
}

static void test_terms(void **state)
{
    static const struct {
        const char *text;
        enum spf_kind kind;
        char qualifier;
        const char *domain;
        uint8_t bits4, bits6;
    } rows[] = {
        {"all", SPF_ALL, '+', "", 32, 128},
        {"-ALL", SPF_ALL, '-', "", 32, 128},
        {"~include:_spf.example.com", SPF_INCLUDE, '~', "_spf.example.com", 32, 128},
        {"?a", SPF_A, '?', "", 32, 128},
        {"a/24", SPF_A, '+', "", 24, 128},
        {"a//64", SPF_A, '+', "", 32, 64},
        {"a:a.example/0//0", SPF_A, '+', "a.example", 0, 0},
        {"a:a.example.", SPF_A, '+', "a.example.", 32, 128},
        {"mx:%{d}", SPF_MX, '+', "%{d}", 32, 128},
        {"mx:a/b.example/8", SPF_MX, '+', "a/b.example", 8, 128},
        {"ptr", SPF_PTR, '+', "", 32, 128},
        {"ptr:b.example", SPF_PTR, '+', "b.example", 32, 128},
        {"ip4:192.0.2.1", SPF_IP4, '+', "", 32, 128},
        {"ip4:192.0.2.0/24", SPF_IP4, '+', "", 24, 128},
        {"ip6:2001:db8::1/32", SPF_IP6, '+', "", 32, 32},
        {"ip6:::ffff:192.0.2.1", SPF_IP6, '+', "", 32, 128},
        {"exists:%{ir}.%{l1r-}.%{d2}", SPF_EXISTS, '+', "%{ir}.%{l1r-}.%{d2}", 32, 128},
        {"exists:%%%_%-.example.x-y", SPF_EXISTS, '+', "%%%_%-.example.x-y", 32, 128},
        {"redirect=_spf.example.com", SPF_REDIRECT, 0, "_spf.example.com", 32, 128},
        {"exp=a.example", SPF_EXP, 0, "a.example", 32, 128},
        {"ra=anything", SPF_OTHER, 0, "anything", 32, 128},
        {"x-y_z.1=", SPF_OTHER, 0, "", 32, 128},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[200];
        snprintf(text, sizeof(text), "v=spf1  %s ", rows[i].text);
        if (parse(text) != OK || record.n != 1)
            fail_msg("%s", rows[i].text);
        const struct spf_term *t = &record.v[0];
        assert_int_equal(t->kind, rows[i].kind);
        assert_int_equal(t->qualifier, rows[i].qualifier);
        assert_int_equal(t->bits4, rows[i].bits4);
        assert_int_equal(t->bits6, rows[i].bits6);
        assert_int_equal(t->domain.len, strlen(rows[i].domain));
        assert_memory_equal(t->domain.data ? (const void *)t->domain.data : "", rows[i].domain, t->domain.len);
        assert_int_equal(t->text.len, strlen(rows[i].text));
    }
    assert_int_equal(parse("v=spf1 ip4:192.0.2.7"), OK);
    assert_memory_equal(record.v[0].address, "\xc0\0\2\7", 4);
    assert_int_equal(parse("v=spf1"), OK);
    assert_int_equal(record.n, 0);
}

static void test_what_is_none(void **state)
{
    static const char *const bad[] = {"-",
                                      "+",
                                      "al",
                                      "alla",
                                      "all:a.example",
                                      "all/8",
                                      "include",
                                      "include:",
                                      "include:com",
                                      "include:a..",
                                      "include:a.example/24",
                                      "include:a.1",
                                      "include:a.-b",
                                      "include:a.b-",
                                      "a:",
                                      "a:/24",
                                      "a/33",
                                      "a/024",
                                      "a/",
                                      "a/24/64",
                                      "a//129",
                                      "a//64/24",
                                      "mx:foo:8080",
                                      "ptr/24",
                                      "ptr:",
                                      "ip4",
                                      "ip4:",
                                      "ip4:1.2.3",
                                      "ip4:1.2.3.4/33",
                                      "ip4:1.2.3.4//32",
                                      "ip4:::1",
                                      "ip4:1.2.3.4:25",
                                      "ip6:1.2.3.4",
                                      "ip6:::1/129",
                                      "ip6:fe80::1%eth0",
                                      "exists",
                                      "exists:%{x}.a.b",
                                      "exists:%{c}.a.b",
                                      "exists:%{d",
                                      "exists:%{d0}",
                                      "exists:%",
                                      "exists:%a.b",
                                      "exists:%{}",
                                      "exists:%{d1r.z}",
                                      "redirect=",
                                      "redirect=com",
                                      "redirect:a.example",
                                      "exp=",
                                      "=a",
                                      "1a=b",
                                      "mx;",
                                      "a,mx",
                                      "-a:a.example\x01",
                                      "include:b\xc3\xbc.example",
                                      "--all",
                                      "v=spf1",
                                      "ip4 :1.2.3.4",
                                      "x=%{z}",
                                      "x=%",
                                      "redirect=a.b redirect=a.b",
                                      "exp=a.b exp=c.d"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char text[200];
        snprintf(text, sizeof(text), "v=spf1 a %s -all", bad[i]);
        /* What is a modifier of another name is none of these. */
        if (parse(text) != ERR_FORMAT && strcmp(bad[i], "v=spf1") != 0)
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(parse("v=spf1 a\tmx"), ERR_FORMAT);
    assert_int_equal(parse("v=spf10 a"), ERR_FORMAT);
}

static void test_so_many_terms(void **state)
{
    char text[7 + 2 * (SPF_TERMS_MAX + 1) + 1] = "v=spf1";
    for (int i = 0; i < SPF_TERMS_MAX; i++)
        strcat(text, " a");
    assert_int_equal(parse(text), OK);
    assert_int_equal(record.n, SPF_TERMS_MAX);
    strcat(text, " a");
    assert_int_equal(parse(text), ERR_LIMIT);
}

static struct spf_macros macros(void)
{
    return (struct spf_macros){.local = "strong-bad",
                               .sender_domain = "email.example.com",
                               .domain = "email.example.com",
                               .helo = "mx.example.org",
                               .validated = "unknown",
                               .address = (const uint8_t *)"\xc0\0\2\3"};
}

static void expands(const struct spf_macros *m, const char *spec, const char *wanted)
{
    char out[SPF_NAME_CAP];
    int err = spf_expand(m, slice_of(spec, strlen(spec)), out);
    if (err != OK || strcmp(out, wanted) != 0)
        fail_msg("%s: %d %s", spec, err, err == OK ? out : "");
}

/* The examples of section 7.4, and what they leave out. */
static void test_macros(void **state)
{
    static const char *const rows[][2] = {
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
        {"%{h}.%{p}.a", "mx.example.org.unknown.a"},
        {"%%%_%-.a.", "% %20.a"},
        {"%{S}", "strong-bad%40email.example.com"},
        {"%{d99999999999}", "email.example.com"},
    };
    struct spf_macros m = macros();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        expands(&m, rows[i][0], rows[i][1]);
    m.six = true;
    m.address = (const uint8_t *)"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xcb\x01";
    expands(&m, "%{ir}.%{v}._spf.%{d2}",
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
}

static void test_long_expansions(void **state)
{
    struct spf_macros m = macros();
    char local[400], spec[400] = "", out[SPF_NAME_CAP];
    for (size_t i = 0; i < 199; i++)
        memcpy(local + 2 * i, "a.", 3);
    m.local = local;
    expands(&m, "%{l4}b.example", "a.a.a.b.example");
    /* Cut from the left to 253 octets. */
    assert_int_equal(spf_expand(&m, slice_of("%{l}example", 11), out), OK);
    assert_int_equal(strlen(out), 253);
    assert_string_equal(out + 253 - 11, "a.a.example");
    memset(local, 'x', 100);
    local[100] = '\0';
    for (int i = 0; i < 3; i++)
        strcat(spec, "%{l}.");
    strcat(spec, "a.b");
    assert_int_equal(spf_expand(&m, slice_of(spec, strlen(spec)), out), OK);
    assert_int_equal(strlen(out), 205);
    for (int i = 0; i < 60; i++)
        strcat(spec, "%{l}");
    assert_int_equal(spf_expand(&m, slice_of(spec, strlen(spec)), out), ERR_LIMIT);
    memset(local, 'x', 300);
    local[300] = '\0';
    assert_int_equal(spf_expand(&m, slice_of("%{l}", 4), out), ERR_LIMIT); /* no dot to cut at */
    m.local = "";
    assert_int_equal(spf_expand(&m, slice_of("%{l}", 4), out), ERR_LIMIT);
    assert_int_equal(spf_expand(&m, slice_of("%{y}", 4), out), ERR_FORMAT);
}

static int teardown(void **state)
{
    free(copy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_record), cmocka_unit_test(test_terms),  cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_so_many_terms),    cmocka_unit_test(test_macros), cmocka_unit_test(test_long_expansions),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
