/* Between the schedule's files: jobs that wait (schedule_heap.c), and whose turn it is (schedule_turns.c). Jobs that
 * are ready stand in flows: a flow is what one account sends to one destination. A flow is open while its destination
 * may have another connection; accounts with open flows stand in a line and take turns, and so do the flows of a
 * destination that wait for it. */
#ifndef RELAY_SCHEDULE_IMPL_H
#define RELAY_SCHEDULE_IMPL_H

#include <sodium.h>

#include "server/relay/schedule.h"

enum { SCHEDULE_MEMORY_RETRY = 60 /* seconds */ };

TAILQ_HEAD(job_line, job);
TAILQ_HEAD(flows, flow);
TAILQ_HEAD(senders, sender);

/* Who takes turns: those who wait for connections, and those who need none. */
struct line {
    struct senders senders;
    uint32_t used;
};
struct sender {
    struct table_node node;
    TAILQ_ENTRY(sender) in_line;
    struct line *line;
    uint64_t account;
    struct flows open;
    uint32_t nflows;
    bool waits;
};
struct flow {
    struct table_node node;
    TAILQ_ENTRY(flow) in_sender, in_destination;
    struct sender *sender;
    struct destination *to;
    struct job_line jobs;
    bool open;
};
struct destination {
    struct table_node node;
    struct flows waiting, open;
    uint32_t nopen, running, window, failures, njobs;
    int credit;
    uint64_t blocked_until;
    char name[];
};
struct schedule {
    struct schedule_limits limits;
    struct table messages, destinations, flows, senders;
    struct line outside, inside;
    struct job **heap;
    uint32_t heap_n, heap_cap, njobs;
    uint64_t nready, nrunning;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

/* ---- the heap of what waits, by what is due first ---- */

int schedule_heap_room(struct schedule *s, uint32_t n); /* there must be room for every job. ERR_MEMORY */
void schedule_heap_push(struct schedule *s, struct job *j);
void schedule_heap_remove(struct schedule *s, struct job *j);
void schedule_heap_down(struct schedule *s,
                        uint32_t i); /* what stands there has become later, or the heap is made anew */
uint64_t schedule_due_of(const struct schedule *s, const struct job *j);

/* ---- turns ---- */

void schedule_make_ready(struct schedule *s, struct job *j, uint64_t now);
void schedule_flow_take(struct schedule *s, struct job *j); /* out of its flow */
void schedule_flow_close(struct flow *f);
/* As many flows of a destination are open as it may have further connections. */
void schedule_wake(struct destination *d);

#endif
