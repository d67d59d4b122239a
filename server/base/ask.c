/* What was asked is kept until it is answered, so that a new peer can be asked again. */
#include "server/base/ask.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/event.h"
#include "server/base/role.h"

enum { SWEEP_MS = 250, MISSING_MS = 1000, TEXT_MAX = 255, STATUS_MAX = 1000 };

struct question {
    TAILQ_ENTRY(question) in_order; /* of asking */
    uint64_t id, deadline;          /* for the next channel, or for this one's answer */
    uint32_t type;
    unsigned flags, nfds;
    bool sent;
    int fds[IPC_MAX_FDS];
    ask_fn *fn; /* NULL: forgotten */
    void *arg;
    size_t len;
    uint8_t payload[];
};

struct ask {
    struct loop *loop;
    struct ask_params p;
    struct ipc *ipc;
    struct timer *sweep, *missing;
    bool sweeping;
    TAILQ_HEAD(, question) questions;
    uint64_t generation;
    struct question **slots; /* slot = id % max */
    uint16_t *free;
    unsigned nfree;
};

static void question_free(struct question *q)
{
    for (unsigned i = 0; i < q->nfds; i++)
        close(q->fds[i]);
    free(q);
}

static void question_end(struct ask *a, struct question *q, int status, struct unpack *body)
{
    unsigned slot = (unsigned)(q->id % a->p.max);
    ask_fn *fn = q->fn;
    void *arg = q->arg;
    struct unpack none;

    TAILQ_REMOVE(&a->questions, q, in_order);
    a->slots[slot] = NULL;
    a->free[a->nfree++] = (uint16_t)slot;
    question_free(q);
    unpack_init(&none, "", 0);
    if (fn)
        fn(arg, status, body ? body : &none);
}

static void question_until(struct ask *a, struct question *q, uint64_t ms)
{
    q->deadline = loop_now_ms(a->loop) + ms;
    if (!a->sweeping)
        timer_set(a->sweep, SWEEP_MS);
    a->sweeping = true;
}

static void question_wait(struct ask *a, struct question *q)
{
    q->sent = false;
    question_until(a, q, a->p.wait_ms);
}

static int question_send(struct ask *a, struct question *q, const void *payload, const int *fds, unsigned nfds)
{
    int err = a->ipc ? ipc_send(a->ipc, q->type, q->id, payload, q->len, fds, nfds) : ERR_GONE;

    if (err == ERR_GONE && a->p.wait_ms) {
        question_wait(a, q);
        return OK;
    }
    q->sent = err == OK;
    if (err == OK)
        question_until(a, q, a->p.answer_ms);
    return err;
}

static bool is_lost(const struct ask *a, const struct question *q)
{
    return q->sent && (!(q->flags & ASK_AGAIN) || !q->fn);
}

static bool is_late(const struct ask *a, const struct question *q)
{
    return !q->sent && q->deadline <= loop_now_ms(a->loop);
}

/* Callbacks may ask again or forget others, so each search begins anew. */
static void fail_where(struct ask *a, bool (*which)(const struct ask *a, const struct question *q), int err)
{
    struct question *q = TAILQ_FIRST(&a->questions);

    while (q) {
        if (!which(a, q)) {
            q = TAILQ_NEXT(q, in_order);
            continue;
        }
        question_end(a, q, err, NULL);
        q = TAILQ_FIRST(&a->questions);
    }
}

/* A question that was sent keeps its slot, forgotten, until the peer answers or dies: a late answer then finds it. */
static void fail_unanswered(struct ask *a)
{
    struct unpack none;

    unpack_init(&none, "", 0);
    for (struct question *q = TAILQ_FIRST(&a->questions); q;) {
        ask_fn *fn = q->fn;
        if (!q->sent || !fn || q->deadline > loop_now_ms(a->loop)) {
            q = TAILQ_NEXT(q, in_order);
            continue;
        }
        q->fn = NULL;
        log_event(peer_does_not_answer, a->p.peer);
        fn(q->arg, ERR_TIMEOUT, &none);
        q = TAILQ_FIRST(&a->questions); /* fn may have asked or forgotten */
    }
}

static void sweep(void *arg)
{
    struct ask *a = arg;

    a->sweeping = false;
    fail_where(a, is_late, ERR_TIMEOUT);
    fail_unanswered(a);
    if (TAILQ_FIRST(&a->questions) && !a->sweeping) {
        timer_set(a->sweep, SWEEP_MS);
        a->sweeping = true;
    }
}

/* A peer that died gets a successor, whose channel comes by itself. One that lives has ended the channel because of
 * what it was sent: master sees to that. */
static void channel_missing(void *arg)
{
    struct ask *a = arg;
    uint8_t peer = (uint8_t)a->p.peer;
    const struct pack p = {.data = &peer, .len = 1, .cap = 1};

    (void)role_send(ROLE_MSG_PEER_GONE, 0, &p);
    timer_set(a->missing, MISSING_MS);
}

static void channel_lost(void *arg)
{
    struct ask *a = arg;
    struct question *q;

    ipc_destroy(a->ipc);
    a->ipc = NULL;
    timer_set(a->missing, MISSING_MS);
    TAILQ_FOREACH(q, &a->questions, in_order)
    if (q->sent && !is_lost(a, q))
        question_wait(a, q);
    fail_where(a, is_lost, ERR_GONE);
}

static int on_message(void *arg, struct ipc_msg *msg)
{
    struct ask *a = arg;
    struct question *q;
    struct unpack u;
    uint32_t status;

    if (msg->type != a->p.reply)
        return a->p.on_other ? a->p.on_other(a->p.arg, msg) : ERR_FORMAT;
    unpack_init(&u, msg->payload.data, msg->payload.len);
    status = unpack_u32(&u);
    (void)unpack_bytes(&u, TEXT_MAX); /* for people at a terminal: the log has no text of roles */
    q = a->slots[msg->id % a->p.max];
    if (u.failed || status > STATUS_MAX || !q || q->id != msg->id || !q->sent)
        return ERR_FORMAT;
    if (status != 0 && q->fn)
        log_event(peer_says, a->p.peer, -(int64_t)status);
    question_end(a, q, -(int)status, &u);
    return OK;
}

struct ask *ask_create(struct loop *l, const struct ask_params *p)
{
    struct ask *a = calloc(1, sizeof(*a));

    bug_if(p->max == 0 || p->max > UINT16_MAX);
    if (!a)
        return NULL;
    a->loop = l;
    a->p = *p;
    TAILQ_INIT(&a->questions);
    a->slots = calloc(p->max, sizeof(*a->slots));
    a->free = calloc(p->max, sizeof(*a->free));
    a->sweep = timer_create_in(l, sweep, a);
    a->missing = timer_create_in(l, channel_missing, a);
    if (!a->slots || !a->free || !a->sweep || !a->missing) {
        ask_destroy(a);
        return NULL;
    }
    for (unsigned i = p->max; i-- > 0;)
        a->free[a->nfree++] = (uint16_t)i;
    return a;
}

void ask_destroy(struct ask *a)
{
    struct question *q;

    if (!a)
        return;
    while ((q = TAILQ_FIRST(&a->questions))) {
        TAILQ_REMOVE(&a->questions, q, in_order);
        question_free(q);
    }
    ipc_destroy(a->ipc);
    timer_destroy(a->sweep);
    timer_destroy(a->missing);
    free(a->slots);
    free(a->free);
    free(a);
}

void ask_channel(struct ask *a, int fd)
{
    static const struct ipc_ops ops = {on_message, channel_lost};

    if (a->ipc)
        channel_lost(a);
    a->ipc = ipc_create(a->loop, fd, &ops, a);
    if (!a->ipc)
        return; /* what waits times out */
    timer_set(a->missing, 0);
    for (struct question *q = TAILQ_FIRST(&a->questions); q;) {
        int err = q->sent ? OK : question_send(a, q, q->payload, q->fds, q->nfds);
        if (err == OK) {
            q = TAILQ_NEXT(q, in_order);
            continue;
        }
        question_end(a, q, err, NULL);
        q = TAILQ_FIRST(&a->questions);
    }
}

/* For the next channel, should this one be lost. */
static int question_keep(struct question *q, const struct pack *payload, const int *fds, unsigned nfds)
{
    memcpy(q->payload, payload->data, payload->len);
    for (; q->nfds < nfds; q->nfds++) {
        q->fds[q->nfds] = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 3);
        if (q->fds[q->nfds] < 0)
            return ERR_MEMORY;
    }
    return OK;
}

int ask_send(struct ask *a, uint32_t type, const struct pack *payload, const int *fds, unsigned nfds, unsigned flags,
             ask_fn *fn, void *arg, uint64_t *ret_id)
{
    bool keep = a->p.wait_ms != 0;
    struct question *q;
    uint16_t slot;
    int err = OK;

    if (payload->failed || payload->len > IPC_MAX || nfds > IPC_MAX_FDS)
        return ERR_LIMIT;
    if (a->nfree == 0)
        return ERR_FULL;
    q = calloc(1, sizeof(*q) + (keep ? payload->len : 0));
    if (!q)
        return ERR_MEMORY;
    /* A slot's next use has another id, so a late reply meets nobody else's question. */
    slot = a->free[a->nfree - 1];
    q->id = ++a->generation * a->p.max + slot;
    q->type = type;
    q->flags = flags;
    q->fn = fn;
    q->arg = arg;
    q->len = payload->len;
    if (keep)
        err = question_keep(q, payload, fds, nfds);
    if (err == OK)
        err = question_send(a, q, payload->data, fds, nfds);
    if (err != OK) {
        question_free(q);
        return err;
    }
    a->nfree--;
    a->slots[slot] = q;
    TAILQ_INSERT_TAIL(&a->questions, q, in_order);
    if (ret_id)
        *ret_id = q->id;
    return OK;
}

void ask_forget(struct ask *a, uint64_t id)
{
    struct question *q = a->slots[id % a->p.max];

    if (!q || q->id != id)
        return;
    const bool tells = q->fn && q->sent && a->p.forget && a->ipc;
    q->fn = NULL;
    if (!q->sent)
        question_end(a, q, OK, NULL);
    else if (tells)
        (void)ipc_send(a->ipc, a->p.forget, id, "", 0, NULL, 0); /* what is not heard is answered like others */
}
