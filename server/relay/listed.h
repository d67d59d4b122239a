/* Own addresses watched on block lists (RFC 5782): asked for by the first process of `relay`, some minutes after its
 * start and once every blocklists_interval. One that is listed, or is no more, is said in the log, and status shows
 * it. */
#ifndef RELAY_LISTED_H
#define RELAY_LISTED_H

#include "server/base/config.h"
#include "server/base/loop.h"
#include "server/dns/dns.h"

enum {
    LISTED_ADDRESSES_MAX = 8,
    LISTED_LISTS_MAX = 32 /* more are not asked */
};

struct listed;
struct listed *listed_create(struct loop *l, struct dns *d); /* NULL: no memory */
void listed_destroy(struct listed *x);                       /* before its dns; NULL is allowed */
/* At the start, and when it has changed: all that is known counts until a round has asked anew. */
void listed_use(struct listed *x, const struct config *c);
/* The lists that have one of the addresses, a bit each, in the order of `blocklists`. */
uint32_t listed_now(const struct listed *x);

#endif
