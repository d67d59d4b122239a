/* Recipients that are here: where their address routes to, and whether a message could be stored for them. */
#ifndef INGEST_RCPT_H
#define INGEST_RCPT_H

#include "server/ingest/transaction/transaction.h"

struct transaction_route {
    struct schema_address to;
    char primary[ADDRESS_MAX]; /* of the account */
    bool forwards;             /* its record says that its mail goes on */
};
/* In a snapshot: an account, if its keys and its word stand as they were approved. ERR_UNAPPROVED, ERR_MEMORY, and
 * those of the view. */
int transaction_account_approved(struct view *v, uint64_t account, struct schema_account *ret);
/* ERR_NOT_FOUND, ERR_FORMAT: no such user; ERR_DENIED: not a domain of ours; ERR_NO_KEY, ERR_UNAPPROVED, ERR_QUOTA, and
 * those of the view. */
int transaction_route(struct transaction *t, const char *address, struct transaction_route *ret);
/* OK also where it is there already. ERR_MEMORY, TRANSACTION_CROWDED. */
enum { TRANSACTION_CROWDED = 1 /* no error of a function: there are so many already */ };
int transaction_add_local(struct transaction *t, const char *address, const struct transaction_route *to);
void transaction_refuse_rcpt(struct transaction *t, const char *address, int err); /* answers SMTP_RCPT */

#endif
