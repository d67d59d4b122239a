/* A hash table of fixed size: entries stand in one array, chained by index; one that holds no session and no bytes is
 * free. The hash is keyed, so that nobody chooses collisions. */
#include "server/base/peers.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/core/bug.h"

#define NONE UINT32_MAX

struct entry {
    uint8_t key[17]; /* length, then the address part */
    uint32_t sessions;
    uint64_t bytes;
    uint32_t slot;  /* of the tally */
    uint32_t chain; /* the next in its bucket, or in the list of free ones */
};

struct peers {
    uint32_t cap, used, free, buckets;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    struct entry *entries;
    uint32_t *heads;
    struct tally *tally; /* or NULL */
    uint32_t always_sessions;
    uint64_t always_bytes;
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
    p->free = NONE;
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

static void key_of(const struct sockaddr_storage *ss, uint8_t out[17])
{
    out[0] = (uint8_t)addr_peer_key(ss, out + 1);
}

static uint32_t *bucket(struct peers *p, const uint8_t key[17])
{
    uint8_t h[crypto_shorthash_BYTES];
    uint32_t v;

    crypto_shorthash(h, key, 17, p->hash_key);
    memcpy(&v, h, sizeof(v));
    return &p->heads[v & (p->buckets - 1)];
}

static struct entry *find(struct peers *p, const uint8_t key[17])
{
    for (uint32_t i = *bucket(p, key); i != NONE; i = p->entries[i].chain)
        if (memcmp(p->entries[i].key, key, 17) == 0)
            return &p->entries[i];
    return NULL;
}

static struct entry *entry_of(struct peers *p, const struct sockaddr_storage *ss)
{
    uint8_t key[17];

    key_of(ss, key);
    return find(p, key);
}

/* Finds or makes; count follows. NULL when every entry is in use. */
static struct entry *entry_get(struct peers *p, const struct sockaddr_storage *ss)
{
    uint8_t key[17];
    struct entry *e;
    uint32_t i, *head;

    key_of(ss, key);
    e = find(p, key);
    if (e)
        return e;
    if (p->free != NONE) {
        i = p->free;
        p->free = p->entries[i].chain;
    } else if (p->used < p->cap) {
        i = p->used++;
    } else {
        return NULL;
    }
    e = &p->entries[i];
    head = bucket(p, key);
    *e = (struct entry){.chain = *head};
    memcpy(e->key, key, sizeof(key));
    if (p->tally)
        e->slot = tally_slot(p->tally, key, sizeof(key));
    *head = i;
    return e;
}

/* Changes the counts, and frees an entry that holds nothing any more. */
static void count(struct peers *p, struct entry *e, int32_t sessions, int64_t bytes)
{
    const uint32_t i = (uint32_t)(e - p->entries);
    uint32_t *at = bucket(p, e->key);

    e->sessions += (uint32_t)sessions;
    e->bytes += (uint64_t)bytes;
    if (p->tally && (sessions || bytes))
        tally_add(p->tally, e->slot, sessions, bytes);
    if (e->sessions || e->bytes)
        return;
    while (*at != i)
        at = &p->entries[*at].chain;
    *at = e->chain;
    e->chain = p->free;
    p->free = i;
}

/* What the others leave of max, or what a peer may always have. */
static uint64_t left(uint64_t max, uint64_t others, uint64_t always)
{
    uint64_t rest = max - others;

    if (always > max)
        always = max;
    return rest > always ? rest : always;
}

void peers_share(struct peers *p, struct tally *t)
{
    p->tally = t;
}

void peers_always(struct peers *p, uint32_t sessions, uint64_t bytes)
{
    p->always_sessions = sessions;
    p->always_bytes = bytes;
}

int peers_enter(struct peers *p, const struct sockaddr_storage *ss, uint32_t max)
{
    struct entry *e = entry_get(p, ss);
    uint64_t here = max;
    bool room;

    if (!e)
        return ERR_FULL;
    if (p->tally)
        here = left(max, tally_sessions(p->tally, e->slot, max), p->always_sessions);
    room = e->sessions < here;
    count(p, e, room, 0);
    return room ? OK : ERR_LIMIT;
}

void peers_leave(struct peers *p, const struct sockaddr_storage *ss)
{
    struct entry *e = entry_of(p, ss);

    bug_if(!e || e->sessions == 0);
    count(p, e, -1, 0);
}

int peers_take(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes, uint64_t max)
{
    struct entry *e;
    uint64_t here = max;
    bool room;

    if (bytes == 0)
        return OK;
    e = entry_get(p, ss);
    if (!e)
        return ERR_FULL;
    if (p->tally)
        here = left(max, tally_bytes(p->tally, e->slot, max), p->always_bytes);
    room = bytes <= INT64_MAX && e->bytes <= here && bytes <= here - e->bytes;
    count(p, e, 0, room ? (int64_t)bytes : 0);
    return room ? OK : ERR_LIMIT;
}

void peers_give(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes)
{
    struct entry *e;

    if (bytes == 0)
        return;
    e = entry_of(p, ss);
    bug_if(!e || e->bytes < bytes);
    count(p, e, 0, -(int64_t)bytes);
}
