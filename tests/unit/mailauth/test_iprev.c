/* The names of the peer: what stands behind its address, and what it calls itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/iprev.h"
#include "tests/support/records_zone.h"

static const struct zone_row rows[] = {
    {"1.2.0.192.in-addr.arpa", RECORDS_PTR, "liar.test"},
    {"1.2.0.192.in-addr.arpa", RECORDS_PTR, "mail.test"},
    {"liar.test", RECORDS_A, "192.0.2.9"},
    {"mail.test", RECORDS_A, "192.0.2.8"},
    {"mail.test", RECORDS_A, "192.0.2.1"},
    {"mail.test", RECORDS_AAAA, "2001:db8::1"},
    {"2.2.0.192.in-addr.arpa", RECORDS_PTR, "liar.test"},
    {"2.2.0.192.in-addr.arpa", RECORDS_PTR, "nowhere.test"},
    {"3.2.0.192.in-addr.arpa", RECORDS_PTR, NULL},
    {"4.2.0.192.in-addr.arpa", RECORDS_PTR, "slow.test"},
    {"4.2.0.192.in-addr.arpa", RECORDS_PTR, "liar.test"},
    {"slow.test", RECORDS_A, NULL},
    {"5.2.0.192.in-addr.arpa", RECORDS_PTR, "slow.test"},
    {"5.2.0.192.in-addr.arpa", RECORDS_PTR, "five.test"},
    {"five.test", RECORDS_A, "192.0.2.5"},
    {"6.2.0.192.in-addr.arpa", RECORDS_PTR, "pool-192-0-2-6.isp.test"},
    {"7.2.0.192.in-addr.arpa", RECORDS_PTR, "7.2.0.192.isp.test"},
    {"8.2.0.192.in-addr.arpa", RECORDS_PTR, "c0000208.isp.test"},
    {"9.2.0.192.in-addr.arpa", RECORDS_PTR, "mx9.0.2.isp.test"},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RECORDS_PTR, "mail.test"},
    {"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RECORDS_PTR,
     "0000-0000-0000-0002.isp.test"},
};
static struct zone zone;
static struct iprev_verdict got;
static struct helo_verdict said;

static enum auth_result of(struct iprev_address a)
{
    struct records *r = records_create();
    assert_non_null(r);
    zone = (struct zone){.v = rows, .n = sizeof(rows) / sizeof(*rows)};
    while (iprev_check(a, r, &got) == ERR_AGAIN)
        assert_true(zone_answer(&zone, r) > 0);
    records_destroy(r);
    return got.result;
}

static enum auth_result of_last(uint8_t last)
{
    const uint8_t octets[4] = {192, 0, 2, last};
    return of(iprev_address_of(octets, false));
}

static enum auth_result of_six(uint8_t last)
{
    const uint8_t octets[16] = {0x20, 1, 0x0d, 0xb8, [15] = last};
    return of(iprev_address_of(octets, true));
}

static void test_names(void **state)
{
    assert_int_equal(of_last(1), AUTH_PASS);
    assert_string_equal(got.name, "mail.test");
    assert_int_equal(of_six(1), AUTH_PASS);
    assert_string_equal(got.name, "mail.test");
    assert_int_equal(of_last(2), AUTH_FAIL);
    assert_string_equal(got.name, "liar.test");
    assert_int_equal(of_last(3), AUTH_TEMPERROR);
    assert_string_equal(got.name, "");
    assert_int_equal(of_last(4), AUTH_TEMPERROR);
    assert_int_equal(of_last(5), AUTH_PASS);
    assert_string_equal(got.name, "five.test");
    assert_int_equal(of_last(200), AUTH_PERMERROR);
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1};
    assert_int_equal(of(iprev_address_of(mapped, true)), AUTH_PASS);
}

static void test_hosts_that_nobody_named(void **state)
{
    static const uint8_t generic[] = {6, 7, 8}, named[] = {1, 2, 9};
    for (size_t i = 0; i < sizeof(generic); i++) {
        of_last(generic[i]);
        assert_true(got.generic);
    }
    for (size_t i = 0; i < sizeof(named); i++) {
        of_last(named[i]);
        assert_false(got.generic);
    }
    of_six(2);
    assert_true(got.generic);
    of_six(1);
    assert_false(got.generic);
}

static void test_ten_names_at_most(void **state)
{
    static char names[40][32];
    static struct zone_row many[80];
    const uint8_t octets[4] = {192, 0, 2, 1};
    for (size_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu.test", i);
        many[2 * i] = (struct zone_row){"1.2.0.192.in-addr.arpa", RECORDS_PTR, names[i]};
        many[2 * i + 1] = (struct zone_row){names[i], RECORDS_A, i < 10 ? "192.0.2.9" : "192.0.2.1"};
    }
    struct records *r = records_create();
    assert_non_null(r);
    zone = (struct zone){.v = many, .n = 80};
    while (iprev_check(iprev_address_of(octets, false), r, &got) == ERR_AGAIN)
        assert_true(zone_answer(&zone, r) > 0);
    assert_int_equal(got.result, AUTH_FAIL);
    assert_int_equal(zone.asked, 1 + IPREV_NAMES_MAX);
    records_destroy(r);
}

static enum helo_form calls_itself(const char *helo)
{
    const uint8_t octets[4] = {192, 0, 2, 1};
    struct records *r = records_create();
    assert_non_null(r);
    zone = (struct zone){.v = rows, .n = sizeof(rows) / sizeof(*rows)};
    while (helo_check(iprev_address_of(octets, false), helo, "ours.test", r, &said) == ERR_AGAIN)
        assert_true(zone_answer(&zone, r) > 0);
    records_destroy(r);
    return said.form;
}

static void test_helo(void **state)
{
    static const struct {
        const char *helo;
        enum helo_form form;
        enum auth_result result;
    } cases[] = {
        {"mail.test", HELO_NAME, AUTH_PASS},
        {"MAIL.test.", HELO_NAME, AUTH_PASS},
        {"liar.test", HELO_NAME, AUTH_FAIL},
        {"nowhere.test", HELO_NAME, AUTH_FAIL},
        {"slow.test", HELO_NAME, AUTH_TEMPERROR},
        {"my_host.test", HELO_NAME, AUTH_FAIL},
        {"[192.0.2.1]", HELO_LITERAL, AUTH_PASS},
        {"[192.0.2.2]", HELO_LITERAL, AUTH_FAIL},
        {"[IPv6:::ffff:192.0.2.1]", HELO_LITERAL, AUTH_PASS},
        {"[IPv6:2001:db8::1]", HELO_LITERAL, AUTH_FAIL},
        {"localhost", HELO_SHORT, AUTH_NONE},
        {"", HELO_WRONG, AUTH_NONE},
        {".", HELO_WRONG, AUTH_NONE},
        {"a..b", HELO_WRONG, AUTH_NONE},
        {"192.0.2.1]", HELO_WRONG, AUTH_NONE},
        {"[192.0.2.1", HELO_WRONG, AUTH_NONE},
        {"a b.test", HELO_WRONG, AUTH_NONE},
        {"b\xc3\xbc.test", HELO_WRONG, AUTH_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (calls_itself(cases[i].helo) != cases[i].form || said.result != cases[i].result || said.ours)
            fail_msg("%s: %d %d", cases[i].helo, said.form, said.result);
    calls_itself("Ours.Test");
    assert_true(said.ours);
    calls_itself("ours.test.");
    assert_true(said.ours);
    calls_itself("ours.tests");
    assert_false(said.ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hosts_that_nobody_named),
        cmocka_unit_test(test_ten_names_at_most),
        cmocka_unit_test(test_helo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
