/* A word is the tag of a try, or of an origin, and a moment in seconds: the first time that it came, or the last time
 * that it passed. What a process writes in its own page is its word alone: one that lies lets mail through, and puts
 * none off. */
#include "server/ingest/mx/greylist.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/conn.h"
#include "server/mailauth/records.h"
#include "server/proto/smtp.h"

enum {
    WAYS = 8,
    TRY_SETS = TALLY_GREYLIST_WORDS / WAYS / 4 * 3,
    PASSED_SETS = TALLY_GREYLIST_WORDS / WAYS - TRY_SETS,
    SKEW = 10,       /* the other process's clock is read once a turn, as ours is */
    A_DOMAIN = 0xff, /* and no network's length */
    ORIGIN_MAX = 1 + RECORDS_NAME_CAP,
    KEY_MAX = ORIGIN_MAX + 2 * SMTP_PATH_MAX,
};

struct greylist {
    struct tally *tally;
    uint64_t *own; /* words; the tally's, or its own */
    uint8_t key[TALLY_KEY_SIZE];
    uint32_t wait, keep;
};

struct place {
    uint32_t tag;
    size_t at; /* of its set's first word, in any page */
};

struct greylist *greylist_create(struct tally *t)
{
    struct greylist *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->tally = t;
    g->own = t ? tally_words(t) + TALLY_DEBTS_WORDS : calloc(TALLY_GREYLIST_WORDS, sizeof(*g->own));
    if (t)
        memcpy(g->key, tally_key(t), sizeof(g->key));
    else
        crypto_shorthash_keygen(g->key);
    if (g->own)
        return g;
    free(g);
    return NULL;
}

void greylist_destroy(struct greylist *g)
{
    if (g && !g->tally)
        free(g->own);
    free(g);
}

void greylist_limits(struct greylist *g, uint32_t wait, uint32_t keep)
{
    g->wait = wait < GREYLIST_WAIT_MAX ? wait : GREYLIST_WAIT_MAX;
    g->keep = keep;
}

/* ---- words ---- */

static uint32_t tag_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint32_t moment_of(uint64_t word)
{
    return (uint32_t)word;
}

static uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void write_word(uint64_t *word, const struct place *p, uint32_t moment)
{
    __atomic_store_n(word, (uint64_t)p->tag << 32 | moment, __ATOMIC_RELAXED);
}

static const uint64_t *page(const struct greylist *g, size_t i)
{
    const uint64_t *words;

    if (i == 0)
        return g->own;
    words = g->tally ? tally_words_of(g->tally, i - 1) : NULL;
    return words ? words + TALLY_DEBTS_WORDS : NULL;
}

static uint32_t seconds(uint64_t now_ms)
{
    return (uint32_t)(now_ms / 1000) + 1; /* 0 is no moment */
}

/* How long ago, or more than max: it does not count. */
static uint32_t age_of(uint64_t word, uint32_t now, uint32_t max)
{
    const uint32_t moment = moment_of(word);

    if (moment == 0 || moment > now + SKEW)
        return max + 1;
    if (moment >= now)
        return 0;
    return now - moment <= max ? now - moment : max + 1;
}

/* ---- places ---- */

static size_t put_origin(uint8_t key[ORIGIN_MAX], const struct greylist_origin *from)
{
    const size_t len = strnlen(from->domain, ORIGIN_MAX - 2);

    if (!len) {
        key[0] = (uint8_t)addr_network_key(from->peer, key + 1);
        return 1 + 16;
    }
    key[0] = A_DOMAIN;
    memcpy(key + 1, from->domain, len);
    key[1 + len] = '\0'; /* stands in no name */
    return len + 2;
}

static struct place place_of(const struct greylist *g, const uint8_t *key, size_t len, size_t from, size_t sets)
{
    uint8_t h[crypto_shorthash_BYTES];
    uint64_t v;

    crypto_shorthash(h, key, len, g->key);
    memcpy(&v, h, sizeof(v));
    return (struct place){tag_of(v), (from + (size_t)(moment_of(v) % sets)) * WAYS};
}

static struct place origin_of(const struct greylist *g, const struct greylist_origin *from)
{
    uint8_t key[ORIGIN_MAX];

    return place_of(g, key, put_origin(key, from), TRY_SETS, PASSED_SETS);
}

static struct place try_of(const struct greylist *g, const struct greylist_origin *from, const char *sender,
                           const char *recipient)
{
    uint8_t key[KEY_MAX];
    size_t n = put_origin(key, from), len = strnlen(sender, SMTP_PATH_MAX - 1);

    memcpy(key + n, sender, len);
    n += len;
    key[n++] = '\0'; /* stands in neither */
    len = strnlen(recipient, SMTP_PATH_MAX);
    memcpy(key + n, recipient, len);
    return place_of(g, key, n + len, 0, TRY_SETS);
}

/* The oldest of all pages, of those that count; false: there is none. */
static bool find(const struct greylist *g, const struct place *p, uint32_t now, uint32_t max, uint32_t *ret_age)
{
    const uint64_t *words;
    bool found = false;

    *ret_age = 0;
    for (size_t i = 0; (words = page(g, i)); i++)
        for (size_t k = 0; k < WAYS; k++) {
            const uint64_t word = read_word(&words[p->at + k]);
            const uint32_t age = age_of(word, now, max);

            if (tag_of(word) != p->tag || age > max)
                continue;
            found = true;
            *ret_age = age > *ret_age ? age : *ret_age;
        }
    return found;
}

/* In its own page: where it stands already, or in the place of the oldest. */
static uint64_t *word_for(struct greylist *g, const struct place *p, uint32_t now, uint32_t max)
{
    uint64_t *set = &g->own[p->at], *at = set;

    for (size_t k = 0; k < WAYS; k++) {
        if (tag_of(set[k]) == p->tag)
            return &set[k];
        if (age_of(set[k], now, max) > age_of(*at, now, max))
            at = &set[k];
    }
    return at;
}

/* ---- what is asked ---- */

bool greylist_has_passed(struct greylist *g, const struct greylist_origin *from, uint64_t now_ms)
{
    const struct place p = origin_of(g, from);
    uint32_t age;

    if (!find(g, &p, seconds(now_ms), g->keep, &age))
        return false;
    greylist_pass(g, from, now_ms);
    return true;
}

bool greylist_try(struct greylist *g, const struct greylist_origin *from, const char *sender, const char *recipient,
                  uint64_t now_ms)
{
    const uint32_t now = seconds(now_ms);
    const struct place p = try_of(g, from, sender, recipient);
    uint64_t *word = word_for(g, &p, now, GREYLIST_TRY);
    const bool is_here = tag_of(*word) == p.tag;
    const uint32_t here = age_of(*word, now, GREYLIST_TRY);
    uint32_t age;

    if (find(g, &p, now, GREYLIST_TRY, &age) && age >= g->wait)
        return true;
    if (!is_here && here <= GREYLIST_RETRY)
        return true;
    if (!is_here || here > GREYLIST_TRY)
        write_word(word, &p, now); /* whatever others say of it, who may lie */
    return g->wait == 0;
}

void greylist_pass(struct greylist *g, const struct greylist_origin *from, uint64_t now_ms)
{
    const uint32_t now = seconds(now_ms);
    const struct place p = origin_of(g, from);

    write_word(word_for(g, &p, now, g->keep), &p, now);
}
