/* What places and budget share. */
#ifndef SERVICE_PLACE_IMPL_H
#define SERVICE_PLACE_IMPL_H

#include "server/service/place.h"

enum { PLACE_VICTIMS_MAX = 64 /* found in one look */ };

struct place_victim {
    struct place *place;
    uint64_t crowd, cost;
};

struct places {
    struct places_params p;
    struct places_limits limits;
    struct place *first;
    struct timer *tick;
    struct defer forget; /* victims, at the end of the turn */
    uint32_t sessions;
    uint64_t octets;            /* of the budget that are taken */
    uint32_t price;             /* of standing, in times the least rate */
    uint64_t dear_ms;           /* when it last became dearer */
    uint64_t looked_ms, dry_ms; /* the last look; since when looks have found nobody */
    bool ticking, stressed;
    /* Found in this turn, worst first; at: the next one. */
    struct place_victim victims[PLACE_VICTIMS_MAX];
    uint32_t nvictims, at;
    enum place_why looked_for;
    bool looked;
    uint64_t ended[PLACE_WHYS], said[PLACE_WHYS];
    uint64_t said_ms, refused, within_ms;
};

/* Ends the worst of those that may be ended for that reason, but for `spared`, which may be NULL. */
bool places_end_one(struct places *ps, enum place_why why, const struct place *spared);
void places_look_at_stress(struct places *ps);

#endif
