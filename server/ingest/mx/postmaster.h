/* Mail for the postmaster (RFC 5321 section 4.5.1). */
#ifndef INGEST_MX_POSTMASTER_H
#define INGEST_MX_POSTMASTER_H

#include "store/view.h"

/* For an address that nobody has, as view_route said in err: the postmaster's mail finds a reader all the same. Gives
 * err back for every other. Needs a snapshot. */
int mx_postmaster_route(struct view *v, const char *server, const char *address, int err, struct schema_address *ret);

#endif
