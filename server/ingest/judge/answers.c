#include "server/ingest/judge/answers.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/error.h"

enum { BUCKETS = 8192 };

struct kept {
    LIST_ENTRY(kept) in_bucket;
    TAILQ_ENTRY(kept) in_order; /* of use */
    uint64_t until_ms;
    size_t octets;
    enum records_type type;
    const char *name; /* behind the values, like theirs */
    struct records_answer answer;
    struct records_value v[];
};

struct answers_question {
    LIST_ENTRY(answers_question) in_pending;
    struct pending *of;
    answers_fn *fn;
    void *arg;
};

/* What is being asked, or will be. */
struct pending {
    LIST_ENTRY(pending) in_bucket;
    TAILQ_ENTRY(pending) in_line; /* unless it is out */
    struct answers *all;
    LIST_HEAD(, answers_question) askers;
    struct lane *lane;
    struct dns_question *out; /* NULL: it waits in line */
    bool over;                /* its askers are being told */
    enum records_type type;
    char name[];
};

struct lane {
    TAILQ_HEAD(, pending) line;
    size_t waiting;
    unsigned out;
};

struct answers {
    struct loop *loop;
    struct dns *dns;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* strangers choose the names */
    LIST_HEAD(, kept) kept[BUCKETS];
    TAILQ_HEAD(in_order, kept) order; /* the one used last is first */
    LIST_HEAD(, pending) pendings[BUCKETS];
    struct lane lanes[ANSWERS_LANES];
    size_t turn; /* the line that had its turn last */
    struct defer begin;
    struct answers_counts counts;
};

struct answers *answers_create(struct loop *l, struct dns *d)
{
    struct answers *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->loop = l;
    a->dns = d;
    randombytes_buf(a->key, sizeof(a->key));
    TAILQ_INIT(&a->order);
    for (size_t i = 0; i < ANSWERS_LANES; i++)
        TAILQ_INIT(&a->lanes[i].line);
    return a;
}

static uint64_t hash(const struct answers *a, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t n;

    crypto_shorthash(out, data, len, a->key);
    memcpy(&n, out, sizeof(n));
    return n;
}

static size_t bucket_of(const struct answers *a, enum records_type type, const char *name)
{
    return (hash(a, name, strlen(name)) + type) % BUCKETS;
}

/* ---- what is kept ---- */

static void kept_drop(struct answers *a, struct kept *k)
{
    LIST_REMOVE(k, in_bucket);
    TAILQ_REMOVE(&a->order, k, in_order);
    a->counts.kept--;
    a->counts.octets -= k->octets;
    free(k);
}

/* One that is too old is dropped. */
static struct kept *kept_find(struct answers *a, enum records_type type, const char *name)
{
    struct kept *k;

    LIST_FOREACH(k, &a->kept[bucket_of(a, type, name)], in_bucket)
    if (k->type == type && strcmp(k->name, name) == 0)
        break;
    if (k && k->until_ms <= loop_now_ms(a->loop)) {
        kept_drop(a, k);
        k = NULL;
    }
    return k;
}

const struct records_answer *answers_find(struct answers *a, enum records_type type, const char *name)
{
    struct kept *k = kept_find(a, type, name);

    if (!k)
        return NULL;
    TAILQ_REMOVE(&a->order, k, in_order);
    TAILQ_INSERT_HEAD(&a->order, k, in_order);
    a->counts.found++;
    return &k->answer;
}

static size_t octets_of(const struct dns_record *r)
{
    return r->name ? strlen(r->name) + 1 : r->data.len;
}

/* NULL: no memory. */
static struct kept *kept_make(enum records_type type, const char *name, const struct dns_answer *d)
{
    size_t head = sizeof(struct kept) + d->n * sizeof(struct records_value), size = head + strlen(name) + 1;
    struct kept *k;
    char *at;

    for (size_t i = 0; i < d->n; i++)
        size += octets_of(&d->v[i]);
    k = calloc(1, size);
    if (!k)
        return NULL;
    at = (char *)k + head;
    k->octets = size;
    k->type = type;
    k->answer = (struct records_answer){.exists = d->exists, .n = d->n, .v = k->v};
    for (size_t i = 0; i < d->n; i++) {
        const struct dns_record *r = &d->v[i];
        const size_t n = octets_of(r);

        if (n)
            memcpy(at, r->name ? (const void *)r->name : r->data.data, n);
        k->v[i].preference = r->preference;
        k->v[i].name = r->name ? at : NULL;
        k->v[i].data = r->name ? (struct slice){0} : slice_of(at, n);
        at += n;
    }
    k->name = strcpy(at, name);
    return k;
}

/* Takes it. What was used least recently goes. */
static void keep(struct answers *a, struct kept *k, uint32_t ttl)
{
    struct kept *before = kept_find(a, k->type, k->name);

    if (before)
        kept_drop(a, before);
    if (ttl == 0) {
        free(k);
        return;
    }
    k->until_ms = loop_now_ms(a->loop) + (ttl < ANSWERS_TTL_MAX ? ttl : ANSWERS_TTL_MAX) * UINT64_C(1000);
    LIST_INSERT_HEAD(&a->kept[bucket_of(a, k->type, k->name)], k, in_bucket);
    TAILQ_INSERT_HEAD(&a->order, k, in_order);
    a->counts.kept++;
    a->counts.octets += k->octets;
    while (a->counts.kept > ANSWERS_KEPT_MAX || a->counts.octets > ANSWERS_OCTETS_MAX)
        kept_drop(a, TAILQ_LAST(&a->order, in_order));
}

/* ---- what is asked ---- */

static struct pending *pending_find(struct answers *a, enum records_type type, const char *name)
{
    struct pending *p;

    LIST_FOREACH(p, &a->pendings[bucket_of(a, type, name)], in_bucket)
    if (p->type == type && strcmp(p->name, name) == 0)
        break;
    return p;
}

static void line_leave(struct pending *p)
{
    TAILQ_REMOVE(&p->lane->line, p, in_line);
    p->lane->waiting--;
    p->all->counts.waiting--;
}

static void line_join(struct pending *p, struct lane *lane)
{
    p->lane = lane;
    TAILQ_INSERT_TAIL(&lane->line, p, in_line);
    lane->waiting++;
    p->all->counts.waiting++;
}

/* With its askers, who are told nothing. Neither in line nor out any more. */
static void pending_free(struct pending *p)
{
    struct answers_question *q;

    while ((q = LIST_FIRST(&p->askers))) {
        LIST_REMOVE(q, in_pending);
        free(q);
    }
    free(p);
}

/* Each asker is told; what they do then may be anything but the end of all. */
static void settle(struct pending *p, const struct records_answer *answer)
{
    struct answers_question *q;

    LIST_REMOVE(p, in_bucket);
    p->over = true;
    while ((q = LIST_FIRST(&p->askers))) {
        answers_fn *fn = q->fn;
        void *arg = q->arg;

        LIST_REMOVE(q, in_pending);
        free(q);
        fn(arg, answer);
    }
    free(p);
}

static void begin_some(void *arg);

static void fail(struct pending *p, int err)
{
    const struct records_answer answer = {.err = err};

    settle(p, &answer);
}

static void on_answer(void *arg, int err, const struct dns_answer *d)
{
    struct pending *p = arg;
    struct answers *a = p->all;
    struct kept *k = err == OK ? kept_make(p->type, p->name, d) : NULL;
    const uint32_t ttl = err == OK ? d->ttl : 0;

    p->out = NULL;
    p->lane->out--;
    a->counts.out--;
    defer_set(a->loop, &a->begin, begin_some, a);
    if (!k) {
        fail(p, err == OK ? ERR_MEMORY : err);
        return;
    }
    settle(p, &k->answer);
    keep(a, k, ttl);
}

/* The first of the next line that may have one more out. */
static struct pending *next_in_line(struct answers *a)
{
    for (size_t i = 1; i <= ANSWERS_LANES; i++) {
        const size_t n = (a->turn + i) % ANSWERS_LANES;
        struct lane *lane = &a->lanes[n];

        if (lane->waiting && lane->out < ANSWERS_LANE_ASKED_MAX) {
            a->turn = n;
            return TAILQ_FIRST(&lane->line);
        }
    }
    return NULL;
}

static void begin_some(void *arg)
{
    struct answers *a = arg;
    struct pending *p;

    while (a->counts.out < ANSWERS_ASKED_MAX && (p = next_in_line(a))) {
        int err;

        line_leave(p);
        err = dns_ask(a->dns, (enum dns_type)p->type, p->name, on_answer, p, &p->out);
        if (err != OK) {
            fail(p, err);
            continue;
        }
        p->lane->out++;
        a->counts.out++;
        a->counts.asked++;
    }
}

/* Of the peer's network. */
static struct lane *lane_of(struct answers *a, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;
    const void *octets = peer->ss_family == AF_INET ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr;
    size_t len = peer->ss_family == AF_INET ? 3 : 6;

    if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        octets = v6->sin6_addr.s6_addr + 12;
        len = 3;
    }
    return &a->lanes[hash(a, octets, len) % ANSWERS_LANES];
}

static struct pending *pending_create(struct answers *a, enum records_type type, const char *name, struct lane *lane)
{
    struct pending *p = calloc(1, sizeof(*p) + strlen(name) + 1);

    if (!p)
        return NULL;
    p->all = a;
    p->type = type;
    strcpy(p->name, name);
    LIST_INIT(&p->askers);
    LIST_INSERT_HEAD(&a->pendings[bucket_of(a, type, name)], p, in_bucket);
    line_join(p, lane);
    defer_set(a->loop, &a->begin, begin_some, a);
    return p;
}

int answers_ask(struct answers *a, const struct sockaddr_storage *peer, enum records_type type, const char *name,
                answers_fn *fn, void *arg, struct answers_question **ret)
{
    struct lane *lane = lane_of(a, peer);
    struct pending *p = pending_find(a, type, name);
    struct answers_question *q;

    if (!p && a->counts.waiting >= ANSWERS_LINE_MAX)
        return ERR_FULL;
    q = calloc(1, sizeof(*q));
    if (q && !p)
        p = pending_create(a, type, name, lane);
    if (!q || !p) {
        free(q);
        return ERR_MEMORY;
    }
    if (!p->out && lane->waiting < p->lane->waiting) { /* whoever made it wait first has more that wait */
        line_leave(p);
        line_join(p, lane);
        defer_set(a->loop, &a->begin, begin_some, a);
    }
    *q = (struct answers_question){.of = p, .fn = fn, .arg = arg};
    LIST_INSERT_HEAD(&p->askers, q, in_pending);
    *ret = q;
    return OK;
}

void answers_cancel(struct answers_question *q)
{
    struct pending *p = q->of;

    LIST_REMOVE(q, in_pending);
    free(q);
    if (p->over || p->out || !LIST_EMPTY(&p->askers))
        return;
    line_leave(p);
    LIST_REMOVE(p, in_bucket);
    pending_free(p);
}

struct answers_counts answers_counts(const struct answers *a)
{
    return a->counts;
}

void answers_destroy(struct answers *a)
{
    struct pending *p;

    if (!a)
        return;
    defer_cancel(a->loop, &a->begin);
    for (size_t i = 0; i < BUCKETS; i++)
        while ((p = LIST_FIRST(&a->pendings[i]))) {
            LIST_REMOVE(p, in_bucket);
            if (p->out)
                dns_cancel(p->out);
            pending_free(p);
        }
    while (!TAILQ_EMPTY(&a->order))
        kept_drop(a, TAILQ_FIRST(&a->order));
    free(a);
}
