/* The entry points of engine.h: bounds that hold for every engine, the poisoning of failed groups, and the call through
 * the vtable. */
#include "store/engine_impl.h"

#include <string.h>

#include "server/core/error.h"

void engine_close(struct engine *e)
{
    if (e)
        e->ops->close(e);
}

int engine_read_begin(struct engine *e, struct engine_txn **ret)
{
    return e->ops->read_begin(e, ret);
}

int engine_read_end(struct engine_txn *t)
{
    return t->e->ops->read_end(t);
}

int engine_group_begin(struct engine *e, struct engine_txn **ret)
{
    return e->unknown ? ERR_UNKNOWN : e->ops->group_begin(e, ret);
}

int engine_group_commit(struct engine_txn *t)
{
    struct engine *e = t->e;
    int err = t->failed;
    if (err) {
        e->ops->group_abort(t);
        return err;
    }
    err = e->ops->group_commit(t);
    e->unknown = err == ERR_UNKNOWN;
    return err;
}

void engine_group_abort(struct engine_txn *t)
{
    if (t)
        t->e->ops->group_abort(t);
}

void engine_step(struct engine_txn *t)
{
    t->wrote = false;
}

void engine_one_partition(struct engine *e)
{
    e->one_partition = true;
}

/* A write that failed half way leaves a group nobody may commit. */
static int written(struct engine_txn *t, int err)
{
    if (err && err != ERR_NOT_FOUND && !t->failed)
        t->failed = err;
    return err;
}

static int write_allowed(struct engine_txn *t, uint64_t part)
{
    if (!t->group || t->failed)
        return t->group ? t->failed : ERR_DENIED;
    if (t->e->one_partition && t->wrote && t->part != part)
        return written(t, ERR_CONFLICT);
    t->wrote = true;
    t->part = part;
    return OK;
}

int engine_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    if (t->failed)
        return t->failed;
    if (!key.len || key.len > ENGINE_KEY_MAX)
        return ERR_LIMIT;
    return t->e->ops->get(t, part, key, ret);
}

int engine_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value)
{
    int err = write_allowed(t, part);
    if (err)
        return err;
    if (!key.len || key.len > ENGINE_KEY_MAX || value.len > ENGINE_VALUE_MAX)
        return written(t, ERR_LIMIT);
    return written(t, t->e->ops->put(t, part, key, value));
}

int engine_del(struct engine_txn *t, uint64_t part, struct slice key)
{
    int err = write_allowed(t, part);
    if (err)
        return err;
    if (!key.len || key.len > ENGINE_KEY_MAX)
        return written(t, ERR_LIMIT);
    return written(t, t->e->ops->del(t, part, key));
}

int engine_scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    if (t->failed)
        return t->failed;
    if (from.len > ENGINE_KEY_MAX || to.len > ENGINE_KEY_MAX)
        return ERR_LIMIT;
    return t->e->ops->scan(t, part, from, to, flags, fn, arg);
}

int engine_partitions(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg)
{
    return t->e->ops->partitions(t, fn, arg);
}

int engine_blobs(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
                 void *arg)
{
    return t->failed ? t->failed : t->e->ops->blobs(t, after, fn, arg);
}

static bool has_blob(uint64_t part, uint64_t id, uint32_t n)
{
    return part < BLOB_PART_MAX && id < BLOB_ID_MAX && n < BLOB_CHUNK_NONE;
}

int engine_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                     uint8_t **ret)
{
    int err = write_allowed(t, part);
    if (err)
        return err;
    if (!has_blob(part, id, n) || len > ENGINE_BLOB_CHUNK)
        return written(t, ERR_LIMIT);
    return written(t, t->e->ops->blob_room(t, part, kind, id, n, len, ret));
}

int engine_blob_put(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                    struct slice data)
{
    uint8_t *room;
    int err = engine_blob_room(t, part, kind, id, n, data.len, &room);
    if (!err && data.len)
        memcpy(room, data.data, data.len);
    return err;
}

int engine_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                    struct slice *ret)
{
    if (t->failed)
        return t->failed;
    return !has_blob(part, id, n) ? ERR_LIMIT : t->e->ops->blob_get(t, part, kind, id, n, ret);
}

int engine_blob_del(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id)
{
    int err = write_allowed(t, part);
    if (err)
        return err;
    return written(t, !has_blob(part, id, 0) ? ERR_LIMIT : t->e->ops->blob_del(t, part, kind, id));
}

int engine_fetch(struct engine *e, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
                 struct blob_fetch **ret)
{
    if (!e->ops->fetch)
        return ERR_UNSUPPORTED;
    return n > BLOB_WANTS_MAX ? ERR_LIMIT : e->ops->fetch(e, wants, n, done, arg, ret);
}

void engine_fetch_end(struct blob_fetch *f)
{
    if (f)
        f->e->ops->fetch_end(f);
}

int engine_copy(struct engine *e, int fd)
{
    return e->ops->copy(e, fd);
}

int engine_reopen(struct engine *e)
{
    return e->ops->reopen(e);
}

int engine_resolve(struct engine *e, bool *ret_applied)
{
    if (!e->unknown)
        return ERR_CONFLICT;
    int err = e->ops->resolve(e, ret_applied);
    e->unknown = err != OK;
    return err;
}

void engine_tick(struct engine *e)
{
    e->ops->tick(e);
}

int engine_room_get(struct engine *e, struct engine_room *ret)
{
    return e->ops->room ? e->ops->room(e, ret) : ERR_UNSUPPORTED;
}

int engine_reserve(struct engine *e, uint64_t bytes, uint64_t *ret_held)
{
    return e->ops->reserve ? e->ops->reserve(e, bytes, ret_held) : ERR_UNSUPPORTED;
}

int engine_stat_get(struct engine *e, struct engine_stat *ret)
{
    return e->ops->stat(e, ret);
}
