/* TLS reports: the record that asks for them, reports as others write them, and ours, read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/tls_report.h"

/* ---- the record ---- */

static void records(void **state)
{
    static const struct {
        const char *txt;
        int err;
        uint32_t n;
        const char *first;
    } table[] = {
        {"v=TLSRPTv1; rua=mailto:reports@example.com", OK, 1, "reports@example.com"},
        {"v=TLSRPTv1;rua=mailto:reports@example.com;", OK, 1, "reports@example.com"},
        {"v=TLSRPTv1 ;\trua=mailto:A@Example.COM , https://r.example.com/v1/tlsrpt ; ", OK, 2, "a@example.com"},
        {"v=TLSRPTv1; rua=https://r.example.com/x", OK, 1, "https://r.example.com/x"},
        {"v=TLSRPTv1; future=x; rua=mailto:a@example.com; more.of-it_1=;", OK, 1, "a@example.com"},
        {"v=TLSRPTv1; rua=mailto:a%2Bb@example.com?subject=x", OK, 1, "a+b@example.com"},
        {"v=TLSRPTv1; rua=gopher://x, mailto:a@example.com", OK, 1, "a@example.com"},
        {"v=TLSRPTv1; rua=mailto:a@x.org,mailto:b@x.org,mailto:c@x.org,mailto:d@x.org,mailto:e@x.org", OK, 4,
         "a@x.org"},
        {"v=TLSRPTv1; rua=gopher://x", OK, 0, NULL},
        /* another kind of record */
        {"", ERR_NOT_FOUND, 0, NULL},
        {"v=TLSRPTv1", ERR_NOT_FOUND, 0, NULL},
        {"v=TLSRPTv10; rua=mailto:a@example.com", ERR_NOT_FOUND, 0, NULL},
        {"v=tlsrptv1; rua=mailto:a@example.com", ERR_NOT_FOUND, 0, NULL},
        {"rua=mailto:a@example.com; v=TLSRPTv1;", ERR_NOT_FOUND, 0, NULL},
        {"v=spf1 -all", ERR_NOT_FOUND, 0, NULL},
        /* one that is wrong */
        {"v=TLSRPTv1;", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; ", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; RUA=mailto:a@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com,", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=mailto:no-address", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a%4@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a%0d%0aRCPT@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com; rua=mailto:b@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1;; rua=mailto:a@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; =x; rua=mailto:a@example.com", ERR_FORMAT, 0, NULL},
        {"v=TLSRPTv1; rua=https://r.example.com/a b", ERR_FORMAT, 0, NULL},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct tls_report_target out[TLS_REPORT_TARGETS_MAX];
        uint32_t n = 99;
        int err = tls_report_record_read(slice_str(table[i].txt), out, &n);

        if (err != table[i].err)
            print_error("%s: %s\n", table[i].txt, err_str(err));
        assert_int_equal(err, table[i].err);
        assert_int_equal(n, err == OK ? table[i].n : 99);
        if (table[i].first)
            assert_string_equal(out[0].mail[0] ? out[0].mail : out[0].url, table[i].first);
    }
}

/* ---- reading ---- */

/* What big providers really send: members that section 4.4 demands are missing, or null. */
static void others(void **state)
{
    static const char *const table[] = {
        "{\"organization-name\":\"Large Corporation\",\"date-range\":{\"start-datetime\":\"2025-06-14T00:00:00Z\","
        "\"end-datetime\":\"2025-06-14T23:59:59Z\"},\"contact-info\":\"noreply@large.example\",\"report-id\":"
        "\"133944884956529435+\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"a.example\"},"
        "\"summary\":{\"total-successful-session-count\":0,\"total-failure-session-count\":3},\"failure-details\":"
        "[{\"result-type\":\"sts-policy-fetch-error\",\"failed-session-count\":3}]}]}",
        "{\"organization-name\":\"small.example\",\"date-range\":{\"start-datetime\":\"2025-06-14T00:00:00Z\","
        "\"end-datetime\":\"2025-06-15T00:00:00Z\"},\"contact-info\":null,\"report-id\":\"1\",\"policies\":[{"
        "\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-string\":[],\"policy-domain\":\"a.example\","
        "\"mx-host\":[]},\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":0},"
        "\"failure-details\":[]}]}",
        "{\"policies\":[{\"summary\":{\"total-failure-session-count\":0,\"total-successful-session-count\":\"7\"},"
        "\"policy\":{\"policy-type\":\"no-policy-found\"},\"failure-details\":[]}],\"report-id\":\"x\"}",
        "{\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"mx-host\":\"*.mx.example\"},\"summary\":{}}]}",
    };
    struct tls_report_read *r;

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(tls_report_read(table[i], strlen(table[i]), &r), OK);
        const struct tls_report_policy *p = &tls_report_of(r)->policies[0];
        assert_int_equal(tls_report_of(r)->npolicies, 1);
        if (i == 0) {
            assert_int_equal(p->details[0].result, TLS_REPORT_STS_POLICY_FETCH_ERROR);
            assert_int_equal(p->details[0].sessions, 3);
            assert_int_equal(tls_report_of(r)->begin, 1749859200);
        }
        if (i == 1)
            assert_null(tls_report_of(r)->contact);
        if (i == 2) {
            assert_null(p->domain);
            assert_int_equal(p->successes, 7);
        }
        if (i == 3)
            assert_string_equal(p->mx[0], "*.mx.example");
        tls_report_read_free(r);
    }
}

static void refused(void **state)
{
    static const char *const table[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"policies\":{}}",
        "{\"policies\":[1]}",
        "{\"policies\":[{\"policy\":{}}]}",
        "{\"policies\":[{\"policy\":[],\"summary\":{}}]}",
        "\x1f\x8b",
        "\x1f\x8bnothing that is gzip",
    };
    struct tls_report_read *r = NULL;

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        assert_int_equal(tls_report_read(table[i], strlen(table[i]), &r), ERR_FORMAT);
    assert_null(r);
}

static void limits(void **state)
{
    struct tls_report_read *r = NULL;
    struct tls_report report = {.organization = "x", .id = "x"};
    struct tls_report_policy many[TLS_REPORT_ITEMS_MAX + 1];
    struct buf out;
    char *large = malloc(TLS_REPORT_TEXT_MAX + 1);

    assert_non_null(large);
    memset(large, ' ', TLS_REPORT_TEXT_MAX + 1);
    assert_int_equal(tls_report_read(large, TLS_REPORT_TEXT_MAX + 1, &r), ERR_LIMIT);
    /* more policies than a report may have */
    for (size_t i = 0; i <= TLS_REPORT_ITEMS_MAX; i++)
        many[i] = (struct tls_report_policy){.kind = TLS_REPORT_NO_POLICY, .domain = "a.example"};
    report.policies = many;
    report.npolicies = TLS_REPORT_ITEMS_MAX + 1;
    buf_init(&out, TLS_REPORT_TEXT_MAX, false);
    assert_int_equal(tls_report_pack(&report, &out), OK);
    assert_int_equal(tls_report_read(out.data, out.len, &r), ERR_LIMIT);
    buf_clear(&out);
    /* small when packed, large when unpacked */
    memset(large, 'x', TLS_REPORT_TEXT_MAX);
    large[TLS_REPORT_TEXT_MAX - 600] = '\0';
    report.npolicies = 1;
    report.organization = large;
    assert_int_equal(tls_report_pack(&report, &out), OK);
    assert_true(out.len < 4096);
    assert_int_equal(tls_report_read(out.data, out.len, &r), OK);
    tls_report_read_free(r);
    r = NULL;
    /* cut anywhere: no report */
    for (size_t cut = 0; cut < out.len; cut += 97)
        assert_int_not_equal(tls_report_read(out.data, cut, &r), OK);
    assert_null(r);
    buf_free(&out);
    free(large);
}

/* 3 MB of zeros by gzip, which are 3 KB. */
static void bomb(void **state)
{
    struct tls_report_read *r = NULL;
    FILE *f = popen("head -c 3000000 /dev/zero | gzip -9", "r");
    uint8_t packed[16384];

    assert_non_null(f);
    const size_t n = fread(packed, 1, sizeof(packed), f);
    pclose(f);
    assert_true(n > 1000 && n < sizeof(packed));
    assert_int_equal(tls_report_read(packed, n, &r), ERR_LIMIT);
}

/* ---- writing ---- */

static struct tls_report ours(void)
{
    static const char *const lines[] = {"version: STSv1", "mode: enforce", "mx: *.mail.example", "max_age: 86400"};
    static const char *const mx[] = {"*.mail.example"};
    static const struct tls_report_detail details[] = {
        {.result = TLS_REPORT_CERTIFICATE_EXPIRED,
         .sending_ip = "192.0.2.1",
         .receiving_ip = "2001:db8::2",
         .mx = "a.mail.example",
         .helo = "a.mail.example",
         .sessions = 3},
        {.result = TLS_REPORT_STARTTLS_NOT_SUPPORTED, .mx = "b.mail.example", .reason = "502 5.5.1 no", .sessions = 2},
    };
    static const struct tls_report_policy policies[] = {
        {.kind = TLS_REPORT_STS,
         .domain = "example.net",
         .lines = lines,
         .nlines = 4,
         .mx = mx,
         .nmx = 1,
         .successes = 5326,
         .failures = 5,
         .details = details,
         .ndetails = 2},
    };
    return (struct tls_report){.organization = "mail.example.org",
                               .contact = "postmaster@example.org",
                               .id = "20261128.example.net@mail.example.org",
                               .begin = 1795824000,
                               .end = 1795910399,
                               .policies = policies,
                               .npolicies = 1};
}

static void there_and_back(void **state)
{
    const struct tls_report mine = ours();
    struct tls_report_read *r;
    struct buf out;

    for (int packed = 0; packed <= 1; packed++) {
        buf_init(&out, TLS_REPORT_TEXT_MAX, false);
        assert_int_equal((packed ? tls_report_pack : tls_report_write)(&mine, &out), OK);
        assert_int_equal(tls_report_read(out.data, out.len, &r), OK);
        const struct tls_report *got = tls_report_of(r);
        const struct tls_report_policy *p = got->policies;
        assert_string_equal(got->id, mine.id);
        assert_int_equal(got->begin, mine.begin);
        assert_int_equal(got->end, mine.end);
        assert_int_equal(p->kind, TLS_REPORT_STS);
        assert_int_equal(p->nlines, 4);
        assert_string_equal(p->lines[3], "max_age: 86400");
        assert_string_equal(p->mx[0], "*.mail.example");
        assert_int_equal(p->successes, 5326);
        assert_int_equal(p->failures, 5);
        assert_int_equal(p->ndetails, 2);
        assert_int_equal(p->details[1].result, TLS_REPORT_STARTTLS_NOT_SUPPORTED);
        assert_string_equal(p->details[1].reason, "502 5.5.1 no");
        assert_null(p->details[1].sending_ip);
        tls_report_read_free(r);
        buf_free(&out);
    }
}

static void no_room(void **state)
{
    const struct tls_report mine = ours();
    struct tls_report bad = mine;
    struct buf out;

    buf_init(&out, 200, false);
    assert_int_equal(buf_puts(&out, "before"), OK);
    assert_int_equal(tls_report_write(&mine, &out), ERR_LIMIT);
    assert_int_equal(out.len, 6);
    bad.organization = "\xff";
    assert_int_equal(tls_report_write(&bad, &out), ERR_FORMAT);
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void mail(void **state)
{
    const struct tls_report mine = ours();
    const struct tls_report_mail m = {.from = "postmaster@example.org",
                                      .domain = "example.net",
                                      .to = "reports@example.net",
                                      .submitter = "mail.example.org",
                                      .message_id = "1@mail.example.org",
                                      .date = 1795911000};
    struct buf out;

    buf_init(&out, TLS_REPORT_TEXT_MAX, false);
    assert_int_equal(tls_report_mail_write(&m, &mine, &out), OK);
    assert_int_equal(buf_append(&out, "", 1), OK);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "\r\nTLS-Report-Domain: example.net\r\nTLS-Report-Submitter: mail.example.org\r\n"));
    assert_non_null(strstr(text, "filename=\"mail.example.org!example.net!1795824000!1795910399.json.gz\"\r\n"));
    for (const char *line = text; *line;) { /* RFC 5322 section 2.1.1 */
        const char *end = strstr(line, "\r\n");
        assert_non_null(end);
        assert_true(end - line <= 998 && !memchr(line, '\n', (size_t)(end - line)));
        line = end + 2;
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records), cmocka_unit_test(others), cmocka_unit_test(refused),
        cmocka_unit_test(limits),  cmocka_unit_test(bomb),   cmocka_unit_test(there_and_back),
        cmocka_unit_test(no_room), cmocka_unit_test(mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
