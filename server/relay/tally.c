#include "server/relay/tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/error.h"

enum {
    DAY = 86400,
    PAUSE_MS = 60 * 1000, /* of a day; of shorter periods as much less */
    PAUSE_MIN_MS = 250,
    WRITES_MAX = 64, /* under way */
    TRIES_MAX = 8,   /* at one, if others write it too */
};

struct adding {
    TAILQ_ENTRY(adding) in_tallies;
    struct tallies *tallies;
    bool due, busy, asked /* it may be there: nothing is added any more */;
    unsigned tries;
    uint8_t written[QUEUE_SEEN_SIZE]; /* of the last request */
    struct tls_tally sum;             /* since the last writing */
};
struct tallies {
    struct loop *loop;
    struct view *view;
    struct vault_client *vault;
    uint64_t (*now)(void);
    uint64_t *lost;
    void (*changed)(void *arg);
    void *arg;
    struct timer *pause;
    uint32_t interval;
    bool ending;
    uint32_t n, busy;
    TAILQ_HEAD(addings, adding) adding; /* those that are busy first */
};

static void pump(struct tallies *t);

static void drop(struct adding *a)
{
    struct tallies *t = a->tallies;

    TAILQ_REMOVE(&t->adding, a, in_tallies);
    t->n--;
    free(a);
}

/* ---- one record ---- */

struct reading {
    struct tls_tally *tally;
    uint8_t seen[QUEUE_SEEN_SIZE];
};

static int read_one(void *arg, struct view *v)
{
    struct reading *r = arg;

    return view_tls_tally(v, r->tally, r->seen);
}

static void on_written(void *arg, int status, struct unpack *body);

/* OK: an answer will come; ERR_EXISTS: it is there already. */
static int put(struct adding *a)
{
    struct tallies *t = a->tallies;
    struct tls_tally sum = {.begin = a->sum.begin, .end = a->sum.end};
    struct reading r = {.tally = &sum};
    struct vault_request q = {.type = VAULT_TALLY_PUT};
    uint8_t record[TLS_TALLY_RECORD_MAX];
    size_t len;
    int err;

    memcpy(sum.domain, a->sum.domain, sizeof(sum.domain));
    err = view_run(t->view, read_one, &r);
    if (err != OK && err != ERR_NOT_FOUND && !queue_is_damage(err))
        return err;
    if (a->asked && memcmp(r.seen, a->written, sizeof(a->written)) == 0)
        return ERR_EXISTS; /* the last answer was lost */
    if (tally_sum_merge(&sum, &a->sum) != OK)
        ++*t->lost;
    err = tls_tally_seal(view_keys(t->view), &sum, q.tally.hash, record, &len);
    if (err != OK)
        return err;
    memcpy(a->written, record + 1, sizeof(a->written));
    a->asked = true;
    q.tally.seen = r.seen;
    q.tally.record = slice_of(record, len);
    return vault_client_request(t->vault, &q, -1, on_written, a, NULL);
}

/* What the vault does not take now waits for the next time. */
static void leave(struct adding *a, int err)
{
    struct tallies *t = a->tallies;

    a->busy = a->due = false;
    t->busy--;
    if (err == ERR_FULL || err == ERR_LIMIT || err == ERR_DENIED || (t->ending && err != OK && err != ERR_EXISTS))
        ++*t->lost;
    else if (err != OK && err != ERR_EXISTS)
        return;
    drop(a);
}

static void put_or_leave(struct adding *a)
{
    int err = a->tries++ < TRIES_MAX ? put(a) : ERR_CONFLICT;

    if (err != OK)
        leave(a, err);
}

static void on_written(void *arg, int status, struct unpack *body)
{
    struct adding *a = arg;
    struct tallies *t = a->tallies;

    if (status == ERR_CONFLICT)
        put_or_leave(a);
    else
        leave(a, status);
    pump(t);
    t->changed(t->arg);
}

static void pump(struct tallies *t)
{
    struct adding *a, *next;

    for (a = TAILQ_FIRST(&t->adding); a && t->busy < WRITES_MAX; a = next) {
        next = TAILQ_NEXT(a, in_tallies);
        if (!a->due || a->busy)
            continue;
        a->busy = true;
        a->tries = 0;
        t->busy++;
        TAILQ_REMOVE(&t->adding, a, in_tallies);
        TAILQ_INSERT_HEAD(&t->adding, a, in_tallies);
        put_or_leave(a);
    }
}

static void write_all(struct tallies *t)
{
    struct adding *a;

    TAILQ_FOREACH(a, &t->adding, in_tallies)
    if (!a->busy)
        a->due = true;
    pump(t);
}

static void on_pause(void *arg)
{
    struct tallies *t = arg;

    write_all(t);
    if (t->n)
        timer_set(t->pause, tallies_pause_ms(t->interval));
}

/* ---- sums ---- */

uint64_t tallies_pause_ms(uint32_t interval)
{
    const uint64_t ms = (uint64_t)interval * PAUSE_MS / DAY;

    return ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : ms;
}

static struct adding *find(struct tallies *t, const char *domain)
{
    const uint64_t now = t->now(), begin = now - now % t->interval;
    struct adding *a;

    TAILQ_FOREACH_REVERSE(a, &t->adding, addings, in_tallies)
    if (!a->asked && a->sum.begin == begin && a->sum.end == begin + t->interval && strcmp(a->sum.domain, domain) == 0)
        return a;
    if (t->n == TALLY_DOMAINS_MAX || strlen(domain) >= sizeof(a->sum.domain) || !(a = calloc(1, sizeof(*a))))
        return NULL;
    a->tallies = t;
    a->sum.begin = begin;
    a->sum.end = begin + t->interval;
    memcpy(a->sum.domain, domain, strlen(domain));
    TAILQ_INSERT_TAIL(&t->adding, a, in_tallies);
    if (t->n++ == 0)
        timer_set(t->pause, tallies_pause_ms(t->interval));
    return a;
}

void tallies_add(struct tallies *t, const char *domain, const struct tally_session *s)
{
    struct adding *a = t->interval ? find(t, domain) : NULL;

    if (t->interval && (!a || tally_sum_add(&a->sum, s) != OK))
        ++*t->lost;
    if (t->n >= TALLY_DOMAINS_MAX / 2) /* not all of them have to wait */
        write_all(t);
}

bool tallies_end(struct tallies *t)
{
    t->ending = true;
    write_all(t);
    return t->n == 0;
}

void tallies_limit(struct tallies *t, uint32_t interval)
{
    t->interval = interval;
}

struct tallies *tallies_create(struct loop *l, struct view *v, struct vault_client *vault, uint64_t (*now)(void),
                               uint64_t *lost, void (*changed)(void *arg), void *arg)
{
    struct tallies *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    *t = (struct tallies){
        .loop = l, .view = v, .vault = vault, .now = now, .lost = lost, .changed = changed, .arg = arg};
    TAILQ_INIT(&t->adding);
    t->pause = timer_create_in(l, on_pause, t);
    if (!t->pause) {
        free(t);
        return NULL;
    }
    return t;
}

void tallies_destroy(struct tallies *t)
{
    struct adding *a;

    if (!t)
        return;
    while ((a = TAILQ_FIRST(&t->adding)))
        drop(a);
    timer_destroy(t->pause);
    free(t);
}
