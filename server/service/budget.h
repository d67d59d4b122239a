/* Memory for messages in flight: what a process's sessions may hold together, and of it a peer and its networks over
 * the role's processes. Taken as octets come, never for what is only announced, and given back when they are gone.
 *
 * When a session asks for more than there is, others that hold much and bring little are ended for it
 * (server/service/place.h, PLACE_OCTETS), instead of refusing the newcomer. The last quarter is for networks that hold
 * little, so that those who hold much cannot take it from the rest. */
#ifndef SERVICE_BUDGET_H
#define SERVICE_BUDGET_H

#include "server/service/place.h"

/* Octets more for this session, which is never ended for itself. ERR_LIMIT: it may not have them now, nothing was
 * taken. */
int budget_take(struct place *p, uint64_t octets);
void budget_give(struct place *p, uint64_t octets);
/* Whether it could have so many more; others may be ended for it as if it took them. */
bool budget_fits(struct place *p, uint64_t octets);
uint64_t budget_taken(const struct places *ps);

#endif
