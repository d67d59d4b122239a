/* Who is tried when: turns, windows, destinations that fail, retries; and that nothing is ever lost. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/relay/schedule.h"

static const struct schedule_limits limits = {
    .connections = 10, .connections_destination = 5, .retry_first = 300, .retry_max = 14400, .delay = 14400};
static struct schedule *s;

static int create(void **state)
{
    s = schedule_create(&limits);
    return s ? 0 : -1;
}

static int destroy(void **state)
{
    schedule_destroy(s);
    return 0;
}

static void add(uint64_t id, uint64_t account, const char *to, uint64_t at)
{
    const uint32_t n = 0;
    const struct job_new j = {.m = {.id = id, .account = account, .queued_at = 1000, .expires = 1000 + 432000},
                              .task = to ? TASK_SEND : TASK_LOCAL,
                              .destination = to,
                              .recipients = &n,
                              .n = 1,
                              .next_try = at};

    assert_int_equal(schedule_add(s, &j, 1000), OK);
}

static void give_back(struct job *j, enum place_end how, uint64_t now)
{
    if (j->task == TASK_SEND)
        schedule_leave(s, j->to, how, now);
    else
        schedule_leave_inside(s, j, now);
}

static void finish(struct job *j)
{
    give_back(j, PLACE_DONE, 1000);
    schedule_done(s, j);
}

static void a_window_grows_with_success(void **state)
{
    struct job *j[8], *more[8];
    size_t n = 0;

    for (uint64_t i = 1; i <= 30; i++)
        add(i, 7, "a.example", 1000);
    while ((j[n] = schedule_start(s, 1000)))
        n++;
    assert_int_equal(n, DESTINATION_CONNECTIONS_FIRST);
    for (unsigned i = 0; i < 2; i++) {
        more[i] = schedule_more(s, j[i]->to, 1, 1000);
        assert_non_null(more[i]);
        schedule_done(s, j[i]);
        j[i] = more[i];
    }
    while ((j[n] = schedule_start(s, 1000)))
        n++;
    assert_int_equal(n, 4);
    for (unsigned i = 2; i < 4; i++) {
        more[i] = schedule_more(s, j[i]->to, 1, 1000);
        schedule_done(s, j[i]);
        j[i] = more[i];
    }
    while ((j[n] = schedule_start(s, 1000)))
        n++;
    assert_int_equal(n, limits.connections_destination); /* and no further */
    for (size_t i = 0; i < n; i++)
        finish(j[i]);
}

static void accounts_take_turns_at_a_destination(void **state)
{
    struct job *j, *next;

    for (uint64_t i = 1; i <= 100; i++)
        add(i, 1, "a.example", 1000);
    add(200, 2, "a.example", 1000);
    j = schedule_start(s, 1000);
    next = schedule_more(s, j->to, 1, 1000);
    schedule_done(s, j);
    assert_int_equal(next->message->account == 2 || schedule_more(s, next->to, 2, 1000)->message->account == 2, true);
}

/* One account writes to ten thousand domains, another to one: it does not wait for the ten thousand. */
static void accounts_take_turns_for_places(void **state)
{
    char name[32];
    struct job *j;
    unsigned i = 0;

    for (uint64_t id = 1; id <= 10000; id++) {
        snprintf(name, sizeof(name), "d%u.example", (unsigned)id);
        add(id, 1, name, 1000);
    }
    add(20000, 2, "other.example", 1000);
    while ((j = schedule_start(s, 1000)) && j->message->account == 1)
        i++;
    assert_non_null(j);
    assert_true(i <= 2);
}

static void a_dead_destination_is_left_alone_and_others_go_on(void **state)
{
    struct job *j[10];
    uint64_t due;
    size_t n = 0;

    for (uint64_t i = 1; i <= 50; i++)
        add(i, 1, "dead.example", 1000);
    add(100, 1, "a.example", 1000);
    while ((j[n] = schedule_start(s, 1000)))
        n++;
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        struct job *one = j[i];
        const bool dead = strcmp(destination_name(one->to), "dead.example") == 0;
        give_back(one, dead ? PLACE_FAILED : PLACE_DONE, 1300);
        if (dead)
            schedule_defer(s, one, 1300 + schedule_interval(s, 0), 1300);
        else
            schedule_done(s, one);
    }
    assert_null(schedule_start(s, 1300));
    due = schedule_due(s);
    assert_true(due >= 1600 && due <= 1630);
    due = 1630; /* whatever chance has added */
    schedule_advance(s, due);
    j[0] = schedule_start(s, due);
    assert_non_null(j[0]);
    assert_null(schedule_start(s, due)); /* one at a time now */
    give_back(j[0], PLACE_FAILED, due + 300);
    schedule_defer(s, j[0], due + 300 + schedule_interval(s, 1), due + 300);
    assert_true(schedule_due(s) >= due + 900); /* for longer */
    assert_int_equal(schedule_counts(s).jobs, 50);
}

static void retries_grow_to_their_most(void **state)
{
    const uint64_t least[] = {300, 600, 1200, 2400, 4800, 9600, 14400, 14400};

    for (uint16_t i = 0; i < 8; i++) {
        uint64_t wait = schedule_interval(s, i);
        assert_true(wait >= least[i] && wait <= least[i] + least[i] / 10);
    }
    assert_true(schedule_interval(s, 60000) <= 14400 + 1440);
}

static void delays_are_told_once_and_time_ends(void **state)
{
    struct job *j;

    add(1, 1, "a.example", 1000);
    j = schedule_start(s, 1000);
    give_back(j, PLACE_DONE, 1000);
    schedule_defer(s, j, 500000, 1000);
    assert_int_equal(schedule_due(s), 1000 + 14400);
    schedule_advance(s, 1000 + 14400);
    j = schedule_start(s, 1000 + 14400);
    assert_int_equal(j->task, TASK_DELAY);
    schedule_leave_inside(s, j, 1000 + 14400);
    j->delay_told = true;
    schedule_defer(s, j, 500000, 1000 + 14400);
    assert_int_equal(j->task, TASK_SEND);
    assert_int_equal(schedule_due(s), 433000);
    schedule_advance(s, 433000);
    j = schedule_start(s, 433000);
    assert_int_equal(j->task, TASK_EXPIRE);
    finish(j);
    assert_null(schedule_find(s, 1));
}

/* What waits for its turn longer than it may live is not sent. */
static void what_expires_in_line_is_not_sent(void **state)
{
    struct job *j;

    add(1, 1, "a.example", 1000);
    schedule_advance(s, 1000);
    j = schedule_start(s, 500000);
    if (!j) {
        schedule_advance(s, 500000);
        j = schedule_start(s, 500000);
    }
    assert_int_equal(j->task, TASK_EXPIRE);
    finish(j);
}

static void connections_are_given_up_for_others(void **state)
{
    struct job *j[16], *next;
    char name[32];
    size_t n = 0;

    for (uint64_t id = 1; id <= 60; id++) {
        snprintf(name, sizeof(name), "d%u.example", (unsigned)id % 12);
        add(id, 1, name, 1000);
    }
    while ((j[n] = schedule_start(s, 1000)))
        n++;
    assert_int_equal(n, limits.connections);
    assert_true(schedule_crowded(s));
    assert_null(schedule_more(s, j[0]->to, 20, 1000));
    next = schedule_more(s, j[0]->to, 19, 1000);
    assert_non_null(next);
    schedule_leave(s, j[0]->to, PLACE_DONE, 1000);
    assert_non_null(schedule_start(s, 1000));
}

/* An operator's word: a new route, or an order to try again. Who was not tried because others failed goes, who failed
 * waits for its own time. */
static void who_failed_is_tried_again_when_told(void **state)
{
    const char *const how[] = {"a.example", NULL};

    for (size_t i = 0; i < 2; i++) {
        struct job *j;
        add(1, 1, "a.example", 1000);
        add(2, 1, "a.example", 1000);
        add(3, 1, "b.example", 1200);
        j = schedule_start(s, 1000);
        give_back(j, PLACE_FAILED, 1000);
        schedule_defer(s, j, 2000, 1000);
        schedule_unblock(s, "b.example", 1000);
        assert_null(schedule_start(s, 1000));
        schedule_unblock(s, how[i], 1000);
        j = schedule_start(s, 1000);
        assert_int_equal(j->message->id, 2);
        finish(j);
        assert_null(schedule_start(s, 1000));
        schedule_advance(s, 1200);
        finish(schedule_start(s, 1200));
        schedule_advance(s, 2000);
        finish(schedule_start(s, 2000));
    }
}

/* Whatever happens, every job is in one place, windows and places hold, and all of them come to their end. */
static void nothing_is_lost(void **state)
{
    enum { JOBS = 20000, DEAD = 5 };
    uint64_t now = 1000, gone = 0;
    struct job *running[64];
    uint32_t done[64] = {0};
    size_t n = 0;

    srandom(7);
    for (uint64_t id = 1; id <= JOBS; id++) {
        char name[32];
        snprintf(name, sizeof(name), "d%ld.example", random() % 50);
        add(id, (uint64_t)random() % 5, random() % 20 ? name : NULL, 1000 + (uint64_t)random() % 5000);
    }
    while (gone < JOBS) {
        struct schedule_counts c = schedule_counts(s);
        struct job *j = n < 40 && random() % 2 ? schedule_start(s, now) : NULL;
        size_t i;
        if (j) {
            done[n] = 0;
            running[n++] = j;
            continue;
        }
        assert_int_equal(c.jobs, JOBS - gone);
        assert_int_equal(c.running, n);
        assert_true(n <= limits.connections + INSIDE_MAX);
        if (n == 0) {
            if (c.ready == 0)
                now = schedule_due(s) > now ? schedule_due(s) : now;
            schedule_advance(s, now);
            continue;
        }
        i = (size_t)random() % n;
        j = running[i];
        now += (uint64_t)random() % 3;
        schedule_advance(s, now);
        if (j->task == TASK_SEND && atoi(destination_name(j->to) + 1) >= DEAD && random() % 3) {
            struct job *more = schedule_more(s, j->to, ++done[i], now);
            struct destination *to = j->to;
            schedule_done(s, j);
            gone++;
            if (more)
                running[i] = more;
            else
                schedule_leave(s, to, PLACE_DONE, now);
            if (more)
                continue;
        } else if (j->task == TASK_SEND && now < 1000 + 432000) {
            give_back(j, random() % 2 ? PLACE_FAILED : PLACE_DONE, now);
            schedule_defer(s, j, now + schedule_interval(s, j->tries++), now);
        } else if (j->task == TASK_DELAY) {
            schedule_leave_inside(s, j, now);
            j->delay_told = true;
            schedule_defer(s, j, now + 100, now);
        } else {
            give_back(j, PLACE_DONE, now);
            schedule_done(s, j);
            gone++;
        }
        running[i] = running[--n];
        done[i] = done[n];
    }
    assert_int_equal(schedule_counts(s).messages, 0);
    assert_int_equal(schedule_counts(s).destinations, 0);
}

/* 100,000 messages to 1,000 domains: what that takes. */
static void a_large_queue_is_small(void **state)
{
    const struct mallinfo2 before = mallinfo2();
    size_t octets;

    for (uint64_t id = 1; id <= 100000; id++) {
        char name[32];
        snprintf(name, sizeof(name), "d%u.example", (unsigned)id % 1000);
        add(id * 0x9e3779b97f4a7c15, id % 100, name, 1000);
    }
    octets = mallinfo2().uordblks - before.uordblks + mallinfo2().hblkhd - before.hblkhd;
    print_message("100,000 jobs take %zu KB\n", octets / 1024);
    assert_true(octets < 50 * 1024 * 1024);
}

static void a_message_can_be_taken_out(void **state)
{
    struct sched_message *m;
    struct job *j;

    add(1, 1, "a.example", 1000);
    add(1, 1, "b.example", 9000);
    add(2, 1, "a.example", 1000);
    m = schedule_find(s, 1);
    while ((m = schedule_find(s, 1)))
        schedule_drop(s, LIST_FIRST(&m->jobs));
    j = schedule_start(s, 1000);
    assert_int_equal(j->message->id, 2);
    assert_int_equal(schedule_counts(s).jobs, 1);
    assert_int_equal(schedule_counts(s).destinations, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_window_grows_with_success),
        TEST(accounts_take_turns_at_a_destination),
        TEST(accounts_take_turns_for_places),
        TEST(a_dead_destination_is_left_alone_and_others_go_on),
        TEST(retries_grow_to_their_most),
        TEST(delays_are_told_once_and_time_ends),
        TEST(what_expires_in_line_is_not_sent),
        TEST(connections_are_given_up_for_others),
        TEST(who_failed_is_tried_again_when_told),
        TEST(nothing_is_lost),
        TEST(a_large_queue_is_small),
        TEST(a_message_can_be_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
