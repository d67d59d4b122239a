/* A line in the log for each message from the world, accepted or not (`mail` in docs/log.md). It answers "did mail from
 * X arrive at Y?" for whoever has the store key, and names nobody (server/format/log_name.h). */
#ifndef INGEST_MX_REPORT_H
#define INGEST_MX_REPORT_H

#include "server/ingest/mx/transaction.h"

enum {
    /* Lines a minute and process about what had no content: anybody can cause those by the thousand, for nothing. What
     * is beyond is counted, and said once a minute. About a message there is always a line. */
    REPORTS_CHEAP_MAX = 600
};

/* How sender and recipient are known in the line. account: the primary address of the account, or NULL. */
void mx_report_names(struct mx *m, const char *address, const char *account, struct mx_names *ret);

/* Each after its reply. */
void mx_report_mail(struct mx *m, const char *sender, enum event_REASON why);  /* MAIL was refused */
void mx_report_rcpt(struct mx *m, const char *address, enum event_REASON why); /* RCPT was refused */
void mx_report_refused(struct mx *m, const struct smtp_event *e);              /* by the engine itself: SMTP_REFUSED */
void mx_report_end(struct mx *m, bool accepted); /* the message was whole; of each recipient, with its reason */
void mx_report_lost(struct mx *m); /* nothing came of the transaction: the content, the client or the session failed */

/* The session is over: if we ended it, why. */
void mx_report_closed(const struct mx *m);

/* Says how many lines there would have been. */
void mx_report_untold(struct ingest *in);

#endif
