/* Mail that goes on. An account whose owner said so (`account set --forward`) has what comes for it sent to another
 * address as well, or instead; and a bounce that comes to a return path of ours (server/mailauth/srs.h) goes to whom
 * that names. Accounts here are deposits like any; for each other address there is an entry of the queue, under an id
 * that mail and address make, so that who tries again makes no doubles. */
#ifndef INGEST_FORWARD_H
#define INGEST_FORWARD_H

#include "server/ingest/transaction/transaction.h"
#include "server/queue/enqueue.h"

/* Once the message is whole, its received made, and before transaction_deliver, which then sees to the rest: looks up
 * what is approved of each recipient's account. ERR_UNAPPROVED, ERR_MEMORY, and those of the view. */
int transaction_forward(struct transaction *t);

/* Who is behind a return path of ours. ERR_NOT_FOUND: it is none, nor looks so; ERR_FORMAT: it is forged, or too old.
 */
int transaction_bounce_open(struct ingest *in, const char *address, char out[ADDRESS_MAX]);
/* At RCPT, from the null path: the message goes to this address elsewhere. ERR_MEMORY, ERR_UNSUPPORTED: there is no
 * queue; ERR_LIMIT: there is one such already. */
int transaction_bounce(struct transaction *t, const char *given, const char *to);
/* The queue's entry of a bounce; id 0: one is made. what lives until the end of it. */
struct bounce {
    struct enqueue_request request;
    struct queue_recipient to;
};
void transaction_bounce_describe(const struct ingest *in, uint64_t id, const char *to, const struct iovec *mail,
                                 size_t n, uint64_t now, struct bounce *ret);

#endif
