/* The schedule. See schedule.h, and schedule_impl.h for how it stands. */
#include "server/relay/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/relay/schedule_impl.h"

enum {
    SERVED_MAX = 20, /* jobs of one connection while others wait for its place */
    CREDIT_MAX = 3,  /* failed connections in a row before a destination that worked is left alone */
};

/* ---- destinations ---- */

static uint64_t name_hash(const struct schedule *s, const char *name)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)name, strlen(name), s->key);
    return hash;
}

static struct destination *destination_find(const struct schedule *s, const char *name)
{
    for (struct table_node *n = table_first(&s->destinations, name_hash(s, name)); n; n = table_next(n))
        if (strcmp(((struct destination *)n)->name, name) == 0)
            return (struct destination *)n;
    return NULL;
}

static struct destination *destination_get(struct schedule *s, const char *name)
{
    const size_t len = strlen(name) + 1;
    struct destination *d = destination_find(s, name);

    if (d)
        return d;
    if (!(d = calloc(1, sizeof(*d) + len)) || table_put(&s->destinations, &d->node, name_hash(s, name)) != OK) {
        free(d);
        return NULL;
    }
    memcpy(d->name, name, len);
    TAILQ_INIT(&d->waiting);
    TAILQ_INIT(&d->open);
    d->window = DESTINATION_CONNECTIONS_FIRST < s->limits.connections_destination ? DESTINATION_CONNECTIONS_FIRST
                                                                                  : s->limits.connections_destination;
    d->credit = 1;
    return d;
}

static void destination_put(struct schedule *s, struct destination *d)
{
    if (d->njobs || d->running)
        return;
    table_remove(&s->destinations, &d->node);
    free(d);
}

/* All that waits for it waits until then, without being tried. */
static void block(struct schedule *s, struct destination *d, uint64_t now)
{
    struct flow *f;

    if (d->blocked_until > now)
        return;
    d->blocked_until = now + schedule_interval(s, (uint16_t)(d->failures < 16 ? d->failures : 16));
    d->failures++;
    while ((f = TAILQ_FIRST(&d->open)) || (f = TAILQ_FIRST(&d->waiting))) {
        struct job *j = TAILQ_FIRST(&f->jobs);
        schedule_flow_take(s, j);
        j->next_try = d->blocked_until;
        schedule_heap_push(s, j);
    }
}

/* ---- from outside ---- */

struct schedule *schedule_create(const struct schedule_limits *l)
{
    struct schedule *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->limits = *l;
    TAILQ_INIT(&s->outside.senders);
    TAILQ_INIT(&s->inside.senders);
    randombytes_buf(s->key, sizeof(s->key));
    return s;
}

static void each_free(struct table *t, size_t from_node)
{
    for (size_t i = 0; i < t->cap; i++)
        for (struct table_node *n = t->v[i], *next; n; n = next) {
            next = n->next;
            free((char *)n - from_node);
        }
    table_free(t);
}

void schedule_destroy(struct schedule *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->messages.cap; i++)
        for (struct table_node *n = s->messages.v[i]; n; n = n->next) {
            struct sched_message *m = (struct sched_message *)n;
            struct job *j;
            while ((j = LIST_FIRST(&m->jobs))) {
                LIST_REMOVE(j, in_message);
                free(j);
            }
        }
    each_free(&s->messages, offsetof(struct sched_message, node));
    each_free(&s->destinations, offsetof(struct destination, node));
    each_free(&s->flows, offsetof(struct flow, node));
    each_free(&s->senders, offsetof(struct sender, node));
    free(s->heap);
    free(s);
}

void schedule_limit(struct schedule *s, const struct schedule_limits *l)
{
    s->limits = *l;
}

struct sched_message *schedule_find(struct schedule *s, uint64_t id)
{
    for (struct table_node *n = table_first(&s->messages, id); n; n = table_next(n))
        if (((struct sched_message *)n)->id == id)
            return (struct sched_message *)n;
    return NULL;
}

static void message_put(struct schedule *s, struct sched_message *m)
{
    if (!LIST_EMPTY(&m->jobs))
        return;
    table_remove(&s->messages, &m->node);
    free(m);
}

static struct sched_message *message_get(struct schedule *s, const struct sched_message *like)
{
    struct sched_message *m = schedule_find(s, like->id);

    if (m) {
        m->queued_at = like->queued_at;
        m->expires = like->expires;
        return m;
    }
    if (!(m = calloc(1, sizeof(*m))) || table_put(&s->messages, &m->node, like->id) != OK) {
        free(m);
        return NULL;
    }
    m->id = like->id;
    m->account = like->account;
    m->queued_at = like->queued_at;
    m->expires = like->expires;
    LIST_INIT(&m->jobs);
    return m;
}

int schedule_add(struct schedule *s, const struct job_new *n, uint64_t now)
{
    struct job *j = calloc(1, sizeof(*j) + n->n * sizeof(n->recipients[0]));
    struct destination *d = NULL;

    bug_if(n->n == 0 || n->n > JOB_RECIPIENTS_MAX || !n->destination != (n->task != TASK_SEND));
    if (!j || schedule_heap_room(s, s->njobs + 1) != OK ||
        (n->destination && !(d = destination_get(s, n->destination))) || !(j->message = message_get(s, &n->m))) {
        if (d)
            destination_put(s, d);
        free(j);
        return ERR_MEMORY;
    }
    LIST_INSERT_HEAD(&j->message->jobs, j, in_message);
    j->to = d;
    if (d)
        d->njobs++;
    j->task = (uint8_t)n->task;
    j->n = (uint8_t)n->n;
    memcpy(j->recipients, n->recipients, n->n * sizeof(n->recipients[0]));
    j->tries = n->tries;
    j->delay_told = n->delay_told;
    j->next_try = n->next_try;
    s->njobs++;
    schedule_heap_push(s, j);
    if (j->due <= now)
        schedule_advance(s, now);
    return OK;
}

static void job_free(struct schedule *s, struct job *j)
{
    struct destination *d = j->to;

    LIST_REMOVE(j, in_message);
    message_put(s, j->message);
    s->njobs--;
    free(j);
    if (d) {
        d->njobs--;
        destination_put(s, d);
    }
}

void schedule_drop(struct schedule *s, struct job *j)
{
    bug_if(j->state == JOB_RUNNING);
    if (j->state == JOB_WAITING)
        schedule_heap_remove(s, j);
    else
        schedule_flow_take(s, j);
    job_free(s, j);
}

/* Takes the first job of a flow; the flow goes behind the others that wait for its destination. */
static struct job *flow_first(struct schedule *s, struct flow *f, uint64_t now)
{
    struct job *j = TAILQ_FIRST(&f->jobs);
    struct destination *to = f->to;

    if (to)
        schedule_flow_close(f);
    schedule_flow_take(s, j);
    if (j->task == TASK_SEND && j->message->expires <= now) {
        j->next_try = now;
        schedule_heap_push(s, j); /* it becomes one that expires */
        return NULL;
    }
    j->state = JOB_RUNNING;
    s->nrunning++;
    return j;
}

static struct job *line_next(struct schedule *s, struct line *l, uint64_t now)
{
    struct sender *a;

    while ((a = TAILQ_FIRST(&l->senders))) {
        struct flow *f = TAILQ_FIRST(&a->open);
        struct destination *to = f->to;
        struct job *j;

        if (to && to->running >= to->window) {
            schedule_flow_close(f);
            continue;
        }
        TAILQ_REMOVE(&l->senders, a, in_line);
        TAILQ_INSERT_TAIL(&l->senders, a, in_line);
        if (!to) { /* its flow for all that is done inside */
            TAILQ_REMOVE(&a->open, f, in_sender);
            TAILQ_INSERT_TAIL(&a->open, f, in_sender);
        }
        j = flow_first(s, f, now);
        if (j && to)
            to->running++;
        if (to)
            schedule_wake(to);
        if (j) {
            l->used++;
            return j;
        }
    }
    return NULL;
}

struct job *schedule_start(struct schedule *s, uint64_t now)
{
    struct job *j = s->inside.used < INSIDE_MAX ? line_next(s, &s->inside, now) : NULL;

    if (!j && s->outside.used < s->limits.connections)
        j = line_next(s, &s->outside, now);
    return j;
}

struct job *schedule_more(struct schedule *s, struct destination *to, uint32_t done, uint64_t now)
{
    struct job *j = NULL;
    struct flow *f;

    if (done >= SERVED_MAX && schedule_crowded(s))
        return NULL;
    if (done == 1 && to->window < s->limits.connections_destination)
        to->window++;
    to->credit = CREDIT_MAX;
    to->failures = 0;
    while (!j && ((f = TAILQ_FIRST(&to->waiting)) || (f = TAILQ_FIRST(&to->open))))
        j = flow_first(s, f, now);
    schedule_wake(to);
    return j;
}

void schedule_leave(struct schedule *s, struct destination *to, enum place_end how, uint64_t now)
{
    to->running--;
    s->outside.used--;
    if (how == PLACE_FAILED) {
        to->window = to->window > 1 ? to->window / 2 : 1;
        if (--to->credit <= 0)
            block(s, to, now);
    }
    schedule_wake(to);
    destination_put(s, to);
}

void schedule_leave_inside(struct schedule *s, struct job *j, uint64_t now)
{
    s->inside.used--;
}

void schedule_done(struct schedule *s, struct job *j)
{
    bug_if(j->state != JOB_RUNNING);
    s->nrunning--;
    job_free(s, j);
}

void schedule_defer(struct schedule *s, struct job *j, uint64_t next_try, uint64_t now)
{
    bug_if(j->state != JOB_RUNNING);
    s->nrunning--;
    if (j->task == TASK_DELAY)
        j->task = j->to ? TASK_SEND : TASK_LOCAL;
    j->next_try = next_try;
    schedule_heap_push(s, j);
    if (j->due <= now)
        schedule_advance(s, now);
}

uint64_t schedule_interval(const struct schedule *s, uint16_t tries)
{
    uint64_t wait = s->limits.retry_first;

    for (; tries > 0 && wait < s->limits.retry_max; tries--)
        wait *= 2;
    if (wait > s->limits.retry_max)
        wait = s->limits.retry_max;
    /* A tenth by chance: what failed together is not tried together. */
    return wait + randombytes_uniform((uint32_t)(wait / 10) + 1);
}

void schedule_advance(struct schedule *s, uint64_t now)
{
    while (s->heap_n && s->heap[0]->due <= now) {
        struct job *j = s->heap[0];
        const bool mail = j->task == TASK_SEND || j->task == TASK_LOCAL;

        schedule_heap_remove(s, j);
        if (mail && j->message->expires <= now)
            j->task = TASK_EXPIRE;
        else if (mail && j->next_try > now)
            j->task = TASK_DELAY;
        else if (j->task == TASK_SEND && j->to->blocked_until > now) {
            j->next_try = j->to->blocked_until;
            schedule_heap_push(s, j);
            continue;
        }
        schedule_make_ready(s, j, now);
    }
}

uint64_t schedule_due(const struct schedule *s)
{
    return s->heap_n ? s->heap[0]->due : UINT64_MAX;
}

const char *destination_name(const struct destination *d)
{
    return d->name;
}

bool schedule_crowded(const struct schedule *s)
{
    return s->outside.used >= s->limits.connections && !TAILQ_EMPTY(&s->outside.senders);
}

struct schedule_counts schedule_counts(const struct schedule *s)
{
    return (struct schedule_counts){s->messages.n, s->njobs, s->nready, s->nrunning, s->destinations.n};
}

static void unblock(struct schedule *s, struct destination *d, uint64_t now)
{
    const uint64_t until = d->blocked_until;

    d->blocked_until = 0;
    d->failures = 0;
    if (until <= now)
        return;
    for (uint32_t i = 0; i < s->heap_n; i++) {
        struct job *j = s->heap[i];
        if (j->to == d && j->next_try == until)
            j->next_try = now, j->due = schedule_due_of(s, j);
    }
}

void schedule_unblock(struct schedule *s, const char *destination, uint64_t now)
{
    struct destination *d = destination ? destination_find(s, destination) : NULL;

    if (d)
        unblock(s, d, now);
    for (size_t i = 0; !destination && i < s->destinations.cap; i++)
        for (struct table_node *n = s->destinations.v[i]; n; n = n->next)
            unblock(s, (struct destination *)n, now);
    for (uint32_t i = s->heap_n / 2; i-- > 0;)
        schedule_heap_down(s, i);
    schedule_advance(s, now);
}
