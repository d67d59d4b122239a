/* The loop: deferred work, timers, lapses of activity, and callbacks that destroy what is about to be called. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/base/loop.h"

struct world {
    struct loop *loop;
    struct watch *watches[3];
    struct timer *timers[3];
    struct defer defers[4];
    struct idle idles[6];
    int calls, order[16];
    int signo;
};

static uint64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void destroy_all_watches(void *arg, unsigned events)
{
    struct world *w = arg;

    assert_int_equal(events, LOOP_READ);
    w->calls++;
    for (int i = 0; i < 3; i++)
        watch_destroy(w->watches[i]);
    loop_stop(w->loop);
}

static void test_watch_destroys_all_in_one_turn(void **state)
{
    struct world w = {.loop = loop_create()};
    int fds[3][2];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        assert_int_equal(write(fds[i][1], "x", 1), 1);
        w.watches[i] = watch_create(w.loop, fds[i][0], LOOP_READ, destroy_all_watches, &w);
    }
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 1);
    for (int i = 0; i < 3; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    loop_destroy(w.loop);
}

static void toggle(void *arg, unsigned events)
{
    struct world *w = arg;

    w->order[w->calls++] = (int)events;
    if (w->calls == 1)
        watch_set(w->watches[0], LOOP_READ);
    else if (w->calls == 2)
        watch_set(w->watches[0], LOOP_READ | LOOP_WRITE);
    else {
        watch_set(w->watches[0], 0);
        timer_set(w->timers[0], 20); /* asleep: nothing comes until then */
    }
}

static void stop(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

static void test_watch_set(void **state)
{
    struct world w = {.loop = loop_create()};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    w.watches[0] = watch_create(w.loop, fds[0], LOOP_WRITE, toggle, &w);
    w.timers[0] = timer_create_in(w.loop, stop, &w);
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 3);
    assert_int_equal(w.order[0], LOOP_WRITE);
    assert_int_equal(w.order[1], LOOP_READ);
    assert_int_equal(w.order[2], LOOP_READ | LOOP_WRITE);
    watch_destroy(w.watches[0]);
    timer_destroy(w.timers[0]);
    close(fds[0]);
    close(fds[1]);
    loop_destroy(w.loop);
}

static void test_watch_on_closed_descriptor(void **state)
{
    struct loop *l = loop_create();

    assert_null(watch_create(l, 987, LOOP_READ, toggle, NULL));
    assert_int_equal(loop_run(l), ERR_IO); /* nothing can ever wake it: no endless loop */
    loop_destroy(l);
}

static void timer_suicide(void *arg)
{
    struct world *w = arg;

    w->calls++;
    timer_destroy(w->timers[0]);
    timer_destroy(w->timers[1]); /* due in the same turn, perhaps ready already */
    timer_set(w->timers[2], 30);
}

static void test_timers(void **state)
{
    struct world w = {.loop = loop_create()};
    uint64_t t = clock_ms();

    for (int i = 0; i < 2; i++) {
        w.timers[i] = timer_create_in(w.loop, timer_suicide, &w);
        timer_set(w.timers[i], 20);
    }
    timer_set(w.timers[1], 0);
    timer_set(w.timers[1], 20);
    w.timers[2] = timer_create_in(w.loop, stop, &w);
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 1);
    assert_in_range(clock_ms() - t, 40, 1000);
    timer_destroy(w.timers[2]);
    loop_destroy(w.loop);
}

static void last(void *arg)
{
    struct world *w = arg;

    w->order[w->calls++] = 9;
    loop_stop(w->loop);
}

static void again(void *arg)
{
    struct world *w = arg;

    w->order[w->calls++] = 1;
    if (w->calls < 12) /* more rounds than one turn has */
        defer_set(w->loop, &w->defers[0], again, w);
    else
        defer_set(w->loop, &w->defers[0], last, w);
}

static void test_defer_more_rounds_than_a_turn(void **state)
{
    struct world w = {.loop = loop_create()};

    defer_set(w.loop, &w.defers[0], again, &w);
    w.timers[0] = timer_create_in(w.loop, stop, &w);
    timer_set(w.timers[0], 5000);
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 13);
    assert_int_equal(w.order[12], 9);
    timer_destroy(w.timers[0]);
    loop_destroy(w.loop);
}

static struct loop *lengthy_loop;
static struct timer *lengthy_timer;
static struct defer lengthy_one, lengthy_two, short_work;
static int lengthy_calls[2], short_after, timer_calls;

/* Long work that never ends, of two: each has its turn, short work and timers have theirs in between. */
static void lengthy(void *arg)
{
    struct defer *d = arg;
    usleep(1000);
    lengthy_calls[d->arg == &lengthy_two]++;
    defer_set_long(lengthy_loop, d, lengthy, d);
}

static void short_one(void *arg)
{
    short_after = lengthy_calls[0] + lengthy_calls[1];
}

static void timer_between(void *arg)
{
    defer_set(lengthy_loop, &short_work, short_one, NULL);
    if (++timer_calls == 3)
        loop_stop(lengthy_loop);
    else
        timer_set(lengthy_timer, 1);
}

static void test_long_work_takes_turns(void **state)
{
    lengthy_loop = loop_create();
    lengthy_timer = timer_create_in(lengthy_loop, timer_between, NULL);
    timer_set(lengthy_timer, 1);
    defer_set_long(lengthy_loop, &lengthy_one, lengthy, &lengthy_one);
    defer_set_long(lengthy_loop, &lengthy_two, lengthy, &lengthy_two);
    assert_int_equal(loop_run(lengthy_loop), OK);
    assert_true(short_after > 0);
    int apart = lengthy_calls[0] - lengthy_calls[1];
    assert_true(apart >= -1 && apart <= 1);
    defer_cancel(lengthy_loop, &lengthy_two);
    defer_cancel(lengthy_loop, &lengthy_one);
    timer_destroy(lengthy_timer);
    loop_destroy(lengthy_loop);
}

static void defer_first(void *arg)
{
    struct world *w = arg;

    w->calls++;
    defer_cancel(w->loop, &w->defers[1]);
    defer_cancel(w->loop, &w->defers[3]);
    defer_cancel(w->loop, &w->defers[3]);
    defer_set(w->loop, &w->defers[0], stop, w); /* itself again: next round */
}

static void defer_plain(void *arg)
{
    struct world *w = arg;

    w->calls += 100;
}

static void test_defer_cancel(void **state)
{
    struct world w = {.loop = loop_create()};

    defer_set(w.loop, &w.defers[0], defer_first, &w);
    for (int i = 1; i < 4; i++)
        defer_set(w.loop, &w.defers[i], defer_plain, &w);
    defer_set(w.loop, &w.defers[2], stop, &w); /* set already: nothing */
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 101);
    loop_destroy(w.loop);
}

static struct world *idle_world;

static void idle_fired(struct idle *i)
{
    struct world *w = idle_world;

    w->order[w->calls++] = (int)(i - w->idles);
    if (i == &w->idles[0])
        idle_cancel(&w->idles[1]); /* the same slot */
    if (i == &w->idles[3])
        loop_stop(w->loop);
}

static void touch_tick(void *arg)
{
    struct world *w = arg;

    idle_touch(w->loop, &w->idles[3]);
    if (w->calls < 2)
        timer_set(w->timers[0], 50);
}

static void test_idle(void **state)
{
    struct world w = {.loop = loop_create()};
    uint64_t t = clock_ms();

    idle_world = &w;
    idle_set(w.loop, &w.idles[2], 600, idle_fired);
    idle_set(w.loop, &w.idles[1], 300, idle_fired);
    idle_set(w.loop, &w.idles[0], 300, idle_fired); /* put before 1 in the slot: fires first */
    idle_set(w.loop, &w.idles[3], 200, idle_fired); /* kept alive by touching until 2 has fired */
    idle_set(w.loop, &w.idles[4], UINT64_MAX, idle_fired);
    idle_set(w.loop, &w.idles[5], 100, idle_fired);
    idle_set(w.loop, &w.idles[5], 0, idle_fired);
    w.timers[0] = timer_create_in(w.loop, touch_tick, &w);
    timer_set(w.timers[0], 50);
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.calls, 3);
    assert_int_equal(w.order[0], 0);
    assert_int_equal(w.order[1], 2);
    assert_int_equal(w.order[2], 3);
    assert_in_range(clock_ms() - t, 750, 3000);
    idle_cancel(&w.idles[4]);
    idle_cancel(&w.idles[4]);
    timer_destroy(w.timers[0]);
    loop_destroy(w.loop);
}

static void on_signal(void *arg, int signo)
{
    struct world *w = arg;

    w->signo = signo;
    loop_stop(w->loop);
}

static void test_signal(void **state)
{
    struct world w = {.loop = loop_create()};

    assert_int_equal(loop_on_signal(w.loop, SIGHUP, on_signal, &w), OK);
    assert_int_equal(loop_on_signal(w.loop, SIGTERM, on_signal, &w), OK);
    kill(getpid(), SIGTERM);
    assert_int_equal(loop_run(w.loop), OK);
    assert_int_equal(w.signo, SIGTERM);
    loop_destroy(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_destroys_all_in_one_turn),
        cmocka_unit_test(test_watch_set),
        cmocka_unit_test(test_watch_on_closed_descriptor),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_defer_more_rounds_than_a_turn),
        cmocka_unit_test(test_long_work_takes_turns),
        cmocka_unit_test(test_defer_cancel),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
