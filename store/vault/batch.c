/* What waits, and the group: one commit and one sync for everything that is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/event.h"
#include "store/vault/vault.h"

enum { CHORES_IDLE_MS = 2000, CHORES_BUSY_MS = 5, STATUS_HEAD = 4 + 4 + 256 };

static void run_later(void *arg)
{
    vault_run(arg);
}

/* ---- requests ---- */

void request_free(struct request *q)
{
    if (q->fd >= 0)
        close(q->fd);
    q->from->waiting--;
    vault_client_put(q->from);
    free(q);
}

static void reply_send(struct client *c, uint64_t id, int status, const char *text, const void *body, size_t len)
{
    static uint8_t out[IPC_MAX];
    if (c->ipc == NULL)
        return;
    struct pack p;
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, text != NULL ? text : "");
    if (len > 0)
        pack_raw(&p, body, len);
    bug_if(p.failed);
    vault_client_send(c, VAULT_REPLY, id, out, p.len);
}

/* For people, of a commit that failed; NULL of anything else. */
static const char *commit_text(int err)
{
    return err == ERR_UNKNOWN ? "it is not known yet whether it was stored: look, and try again"
           : err == ERR_IO    ? "the store could not be written"
           : err == ERR_FULL  ? "the store could not be written: its disk, or map_size, is full"
                              : NULL;
}

void vault_answer(struct vault *v, struct request *q, int status, const char *text, const struct vault_reply *r)
{
    struct pack p;
    pack_init(&p, v->scratch, sizeof(v->scratch) - STATUS_HEAD);
    if (status == OK)
        vault_reply_pack(&p, q->verb->type, r);
    reply_send(q->from, q->id, status, text, p.data, p.len);
    request_free(q);
}

static int request_make(struct client *c, const struct verb *verb, uint64_t id, struct slice payload, int *fd,
                        struct request **ret)
{
    size_t room = VAULT_ROOM(payload.len);
    struct request *q = malloc(sizeof(*q) + room * sizeof(q->room[0]) + payload.len);
    if (q == NULL)
        return ERR_MEMORY;
    memset(q, 0, sizeof(*q));
    uint8_t *copy = (uint8_t *)(q->room + room);
    if (payload.len > 0)
        memcpy(copy, payload.data, payload.len);
    if (vault_request_unpack(verb->type, slice_of(copy, payload.len), q->room, &q->a) != OK) {
        free(q);
        return ERR_FORMAT;
    }
    q->verb = verb;
    q->from = c;
    q->id = id;
    q->fd = -1;
    if ((verb->needs & (NEEDS_FD | MAY_FD)) && *fd >= 0) {
        struct stat st;
        q->fd = *fd;
        q->fd_size = fstat(q->fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
        *fd = -1;
    }
    c->waiting++;
    *ret = q;
    return OK;
}

/* Its own requests are still answered: a role that asks once for what it may not (by a bug, or in a stranger's hands)
 * gains nothing, and the mail of all others hangs on the same channel. */
static void request_deny(struct client *c, const struct verb *verb, uint64_t id)
{
    c->vault->count.denied++;
    if (!c->denied) /* once: who may write the log without end may fill the disk */
        log_event(vault_request_denied, c->who ? __builtin_ffs((int)c->who) - 1 : ROLES, verb->type);
    c->denied = true;
    reply_send(c, id, ERR_DENIED, "this channel may not do that", NULL, 0);
}

/* What came before goes before. */
static void run_alone(struct vault *v, struct request *q)
{
    struct vault_reply r = {0};
    const char *text = NULL;
    const struct verb *verb = q->verb;
    vault_run(v);
    int status = verb->run(v, NULL, q, &r, &text);
    if (verb->needs & STEPS) /* else it has answered, and q is gone */
        vault_answer(v, q, status, text != NULL ? text : commit_text(status), &r);
}

/* Nobody waits for it, so it costs no commit of its own while there are others. */
static void ride(struct vault *v, struct request *q)
{
    q->next = v->waiting;
    v->waiting = q;
    if (q->next == NULL)
        v->waiting_tail = &q->next;
}

int vault_take(struct vault *v, struct client *c, uint32_t type, uint64_t id, struct slice payload, int *fd)
{
    const struct verb *verb = verb_find(type);
    if (verb == NULL || ((verb->needs & NEEDS_FD) && *fd < 0))
        return ERR_FORMAT;
    if (!(verb->may & c->who)) {
        request_deny(c, verb, id);
        return OK;
    }
    if (v->outdated && !(verb->needs & ANY_STEP)) {
        reply_send(c, id, ERR_UPGRADE, "the store is to be upgraded first", NULL, 0);
        return OK;
    }
    struct request *q;
    int err = request_make(c, verb, id, payload, fd, &q);
    if (err == ERR_FORMAT)
        return err;
    v->count.requests++;
    if (err != OK) {
        reply_send(c, id, err, "out of memory", NULL, 0);
        return OK;
    }
    if (verb->needs & (DIRECT | STEPS)) {
        run_alone(v, q);
        return OK;
    }
    /* A full group runs at once: what more there is waits in the sockets. */
    if (v->nwaiting > 0 && (v->nwaiting >= GROUP_REQUESTS || v->waiting_bytes + q->fd_size > GROUP_BYTES))
        vault_run(v);
    v->nwaiting++;
    v->waiting_bytes += q->fd_size;
    if (verb->needs & RIDES) {
        ride(v, q);
        return OK;
    }
    *v->waiting_tail = q;
    v->waiting_tail = &q->next;
    defer_set(v->loop, &v->run, run_later, v);
    return OK;
}

/* ---- the group ---- */

void vault_changed(struct vault *v, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    for (unsigned i = v->nchanges; i-- > 0;)
        if (v->changes[i].account == account && v->changes[i].mailbox == mailbox) {
            v->changes[i].modseq = modseq;
            v->changes[i].exists = exists;
            return;
        }
    bug_if(v->nchanges == CHANGES_MAX); /* no verb changes more than four mailboxes */
    v->changes[v->nchanges++] = (struct vault_change){account, mailbox, modseq, exists};
}

/* A notice to those who are `relay`, or to those who serve accounts. */
static void notice_send(struct vault *v, bool relay, const struct vault_change *changes, unsigned n)
{
    struct pack p;
    pack_init(&p, v->scratch, sizeof(v->scratch));
    vault_reply_pack(&p, VAULT_NOTICE, &(struct vault_reply){.changes = {n, changes}});
    for (struct client *c = v->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (relay ? c->who == VAULT_MAY_RELAY : c->who != VAULT_MAY_RELAY && c->who != VAULT_MAY_WEB)
            vault_client_send(c, VAULT_NOTICE, 0, v->scratch, p.len);
    }
    v->count.notices++;
}

void vault_client_greet(struct vault *v)
{
    struct pack p;
    pack_init(&p, v->scratch, sizeof(v->scratch));
    vault_reply_pack(&p, VAULT_NOTICE, &(struct vault_reply){.changes = {0, NULL}});
    vault_client_send(v->clients, VAULT_NOTICE, 0, v->scratch, p.len);
}

static void changes_forget(struct vault *v)
{
    v->nchanges = v->queue.nchanges = 0;
}

static void notices_send(struct vault *v)
{
    static struct vault_change queue[sizeof(v->queue.changes) / sizeof(v->queue.changes[0])];
    if (v->unknown)
        return;
    for (unsigned at = 0; at < v->nchanges; at += VAULT_CHANGES_MAX) {
        unsigned n = v->nchanges - at < VAULT_CHANGES_MAX ? v->nchanges - at : VAULT_CHANGES_MAX;
        notice_send(v, false, v->changes + at, n);
    }
    for (unsigned i = 0; i < v->queue.nchanges; i++)
        queue[i] = (struct vault_change){.account = PART_QUEUE, .modseq = v->queue.changes[i]};
    if (v->queue.nchanges > 0)
        notice_send(v, true, queue, v->queue.nchanges);
    changes_forget(v);
}

int engine_mend(struct vault *v, int err)
{
    if (err == ERR_IO)
        v->broken = true;
    return err;
}

/* OK: what the last group did is known, and told to whom it concerns if it did. */
static int group_resolve(struct vault *v)
{
    bool applied;
    int err = v->unknown ? engine_resolve(v->engine, &applied) : OK;
    if (err != OK || !v->unknown)
        return err;
    log_event(vault_commit_resolved, applied);
    v->unknown = false;
    if (!applied)
        changes_forget(v);
    else if (v->queue.nchanges > 0)
        err = queue_count(v);
    notices_send(v);
    return OK;
}

/* What did not become true is forgotten. A group that may be there keeps its changes until that is known. */
static int group_commit(struct vault *v, struct engine_txn *t)
{
    int err = engine_mend(v, engine_group_commit(t));
    if (err == OK)
        return OK;
    gate_forget(v->gate);
    v->unknown = err == ERR_UNKNOWN;
    if (v->unknown) {
        v->count.commit_unknown++;
        log_event(vault_commit_unknown);
    } else {
        changes_forget(v);
        v->count.commit_failed++;
        log_event(vault_commit_failed, err);
        if (err == ERR_FULL)
            room_failed(v);
    }
    return err;
}

static int group_open(struct vault *v, struct engine_txn **ret)
{
    int err = group_resolve(v);
    if (err != OK)
        return err;
    if (v->broken) {
        err = v->backup != NULL ? ERR_IO : engine_reopen(v->engine); /* not under the feet of a copy */
        if (err != OK)
            return err;
        v->broken = false;
        log_event(vault_engine_reopened);
    }
    return engine_mend(v, engine_group_begin(v->engine, ret));
}

static void group_undo(struct vault *v, struct engine_txn *t, int err)
{
    engine_group_abort(t);
    engine_mend(v, err);
    if (err == ERR_FULL)
        room_failed(v);
    gate_forget(v->gate);
    changes_forget(v);
    buf_clear(&v->replies);
}

/* Runs one request inside the group. False: it failed after a write, the group is spoiled. */
static bool request_run(struct vault *v, struct engine_txn *t, struct request *q, bool *wrote)
{
    struct store_write *w = &v->write;
    engine_step(t);
    w->t = t;
    w->keys = v->keys;
    w->account = q->a.account;
    w->now = v->clock();
    w->wrote = false;
    struct pack body;
    struct vault_reply reply = {0};
    pack_init(&body, v->scratch, sizeof(v->scratch) - STATUS_HEAD);
    q->text = NULL;
    q->queued = q->held = q->suppressed = q->policies = q->tallies = 0;
    q->complaints = 0;
    if (room_refuses(v, q)) {
        v->count.refused_full++;
        q->status = ERR_FULL;
        q->text = "the disk is nearly full";
        return true;
    }
    w->entries_max = v->entries_max;
    write_begin(w);
    q->status = q->verb->run(v, w, q, &reply, &q->text);
    if (q->status == OK)
        q->status = write_end(w);
    if (q->status == OK)
        vault_reply_pack(&body, q->verb->type, &reply);
    if (q->status == OK && body.failed)
        q->status = ERR_LIMIT;
    if (q->status == OK && body.len > 0) {
        q->status = buf_append(&v->replies, body.data, body.len);
        q->reply_at = v->replies.len - body.len;
        q->reply_len = body.len;
    }
    if (q->status == OK && w->wrote && (q->verb->needs & CHANGES_ACCOUNT))
        vault_changed(v, w->account, 0, 0, 0);
    *wrote |= w->wrote;
    return q->status == OK || !w->wrote;
}

/* A group that was not committed, or may not have been, answers nothing but that: a refusal too may rest on what
 * another request of it did. */
static void group_answer(struct vault *v, struct request *first, int commit)
{
    for (struct request *q = first, *next; q != NULL; q = next) {
        next = q->next;
        if (commit != OK) {
            q->status = commit;
            q->text = commit_text(commit);
        }
        if (q->status == OK && q->verb->stored)
            q->verb->stored(v, q);
        size_t len = q->status == OK ? q->reply_len : 0;
        reply_send(q->from, q->id, q->status, q->text, len > 0 ? v->replies.data + q->reply_at : NULL, len);
        request_free(q);
    }
    buf_consume(&v->replies, v->replies.len);
    notices_send(v);
}

/* Runs a list in one group. False: nothing was answered, each is to be run again by itself: one of several spoiled the
 * group, or the disk was full and what is kept for that has just been given up. */
static bool group_run(struct vault *v, struct request *first)
{
    struct engine_txn *t;
    bool wrote = false;
    for (struct request *q = first; q != NULL; q = q->next)
        q->status = OK, q->reply_len = 0;
    int err = group_open(v, &t);
    if (err != OK) {
        group_answer(v, first, err);
        return true;
    }
    const struct vault_counters before = v->count;
    v->count.groups++;
    for (struct request *q = first; q != NULL; q = q->next) {
        if (request_run(v, t, q, &wrote))
            continue;
        group_undo(v, t, q->status);
        v->count = before; /* none of it happened */
        v->count.groups++;
        v->count.spoiled++;
        if (first->next != NULL)
            return false;
        group_answer(v, first, OK);
        return true;
    }
    if (!wrote) {
        engine_group_abort(t);
    } else if ((err = group_commit(v, t)) != OK) {
        v->count.delivered = before.delivered;
        v->count.duplicates = before.duplicates;
        v->count.seen = before.seen;
        if (err == ERR_FULL && room_give_up(v)) {
            buf_clear(&v->replies);
            return false;
        }
    }
    group_answer(v, first, err);
    (void)group_resolve(v); /* else the next group does it, or the next tick */
    return true;
}

/* How many messages a request may meet. */
static uint32_t request_entries(const struct request *q)
{
    const struct vault_set *s = q->a.type == VAULT_STORE_FLAGS ? &q->a.flags.set
                                : q->a.type == VAULT_COPY      ? &q->a.copy.set
                                : q->a.type == VAULT_EXPUNGE   ? &q->a.expunge.set
                                                               : NULL;
    uint64_t n = q->verb->entries;
    for (uint32_t i = 0; s != NULL && i < s->n && n < VAULT_SET_MAX; i++)
        n += s->v[i].last >= s->v[i].first ? s->v[i].last - s->v[i].first + UINT64_C(1) : 0;
    return n < VAULT_SET_MAX ? (uint32_t)n : VAULT_SET_MAX;
}

/* Who is in the group that is put together: of an account no more than one request with many messages. Those of an
 * account keep their order. */
struct crowd {
    bool full;
    uint32_t entries, n;
    uint64_t accounts[GROUP_ENTRIES / MANY_ENTRIES + 1];
};

static bool group_has_room(struct crowd *g, const struct request *q)
{
    uint32_t n = request_entries(q);
    if (n < MANY_ENTRIES)
        return true;
    for (uint32_t i = 0; i < g->n; i++)
        if (g->accounts[i] == q->a.account)
            return false;
    g->full = g->full || (g->entries + n > GROUP_ENTRIES && g->n > 0);
    if (g->full)
        return false;
    g->entries += n;
    g->accounts[g->n++] = q->a.account;
    return true;
}

/* Takes the next group out of what waits. Requests with few messages overtake those with many that must wait. */
static struct request *group_take(struct vault *v)
{
    struct crowd g = {0};
    struct request *first = NULL, **tail = &first, **p = &v->waiting;
    while (*p != NULL) {
        struct request *q = *p;
        if (!group_has_room(&g, q)) {
            p = &q->next;
            continue;
        }
        *p = q->next;
        q->next = NULL;
        *tail = q;
        tail = &q->next;
        v->nwaiting--;
        v->waiting_bytes -= q->fd_size;
    }
    v->waiting_tail = p;
    return first;
}

void vault_run(struct vault *v)
{
    struct request *first, *next;
    if (v->waiting == NULL || v->running)
        return;
    v->running = true;
    first = group_take(v);
    uint64_t bytes = 0;
    for (next = first; next != NULL; next = next->next)
        bytes += next->fd_size;
    if (v->waiting != NULL)
        defer_set_long(v->loop, &v->rest, run_later, v);
    if (!group_run(v, first))
        for (; first != NULL; first = next) {
            next = first->next;
            first->next = NULL;
            if (!group_run(v, first))
                (void)group_run(v, first);
        }
    v->running = false;
    room_spend(v, bytes);
}

int vault_step(struct vault *v, vault_step_fn *step, void *arg)
{
    struct engine_txn *t;
    struct store_write *w = &v->write;
    int err = group_open(v, &t);
    if (err != OK)
        return err;
    w->t = t;
    w->keys = v->keys;
    w->account = PART_INSTANCE;
    w->now = v->clock();
    w->wrote = false;
    w->entries_max = v->entries_max;
    write_begin(w);
    err = step(v, w, arg);
    if (err == OK)
        err = write_end(w);
    if (err != OK)
        group_undo(v, t, err);
    else if (!w->wrote)
        engine_group_abort(t); /* the gate's keys stay */
    else
        err = group_commit(v, t);
    if (err == ERR_FULL)
        (void)room_give_up(v); /* the next one has it */
    notices_send(v);
    (void)group_resolve(v); /* else the next group does it, or the next tick */
    return err;
}

/* ---- birth and end ---- */

static void tick(void *arg)
{
    struct vault *v = arg;
    engine_tick(v->engine);
    room_look(v);
    (void)group_resolve(v);
    timer_set(v->tick, v->turn_ms / 2 > 0 ? v->turn_ms / 2 : 1);
}

static void chores(void *arg)
{
    struct vault *v = arg;
    vault_run(v); /* what rides, and has found nothing to ride in */
    timer_set(v->chores, !v->outdated && vault_chores(v) ? CHORES_BUSY_MS : CHORES_IDLE_MS);
}

static uint64_t clock_now(void)
{
    return (uint64_t)time(NULL);
}

int vault_create(struct loop *l, struct engine *e, const struct record_keys *keys, uint64_t message_max,
                 uint32_t turn_ms, struct vault **ret)
{
    struct vault *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return ERR_MEMORY;
    v->loop = l;
    v->engine = e;
    v->keys = keys;
    v->message_max = message_max;
    v->turn_ms = turn_ms;
    v->queue.most = UINT64_MAX;
    v->clock = clock_now;
    v->waiting_tail = &v->waiting;
    v->chore_cursor = PART_ACCOUNT_FIRST;
    v->room.file = UINT64_MAX; /* an earlier vault may have kept some */
    v->sweep = true;           /* what a vault that died has left */
    buf_init(&v->replies, REPLIES_MAX, false);
    v->tick = timer_create_in(l, tick, v);
    v->chores = timer_create_in(l, chores, v);
    if (gate_create(record_keys_queue_public(keys), &v->gate) != OK || v->tick == NULL || v->chores == NULL) {
        vault_destroy(v);
        return ERR_MEMORY;
    }
    timer_set(v->tick, turn_ms / 2 > 0 ? turn_ms / 2 : 1);
    timer_set(v->chores, CHORES_IDLE_MS);
    *ret = v;
    return OK;
}

void vault_destroy(struct vault *v)
{
    if (v == NULL)
        return;
    while (v->waiting != NULL)
        vault_run(v);
    backup_destroy(v->backup);
    for (struct client *c = v->clients, *next; c != NULL; c = next) {
        next = c->next;
        vault_client_close(c);
    }
    defer_cancel(v->loop, &v->run);
    defer_cancel(v->loop, &v->rest);
    timer_destroy(v->tick);
    timer_destroy(v->chores);
    gate_destroy(v->gate);
    buf_free(&v->replies);
    free(v);
}
