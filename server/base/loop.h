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

struct loop *loop_create(void); /* NULL: out of memory */
void loop_destroy(struct loop *l);
int loop_run(struct loop *l);   /* until loop_stop; OK or ERR_IO */
void loop_stop(struct loop *l);

/* Monotonic milliseconds, cached once a turn. */
uint64_t loop_now_ms(struct loop *l);

/* Watches fd (never owned). events is a set of LOOP_*; 0 keeps the watch asleep. */
struct watch *watch_create(struct loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
void watch_set(struct watch *w, unsigned events);
void watch_destroy(struct watch *w); /* allowed inside its own callback; NULL is allowed */

/* One shot; timer_set arms it again, 0 disarms. */
struct timer *timer_create_in(struct loop *l, void (*fn)(void *arg), void *arg);
void timer_set(struct timer *t, uint64_t ms);
void timer_destroy(struct timer *t); /* NULL is allowed */

/* Calls fn on SIGTERM/SIGINT/SIGHUP/SIGCHLD. The watch may not be removed. */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);

/* Runs fn once at the end of this turn, before the loop sleeps: the place to flush or to batch. */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
