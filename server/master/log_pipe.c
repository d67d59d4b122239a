#include "server/master/log_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/base/event.h"
#include "server/base/sanitized.h"
#include "server/master/log.h"

enum {
    PIPE_SIZE = 1024 * 1024,     /* a packet takes a page at least: 256 turns of a role that master does not come to */
    PIPE_SIZE_SMALL = 64 * 4096, /* where the system's share for one user is used up */
    PACKETS_A_TURN = 16,
    GATHER_MS = 5,         /* master is woken for what came in so long, not for each turn of a busy role */
    PACKETS_AT_END = 1024, /* who has ended writes no more; who has not may not hold master */
    RECORDS_A_SECOND = 10000,
    BURST = 3 * EVENT_BURST, /* a role keeps to less by itself */
};
_Static_assert(RECORDS_A_SECOND *GATHER_MS / 1000 < PIPE_SIZE_SMALL / 4096, "even one record a packet finds room");

struct log_pipe {
    struct watch *watch;
    struct timer *rest;
    int fd;
    enum role role;
    int instance;
    bool over;
    uint64_t second; /* the second that records are counted in */
    uint32_t records;
    struct event_burst bursts[EVENTS], refused;
};

/* Packets: what is written at once is read at once, so garbage ends where its writer ended. */
int log_pipe_ends(int ret[2])
{
    if (pipe2(ret, O_CLOEXEC | O_DIRECT | O_NONBLOCK) != 0)
        return ERR_IO;
    if (fcntl(ret[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
        (void)fcntl(ret[1], F_SETPIPE_SZ, PIPE_SIZE_SMALL);
    return OK;
}

static uint64_t now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec;
}

static void say(struct log_pipe *p, const struct event_record *r)
{
    log_record(role_name(p->role), p->instance, r);
}

static void say_held(struct log_pipe *p, enum event_kind event)
{
    struct event_record r = {.event = event};

    if (event_burst_over(&p->bursts[event], (uint32_t)now_s(), &r.more, &r.seconds))
        say(p, &r);
}

static void take(struct log_pipe *p, const struct event_record *r)
{
    if (!event_wanted(r->event))
        return;
    if (!(event_traits(r->event) & EVENT_EACH)) {
        say_held(p, r->event);
        if (!event_burst_let(&p->bursts[r->event], (uint32_t)now_s(), BURST))
            return;
    }
    say(p, r);
}

static void refuse(struct log_pipe *p, uint8_t *data, size_t len)
{
    if (SANITIZED) { /* a report, which tests look for */
        for (size_t i = 0; i < len; i++)
            if (data[i] != '\n')
                utf8_tame((char *)data + i, 1);
        log_text((const char *)data, len);
    }
    if (event_burst_let(&p->refused, (uint32_t)now_s(), 1))
        log_event(log_refused, p->role, p->instance < 0 ? 0 : p->instance, 1);
}

static void packet(struct log_pipe *p, uint8_t *data, size_t len)
{
    struct event_record r;
    struct unpack u;

    unpack_init(&u, data, len);
    while (u.pos < len) {
        p->records++;
        if (event_unpack(&u, &r) != OK) {
            refuse(p, data, len);
            return;
        }
        take(p, &r);
    }
}

static void rest(struct log_pipe *p, uint64_t ms)
{
    watch_set(p->watch, 0);
    timer_set(p->rest, ms);
}

/* false: none is there. */
static bool read_packet(struct log_pipe *p)
{
    uint8_t data[EVENT_PACKET_MAX];
    ssize_t n = read(p->fd, data, sizeof(data));

    if (n > 0)
        packet(p, data, (size_t)n);
    else if (n == 0 && p->watch) { /* no writer is left */
        watch_set(p->watch, 0);
        p->over = true;
    }
    return n > 0;
}

/* So many records a second; the rest waits in the pipe, and when that is full the role drops and counts. */
static bool may_read(struct log_pipe *p)
{
    const uint64_t now = now_s();

    if (now != p->second)
        p->records = 0;
    p->second = now;
    return p->records < RECORDS_A_SECOND;
}

static void on_read(void *arg, unsigned events)
{
    struct log_pipe *p = arg;

    (void)events;
    for (int i = 0; i < PACKETS_A_TURN; i++) {
        if (!may_read(p)) {
            rest(p, 1000);
            return;
        }
        if (!read_packet(p)) {
            if (!p->over)
                rest(p, GATHER_MS);
            return;
        }
    }
}

static void on_rest(void *arg)
{
    struct log_pipe *p = arg;

    watch_set(p->watch, LOOP_READ);
}

struct log_pipe *log_pipe_create(struct loop *l, int fd, enum role role, int instance)
{
    struct log_pipe *p = calloc(1, sizeof(*p));

    if (!p) {
        close(fd);
        return NULL;
    }
    p->fd = fd;
    p->role = role;
    p->instance = instance;
    if (!l)
        return p;
    p->rest = timer_create_in(l, on_rest, p);
    p->watch = watch_create(l, fd, LOOP_READ, on_read, p);
    if (p->rest && p->watch)
        return p;
    log_pipe_destroy(p);
    return NULL;
}

void log_pipe_read(struct log_pipe *p)
{
    for (int i = 0; i < PACKETS_AT_END && read_packet(p); i++)
        ;
}

void log_pipe_tick(struct log_pipe *p)
{
    uint32_t held, seconds;

    if (!p)
        return;
    for (int e = 0; e < EVENTS; e++)
        if (p->bursts[e].held)
            say_held(p, (enum event_kind)e);
    if (event_burst_over(&p->refused, (uint32_t)now_s(), &held, &seconds))
        log_event(log_refused, p->role, p->instance < 0 ? 0 : p->instance, held);
}

void log_pipe_destroy(struct log_pipe *p)
{
    if (!p)
        return;
    log_pipe_read(p);
    for (int e = 0; e < EVENTS; e++)
        if (p->bursts[e].held) {
            struct event_record r = {.event = (enum event_kind)e, .more = p->bursts[e].held};
            r.seconds = (uint32_t)now_s() - p->bursts[e].since;
            say(p, &r);
        }
    watch_destroy(p->watch);
    timer_destroy(p->rest);
    close(p->fd);
    free(p);
}
