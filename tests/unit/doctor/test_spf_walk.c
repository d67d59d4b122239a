/* SPF records walked in a zone of the test's: what they say of an address, and what they cost (RFC 7208 section 4.6.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/doctor/spf_walk.h"

enum { ASKED_MAX = 1000 };

/* The address that is asked about, 192.0.2.1, and what there is. */
static const struct {
    const char *name;
    enum dns_type type;
    const char *text; /* TXT, or a name; NULL: address */
    uint8_t address[16];
} zone[] = {
    {"one.test", DNS_A, NULL, {192, 0, 2, 1}},
    {"one.test", DNS_AAAA, NULL, {0x20, 1, 0x0d, 0xb8, [15] = 1}},
    {"other.test", DNS_A, NULL, {192, 0, 2, 200}},
    {"mx.test", DNS_MX, "other.test", {0}},
    {"mx.test", DNS_MX, "one.test", {0}},
    {"null.test", DNS_MX, "", {0}},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, "one.test", {0}},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, "none.test", {0}},
    {"1.2.0.192.list.test", DNS_A, NULL, {127, 0, 0, 2}},
    {"pass.test", DNS_TXT, "v=spf1 a:one.test -all", {0}},
    {"fail.test", DNS_TXT, "v=spf1 -all", {0}},
    {"soft.test", DNS_TXT, "v=spf1 ~all", {0}},
    {"bad.test", DNS_TXT, "v=spf1 all:x", {0}},
    {"two.test", DNS_TXT, "v=spf1 -all", {0}},
    {"two.test", DNS_TXT, "v=spf1 +all", {0}},
    {"other-texts.test", DNS_TXT, "google-site-verification=x", {0}},
    {"other-texts.test", DNS_TXT, "v=spf1 a:one.test -all", {0}},
    {"loop.test", DNS_TXT, "v=spf1 include:loop.test -all", {0}},
    {"loop2.test", DNS_TXT, "v=spf1 redirect=loop2.test", {0}},
    {"tree.test", DNS_TXT, "v=spf1 include:tree.test include:tree.test include:tree.test -all", {0}},
    {"six.test", DNS_TXT, "v=spf1 a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test -all", {0}},
};

static const char *own; /* the record of "own.test" */
static unsigned asked;

static const struct dns_answer *ask(void *arg, enum dns_type type, const char *name, int *ret_err)
{
    static struct {
        struct dns_record v[16];
        struct dns_answer a;
    } kept[ASKED_MAX]; /* answers stay until the end */
    struct dns_record *v = kept[asked].v;
    struct dns_answer *a = &kept[asked].a;
    uint32_t n = 0;
    (void)arg;
    assert_true(++asked < ASKED_MAX);
    if (!strcmp(name, "later.test") || strlen(name) > 253) {
        *ret_err = strlen(name) > 253 ? ERR_FORMAT : ERR_AGAIN;
        return NULL;
    }
    if (!strcmp(name, "many.test") && type == DNS_MX)
        for (; n < 11; n++)
            v[n] = (struct dns_record){.name = "one.test"};
    if (!strcmp(name, "own.test") && type == DNS_TXT && own)
        v[n++] = (struct dns_record){.data = slice_of(own, strlen(own))};
    for (size_t i = 0; i < sizeof(zone) / sizeof(*zone); i++)
        if (!strcmp(zone[i].name, name) && zone[i].type == type)
            v[n++] = (struct dns_record){.name = zone[i].text,
                                         .data = type == DNS_TXT ? slice_of(zone[i].text, strlen(zone[i].text))
                                                                 : slice_of(zone[i].address, type == DNS_A ? 4 : 16)};
    *a = (struct dns_answer){.exists = n > 0, .n = n, .v = v, .canonical = name};
    return a;
}

static struct spf_walk walk(const char *record, bool six)
{
    static const uint8_t four[4] = {192, 0, 2, 1}, long_one[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
    struct spf_walk w = {.ask = ask,
                         .macros = {.local = "postmaster",
                                    .sender_domain = "own.test",
                                    .helo = "h.test",
                                    .validated = "unknown",
                                    .address = six ? long_one : four,
                                    .six = six}};
    own = record;
    asked = 0;
    spf_walk_run(&w, "own.test");
    return w;
}

static void test_results(void **state)
{
    static const struct {
        const char *record;
        enum auth_result four, six;
    } rows[] = {
        {NULL, AUTH_NONE, AUTH_NONE},
        {"v=spf1", AUTH_NEUTRAL, AUTH_NEUTRAL},
        {"v=spf1 -all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 ?all", AUTH_NEUTRAL, AUTH_NEUTRAL},
        {"v=spf1 ip4:192.0.2.1 -all", AUTH_PASS, AUTH_FAIL},
        {"v=spf1 ip4:192.0.2.128/25 ~all", AUTH_SOFTFAIL, AUTH_SOFTFAIL},
        {"v=spf1 ip4:192.0.2.128/24 -all", AUTH_PASS, AUTH_FAIL},
        {"v=spf1 ip6:2001:db8::/32 -all", AUTH_FAIL, AUTH_PASS},
        {"v=spf1 a:one.test -all", AUTH_PASS, AUTH_PASS},
        {"v=spf1 a:other.test -all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 a:other.test/24 -all", AUTH_PASS, AUTH_FAIL},
        {"v=spf1 mx:mx.test -all", AUTH_PASS, AUTH_PASS},
        {"v=spf1 mx:null.test -all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 mx:many.test -all", AUTH_PASS, AUTH_PASS}, /* the first ten are looked at; the fault is kept */
        {"v=spf1 -mx:mx.test +all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 ptr:one.test -all", AUTH_PASS, AUTH_FAIL},
        {"v=spf1 ptr:e.test -all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 exists:%{ir}.list.test -all", AUTH_PASS, AUTH_FAIL},
        {"v=spf1 include:pass.test -all", AUTH_PASS, AUTH_PASS},
        {"v=spf1 include:fail.test ?all", AUTH_NEUTRAL, AUTH_NEUTRAL},
        {"v=spf1 include:soft.test -all", AUTH_FAIL, AUTH_FAIL},
        {"v=spf1 include:none.test -all", AUTH_PERMERROR, AUTH_PERMERROR},
        {"v=spf1 include:bad.test -all", AUTH_PERMERROR, AUTH_PERMERROR},
        {"v=spf1 include:two.test -all", AUTH_PERMERROR, AUTH_PERMERROR},
        {"v=spf1 include:other-texts.test -all", AUTH_PASS, AUTH_PASS},
        {"v=spf1 include:later.test -all", AUTH_TEMPERROR, AUTH_TEMPERROR},
        {"v=spf1 a:later.test -all", AUTH_TEMPERROR, AUTH_TEMPERROR},
        {"v=spf1 a:one.test include:later.test", AUTH_PASS, AUTH_PASS}, /* it was decided before */
        {"v=spf1 redirect=pass.test", AUTH_PASS, AUTH_PASS},
        {"v=spf1 redirect=fail.test a:one.test", AUTH_PASS, AUTH_PASS},
        {"v=spf1 redirect=none.test", AUTH_PERMERROR, AUTH_PERMERROR},
        {"v=spf1 ~all redirect=pass.test", AUTH_SOFTFAIL, AUTH_SOFTFAIL},
        {"v=spf1 a:one.test ip4:x", AUTH_PERMERROR, AUTH_PERMERROR},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        for (int six = 0; six < 2; six++) {
            struct spf_walk w = walk(rows[i].record, six);
            if (w.result != (six ? rows[i].six : rows[i].four))
                fail_msg("%s: %s", rows[i].record, auth_result_name(w.result));
            if (w.result == AUTH_PERMERROR || w.result == AUTH_TEMPERROR)
                assert_true(w.fault && *w.fault_at);
        }
}

/* Which terms count, which names are void. */
static void test_what_it_costs(void **state)
{
    static const struct {
        const char *record;
        unsigned lookups, voids;
    } rows[] = {
        {"v=spf1 ip4:192.0.2.1 ip6:::1 exp=x.test y=z -all", 0, 0},
        {"v=spf1 a:one.test a:other.test mx:mx.test ptr exists:x.list.test -all", 5, 0},
        {"v=spf1 a mx a:x.test mx:null.test -all", 4, 3}, /* own.test has no address */
        {"v=spf1 -all a:one.test include:pass.test redirect=pass.test", 0, 0},
        {"v=spf1 include:pass.test redirect=pass.test", 4, 0},
        {"v=spf1 include:six.test include:six.test", 14, 12},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct spf_walk w = walk(rows[i].record, false);
        if (w.lookups != rows[i].lookups || w.voids != rows[i].voids)
            fail_msg("%s: %u %u", rows[i].record, w.lookups, w.voids);
    }
}

static void test_what_is_minded(void **state)
{
    assert_true(walk("v=spf1 a:one.test +all", false).lets_everybody);
    assert_true(walk("v=spf1 ip4:0.0.0.0/0 -all", false).lets_everybody);
    assert_true(walk("v=spf1 ip6:::/0 -all", false).lets_everybody);
    assert_true(walk("v=spf1 include:two.test ip6:::/0 -all", false).lets_everybody);
    assert_false(walk("v=spf1 -ip4:0.0.0.0/0 ?all", false).lets_everybody);
    assert_true(walk("v=spf1 ptr -all", false).asks_ptr);
    assert_non_null(walk("v=spf1 mx:many.test -all", false).fault);
    assert_string_equal(walk("v=spf1 include:bad.test -all", false).fault_at, "bad.test: all:x");
}

/* Whatever records name one another: it ends, soon, and costs too much. */
static void test_it_ends(void **state)
{
    static const char *const rows[] = {"v=spf1 include:loop.test -all", "v=spf1 redirect=loop2.test",
                                       "v=spf1 include:tree.test -all", "v=spf1 include:own.test include:own.test"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct spf_walk w = walk(rows[i], false);
        assert_true(w.lookups > SPF_LOOKUPS_MAX && w.lookups < 300 && asked < 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_results), cmocka_unit_test(test_what_it_costs),
                                       cmocka_unit_test(test_what_is_minded), cmocka_unit_test(test_it_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
