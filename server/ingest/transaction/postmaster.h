/* Mail for the postmaster (RFC 5321 section 4.5.1), and for abuse@ (RFC 2142 section 4). */
#ifndef INGEST_POSTMASTER_H
#define INGEST_POSTMASTER_H

#include "store/view.h"

/* err is view_route's answer for an address that routes to nobody. If the postmaster reads it, *ret becomes the account
 * that reads such mail; for every other address err is given back. Needs a snapshot. */
int transaction_postmaster_route(struct view *v, const char *server, const char *address, int err,
                                 struct schema_address *ret);

#endif
