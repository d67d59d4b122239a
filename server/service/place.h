/* The places of a process's sessions: how many there are for each peer and network, who is in good standing, and who is
 * ended when places or memory run short. A session keeps a struct place; the policy stands here, once for all roles.
 *
 * Good standing is bought with what a session is there for. A step that it has not made before buys some seconds, and
 * so do octets of a message, at a least rate. A newcomer has a few seconds to begin. When there is no place for a
 * newcomer, or no memory for what comes (server/service/budget.h), sessions whose standing is over are ended: first
 * those of networks that hold more than a fair share, then whoever costs most, by what it holds and since when it
 * brings nothing. Where all are in good standing and places or memory stay short, standing becomes dearer, up to
 * PLACE_DEAREST times, until somebody's is over; steps, which cost their maker next to nothing, then buy it for a while
 * after a session began, and only octets buy more. Each process decides over its own sessions.
 *
 * With more than three quarters of the places or of the memory taken a process is under stress: it then ends by itself
 * whoever has been out of good standing for a while, or has been there for very long. Without stress only a message
 * that comes far too slowly is ended here; the role's own timeouts do the rest. */
#ifndef SERVICE_PLACE_H
#define SERVICE_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/loop.h"
#include "server/base/peers.h"

enum {
    PLACE_STEP_MS = 5000,             /* a newcomer's and a step's standing */
    PLACE_STEPS_MS = 160 * 1000,      /* while standing is dear: the age past which steps buy none, to be divided */
    PLACE_CONTENT_MS = 10 * 1000,     /* the most that octets buy beforehand */
    PLACE_LEAST_RATE = 1000,          /* octets a second that keep a message in good standing */
    PLACE_DEAREST = 16,               /* times that */
    PLACE_STRESS_MS = 5000,           /* under stress: so long without standing */
    PLACE_STRESS_SESSION_MS = 600000, /* and so long in all */
    PLACE_CALM_MS = 180 * 1000,       /* without stress: RFC 5321 section 4.5.3.2.5 has 3 minutes for a block */
    PLACE_CALM_RATE = 50,             /* octets a second over that time */
    PLACE_STALL_MS = 3000,            /* a message that brings nothing for so long may be ended for its memory */
    PLACE_HOLD_MS = 60 * 1000,        /* and one that has been coming for so long, however well */
};

struct places;

struct place {
    struct places *in;         /* internal, all of them */
    struct place *next, **at;  /* newest first */
    uint32_t peer;             /* of base/peers */
    uint64_t came_ms;          /* when the session began */
    uint64_t good_ms, calm_ms; /* its standing lasts until then; and without stress, while a message comes */
    uint64_t content_ms;       /* since when a message comes; 0: none does */
    uint64_t flow_ms;          /* until when what it holds is left to it */
    uint64_t held;             /* octets of the budget */
};

enum place_why {
    PLACE_SHED,   /* a newcomer needs the place */
    PLACE_OCTETS, /* others need the memory that it holds */
    PLACE_SLOW,   /* too slow, or there for too long */
    PLACE_WHYS
};

struct places_params {
    struct loop *loop;
    struct peers *peers; /* outlives the places */
    /* Whether it may be ended now. Not so what has ended already, and whose message is whole and on its way to the
     * vault. */
    bool (*may_end)(const struct place *p, enum place_why why);
    /* Ends it, with a word if there can be one. When it returns from PLACE_OCTETS nothing is held any more. */
    void (*end)(struct place *p, enum place_why why);
    void (*changed)(void *arg); /* how many there are, or may be. May be NULL */
    void *arg;
};

struct places_limits {
    uint32_t sessions; /* of this process */
    uint64_t octets;
    uint32_t sessions_peer; /* of one peer in all processes of the role */
    uint64_t octets_peer;
    uint64_t octets_always; /* of a peer in this process, whatever the others say */
    uint32_t processes;
};

struct places *places_create(const struct places_params *p); /* NULL: no memory */
void places_destroy(struct places *ps);                      /* NULL is allowed */
void places_limit(struct places *ps, const struct places_limits *l);

/* A session of this peer is counted, and begins or leaves afterwards. ERR_LIMIT: its peer or network has as many as it
 * may have; ERR_FULL: no room to count it. How many there are in all is for the caller to see to. */
int places_enter(struct places *ps, const struct sockaddr_storage *ss, uint32_t *ret_peer);
void places_leave(struct places *ps, uint32_t peer); /* no session came of it */
void place_begin(struct places *ps, struct place *p, uint32_t peer);
void place_end(struct place *p); /* holds nothing any more */
/* It turns out to be of another peer. As places_enter; not OK: all stays. It holds no octets. */
int place_move(struct place *p, const struct sockaddr_storage *ss);

/* What buys standing. */
void place_step(struct place *p); /* one that was not made before, or with which a message has been taken */
/* Who is known, and let be between messages, begins as a newcomer with each of them. */
void place_anew(struct place *p);
void place_content_begin(struct place *p); /* nothing if one comes already */
void place_content(struct place *p, uint64_t octets);
void place_content_end(struct place *p);

uint32_t places_sessions(const struct places *ps);
bool places_full(const struct places *ps);
bool places_lendable(const struct places *ps); /* some more than there are, to newcomers for whom others are ended */
/* Ends the session that one can do without best. false: there is none. Many may follow one another in a turn: sessions
 * are looked through once a turn. */
bool places_shed(struct places *ps);

bool places_stressed(const struct places *ps);
/* Since the start: sessions ended, and those refused by places_enter and place_move. */
uint64_t places_ended(const struct places *ps, enum place_why why);
uint64_t places_refused(const struct places *ps);

#endif
