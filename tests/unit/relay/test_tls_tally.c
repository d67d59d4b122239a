/* How TLS went, summed: what a report says of it, what several processes add to one record, what is lost and what never
 * is. The store, the vault and the clock are the test's; records are sealed as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/relay/tally.h"
#include "tests/support/tally_store.h"

enum { DAY = 86400, MANY = 10000 };

static struct tallies *tallies;
static uint64_t lost, clock_now, tick; /* tick: with each look at the clock */
static unsigned changes;

static uint64_t now(void)
{
    clock_now += tick;
    return clock_now - tick;
}

static void on_change(void *arg)
{
    changes++;
}

static struct tallies *begin(void)
{
    struct tallies *t = tallies_create(loop, NULL, NULL, now, &lost, on_change, NULL);

    assert_non_null(t);
    tallies_limit(t, DAY);
    return t;
}

static int up(void **state)
{
    tally_store_up();
    clock_now = 20000 * (uint64_t)DAY + 5000;
    lost = changes = tick = 0;
    tallies = begin();
    return 0;
}

static int down(void **state)
{
    tallies_destroy(tallies);
    tally_store_down();
    return 0;
}

static const struct tally_session good = {.kind = TLS_REPORT_NO_POLICY,
                                          .policy_domain = "d.example",
                                          .mx = "mx.d.example"};

static struct tally_session bad_at(enum tls_report_kind kind, enum tls_report_result result, uint8_t last)
{
    struct tally_session s = good;

    s.kind = kind;
    s.result = result;
    s.receiving = (struct tls_tally_address){4, {192, 0, 2, last}};
    return s;
}

static struct tls_tally there(const char *domain)
{
    struct tls_tally t = {.begin = 20000 * (uint64_t)DAY, .end = 20001 * (uint64_t)DAY};
    uint8_t seen[QUEUE_SEEN_SIZE];

    snprintf(t.domain, sizeof(t.domain), "%s", domain);
    if (view_tls_tally(NULL, &t, seen) != OK)
        t.npolicies = 0;
    return t;
}

static uint64_t good_of(const char *domain)
{
    const struct tls_tally t = there(domain);

    return t.npolicies ? t.policies[0].good : 0;
}

static void write_all(struct tallies *t)
{
    for (int i = 0; i < 1000 && !tallies_end(t); i++)
        settle();
    assert_true(tallies_end(t));
}

/* ---- sums ---- */

static void what_is_alike_is_one(void **state)
{
    struct tls_tally t = {.domain = "d.example", .begin = 1, .end = 2}, twice = t;
    struct tally_session s;

    assert_int_equal(tally_sum_add(&t, &good), OK);
    assert_int_equal(tally_sum_add(&t, &good), OK);
    for (int i = 0; i < 6; i++) {
        s = bad_at(TLS_REPORT_NO_POLICY, TLS_REPORT_VALIDATION_FAILURE, (uint8_t)(i % 2));
        assert_int_equal(tally_sum_add(&t, &s), OK);
    }
    assert_int_equal(t.npolicies, 1);
    assert_true(t.policies[0].good == 2 && t.policies[0].bad == 6);
    assert_int_equal(t.ndetails, 2);
    assert_int_equal(tally_sum_merge(&twice, &t), OK);
    assert_int_equal(tally_sum_merge(&twice, &t), OK);
    assert_true(twice.policies[0].good == 4 && twice.policies[0].bad == 12 && twice.details[1].sessions == 6);
    /* Each of what may differ makes another one. */
    s = good;
    s.policy_domain = "mx.d.example";
    assert_int_equal(tally_sum_add(&t, &s), OK);
    s.text = slice_str("3 1 1 aa\n");
    assert_int_equal(tally_sum_add(&t, &s), OK);
    s.kind = TLS_REPORT_TLSA;
    assert_int_equal(tally_sum_add(&t, &s), OK);
    assert_int_equal(t.npolicies, 4);
}

/* Who has a domain can make policies, addresses and hosts of any number. */
static void it_has_an_end(void **state)
{
    struct tls_tally t = {.domain = "d.example", .begin = 1, .end = 2}, more = t;
    uint8_t hash[RECORD_HASH_SIZE], record[TLS_TALLY_RECORD_MAX];
    char text[TLS_TALLY_TEXT_MAX + 1], name[DOMAIN_CAP + 20];
    struct tally_session s;
    size_t len;

    memset(text, 'x', sizeof(text));
    text[TLS_TALLY_TEXT_MAX - 1] = '\n';
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    for (unsigned i = 0; i < 80; i++) {
        const bool known = i % 8 < TLS_TALLY_POLICIES_MAX, room = t.ndetails < TLS_TALLY_DETAILS_MAX;
        s = bad_at(TLS_REPORT_STS, TLS_REPORT_CERTIFICATE_EXPIRED, (uint8_t)i);
        text[0] = (char)('a' + i % 8);
        s.text = slice_of(text, TLS_TALLY_TEXT_MAX);
        s.mx = s.policy_domain = name;
        assert_int_equal(tally_sum_add(&t, &s), known && room ? OK : ERR_LIMIT);
    }
    assert_true(t.npolicies == TLS_TALLY_POLICIES_MAX && t.ndetails == TLS_TALLY_DETAILS_MAX);
    assert_int_equal(tls_tally_seal(keys, &t, hash, record, &len), OK); /* the largest there is */
    assert_int_equal(tls_tally_open(keys, hash, slice_of(record, len), &more), OK);
    assert_memory_equal(more.details, t.details, sizeof(t.details));
    assert_int_equal(tally_sum_merge(&t, &more), OK);
    more.policies[0].text[0] = 'z';
    assert_int_equal(tally_sum_merge(&t, &more), ERR_LIMIT);
}

static void the_report_says_it(void **state)
{
    static struct tally_report made;
    struct tls_tally t = {.domain = "d.example", .begin = DAY, .end = 2 * DAY};
    struct tally_session s = bad_at(TLS_REPORT_STS, TLS_REPORT_VALIDATION_FAILURE, 7);

    s.text = slice_str("version: STSv1\nmx: a.example\nmx: *.b.example\n");
    s.reason = TALLY_REASON_MX;
    assert_int_equal(tally_sum_add(&t, &good), OK);
    assert_int_equal(tally_sum_add(&t, &s), OK);
    tally_report_make(&t, &made);
    assert_true(made.report.begin == DAY && made.report.end == 2 * DAY - 1 && made.report.npolicies == 2);
    const struct tls_report_policy *p = made.report.policies;
    assert_true(p[0].kind == TLS_REPORT_NO_POLICY && p[0].successes == 1 && p[0].nlines == 0 && p[0].ndetails == 0);
    assert_true(p[1].failures == 1 && p[1].nlines == 3 && p[1].nmx == 2 && p[1].ndetails == 1);
    assert_string_equal(p[1].mx[1], "*.b.example");
    assert_string_equal(p[1].details[0].receiving_ip, "192.0.2.7");
    assert_null(p[1].details[0].sending_ip);
    assert_string_equal(p[1].details[0].reason, "mx-not-in-policy");
}

/* ---- in the store ---- */

static struct tallies *other;

static void other_writes(void)
{
    meanwhile = NULL;
    (void)tallies_end(other);
}

static void several_processes_add(void **state)
{
    other = begin();
    for (int i = 0; i < 5; i++) {
        tallies_add(tallies, "d.example", &good);
        tallies_add(other, "d.example", &good);
    }
    assert_int_equal(good_of("d.example"), 0);
    meanwhile = other_writes; /* between what the first one reads and what it writes */
    write_all(tallies);
    write_all(other);
    assert_int_equal(good_of("d.example"), 10);
    assert_true(conflicts > 0);
    assert_int_equal(lost, 0);
    tallies_destroy(other);
}

/* kill -9 takes what is not yet written, and nothing else. */
static void a_death_takes_the_last_minute(void **state)
{
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    tallies_destroy(tallies);
    tallies = begin();
    tallies_add(tallies, "d.example", &good);
    tallies_destroy(tallies);
    tallies = begin();
    assert_int_equal(good_of("d.example"), 1);
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    assert_int_equal(good_of("d.example"), 2);
}

/* It was written, and nobody knows. */
static void a_lost_answer_counts_nothing_twice(void **state)
{
    tallies_limit(tallies, 1); /* it writes four times a second */
    clock_now = 1000;
    answer_with = ERR_TIMEOUT;
    tallies_add(tallies, "d.example", &good);
    for (int i = 0; i < 100 && puts_asked == 0; i++)
        settle_ms(50);
    settle();
    assert_int_equal(puts_asked, 1);
    answer_with = OK;
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    struct tls_tally t = {.begin = 1000, .end = 1001, .domain = "d.example"};
    uint8_t seen[QUEUE_SEEN_SIZE];
    assert_int_equal(view_tls_tally(NULL, &t, seen), OK);
    assert_int_equal(t.policies[0].good, 2);
}

/* A second passes while a session is added. */
static void a_period_begins_when_all_others_do(void **state)
{
    struct tls_tally t = {.begin = 1000, .end = 1010, .domain = "d.example"};
    uint8_t seen[QUEUE_SEEN_SIZE];

    tallies_limit(tallies, 10);
    clock_now = 1009;
    tick = 1;
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    assert_int_equal(view_tls_tally(NULL, &t, seen), OK);
    assert_int_equal(t.policies[0].good, 1);
}

static void what_the_vault_has_no_room_for_is_counted(void **state)
{
    answer_with = ERR_FULL;
    store_nothing = true;
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    assert_int_equal(lost, 1);
    assert_int_equal(good_of("d.example"), 0);
}

static void damage_is_written_over(void **state)
{
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    records[0].sealed[60] ^= 1;
    assert_int_equal(good_of("d.example"), 0);
    tallies_destroy(tallies);
    tallies = begin();
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    assert_int_equal(good_of("d.example"), 1);
}

static void ten_thousand_domains_in_a_day(void **state)
{
    char name[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        tallies_add(tallies, name, &good);
        if (i % 100 == 99)
            settle();
    }
    write_all(tallies);
    assert_int_equal(lost, 0);
    assert_int_equal(nrecords, MANY);
    assert_int_equal(good_of("d9999.example"), 1);
    /* Faster than the vault takes them, they are not kept. */
    for (int i = 0; i < 3 * TALLY_DOMAINS_MAX; i++) {
        snprintf(name, sizeof(name), "e%d.example", i);
        tallies_add(tallies, name, &good);
    }
    assert_in_range(lost, 1, 3 * TALLY_DOMAINS_MAX - TALLY_DOMAINS_MAX);
    write_all(tallies);
}

static void nothing_is_kept_that_nobody_wants(void **state)
{
    tallies_limit(tallies, 0);
    tallies_add(tallies, "d.example", &good);
    write_all(tallies);
    assert_int_equal(nrecords, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_alike_is_one, up, down),
        cmocka_unit_test_setup_teardown(it_has_an_end, up, down),
        cmocka_unit_test_setup_teardown(the_report_says_it, up, down),
        cmocka_unit_test_setup_teardown(several_processes_add, up, down),
        cmocka_unit_test_setup_teardown(a_death_takes_the_last_minute, up, down),
        cmocka_unit_test_setup_teardown(a_lost_answer_counts_nothing_twice, up, down),
        cmocka_unit_test_setup_teardown(a_period_begins_when_all_others_do, up, down),
        cmocka_unit_test_setup_teardown(what_the_vault_has_no_room_for_is_counted, up, down),
        cmocka_unit_test_setup_teardown(damage_is_written_over, up, down),
        cmocka_unit_test_setup_teardown(ten_thousand_domains_in_a_day, up, down),
        cmocka_unit_test_setup_teardown(nothing_is_kept_that_nobody_wants, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
