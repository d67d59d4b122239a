/* Signing what goes out: DKIM, with the keys of the sender's domain. */
#ifndef RELAY_SIGNERS_H
#define RELAY_SIGNERS_H

#include <sys/uio.h>

#include "server/core/buf.h"
#include "store/queue.h"

struct relay;
struct signers; /* the keys, in secret memory */

/* Reads them anew at the next signature: at the start, and whenever one has changed. */
void signers_forget(struct relay *r);
/* Appends a DKIM-Signature field to fields for each key that is in use for the domain of e's sender. ERR_MEMORY, and
 * what the view says: not now. What cannot be signed goes without. */
int signers_sign(struct relay *r, const struct queue_envelope *e, const struct iovec *mail, size_t n,
                 struct buf *fields);

#endif
