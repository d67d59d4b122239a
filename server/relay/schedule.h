/* What of the queue is tried when: no I/O, and the time is told. A job is what one transaction can take of a message:
 * its recipients at one destination. A destination is a domain, or the server that a route names for it. It has as many
 * connections as its window allows, which grows as they succeed; one that fails is left alone for longer and longer,
 * with all that waits for it. Sending accounts take turns, first for the places of all connections, then for a
 * destination's. In memory there is nothing that names a person but domains. */
#ifndef RELAY_SCHEDULE_H
#define RELAY_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/relay/table.h"

enum {
    JOB_RECIPIENTS_MAX = 100, /* of one transaction (RFC 5321 section 4.5.3.1.8) */
    DESTINATION_CONNECTIONS_FIRST = 2,
    INSIDE_MAX = 16, /* jobs under way that need no connection */
};

struct schedule_limits {
    uint32_t connections, connections_destination;
    uint64_t retry_first, retry_max; /* seconds */
    uint64_t delay;                  /* seconds after which senders are told that it takes longer; 0: never */
};

/* What is to be done with a job. All but SEND need no connection, and have places of their own. */
enum task {
    TASK_SEND,
    TASK_LOCAL,  /* deliver it here: held mail */
    TASK_REPORT, /* a DSN about outcomes that stand in its records */
    TASK_EXPIRE, /* its time is over */
    TASK_DELAY,  /* tell that it takes longer */
};

struct sched_message;
struct destination;
struct flow;

enum job_state { JOB_RUNNING, JOB_WAITING, JOB_READY };
struct job {
    struct sched_message *message;
    struct destination *to; /* NULL: LOCAL and REPORT */
    struct flow *flow;      /* while READY */
    TAILQ_ENTRY(job) in_flow;
    LIST_ENTRY(job) in_message;
    uint64_t next_try, due; /* due: the earliest of what may come next */
    uint32_t heap_at;
    uint16_t tries;
    uint8_t n, task /* enum task */, state;
    bool delay_told;       /* or nobody wants to be told */
    uint32_t recipients[]; /* their numbers in the message */
};
LIST_HEAD(jobs, job);
struct sched_message {
    struct table_node node;
    uint64_t id, account, queued_at, expires;
    struct jobs jobs;
};

struct schedule;
struct schedule *schedule_create(const struct schedule_limits *l); /* NULL: no memory */
void schedule_destroy(struct schedule *s);
void schedule_limit(struct schedule *s, const struct schedule_limits *l); /* other ones from now on */

struct sched_message *schedule_find(struct schedule *s, uint64_t id); /* NULL: none */
/* m's id, account, queued_at and expires; the message is made when the first job of it is added. */
struct job_new {
    struct sched_message m;
    enum task task;
    const char *destination; /* SEND; else NULL */
    const uint32_t *recipients;
    uint32_t n; /* 1 to JOB_RECIPIENTS_MAX */
    uint16_t tries;
    bool delay_told;
    uint64_t next_try;
};
int schedule_add(struct schedule *s, const struct job_new *j, uint64_t now); /* ERR_MEMORY */
/* One that is not running is taken out; with its last job the message goes. */
void schedule_drop(struct schedule *s, struct job *j);

/* The next job to be begun: it is running from now on, and a SEND has a connection's place, which schedule_leave gives
 * back. NULL: there is none, or no place. */
struct job *schedule_start(struct schedule *s, uint64_t now);
/* For a connection that has done `done` jobs: another for the same destination. NULL: none, or others wait for the
 * place. */
struct job *schedule_more(struct schedule *s, struct destination *to, uint32_t done, uint64_t now);
enum place_end { PLACE_DONE, PLACE_FAILED /* the destination could not be reached, or does not speak */ };
void schedule_leave(struct schedule *s, struct destination *to, enum place_end how, uint64_t now);
/* A job of TASK_LOCAL, REPORT, EXPIRE or DELAY gives its place back, before it is deferred, changed or done. */
void schedule_leave_inside(struct schedule *s, struct job *j, uint64_t now);

/* Of a running job: what becomes of it. n recipients are left, in the job's array from its beginning. */
void schedule_done(struct schedule *s, struct job *j);
void schedule_defer(struct schedule *s, struct job *j, uint64_t next_try, uint64_t now);
/* Seconds until a job that was tried so often is tried again. */
uint64_t schedule_interval(const struct schedule *s, uint16_t tries);

void schedule_advance(struct schedule *s, uint64_t now); /* what is due becomes ready */
uint64_t schedule_due(const struct schedule *s);         /* when to call it again; UINT64_MAX: never */

const char *destination_name(const struct destination *d);
/* Every place is taken, and somebody waits for one. */
bool schedule_crowded(const struct schedule *s);
struct schedule_counts {
    uint64_t messages, jobs, ready, running, destinations;
};
struct schedule_counts schedule_counts(const struct schedule *s);
/* A destination, or with NULL any of them, may answer again: what waited because others failed is tried now. */
void schedule_unblock(struct schedule *s, const char *destination, uint64_t now);

#endif
