/* Addresses that are the server's own in each of its domains, and no account's: mail to them is read here, while its
 * sender waits, and not kept. */
#ifndef INGEST_RESERVED_H
#define INGEST_RESERVED_H

#include "server/ingest/transaction/transaction.h"

/* For a receiver's table. true: the recipient is answered. Mail to such an address has no other recipient. judges: the
 * receiver finds out who wrote a message. */
bool reserved_rcpt(struct transaction *t, const char *address, bool judges);
/* true: the message is for one, and answered, since it is of no interest who wrote it. */
bool reserved_end(struct transaction *t);
/* true: it is for one, was judged (or nobody judges) and not refused, and is answered, now or later. */
bool reserved_judged(struct transaction *t);

#endif
