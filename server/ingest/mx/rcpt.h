/* Recipients: where their address routes to, and whether a message could be stored for them. */
#ifndef INGEST_MX_RCPT_H
#define INGEST_MX_RCPT_H

#include "server/ingest/mx/transaction.h"

void mx_rcpt(struct mx *m, const char *address); /* answers SMTP_RCPT */

#endif
