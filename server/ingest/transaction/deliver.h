/* From a whole message to one reply. */
#ifndef INGEST_DELIVER_H
#define INGEST_DELIVER_H

#include "server/ingest/transaction/transaction.h"

/* With what transaction_take_content made, received, and the recipients: answers SMTP_END, now or later, and resumes
 * the session if later. */
void transaction_deliver(struct transaction *t);
void transaction_go_on(struct transaction *t); /* something that it waited for has come */
/* No errors of a function. */
enum {
    TRANSACTION_HOPS = 1,    /* the message has been through too many servers */
    TRANSACTION_HELD,        /* the account that sends it is held */
    TRANSACTION_DOMAIN_LIMIT /* its domain has sent what it may */
};
/* Answers SMTP_END instead. table NULL: that of deliveries. */
void transaction_refuse_all(struct transaction *t, const struct transaction_refusal *table, int err);

void transaction_accept_all(struct transaction *t); /* answers it with 250: nothing is left to do */

#define TRANSACTION_HELD_TEXT \
    "Your account sends nothing until this server's postmaster releases it: it is held, or has sent too much in a day"

#endif
