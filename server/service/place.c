/* Sessions are looked through only when places or memory are short, once a turn at most, and by the tick. */
#include "server/service/place.h"

#include <stdlib.h>

#include "server/base/event.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/service/place_impl.h"

enum {
    TICK_MS = 1000, /* under stress */
    TICK_CALM_MS = 10 * 1000,
    WITHIN_MS = 50, /* between two looks for a network: who is refused comes often */
    DEAR_MS = 6000, /* of shortage with nobody to end: standing becomes dearer */
    SAY_MS = 60 * 1000,
    PLACE_COST = 64 * 1024, /* what a place counts for beside octets that it holds */
    FAIR = 32,              /* the part of all that is a fair share however many networks there are */
    FAIR_LEAST = 8,
    STEP_LEAST_MS = 1000,
};

static uint64_t now_of(const struct places *ps)
{
    return loop_now_ms(ps->p.loop);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- stress ---- */

static bool over(const struct places *ps, unsigned eighths)
{
    return (uint64_t)ps->sessions * 8 > (uint64_t)ps->limits.sessions * eighths ||
           ps->octets > ps->limits.octets / 8 * eighths;
}

static void arm(struct places *ps)
{
    ps->ticking = ps->first != NULL || ps->stressed;
    if (!ps->ticking)
        ps->price = 1;
    timer_set(ps->tick, !ps->ticking ? 0 : ps->stressed ? TICK_MS : TICK_CALM_MS);
}

static void say(struct places *ps)
{
    uint64_t n[PLACE_WHYS];

    for (int i = 0; i < PLACE_WHYS; i++) {
        n[i] = ps->ended[i] - ps->said[i];
        ps->said[i] = ps->ended[i];
    }
    ps->said_ms = now_of(ps);
    if (ps->stressed)
        log_event(pressure, ps->sessions, ps->octets, n[PLACE_SHED], n[PLACE_OCTETS], n[PLACE_SLOW]);
    else
        log_event(pressure_over, ps->sessions, ps->octets, n[PLACE_SHED], n[PLACE_OCTETS], n[PLACE_SLOW]);
}

void places_look_at_stress(struct places *ps)
{
    if (ps->stressed || !over(ps, 6))
        return;
    ps->stressed = true;
    say(ps);
    arm(ps);
}

static void relax(struct places *ps)
{
    if (now_of(ps) - ps->dear_ms >= 3 * DEAR_MS && ps->price > 1)
        ps->price /= 2;
    if (!ps->stressed)
        return;
    if (!over(ps, 5)) {
        ps->stressed = false;
        say(ps);
    } else if (now_of(ps) - ps->said_ms >= SAY_MS) {
        say(ps);
    }
}

bool places_stressed(const struct places *ps)
{
    return ps->stressed;
}

/* ---- who is ended ---- */

static void end(struct places *ps, struct place *p, enum place_why why)
{
    ps->ended[why]++;
    ps->p.end(p, why);
}

static bool too_slow(const struct places *ps, const struct place *p, uint64_t now)
{
    if (ps->stressed)
        return now > p->good_ms + PLACE_STRESS_MS || now - p->came_ms > PLACE_STRESS_SESSION_MS;
    return p->content_ms && now > p->calm_ms;
}

static uint32_t lent(const struct places *ps)
{
    return ps->limits.sessions + ps->limits.sessions / 8 + 1;
}

/* A reload may have lowered the limit far below what is here. */
static void end_beyond_limit(struct places *ps)
{
    uint32_t n = ps->sessions > lent(ps) ? ps->sessions - ps->limits.sessions : 0;

    while (n && places_shed(ps))
        n--;
}

static void on_tick(void *arg)
{
    struct places *ps = arg;
    uint64_t now = now_of(ps);
    struct place *next;

    for (struct place *p = ps->first; p; p = next) {
        next = p->next;
        if (too_slow(ps, p, now) && ps->p.may_end(p, PLACE_SLOW))
            end(ps, p, PLACE_SLOW);
    }
    end_beyond_limit(ps);
    relax(ps);
    arm(ps);
}

/* Milliseconds for which it could be done without; 0: it stands well. */
static uint64_t overdue(const struct place *p, enum place_why why, uint64_t now)
{
    bool holds = why == PLACE_OCTETS && p->content_ms;
    uint64_t until = holds ? p->flow_ms : p->good_ms;
    uint64_t since = now > until ? now - until : 0;

    if (holds && now - p->content_ms > PLACE_HOLD_MS)
        return larger(since, now - p->content_ms - PLACE_HOLD_MS);
    return since;
}

/* Beyond this a network holds more than a fair share: all are shared out to those that are here. */
static uint64_t fair_share(uint64_t all, uint32_t networks)
{
    return larger(larger(all / (networks ? networks : 1), all / FAIR), FAIR_LEAST);
}

static uint64_t crowd_of(const struct places *ps, const struct place *p, enum place_why why)
{
    uint32_t networks = peers_networks(ps->p.peers);
    uint64_t crowd = why == PLACE_OCTETS
                         ? peers_crowd_octets(ps->p.peers, p->peer, fair_share(ps->limits.octets, networks))
                         : peers_crowd(ps->p.peers, p->peer, fair_share(ps->limits.sessions, networks));

    return crowd > 1000 ? crowd : 0;
}

static bool worse(const struct place_victim *a, const struct place_victim *b)
{
    return a->crowd != b->crowd ? a->crowd > b->crowd : a->cost > b->cost;
}

/* Keeps the worst, in order. */
static void remember(struct places *ps, const struct place_victim *v)
{
    uint32_t i = ps->nvictims;

    if (i == PLACE_VICTIMS_MAX) {
        if (!worse(v, &ps->victims[i - 1]))
            return;
        i--;
    } else {
        ps->nvictims++;
    }
    for (; i > 0 && worse(v, &ps->victims[i - 1]); i--)
        ps->victims[i] = ps->victims[i - 1];
    ps->victims[i] = *v;
}

static void forget(void *arg)
{
    struct places *ps = arg;

    ps->looked = false;
    ps->nvictims = ps->at = 0;
}

static void look(struct places *ps, enum place_why why)
{
    uint64_t now = now_of(ps);

    forget(ps);
    for (struct place *p = ps->first; p; p = p->next) {
        uint64_t since = overdue(p, why, now);
        if (since == 0 || (why == PLACE_OCTETS && !p->held) || !ps->p.may_end(p, why))
            continue;
        remember(ps, &(struct place_victim){p, crowd_of(ps, p, why), (p->held + PLACE_COST) * since});
    }
    ps->looked = true;
    ps->looked_for = why;
    defer_set(ps->p.loop, &ps->forget, forget, ps);
    if (ps->nvictims > 0 || now - ps->looked_ms > 2 * TICK_MS)
        ps->dry_ms = now;
    ps->looked_ms = now;
    if (now - ps->dry_ms >= DEAR_MS) {
        ps->price = (uint32_t)smaller(ps->price * 2, PLACE_DEAREST);
        ps->dry_ms = ps->dear_ms = now;
    }
}

bool places_end_one(struct places *ps, enum place_why why, const struct place *spared)
{
    if (!ps->looked || ps->looked_for != why)
        look(ps, why);
    while (ps->at < ps->nvictims) {
        struct place *p = ps->victims[ps->at++].place;
        if (p && p != spared && ps->p.may_end(p, why)) {
            end(ps, p, why);
            return true;
        }
    }
    return false;
}

bool places_shed(struct places *ps)
{
    return places_end_one(ps, PLACE_SHED, NULL);
}

/* ---- standing ---- */

static void good_until(struct place *p, uint64_t ms)
{
    p->good_ms = larger(p->good_ms, ms);
}

/* A step costs who makes it next to nothing: a hundred recipients, one a second, or a message of ten octets. */
void place_step(struct place *p)
{
    uint32_t price = p->in->price;
    uint64_t until = now_of(p->in) + larger(PLACE_STEP_MS / price, STEP_LEAST_MS);

    good_until(p, price == 1 ? until : smaller(until, p->came_ms + PLACE_STEPS_MS / price));
}

void place_anew(struct place *p)
{
    p->came_ms = now_of(p->in);
    place_step(p);
}

void place_content_begin(struct place *p)
{
    if (p->content_ms)
        return;
    p->content_ms = now_of(p->in);
    p->flow_ms = p->content_ms + PLACE_STALL_MS;
    p->calm_ms = p->content_ms + PLACE_CALM_MS;
}

/* Standing that is over is not had again by an octet now and then: what is owed is paid first. */
void place_content(struct place *p, uint64_t octets)
{
    uint64_t now = now_of(p->in);
    uint64_t bought = octets * 1000 / PLACE_LEAST_RATE / p->in->price;

    p->good_ms = larger(p->good_ms, smaller(p->good_ms + bought, now + PLACE_CONTENT_MS));
    p->flow_ms = smaller(p->flow_ms + bought, now + PLACE_STALL_MS);
    p->calm_ms = smaller(p->calm_ms + octets * 1000 / PLACE_CALM_RATE, now + PLACE_CALM_MS);
}

void place_content_end(struct place *p)
{
    p->content_ms = 0;
}

/* ---- coming and going ---- */

static void changed(struct places *ps)
{
    if (ps->p.changed)
        ps->p.changed(ps->p.arg);
}

/* A network that is full of who brings nothing does not shut its neighbours out. */
static bool end_within(struct places *ps, uint32_t network)
{
    uint64_t now = now_of(ps), most = 0;
    struct place *worst = NULL;

    if (network == PEERS_NONE || now - ps->within_ms < WITHIN_MS)
        return false;
    ps->within_ms = now;
    for (struct place *p = ps->first; p; p = p->next) {
        uint64_t since = overdue(p, PLACE_SHED, now);
        if (since > most && peers_within(ps->p.peers, p->peer, network) && ps->p.may_end(p, PLACE_SHED)) {
            most = since;
            worst = p;
        }
    }
    if (worst)
        end(ps, worst, PLACE_SHED);
    return worst != NULL;
}

int places_enter(struct places *ps, const struct sockaddr_storage *ss, uint32_t *ret_peer)
{
    int err = peers_enter(ps->p.peers, ss, false, ret_peer);

    if (err == ERR_LIMIT && end_within(ps, peers_full_network(ps->p.peers, ss)))
        err = peers_enter(ps->p.peers, ss, true, ret_peer);
    if (err != OK) {
        ps->refused++;
        log_event(session_refused);
        return err;
    }
    ps->sessions++;
    places_look_at_stress(ps);
    changed(ps);
    return OK;
}

void places_leave(struct places *ps, uint32_t peer)
{
    peers_leave(ps->p.peers, peer);
    ps->sessions--;
    changed(ps);
}

void place_begin(struct places *ps, struct place *p, uint32_t peer)
{
    *p = (struct place){.in = ps, .next = ps->first, .at = &ps->first, .peer = peer, .came_ms = now_of(ps)};
    p->good_ms = p->came_ms + PLACE_STEP_MS;
    if (p->next)
        p->next->at = &p->next;
    ps->first = p;
    if (!ps->ticking)
        arm(ps);
}

void place_end(struct place *p)
{
    struct places *ps = p->in;

    bug_if(p->held);
    for (uint32_t i = ps->at; i < ps->nvictims; i++)
        if (ps->victims[i].place == p)
            ps->victims[i].place = NULL;
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    places_leave(ps, p->peer);
}

int place_move(struct place *p, const struct sockaddr_storage *ss)
{
    struct peers *peers = p->in->p.peers;
    uint32_t peer;
    int err = peers_enter(peers, ss, false, &peer);

    if (err != OK) {
        p->in->refused++;
        return err;
    }
    bug_if(p->held);
    peers_leave(peers, p->peer);
    p->peer = peer;
    return OK;
}

uint32_t places_sessions(const struct places *ps)
{
    return ps->sessions;
}

bool places_full(const struct places *ps)
{
    return ps->sessions >= ps->limits.sessions;
}

bool places_lendable(const struct places *ps)
{
    return ps->sessions < lent(ps);
}

uint64_t places_ended(const struct places *ps, enum place_why why)
{
    return ps->ended[why];
}

uint64_t places_refused(const struct places *ps)
{
    return ps->refused;
}

/* ---- all of them ---- */

void places_limit(struct places *ps, const struct places_limits *l)
{
    uint32_t n = l->processes ? l->processes : 1;

    ps->limits = *l;
    peers_limit(ps->p.peers, &(struct peers_limits){.sessions = (uint64_t)l->sessions * n,
                                                    .octets = l->octets * n,
                                                    .sessions_peer = l->sessions_peer,
                                                    .octets_peer = l->octets_peer,
                                                    .sessions_always = (l->sessions_peer + n - 1) / n,
                                                    .octets_always = l->octets_always});
    places_look_at_stress(ps);
    changed(ps);
}

struct places *places_create(const struct places_params *p)
{
    struct places *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return NULL;
    ps->p = *p;
    ps->price = 1;
    ps->tick = timer_create_in(p->loop, on_tick, ps);
    if (ps->tick)
        return ps;
    free(ps);
    return NULL;
}

void places_destroy(struct places *ps)
{
    if (!ps)
        return;
    defer_cancel(ps->p.loop, &ps->forget);
    timer_destroy(ps->tick);
    free(ps);
}
