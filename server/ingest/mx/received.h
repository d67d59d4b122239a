/* Trace fields (RFC 5321 section 4.4). */
#ifndef INGEST_MX_RECEIVED_H
#define INGEST_MX_RECEIVED_H

#include "server/ingest/mx/transaction.h"

/* Our trace field, with CRLF. rcpt: the only recipient, or NULL. */
void mx_received_make(const struct smtp_envelope *env, const struct sockaddr_storage *peer, const char *domain,
                      const char *tls, const char *id, const char *rcpt, uint64_t now, char out[MX_RECEIVED_MAX]);
/* Received fields in a message's header; loops show there (section 6.3). */
size_t mx_received_count(const struct secmem_msg *m);

#endif
