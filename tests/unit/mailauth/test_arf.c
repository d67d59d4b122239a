/* Feedback reports: in the shapes that providers send, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/arf.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))
#define TOP(parameters)                                                              \
    "From: <fbl@provider.example>\r\nTo: abuse@example.org\r\nMIME-Version: 1.0\r\n" \
    "Content-Type: multipart/report; " parameters "\r\n\r\n"
#define REPORT TOP("report-type=feedback-report; boundary=\"b\"")
#define TEXT "--b\r\nContent-Type: text/plain; charset=\"US-ASCII\"\r\n\r\nThis is an email abuse report.\r\n\r\n"
#define FEEDBACK(fields) "--b\r\nContent-Type: message/feedback-report\r\n\r\n" fields "\r\n"
#define ABUSE FEEDBACK("Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n")
#define HEADER                                                                                                    \
    "Received: from mx.example.org\r\nFrom: <ann@example.org>\r\nCFBL-Address: abuse@example.org; report=arf\r\n" \
    "CFBL-Feedback-ID:\r\n AbC+/9\r\nSubject: Earn money\r\nMessage-ID: <1@example.org>\r\n"
#define ORIGINAL \
    "--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n" HEADER "\r\nSpam Spam Spam\r\n\r\n"
#define HEADERS "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" HEADER "\r\n"
#define END "--b--\r\n"
#define HEADER_BASE64                                                                      \
    "UmVjZWl2ZWQ6IGZyb20gbXguZXhhbXBsZS5vcmcNCkNGQkwtRmVlZGJhY2stSUQ6DQogQWJDKy85DQpT\r\n" \
    "dWJqZWN0OiBFYXJuIG1vbmV5DQo=\r\n"

struct row {
    const char *name, *text;
    int err;
    bool complaint;
    const char *id;
};

static void check(const struct row *r, struct slice s)
{
    struct arf_report got = {.complaint = !r->complaint, .id = "untouched"};
    /* of exactly this size, for sanitizers */
    uint8_t *copy = malloc(s.len ? s.len : 1);
    memcpy(copy, s.data, s.len);
    int err = arf_read(slice_of(copy, s.len), &got);
    free(copy);
    if (err != r->err)
        fail_msg("%s: %d", r->name, err);
    if (err != OK)
        assert_string_equal(got.id, "untouched");
    else if (got.complaint != r->complaint || strcmp(got.id, r->id) != 0)
        fail_msg("%s: %d, \"%s\"", r->name, got.complaint, got.id);
}

/* As RFC 5965 has it, and as those do who send them: fields that are missing, headers alone, what is redacted. */
static void test_shapes(void **state)
{
    static const struct row rows[] = {
        {"RFC 5965 appendix B.1", REPORT TEXT ABUSE ORIGINAL END, OK, true, "AbC+/9"},
        {"quoted words, in any case",
         TOP("boundary=b;\r\n\tREPORT-TYPE=\"Feedback-Report\"") TEXT FEEDBACK("feedback-type: ABUSE\r\n") ORIGINAL END,
         OK, true, "AbC+/9"},
        {"JMRP: three fields, the header alone",
         REPORT TEXT FEEDBACK("Feedback-Type: abuse\r\nUser-Agent: JMRP/1.0\r\nVersion: 1\r\n") HEADERS END, OK, true,
         "AbC+/9"},
        {"Yahoo: an old version, much else, a redacted recipient",
         REPORT TEXT FEEDBACK("Feedback-Type: abuse\r\nUser-Agent: Yahoo!-Mail-Feedback/2.0\r\nVersion: 0.1\r\n"
                              "Original-Mail-From: <ann@example.org>\r\nOriginal-Rcpt-To: redacted@yahoo.example\r\n"
                              "Received-Date: Thu, 26 Nov 2026 09:00:00 -0800\r\nReported-Domain: example.org\r\n"
                              "Authentication-Results: x.yahoo.example; dkim=pass\r\n") ORIGINAL END,
         OK, true, "AbC+/9"},
        {"Comcast, Abusix: text after the last boundary, a preamble",
         REPORT "This is a multi-part message.\r\n" TEXT FEEDBACK(
             "Feedback-Type: abuse\r\nUser-Agent: ReturnPathFBL/1.0\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n"
             "Reported-URI: http://example.org/\r\nReported-URI: mailto:ann@example.org\r\n"
             "Removal-Recipient: bob@provider.example\r\n") ORIGINAL END "An epilogue\r\n",
         OK, true, "AbC+/9"},
        {"no line end behind it, blanks behind boundaries",
         "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b \t\r\n"
         "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: fraud\r\n--b\r\n"
         "Content-Type: message/rfc822\r\n\r\n"
         "CFBL-Feedback-ID: x\r\n\r\n--b--",
         OK, true, "x"},
        {"lines ended by LF",
         "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: "
         "message/feedback-report\n\nFeedback-Type: virus\n--b\nContent-Type: message/rfc822\n\nCFBL-Feedback-ID: x\n",
         OK, true, "x"},
        {"an encoded message, which RFC 2046 forbids",
         REPORT TEXT ABUSE
         "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" HEADER_BASE64 "\r\n" END,
         OK, true, "AbC+/9"},
        {"quoted-printable",
         REPORT TEXT ABUSE "--b\r\nContent-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: "
                           "quoted-printable\r\n\r\nFrom: =\r\nann\r\nCFBL-Feedback-ID: AbC=2B/=\r\n9\r\n\r\n" END,
         OK, true, "AbC+/9"},
        {"RFC 6533: a message in UTF-8",
         REPORT TEXT ABUSE "--b\r\nContent-Type: message/global\r\n\r\nFrom: \xc3\xa4@example.org\r\n"
                           "CFBL-Feedback-ID: x\r\n\r\n" END,
         OK, true, "x"},
        {"it is no spam", REPORT TEXT FEEDBACK("Feedback-Type: not-spam\r\n") ORIGINAL END, OK, false, "AbC+/9"},
        {"authentication (RFC 6591)", REPORT TEXT FEEDBACK("Feedback-Type: auth-failure\r\n") ORIGINAL END, OK, false,
         "AbC+/9"},
        {"another kind", REPORT TEXT FEEDBACK("Feedback-Type: other\r\n") ORIGINAL END, OK, false, "AbC+/9"},
        {"without the message", REPORT TEXT ABUSE END, OK, true, ""},
        {"a message without our field", REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\n" END,
         OK, true, ""},
    };
    (void)state;

    for (size_t i = 0; i < N(rows); i++)
        check(&rows[i], slice_str(rows[i].text));
}

static void test_what_is_none(void **state)
{
    static const struct row rows[] = {
        {"nothing", "", ERR_NOT_FOUND},
        {"a letter", "From: x\r\n\r\nHello\r\n", ERR_NOT_FOUND},
        {"a DSN", TOP("report-type=delivery-status; boundary=b") TEXT ABUSE ORIGINAL END, ERR_NOT_FOUND},
        {"no report-type", TOP("boundary=b") TEXT ABUSE ORIGINAL END, ERR_NOT_FOUND},
        {"Hotmail as it was: a mail in a mail", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" ORIGINAL END,
         ERR_NOT_FOUND},
        {"a report in a report",
         "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" REPORT ABUSE
             ORIGINAL END "\r\n--o--\r\n",
         ERR_NOT_FOUND},
        {"no boundary", TOP("report-type=feedback-report") TEXT ABUSE ORIGINAL END, ERR_FORMAT},
        {"no parts", REPORT "text\r\n", ERR_FORMAT},
        {"two that report", REPORT TEXT ABUSE ABUSE ORIGINAL END, ERR_FORMAT},
        {"two messages", REPORT TEXT ABUSE ORIGINAL ORIGINAL END, ERR_FORMAT},
        {"none that reports", REPORT TEXT ORIGINAL END, ERR_FORMAT},
        {"no type", REPORT TEXT FEEDBACK("User-Agent: x/1\r\nVersion: 1\r\n") ORIGINAL END, ERR_FORMAT},
        {"two types", REPORT FEEDBACK("Feedback-Type: not-spam\r\nFeedback-Type: abuse\r\n") ORIGINAL END, ERR_FORMAT},
        {"an empty type", REPORT FEEDBACK("Feedback-Type:\r\n") ORIGINAL END, ERR_FORMAT},
        {"no encoding that there is",
         REPORT ABUSE
         "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: x-gzip\r\n\r\nx: y\r\n\r\n" END,
         ERR_FORMAT},
        {"no base64",
         REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n" END,
         ERR_FORMAT},
    };
    (void)state;

    for (size_t i = 0; i < N(rows); i++)
        check(&rows[i], slice_str(rows[i].text));
}

/* Only the message's own header counts, not what stands in its text, in what it carries, or in the report. */
static void test_only_the_header(void **state)
{
    static const struct row rows[] = {
        {"in its text",
         REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\nCFBL-Feedback-ID: x\r\n" END, OK, true,
         ""},
        {"in a mail that it forwards",
         REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n" HEADER
                      "\r\n" END,
         OK, true, ""},
        {"in the report's fields", REPORT FEEDBACK("Feedback-Type: abuse\r\nCFBL-Feedback-ID: x\r\n") END, OK, true,
         ""},
        {"in the report's own header",
         "CFBL-Feedback-ID: x\r\n" REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\n" END, OK,
         true, ""},
        {"the first of two",
         REPORT ABUSE
         "--b\r\nContent-Type: message/rfc822\r\n\r\nCFBL-Feedback-ID: x\r\nCFBL-Feedback-ID: y\r\n\r\n" END,
         OK, true, "x"},
        {"octets that no such field has",
         REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nCFBL-Feedback-ID: x\x01\r\n\r\n" END, OK, true, ""},
        {"a line that begins like a boundary",
         REPORT "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--bc\r\n--b x\r\n--b-\r\n" ABUSE ORIGINAL END, OK, true,
         "AbC+/9"},
    };
    (void)state;

    for (size_t i = 0; i < N(rows); i++)
        check(&rows[i], slice_str(rows[i].text));
}

static size_t fill(char *out, size_t at, const char *text)
{
    memcpy(out + at, text, strlen(text));
    return at + strlen(text);
}

static void test_limits(void **state)
{
    static char big[1024 * 1024];
    struct row cut = {"a message that is cut off", NULL, OK, true, "AbC+/9"};
    struct row late = {"beyond what is looked at", NULL, OK, true, ""};
    struct row many = {"many parts", NULL, ERR_FORMAT, false, NULL};
    size_t n = fill(big, 0, REPORT TEXT ABUSE ORIGINAL);
    (void)state;

    memset(big + n, 'x', sizeof(big) - n);
    check(&cut, slice_of(big, sizeof(big)));
    n = fill(big, 0, REPORT ABUSE TEXT);
    memset(big + n, 'x', ARF_LOOK_MAX - n);
    n = fill(big, ARF_LOOK_MAX, "\r\n" ORIGINAL END);
    check(&late, slice_of(big, n));
    n = fill(big, 0, REPORT ABUSE);
    for (unsigned i = 0; i < ARF_PARTS_MAX; i++)
        n = fill(big, n, TEXT);
    check(&many, slice_of(big, n));
    struct row fields = {"a thousand fields", NULL, ERR_FORMAT, false, NULL};
    n = fill(big, 0, REPORT "--b\r\nContent-Type: message/feedback-report\r\n\r\n");
    for (unsigned i = 0; i < 1100; i++)
        n = fill(big, n, "a: b\r\n");
    check(&fields, slice_of(big, n));
    struct row id = {"a long id", NULL, OK, true, ""};
    n = fill(big, 0, REPORT ABUSE "--b\r\nContent-Type: message/rfc822\r\n\r\nCFBL-Feedback-ID: ");
    memset(big + n, 'x', ARF_ID_MAX + 1);
    n = fill(big, n + ARF_ID_MAX + 1, "\r\n\r\n" END);
    check(&id, slice_of(big, n));
    struct row boundary = {"a long boundary", NULL, ERR_FORMAT, false, NULL};
    n = fill(big, 0, "Content-Type: multipart/report; report-type=feedback-report; boundary=");
    memset(big + n, 'x', 300);
    n = fill(big, n + 300, "\r\n\r\ntext");
    check(&boundary, slice_of(big, n));
}

/* Each beginning of a report, and each with one octet changed: read or refused. */
static void test_cut_and_changed(void **state)
{
    static const char whole[] = REPORT TEXT ABUSE ORIGINAL END;
    struct arf_report got;
    (void)state;

    for (size_t n = 0; n < sizeof(whole); n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, whole, n);
        int err = arf_read(slice_of(copy, n), &got);
        assert_true(err == OK || err == ERR_NOT_FOUND || err == ERR_FORMAT);
        if (n)
            copy[n - 1] ^= 0x20;
        (void)arf_read(slice_of(copy, n), &got);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_what_is_none),    cmocka_unit_test(test_only_the_header),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_cut_and_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
