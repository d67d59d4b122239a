/* Mail from `relay` for accounts here: DSNs, and held mail whose time has come (server/queue/internal.h). It is sealed
 * and deposited like any mail, one at a time, and answered when it is synced. Nothing is answered by mail. */
#ifndef INGEST_INTERNAL_H
#define INGEST_INTERNAL_H

#include "server/ingest/ingest.h"

/* A channel of a process that asks; takes fd. It ends with that process, or when it says what it may not. */
void internal_open(struct ingest *in, int fd);
void internal_close_all(struct ingest *in); /* what is under way may be stored all the same */

#endif
