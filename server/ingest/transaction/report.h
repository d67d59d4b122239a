/* A line in the log for each message from the world, accepted or not (`mail` in docs/log.md). It answers "did mail from
 * X arrive at Y?" for whoever has the store key, and names nobody (server/format/log_name.h). */
#ifndef INGEST_REPORT_H
#define INGEST_REPORT_H

#include "server/ingest/transaction/transaction.h"

enum {
    /* Lines a minute and process about what had no content: anybody can cause those by the thousand, for nothing. What
     * is beyond is counted, and said once a minute. About a message there is always a line. */
    REPORTS_CHEAP_MAX = 600
};

/* How sender and recipient are known in the line. account: the primary address of the account, or NULL. */
void transaction_report_names(struct transaction *t, const char *address, const char *account,
                              struct transaction_names *ret);

/* Each after its reply. */
void transaction_report_mail(struct transaction *t, const char *sender, enum event_REASON why);  /* MAIL was refused */
void transaction_report_rcpt(struct transaction *t, const char *address, enum event_REASON why); /* RCPT was refused */
void transaction_report_refused(struct transaction *t,
                                const struct smtp_event *e); /* by the engine itself: SMTP_REFUSED */
void transaction_report_end(struct transaction *t,
                            bool accepted); /* the message was whole; of each recipient, with its reason */
void transaction_report_lost(
    struct transaction *t); /* nothing came of the transaction: the content, the client or the session failed */

/* The session is over: if we ended it, why. */
void transaction_report_closed(const struct transaction *t);

/* Says how many lines there would have been. */
void transaction_report_untold(struct ingest *in);

#endif
