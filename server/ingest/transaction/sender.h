/* What a message shows of who sent it, sealed beside it for later lessons (server/mailauth/sender_features.h), and
 * whether its author is new to a recipient (store/contact.h). It is looked at once, while it is whole; hashes differ by
 * account. */
#ifndef INGEST_SENDER_H
#define INGEST_SENDER_H

#include "server/ingest/transaction/transaction.h"

/* Nobody's mail waits for it: without memory nothing is known. */
void transaction_look_at_sender(struct transaction *t);
/* Of a recipient's deposit. Not OK: the view's errors. */
int transaction_put_sender(struct transaction *t, const struct transaction_rcpt *r, struct deposit_request *q);

/* Whether its author, proven by the verdict, is known to one whom it is for. Looks at it anew. */
bool transaction_sender_is_known(struct transaction *t);

#endif
