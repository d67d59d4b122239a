/* The embedded engine over LMDB. One process writes and holds the lock file; readers map the file read-only, take no lock and leave no trace, so nothing tells LMDB which
 * pages they still see. The rolling pin tells it: the writer keeps a read transaction at least turn_ms old, so pages of any snapshot younger than that are not used again.
 *
 * Why a reader is right. It takes the clock, picks the newer meta page (snapshot n) and copies the roots. If the writer replaced that meta page meanwhile, the
 * roots are another commit's: every commit puts its own number under 'S', so a snapshot whose number and 'S' differ is thrown away. Otherwise n was the newest commit at a
 * moment after the clock was taken. Until turn_ms later the writer's oldest pin began before that clock, so it is n or older, and LMDB keeps every page of n. What is
 * read after that is refused. A reader stopped for longer in the middle of a look-up may still touch a page used again: it then may get nonsense (refused at its end), or at worst
 * a fault that ends its process, never the writer's. */
#include "store/engine_impl.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/base/error.h"

enum { PATH_CAP = 1024, BEGIN_TRIES = 2000, READERS_MAX = 16, PART_SIZE = 8, BLOB_KEY = 8 + 8 + 4 };

struct lmdb_txn {
    struct engine_txn base;
    MDB_txn *txn;
    uint64_t begun; /* ns; snapshots */
    bool open, wrote;
};

struct lmdb_engine {
    struct engine base;
    char path[PATH_CAP];
    uint64_t map_size, turn_ns;
    bool writer, pin_off;
    MDB_env *env;
    MDB_dbi kv, blob;
    MDB_txn *pin[2];      /* [0] is the older */
    uint64_t pin_at[2], opened;
    bool wait_first;      /* readers of an earlier writer may be about */
    struct lmdb_txn read, group;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int map_error(int rc)
{
    static const struct { int rc, err; } table[] = {
        {MDB_SUCCESS, OK}, {MDB_NOTFOUND, ERR_NOT_FOUND}, {MDB_MAP_FULL, ERR_FULL}, {MDB_TXN_FULL, ERR_FULL}, {ENOSPC, ERR_FULL}, {EDQUOT, ERR_FULL},
        {ENOMEM, ERR_MEMORY}, {MDB_VERSION_MISMATCH, ERR_VERSION}, {MDB_INVALID, ERR_FORMAT}, {MDB_BAD_TXN, ERR_STATE}, {ENOENT, ERR_NOT_FOUND},
        {EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {MDB_READERS_FULL, ERR_LIMIT}, {MDB_BAD_VALSIZE, ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].rc == rc)
            return table[i].err;
    return ERR_IO;
}

static struct lmdb_engine *lm(struct engine *e)
{
    return (struct lmdb_engine *)e;
}

static struct lmdb_txn *lt(struct engine_txn *t)
{
    return (struct lmdb_txn *)t;
}

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        p[bytes] = (uint8_t)v;
        v >>= 8;
    }
}

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes--)
        v = v << 8 | *p++;
    return v;
}

static MDB_val full_key(uint8_t out[PART_SIZE + ENGINE_KEY_MAX], uint64_t part, struct slice key)
{
    put_be(out, part, PART_SIZE);
    if (key.len)
        memcpy(out + PART_SIZE, key.data, key.len);
    return (MDB_val){PART_SIZE + key.len, out};
}

/* The pin. */

static void pins_drop(struct lmdb_engine *e)
{
    for (unsigned i = 0; i < 2; i++) {
        mdb_txn_abort(e->pin[i]);
        e->pin[i] = NULL;
    }
}

/* The moment is taken after the snapshot: a pin is never older than it says. */
static int pin_take(struct lmdb_engine *e, MDB_txn *again, unsigned i)
{
    int rc = again ? mdb_txn_renew(again) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &again);
    if (rc)
        return map_error(rc);
    e->pin[i] = again;
    e->pin_at[i] = now_ns();
    return OK;
}

static void lmdb_tick(struct engine *base)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer || e->pin_off || !e->env || !e->pin[0])
        return;
    if (!e->pin[1]) {
        (void)pin_take(e, NULL, 1); /* on failure the older pin stays, which is safe, and the next tick tries again */
        return;
    }
    if (now_ns() - e->pin_at[1] < e->turn_ns)
        return;
    MDB_txn *old = e->pin[0];
    e->pin[0] = e->pin[1];
    e->pin_at[0] = e->pin_at[1];
    e->pin[1] = NULL;
    mdb_txn_reset(old);
    if (pin_take(e, old, 1))
        mdb_txn_abort(old);
}

/* A writer that follows another finds readers whose snapshots no pin of its own protects: it sleeps until they are over. */
static void first_wait(struct lmdb_engine *e)
{
    if (!e->wait_first || e->pin_off)
        return;
    for (uint64_t now; (now = now_ns()) < e->pin_at[0] + e->turn_ns;) {
        uint64_t left = e->pin_at[0] + e->turn_ns - now;
        struct timespec ts = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        nanosleep(&ts, NULL);
    }
    e->wait_first = false;
}

void engine_lmdb_pin_off(struct engine *writer)
{
    struct lmdb_engine *e = lm(writer);
    e->pin_off = true;
    pins_drop(e);
}

/* Snapshots. */

static const uint8_t seq_key[PART_SIZE + 1] = {[PART_SIZE] = 'S'};

static int seq_read(struct lmdb_engine *e, MDB_txn *txn, uint64_t *ret)
{
    MDB_val k = {sizeof seq_key, (void *)(uintptr_t)seq_key}, v;
    int rc = mdb_get(txn, e->kv, &k, &v);
    if (rc)
        return map_error(rc);
    if (v.mv_size != 8)
        return ERR_FORMAT;
    *ret = get_be(v.mv_data, 8);
    return OK;
}

/* Whether the snapshot is of one commit, and that one the newest or the one before. */
static bool snapshot_whole(struct lmdb_engine *e, MDB_txn *txn)
{
    uint64_t seq, id = mdb_txn_id(txn);
    MDB_envinfo info;
    if (seq_read(e, txn, &seq) || seq != id || mdb_env_info(e->env, &info))
        return false;
    return info.me_last_txnid - id <= 1;
}

static int reader_begin_once(struct lmdb_engine *e)
{
    struct lmdb_txn *t = &e->read;
    t->begun = now_ns();
    int rc = t->txn ? mdb_txn_renew(t->txn) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &t->txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(e->env, 0);
        return rc ? map_error(rc) : ERR_AGAIN;
    }
    if (rc)
        return map_error(rc);
    if (snapshot_whole(e, t->txn) && now_ns() - t->begun < e->turn_ns)
        return OK;
    mdb_txn_reset(t->txn);
    return ERR_AGAIN;
}

static int lmdb_read_begin(struct engine *base, struct engine_txn **ret)
{
    struct lmdb_engine *e = lm(base);
    struct lmdb_txn *t = &e->read;
    if (!e->env || t->open)
        return ERR_STATE;
    int err = ERR_AGAIN;
    if (e->writer) {
        int rc = t->txn ? mdb_txn_renew(t->txn) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &t->txn);
        err = map_error(rc);
    }
    for (unsigned i = 0; err == ERR_AGAIN && i < BEGIN_TRIES; i++)
        err = reader_begin_once(e);
    if (err)
        return err == ERR_AGAIN ? ERR_STATE : err;
    t->base = (struct engine_txn){.e = base};
    t->open = true;
    *ret = &t->base;
    return OK;
}

static bool overrun(const struct lmdb_txn *t)
{
    const struct lmdb_engine *e = lm(t->base.e);
    return !e->writer && now_ns() - t->begun >= e->turn_ns;
}

static int lmdb_read_end(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    mdb_txn_reset(t->txn);
    t->open = false;
    return overrun(t) ? ERR_STATE : OK;
}

/* Groups. */

static int lmdb_group_begin(struct engine *base, struct engine_txn **ret)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer)
        return ERR_DENIED;
    if (!e->env)
        return ERR_IO;
    if (e->group.open)
        return ERR_STATE;
    first_wait(e);
    lmdb_tick(base);
    int rc = mdb_txn_begin(e->env, NULL, 0, &e->group.txn);
    if (rc)
        return map_error(rc);
    e->group.base = (struct engine_txn){.e = base, .group = true};
    e->group.open = true;
    e->group.wrote = false;
    *ret = &e->group.base;
    return OK;
}

static void lmdb_group_abort(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    mdb_txn_abort(t->txn);
    t->txn = NULL;
    t->open = false;
}

static int lmdb_group_commit(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    struct lmdb_engine *e = lm(base->e);
    if (!t->wrote) {
        lmdb_group_abort(base);
        return OK;
    }
    uint8_t seq[8];
    put_be(seq, mdb_txn_id(t->txn), 8);
    MDB_val k = {sizeof seq_key, (void *)(uintptr_t)seq_key}, v = {sizeof seq, seq};
    int rc = mdb_put(t->txn, e->kv, &k, &v, 0);
    if (rc) {
        lmdb_group_abort(base);
        return map_error(rc);
    }
    rc = mdb_txn_commit(t->txn);
    t->txn = NULL;
    t->open = false;
    return map_error(rc);
}

/* Records. A value that could not have been put is a page used again (a reader over its turn) or a damaged store. */

static int checked(struct lmdb_txn *t, const MDB_val *v, struct slice *ret)
{
    if (overrun(t))
        return ERR_STATE;
    if (v->mv_size > ENGINE_VALUE_MAX)
        return ERR_IO;
    *ret = slice_of(v->mv_data, v->mv_size);
    return OK;
}

static int get_in(struct lmdb_txn *t, MDB_dbi dbi, MDB_val k, struct slice *ret)
{
    MDB_val v;
    if (overrun(t))
        return ERR_STATE;
    int rc = mdb_get(t->txn, dbi, &k, &v);
    if (!rc)
        return checked(t, &v, ret);
    return overrun(t) ? ERR_STATE : map_error(rc);
}

static int put_in(struct lmdb_txn *t, MDB_dbi dbi, MDB_val k, struct slice value)
{
    MDB_val v = {value.len, (void *)(uintptr_t)value.data};
    t->wrote = true;
    return map_error(mdb_put(t->txn, dbi, &k, &v, 0));
}

static int lmdb_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    return get_in(lt(t), lm(t->e)->kv, full_key(kb, part, key), ret);
}

static int lmdb_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    return put_in(lt(t), lm(t->e)->kv, full_key(kb, part, key), value);
}

static int lmdb_del(struct engine_txn *t, uint64_t part, struct slice key)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    MDB_val k = full_key(kb, part, key);
    lt(t)->wrote = true;
    return map_error(mdb_del(lt(t)->txn, lm(t->e)->kv, &k, NULL));
}

static int key_cmp(const MDB_val *a, const MDB_val *b)
{
    size_t n = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int c = memcmp(a->mv_data, b->mv_data, n);
    return c ? c : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Bounds as full keys; without an upper one, the next partition begins there (or, in the last, nothing does: limit.mv_size is 0). */
struct bounds {
    uint8_t from_b[PART_SIZE + ENGINE_KEY_MAX], to_b[PART_SIZE + ENGINE_KEY_MAX];
    MDB_val from, to;
};

static void bounds_set(struct bounds *b, uint64_t part, struct slice from, struct slice to)
{
    b->from = full_key(b->from_b, part, from);
    if (to.len)
        b->to = full_key(b->to_b, part, to);
    else if (part != UINT64_MAX)
        b->to = full_key(b->to_b, part + 1, slice_of("", 0));
    else
        b->to = (MDB_val){0, b->to_b};
}

static int cursor_first(MDB_cursor *c, const struct bounds *b, bool reverse, MDB_val *k, MDB_val *v)
{
    if (!reverse) {
        *k = b->from;
        return mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    }
    if (!b->to.mv_size)
        return mdb_cursor_get(c, k, v, MDB_LAST);
    *k = b->to;
    int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    return mdb_cursor_get(c, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
}

static int scan_with(struct lmdb_txn *t, MDB_cursor *c, const struct bounds *b, bool reverse,
                     int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    MDB_val k, v;
    int rc = cursor_first(c, b, reverse, &k, &v);
    for (; !rc; rc = mdb_cursor_get(c, &k, &v, reverse ? MDB_PREV : MDB_NEXT)) {
        struct slice value;
        if (reverse ? key_cmp(&k, &b->from) < 0 : b->to.mv_size && key_cmp(&k, &b->to) >= 0)
            break;
        int err = checked(t, &v, &value);
        if (!err && (k.mv_size <= PART_SIZE || k.mv_size > PART_SIZE + ENGINE_KEY_MAX))
            err = ERR_IO;
        if (!err)
            err = fn(arg, slice_of((const uint8_t *)k.mv_data + PART_SIZE, k.mv_size - PART_SIZE), value);
        if (err)
            return err;
    }
    if (overrun(t))
        return ERR_STATE;
    return rc == MDB_NOTFOUND ? OK : map_error(rc);
}

static int lmdb_scan(struct engine_txn *base, uint64_t part, struct slice from, struct slice to, unsigned flags,
                     int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct lmdb_txn *t = lt(base);
    struct bounds b;
    MDB_cursor *c;
    if (overrun(t))
        return ERR_STATE;
    bounds_set(&b, part, from, to);
    int rc = mdb_cursor_open(t->txn, lm(base->e)->kv, &c);
    if (rc)
        return map_error(rc);
    int err = scan_with(t, c, &b, flags & ENGINE_REVERSE, fn, arg);
    mdb_cursor_close(c);
    return err;
}

static int lmdb_partitions(struct engine_txn *base, int (*fn)(void *arg, uint64_t part), void *arg)
{
    struct lmdb_txn *t = lt(base);
    MDB_cursor *c;
    int rc = mdb_cursor_open(t->txn, lm(base->e)->kv, &c), err = OK;
    if (rc)
        return map_error(rc);
    uint8_t kb[PART_SIZE] = {0};
    MDB_val k = {sizeof kb, kb}, v;
    while (!err && !(rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE))) {
        uint64_t part = k.mv_size > PART_SIZE ? get_be(k.mv_data, PART_SIZE) : 0;
        err = overrun(t) ? ERR_STATE : k.mv_size <= PART_SIZE ? ERR_IO : fn(arg, part);
        if (part == UINT64_MAX)
            break;
        put_be(kb, part + 1, PART_SIZE);
        k = (MDB_val){sizeof kb, kb};
    }
    mdb_cursor_close(c);
    return err ? err : rc == MDB_NOTFOUND ? OK : map_error(rc);
}

/* Blobs: chunks under (partition, id, n), each in an overflow run of its own. */

static MDB_val blob_key(uint8_t out[BLOB_KEY], uint64_t part, uint64_t id, uint32_t n)
{
    put_be(out, part, 8);
    put_be(out + 8, id, 8);
    put_be(out + 16, n, 4);
    return (MDB_val){BLOB_KEY, out};
}

static int lmdb_blob_put(struct engine_txn *t, uint64_t part, uint64_t id, uint32_t n, struct slice data)
{
    uint8_t kb[BLOB_KEY];
    return put_in(lt(t), lm(t->e)->blob, blob_key(kb, part, id, n), data);
}

static int lmdb_blob_get(struct engine_txn *t, uint64_t part, uint64_t id, uint32_t n, struct slice *ret)
{
    uint8_t kb[BLOB_KEY];
    return get_in(lt(t), lm(t->e)->blob, blob_key(kb, part, id, n), ret);
}

static int lmdb_blob_del(struct engine_txn *base, uint64_t part, uint64_t id)
{
    struct lmdb_txn *t = lt(base);
    MDB_cursor *c;
    int rc = mdb_cursor_open(t->txn, lm(base->e)->blob, &c);
    if (rc)
        return map_error(rc);
    uint8_t kb[BLOB_KEY];
    bool any = false;
    for (;;) {
        MDB_val k = blob_key(kb, part, id, 0), v;
        rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
        if (rc || k.mv_size != BLOB_KEY || memcmp(k.mv_data, kb, 16) != 0)
            break;
        t->wrote = any = true;
        rc = mdb_cursor_del(c, 0);
        if (rc)
            break;
    }
    mdb_cursor_close(c);
    if (rc && rc != MDB_NOTFOUND)
        return map_error(rc);
    return any ? OK : ERR_NOT_FOUND;
}

/* Opening and closing. */

static void env_drop(struct lmdb_engine *e)
{
    if (!e->env)
        return;
    pins_drop(e);
    mdb_txn_abort(e->read.txn);
    if (e->group.open)
        mdb_txn_abort(e->group.txn);
    mdb_env_close(e->env);
    e->env = NULL;
    memset(&e->read, 0, sizeof e->read);
    memset(&e->group, 0, sizeof e->group);
}

static void lmdb_close(struct engine *base)
{
    env_drop(lm(base));
    free(base);
}

static int dbis_open(struct lmdb_engine *e, MDB_txn *txn, unsigned flags)
{
    int rc = mdb_dbi_open(txn, "kv", flags, &e->kv);
    return rc ? rc : mdb_dbi_open(txn, "blob", flags, &e->blob);
}

static int env_open(struct lmdb_engine *e, unsigned flags)
{
    int rc = mdb_env_create(&e->env);
    if (rc)
        return map_error(rc);
    rc = mdb_env_set_maxdbs(e->env, 2);
    if (!rc && e->map_size)
        rc = mdb_env_set_mapsize(e->env, e->map_size);
    if (!rc && e->writer)
        rc = mdb_env_set_maxreaders(e->env, READERS_MAX);
    if (!rc)
        rc = mdb_env_open(e->env, e->path, flags | MDB_NOTLS, 0600);
    return map_error(rc);
}

/* A store that no writer has stamped since it was made, copied or restored gets its number, so that readers know it. */
static int stamp(struct lmdb_engine *e)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return map_error(rc);
    uint64_t seq = 0, id = mdb_txn_id(txn);
    rc = dbis_open(e, txn, 0);
    int err = rc ? map_error(rc) : seq_read(e, txn, &seq);
    if (rc)
        mdb_txn_abort(txn);
    else
        mdb_txn_commit(txn); /* keeps the handles */
    if (!err && seq == id)
        return OK;
    if (err && err != ERR_NOT_FOUND)
        return err;
    e->wait_first = e->wait_first && id > 0; /* an empty file has no readers */
    first_wait(e);
    rc = mdb_txn_begin(e->env, NULL, 0, &txn);
    if (rc)
        return map_error(rc);
    rc = dbis_open(e, txn, MDB_CREATE);
    if (rc) {
        mdb_txn_abort(txn);
        return map_error(rc);
    }
    e->group = (struct lmdb_txn){.base = {.e = &e->base, .group = true}, .txn = txn, .open = true, .wrote = true};
    return lmdb_group_commit(&e->group.base);
}

static int writer_open(struct lmdb_engine *e)
{
    int dead, err = env_open(e, 0);
    if (!err)
        err = map_error(mdb_reader_check(e->env, &dead));
    if (!err)
        err = pin_take(e, NULL, 0);
    e->wait_first = true;
    if (!err)
        err = stamp(e);
    if (err && e->env)
        env_drop(e);
    return err;
}

static int reader_open(struct lmdb_engine *e)
{
    int err = env_open(e, MDB_RDONLY | MDB_NOLOCK);
    for (unsigned i = 0; !err && i < BEGIN_TRIES; i++) {
        MDB_txn *txn;
        int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
        if (rc == MDB_MAP_RESIZED) {
            err = map_error(mdb_env_set_mapsize(e->env, 0));
            continue;
        }
        if (rc) {
            err = map_error(rc);
            break;
        }
        rc = dbis_open(e, txn, 0);
        if (!rc && snapshot_whole(e, txn)) {
            mdb_txn_commit(txn); /* keeps the handles */
            return OK;
        }
        mdb_txn_abort(txn);
        if (rc && i + 1 == BEGIN_TRIES)
            err = map_error(rc);
    }
    if (e->env)
        env_drop(e);
    return err ? err : ERR_STATE;
}

static int lmdb_reopen(struct engine *base)
{
    struct lmdb_engine *e = lm(base);
    env_drop(e);
    return e->writer ? writer_open(e) : reader_open(e);
}

static int lmdb_copy(struct engine *base, int fd)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer)
        return ERR_UNSUPPORTED; /* takes longer than a turn */
    return e->env ? map_error(mdb_env_copyfd2(e->env, fd, MDB_CP_COMPACT)) : ERR_IO;
}

/* Free pages stand in the free list's records: a count, then that many page numbers. */
static int count_free(MDB_txn *txn, uint64_t *ret)
{
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t n = 0;
    int rc = mdb_cursor_open(txn, 0, &c);
    if (rc)
        return map_error(rc);
    while (!(rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) && v.mv_size >= sizeof(size_t)) {
        size_t pages;
        memcpy(&pages, v.mv_data, sizeof pages);
        n += pages;
    }
    mdb_cursor_close(c);
    if (rc != MDB_NOTFOUND)
        return rc ? map_error(rc) : ERR_IO;
    *ret = n;
    return OK;
}

static int lmdb_stat(struct engine *base, struct engine_stat *ret)
{
    struct lmdb_engine *e = lm(base);
    struct engine_txn *t;
    MDB_envinfo info;
    MDB_stat kv, blob;
    uint64_t free_pages = 0;
    int err = lmdb_read_begin(base, &t);
    if (err)
        return err;
    MDB_txn *txn = lt(t)->txn;
    int rc = mdb_env_info(e->env, &info);
    if (!rc)
        rc = mdb_stat(txn, e->kv, &kv);
    if (!rc)
        rc = mdb_stat(txn, e->blob, &blob);
    err = rc ? map_error(rc) : count_free(txn, &free_pages);
    int end = lmdb_read_end(t);
    if (err || end)
        return err ? err : end;
    *ret = (struct engine_stat){.seq = info.me_last_txnid, .map_size = info.me_mapsize, .used_bytes = (uint64_t)(info.me_last_pgno + 1) * kv.ms_psize,
                                .free_bytes = free_pages * kv.ms_psize, .entries = kv.ms_entries + blob.ms_entries};
    return OK;
}

static const struct engine_ops lmdb_ops = {
    .name = "lmdb", .close = lmdb_close, .read_begin = lmdb_read_begin, .read_end = lmdb_read_end, .group_begin = lmdb_group_begin,
    .group_commit = lmdb_group_commit, .group_abort = lmdb_group_abort, .get = lmdb_get, .put = lmdb_put, .del = lmdb_del, .scan = lmdb_scan,
    .partitions = lmdb_partitions, .blob_put = lmdb_blob_put, .blob_get = lmdb_blob_get, .blob_del = lmdb_blob_del, .copy = lmdb_copy,
    .reopen = lmdb_reopen, .tick = lmdb_tick, .stat = lmdb_stat,
};

static int lmdb_create(const char *path, uint64_t map_size, uint32_t turn_ms, bool writer, struct engine **ret)
{
    struct lmdb_engine *e = calloc(1, sizeof *e);
    if (!e)
        return ERR_MEMORY;
    e->base.ops = &lmdb_ops;
    e->writer = writer;
    e->map_size = map_size & ~UINT64_C(0xffff);
    e->turn_ns = (uint64_t)turn_ms * 1000000u;
    int n = snprintf(e->path, sizeof e->path, "%s", path);
    int err = n < 0 || (size_t)n >= sizeof e->path ? ERR_LIMIT : OK;
    if (!err)
        err = writer ? writer_open(e) : reader_open(e);
    if (err) {
        free(e);
        return err;
    }
    *ret = &e->base;
    return OK;
}

int engine_lmdb_writer(const char *path, uint64_t map_size, uint32_t turn_ms, struct engine **ret)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return map_error(errno);
    return lmdb_create(path, map_size, turn_ms, true, ret);
}

int engine_lmdb_reader(const char *path, uint32_t turn_ms, struct engine **ret)
{
    return lmdb_create(path, 0, turn_ms, false, ret);
}
