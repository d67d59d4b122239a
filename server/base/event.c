/* Saying an event: the level, how often, and whereto. */
#include "server/base/event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/event_text.h"

static void to_stderr(const struct event_record *r);

/* There is one a process. */
static struct {
    const char *process;
    enum log_level level;
    bool names;
    void (*sink)(const struct event_record *r);
    struct event_burst bursts[EVENTS];

    int pipe;
    uint8_t packet[EVENT_PACKET_MAX]; /* what waits for event_flush, and for room in the pipe */
    size_t len;
    uint64_t dropped; /* records since one said so */
} self = {.process = "letterlock", .level = LOG_LEVEL_INFO, .sink = to_stderr, .pipe = -1};

int log_level_parse(const char *word, enum log_level *ret)
{
    for (enum log_level l = LOG_LEVEL_ERROR; l <= LOG_LEVEL_DEBUG; l++)
        if (strcmp(word, event_level_name(l)) == 0) {
            *ret = l;
            return OK;
        }
    return ERR_FORMAT;
}

void event_init(const char *process, enum log_level level, bool names)
{
    self.process = process;
    self.level = level;
    self.names = names;
}

void event_to(void (*sink)(const struct event_record *r))
{
    self.sink = sink;
}

static void to_stderr(const struct event_record *r)
{
    char line[64 + EVENT_LINE_MAX];
    size_t len = (size_t)snprintf(line, 64, "%s %.32s ", event_level_name(event_level(r->event)), self.process);

    len += event_text(r, line + len, EVENT_LINE_MAX - 1);
    line[len++] = '\n';
    /* There is nowhere to report that the log cannot be written. */
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
}

/* ---- how often ---- */

static uint32_t now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint32_t)ts.tv_sec;
}

bool event_burst_over(struct event_burst *b, uint32_t now, uint32_t *ret_held, uint32_t *ret_seconds)
{
    const uint32_t seconds = now - b->since, held = b->held;

    if (seconds < EVENT_BURST_S)
        return false;
    *b = (struct event_burst){.since = now};
    if (!held)
        return false;
    *ret_held = held;
    *ret_seconds = seconds;
    return true;
}

bool event_burst_let(struct event_burst *b, uint32_t now, uint32_t most)
{
    if (now - b->since >= EVENT_BURST_S)
        *b = (struct event_burst){.since = now};
    if (b->said < most) {
        b->said++;
        return true;
    }
    b->held++;
    return false;
}

static void say_held(enum event_kind event, uint32_t now)
{
    struct event_record r = {.event = event};

    if (event_burst_over(&self.bursts[event], now, &r.more, &r.seconds))
        self.sink(&r);
}

void event_tick(void)
{
    const uint32_t now = now_s();

    for (int e = 0; e < EVENTS; e++)
        if (self.bursts[e].held)
            say_held((enum event_kind)e, now);
}

void event_end(void)
{
    const uint32_t now = now_s();

    for (int e = 0; e < EVENTS; e++) {
        struct event_burst *b = &self.bursts[e];
        struct event_record r = {.event = (enum event_kind)e, .more = b->held, .seconds = now - b->since};
        b->held = 0;
        if (r.more)
            self.sink(&r);
    }
    event_flush();
}

/* ---- saying ---- */

bool event_level_wanted(enum log_level level)
{
    return level <= self.level;
}

bool event_wanted(enum event_kind event)
{
    return event_level_wanted(event_level(event)) && (self.names || !(event_traits(event) & EVENT_NAMES));
}

void event_say(enum event_kind event, const uint64_t *numbers, const struct slice *raws)
{
    struct event_record r = {.event = event};
    unsigned n_numbers, n_raws;
    int saved = errno;

    if (!event_wanted(event))
        return;
    if (!(event_traits(event) & EVENT_EACH)) {
        const uint32_t now = now_s();
        say_held(event, now);
        if (!event_burst_let(&self.bursts[event], now, EVENT_BURST)) {
            errno = saved;
            return;
        }
    }
    event_fields(event, &n_numbers, &n_raws);
    if (n_numbers)
        memcpy(r.numbers, numbers, n_numbers * sizeof(*numbers));
    if (n_raws)
        memcpy(r.raws, raws, n_raws * sizeof(*raws));
    self.sink(&r);
    errno = saved;
}

/* ---- a role's pipe ---- */

static bool has_room(void)
{
    return self.len + EVENT_RECORD_MAX <= sizeof(self.packet);
}

static void put(const struct event_record *r)
{
    struct pack p;

    pack_init(&p, self.packet + self.len, EVENT_RECORD_MAX);
    event_pack(&p, r);
    self.len += p.len;
}

/* false: the pipe is full, and the packet goes on waiting. */
static bool write_packet(void)
{
    if (self.len && write(self.pipe, self.packet, self.len) < 0 && errno == EAGAIN)
        return false;
    self.len = 0;
    return true;
}

void event_flush(void)
{
    int saved = errno;

    if (write_packet() && self.dropped) {
        put(&(struct event_record){.event = EVENT_log_dropped, .numbers = {self.dropped}});
        self.dropped = 0;
        (void)write_packet();
    }
    errno = saved;
}

static void to_pipe(const struct event_record *r)
{
    if (!has_room())
        event_flush();
    if (!has_room()) {
        self.dropped++;
        return;
    }
    put(r);
    if (event_level(r->event) <= LOG_LEVEL_WARN)
        event_flush();
}

static void say_bug(size_t number)
{
    log_event(bug, number);
    event_flush();
}

void event_to_pipe(int fd)
{
    self.pipe = fd;
    self.sink = to_pipe;
    bug_said_by(say_bug);
    (void)!atexit(event_end);
}
