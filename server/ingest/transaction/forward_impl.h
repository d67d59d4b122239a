/* Between forward.c and forward_entry.c. */
#ifndef INGEST_FORWARD_IMPL_H
#define INGEST_FORWARD_IMPL_H

#include "server/ingest/transaction/forward.h"

/* The same mail on the same way has the same id, also when it comes again. */
uint64_t transaction_forward_id(const struct transaction *t, const struct transaction_rcpt *r, const char *to);
/* The queue's entry of mail for r that goes on to this address. */
void transaction_forward_describe(const struct transaction *t, const struct transaction_rcpt *r, uint64_t id,
                                  const char *to, const struct iovec *mail, size_t n, struct bounce *ret);

#endif
