#include "server/relay/relay.h"

#include <time.h>

#include "server/relay/tally.h"

enum { UNWRITTEN_MAX = 512 /* outcomes that wait for the vault: past it nothing new is begun */ };

uint64_t relay_now(void)
{
    return (uint64_t)time(NULL);
}

bool relay_may_begin(const struct relay *r)
{
    return !r->stopping && r->unwritten < UNWRITTEN_MAX;
}

/* Ids are random. */
bool relay_has(const struct relay *r, uint64_t id)
{
    return id % r->instances == r->instance;
}

void relay_stopped(struct relay *r)
{
    if (r->stopping && !r->ndeliveries && !r->unwritten && (!r->tallies || tallies_end(r->tallies)))
        loop_stop(r->loop);
}

void relay_wake(struct relay *r)
{
    defer_set_long(r->loop, &r->pump, r->turn, r);
}
