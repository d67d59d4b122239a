/* Between the commands about the outgoing queue: reading it message by message, each in a snapshot of its own, so that
 * a long queue takes no more memory than a short one; and changing it. */
#ifndef CLI_QUEUE_H
#define CLI_QUEUE_H

#include "server/cli/cli.h"
#include "store/queue.h"

struct queue_entry {
    uint64_t id;
    int err; /* of the envelope: what does not open has none */
    struct queue_envelope envelope;
    uint8_t seen[QUEUE_SEEN_SIZE];
    bool account_held;
    uint32_t n;
    struct queue_recipient to[VAULT_QUEUE_ROWS_MAX];
    int to_err[VAULT_QUEUE_ROWS_MAX];
};

/* The message e->id. ERR_NOT_FOUND; the view's. */
int queue_read_entry(struct view *v, struct queue_entry *e);
/* fn gives OK to go on. */
typedef int queue_entry_fn(void *arg, struct queue_entry *e);
int queue_each(struct view *v, queue_entry_fn *fn, void *arg);

struct queue_tools {
    struct view *view;
    int vault; /* a channel */
    const struct record_keys *keys;
};
/* One of both. A recipient as it is to be, if err is OK; whether an envelope is to be written. */
enum queue_verdict { QUEUE_KEEP, QUEUE_WRITE, QUEUE_GOES };
typedef enum queue_verdict queue_change(const void *arg, const struct queue_entry *e, struct queue_recipient *r,
                                        int err);
struct queue_order {
    queue_change *recipient;
    bool (*envelope)(const void *arg, struct queue_envelope *e);
    const void *arg;
};
/* Again, if somebody else was at it meanwhile. */
int queue_change_entry(const struct queue_tools *t, struct queue_entry *e, const struct queue_order *o,
                       const char **ret_text);
/* After a restore: what it brings back may have been sent since. */
int queue_hold_all(const struct queue_tools *t);

#endif
