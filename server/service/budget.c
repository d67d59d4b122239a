#include "server/service/budget.h"

#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/service/place_impl.h"

enum { LITTLE = 64 /* the part of the budget that a network may hold and still take from the last quarter */ };

bool budget_little(const struct place *p, uint64_t octets)
{
    return octets <= p->in->limits.octets / LITTLE;
}

/* The last quarter is open to who holds little, and to who holds so much that the rest could not use it. */
static bool fits(const struct place *p, uint64_t octets)
{
    const struct places *ps = p->in;
    uint64_t all = ps->limits.octets, network;

    if (ps->octets > all || octets > all - ps->octets)
        return false;
    if (ps->octets + octets <= all / 4 * 3)
        return true;
    network = peers_network_octets(ps->p.peers, p->peer);
    return budget_little(p, network + octets) || ps->octets - network <= all / 4;
}

int budget_fits(struct place *p, uint64_t octets)
{
    if (octets > p->in->limits.octets || !peers_room(p->in->p.peers, p->peer, octets))
        return ERR_LIMIT;
    while (!fits(p, octets))
        if (!places_end_one(p->in, PLACE_OCTETS, p))
            return ERR_AGAIN;
    return OK;
}

bool budget_wait(struct budget_wait *w, uint64_t now_ms, bool room)
{
    if (room) {
        if (w->since_ms) {
            w->waited_ms += now_ms - w->since_ms;
            w->moved_ms = now_ms;
        }
        w->since_ms = 0;
        return false;
    }
    if (!w->since_ms) {
        uint64_t moved = now_ms - w->moved_ms;
        w->waited_ms -= moved < w->waited_ms ? moved : w->waited_ms;
        w->since_ms = now_ms;
    }
    return w->waited_ms + (now_ms - w->since_ms) < BUDGET_WAIT_MS;
}

int budget_take(struct place *p, uint64_t octets)
{
    struct places *ps = p->in;
    int err = octets ? budget_fits(p, octets) : OK;

    if (err != OK || octets == 0)
        return err;
    peers_take(ps->p.peers, p->peer, octets);
    ps->octets += octets;
    p->held += octets;
    places_look_at_stress(ps);
    return OK;
}

void budget_give(struct place *p, uint64_t octets)
{
    if (octets == 0)
        return;
    bug_if(octets > p->held);
    peers_give(p->in->p.peers, p->peer, octets);
    p->in->octets -= octets;
    p->held -= octets;
}

uint64_t budget_taken(const struct places *ps)
{
    return ps->octets;
}
