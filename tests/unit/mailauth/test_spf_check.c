/* What SPF says beyond the published cases (tests/script/test_spf_suite.py): what others were bitten by, what strangers
 * may make us ask, and what happens when answers do not come. */
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
#include "tests/support/records_zone.h"

/* At most: a record, ten terms, ten hosts of each, and the words. */
enum { ASKED_MAX = 1 + 10 + 10 * 10 + 1, OWN_MAX = 1 << 20 };

static const uint8_t four[4] = {192, 0, 2, 1};
static const uint8_t six[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1};

static char own[OWN_MAX + 1]; /* the record of own.test */
static struct zone_row rows[] = {
    {"own.test", RECORDS_TXT, own},
    {"one.test", RECORDS_A, "192.0.2.1"},
    {"other.test", RECORDS_A, "192.0.2.200"},
    {"pass.test", RECORDS_TXT, "v=spf1 +all"},
    {"fail.test", RECORDS_TXT, "v=spf1 -all exp=words.test"},
    {"words.test", RECORDS_TXT, "%{i} is not of %{d}"},
    {"odd-words.test", RECORDS_TXT, "%{h} and %{l}"},
    {"none.test", RECORDS_TXT, "something else"},
    {"slow.test", RECORDS_TXT, NULL},
    {"slow-host.test", RECORDS_A, NULL},
    {"two.test", RECORDS_TXT, "v=spf1 -all"},
    {"two.test", RECORDS_TXT, "v=spf1 +all"},
    {"loop.test", RECORDS_TXT, "v=spf1 include:loop.test +all"},
    {"loop2.test", RECORDS_TXT, "v=spf1 redirect=loop2.test"},
    {"tree.test", RECORDS_TXT, "v=spf1 include:tree.test include:tree.test include:tree.test -all"},
    {"four-mx.test", RECORDS_MX, "10 a.four-mx.test"},
    {"four-mx.test", RECORDS_MX, "20 b.four-mx.test"},
    {"four-mx.test", RECORDS_MX, "30 c.four-mx.test"},
    {"four-mx.test", RECORDS_MX, "40 six-mx.test"},
    {"a.four-mx.test", RECORDS_A, "192.0.2.9"},
    {"b.four-mx.test", RECORDS_A, "192.0.2.9"},
    {"c.four-mx.test", RECORDS_A, "192.0.2.9"},
    {"six-mx.test", RECORDS_AAAA, "2001:db8::1"},
    {"late-mx.test", RECORDS_MX, "10 one.test"},
    {"late-mx.test", RECORDS_MX, "20 slow-host.test"},
    {"slow-mx.test", RECORDS_MX, "10 slow-host.test"},
    {"slow-mx.test", RECORDS_MX, "20 one.test"},
    {"null-mx.test", RECORDS_MX, "0 "},
    {"1.2.0.192.in-addr.arpa", RECORDS_PTR, "liar.protection.test"},
    {"1.2.0.192.in-addr.arpa", RECORDS_PTR, "a.one.test"},
    {"a.one.test", RECORDS_A, "192.0.2.1"},
    {"liar.protection.test", RECORDS_A, "192.0.2.77"},
    {"xn--bcher-kva.test", RECORDS_TXT, "v=spf1 ip4:192.0.2.1 -all"},
    {"a+b=c.list.test", RECORDS_A, "127.0.0.2"},
    {"a.one.test.named.test", RECORDS_A, "127.0.0.2"},
};
static struct zone zone;
static struct spf_verdict got;
static int rounds;

static enum auth_result ask(struct spf_question q)
{
    struct records *r = records_create();
    int err;
    assert_non_null(r);
    zone = (struct zone){.v = rows, .n = sizeof(rows) / sizeof(*rows)};
    for (rounds = 0; (err = spf_check(&q, r, &got)) == ERR_AGAIN; rounds++)
        assert_true(zone_answer(&zone, r) > 0);
    assert_int_equal(err, OK);
    assert_true(zone.asked <= ASKED_MAX);
    records_destroy(r);
    return got.result;
}

static struct spf_question question(const char *sender)
{
    return (struct spf_question){
        .address = four, .helo = "helo.test", .sender = sender, .receiver = "mx.test", .now = 1000};
}

static enum auth_result of(const char *record)
{
    snprintf(own, sizeof(own), "v=spf1 %s", record);
    return ask(question("somebody@own.test"));
}

static enum auth_result of_six(const char *record)
{
    struct spf_question q = question("somebody@own.test");
    snprintf(own, sizeof(own), "v=spf1 %s", record);
    q.address = six;
    q.six = true;
    return ask(q);
}

static void test_who_is_judged(void **state)
{
    struct spf_question q = question("");
    assert_int_equal(ask(question("a@pass.test")), AUTH_PASS);
    assert_string_equal(got.domain, "pass.test");
    assert_false(got.of_helo);
    q.helo = "pass.test";
    assert_int_equal(ask(q), AUTH_PASS);
    assert_true(got.of_helo);
    static const char *const none[] = {
        "a@[192.0.2.1]", "a@localhost", "a@none.test", "a@nowhere.test", "a@", "a@b..test", "a@.", "a"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        if (ask(question(none[i])) != AUTH_NONE)
            fail_msg("%s", none[i]);
    static const char *const names[] = {"[192.0.2.1]", "short", "", "a b", "%{d}.%{h}"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        q.helo = names[i];
        if (ask(q) != AUTH_NONE)
            fail_msg("%s", names[i]);
    }
    assert_int_equal(ask(question("\"a@pass.test\"@fail.test")), AUTH_FAIL); /* the last one parts them */
}

static void test_addresses(void **state)
{
    struct spf_question q = question("a@own.test");
    assert_int_equal(of("ip4:192.0.2.0/24 -all"), AUTH_PASS);
    assert_int_equal(of("ip4:192.0.2.2/31 -all"), AUTH_FAIL);
    assert_int_equal(of("ip6:::/0 -all"), AUTH_FAIL);
    assert_int_equal(of("ip6:::ffff:192.0.2.1 -all"), AUTH_FAIL);
    assert_int_equal(of_six("ip4:0.0.0.0/0 -all"), AUTH_FAIL);
    assert_int_equal(of_six("ip6:2001:db8::/32 -all"), AUTH_PASS);
    /* IPv4 in IPv6's clothes is IPv4. */
    q.address = mapped;
    q.six = true;
    strcpy(own, "v=spf1 ip4:192.0.2.1 -all");
    assert_int_equal(ask(q), AUTH_PASS);
    strcpy(own, "v=spf1 a:one.test -all");
    assert_int_equal(ask(q), AUTH_PASS);
    strcpy(own, "v=spf1 exists:%{ir}.%{v}.x.test -all");
    assert_int_equal(ask(q), AUTH_FAIL);
    assert_string_equal(zone.last[0], "A 1.2.0.192.in-addr.x.test");
}

/* Section 4.6.4. A term that finds none of its own counts as void, not each host of an MX that has no address of the
 * peer's kind (sdgathman/pyspf#44, postalsys/mailauth#104). */
static void test_void_lookups(void **state)
{
    assert_int_equal(of_six("mx:four-mx.test -all"), AUTH_PASS);
    assert_int_equal(of("a:x1.test a:x2.test a:one.test"), AUTH_PASS);
    assert_int_equal(of("a:x1.test a:x2.test a:x3.test a:one.test"), AUTH_PERMERROR);
    assert_int_equal(of("a:x1.test mx:x2.test exists:x3.test a:one.test"), AUTH_PERMERROR);
    assert_int_equal(of("a:one.test a:x1.test a:x2.test a:x3.test"), AUTH_PASS); /* never came so far */
}

/* rspamd/rspamd#110: a name that does not lead back is none, and the target need not have an address. */
static void test_ptr(void **state)
{
    assert_int_equal(of("ptr:protection.test -all"), AUTH_FAIL);
    assert_int_equal(of("ptr:one.test -all"), AUTH_PASS);
    assert_int_equal(of("ptr:a.one.test -all"), AUTH_PASS);
    assert_int_equal(of("ptr:e.test -all"), AUTH_FAIL); /* no label begins there */
    assert_int_equal(of("exists:%{p}.named.test -all"), AUTH_PASS);
    assert_int_equal(of_six("ptr:one.test -all"), AUTH_FAIL);
}

static void test_what_a_stranger_may_ask(void **state)
{
    assert_int_equal(ask(question("a@loop.test")), AUTH_PERMERROR);
    assert_int_equal(ask(question("a@loop2.test")), AUTH_PERMERROR);
    assert_int_equal(ask(question("a@tree.test")), AUTH_PERMERROR);
    assert_int_equal(ask(question("a@two.test")), AUTH_PERMERROR);
    assert_int_equal(of("a:one.test a:other.test a:one.test a:one.test a:one.test a:one.test a:one.test a:one.test "
                        "a:one.test a:one.test -all"),
                     AUTH_PASS);
    assert_int_equal(of("a:other.test a:other.test a:other.test a:other.test a:other.test a:other.test a:other.test "
                        "a:other.test a:other.test a:other.test -all"),
                     AUTH_FAIL);
    assert_int_equal(of("a:other.test a:other.test a:other.test a:other.test a:other.test a:other.test a:other.test "
                        "a:other.test a:other.test a:other.test a:one.test -all"),
                     AUTH_PERMERROR);
    assert_int_equal(of("mx:null-mx.test -all"), AUTH_FAIL);
}

static void test_long_records(void **state)
{
    strcpy(own, "v=spf1");
    memset(own + 6, ' ', OWN_MAX - 6);
    strcpy(own + SPF_RECORD_MAX - 5, " +all");
    assert_int_equal(strlen(own), SPF_RECORD_MAX);
    assert_int_equal(ask(question("a@own.test")), AUTH_PASS);
    memset(own + 6, ' ', OWN_MAX - 6);
    strcpy(own + SPF_RECORD_MAX - 4, " +all");
    assert_int_equal(ask(question("a@own.test")), AUTH_PERMERROR);
    memset(own + 6, ' ', OWN_MAX - 6);
    strcpy(own + OWN_MAX - 5, " +all"); /* more than answers may be */
    assert_int_equal(ask(question("a@own.test")), AUTH_TEMPERROR);
}

static void test_what_does_not_resolve(void **state)
{
    assert_int_equal(ask(question("a@slow.test")), AUTH_TEMPERROR);
    assert_non_null(got.problem);
    assert_int_equal(of("include:slow.test +all"), AUTH_TEMPERROR);
    assert_int_equal(of("redirect=slow.test"), AUTH_TEMPERROR);
    assert_int_equal(of("a:slow-host.test +all"), AUTH_TEMPERROR);
    assert_int_equal(of("mx:slow-mx.test +all"), AUTH_TEMPERROR);
    assert_int_equal(of("mx:late-mx.test -all"), AUTH_PASS); /* it matched before */
    assert_int_equal(of("exists:slow-host.test +all"), AUTH_TEMPERROR);
    assert_int_equal(of("include:none.test +all"), AUTH_PERMERROR);
    assert_int_equal(of("redirect=none.test"), AUTH_PERMERROR);
    assert_int_equal(of("include:two.test +all"), AUTH_PERMERROR);
    /* A macro that makes no name of it: it has no records (section 4.8). */
    struct spf_question q = question("a\xc3\xbc@own.test");
    strcpy(own, "v=spf1 exists:%{l}.list.test -all");
    assert_int_equal(ask(q), AUTH_FAIL); /* RFC 8616 section 4 */
    q.sender = "A+b=c@own.test";
    assert_int_equal(ask(q), AUTH_PASS);
    strcpy(own, "v=spf1 include:%{h}.. +all");
    assert_int_equal(ask(q), AUTH_PERMERROR);
}

static void test_international_domains(void **state)
{
    assert_int_equal(ask(question("a@b\xc3\xbc"
                                  "cher.test")),
                     AUTH_PASS);
    assert_string_equal(got.domain, "xn--bcher-kva.test");
    assert_int_equal(ask(question("a@\xff\xfe.test")), AUTH_NONE);
}

static void test_words(void **state)
{
    assert_int_equal(ask(question("a@fail.test")), AUTH_FAIL);
    assert_string_equal(got.explanation, "192.0.2.1 is not of fail.test");
    assert_int_equal(of("include:fail.test -all"), AUTH_FAIL); /* section 6.2: not those of what is included */
    assert_string_equal(got.explanation, "");
    assert_int_equal(of("redirect=fail.test exp=none.test"), AUTH_FAIL);
    assert_string_equal(got.explanation, "192.0.2.1 is not of fail.test");
    assert_int_equal(of("-all exp=two.test"), AUTH_FAIL);
    assert_string_equal(got.explanation, "");
    assert_int_equal(of("-all exp=slow.test"), AUTH_FAIL);
    assert_string_equal(got.explanation, "");
    assert_int_equal(of("?all exp=words.test"), AUTH_NEUTRAL);
    assert_string_equal(got.explanation, "");
    /* Octets of a stranger's never get out. */
    struct spf_question q = question("a\x01\r\nX: y@own.test");
    strcpy(own, "v=spf1 -all exp=odd-words.test");
    assert_int_equal(ask(q), AUTH_FAIL);
    assert_string_equal(got.explanation, "");
    q.sender = "a@own.test";
    assert_int_equal(ask(q), AUTH_FAIL);
    assert_string_equal(got.explanation, "helo.test and a");
}

/* What is asked at once: all hosts of an MX. */
static void test_rounds(void **state)
{
    assert_int_equal(of_six("mx:four-mx.test -all"), AUTH_PASS);
    assert_int_equal(rounds, 3);
    assert_int_equal(zone.asked, 1 + 1 + 4);
}

static void test_time_is_up(void **state)
{
    struct records *r = records_create();
    struct spf_question q = question("a@pass.test");
    assert_non_null(r);
    assert_int_equal(spf_check(&q, r, &got), ERR_AGAIN);
    records_end(r);
    assert_int_equal(spf_check(&q, r, &got), OK);
    assert_int_equal(got.result, AUTH_TEMPERROR);
    records_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_judged),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_void_lookups),
        cmocka_unit_test(test_ptr),
        cmocka_unit_test(test_what_a_stranger_may_ask),
        cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_what_does_not_resolve),
        cmocka_unit_test(test_international_domains),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_time_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
