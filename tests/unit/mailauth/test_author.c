/* Who wrote it: what real mail has, and what is made so that a reader sees somebody else than who is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/author.h"

static struct author_verdict got;

static enum author_fault of_octets(const char *value, size_t len)
{
    char *copy = malloc(len + 1); /* so that a sanitizer sees each octet read behind it */
    assert_non_null(copy);
    memcpy(copy, value, len);
    author_read_value(slice_of(copy, len), &got);
    free(copy);
    assert_true((got.fault == AUTHOR_OK) == (got.domain[0] != '\0'));
    assert_true((got.fault == AUTHOR_OK) == (got.mailboxes > 0));
    return got.fault;
}

static enum author_fault of(const char *value)
{
    return of_octets(value, strlen(value));
}

static void test_one_author(void **state)
{
    static const struct {
        const char *value, *domain;
        unsigned mailboxes;
    } rows[] = {
        {" a@bank.example\r\n", "bank.example", 1},
        {"A@BANK.Example", "bank.example", 1},
        {"CEO <a@bank.example>", "bank.example", 1},
        {"<a@bank.example>", "bank.example", 1},
        {"\"Doe, John\" <a@bank.example>", "bank.example", 1},
        {"John Q. Public <a@bank.example>", "bank.example", 1},
        {"Doe, John <a@bank.example>", "bank.example", 1},
        {"John [Jack] <a@bank.example>", "bank.example", 1},
        {"a@bank.example (John (nested) Doe)", "bank.example", 1},
        {"(John) a@bank.example", "bank.example", 1},
        {"=?utf-8?q?J=C3=B6rg?= <a@bank.example>", "bank.example", 1},
        {"J\xc3\xb6rg <a@b\xc3\xa4nk.example>", "xn--bnk-qla.example", 1},
        {"a@bank.example, \"B\" <b@BANK.example>", "bank.example", 2},
        {"a@bank.example <a@BANK.example>", "bank.example", 1},
        {"\r\n CEO\r\n <a@bank.example>\r\n", "bank.example", 1},
        {"\"a b\"@bank.example", "bank.example", 1},
        {", a@bank.example,,", "bank.example", 1},
        {"root@localhost", "localhost", 1},
        {"\"ceo@bank.example\" <a@other.example>", "other.example", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (of(rows[i].value) != AUTHOR_OK || strcmp(got.domain, rows[i].domain) != 0 ||
            got.mailboxes != rows[i].mailboxes)
            fail_msg("%s: %d %s", rows[i].value, got.fault, got.domain);
}

static void test_nobody_agrees(void **state)
{
    static const char *const rows[] = {
        "<bob@evil.example> ceo@bank.example",
        "bob <bob@evil.example> <ceo@bank.example>",
        "ceo@bank.example bob@evil.example",
        "ceo@bank.example <bob@evil.example>",
        "bob@evil.example <ceo@bank.example>",
        "ceo@bank.example\r\n <bob@evil.example>",
        "ceo@bank.example@evil.example",
        "ceo@bank example",
        "ceo@bank.example>",
        "CEO <ceo@bank.example",
        "CEO <bob@evil.example> =?utf-8?q?ceo=40bank.example?=",
        "\"ceo@bank.example",
        "\"ceo@bank.example <bob@evil.example>",
        "bob@evil.example (ceo@bank.example",
        "a@[1.2.3.4",
        "a\"b\"@bank.example",
        "\"a\"b@bank.example",
        "@bank.example",
        "<>",
        "bob@",
        "G: bob@evil.example;",
        "Bank: ;",
        "undisclosed-recipients:;",
        "G: H: a@bank.example;;",
        "<@bank.example:bob@evil.example>",
        "<@bank.example,@x.example:bob@evil.example>",
        "bob@evil.example(.bank.example)(x)y",
        "bob@evil(x).example",
        "bob@evil .example",
        "bob@ evil.example",
        "bob @evil.example",
        "bob(x)@evil.example",
        "bob@evil\r\n .example",
        "\"Someone <ceo@bank.example>\"@evil.example", /* trusteddomainproject/OpenDMARC#243 */
        "\"ceo@bank.example\"@evil.example",
        "\"ceo@bank.example,\"@evil.example",
        "\"ceo\\@bank.example\"@evil.example",
        "=?utf-8?q?ceo=40bank.example?=@evil.example",
        "<=?utf-8?q?ceo=40bank.example?=@evil.example>",
        "bob@=?utf-8?q?bank?=.example",
        "=?utf-8?q?ceo=40bank.example?=, bob@evil.example",
        "\"ceo@bank.example\", bob@evil.example",
        "\"ceo@bank.example \"[192.0.2.1] <bob@evil.example>",
        "\\ \"ceo@bank.example\" <bob@evil.example>",
        "=?utf-8?q?=3Cceo=40bank.example=3E?= [x] <bob@evil.example>",
        "bob@evil.example, \"ceo@bank.example\"",
        "bob@evil.example, =?utf-8?q?x?=",
        "bob@evil.example.",
        "bob@.evil.example",
        "bob@evil..example",
        "bob@evil.example\x01",
        "bob\x7f@evil.example",
        "J\xf6rg <bob@evil.example>",
        "bob@evil\xff.example",
        "bob@evil\xe3\x80\x80.example", /* an ideographic space */
        "bob@evil\xc2\xa0.example",
        "CEO\r\nX: y <bob@evil.example>",
        "CEO\n<bob@evil.example>",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (of(rows[i]) != AUTHOR_UNREADABLE)
            fail_msg("%s: %d %s", rows[i], got.fault, got.domain);
    static const char nul[] = "bob@evil.example\0<ceo@bank.example>";
    assert_int_equal(of_octets(nul, sizeof(nul) - 1), AUTHOR_UNREADABLE);
    static const char in_name[] = "C\0EO <bob@evil.example>";
    assert_int_equal(of_octets(in_name, sizeof(in_name) - 1), AUTHOR_UNREADABLE);
}

static void test_others(void **state)
{
    assert_int_equal(of(""), AUTHOR_MISSING);
    assert_int_equal(of(" \r\n"), AUTHOR_MISSING);
    assert_int_equal(of("Mailer-Daemon"), AUTHOR_MISSING);
    assert_int_equal(of("(nobody)"), AUTHOR_MISSING);
    assert_int_equal(of(","), AUTHOR_MISSING);
    assert_int_equal(of("a@bank.example, b@evil.example"), AUTHOR_SEVERAL);
    assert_int_equal(of("a@bank.example; b@evil.example"), AUTHOR_SEVERAL);
    assert_int_equal(of("a@bank.example, b@sub.bank.example"), AUTHOR_SEVERAL);
    assert_int_equal(of("a@[192.0.2.1]"), AUTHOR_NO_DOMAIN);
    assert_int_equal(of("a@[IPv6:2001:db8::1]"), AUTHOR_NO_DOMAIN);
}

/* What makes the domain another one to the eye alone is judged as the domain that it is. */
static void test_dots_that_are_none(void **state)
{
    enum author_fault f = of("ceo@bank\xe3\x80\x82"
                             "example"); /* an ideographic full stop */
    assert_true(f == AUTHOR_UNREADABLE || strcmp(got.domain, "bank.example") == 0);
    f = of("ceo@b\xe2\x80\x8b"
           "ank.example"); /* a blank without width */
    assert_true(f == AUTHOR_UNREADABLE || strcmp(got.domain, "bank.example") == 0);
    assert_int_equal(of("ceo@b\xd0\xb0nk.example"), AUTHOR_OK); /* a Cyrillic letter */
    assert_string_equal(got.domain, "xn--bnk-6cd.example");
}

static enum author_fault of_header(const char *header)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    assert_int_equal(header_parse((const uint8_t *)header, strlen(header), fields, HEADER_FIELDS_MAX, &v), OK);
    author_read(&v, &got);
    assert_true((got.fault == AUTHOR_OK) == (got.domain[0] != '\0'));
    return got.fault;
}

static void test_fields(void **state)
{
    assert_int_equal(of_header("Subject: x\r\nfrom: a@bank.example\r\n\r\nFrom: b@evil.example\r\n"), AUTHOR_OK);
    assert_string_equal(got.domain, "bank.example");
    assert_int_equal(of_header("Subject: x\r\n\r\n"), AUTHOR_MISSING);
    /* mjl-/mox#459 */
    assert_int_equal(of_header("From: a@bank.example\r\nFrom: b@evil.example\r\n\r\n"), AUTHOR_SEVERAL);
    assert_int_equal(of_header("From: a@bank.example\r\nFrom: a@bank.example\r\n\r\n"), AUTHOR_SEVERAL);
    assert_int_equal(of_header("From: a@bank.example\r\nSubject: x\r\nFROM:\r\n\r\n"), AUTHOR_SEVERAL);
    assert_int_equal(of_header("From: a@bank.example\r\nFrom : b@evil.example\r\n\r\n"), AUTHOR_SEVERAL);
    assert_int_equal(of_header("From : a@bank.example\r\n\r\n"), AUTHOR_UNREADABLE);
    assert_int_equal(of_header("From\t: a@bank.example\r\n\r\n"), AUTHOR_UNREADABLE);
    /* Lines that are no fields: some begin the body there. */
    assert_int_equal(of_header("From ceo@bank.example Mon\r\nFrom: a@evil.example\r\n\r\n"), AUTHOR_UNREADABLE);
    assert_int_equal(of_header("Subject: x\r\nFrom a@bank.example\r\nFrom: b@evil.example\r\n\r\n"), AUTHOR_UNREADABLE);
    assert_int_equal(of_header("\xef\xbb\xbf"
                               "From: a@bank.example\r\nFrom: b@evil.example\r\n\r\n"),
                     AUTHOR_SEVERAL);
    assert_int_equal(of_header("From: b@evil.example\r\nno field\r\nFrom: a@bank.example\r\n\r\n"), AUTHOR_SEVERAL);
    assert_int_equal(of_header("From: a@bank.example\r\nno field\r\nbody\r\n"), AUTHOR_UNREADABLE);
}

static void test_sender(void **state)
{
    assert_int_equal(of_header("From: a@bank.example\r\nSender: b@bank.example\r\n\r\n"), AUTHOR_OK);
    assert_false(got.sender_differs);
    assert_int_equal(of_header("From: a@bank.example\r\nSender: b@list.example\r\n\r\n"), AUTHOR_OK);
    assert_true(got.sender_differs);
    assert_int_equal(of_header("From: a@bank.example\r\nSender: nobody\r\n\r\n"), AUTHOR_OK);
    assert_true(got.sender_differs);
}

static void test_many(void **state)
{
    size_t n = 20000;
    char *text = malloc(n * 16 + 1), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "a@bank.example,");
    assert_int_equal(of(text), AUTHOR_UNREADABLE); /* the line is longer than a header may be */
    text[1000 * 15] = '\0';
    assert_int_equal(of(text), AUTHOR_OK);
    assert_int_equal(got.mailboxes, 1000);
    memset(text, '(', n);
    text[n] = '\0';
    assert_int_equal(of(text), AUTHOR_UNREADABLE);
    free(text);
}

static void address_of_the_author(void **state)
{
    static const struct {
        const char *header, *want;
    } rows[] = {
        {"From: Joe <Joe+x@EXAMPLE.com>\r\n\r\n", "joe+x@example.com"},
        {"From: a@example.com, b@example.com\r\n\r\n", "a@example.com"},
        {"From: \"a\"@example.com\r\n\r\n", "a@example.com"},
        {"From: a@example.com\r\nFrom: b@example.com\r\n\r\n", ""},
        {"From: a@example.com, b@example.net\r\n\r\n", ""},
        {"From: nobody\r\n\r\n", ""},
        {"Subject: x\r\n\r\n", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct header_field fields[8];
        struct header_view v;
        char address[ADDRESS_MAX];
        assert_int_equal(header_parse((const uint8_t *)rows[i].header, strlen(rows[i].header), fields, 8, &v), OK);
        author_address(&v, address);
        assert_string_equal(address, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_author), cmocka_unit_test(test_nobody_agrees),
        cmocka_unit_test(test_others),     cmocka_unit_test(test_dots_that_are_none),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_sender),
        cmocka_unit_test(test_many),       cmocka_unit_test(address_of_the_author),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
