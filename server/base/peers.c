/* A hash table of fixed size: entries stand in one array, chained by index; one that holds no session and no octets is
 * free. An entry knows that of the network around it, which holds all that it holds, so a session needs no second look
 * in the table. The hash is keyed, so that nobody chooses collisions. */
#include "server/base/peers.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/core/bug.h"

#define NONE PEERS_NONE

/* From the peer to its widest network: how many octets of an address say which it is (0: there is none), and how many
 * times a peer's limits are its own. A /56 is what one customer has (RFC 6177), a /48 a site or a hoster's many. */
static const struct level {
    uint8_t v4, v6, times;
} levels[] = {{4, 8, 1}, {0, 7, 2}, {3, 6, 8}};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]), WIDEST = LEVELS - 1 };

enum { KEY_SIZE = 17 }; /* how many octets count, then an address's */

struct entry {
    uint8_t key[KEY_SIZE];
    uint8_t level;
    uint32_t sessions;
    uint64_t octets;
    uint32_t slot;  /* of the tally */
    uint32_t up;    /* the network around it, or NONE */
    uint32_t chain; /* the next in its bucket, or in the list of free ones, plus 1; 0: none */
};

struct limit {
    uint64_t sessions, octets, sessions_always, octets_always;
};

struct peers {
    uint32_t cap, used, free, buckets, networks; /* free: as chain */
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    struct entry *entries;
    uint32_t *heads;     /* as chain */
    struct tally *tally; /* or NULL */
    struct limit limits[LEVELS];
};

struct peers *peers_create(size_t entries_max)
{
    struct peers *p;
    uint32_t buckets = 16;

    if (entries_max < 2 || entries_max > UINT32_MAX / 4)
        return NULL;
    while (buckets < entries_max)
        buckets *= 2;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->cap = (uint32_t)entries_max;
    p->buckets = buckets;
    p->entries = calloc(entries_max, sizeof(*p->entries));
    p->heads = calloc(buckets, sizeof(*p->heads));
    if (!p->entries || !p->heads) {
        peers_destroy(p);
        return NULL;
    }
    crypto_shorthash_keygen(p->hash_key);
    return p;
}

void peers_destroy(struct peers *p)
{
    if (!p)
        return;
    free(p->entries);
    free(p->heads);
    free(p);
}

void peers_share(struct peers *p, struct tally *t)
{
    p->tally = t;
}

/* times * one, between two of one and half of all. */
static uint64_t limit_of(uint64_t one, uint64_t all, unsigned times)
{
    uint64_t most = all / 2 > 2 * one ? all / 2 : 2 * one;

    return times == 1 || times * one < most ? times * one : most;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void peers_limit(struct peers *p, const struct peers_limits *l)
{
    for (int i = 0; i < LEVELS; i++) {
        unsigned times = levels[i].times;
        uint64_t sessions = limit_of(l->sessions_peer, l->sessions, times);
        uint64_t octets = limit_of(l->octets_peer, l->octets, times);
        p->limits[i] = (struct limit){sessions, octets, least(sessions, times * l->sessions_always),
                                      least(octets, times * l->octets_always)};
    }
}

/* ---- entries ---- */

static uint32_t *bucket(struct peers *p, const uint8_t key[KEY_SIZE])
{
    uint8_t h[crypto_shorthash_BYTES];
    uint32_t v;

    crypto_shorthash(h, key, KEY_SIZE, p->hash_key);
    memcpy(&v, h, sizeof(v));
    return &p->heads[v & (p->buckets - 1)];
}

/* Finds or makes. NONE: every entry is in use. */
static uint32_t entry_get(struct peers *p, const uint8_t key[KEY_SIZE], uint8_t level, uint32_t up)
{
    uint32_t *head = bucket(p, key), i;
    struct entry *e;

    for (i = *head; i; i = p->entries[i - 1].chain)
        if (memcmp(p->entries[i - 1].key, key, KEY_SIZE) == 0)
            return i - 1;
    if (p->free) {
        i = p->free;
        p->free = p->entries[i - 1].chain;
    } else if (p->used < p->cap) {
        i = ++p->used;
    } else {
        return NONE;
    }
    e = &p->entries[i - 1];
    *e = (struct entry){.level = level, .up = up, .chain = *head};
    memcpy(e->key, key, KEY_SIZE);
    if (p->tally)
        e->slot = tally_slot(p->tally, key, KEY_SIZE);
    p->networks += level == WIDEST;
    *head = i;
    return i - 1;
}

static void entry_free(struct peers *p, uint32_t index)
{
    struct entry *e = &p->entries[index];
    uint32_t *at = bucket(p, e->key);

    while (*at != index + 1)
        at = &p->entries[*at - 1].chain;
    *at = e->chain;
    e->chain = p->free;
    p->free = index + 1;
    p->networks -= e->level == WIDEST;
}

/* Changes the counts of a peer and the networks around it, and frees what holds nothing any more. */
static void count(struct peers *p, uint32_t peer, int32_t sessions, int64_t octets)
{
    for (uint32_t i = peer, up; i != NONE; i = up) {
        struct entry *e = &p->entries[i];
        up = e->up;
        bug_if(e->sessions + (uint32_t)sessions > INT32_MAX || e->octets + (uint64_t)octets > INT64_MAX);
        e->sessions += (uint32_t)sessions;
        e->octets += (uint64_t)octets;
        if (p->tally && (sessions || octets))
            tally_add(p->tally, e->slot, sessions, octets);
        if (!e->sessions && !e->octets)
            entry_free(p, i);
    }
}

/* The address's entry, with those around it. NONE: no room. */
static uint32_t peer_get(struct peers *p, const struct sockaddr_storage *ss)
{
    uint8_t address[16];
    size_t len = addr_bytes(ss, address);
    uint32_t up = NONE;

    for (int i = WIDEST; i >= 0; i--) {
        uint8_t key[KEY_SIZE] = {len == 4 ? levels[i].v4 : len == 16 ? levels[i].v6 : 0};
        uint32_t at;
        if (len != 16 && !levels[i].v4)
            continue;
        memcpy(key + 1, address, key[0]);
        key[0] = (uint8_t)(key[0] + (len == 16 ? 16 : 0));
        at = entry_get(p, key, (uint8_t)i, up);
        if (at == NONE) {
            if (up != NONE)
                count(p, up, 0, 0);
            return NONE;
        }
        up = at;
    }
    return up;
}

/* ---- counting ---- */

/* The entry, from the peer to its widest network, that has no room for a session. NONE: each has. */
static uint32_t full_at(const struct peers *p, uint32_t peer, bool lend)
{
    for (uint32_t i = peer; i != NONE; i = p->entries[i].up) {
        const struct entry *e = &p->entries[i];
        const struct limit *l = &p->limits[e->level];
        uint64_t others = p->tally ? tally_sessions(p->tally, e->slot, l->sessions) : 0;
        uint64_t here = tally_left(l->sessions, others, l->sessions_always);
        if (e->sessions >= (lend && e->level > 0 ? here + here / 8 + 1 : here))
            return i;
    }
    return NONE;
}

int peers_enter(struct peers *p, const struct sockaddr_storage *ss, bool lend, uint32_t *ret_peer)
{
    uint32_t peer = peer_get(p, ss);
    bool room;

    if (peer == NONE)
        return ERR_FULL;
    room = full_at(p, peer, lend) == NONE;
    count(p, peer, room, 0);
    if (!room)
        return ERR_LIMIT;
    *ret_peer = peer;
    return OK;
}

uint32_t peers_full_network(struct peers *p, const struct sockaddr_storage *ss)
{
    uint32_t peer = peer_get(p, ss), full = peer == NONE ? NONE : full_at(p, peer, false);

    if (full != NONE && p->entries[full].level == 0)
        full = NONE;
    if (peer != NONE)
        count(p, peer, 0, 0);
    return full;
}

bool peers_within(const struct peers *p, uint32_t peer, uint32_t network)
{
    while (peer != NONE && peer != network)
        peer = p->entries[peer].up;
    return peer == network;
}

void peers_leave(struct peers *p, uint32_t peer)
{
    count(p, peer, -1, 0);
}

bool peers_room(const struct peers *p, uint32_t peer, uint64_t octets)
{
    for (uint32_t i = peer; i != NONE; i = p->entries[i].up) {
        const struct entry *e = &p->entries[i];
        const struct limit *l = &p->limits[e->level];
        uint64_t others = p->tally ? tally_bytes(p->tally, e->slot, l->octets) : 0;
        uint64_t here = tally_left(l->octets, others, l->octets_always);
        if (e->octets > here || octets > here - e->octets)
            return false;
    }
    return true;
}

void peers_take(struct peers *p, uint32_t peer, uint64_t octets)
{
    count(p, peer, 0, (int64_t)octets);
}

void peers_give(struct peers *p, uint32_t peer, uint64_t octets)
{
    count(p, peer, 0, -(int64_t)octets);
}

/* ---- crowds ---- */

static uint64_t crowd(const struct peers *p, uint32_t peer, uint64_t share, bool octets)
{
    uint64_t most = 0;

    for (uint32_t i = peer; i != NONE; i = p->entries[i].up) {
        const struct entry *e = &p->entries[i];
        uint64_t part = e->level == WIDEST ? share : share / 4;
        uint64_t figure = (octets ? e->octets : e->sessions) * 1000 / (part ? part : 1);
        most = figure > most ? figure : most;
    }
    return most;
}

uint64_t peers_crowd(const struct peers *p, uint32_t peer, uint64_t share)
{
    return crowd(p, peer, share, false);
}

uint64_t peers_crowd_octets(const struct peers *p, uint32_t peer, uint64_t share)
{
    return crowd(p, peer, share, true);
}

uint64_t peers_network_octets(const struct peers *p, uint32_t peer)
{
    while (p->entries[peer].up != NONE)
        peer = p->entries[peer].up;
    return p->entries[peer].octets;
}

uint32_t peers_networks(const struct peers *p)
{
    return p->networks;
}
