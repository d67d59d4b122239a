/* One cache of DNS answers for a process: asked once, bounded, with turns for networks. `resolver` is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/judge/answers.h"

enum { MANY = 10000 };

struct dns_question {
    dns_fn *fn;
    void *arg;
    char name[DNS_NAME_MAX + 1];
};
static struct dns_question *out[MANY]; /* in the order of asking */
static size_t begun, ended;
static int refuse;

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    struct dns_question *q = calloc(1, sizeof(*q));

    if (refuse != OK || begun == MANY) {
        free(q);
        return refuse;
    }
    assert_non_null(q);
    q->fn = fn;
    q->arg = arg;
    snprintf(q->name, sizeof(q->name), "%s", name);
    out[begun++] = *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    for (size_t i = 0; i < begun; i++)
        if (out[i] == q)
            out[i] = NULL;
    free(q);
}

static struct loop *loop;
static struct answers *answers;
static size_t told;
static int last;

static int up(void **state)
{
    loop = loop_create();
    answers = answers_create(loop, NULL);
    assert_true(loop && answers);
    begun = ended = told = 0;
    refuse = OK;
    return 0;
}

static int down(void **state)
{
    answers_destroy(answers);
    for (size_t i = 0; i < begun; i++)
        assert_null(out[i]);
    loop_destroy(loop);
    return 0;
}

static void on_told(void *arg, const struct records_answer *a)
{
    told++;
    last = a->err;
    if (arg)
        assert_int_equal(a->n, *(const size_t *)arg);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* What is put off happens. */
static void turn(void)
{
    struct timer *t = timer_create_in(loop, stop, loop);

    timer_set(t, 1);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
}

/* The oldest question has its answer: n texts of so many octets. */
static void answer(int err, uint32_t ttl, uint32_t n, size_t octets)
{
    static const uint8_t zeros[DNS_ANSWER_MAX];
    const struct dns_record record = {.data = {zeros, octets}};
    struct dns_question *q = out[ended];
    const struct dns_answer a = {.exists = n > 0, .ttl = ttl, .canonical = q->name, .n = n, .v = &record};

    assert_true(n < 2);
    out[ended++] = NULL;
    q->fn(q->arg, err, err == OK ? &a : NULL);
    free(q);
}

static struct sockaddr_storage peer(unsigned network)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *in = (void *)&ss;

    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(10U << 24 | network << 8 | 7);
    return ss;
}

static struct answers_question *ask(unsigned network, const char *form, unsigned n)
{
    const struct sockaddr_storage p = peer(network);
    struct answers_question *q;
    char name[64];

    snprintf(name, sizeof(name), form, n);
    assert_int_equal(answers_ask(answers, &p, RECORDS_TXT, name, on_told, NULL, &q), OK);
    return q;
}

static void test_one_name_is_asked_once(void **state)
{
    for (unsigned i = 0; i < MANY; i++)
        ask(i, "a.test", 0);
    assert_int_equal(begun, 0); /* never from the call itself */
    turn();
    assert_int_equal(begun, 1);
    answer(OK, 60, 1, 10);
    assert_int_equal(told, MANY);
    const struct records_answer *a = answers_find(answers, RECORDS_TXT, "a.test");
    assert_true(a && a->n == 1 && a->v[0].data.len == 10 && a->exists);
    assert_null(answers_find(answers, RECORDS_A, "a.test"));
    turn();
    assert_int_equal(begun, 1);
}

static void test_ten_thousand_names(void **state)
{
    size_t most = 0;

    for (unsigned i = 0; i < MANY; i++)
        ask(i % 100, "a%u.test", i);
    while (told < MANY) {
        struct answers_counts c = answers_counts(answers);
        most = c.out > most ? c.out : most;
        if (begun == ended)
            turn();
        answer(OK, 60, 0, 0);
    }
    assert_int_equal(begun, MANY);
    assert_true(most <= ANSWERS_ASKED_MAX && most > ANSWERS_LANE_ASKED_MAX);
    assert_int_equal(answers_counts(answers).waiting, 0);
    assert_int_equal(answers_counts(answers).kept, MANY); /* that there is nothing is kept as well */
    assert_false(answers_find(answers, RECORDS_TXT, "a77.test")->exists);
}

static void test_nobody_waits_behind_a_greedy_peer(void **state)
{
    for (unsigned i = 0; i < 2000; i++)
        ask(1, "slow%u.test", i);
    turn();
    assert_int_equal(begun, ANSWERS_LANE_ASKED_MAX);
    ask(2, "quick.test", 0);
    turn();
    assert_int_equal(begun, ANSWERS_LANE_ASKED_MAX + 1);
    assert_string_equal(out[begun - 1]->name, "quick.test");
    ask(3, "slow%u.test", 1999); /* the last of those that wait */
    turn();
    assert_string_equal(out[begun - 1]->name, "slow1999.test");
    assert_int_equal(begun, ANSWERS_LANE_ASKED_MAX + 2);
    while (ended < begun) {
        answer(OK, 0, 0, 0);
        turn();
    }
    assert_int_equal(told, 2002);
}

static void test_what_is_kept(void **state)
{
    static const struct {
        int err;
        uint32_t ttl;
        bool kept;
    } rows[] = {{OK, 60, true}, {OK, 0, false}, {ERR_AGAIN, 0, false}, {ERR_CRYPTO, 0, false}, {OK, 1U << 31, true}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char name[32];
        ask(1, "a%u.test", i);
        turn();
        answer(rows[i].err, rows[i].ttl, 1, 4);
        assert_int_equal(last, rows[i].err);
        snprintf(name, sizeof(name), "a%u.test", i);
        assert_true((answers_find(answers, RECORDS_TXT, name) != NULL) == rows[i].kept);
    }
    refuse = ERR_FULL;
    ask(1, "full.test", 0);
    turn();
    assert_int_equal(last, ERR_FULL);
}

static uint64_t frozen; /* the moment, unless it is 0 */
uint64_t __real_loop_now_ms(struct loop *l);
uint64_t __wrap_loop_now_ms(struct loop *l);
uint64_t __wrap_loop_now_ms(struct loop *l)
{
    return frozen ? frozen : __real_loop_now_ms(l);
}

/* As long as it says, and an hour at most. */
static void test_how_long(void **state)
{
    static const uint32_t ttls[] = {1, ANSWERS_TTL_MAX, ANSWERS_TTL_MAX + 1, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(ttls) / sizeof(*ttls); i++) {
        const uint32_t most = ttls[i] < ANSWERS_TTL_MAX ? ttls[i] : ANSWERS_TTL_MAX;
        char name[32];

        snprintf(name, sizeof(name), "a%u.test", i);
        frozen = 1000;
        ask(1, "a%u.test", i);
        turn();
        answer(OK, ttls[i], 1, 4);
        frozen += UINT64_C(1000) * most - 1;
        assert_non_null(answers_find(answers, RECORDS_TXT, name));
        frozen++;
        assert_null(answers_find(answers, RECORDS_TXT, name));
    }
    frozen = 0;
}

/* What was used last stays. */
static void test_bounds(void **state)
{
    for (unsigned i = 0; i < 500; i++) {
        ask(1, "a%u.test", i);
        turn();
        answer(OK, 60, 1, 40000);
        (void)answers_find(answers, RECORDS_TXT, "a0.test");
        assert_true(answers_counts(answers).octets <= ANSWERS_OCTETS_MAX);
    }
    assert_non_null(answers_find(answers, RECORDS_TXT, "a0.test"));
    assert_non_null(answers_find(answers, RECORDS_TXT, "a499.test"));
    assert_null(answers_find(answers, RECORDS_TXT, "a1.test"));
    assert_true(answers_counts(answers).kept > 150);
}

static void test_too_many_wait(void **state)
{
    const struct sockaddr_storage p = peer(1);
    struct answers_question *q;

    for (unsigned i = 0; i < ANSWERS_LINE_MAX; i++)
        ask(i, "a%u.test", i);
    assert_int_equal(answers_ask(answers, &p, RECORDS_TXT, "one.more", on_told, NULL, &q), ERR_FULL);
    assert_int_equal(answers_ask(answers, &p, RECORDS_TXT, "a7.test", on_told, NULL, &q), OK);
}

static struct answers_question *others[2];

/* Who is told may give up others of the same name, and ask anew. */
static void on_first(void *arg, const struct records_answer *a)
{
    told++;
    if (others[0])
        answers_cancel(others[0]);
    if (others[0])
        answers_cancel(others[1]);
    others[0] = others[1] = NULL;
    ask(5, "a.test", 0);
}

static void test_given_up(void **state)
{
    const struct sockaddr_storage p = peer(9);
    struct answers_question *q = ask(1, "never.test", 0), *gone;

    answers_cancel(q);
    turn();
    assert_int_equal(begun, 0);
    gone = ask(1, "late.test", 0);
    turn();
    answers_cancel(gone);
    answer(OK, 60, 1, 4);
    assert_int_equal(told, 0);
    assert_non_null(answers_find(answers, RECORDS_TXT, "late.test"));
    others[0] = ask(1, "a.test", 0);
    others[1] = ask(2, "a.test", 0);
    assert_int_equal(answers_ask(answers, &p, RECORDS_TXT, "a.test", on_first, NULL, &q), OK); /* is told first */
    turn();
    answer(OK, 60, 1, 4);
    assert_int_equal(told, 1);
    ask(1, "out.test", 0); /* goes with the cache */
    ask(1, "in-line.test", 0);
    turn();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_name_is_asked_once, up, down),
        cmocka_unit_test_setup_teardown(test_ten_thousand_names, up, down),
        cmocka_unit_test_setup_teardown(test_nobody_waits_behind_a_greedy_peer, up, down),
        cmocka_unit_test_setup_teardown(test_what_is_kept, up, down),
        cmocka_unit_test_setup_teardown(test_how_long, up, down),
        cmocka_unit_test_setup_teardown(test_bounds, up, down),
        cmocka_unit_test_setup_teardown(test_too_many_wait, up, down),
        cmocka_unit_test_setup_teardown(test_given_up, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
