#include "server/ingest/submission/strangers.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "keyserver/discover/finder.h"
#include "server/core/error.h"

enum {
    BUCKETS = 4096,
    HELD_MS = 7 * 86400 * 1000, /* a key whose domain does not answer any more */
};

struct entry;
struct strangers_wait {
    LIST_ENTRY(strangers_wait) in_list;
    struct strangers_asker who;
};
LIST_HEAD(waits, strangers_wait);

struct entry {
    LIST_ENTRY(entry) in_bucket;
    TAILQ_ENTRY(entry) in_order;   /* of use */
    LIST_ENTRY(entry) in_searches; /* with a finding */
    struct strangers *of;
    struct finding *finding; /* NULL: nobody looks */
    uint64_t account;        /* that had it looked for */
    struct waits waits;
    uint64_t found; /* ms of the loop, when it was */
    uint64_t until; /* ms of the loop; what was found counts so long */
    uint64_t ends;  /* seconds since 1970: the key's own end; 0: never */
    bool passes;    /* there is no key, and soon there may be one */
    enum known_from from;
    uint8_t *cert;
    size_t len;
    struct pgp_verdict verdict;
    uint8_t revoked[PGP_FPR_MAX], revoked_len; /* a key that is revoked, as was found: its fingerprint; 0: none */
    char address[];
};

struct strangers {
    struct finder finder;
    LIST_HEAD(, entry) buckets[BUCKETS];
    TAILQ_HEAD(entries, entry) order; /* the one used last is first */
    LIST_HEAD(, entry) searches_now;
    struct waits crowd; /* those who wait for a place */
    uint8_t key[crypto_shorthash_KEYBYTES];
    size_t n, octets;
    unsigned searches;
    struct strangers_counts counts;
    char server[DISCOVER_SERVER_MAX + 1];
    uint32_t wait_s;
};

struct strangers *submission_strangers_create(struct loop *l, struct dns *d, struct fetch *f)
{
    struct strangers *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->finder = (struct finder){.loop = l, .dns = d, .fetch = f};
    TAILQ_INIT(&s->order);
    crypto_shorthash_keygen(s->key);
    return s;
}

static void ends_search(struct entry *e)
{
    LIST_REMOVE(e, in_searches);
    e->of->searches--;
}

static void forget(struct entry *e)
{
    struct strangers *s = e->of;

    LIST_REMOVE(e, in_bucket);
    TAILQ_REMOVE(&s->order, e, in_order);
    s->n--;
    s->octets -= e->len;
    if (e->finding)
        ends_search(e);
    finding_cancel(e->finding);
    free(e->cert);
    free(e);
}

void submission_strangers_destroy(struct strangers *s)
{
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->order))
        forget(TAILQ_FIRST(&s->order));
    free(s);
}

/* What another server said of whom nobody else knew is asked anew. */
void submission_strangers_configure(struct strangers *s, const struct config *c)
{
    struct entry *e;

    s->wait_s = c->discover_wait;
    if (strcmp(s->server, c->discover_key_server) == 0)
        return;
    memcpy(s->server, c->discover_key_server, strlen(c->discover_key_server) + 1);
    TAILQ_FOREACH(e, &s->order, in_order)
    if (!e->cert || e->from == KNOWN_SERVER)
        e->until = 0;
}

struct strangers_counts submission_strangers_counts(const struct strangers *s)
{
    struct strangers_counts c = s->counts;

    c.now = s->n;
    return c;
}

/* ---- those who wait ---- */

void submission_strangers_cancel(struct strangers_wait *w)
{
    if (!w)
        return;
    LIST_REMOVE(w, in_list);
    free(w);
}

static void move(struct waits *from, struct waits *to)
{
    *to = *from;
    if (!LIST_EMPTY(to))
        LIST_FIRST(to)->in_list.le_prev = &LIST_FIRST(to);
    LIST_INIT(from);
}

/* Each may ask again at once, and so wait anew. */
static void wake(struct waits *list)
{
    struct waits all;
    struct strangers_wait *w;

    move(list, &all);
    while ((w = LIST_FIRST(&all))) {
        const struct strangers_asker who = w->who;
        submission_strangers_cancel(w);
        who.ready(who.arg);
    }
}

static int wait_in(struct waits *list, const struct strangers_asker *who, struct strangers_wait **ret)
{
    struct strangers_wait *w;

    if (!ret)
        return STRANGERS_LATER;
    w = calloc(1, sizeof(*w));
    if (!w)
        return ERR_MEMORY;
    w->who = *who;
    LIST_INSERT_HEAD(list, w, in_list);
    *ret = w;
    return STRANGERS_LATER;
}

/* ---- looking ---- */

static bool is_over(const struct entry *e)
{
    return e->ends && e->ends <= (uint64_t)time(NULL);
}

static enum known_from from_of(enum discover_trust t)
{
    return t == DISCOVER_BY_DNSSEC ? KNOWN_DNSSEC : t == DISCOVER_BY_DOMAIN ? KNOWN_DOMAIN : KNOWN_SERVER;
}

/* A domain that does not answer takes away no key that it had: who stands on the way could have it so. */
static bool holds(const struct entry *e, const struct discover_result *r)
{
    return e->cert && discover_outcome_passes(r->outcome) && !is_over(e) &&
           loop_now_ms(e->of->finder.loop) - e->found < HELD_MS;
}

static void keep(struct entry *e, const struct discover_result *r)
{
    struct strangers *s = e->of;
    uint8_t *cert = r->cert ? malloc(r->len) : NULL;

    e->until = loop_now_ms(s->finder.loop) + (uint64_t)r->keep * 1000;
    if (holds(e, r))
        return;

    s->octets -= e->len;
    free(e->cert);
    e->cert = NULL;
    e->len = 0;
    e->passes = r->cert ? true /* no memory for it */ : r->passes;
    if (!cert)
        return;
    memcpy(cert, r->cert, r->len);
    e->cert = cert;
    e->len = r->len;
    e->verdict = r->verdict;
    e->ends = r->verdict.enc_expires;
    e->from = from_of(r->trust);
    e->found = loop_now_ms(s->finder.loop);
    s->octets += e->len;
    s->counts.found++;
}

static void note_revoked(struct entry *e, const struct discover *d)
{
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++) {
        const struct discover_report r = discover_report(d, s);
        if (r.outcome != DISCOVER_REVOKED || !r.fpr_len)
            continue;
        e->revoked_len = r.fpr_len;
        memcpy(e->revoked, r.fpr, r.fpr_len);
        return;
    }
}

/* The ones used longest ago go; those that somebody waits for stay. */
static void make_room(struct strangers *s)
{
    struct entry *e = TAILQ_LAST(&s->order, entries);

    while (e && (s->n > STRANGERS_MAX || s->octets > STRANGERS_OCTETS)) {
        struct entry *before = TAILQ_PREV(e, entries, in_order);
        if (!e->finding)
            forget(e);
        e = before;
    }
}

static void on_found(void *arg, const struct discover *d)
{
    struct entry *e = arg;
    struct strangers *s = e->of;
    const struct discover_result r = discover_result(d);
    struct waits waits;

    ends_search(e);
    e->finding = NULL; /* it ends by itself */
    keep(e, &r);
    note_revoked(e, d);
    move(&e->waits, &waits);
    make_room(s);
    wake(&waits);
    wake(&s->crowd);
}

static bool has_place(const struct strangers *s, uint64_t account)
{
    const struct entry *e;
    unsigned own = 0;

    LIST_FOREACH(e, &s->searches_now, in_searches)
    own += e->account == account;
    return s->searches < STRANGERS_SEARCHES && own < STRANGERS_SEARCHES_ACCOUNT;
}

static int begin(struct entry *e, uint64_t account)
{
    struct strangers *s = e->of;
    const struct discover_params p = {.address = e->address, .server = s->server, .now = (uint64_t)time(NULL)};
    int err = finding_begin(&s->finder, &p, (uint64_t)s->wait_s * 1000, on_found, e, &e->finding);

    if (err != OK)
        return err;
    e->account = account;
    LIST_INSERT_HEAD(&s->searches_now, e, in_searches);
    s->searches++;
    s->counts.sought++;
    return OK;
}

/* ---- asking ---- */

static size_t bucket_of(const struct strangers *s, const char *address)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)address, strlen(address), s->key);
    return hash % BUCKETS;
}

static struct entry *find(struct strangers *s, size_t bucket, const char *address)
{
    struct entry *e;

    LIST_FOREACH(e, &s->buckets[bucket], in_bucket)
    if (strcmp(e->address, address) == 0)
        break;
    return e;
}

static struct entry *add(struct strangers *s, size_t bucket, const char *address)
{
    struct entry *e = calloc(1, sizeof(*e) + strlen(address) + 1);

    if (!e)
        return NULL;
    strcpy(e->address, address);
    e->of = s;
    LIST_INSERT_HEAD(&s->buckets[bucket], e, in_bucket);
    TAILQ_INSERT_HEAD(&s->order, e, in_order);
    s->n++;
    return e;
}

static bool is_fresh(const struct strangers *s, const struct entry *e)
{
    return e->until > loop_now_ms(s->finder.loop) && !(e->cert && is_over(e));
}

static int tell(const struct entry *e, struct known **ret)
{
    if (e->cert)
        return known_of(e->cert, e->len, &e->verdict, e->from, ret);
    return e->passes ? ERR_AGAIN : ERR_NO_KEY;
}

bool submission_strangers_revoked(struct strangers *s, const char *address, const uint8_t *fpr, size_t len)
{
    const struct entry *e = find(s, bucket_of(s, address), address);

    return e && e->revoked_len && e->revoked_len == len && memcmp(e->revoked, fpr, len) == 0;
}

int submission_strangers_ask(struct strangers *s, const char *address, const struct strangers_asker *who,
                             struct known **ret, struct strangers_wait **ret_wait)
{
    char normal[ADDRESS_MAX];
    size_t at, plus, bucket;
    struct entry *e;
    int err = address_normalize(address, strlen(address), normal, &at, &plus);

    if (err != OK || s->wait_s == 0)
        return err == ERR_MEMORY ? err : ERR_NO_KEY; /* of no kind that is looked for */
    bucket = bucket_of(s, normal);
    e = find(s, bucket, normal);
    if (e && !e->finding && is_fresh(s, e)) {
        TAILQ_REMOVE(&s->order, e, in_order);
        TAILQ_INSERT_HEAD(&s->order, e, in_order);
        return tell(e, ret);
    }
    if (e && e->finding)
        return wait_in(&e->waits, who, ret_wait);
    if (!has_place(s, who->account))
        return wait_in(&s->crowd, who, ret_wait);
    if (!e && !(e = add(s, bucket, normal)))
        return ERR_MEMORY;
    TAILQ_REMOVE(&s->order, e, in_order);
    TAILQ_INSERT_HEAD(&s->order, e, in_order);
    err = begin(e, who->account);
    if (err != OK)
        forget(e);
    return err == OK ? wait_in(&e->waits, who, ret_wait) : err == ERR_FORMAT ? ERR_NO_KEY : err;
}
