/* Handing a message to the outgoing queue: it is sealed to the queue's key, its envelope and recipients under the
 * queue's record key, and the vault stores all of it in one commit. For roles that take mail to be sent. */
#ifndef QUEUE_ENQUEUE_H
#define QUEUE_ENQUEUE_H

#include <sys/uio.h>

#include "store/client.h"
#include "store/queue.h"
#include "store/view.h"

struct enqueuer;
/* public_key: as master gave it (ROLE_MSG_QUEUE_KEY). NULL: no memory, or no key. */
struct enqueuer *enqueuer_create(struct loop *l, struct view *v, struct vault_client *vault, struct slice public_key);
void enqueuer_destroy(struct enqueuer *e);

struct enqueue_request {
    struct queue_envelope envelope; /* id 0: one is made */
    uint64_t charged;               /* the account that sends it (store/sending.h); 0: nobody's count grows */
    bool counts;                    /* as a message; its recipients count in any case */
    bool forwarded;                 /* store/request.h */
    const struct queue_recipient *recipients;
    uint32_t n;
    const struct iovec *mail; /* as it is to be sent, CRLF lines; must live until sealed was called, or the end */
    size_t mail_n;
};
struct enqueue_hooks {
    void (*sealed)(void *arg); /* the text is no longer needed; perhaps before enqueue_start returns */
    /* OK: it is synced, or what the verdict says: nothing is stored then, but for TAKEN. After enqueue_start has
     * returned. */
    void (*done)(void *arg, int status, uint64_t id, enum sending_verdict verdict);
};
struct enqueue;
/* Whether the sealed records of so many recipients fit one message: a receiver asks at each RCPT. */
bool enqueue_fits(const struct queue_recipient *recipients, uint32_t n);
int enqueue_start(struct enqueuer *e, const struct enqueue_request *q, const struct enqueue_hooks *hooks, void *arg,
                  struct enqueue **ret);
void enqueue_cancel(struct enqueue *e); /* done is not called; it may be stored all the same */

#endif
