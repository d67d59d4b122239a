/* Mail to dmarc-reports@DOMAIN: what others report of mail in that domain's name (RFC 9990). It goes to no account; it
 * is read, and what it says is counted (store/dmarc_day.h), once, before it is answered with 250. */
#ifndef INGEST_DMARC_H
#define INGEST_DMARC_H

#include "server/ingest/transaction/transaction.h"

enum {
    DMARC_PEER_BURST = 60, /* reports of one peer, */
    DMARC_PEER_MINUTE = 20,
};

void reserved_take_report(
    struct transaction *t); /* once it was judged, or nobody judges: answers SMTP_END, now or later */

#endif
