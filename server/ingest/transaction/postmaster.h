/* Mail for the postmaster (RFC 5321 section 4.5.1). */
#ifndef INGEST_POSTMASTER_H
#define INGEST_POSTMASTER_H

#include "store/view.h"

/* err is view_route's answer for an address that routes to nobody. If it is the postmaster's, *ret becomes the account
 * that reads such mail; for every other address err is given back. Needs a snapshot. */
int transaction_postmaster_route(struct view *v, const char *server, const char *address, int err,
                                 struct schema_address *ret);

#endif
