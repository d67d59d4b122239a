/* An engine that wraps another and fails its n-th call, for tests: each place where writing can fail is failed in turn.
 * A commit that fails this way commits nothing. */
#include "store/engine_impl.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

struct fail_txn {
    struct engine_txn base;
    struct engine_txn *inner;
};

struct fail_fetch {
    struct blob_fetch base;
    struct fail_fetch *next;
    void (*done)(void *arg);
    void *arg;
    bool arrived;
    int err;
    size_t n;
    struct blob_want wants[BLOB_WANTS_MAX];
};

struct fail_engine {
    struct engine base;
    struct engine *inner;
    uint64_t left; /* calls until one fails; 0: never */
    int err;
    uint64_t overruns;
    bool doubt, applied; /* the next commit: answer ERR_UNKNOWN; and do it */
    unsigned timeouts;
    bool later;   /* packets are not at hand */
    bool bounded; /* what may still be written is: */
    struct engine_room room;
    uint64_t held;
    struct fail_fetch *fetches;
};

static struct fail_engine *fe(struct engine *e)
{
    return (struct fail_engine *)e;
}

static struct engine_txn *inner(struct engine_txn *t)
{
    return ((struct fail_txn *)t)->inner;
}

static int due(struct fail_engine *e)
{
    return e->left && --e->left == 0 ? e->err : OK;
}

static int wrap(struct engine *e, bool group, struct engine_txn **ret)
{
    struct fail_txn *t = calloc(1, sizeof(*t));
    if (!t)
        return ERR_MEMORY;
    t->base = (struct engine_txn){.e = e, .group = group};
    int err = group ? engine_group_begin(fe(e)->inner, &t->inner) : engine_read_begin(fe(e)->inner, &t->inner);
    if (err) {
        free(t);
        return err;
    }
    *ret = &t->base;
    return OK;
}

static void fail_close(struct engine *e)
{
    engine_close(fe(e)->inner);
    free(e);
}

static int fail_read_begin(struct engine *e, struct engine_txn **ret)
{
    return wrap(e, false, ret);
}

static int fail_read_end(struct engine_txn *t)
{
    struct fail_engine *e = fe(t->e);
    int err = engine_read_end(inner(t));
    free(t);
    if (e->overruns) {
        e->overruns--;
        return ERR_OVERRUN;
    }
    return err;
}

static int fail_group_begin(struct engine *e, struct engine_txn **ret)
{
    int err = due(fe(e));
    return err ? err : wrap(e, true, ret);
}

static void fail_group_abort(struct engine_txn *t)
{
    engine_group_abort(inner(t));
    free(t);
}

static int fail_group_commit(struct engine_txn *t)
{
    struct fail_engine *e = fe(t->e);
    int err = due(e);
    if (err || (e->doubt && !e->applied))
        engine_group_abort(inner(t));
    else
        err = engine_group_commit(inner(t));
    free(t);
    if (err || !e->doubt)
        return err;
    e->doubt = false;
    return ERR_UNKNOWN;
}

static int fail_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    return engine_get(inner(t), part, key, ret);
}

static int fail_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value)
{
    int err = due(fe(t->e));
    return err ? err : engine_put(inner(t), part, key, value);
}

static int fail_del(struct engine_txn *t, uint64_t part, struct slice key)
{
    int err = due(fe(t->e));
    return err ? err : engine_del(inner(t), part, key);
}

static int fail_scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                     int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    return engine_scan(inner(t), part, from, to, flags, fn, arg);
}

static int fail_blobs(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
                      void *arg)
{
    return engine_blobs(inner(t), after, fn, arg);
}

static int fail_partitions(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg)
{
    return engine_partitions(inner(t), fn, arg);
}

static int fail_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                          uint8_t **ret)
{
    int err = due(fe(t->e));
    return err ? err : engine_blob_room(inner(t), part, kind, id, n, len, ret);
}

/* OK, or why the chunk cannot be had. */
static int brought(const struct fail_engine *e, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n)
{
    for (const struct fail_fetch *f = e->fetches; f; f = f->next) {
        for (size_t i = 0; f->arrived && i < f->n; i++) {
            const struct blob_want *w = &f->wants[i];
            if (w->account == part && w->kind == kind && w->id == id && n >= w->first && n - w->first < w->n)
                return f->err;
        }
    }
    return ERR_AGAIN;
}

static int fail_fetch(struct engine *e, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
                      struct blob_fetch **ret)
{
    struct fail_fetch *f = calloc(1, sizeof(*f));
    if (!f)
        return ERR_MEMORY;
    *f = (struct fail_fetch){.base.e = e, .next = fe(e)->fetches, .done = done, .arg = arg, .n = n};
    memcpy(f->wants, wants, n * sizeof(*wants));
    fe(e)->fetches = f;
    *ret = &f->base;
    return OK;
}

static void fail_fetch_end(struct blob_fetch *base)
{
    struct fail_fetch **p = &fe(base->e)->fetches;
    while (&(*p)->base != base)
        p = &(*p)->next;
    struct fail_fetch *f = *p;
    *p = f->next;
    free(f);
}

static int fail_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                         struct slice *ret)
{
    int err = fe(t->e)->later && kind == BLOB_PACKETS ? brought(fe(t->e), part, kind, id, n) : OK;
    return err ? err : engine_blob_get(inner(t), part, kind, id, n, ret);
}

static int fail_blob_del(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id)
{
    int err = due(fe(t->e));
    return err ? err : engine_blob_del(inner(t), part, kind, id);
}

static int fail_copy(struct engine *e, int fd)
{
    return engine_copy(fe(e)->inner, fd);
}

static int fail_reopen(struct engine *e)
{
    return engine_reopen(fe(e)->inner);
}

static int fail_resolve(struct engine *base, bool *ret_applied)
{
    struct fail_engine *e = fe(base);
    if (e->timeouts) {
        e->timeouts--;
        return ERR_TIMEOUT;
    }
    *ret_applied = e->applied;
    return OK;
}

static void fail_tick(struct engine *e)
{
    engine_tick(fe(e)->inner);
}

static int fail_stat(struct engine *e, struct engine_stat *ret)
{
    return engine_stat_get(fe(e)->inner, ret);
}

static int fail_room(struct engine *e, struct engine_room *ret)
{
    if (!fe(e)->bounded)
        return engine_room_get(fe(e)->inner, ret);
    *ret = fe(e)->room;
    return OK;
}

static int fail_reserve(struct engine *e, uint64_t bytes, uint64_t *ret_held)
{
    if (!fe(e)->bounded)
        return engine_reserve(fe(e)->inner, bytes, ret_held);
    *ret_held = fe(e)->held;
    fe(e)->held = bytes;
    return OK;
}

static const struct engine_ops fail_ops = {
    .name = "fail",
    .close = fail_close,
    .read_begin = fail_read_begin,
    .read_end = fail_read_end,
    .group_begin = fail_group_begin,
    .group_commit = fail_group_commit,
    .group_abort = fail_group_abort,
    .get = fail_get,
    .put = fail_put,
    .del = fail_del,
    .scan = fail_scan,
    .partitions = fail_partitions,
    .blob_room = fail_blob_room,
    .blob_get = fail_blob_get,
    .blob_del = fail_blob_del,
    .blobs = fail_blobs,
    .fetch = fail_fetch,
    .fetch_end = fail_fetch_end,
    .copy = fail_copy,
    .reopen = fail_reopen,
    .resolve = fail_resolve,
    .tick = fail_tick,
    .stat = fail_stat,
    .room = fail_room,
    .reserve = fail_reserve,
};

int engine_fail_wrap(struct engine *wrapped, struct engine **ret)
{
    struct fail_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return ERR_MEMORY;
    e->base.ops = &fail_ops;
    e->inner = wrapped;
    *ret = &e->base;
    return OK;
}

void engine_fail_at(struct engine *fail, uint64_t nth, int err)
{
    fe(fail)->left = nth;
    fe(fail)->err = err;
}

void engine_fail_later(struct engine *fail)
{
    fe(fail)->later = true;
}

size_t engine_fail_arrive(struct engine *fail, int err)
{
    size_t n = 0;
    for (struct fail_fetch *f = fe(fail)->fetches; f;) {
        if (f->arrived) {
            f = f->next;
            continue;
        }
        f->arrived = true;
        f->err = err;
        n += f->n;
        f->done(f->arg); /* which may end others */
        f = fe(fail)->fetches;
    }
    return n;
}

void engine_fail_unknown(struct engine *fail, bool applied, unsigned timeouts)
{
    fe(fail)->doubt = true;
    fe(fail)->applied = applied;
    fe(fail)->timeouts = timeouts;
}

void engine_fail_room(struct engine *fail, const struct engine_room *room)
{
    fe(fail)->bounded = true;
    fe(fail)->room = *room;
}

void engine_fail_overrun(struct engine *fail, uint64_t n)
{
    fe(fail)->overruns = n;
}
