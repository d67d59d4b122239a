/* Feedback reports (RFC 5965) to abuse@ and postmaster@ of a domain here: looked at before they are sealed, counted
 * against whoever sent what they are about, and delivered like all mail. */
#ifndef INGEST_COMPLAINT_H
#define INGEST_COMPLAINT_H

#include "server/ingest/transaction/transaction.h"

/* Of a message that is whole. What cannot be counted now (no memory, no vault) is not: nobody's mail waits for it. */
void mx_look_for_complaint(struct transaction *t);

#endif
