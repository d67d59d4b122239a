/* TLS reports to the domains that want them (RFC 8460): of each period that is over, by mail through the outgoing queue
 * or by HTTPS. The first process of `relay` alone makes them. */
#ifndef RELAY_TLS_REPORTS_H
#define RELAY_TLS_REPORTS_H

#include "server/relay/relay.h"

enum {
    TLS_REPORTS_HOUR = 2000, /* reports that are tried in an hour */
    TLS_REPORTS_AT_ONCE = 8, /* domains */
    TLS_REPORTS_LOOK = 256,  /* records in one turn */
};

struct tls_reports *tls_reports_create(struct relay *r); /* NULL: memory */
void tls_reports_destroy(struct tls_reports *t);         /* NULL is allowed */

#endif
