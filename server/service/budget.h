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

/* A message's waits for room; zeros at its beginning. */
struct budget_wait {
    uint64_t since_ms, moved_ms; /* since when it waits, 0: it does not; and since when it has not */
    uint64_t waited_ms;          /* before this wait, less what it has come on since */
};

/* Octets more for this session, which is never ended for itself. Nothing is taken with ERR_LIMIT, when its peer or a
 * network of it has what it may have, and with ERR_AGAIN, when there is no room in all: there may be in a moment, so
 * the session should leave its input where it is and ask again, as long as budget_wait says. */
int budget_take(struct place *p, uint64_t octets);
void budget_give(struct place *p, uint64_t octets);
/* What budget_take would say; others may be ended for it as if it took them. */
int budget_fits(struct place *p, uint64_t octets);
/* Whether a message waits, that there is room for now or not. It has BUDGET_WAIT_MS in all, not for each piece, or many
 * that wait for one another would all be refused one by one; what it has used it has again after coming for as long. */
bool budget_wait(struct budget_wait *w, uint64_t now_ms, bool room);
/* Whether it is so little that it is worth waiting for before its first octet has come. */
bool budget_little(const struct place *p, uint64_t octets);
uint64_t budget_taken(const struct places *ps);

#endif
