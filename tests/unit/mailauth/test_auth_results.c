/* The field that says what was found: its form, its bound, and texts of strangers in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/header.h"
#include "server/mail/mime.h"
#include "server/mailauth/auth_results.h"

static struct mailauth_verdict v;
static char field[AUTH_RESULTS_MAX + 1];

static void check_form(void)
{
    size_t len = strlen(field), pos = 0;
    struct header_field f;
    struct header_view view;
    struct header_field fields[4];
    assert_int_equal(header_next((const uint8_t *)field, len, &pos, &f), HEADER_FIELD);
    assert_int_equal(f.len, len); /* one field, and nothing else */
    assert_true(header_field_is((const uint8_t *)field, &f, "Authentication-Results"));
    assert_int_equal(header_parse((const uint8_t *)field, len, fields, 4, &view), OK);
    assert_int_equal(view.count, 1);
    assert_string_equal(field + len - 2, "\r\n");
    assert_true(header_value_valid((const uint8_t *)field + f.value_offset, len - f.value_offset - 2, f.value_offset,
                                   HEADER_LINE_MAX));
    for (size_t i = 0; i < len; i++)
        assert_true((field[i] >= 0x20 && field[i] < 0x7f) || strchr("\r\n\t", field[i]));
    assert_true(mime_auth_results_is_ours(header_field_value((const uint8_t *)field, &f), "mx.test"));
}

static void write(void)
{
    struct buf out;
    buf_init(&out, AUTH_RESULTS_MAX, false);
    assert_int_equal(auth_results_write(&v, "mx.test", &out), OK);
    memcpy(field, out.data, out.len);
    field[out.len] = '\0';
    buf_free(&out);
    check_form();
}

static int setup(void **state)
{
    v = (struct mailauth_verdict){.address = {192, 0, 2, 1}};
    return 0;
}

static void test_nothing_found(void **state)
{
    write();
    assert_string_equal(field, "Authentication-Results: mx.test;\r\n\tdmarc=none;\r\n\tspf=none;\r\n"
                               "\tiprev=none policy.iprev=192.0.2.1;\r\n\tdkim=none\r\n");
}

static void sign(enum dkim_reason reason, const char *domain)
{
    struct dkim_verdict *d = &v.dkim.v[v.dkim.n++];
    *d = (struct dkim_verdict){.reason = reason, .result = dkim_result_of(reason), .algorithm = DKIM_RSA_SHA256};
    snprintf(d->domain, sizeof(d->domain), "%s", domain);
    strcpy(d->selector, "s1");
}

static void test_all_found(void **state)
{
    v.spf = (struct spf_verdict){.result = AUTH_PASS, .domain = "bounces.bank.example"};
    v.spf_helo = (struct spf_verdict){.result = AUTH_SOFTFAIL, .domain = "mail.bank.example", .of_helo = true};
    strcpy(v.author.domain, "bank.example");
    v.dmarc = (struct dmarc_verdict){.result = AUTH_PASS,
                                     .policy = DMARC_REJECT,
                                     .published = "bank.example",
                                     .dkim_aligned = 2};
    v.dkim.arc.result = AUTH_PASS;
    v.dkim.arc.oldest_pass = 1;
    v.iprev.result = AUTH_FAIL;
    v.six = true;
    memcpy(v.address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    sign(DKIM_BODY_CHANGED, "list.example");
    sign(DKIM_VERIFIED, "bank.example");
    write();
    assert_string_equal(field, "Authentication-Results: mx.test;\r\n"
                               "\tdmarc=pass policy.dmarc=reject header.from=bank.example;\r\n"
                               "\tspf=pass smtp.mailfrom=bounces.bank.example;\r\n"
                               "\tspf=softfail smtp.helo=mail.bank.example;\r\n"
                               "\tarc=pass header.oldest-pass=0;\r\n"
                               "\tiprev=fail policy.iprev=\"2001:db8::1\";\r\n"
                               "\tdkim=pass header.d=bank.example header.s=s1 header.a=rsa-sha256;\r\n"
                               "\tdkim=fail reason=\"the body is not what was signed\" header.d=list.example\r\n"
                               "\theader.s=s1 header.a=rsa-sha256\r\n");
    v.author = (struct author_verdict){.fault = AUTHOR_SEVERAL};
    v.dmarc = (struct dmarc_verdict){.result = AUTH_PERMERROR, .problem = "it has two authors"};
    write();
    assert_non_null(strstr(field, "\tdmarc=permerror reason=\"it has two authors\";\r\n"));
}

static void test_texts_of_strangers(void **state)
{
    static const char *const odd[] = {
        "a;dmarc=pass header.from=bank.example",
        "a\r\nFrom: ceo@bank.example",
        "a\"b",
        "a\\",
        "\"",
        "a b",
        "(a",
        "a)",
        "a\xc3\xbc.example",
        "a\x7f\x1b[2J",
        "a\r\n\r\nbody",
        "\\\"; dkim=pass",
        "=",
        "a,b",
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        setup(NULL);
        snprintf(v.spf.domain, sizeof(v.spf.domain), "%s", odd[i]);
        snprintf(v.author.domain, sizeof(v.author.domain), "%s", odd[i]);
        sign(DKIM_VERIFIED, odd[i]);
        snprintf(v.dkim.v[0].selector, sizeof(v.dkim.v[0].selector), "%s", odd[i]);
        write();
        /* Outside of quotes each method stands once. */
        unsigned results = 0;
        bool quoted = false;
        for (const char *s = field; *s; s++) {
            if (quoted && *s == '\\')
                s++;
            else if (*s == '"')
                quoted = !quoted;
            else if (!quoted && *s == ';')
                results++;
        }
        assert_false(quoted);
        assert_int_equal(results, 4);
    }
}

static void test_it_is_bounded(void **state)
{
    memset(v.spf.domain, '"', sizeof(v.spf.domain) - 1);
    v.spf_helo = v.spf;
    v.spf_helo.of_helo = true;
    memset(v.author.domain, '\\', sizeof(v.author.domain) - 1);
    strcpy(v.dmarc.published, "x");
    for (size_t i = 0; i < DKIM_SIGNATURES_MAX; i++) {
        sign(DKIM_VERIFIED, "x");
        memset(v.dkim.v[i].domain, 'a' + (int)i, 250);
        memset(v.dkim.v[i].selector, 's', 250);
    }
    v.dmarc.dkim_aligned = 1U << 9;
    write();
    assert_true(strlen(field) <= AUTH_RESULTS_MAX);
    assert_non_null(strstr(field, "jjjj")); /* the one that counts is there */
    assert_null(strstr(field, "iiii"));
}

static void test_no_room(void **state)
{
    struct buf out;
    buf_init(&out, 100, false);
    assert_int_equal(auth_results_write(&v, "mx.test", &out), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_found, setup),
        cmocka_unit_test_setup(test_all_found, setup),
        cmocka_unit_test_setup(test_texts_of_strangers, setup),
        cmocka_unit_test_setup(test_it_is_bounded, setup),
        cmocka_unit_test_setup(test_no_room, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
