/* A bucket is one moment: when all that it owes will be forgiven. An error puts it off by the time that
 * forgives one (the generic cell rate algorithm of ITU-T I.371). Of what several processes say the latest moment
 * counts, so one can add to what the others say and take nothing away. A moment that no error could have led to is a
 * lie, or left from before a reload, and counts as none. */
#include "server/base/debts.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/core/error.h"

/* A word holds the tag of a peer and its moment in ms. Peers of a set are few: past them whoever owes least is
 * forgotten. The first word of the page is the latest moment of all. */
enum {
    WAYS = 8,
    WORDS = TALLY_DEBTS_WORDS / DEBTS_KINDS,
    SETS = WORDS / WAYS - 1,
    MOMENT_BITS = 40,
    SKEW_MS = 10 * 1000, /* the other process's clock is read once a turn, as ours is */
};
#define MOMENT(word) ((word) & ((UINT64_C(1) << MOMENT_BITS) - 1))

struct debts {
    struct tally *tally;
    size_t from;   /* its words in a page */
    uint64_t *own; /* words; the tally's, or its own */
    uint8_t key[TALLY_KEY_SIZE];
    uint64_t burst_ms, error_ms; /* what a peer may owe, and what an error costs it */
};

/* Of a peer, a network, or an account. */
struct place {
    uint64_t tag;
    uint32_t set;
    uint64_t error_ms;
};

struct debts *debts_create(struct tally *t, enum debts_kind kind)
{
    struct debts *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->tally = t;
    d->from = (size_t)kind * WORDS;
    d->own = t ? tally_words(t) + d->from : calloc(WORDS, sizeof(*d->own));
    if (t)
        memcpy(d->key, tally_key(t), sizeof(d->key));
    else
        crypto_shorthash_keygen(d->key);
    debts_limits(d, 1, 1);
    if (d->own)
        return d;
    free(d);
    return NULL;
}

void debts_destroy(struct debts *d)
{
    if (d && !d->tally)
        free(d->own);
    free(d);
}

void debts_limits(struct debts *d, uint32_t burst, uint32_t minute)
{
    d->error_ms = minute < 60 * 1000 ? 60 * 1000 / minute : 1;
    d->burst_ms = d->error_ms * burst;
}

static uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void write_word(uint64_t *word, uint64_t v)
{
    __atomic_store_n(word, v, __ATOMIC_RELAXED);
}

/* The farthest that a moment can be. */
static uint64_t horizon(const struct debts *d, uint64_t now)
{
    return now + d->burst_ms + DEBTS_WAIT_MS;
}

static uint64_t believed(const struct debts *d, uint64_t word, uint64_t now)
{
    uint64_t moment = MOMENT(word);

    return moment > now && moment <= horizon(d, now) + SKEW_MS ? moment : now;
}

static const uint64_t *page(const struct debts *d, size_t i)
{
    const uint64_t *words;

    if (i == 0)
        return d->own;
    words = d->tally ? tally_words_of(d->tally, i - 1) : NULL;
    return words ? words + d->from : NULL;
}

static bool nobody_owes(const struct debts *d, uint64_t now)
{
    const uint64_t *words;

    for (size_t i = 0; (words = page(d, i)); i++)
        if (believed(d, read_word(words), now) > now)
            return false;
    return true;
}

static struct place place_of(const struct debts *d, size_t len, const unsigned char address[16], uint64_t error_ms)
{
    uint8_t key[17], h[crypto_shorthash_BYTES];
    uint64_t v;

    key[0] = (uint8_t)len;
    memcpy(key + 1, address, 16);
    crypto_shorthash(h, key, sizeof(key), d->key);
    memcpy(&v, h, sizeof(v));
    return (struct place){v >> MOMENT_BITS << MOMENT_BITS, (uint32_t)(v % SETS) + 1, error_ms};
}

static void places_of(const struct debts *d, const struct sockaddr_storage *peer, struct place ret[2])
{
    unsigned char address[16];
    size_t len = addr_peer_key(peer, address);
    uint64_t network_ms = d->error_ms / DEBTS_NETWORK;

    ret[0] = place_of(d, len, address, d->error_ms);
    len = addr_network_key(peer, address);
    ret[1] = place_of(d, len, address, network_ms ? network_ms : 1);
}

/* When all that it owes will be forgiven; now: it owes nothing. */
static uint64_t moment_of(const struct debts *d, const struct place *p, uint64_t now)
{
    uint64_t latest = now;
    const uint64_t *words;

    for (size_t i = 0; (words = page(d, i)); i++)
        for (unsigned k = 0; k < WAYS; k++) {
            uint64_t word = read_word(&words[p->set * WAYS + k]), moment;
            if ((word ^ p->tag) >> MOMENT_BITS == 0 && (moment = believed(d, word, now)) > latest)
                latest = moment;
        }
    return latest;
}

static void set_moment(struct debts *d, const struct place *p, uint64_t moment, uint64_t now)
{
    uint64_t *set = &d->own[p->set * WAYS], *at = set;

    for (unsigned k = 0; k < WAYS; k++) {
        if ((set[k] ^ p->tag) >> MOMENT_BITS == 0) {
            at = &set[k];
            break;
        }
        if (believed(d, set[k], now) < believed(d, *at, now))
            at = &set[k];
    }
    write_word(at, p->tag | moment);
    if (moment > believed(d, d->own[0], now))
        write_word(&d->own[0], moment);
}

/* How long to wait for the place until an error more is within the burst. */
static uint64_t wait_at(const struct debts *d, const struct place *p, uint64_t now)
{
    uint64_t owed = moment_of(d, p, now) - now + p->error_ms;

    return owed > d->burst_ms ? owed - d->burst_ms : 0;
}

static uint64_t wait_of(const struct debts *d, const struct place p[2], uint64_t now)
{
    uint64_t peer = wait_at(d, &p[0], now), network = wait_at(d, &p[1], now);

    return peer > network ? peer : network;
}

static void charge(struct debts *d, const struct place *p, int n, uint64_t now)
{
    for (int i = 0; i < n; i++) {
        uint64_t moment = moment_of(d, &p[i], now) + p[i].error_ms, most = horizon(d, now);
        set_moment(d, &p[i], moment < most ? moment : most, now);
    }
}

int debts_ask(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait)
{
    struct place p[2];
    uint64_t wait;

    if (nobody_owes(d, now_ms)) {
        *ret_wait = 0;
        return OK;
    }
    places_of(d, peer, p);
    wait = wait_of(d, p, now_ms);
    if (wait > DEBTS_WAIT_MS)
        return ERR_LIMIT;
    if (wait)
        charge(d, p, 2, now_ms);
    *ret_wait = wait;
    return OK;
}

/* In its own page alone: what the others have seen meanwhile stays, and is forgiven with time. */
void debts_forgive(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms)
{
    struct place p[2];

    places_of(d, peer, p);
    for (int i = 0; i < 2; i++) {
        uint64_t moment = moment_of(d, &p[i], now_ms);
        set_moment(d, &p[i], moment - now_ms > p[i].error_ms ? moment - p[i].error_ms : now_ms, now_ms);
    }
}

int debts_add(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait)
{
    struct place p[2];
    uint64_t wait;

    places_of(d, peer, p);
    wait = wait_of(d, p, now_ms);
    charge(d, p, 2, now_ms);
    if (wait > DEBTS_WAIT_MS)
        return ERR_LIMIT;
    *ret_wait = wait;
    return OK;
}

void debts_take(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait)
{
    struct place p[2];
    uint64_t wait;

    places_of(d, peer, p);
    wait = wait_of(d, p, now_ms);
    if (!wait)
        charge(d, p, 2, now_ms);
    *ret_wait = wait;
}

int debts_pace(struct debts *d, uint64_t account, uint8_t what, uint64_t now_ms, uint64_t *ret_wait)
{
    unsigned char key[16] = {what};
    uint64_t wait;

    memcpy(key + 1, &account, sizeof(account));
    const struct place p = place_of(d, sizeof(account) + 1, key, d->error_ms);
    wait = wait_at(d, &p, now_ms);
    if (wait > DEBTS_WAIT_MS)
        return ERR_LIMIT;
    charge(d, &p, 1, now_ms);
    *ret_wait = wait;
    return OK;
}
