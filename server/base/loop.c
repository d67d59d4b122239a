/* The event loop over libevent's core (epoll). A turn is: wait, run what is ready, run what was deferred. Deferred work
 * may defer more; after a few rounds the loop looks at its descriptors again without sleeping, so nothing starves.
 * libevent copies a callback before it calls it and event_del takes an event off the ready list: that is why any
 * callback may destroy any watch or timer. */
#include "server/base/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/base/event.h"

enum {
    DEFER_ROUNDS = 8,
    LONG_MS = 8,        /* of long work in one turn; what is begun is ended */
    WHEEL_SLOTS = 1024, /* one turn of the wheel is 102 s; what lies farther is put in again when it comes by */
    WHEEL_TICK_MS = 100,
};
#define IDLE_MAX_MS (UINT64_C(1) << 40)

struct signal_watch {
    struct signal_watch *next;
    struct event ev;
    void (*fn)(void *arg, int signo);
    void *arg;
};

struct loop {
    struct event_base *base;
    bool stopping, now_known;
    uint64_t now_ms;

    struct defer *deferred, **deferred_tail;
    struct defer *lengthy, **lengthy_tail; /* in the order of their turns */
    struct defer mark;                     /* stands in the list during a round, at its end */

    struct idle *wheel[WHEEL_SLOTS];
    uint64_t wheel_tick; /* the tick that was handled last */
    struct timer *wheel_timer;
    bool wheel_armed;

    struct signal_watch *signals;
};

struct watch {
    struct event ev;
    struct loop *loop;
    unsigned events;
    void (*fn)(void *arg, unsigned events);
    void *arg;
};

struct timer {
    struct event ev;
    void (*fn)(void *arg);
    void *arg;
};

static void wheel_turn(void *arg);

static void libevent_says(int severity, const char *msg)
{
    log_event(loop_says, severity);
}

struct loop *loop_create(void)
{
    struct event_config *cfg = event_config_new();
    struct loop *l = calloc(1, sizeof(*l));

    if (!cfg || !l)
        goto fail;
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
    l->base = event_base_new_with_config(cfg);
    if (!l->base)
        goto fail;
    event_set_log_callback(libevent_says);
    signal(SIGPIPE, SIG_IGN); /* libssl writes with write(2): a closed peer is an error value, not a signal */
    l->deferred_tail = &l->deferred;
    l->lengthy_tail = &l->lengthy;
    l->wheel_timer = timer_create_in(l, wheel_turn, l);
    if (!l->wheel_timer)
        goto fail;
    event_config_free(cfg);
    return l;
fail:
    if (l && l->base)
        event_base_free(l->base);
    free(l);
    if (cfg)
        event_config_free(cfg);
    return NULL;
}

void loop_destroy(struct loop *l)
{
    struct signal_watch *s, *next;

    if (!l)
        return;
    for (s = l->signals; s; s = next) {
        next = s->next;
        event_del(&s->ev);
        free(s);
    }
    timer_destroy(l->wheel_timer);
    event_base_free(l->base);
    free(l);
}

struct event_base *loop_event_base(struct loop *l)
{
    return l->base;
}

/* One round: what was deferred up to now. */
static void deferred_round(struct loop *l)
{
    defer_set(l, &l->mark, NULL, NULL); /* callbacks may cancel any entry but this */
    while (l->deferred != &l->mark) {
        struct defer *d = l->deferred;

        defer_cancel(l, d);
        d->fn(d->arg);
    }
    defer_cancel(l, &l->mark);
}

static void deferred_run(struct loop *l)
{
    for (int i = 0; i < DEFER_ROUNDS && l->deferred; i++)
        deferred_round(l);
}

static uint64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* One after the other until the time is up; what they have put off comes right behind. */
static void lengthy_run(struct loop *l)
{
    if (!l->lengthy)
        return;
    uint64_t begun = clock_ms();
    do {
        struct defer *d = l->lengthy;
        defer_cancel(l, d);
        d->fn(d->arg);
    } while (l->lengthy && clock_ms() - begun < LONG_MS);
    deferred_run(l);
}

int loop_run(struct loop *l)
{
    l->stopping = false;
    deferred_run(l);
    while (!l->stopping) {
        bool more = l->deferred || l->lengthy;
        int err;

        l->now_known = false;
        err = event_base_loop(l->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
        if (err < 0 || (err == 1 && !more && !l->deferred && !l->lengthy))
            return ERR_IO;
        deferred_run(l);
        lengthy_run(l);
        event_flush();
    }
    l->now_known = false;
    return OK;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

uint64_t loop_now_ms(struct loop *l)
{
    if (!l->now_known) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        l->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
        l->now_known = true;
    }
    return l->now_ms;
}

static void watch_fire(evutil_socket_t fd, short what, void *arg)
{
    struct watch *w = arg;
    unsigned events = (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0);

    w->fn(w->arg, events & w->events); /* w may be gone now */
}

static int watch_arm(struct watch *w, int fd, unsigned events)
{
    short what = (short)(EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));

    if (event_assign(&w->ev, w->loop->base, fd, what, watch_fire, w) != 0)
        return ERR_IO;
    return events && event_add(&w->ev, NULL) != 0 ? ERR_MEMORY : OK;
}

struct watch *watch_create(struct loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->loop = l;
    w->events = events;
    w->fn = fn;
    w->arg = arg;
    if (watch_arm(w, fd, events) != OK) {
        free(w);
        return NULL;
    }
    return w;
}

void watch_set(struct watch *w, unsigned events)
{
    if (w->events == events)
        return;
    if (w->events)
        event_del(&w->ev);
    w->events = events;
    if (watch_arm(w, event_get_fd(&w->ev), events) != OK) {
        /* The kernel is out of memory for it: whoever owns the watch has a timeout that will clear it away. */
        log_event(watch_failed, errno);
        w->events = 0;
    }
}

void watch_destroy(struct watch *w)
{
    if (!w)
        return;
    if (w->events)
        event_del(&w->ev);
    free(w);
}

static void timer_fire(evutil_socket_t fd, short what, void *arg)
{
    struct timer *t = arg;

    t->fn(t->arg);
}

struct timer *timer_create_in(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct timer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->fn = fn;
    t->arg = arg;
    if (event_assign(&t->ev, l->base, -1, 0, timer_fire, t) != 0) {
        free(t);
        return NULL;
    }
    return t;
}

void timer_set(struct timer *t, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    if (ms == 0)
        event_del(&t->ev);
    else if (event_add(&t->ev, &tv) != 0)
        log_event(timer_failed, errno);
}

void timer_destroy(struct timer *t)
{
    if (!t)
        return;
    event_del(&t->ev);
    free(t);
}

static void signal_fire(evutil_socket_t signo, short what, void *arg)
{
    struct signal_watch *s = arg;

    s->fn(s->arg, (int)signo);
}

int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct signal_watch *s = calloc(1, sizeof(*s));

    if (!s)
        return ERR_MEMORY;
    s->fn = fn;
    s->arg = arg;
    if (evsignal_assign(&s->ev, l->base, signo, signal_fire, s) != 0 || evsignal_add(&s->ev, NULL) != 0) {
        free(s);
        return ERR_IO;
    }
    s->next = l->signals;
    l->signals = s;
    return OK;
}

static void put_off(struct defer ***tail, struct defer *d, void (*fn)(void *arg), void *arg)
{
    if (d->at)
        return;
    d->fn = fn;
    d->arg = arg;
    d->next = NULL;
    d->at = *tail;
    **tail = d;
    *tail = &d->next;
}

void defer_set(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg)
{
    put_off(&l->deferred_tail, d, fn, arg);
}

void defer_set_long(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg)
{
    put_off(&l->lengthy_tail, d, fn, arg);
}

void defer_cancel(struct loop *l, struct defer *d)
{
    if (!d->at)
        return;
    *d->at = d->next;
    if (d->next)
        d->next->at = d->at;
    else if (l->deferred_tail == &d->next)
        l->deferred_tail = d->at;
    else
        l->lengthy_tail = d->at;
    d->next = NULL;
    d->at = NULL;
}

static uint64_t tick_of(uint64_t ms)
{
    return ms / WHEEL_TICK_MS;
}

/* Into the slot of its deadline, or the farthest one. */
static void wheel_put(struct loop *l, struct idle *i)
{
    uint64_t tick = tick_of(i->since_ms + i->limit_ms) + 1; /* + 1: never early */
    struct idle **slot;

    if (tick <= l->wheel_tick)
        tick = l->wheel_tick + 1;
    if (tick > l->wheel_tick + WHEEL_SLOTS - 1)
        tick = l->wheel_tick + WHEEL_SLOTS - 1;
    slot = &l->wheel[tick % WHEEL_SLOTS];
    i->next = *slot;
    i->at = slot;
    if (i->next)
        i->next->at = &i->next;
    *slot = i;
}

static void wheel_turn(void *arg)
{
    struct loop *l = arg;
    uint64_t now = loop_now_ms(l), to = tick_of(now);
    struct idle *due = NULL, *i;
    bool any = false;

    /* After a long stop each slot needs one visit. */
    if (to > l->wheel_tick + WHEEL_SLOTS)
        l->wheel_tick = to - WHEEL_SLOTS;
    while (l->wheel_tick < to) {
        struct idle **slot;

        l->wheel_tick++;
        slot = &l->wheel[l->wheel_tick % WHEEL_SLOTS];
        due = *slot;
        *slot = NULL;
        if (due)
            due->at = &due;
        while ((i = due)) {
            idle_cancel(i);
            if (i->since_ms + i->limit_ms > now)
                wheel_put(l, i);
            else
                i->fn(i); /* may cancel any other, those in due included */
        }
    }
    for (size_t s = 0; s < WHEEL_SLOTS && !any; s++)
        any = l->wheel[s] != NULL;
    l->wheel_armed = any;
    if (any)
        timer_set(l->wheel_timer, WHEEL_TICK_MS);
}

void idle_set(struct loop *l, struct idle *i, uint64_t ms, void (*fn)(struct idle *i))
{
    idle_cancel(i);
    i->limit_ms = ms < IDLE_MAX_MS ? ms : IDLE_MAX_MS;
    i->since_ms = loop_now_ms(l);
    i->fn = fn;
    if (ms == 0)
        return;
    if (!l->wheel_armed) {
        l->wheel_tick = tick_of(i->since_ms);
        l->wheel_armed = true;
        timer_set(l->wheel_timer, WHEEL_TICK_MS);
    }
    wheel_put(l, i);
}

void idle_touch(struct loop *l, struct idle *i)
{
    i->since_ms = loop_now_ms(l);
}

void idle_cancel(struct idle *i)
{
    if (!i->at)
        return;
    *i->at = i->next;
    if (i->next)
        i->next->at = i->at;
    i->next = NULL;
    i->at = NULL;
}
