/* The event loop of a role: libevent, one thread. Only base/ includes libevent's headers; the rest of the
 * tree watches descriptors and sets timers through this. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch; /* a descriptor that is watched */
struct timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_create(void);    /* NULL: out of memory */
void loop_destroy(struct loop *l); /* after every watch, timer, conn and ipc of it; NULL is allowed */
int loop_run(struct loop *l);      /* until loop_stop; OK or ERR_IO (also when nothing is left that could wake it) */
void loop_stop(struct loop *l);

/* For a library that puts its own events there (libunbound). */
struct event_base;
struct event_base *loop_event_base(struct loop *l);

/* Monotonic milliseconds, cached once a turn. */
uint64_t loop_now_ms(struct loop *l);

/* Watches fd (never owned). events is a set of LOOP_*; 0 keeps the watch asleep. */
struct watch *watch_create(struct loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
void watch_set(struct watch *w, unsigned events);
void watch_destroy(struct watch *w); /* allowed inside its own callback; NULL is allowed */

/* One shot; timer_set arms it again, 0 disarms. */
struct timer *timer_create_in(struct loop *l, void (*fn)(void *arg), void *arg);
void timer_set(struct timer *t, uint64_t ms);
void timer_destroy(struct timer *t); /* allowed inside its own callback; NULL is allowed */

/* Calls fn, from the loop, on the signal. The watch may not be removed. */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);

/* Work put off to the end of this turn, before the loop sleeps: the place to flush or to batch. Nothing is allocated,
 * and the owner may cancel it. Zeroed, it is not set. */
struct defer {
    struct defer *next, **at; /* internal */
    void (*fn)(void *arg);
    void *arg;
};
void defer_set(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg); /* nothing if it is set already */
void defer_cancel(struct loop *l, struct defer *d);

/* The same for work that takes milliseconds. Those who have some wait in one line, whose first ones have some
 * milliseconds a turn; short work and descriptors are seen to in between. */
void defer_set_long(struct loop *l, struct defer *d, void (*fn)(void *arg), void *arg);

/* A timeout of inactivity, cheap enough for ten thousand connections: a touch stores the time and does nothing else. It
 * is accurate to a tenth of a second, never early. Zeroed, it is not set. fn may destroy the owner. */
struct idle {
    struct idle *next, **at; /* internal */
    uint64_t since_ms;
    uint64_t limit_ms;
    void (*fn)(struct idle *i);
};
void idle_set(struct loop *l, struct idle *i, uint64_t ms, void (*fn)(struct idle *i)); /* from now on; 0: never */
void idle_touch(struct loop *l, struct idle *i);
void idle_cancel(struct idle *i);

#endif
