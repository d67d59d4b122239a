/* Trace fields (RFC 5321 section 4.4). */
#ifndef INGEST_RECEIVED_H
#define INGEST_RECEIVED_H

#include "server/ingest/transaction/transaction.h"

struct received {
    const struct sockaddr_storage *peer; /* NULL: nothing is said of where it came from */
    const char *domain, *id;
    const char *tls, *rcpt; /* or NULL; rcpt: the only recipient */
    uint64_t now;
};
/* Our trace field, with CRLF. */
void transaction_received_make(const struct received *r, const struct smtp_envelope *env,
                               char out[TRANSACTION_RECEIVED_MAX]);
/* Received fields in a message's header; loops show there (section 6.3). */
size_t transaction_received_count(const struct secmem_msg *m);

#endif
