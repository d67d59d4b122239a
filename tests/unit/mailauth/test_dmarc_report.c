/* DMARC reports: what is counted, and what strangers put in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/dmarc_report.h"

#define HEAD                                                                                                       \
    "<?xml version=\"1.0\"?><feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"><report_metadata>"                \
    "<org_name> Large &amp; Co </org_name><report_id>r1</report_id><date_range><begin>1764288000</begin>"          \
    "<end>1764374399</end></date_range></report_metadata><policy_published><domain>Bank.Example</domain><p>reject" \
    "</p></policy_published>"
#define ROW(count, disposition, dkim, spf)                                                                             \
    "<record><row><source_ip>192.0.2.1</source_ip><count>" count "</count><policy_evaluated><disposition>" disposition \
    "</disposition><dkim>" dkim "</dkim><spf>" spf "</spf></policy_evaluated></row><auth_results><dkim><domain>x.test" \
    "</domain><result>pass</result></dkim><spf><result>pass</result></spf></auth_results></record>"

static struct dmarc_report got;

static int read_octets(const void *data, size_t len)
{
    void *copy = malloc(len + 1); /* so that a sanitizer sees each octet read behind it */
    assert_non_null(copy);
    memcpy(copy, data, len);
    int err = dmarc_report_read(copy, len, &got);
    free(copy);
    return err;
}

static int read_text(const char *text)
{
    return read_octets(text, strlen(text));
}

static void test_counts(void **state)
{
    assert_int_equal(read_text(HEAD ROW("10", "none", "pass", "pass") ROW("3", "none", "fail", "pass")
                                   ROW("2", "reject", "fail", "fail") ROW(" 1\n", "quarantine", "fail", "fail")
                                       ROW("7", "none", "pass", "fail") "</feedback>"),
                     OK);
    assert_string_equal(got.organization, "Large & Co");
    assert_string_equal(got.id, "r1");
    assert_string_equal(got.domain, "bank.example");
    assert_int_equal(got.begin, 1764288000);
    assert_int_equal(got.end, 1764374399);
    assert_int_equal(got.messages, 23);
    assert_int_equal(got.passed, 20);
    assert_int_equal(got.by_dkim, 17);
    assert_int_equal(got.by_spf, 13);
    assert_int_equal(got.rejected, 2);
    assert_int_equal(got.quarantined, 1);
    assert_int_equal(read_text("<x:feedback xmlns:x='y'><x:policy_published><x:domain>a.example</x:domain>"
                               "</x:policy_published></x:feedback>"),
                     OK);
    assert_int_equal(got.messages, 0);
}

static void test_numbers_that_are_none(void **state)
{
    static const char *const none[] = {"-1", "", "x", "1e9", "0x10", "1 2", "\xd9\xa1"};
    char text[2048];
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        snprintf(text, sizeof(text), HEAD ROW("%s", "none", "pass", "pass") ROW("1", "", "", "") "</feedback>",
                 none[i]);
        assert_int_equal(read_text(text), OK);
        assert_int_equal(got.messages, 1);
        assert_int_equal(got.passed, 0);
    }
    assert_int_equal(read_text(HEAD ROW("99999999999999999999999999", "none", "pass", "x")
                                   ROW("9223372036854775807", "none", "pass", "x") "</feedback>"),
                     OK);
    assert_int_equal(got.messages, INT64_MAX);
    assert_int_equal(got.by_dkim, INT64_MAX);
    assert_int_equal(got.by_spf, 0);
    assert_int_equal(read_text(
                         "<feedback><report_metadata><date_range><begin>253402300800</begin><end>253402300799</end>"
                         "</date_range></report_metadata><policy_published><domain>a.example</domain>"
                         "</policy_published></feedback>"),
                     OK);
    assert_int_equal(got.begin, 0);
    assert_int_equal(got.end, 253402300799);
}

static void test_what_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "<feedback>",
        "<feedback/>",
        "<a>" HEAD "</a>",
        HEAD,
        HEAD "</feedback>x",
        HEAD "&e;</feedback>",
        "<!DOCTYPE feedback><feedback><policy_published><domain>a.example</domain></policy_published></feedback>",
        "<!DOCTYPE f [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><feedback>&b;</feedback>",
        "<!DOCTYPE f SYSTEM 'file:///etc/passwd'><feedback/>",
        "<!DOCTYPE f [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><feedback>&x;</feedback>",
        "<feedback><policy_published><domain>not a name</domain></policy_published></feedback>",
        "<feedback><policy_published><domain>a.example\x01</domain></policy_published></feedback>",
        "<feedback><record><policy_published><domain>a.example</domain></policy_published></record></feedback>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (read_text(bad[i]) != ERR_FORMAT)
            fail_msg("%s", bad[i]);
    static const char nul[] = "<feed\0back/>";
    assert_int_equal(read_octets(nul, sizeof(nul) - 1), ERR_FORMAT);
}

static void test_long_and_deep(void **state)
{
    size_t n = 1000, len = 0;
    char *text = malloc(2 << 20), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "<a>");
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "</a>");
    assert_int_equal(read_text(text), ERR_LIMIT);
    /* A long name hides no element, and is none. */
    len = (size_t)sprintf(text, "%s<record><", HEAD);
    memset(text + len, 'x', 1000);
    len += 1000;
    len += (size_t)sprintf(text + len, "><row><count>5</count></row></");
    memset(text + len, 'x', 1000);
    len += 1000;
    sprintf(text + len, "></record>%s</feedback>", ROW("1", "none", "pass", "pass"));
    assert_int_equal(read_text(text), OK);
    assert_int_equal(got.messages, 1);
    /* Words are cut, in no character. */
    len = (size_t)sprintf(text, "<feedback><report_metadata><org_name>x");
    for (size_t i = 0; i < 1000; i++)
        len += (size_t)sprintf(text + len, "\xc3\xbc");
    sprintf(text + len, "</org_name></report_metadata><policy_published><domain>a.example</domain></policy_published>"
                        "</feedback>");
    assert_int_equal(read_text(text), OK);
    assert_int_equal(strlen(got.organization), DMARC_REPORT_WORDS_CAP - 1);
    free(text);
}

static void test_too_large(void **state)
{
    size_t n = DMARC_REPORT_TEXT_MAX + 1;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, ' ', n);
    assert_int_equal(dmarc_report_read(text, n, &got), ERR_LIMIT);
    memcpy(text, "PK\3\4", 4);
    assert_int_equal(dmarc_report_read(text, DMARC_REPORT_PACKED_MAX + 1, &got), ERR_LIMIT);
    memcpy(text, "\x1f\x8b", 2);
    assert_int_equal(dmarc_report_read(text, DMARC_REPORT_PACKED_MAX + 1, &got), ERR_LIMIT);
    assert_int_equal(dmarc_report_read(text, 100, &got), ERR_FORMAT);
    free(text);
}

/* A ZIP archive's local header: what it says of lengths is not believed. */
static void test_archives(void **state)
{
    char text[1024];
    const char *xml = HEAD "</feedback>";
    const uint32_t len = (uint32_t)strlen(xml);
    uint8_t *p = (uint8_t *)text;
    memset(text, 0, sizeof(text));
    memcpy(text, "PK\3\4\x14", 5);
    for (int i = 0; i < 4; i++)
        p[18 + i] = (uint8_t)(len >> 8 * i);
    p[26] = 3;
    memcpy(text + 30, "r.x", 3);
    memcpy(text + 33, xml, len);
    assert_int_equal(read_octets(text, 33 + len), OK);
    assert_string_equal(got.domain, "bank.example");
    assert_int_equal(read_octets(text, 32 + len), ERR_FORMAT); /* its end is missing */
    for (size_t cut = 4; cut < 33; cut++)
        assert_int_equal(read_octets(text, cut), ERR_FORMAT);
    p[29] = 0xff; /* the extra field goes beyond the end */
    assert_int_equal(read_octets(text, 33 + len), ERR_FORMAT);
    p[29] = 0;
    p[6] = 1;
    assert_int_equal(read_octets(text, 33 + len), ERR_UNSUPPORTED);
    p[6] = 0;
    p[8] = 12;
    assert_int_equal(read_octets(text, 33 + len), ERR_UNSUPPORTED);
    p[8] = 8; /* deflate, which this is not */
    assert_int_equal(read_octets(text, 33 + len), ERR_FORMAT);
}

/* Parts within parts, as deep and as many as somebody likes. */
static int read_mail(const char *text)
{
    return dmarc_report_read_mail(text, strlen(text), &got);
}

static void test_mails(void **state)
{
    static char text[64 * 1024];
    char *at = text;

    got.domain[0] = '\0';
    assert_int_equal(read_mail("Content-Type: application/xml\r\n\r\n" HEAD "</feedback>"), OK);
    assert_string_equal(got.domain, "bank.example");
    assert_int_equal(read_mail("Content-Type: text/plain\r\n\r\n" HEAD "</feedback>"), ERR_FORMAT);
    assert_int_equal(read_mail("Subject: x\r\n\r\n" HEAD "</feedback>"), ERR_FORMAT); /* of no type */
    assert_int_equal(read_mail(""), ERR_FORMAT);
    for (int i = 0; i < 500; i++) /* each within the one before */
        at += sprintf(at, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    sprintf(at, "Content-Type: application/xml\r\n\r\n" HEAD "</feedback>");
    assert_int_equal(read_mail(text), ERR_FORMAT);
    at = text + sprintf(text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (int i = 0; i < 500; i++)
        at += sprintf(at, "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n");
    assert_int_equal(read_mail(text), ERR_LIMIT);
    assert_string_equal(got.domain, "bank.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_long_and_deep),
        cmocka_unit_test(test_too_large),    cmocka_unit_test(test_archives),
        cmocka_unit_test(test_mails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
