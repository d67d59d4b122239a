/* The queue in the store, made into jobs: all of it at the start, and each message that comes or that others change. */
#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/relay/changes.h"
#include "server/relay/dsn.h"
#include "server/relay/relay.h"

enum {
    SLICE = 256,       /* messages between two looks at the rest of the loop */
    IDS_MAX = 1 << 20, /* changes that wait; past it the whole queue is read again */
    AGAIN_MS = 5000,   /* what could not be read is read again */
};

struct changes {
    struct relay *relay;
    uint64_t *ids;
    size_t n, cap, at;
    uint64_t after; /* of the walk over all */
    bool walking;
    struct defer work;
    struct timer *again;
};

/* ---- one message ---- */

struct bucket {
    struct bucket *next;
    struct job_new job;
    uint32_t report;
    uint8_t state;
    char destination[DESTINATION_MAX];
    uint32_t recipients[JOB_RECIPIENTS_MAX];
};
struct reading {
    struct relay *relay;
    uint64_t id;
    struct queue_envelope e;
    bool held; /* whose mail it is */
    struct bucket *buckets;
    int err;
};

static void buckets_free(struct reading *q)
{
    while (q->buckets) {
        struct bucket *b = q->buckets;
        q->buckets = b->next;
        free(b);
    }
}

static bool is_running(struct relay *r, uint64_t id, uint32_t n)
{
    const struct sched_message *m = schedule_find(r->schedule, id);
    const struct job *j;

    if (!m)
        return false;
    LIST_FOREACH(j, &m->jobs, in_message)
    for (size_t i = 0; j->state == JOB_RUNNING && i < j->n; i++)
        if (j->recipients[i] == n)
            return true;
    return false;
}

/* What a recipient's record asks for. false: nothing, until somebody releases it. */
static bool describe(struct reading *q, const struct queue_recipient *r, struct bucket *b)
{
    const struct queue_envelope *e = &q->e;
    const bool over = r->state == QUEUE_FAILED || r->state == QUEUE_SENT;
    const uint64_t hold = e->hold_until;

    if ((hold == QUEUE_HOLD_FOREVER || q->held) && !over)
        return false;
    *b = (struct bucket){.state = r->state};
    b->job.m = (struct sched_message){.id = q->id,
                                      .account = e->account,
                                      .queued_at = e->queued_at > hold ? e->queued_at : hold,
                                      .expires = e->expires > hold ? e->expires : hold};
    b->job.task = over ? TASK_REPORT : r->local ? TASK_LOCAL : TASK_SEND;
    if (over) {
        b->report = r->report;
        return true;
    }
    b->job.tries = r->tries < UINT16_MAX ? (uint16_t)r->tries : UINT16_MAX;
    b->job.delay_told = r->delay_told || !dsn_wanted(e, r, DSN_DELAYED);
    b->job.next_try = r->next_try > hold ? r->next_try : hold;
    if (!r->local)
        route_destination(&q->relay->router, r->to, e->from, (enum queue_tls)e->tls, b->destination);
    return true;
}

static bool alike(const struct bucket *a, const struct bucket *b)
{
    return a->job.task == b->job.task && a->state == b->state && a->report == b->report &&
           a->job.tries == b->job.tries && a->job.next_try == b->job.next_try &&
           a->job.delay_told == b->job.delay_told && a->job.n < JOB_RECIPIENTS_MAX &&
           strcmp(a->destination, b->destination) == 0;
}

static int take_row(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    static struct bucket like; /* large; there is one loop */
    struct reading *q = arg;
    struct bucket *b = q->buckets;

    if (err != OK)
        return queue_is_damage(err) ? 0 : err;
    if (is_running(q->relay, q->id, n) || !describe(q, r, &like))
        return 0;
    while (b && !alike(b, &like))
        b = b->next;
    if (!b) {
        if (!(b = malloc(sizeof(*b))))
            return ERR_MEMORY;
        *b = like;
        b->next = q->buckets;
        q->buckets = b;
    }
    b->recipients[b->job.n++] = n;
    return 0;
}

static int read_message(void *arg, struct view *v)
{
    struct reading *q = arg;
    uint8_t seen[QUEUE_SEEN_SIZE];
    int err;

    buckets_free(q);
    err = view_queued(v, q->id, &q->e, seen);
    if (err != OK)
        return err;
    err = view_held(v, q->e.account);
    q->held = err == OK;
    return err == OK || err == ERR_NOT_FOUND ? view_queue_recipients(v, q->id, 0, take_row, q) : err;
}

/* Jobs that wait are replaced by what the records say now; those at work go on. */
static int renew(struct relay *r, uint64_t id)
{
    struct reading q = {.relay = r, .id = id};
    const uint64_t now = relay_now();
    int err = view_run(r->view, read_message, &q);
    struct sched_message *m = schedule_find(r->schedule, id);
    const bool known = m != NULL;

    if (queue_is_damage(err)) {
        log_event(queue_damaged, err);
        err = OK;
    } else if (err == OK || err == ERR_NOT_FOUND) {
        struct job *j, *next;
        for (j = m ? LIST_FIRST(&m->jobs) : NULL; j; j = next) {
            next = LIST_NEXT(j, in_message);
            if (j->state != JOB_RUNNING)
                schedule_drop(r->schedule, j);
        }
        err = OK;
    }
    for (struct bucket *b = q.buckets; b && err == OK; b = b->next) {
        b->job.recipients = b->recipients;
        b->job.destination = b->job.task == TASK_SEND ? b->destination : NULL;
        if (b->job.destination && known && !b->job.next_try) /* as `letterlock queue retry` asks for */
            schedule_unblock(r->schedule, b->destination, now);
        err = schedule_add(r->schedule, &b->job, now);
    }
    buckets_free(&q);
    return err;
}

/* ---- all of them ---- */

static void work(void *arg);

static int put(struct changes *c, uint64_t id)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : SLICE;
        uint64_t *ids = cap > IDS_MAX ? NULL : realloc(c->ids, cap * sizeof(*ids));
        if (!ids)
            return ERR_MEMORY;
        c->ids = ids;
        c->cap = cap;
    }
    c->ids[c->n++] = id;
    return OK;
}

void changes_walk(struct relay *r)
{
    struct changes *c = r->changes;

    c->after = 0;
    relay_count(r, COUNT_READ);
    c->walking = true;
    defer_set_long(r->loop, &c->work, work, c);
}

void changes_note(struct relay *r, uint64_t id)
{
    struct changes *c = r->changes;

    if (!relay_has(r, id))
        return;
    if (put(c, id) != OK)
        changes_walk(r);
    else
        defer_set_long(r->loop, &c->work, work, c);
}

struct listing {
    struct changes *c;
    uint64_t v[SLICE];
    size_t n;
};

static int take_id(void *arg, uint64_t id)
{
    struct listing *q = arg;

    if (relay_has(q->c->relay, id))
        q->v[q->n++] = id;
    return q->n == SLICE;
}

static int list_slice(void *arg, struct view *v)
{
    struct listing *q = arg;
    int err;

    q->n = 0;
    err = view_queue_each(v, q->c->after, take_id, q);
    return err == 1 ? OK : err;
}

static int walk_on(struct changes *c)
{
    struct listing q = {.c = c};
    int err = view_run(c->relay->view, list_slice, &q);

    for (size_t i = 0; err == OK && i < q.n; i++) {
        err = renew(c->relay, q.v[i]);
        if (err == OK)
            c->after = q.v[i];
    }
    if (err == OK && q.n < SLICE)
        c->walking = false;
    return err;
}

static void work(void *arg)
{
    struct changes *c = arg;
    int err = OK;

    for (size_t i = 0; err == OK && c->at < c->n && i < SLICE; i++) {
        err = renew(c->relay, c->ids[c->at]);
        c->at += err == OK;
    }
    if (c->at == c->n)
        c->at = c->n = 0;
    if (err == OK && c->walking)
        err = walk_on(c);
    relay_wake(c->relay);
    if (err != OK)
        timer_set(c->again, AGAIN_MS);
    else if (c->n || c->walking)
        defer_set_long(c->relay->loop, &c->work, work, c);
}

int changes_create(struct relay *r)
{
    struct changes *c = calloc(1, sizeof(*c));

    if (!c)
        return ERR_MEMORY;
    c->relay = r;
    r->changes = c;
    c->again = timer_create_in(r->loop, work, c);
    return c->again ? OK : ERR_MEMORY;
}

void changes_destroy(struct relay *r)
{
    struct changes *c = r->changes;

    if (!c)
        return;
    defer_cancel(r->loop, &c->work);
    timer_destroy(c->again);
    free(c->ids);
    free(c);
    r->changes = NULL;
}
