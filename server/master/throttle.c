/* The table is cut into sets; a key's set is chosen by a keyed hash, so that nobody chooses collisions. */
#include "server/master/throttle.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SET = 8,
    HALF_LIFE_MS = 60 * 1000,
    FAILURE = 1024, /* the weight of one failed login, in fixed point so that it can be halved */
    PEER_FREE = 2,  /* failures before a peer waits: a typing mistake costs nothing */
    NETWORK_FREE = 16,
    DELAY_FIRST_MS = 500,
    DELAY_MAX_MS = 30 * 1000,
    FAILURES_MAX = 64, /* counted no further: a long attack is forgotten in minutes, too */
    BUSY_MS = 10,      /* others of the peer are being tried, which takes less */
};

struct entry {
    uint8_t key[LOGIN_KEY_SIZE];
    uint32_t failures; /* times FAILURE; tries in hand among them */
    uint32_t in_hand;
    uint64_t failed_ms; /* when failures was last brought up to date */
};

struct forgiven {
    uint8_t exchange[LOGIN_EXCHANGE_SIZE];
    uint64_t until_ms; /* 0: none */
};

struct throttle {
    size_t sets;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    struct forgiven forgiven[THROTTLE_FORGIVEN_MAX]; /* a ring */
    size_t forgiven_next;                            /* the oldest */
    struct entry entries[];
};

struct throttle *throttle_create(size_t entries)
{
    struct throttle *t;

    if (entries < SET || (entries & (entries - 1)) != 0 || entries > 1 << 24)
        return NULL;
    t = calloc(1, sizeof(*t) + entries * sizeof(t->entries[0]));
    if (!t)
        return NULL;
    t->sets = entries / SET;
    crypto_shorthash_keygen(t->hash_key);
    return t;
}

void throttle_destroy(struct throttle *t)
{
    free(t);
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

static struct entry *set_of(struct throttle *t, const uint8_t key[LOGIN_KEY_SIZE])
{
    uint8_t h[crypto_shorthash_BYTES];
    uint64_t v;

    crypto_shorthash(h, key, LOGIN_KEY_SIZE, t->hash_key);
    memcpy(&v, h, sizeof(v));
    return &t->entries[v % t->sets * SET];
}

static struct entry *find(struct throttle *t, const uint8_t key[LOGIN_KEY_SIZE])
{
    struct entry *set = set_of(t, key);

    for (int i = 0; i < SET; i++)
        if (memcmp(set[i].key, key, LOGIN_KEY_SIZE) == 0)
            return &set[i];
    return NULL;
}

static struct entry *make(struct throttle *t, const uint8_t key[LOGIN_KEY_SIZE], uint64_t now_ms)
{
    struct entry *set = set_of(t, key), *least = set;

    for (int i = 1; i < SET; i++)
        if (failures_now(&set[i], now_ms) < failures_now(least, now_ms))
            least = &set[i];
    *least = (struct entry){.failed_ms = now_ms};
    memcpy(least->key, key, LOGIN_KEY_SIZE);
    return least;
}

static void count(struct throttle *t, const uint8_t key[LOGIN_KEY_SIZE], uint64_t now_ms)
{
    struct entry *e = find(t, key);

    if (!e)
        e = make(t, key, now_ms);
    e->failures = failures_now(e, now_ms) + FAILURE;
    if (e->failures > FAILURES_MAX * FAILURE)
        e->failures = FAILURES_MAX * FAILURE;
    e->failed_ms = now_ms;
    e->in_hand++;
}

static void take_back(struct entry *e, uint64_t now_ms)
{
    e->failures = failures_now(e, now_ms);
    e->failures -= e->failures < FAILURE ? e->failures : FAILURE;
    e->failed_ms = now_ms;
}

/* Its place may have been taken meanwhile. */
static void settle(struct throttle *t, const uint8_t key[LOGIN_KEY_SIZE], bool failed, uint64_t now_ms)
{
    struct entry *e = find(t, key);

    if (!e || !e->in_hand)
        return;
    e->in_hand--;
    if (!failed)
        take_back(e, now_ms);
}

static uint64_t delay(const struct entry *e, bool with_in_hand, uint32_t forgiven, uint64_t now_ms)
{
    uint32_t n = e ? (failures_now(e, now_ms) + FAILURE / 2) / FAILURE : 0;
    uint64_t ms = DELAY_FIRST_MS;

    if (e && !with_in_hand)
        n -= n < e->in_hand ? n : e->in_hand;
    if (n <= forgiven)
        return 0;
    for (n -= forgiven + 1; n > 0 && ms < DELAY_MAX_MS; n--)
        ms *= 2;
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

uint64_t throttle_ask(struct throttle *t, const struct throttle_key *k, uint64_t waited_ms, uint64_t now_ms)
{
    const struct entry *peer = find(t, k->peer), *network = find(t, k->network);

    for (int with_in_hand = 0; with_in_hand <= 1; with_in_hand++) {
        uint64_t a = delay(peer, with_in_hand, PEER_FREE, now_ms);
        uint64_t b = delay(network, with_in_hand, NETWORK_FREE, now_ms), ms = a > b ? a : b;
        if (ms > waited_ms)
            return with_in_hand ? BUSY_MS : ms - waited_ms;
    }
    count(t, k->peer, now_ms);
    count(t, k->network, now_ms);
    return 0;
}

void throttle_done(struct throttle *t, const struct throttle_key *k, bool failed, uint64_t now_ms)
{
    settle(t, k->peer, failed, now_ms);
    settle(t, k->network, failed, now_ms);
}

/* Whether it is the first time, which is noted. */
static bool forgive_once(struct throttle *t, const uint8_t exchange[LOGIN_EXCHANGE_SIZE], uint64_t now_ms)
{
    struct forgiven *oldest = &t->forgiven[t->forgiven_next];

    if (oldest->until_ms > now_ms)
        return false; /* there is no place to note it */
    for (size_t i = 0; i < THROTTLE_FORGIVEN_MAX; i++)
        if (t->forgiven[i].until_ms > now_ms && memcmp(t->forgiven[i].exchange, exchange, LOGIN_EXCHANGE_SIZE) == 0)
            return false;
    memcpy(oldest->exchange, exchange, LOGIN_EXCHANGE_SIZE);
    oldest->until_ms = now_ms + THROTTLE_FORGIVEN_MS;
    t->forgiven_next = (t->forgiven_next + 1) % THROTTLE_FORGIVEN_MAX;
    return true;
}

void throttle_forgive(struct throttle *t, const struct throttle_key *k, const uint8_t exchange[LOGIN_EXCHANGE_SIZE],
                      uint64_t now_ms)
{
    struct entry *peer = find(t, k->peer), *network = find(t, k->network);

    if (!forgive_once(t, exchange, now_ms))
        return;
    if (peer)
        take_back(peer, now_ms);
    if (network)
        take_back(network, now_ms);
}
