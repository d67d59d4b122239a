/* Messages of the queue, opened into wiped memory while they are sent. One message is opened once for all that send it
 * in the same moment; a budget bounds what is open together. */
#ifndef RELAY_OPENED_H
#define RELAY_OPENED_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "server/core/buf.h"
#include "server/core/secmem.h"
#include "server/mail/downgrade.h"
#include "server/relay/table.h"
#include "store/queue.h"

struct relay;
struct opened;

/* A message as one kind of server takes it: our fields, then its own octets. */
struct opened_form {
    bool made;
    int err;                   /* ERR_UNSUPPORTED, ERR_LIMIT: it cannot be had */
    struct buf fields;         /* DKIM-Signature */
    struct secmem_msg changed; /* re-encoded, if it has to be */
    struct iovec *v;
    size_t n;
    uint64_t len;
};
struct opened {
    struct table_node node;
    struct relay *relay;
    uint64_t id;
    bool is_ours; /* and so it is signed */
    uint32_t users;
    struct secmem_msg mail;
    struct mail_shape shape;
    struct opened_form forms[2]; /* for servers without 8BITMIME, and with it */
};
struct opened_wait {
    TAILQ_ENTRY(opened_wait) in_line;
    void (*fn)(void *arg);
    void *arg;
    bool waits;
};
TAILQ_HEAD(opened_waits, opened_wait);
struct opened_all {
    struct table table;
    struct opened_waits waits;
    uint64_t octets;
};

/* ERR_AGAIN: no room at the moment: w is called when there is, once. ERR_NOT_FOUND, queue_is_damage: it cannot
 * be opened. ERR_MEMORY, ERR_IO, ERR_OVERRUN: not now. */
int opened_get(struct relay *r, const struct queue_envelope *e, struct opened_wait *w, struct opened **ret);
void opened_put(struct opened *c);
/* Some of those who wait look again. */
void opened_wake(struct relay *r);
void opened_wait_cancel(struct relay *r, struct opened_wait *w);
/* As a server with or without 8BITMIME takes it, signed for the domain of From, but for what is forwarded.
 * ERR_UNSUPPORTED, ERR_LIMIT: it cannot be made so; ERR_MEMORY. */
int opened_fit(struct opened *c, bool eight_bit, const struct opened_form **ret);

#endif
