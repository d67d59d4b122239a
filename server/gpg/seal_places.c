/* See seal_places.h. There are a few hundred entries at most, and each costs a process: they are simply counted. */
#include "server/gpg/seal_places.h"

#include <string.h>

#include "server/base/conn.h"
#include "server/gpg/gpg.h"

enum { PLACES_SHARE = GPG_OPS_MAX / GPG_SHARE, WAITING_SHARE = GPG_WAITING_MAX / GPG_SHARE };

struct shares {
    unsigned account, peer;
};

static bool is_ours(const struct seal_place *e)
{
    static const uint8_t none[sizeof(e->peer)];

    return memcmp(e->peer, none, sizeof(none)) == 0;
}

static struct shares shares_of(const struct seal_places *p, const struct seal_place *of, bool under_way)
{
    struct shares s = {0};

    for (const struct seal_place *e = p->first; e; e = e->next) {
        if (e->under_way != under_way)
            continue;
        s.account += e->account == of->account;
        s.peer += !is_ours(of) && memcmp(e->peer, of->peer, sizeof(e->peer)) == 0;
    }
    return s;
}

struct seal_place seal_place_of(uint64_t account, const struct sockaddr_storage *peer)
{
    struct seal_place e = {.account = account};

    if (peer)
        e.peer[0] = (uint8_t)addr_peer_key(peer, e.peer + 1);
    return e;
}

bool seal_places_room(const struct seal_places *p, const struct seal_place *of)
{
    struct shares s = shares_of(p, of, false);

    return p->waiting < GPG_WAITING_MAX && s.account < WAITING_SHARE && s.peer < WAITING_SHARE;
}

void seal_places_wait(struct seal_places *p, struct seal_place *e)
{
    if (!p->tail)
        p->tail = &p->first;
    e->next = NULL;
    e->at = p->tail;
    *p->tail = e;
    p->tail = &e->next;
    e->under_way = false;
    p->waiting++;
}

struct seal_place *seal_places_next(const struct seal_places *p)
{
    struct seal_place *best = NULL;
    struct shares least = {0};

    if (p->under_way >= GPG_OPS_MAX)
        return NULL;
    for (struct seal_place *e = p->first; e; e = e->next) {
        if (e->under_way)
            continue;
        struct shares s = shares_of(p, e, true);
        if (s.account >= PLACES_SHARE || s.peer >= PLACES_SHARE)
            continue;
        /* The accounts stand in a circle, and the turn goes round from the last one on. */
        uint64_t far = e->account - p->last - 1, best_far = best ? best->account - p->last - 1 : 0;
        if (!best || s.account < least.account ||
            (s.account == least.account && (far < best_far || (far == best_far && s.peer < least.peer)))) {
            best = e;
            least = s;
        }
    }
    return best;
}

void seal_places_take(struct seal_places *p, struct seal_place *e)
{
    e->under_way = true;
    p->waiting--;
    p->under_way++;
    p->last = e->account;
}

void seal_places_leave(struct seal_places *p, struct seal_place *e)
{
    *e->at = e->next;
    if (e->next)
        e->next->at = e->at;
    else
        p->tail = e->at;
    if (e->under_way)
        p->under_way--;
    else
        p->waiting--;
}
