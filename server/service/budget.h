/* Memory for messages in flight: what a process's sessions may hold together, and of it a peer and its networks over
 * the role's processes. Taken as octets come, never for what is only announced, and given back when they are gone.
 *
 * When a session asks for more than there is, others that hold much and bring little are ended for it
 * (server/service/place.h, PLACE_OCTETS), instead of refusing the newcomer. The last quarter is for networks that hold
 * little, so that those who hold much cannot take it from the rest. */
#ifndef SERVICE_BUDGET_H
#define SERVICE_BUDGET_H

#include "server/service/place.h"

enum { BUDGET_WAIT_MS = 4000 /* who stalls is ended for others before */ };

/* Octets more for this session, which is never ended for itself. Nothing is taken with ERR_LIMIT, when its peer or a
 * network of it has what it may have, and with ERR_AGAIN, when there is no room in all: there may be in a moment, so
 * the session should leave its input where it is and ask again, for BUDGET_WAIT_MS. */
int budget_take(struct place *p, uint64_t octets);
void budget_give(struct place *p, uint64_t octets);
/* What budget_take would say; others may be ended for it as if it took them. */
int budget_fits(struct place *p, uint64_t octets);
/* Whether it is so little that it is worth waiting for before its first octet has come. */
bool budget_little(const struct place *p, uint64_t octets);
uint64_t budget_taken(const struct places *ps);

#endif
