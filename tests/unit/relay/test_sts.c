/* MTA-STS policies over time: found, kept, fetched anew, and never taken away before they expire. Names, pages and the
 * clock are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/relay/sts.h"

#define ENFORCE "version: STSv1\nmode: enforce\nmx: a\nmax_age: 100000\n"
#define SHORT "version: STSv1\nmode: enforce\nmx: b\nmax_age: 100\n"
#define NONE "version: STSv1\nmode: none\nmax_age: 100000\n"

static struct loop *loop;
static struct sts *sts;
static uint64_t clock_now;
static const char *record, *record2; /* NULL: there is none */
static int record_err;
static unsigned records;

static uint64_t now(void)
{
    return clock_now;
}

struct dns_question {
    struct defer later;
    dns_fn *fn;
    void *arg;
};

static void record_answer(void *arg)
{
    struct dns_question *q = arg;
    const struct dns_record v[] = {{.data = slice_str(record ? record : "")},
                                   {.data = slice_str(record2 ? record2 : "")}};
    const struct dns_answer a = {.exists = true, .ttl = 100, .n = (record != NULL) + (record2 != NULL), .v = v};

    q->fn(q->arg, record_err, &a);
    free(q);
}

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    struct dns_question *q = calloc(1, sizeof(*q));

    assert_non_null(q);
    assert_int_equal(type, DNS_TXT);
    assert_memory_equal(name, "_mta-sts.", 9);
    *q = (struct dns_question){.fn = fn, .arg = arg};
    defer_set(loop, &q->later, record_answer, q);
    records++;
    *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    defer_cancel(loop, &q->later);
    free(q);
}

#include "tests/support/pages_stand_in.h"

/* What outlives a process: one record, which is enough. */
static struct sts_policy kept;
static unsigned writes;

static int shelf_read(void *arg, const char *domain, struct sts_policy *ret)
{
    *ret = kept;
    return strcmp(domain, kept.domain) == 0 ? OK : ERR_NOT_FOUND;
}

static void shelf_write(void *arg, const struct sts_policy *p)
{
    kept = *p;
    writes++;
}

static const struct sts_shelf shelf = {shelf_read, shelf_write, NULL};

static unsigned heard;
static char first_mx[16];
static enum sts_fault first_fault;

static void on_policy(void *arg, const struct mta_sts_policy *p, enum sts_fault fault)
{
    heard++;
    first_fault = fault;
    snprintf(first_mx, sizeof(first_mx), "%.15s", p ? p->mx : "none");
    loop_stop(loop);
}

static void wake(void *arg)
{
    loop_stop(loop);
}

/* The first MX of the policy that counts, or "none". */
static const char *ask(const char *domain)
{
    struct sts_question *q;
    struct timer *t = timer_create_in(loop, wake, NULL);

    heard = 0;
    assert_int_equal(sts_find(sts, domain, on_policy, NULL, &q), OK);
    timer_set(t, 60000);
    assert_int_equal(heard, 0); /* never from sts_find */
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
    assert_int_equal(heard, 1);
    return first_mx;
}

static int up(void **state)
{
    loop = loop_create();
    sts = sts_create(loop, NULL, NULL, now, &shelf);
    kept = (struct sts_policy){0};
    writes = 0;
    clock_now = 1000000;
    record = "v=STSv1; id=1";
    record2 = NULL;
    record_err = page_err = OK;
    page = ENFORCE;
    records = pages = 0;
    page_waits = false;
    return loop && sts ? 0 : -1;
}

static int down(void **state)
{
    sts_destroy(sts);
    loop_destroy(loop);
    return 0;
}

static void it_is_kept_and_not_asked_for_again(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(records, 1);
    assert_int_equal(pages, 1);
    clock_now += 101; /* the record's time is over */
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(records, 2);
    assert_int_equal(pages, 1);
    assert_string_equal(ask("e.example"), "a");
    assert_int_equal(pages, 2);
}

static void who_stands_on_the_way_does_not_take_it_away(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    record = NULL; /* no record */
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a");
    record_err = ERR_AGAIN; /* no answer */
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a");
    record_err = OK;
    record = "v=STSv1; id="; /* a wrong one, another kind, two */
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a");
    record = "v=STSv1; id=2";
    record2 = "v=STSv1; id=3";
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 1);
    record2 = NULL;
    page = NULL; /* another id, and no page */
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 2);
    page = "no policy\n";
    clock_now += STS_FETCH_AGAIN;
    assert_string_equal(ask("d.example"), "a");
    page_err = ERR_CRYPTO;
    clock_now += STS_FETCH_AGAIN;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 4);
    clock_now += 100000; /* expired */
    assert_string_equal(ask("d.example"), "none");
}

/* TLS reports tell it; who has a policy that counts is told nothing. */
static void why_there_is_none(void **state)
{
    static const struct {
        const char *page;
        int err;
        enum sts_fault fault;
    } table[] = {{NULL, OK, STS_FAULT_FETCH},
                 {ENFORCE, ERR_AGAIN, STS_FAULT_FETCH},
                 {ENFORCE, ERR_TIMEOUT, STS_FAULT_FETCH},
                 {ENFORCE, ERR_CRYPTO, STS_FAULT_WEBPKI},
                 {"no policy\n", OK, STS_FAULT_INVALID},
                 {ENFORCE, OK, STS_FAULT_NONE},
                 {NULL, OK, STS_FAULT_NONE}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        page = table[i].page;
        page_err = table[i].err;
        clock_now += STS_FETCH_AGAIN + 101;
        assert_string_equal(ask("d.example"), i < 5 ? "none" : "a");
        assert_int_equal(first_fault, table[i].fault);
        (void)ask("d.example"); /* until it is fetched again */
        assert_int_equal(first_fault, table[i].fault);
    }
    assert_string_equal(ask("e.example"), "none");
    assert_int_equal(first_fault, STS_FAULT_FETCH);
    record = NULL; /* it does not say that it has one */
    clock_now += STS_FETCH_AGAIN + 101;
    assert_string_equal(ask("e.example"), "none");
    assert_int_equal(first_fault, STS_FAULT_NONE);
}

static void another_id_brings_another_policy(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    page = SHORT;
    clock_now += 101;
    assert_string_equal(ask("d.example"), "a"); /* the same id */
    record = "v=STSv1; id=2";
    clock_now += 101;
    assert_string_equal(ask("d.example"), "b");
    page = NONE;
    record = "v=STSv1; id=3";
    clock_now += 99;
    assert_string_equal(ask("d.example"), "b"); /* the record is not looked at yet */
    clock_now += 1;
    assert_string_equal(ask("d.example"), "none"); /* the end of a policy, in order */
}

static void it_is_fetched_anew_before_it_expires(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    clock_now += 50001;
    page_waits = true;
    assert_string_equal(ask("d.example"), "a"); /* nobody waits for it */
    assert_int_equal(pages, 2);
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 2);
    page = SHORT;
    page_answer(waiting);
    assert_string_equal(ask("d.example"), "b");
}

static void a_page_that_fails_is_left_alone(void **state)
{
    page = NULL;
    for (int i = 0; i < 5; i++)
        assert_string_equal(ask("d.example"), "none");
    assert_int_equal(pages, 1);
    clock_now += STS_FETCH_AGAIN + 1;
    page = ENFORCE;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 2);
}

static void many_ask_together(void **state)
{
    struct sts_question *q[5];
    struct timer *t = timer_create_in(loop, wake, NULL);

    page_waits = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(sts_find(sts, "d.example", on_policy, NULL, &q[i]), OK);
    sts_cancel(q[2]);
    timer_set(t, 100);
    loop_run(loop);
    assert_non_null(waiting);
    heard = 0;
    page_answer(waiting);
    timer_set(t, 60000);
    loop_run(loop);
    timer_destroy(t);
    assert_int_equal(heard, 4);
    assert_int_equal(records, 1);
    assert_int_equal(pages, 1);
}

static void domains_without_a_policy_push_none_out(void **state)
{
    char name[32];

    assert_string_equal(ask("d.example"), "a");
    record = NULL;
    for (int i = 0; i < STS_DOMAINS_MAX + 100; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        assert_string_equal(ask(name), "none");
    }
    records = 0;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 1);
    assert_string_equal(ask("d0.example"), "none");
    assert_int_equal(records, 1); /* forgotten */
}

static void restart(void)
{
    sts_destroy(sts);
    assert_non_null(sts = sts_create(loop, NULL, NULL, now, &shelf));
}

/* Section 5.1: whoever takes record and page away after a restart takes nothing away. */
static void a_restart_does_not_take_it_away(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(writes, 1);
    assert_int_equal(kept.expires, clock_now + 100000);
    restart();
    record = page = NULL;
    clock_now += 50001;
    assert_string_equal(ask("d.example"), "a");
    assert_string_equal(ask("other.example"), "none");
    restart();
    record = "v=STSv1; id=2"; /* another one, without a page */
    assert_string_equal(ask("d.example"), "a");
    restart();
    clock_now += 49999; /* over, counted from when it was fetched */
    assert_string_equal(ask("d.example"), "none");
}

static void it_is_fetched_anew_after_a_restart_as_before(void **state)
{
    assert_string_equal(ask("d.example"), "a");
    restart();
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 1);
    clock_now += 50001;
    page_waits = true;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(pages, 2);
}

/* Of two processes the one that fetched last has the policy that counts. */
static void what_another_process_fetched_counts(void **state)
{
    struct sts_policy older;

    assert_string_equal(ask("d.example"), "a");
    older = kept;
    clock_now += 101;
    kept.fetched = clock_now;
    kept.expires = clock_now + 100;
    kept.len = sizeof(SHORT) - 1;
    memcpy(kept.text, SHORT, kept.len);
    assert_string_equal(ask("d.example"), "b");
    kept = older;
    clock_now += 99;
    assert_string_equal(ask("d.example"), "b");
    memset(kept.text, 'x', kept.len); /* what is not a policy is none */
    restart();
    record = NULL;
    assert_string_equal(ask("d.example"), "none");
}

static void a_long_one_is_kept_in_memory(void **state)
{
    static char longest[STS_POLICY_TEXT_MAX + 200] = ENFORCE;

    for (size_t n = sizeof(ENFORCE) - 1; n < sizeof(longest) - 10; n += 10)
        memcpy(longest + n, "mx: a.bcd\n", 11);
    page = longest;
    assert_string_equal(ask("d.example"), "a");
    assert_int_equal(writes, 0);
    clock_now += 101;
    record = NULL;
    assert_string_equal(ask("d.example"), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_kept_and_not_asked_for_again, up, down),
        cmocka_unit_test_setup_teardown(who_stands_on_the_way_does_not_take_it_away, up, down),
        cmocka_unit_test_setup_teardown(why_there_is_none, up, down),
        cmocka_unit_test_setup_teardown(another_id_brings_another_policy, up, down),
        cmocka_unit_test_setup_teardown(it_is_fetched_anew_before_it_expires, up, down),
        cmocka_unit_test_setup_teardown(a_page_that_fails_is_left_alone, up, down),
        cmocka_unit_test_setup_teardown(many_ask_together, up, down),
        cmocka_unit_test_setup_teardown(domains_without_a_policy_push_none_out, up, down),
        cmocka_unit_test_setup_teardown(a_restart_does_not_take_it_away, up, down),
        cmocka_unit_test_setup_teardown(it_is_fetched_anew_after_a_restart_as_before, up, down),
        cmocka_unit_test_setup_teardown(what_another_process_fetched_counts, up, down),
        cmocka_unit_test_setup_teardown(a_long_one_is_kept_in_memory, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
