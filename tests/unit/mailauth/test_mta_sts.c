/* MTA-STS: records and policies as RFC 8461 has them, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/mta_sts.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

static void records(void **state)
{
    static const struct {
        const char *text, *id; /* id NULL: err */
        int err;
    } rows[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
        {"v=STSv1;id=1", "1"},
        {"v=STSv1 \t;\t id=a \t;\t", "a"},
        {"v=STSv1; id=1; x-new.field_2=any<thing>:", "1"},
        {"v=STSv1; a=b; id=12345678901234567890123456789012", "12345678901234567890123456789012"},
        {"", NULL, ERR_NOT_FOUND},
        {"v=spf1 -all", NULL, ERR_NOT_FOUND},
        {"v=STSv2; id=1", NULL, ERR_NOT_FOUND},
        {"v=STSv10; id=1", NULL, ERR_NOT_FOUND},
        {"V=STSv1; id=1", NULL, ERR_NOT_FOUND},
        {" v=STSv1; id=1", NULL, ERR_NOT_FOUND},
        {"v=STSv1", NULL, ERR_FORMAT},
        {"v=STSv1;", NULL, ERR_FORMAT},
        {"v=STSv1; id=", NULL, ERR_FORMAT},
        {"v=STSv1; id=1 2", NULL, ERR_FORMAT},
        {"v=STSv1; id=1-2", NULL, ERR_FORMAT},
        {"v=STSv1; ID=1", NULL, ERR_FORMAT},
        {"v=STSv1; id=123456789012345678901234567890123", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; id=2", NULL, ERR_FORMAT},
        {"v=STSv1; id=1;;", NULL, ERR_FORMAT},
        {"v=STSv1;; id=1", NULL, ERR_FORMAT},
        {"v=STSv1 x; id=1", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; a", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; a=", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; a=b=c", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; -a=b", NULL, ERR_FORMAT},
        {"v=STSv1; id=1; a=\xc3\xa4", NULL, ERR_FORMAT},
        {"v=STSv1, id=1", NULL, ERR_FORMAT},
    };

    for (size_t i = 0; i < N(rows); i++) {
        char id[MTA_STS_ID_MAX + 1] = "untouched";
        const int err = mta_sts_record_read(slice_str(rows[i].text), id);
        if (err != rows[i].err || strcmp(id, rows[i].id ? rows[i].id : "untouched") != 0)
            fail_msg("%s: %d, %s", rows[i].text, err, id);
    }
}

#define HEAD "version: STSv1\nmode: enforce\n"

static void policies(void **state)
{
    static const struct {
        const char *text;
        int err;
        enum mta_sts_mode mode;
        uint32_t max_age;
        const char *first;
    } rows[] = {
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n", OK,
         MTA_STS_ENFORCE, 604800, "mail.example.com"},
        {HEAD "mx: A.Example.COM\nmax_age: 0", OK, MTA_STS_ENFORCE, 0, "a.example.com"},
        {"max_age:86400\nmx:a\nmode:testing\nversion:STSv1\n\n", OK, MTA_STS_TESTING, 86400, "a"},
        {"version: STSv1\nmode: none\nmax_age: 9999999999\n", OK, MTA_STS_NONE, MTA_STS_AGE_MAX, ""},
        {HEAD "mx: a  \t\nmax_age:  1 \nother-field.x_1: any value: \xc3\xa4\n", OK, MTA_STS_ENFORCE, 1, "a"},
        {HEAD "mode: none\nmx: a\nmax_age: 1\nmax_age: 2\nversion: STSv9\n", OK, MTA_STS_ENFORCE, 1, "a"},
        {"", ERR_FORMAT},
        {"\n", ERR_FORMAT},
        {HEAD "mx: a\n", ERR_FORMAT},                        /* no max_age */
        {HEAD "max_age: 1\n", ERR_FORMAT},                   /* no mx */
        {"mode: enforce\nmx: a\nmax_age: 1\n", ERR_FORMAT},  /* no version */
        {"version: STSv1\nmx: a\nmax_age: 1\n", ERR_FORMAT}, /* no mode */
        {"version: STSv2\nmode: none\nmax_age: 1\n", ERR_FORMAT},
        {"version: stsv1\nmode: none\nmax_age: 1\n", ERR_FORMAT},
        {"Version: STSv1\nmode: none\nmax_age: 1\n", ERR_FORMAT},
        {"version: STSv1\nmode: ENFORCE\nmx: a\nmax_age: 1\n", ERR_FORMAT},
        {"version: STSv1\nmode: strict\nmx: a\nmax_age: 1\n", ERR_FORMAT},
        {"version: STSv1\nmode: none\n\nmax_age: 1\n", ERR_FORMAT}, /* an empty line inside */
        {" version: STSv1\nmode: none\nmax_age: 1\n", ERR_FORMAT},
        {"version : STSv1\nmode: none\nmax_age: 1\n", ERR_FORMAT},
        {"version: STSv1\rmode: none\rmax_age: 1\r", ERR_FORMAT},
        {"version: STSv1\nmode: none\nmax_age: 1\nx:\n", ERR_FORMAT},
        {"version: STSv1\nmode: none\nmax_age: 1\nx: \xff\n", ERR_FORMAT},
        {"version: STSv1\nmode: none\nmax_age: 1\nx: \x1b[31m\n", ERR_FORMAT},
        {"version: STSv1\nmode: none\nmax_age: 1\n<html>\n", ERR_FORMAT},
        {HEAD "mx: a\nmax_age: \n", ERR_FORMAT},
        {HEAD "mx: a\nmax_age: -1\n", ERR_FORMAT},
        {HEAD "mx: a\nmax_age: 1e3\n", ERR_FORMAT},
        {HEAD "mx: a\nmax_age: 12345678901\n", ERR_FORMAT},
        {HEAD "mx: \nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: a b\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: a.\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: .a\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: *\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: *.\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: *.*.a\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: a.*.b\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: *a.b\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: [192.0.2.1]\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: -a.b\nmax_age: 1\n", ERR_FORMAT},
        {HEAD "mx: b\xc3\xbc.example\nmax_age: 1\n", ERR_FORMAT},
    };
    static struct mta_sts_policy p, before;

    for (size_t i = 0; i < N(rows); i++) {
        memset(&p, 0x5a, sizeof(p));
        before = p;
        const int err = mta_sts_policy_read(slice_str(rows[i].text), &p);
        if (err != rows[i].err || (err != OK && memcmp(&p, &before, sizeof(p)) != 0) ||
            (err == OK && (p.mode != rows[i].mode || p.max_age != rows[i].max_age || strcmp(p.mx, rows[i].first) != 0)))
            fail_msg("%zu, %s: %d", i, rows[i].text, err);
    }
}

static void a_wildcard_is_one_label(void **state)
{
    static const char text[] = HEAD "mx: mail.example.com\nmx: *.Example.NET\nmax_age: 1\n";
    static const struct {
        const char *host;
        bool fits;
    } rows[] = {
        {"mail.example.com", true},
        {"other.example.com", false},
        {"example.com", false},
        {"a.mail.example.com", false},
        {"a.example.net", true},
        {"a.b.example.net", false},
        {"example.net", false},
        {".example.net", false},
        {"a.example.net.evil", false},
        {"aexample.net", false},
        {"", false},
        {"*.example.net", true /* no host's name */},
    };
    static struct mta_sts_policy p;

    assert_int_equal(mta_sts_policy_read(slice_str(text), &p), OK);
    for (size_t i = 0; i < N(rows); i++)
        if (mta_sts_fits(&p, rows[i].host) != rows[i].fits)
            fail_msg("%s", rows[i].host);
    p.mx_len = 0;
    assert_false(mta_sts_fits(&p, "mail.example.com"));
}

static void all_has_a_bound(void **state)
{
    static char text[2 * MTA_STS_TEXT_MAX];
    static struct mta_sts_policy p;
    size_t len = (size_t)snprintf(text, sizeof(text), HEAD "max_age: 1\n");
    const size_t head = len;

    while (len < head + 5 * MTA_STS_MX_MAX)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "mx: m%zu.example\n", len);
    assert_int_equal(mta_sts_policy_read(slice_of(text, len), &p), ERR_LIMIT);
    len = head + (size_t)snprintf(text + head, sizeof(text) - head, "mx: a\nx: ");
    memset(text + len, 'x', MTA_STS_TEXT_MAX + 1 - len);
    assert_int_equal(mta_sts_policy_read(slice_of(text, MTA_STS_TEXT_MAX), &p), OK);
    assert_int_equal(mta_sts_policy_read(slice_of(text, MTA_STS_TEXT_MAX + 1), &p), ERR_LIMIT);
    snprintf(text, sizeof(text), HEAD "max_age: 1\nmx: %0254d\n", 1);
    assert_int_equal(mta_sts_policy_read(slice_str(text), &p), ERR_FORMAT);
    assert_int_equal(mta_sts_policy_read(slice_of("version: STSv1\0\nmode: none\nmax_age: 1", 37), &p), ERR_FORMAT);
}

/* What is written here is read as it was meant; a changed policy has another id. */
static void our_own_is_read_again(void **state)
{
    static const char *const modes[] = {"none", "testing", "enforce"};
    char text[MTA_STS_OWN_MAX], id[MTA_STS_ID_MAX + 1], other[MTA_STS_ID_MAX + 1], record[64], many[8000];
    struct mta_sts_policy p;

    for (int m = 0; m < 3; m++) {
        size_t len = mta_sts_policy_write(modes[m], "a.example, *.b.example,c.example", 86400, text);
        assert_int_equal(mta_sts_policy_read(slice_of(text, len), &p), OK);
        assert_int_equal(p.mode, m);
        assert_int_equal(p.max_age, 86400);
        assert_true(mta_sts_fits(&p, "a.example") && mta_sts_fits(&p, "x.b.example") && mta_sts_fits(&p, "c.example"));
        assert_false(mta_sts_fits(&p, "b.example"));
        mta_sts_policy_id(slice_of(text, len), other);
        if (m > 0)
            assert_string_not_equal(id, other);
        mta_sts_policy_id(slice_of(text, len), id);
        snprintf(record, sizeof(record), "v=STSv1; id=%s", id);
        assert_int_equal(mta_sts_record_read(slice_str(record), other), OK);
        assert_string_equal(id, other);
    }
    memset(many, ',', sizeof(many) - 1);
    for (size_t i = 0; i + 1 < sizeof(many); i += 2)
        many[i] = 'a';
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(mta_sts_policy_write("none", many, 86400, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_is_read_again),   cmocka_unit_test(records),         cmocka_unit_test(policies),
        cmocka_unit_test(a_wildcard_is_one_label), cmocka_unit_test(all_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
