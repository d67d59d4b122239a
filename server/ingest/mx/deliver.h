/* From a whole message to one reply. */
#ifndef INGEST_MX_DELIVER_H
#define INGEST_MX_DELIVER_H

#include "server/ingest/mx/transaction.h"

void mx_deliver(struct mx *m); /* answers SMTP_END, now or later, and resumes the session if later */

#endif
