#include <stdlib.h>

#include "server/core/error.h"
#include "server/relay/schedule_impl.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

    return h ^ h >> 31;
}

static struct sender *sender_get(struct schedule *s, uint64_t account, struct line *line)
{
    const uint64_t hash = mix(account, line == &s->inside);
    struct sender *a;

    for (struct table_node *n = table_first(&s->senders, hash); n; n = table_next(n))
        if (((struct sender *)n)->account == account && ((struct sender *)n)->line == line)
            return (struct sender *)n;
    if (!(a = calloc(1, sizeof(*a))) || table_put(&s->senders, &a->node, hash) != OK) {
        free(a);
        return NULL;
    }
    a->account = account;
    a->line = line;
    TAILQ_INIT(&a->open);
    return a;
}

static void sender_put(struct schedule *s, struct sender *a)
{
    if (a->nflows)
        return;
    if (a->waits)
        TAILQ_REMOVE(&a->line->senders, a, in_line);
    table_remove(&s->senders, &a->node);
    free(a);
}

static struct flow *flow_get(struct schedule *s, struct destination *to, uint64_t account)
{
    const uint64_t hash = mix((uint64_t)(uintptr_t)to, account);
    struct sender *a;
    struct flow *f;

    for (struct table_node *n = table_first(&s->flows, hash); n; n = table_next(n))
        if (((struct flow *)n)->to == to && ((struct flow *)n)->sender->account == account)
            return (struct flow *)n;
    if (!(a = sender_get(s, account, to ? &s->outside : &s->inside)))
        return NULL;
    if (!(f = calloc(1, sizeof(*f))) || table_put(&s->flows, &f->node, hash) != OK) {
        free(f);
        sender_put(s, a);
        return NULL;
    }
    f->to = to;
    f->sender = a;
    a->nflows++;
    TAILQ_INIT(&f->jobs);
    if (to)
        TAILQ_INSERT_TAIL(&to->waiting, f, in_destination);
    return f;
}

void schedule_flow_close(struct flow *f)
{
    struct sender *a = f->sender;

    if (!f->open)
        return;
    f->open = false;
    TAILQ_REMOVE(&a->open, f, in_sender);
    if (TAILQ_EMPTY(&a->open)) {
        TAILQ_REMOVE(&a->line->senders, a, in_line);
        a->waits = false;
    }
    if (!f->to)
        return;
    f->to->nopen--;
    TAILQ_REMOVE(&f->to->open, f, in_destination);
    TAILQ_INSERT_TAIL(&f->to->waiting, f, in_destination);
}

static void flow_open(struct flow *f)
{
    struct sender *a = f->sender;

    if (f->open)
        return;
    f->open = true;
    TAILQ_INSERT_TAIL(&a->open, f, in_sender);
    if (!a->waits)
        TAILQ_INSERT_TAIL(&a->line->senders, a, in_line);
    a->waits = true;
    if (!f->to)
        return;
    f->to->nopen++;
    TAILQ_REMOVE(&f->to->waiting, f, in_destination);
    TAILQ_INSERT_TAIL(&f->to->open, f, in_destination);
}

static void flow_free(struct schedule *s, struct flow *f)
{
    struct sender *a = f->sender;

    schedule_flow_close(f);
    if (f->to)
        TAILQ_REMOVE(&f->to->waiting, f, in_destination);
    table_remove(&s->flows, &f->node);
    a->nflows--;
    sender_put(s, a);
    free(f);
}

void schedule_wake(struct destination *d)
{
    struct flow *f;

    while (d->running + d->nopen < d->window && (f = TAILQ_FIRST(&d->waiting)))
        flow_open(f);
}

void schedule_flow_take(struct schedule *s, struct job *j)
{
    struct flow *f = j->flow;

    TAILQ_REMOVE(&f->jobs, j, in_flow);
    j->flow = NULL;
    s->nready--;
    if (TAILQ_EMPTY(&f->jobs))
        flow_free(s, f);
}

void schedule_make_ready(struct schedule *s, struct job *j, uint64_t now)
{
    const bool send = j->task == TASK_SEND;
    struct flow *f = flow_get(s, send ? j->to : NULL, j->message->account);

    if (!f) {
        j->next_try = now + SCHEDULE_MEMORY_RETRY;
        schedule_heap_push(s, j);
        return;
    }
    j->state = JOB_READY;
    j->flow = f;
    TAILQ_INSERT_TAIL(&f->jobs, j, in_flow);
    s->nready++;
    if (send)
        schedule_wake(j->to);
    else
        flow_open(f);
}
