/* A hash table of fixed size: entries stand in one array, chained by index. Those that hold no session and no bytes
 * stand in a list, oldest first, from which a new one takes its place. The hash is keyed, so that nobody chooses
 * collisions. */
#include "server/base/peers.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/core/log.h"

enum {
    HALF_LIFE_MS = 60 * 1000,
    FAILURE = 1024, /* the weight of one failed login, in fixed point so that it can be halved */
    PEER_FREE = 2,  /* failures before a peer waits: a typing mistake costs nothing */
    NETWORK_FREE = 16,
    DELAY_FIRST_MS = 500,
    DELAY_MAX_MS = 30 * 1000,
    FAILURES_MAX = 64, /* counted no further: a long attack is forgotten in minutes, too */
};
#define NONE UINT32_MAX

struct entry {
    uint8_t key[17]; /* kind and length, then the address part */
    uint32_t sessions;
    uint32_t failures; /* times FAILURE */
    uint64_t bytes;
    uint64_t failed_ms; /* when failures was last brought up to date */
    uint32_t chain;
    uint32_t older, newer; /* in the list of idle ones */
};

struct peers {
    uint32_t cap, used, buckets;
    uint32_t oldest, newest;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    struct entry *entries;
    uint32_t *heads;
};

enum kind { PEER = 0, NETWORK = 0x80 };

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
    p->oldest = p->newest = NONE;
    p->entries = calloc(entries_max, sizeof(*p->entries));
    p->heads = malloc(buckets * sizeof(*p->heads));
    if (!p->entries || !p->heads) {
        peers_destroy(p);
        return NULL;
    }
    memset(p->heads, 0xff, buckets * sizeof(*p->heads));
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

static void key_of(const struct sockaddr_storage *ss, enum kind kind, uint8_t out[17])
{
    size_t n;

    memset(out, 0, 17);
    n = kind == PEER ? addr_peer_key(ss, out + 1) : addr_network_key(ss, out + 1);
    out[0] = (uint8_t)(kind | n);
}

static uint32_t *bucket(struct peers *p, const uint8_t key[17])
{
    uint8_t h[crypto_shorthash_BYTES];
    uint32_t v;

    crypto_shorthash(h, key, 17, p->hash_key);
    memcpy(&v, h, sizeof(v));
    return &p->heads[v & (p->buckets - 1)];
}

static bool idle(const struct entry *e)
{
    return e->sessions == 0 && e->bytes == 0;
}

static void idle_remove(struct peers *p, uint32_t i)
{
    struct entry *e = &p->entries[i];

    if (e->older != NONE)
        p->entries[e->older].newer = e->newer;
    else
        p->oldest = e->newer;
    if (e->newer != NONE)
        p->entries[e->newer].older = e->older;
    else
        p->newest = e->older;
}

static void idle_add(struct peers *p, uint32_t i)
{
    struct entry *e = &p->entries[i];

    e->newer = NONE;
    e->older = p->newest;
    if (p->newest != NONE)
        p->entries[p->newest].newer = i;
    else
        p->oldest = i;
    p->newest = i;
}

static void chain_remove(struct peers *p, uint32_t i)
{
    uint32_t *at = bucket(p, p->entries[i].key);

    while (*at != i)
        at = &p->entries[*at].chain;
    *at = p->entries[i].chain;
}

static struct entry *find(struct peers *p, const struct sockaddr_storage *ss, enum kind kind)
{
    uint8_t key[17];

    key_of(ss, kind, key);
    for (uint32_t i = *bucket(p, key); i != NONE; i = p->entries[i].chain)
        if (memcmp(p->entries[i].key, key, sizeof(key)) == 0)
            return &p->entries[i];
    return NULL;
}

/* Finds or makes; the entry counts as idle and as the newest of those. NULL when every entry is in use. */
static struct entry *entry_get(struct peers *p, const struct sockaddr_storage *ss, enum kind kind)
{
    struct entry *e = find(p, ss, kind);
    uint32_t i, *head;

    if (e) {
        i = (uint32_t)(e - p->entries);
        if (idle(e)) {
            idle_remove(p, i);
            idle_add(p, i);
        }
        return e;
    }
    if (p->used < p->cap) {
        i = p->used++;
    } else if (p->oldest != NONE) {
        i = p->oldest;
        idle_remove(p, i);
        chain_remove(p, i);
    } else {
        return NULL;
    }
    e = &p->entries[i];
    memset(e, 0, sizeof(*e));
    key_of(ss, kind, e->key);
    head = bucket(p, e->key);
    e->chain = *head;
    *head = i;
    idle_add(p, i);
    return e;
}

/* Changes the counts and keeps the list of idle ones right. */
static void count(struct peers *p, struct entry *e, int32_t sessions, int64_t bytes)
{
    bool was = idle(e);

    e->sessions += (uint32_t)sessions;
    e->bytes += (uint64_t)bytes;
    if (was && !idle(e))
        idle_remove(p, (uint32_t)(e - p->entries));
    else if (!was && idle(e))
        idle_add(p, (uint32_t)(e - p->entries));
}

int peers_enter(struct peers *p, const struct sockaddr_storage *ss, uint32_t max)
{
    struct entry *e = entry_get(p, ss, PEER);

    if (!e)
        return ERR_FULL;
    if (e->sessions >= max)
        return ERR_LIMIT;
    count(p, e, 1, 0);
    return OK;
}

void peers_leave(struct peers *p, const struct sockaddr_storage *ss)
{
    struct entry *e = find(p, ss, PEER);

    bug_if(!e || e->sessions == 0);
    count(p, e, -1, 0);
}

int peers_take(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes, uint64_t max)
{
    struct entry *e;

    if (bytes == 0)
        return OK;
    e = entry_get(p, ss, PEER);
    if (!e)
        return ERR_FULL;
    if (bytes > INT64_MAX || e->bytes > max || bytes > max - e->bytes)
        return ERR_LIMIT;
    count(p, e, 0, (int64_t)bytes);
    return OK;
}

void peers_give(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes)
{
    struct entry *e;

    if (bytes == 0)
        return;
    e = find(p, ss, PEER);
    bug_if(!e || e->bytes < bytes);
    count(p, e, 0, -(int64_t)bytes);
}

/* Halves for every HALF_LIFE_MS that went by, evenly between: a straight line between two halvings is near enough. */
static uint32_t failures_now(const struct entry *e, uint64_t now_ms)
{
    uint64_t gone = now_ms > e->failed_ms ? now_ms - e->failed_ms : 0, halvings = gone / HALF_LIFE_MS, v;

    if (halvings >= 32)
        return 0;
    v = e->failures >> halvings;
    return (uint32_t)(v - v * (gone % HALF_LIFE_MS) / (2 * HALF_LIFE_MS));
}

static void failed(struct peers *p, const struct sockaddr_storage *ss, enum kind kind, uint64_t now_ms)
{
    struct entry *e = entry_get(p, ss, kind);

    if (!e)
        return;
    e->failures = failures_now(e, now_ms) + FAILURE;
    if (e->failures > FAILURES_MAX * FAILURE)
        e->failures = FAILURES_MAX * FAILURE;
    e->failed_ms = now_ms;
}

void peers_login_failed(struct peers *p, const struct sockaddr_storage *ss, uint64_t now_ms)
{
    failed(p, ss, PEER, now_ms);
    failed(p, ss, NETWORK, now_ms);
}

static uint64_t delay(const struct entry *e, uint32_t forgiven, uint64_t now_ms)
{
    uint32_t n = e ? (failures_now(e, now_ms) + FAILURE / 2) / FAILURE : 0;
    uint64_t ms = DELAY_FIRST_MS;

    if (n <= forgiven)
        return 0;
    for (n -= forgiven + 1; n > 0 && ms < DELAY_MAX_MS; n--)
        ms *= 2;
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

uint64_t peers_login_delay(struct peers *p, const struct sockaddr_storage *ss, uint64_t now_ms)
{
    uint64_t peer = delay(find(p, ss, PEER), PEER_FREE, now_ms);
    uint64_t network = delay(find(p, ss, NETWORK), NETWORK_FREE, now_ms);

    return peer > network ? peer : network;
}
