/* The LMDB engine's records, scans and blobs, and what both of its files need: the clock, LMDB's errors as ours. */
#include "store/engine_lmdb_impl.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "store/blob_size.h"

enum { PAGE = 4096, CLOCK_EVERY = 16 /* values of a scan; the last one is followed by a look as well */ };

uint64_t lmdb_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int lmdb_error_of(int rc)
{
    static const struct {
        int rc, err;
    } table[] = {
        {MDB_SUCCESS, OK},
        {MDB_NOTFOUND, ERR_NOT_FOUND},
        {MDB_MAP_FULL, ERR_FULL},
        {MDB_TXN_FULL, ERR_FULL},
        {ENOSPC, ERR_FULL},
        {EDQUOT, ERR_FULL},
        {EFBIG, ERR_FULL},
        {ENOMEM, ERR_MEMORY},
        {MDB_VERSION_MISMATCH, ERR_VERSION},
        {MDB_INVALID, ERR_FORMAT},
        {ENOENT, ERR_NOT_FOUND},
        {EACCES, ERR_DENIED},
        {EPERM, ERR_DENIED},
        {MDB_READERS_FULL, ERR_LIMIT},
        {MDB_BAD_VALSIZE, ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (table[i].rc == rc)
            return table[i].err;
    return ERR_IO;
}

int lmdb_map_error(int rc)
{
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND && rc != MDB_BAD_VALSIZE)
        log_event(store_failed, rc);
    return lmdb_error_of(rc);
}

bool lmdb_overrun(const struct lmdb_txn *t)
{
    const struct lmdb_engine *e = lm(t->base.e);
    return !e->writer && lmdb_now_ns() - t->begun >= e->turn_ns;
}

void lmdb_put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        p[bytes] = (uint8_t)v;
        v >>= 8;
    }
}

uint64_t lmdb_get_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes--)
        v = v << 8 | *p++;
    return v;
}

static MDB_val full_key(uint8_t out[PART_SIZE + ENGINE_KEY_MAX], uint64_t part, struct slice key)
{
    lmdb_put_be(out, part, PART_SIZE);
    if (key.len)
        memcpy(out + PART_SIZE, key.data, key.len);
    return (MDB_val){PART_SIZE + key.len, out};
}

/* Records. A value that could not have been put is a page used again (a reader over its turn) or a damaged store. */

static int checked(struct lmdb_txn *t, const MDB_val *v, struct slice *ret)
{
    if (lmdb_overrun(t))
        return ERR_OVERRUN;
    if (v->mv_size > ENGINE_VALUE_MAX)
        return ERR_IO;
    *ret = slice_of(v->mv_data, v->mv_size);
    return OK;
}

static int get_in(struct lmdb_txn *t, MDB_dbi dbi, MDB_val k, struct slice *ret)
{
    MDB_val v;
    if (lmdb_overrun(t))
        return ERR_OVERRUN;
    int rc = mdb_get(t->txn, dbi, &k, &v);
    if (!rc)
        return checked(t, &v, ret);
    return lmdb_overrun(t) ? ERR_OVERRUN : lmdb_map_error(rc);
}

static int put_in(struct lmdb_txn *t, MDB_dbi dbi, MDB_val k, struct slice value)
{
    MDB_val v = {value.len, (void *)(uintptr_t)value.data};
    t->wrote = true;
    return lmdb_map_error(mdb_put(t->txn, dbi, &k, &v, 0));
}

int lmdb_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    return get_in(lt(t), lm(t->e)->kv, full_key(kb, part, key), ret);
}

int lmdb_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    return put_in(lt(t), lm(t->e)->kv, full_key(kb, part, key), value);
}

int lmdb_del(struct engine_txn *t, uint64_t part, struct slice key)
{
    uint8_t kb[PART_SIZE + ENGINE_KEY_MAX];
    MDB_val k = full_key(kb, part, key);
    lt(t)->wrote = true;
    return lmdb_map_error(mdb_del(lt(t)->txn, lm(t->e)->kv, &k, NULL));
}

static int key_cmp(const MDB_val *a, const MDB_val *b)
{
    size_t n = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int c = memcmp(a->mv_data, b->mv_data, n);
    return c ? c : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Bounds as full keys; without an upper one, the next partition begins there (or, in the last, nothing does:
 * limit.mv_size is 0). */
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

static bool could_be_put(const MDB_val *k, const MDB_val *v)
{
    return k->mv_size > PART_SIZE && k->mv_size <= PART_SIZE + ENGINE_KEY_MAX && v->mv_size <= ENGINE_VALUE_MAX;
}

static struct slice record_key(const MDB_val *k)
{
    return slice_of((const uint8_t *)k->mv_data + PART_SIZE, k->mv_size - PART_SIZE);
}

static int scan_with(struct lmdb_txn *t, MDB_cursor *c, const struct bounds *b, bool reverse,
                     int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    MDB_val k, v;
    int err = OK, rc = cursor_first(c, b, reverse, &k, &v);
    for (unsigned n = 0; !rc && !err; n++) {
        if (reverse ? key_cmp(&k, &b->from) < 0 : b->to.mv_size && key_cmp(&k, &b->to) >= 0)
            break;
        if (n % CLOCK_EVERY == 0 && lmdb_overrun(t))
            return ERR_OVERRUN;
        err = could_be_put(&k, &v) ? fn(arg, record_key(&k), slice_of(v.mv_data, v.mv_size)) : ERR_IO;
        if (!err)
            rc = mdb_cursor_get(c, &k, &v, reverse ? MDB_PREV : MDB_NEXT);
    }
    if (lmdb_overrun(t)) /* whatever fn said of what it was given since the clock was looked at */
        return ERR_OVERRUN;
    return err ? err : !rc || rc == MDB_NOTFOUND ? OK : lmdb_map_error(rc);
}

int lmdb_scan(struct engine_txn *base, uint64_t part, struct slice from, struct slice to, unsigned flags,
              int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct lmdb_txn *t = lt(base);
    struct bounds b;
    MDB_cursor *c;
    if (lmdb_overrun(t))
        return ERR_OVERRUN;
    bounds_set(&b, part, from, to);
    int rc = mdb_cursor_open(t->txn, lm(base->e)->kv, &c);
    if (rc)
        return lmdb_map_error(rc);
    int err = scan_with(t, c, &b, flags & ENGINE_REVERSE, fn, arg);
    mdb_cursor_close(c);
    return err;
}

int lmdb_partitions(struct engine_txn *base, int (*fn)(void *arg, uint64_t part), void *arg)
{
    struct lmdb_txn *t = lt(base);
    MDB_cursor *c;
    int rc = mdb_cursor_open(t->txn, lm(base->e)->kv, &c), err = OK;
    if (rc)
        return lmdb_map_error(rc);
    uint8_t kb[PART_SIZE] = {0};
    MDB_val k = {sizeof(kb), kb}, v;
    while (!err && !(rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE))) {
        uint64_t part = k.mv_size > PART_SIZE ? lmdb_get_be(k.mv_data, PART_SIZE) : 0;
        err = lmdb_overrun(t) ? ERR_OVERRUN : k.mv_size <= PART_SIZE ? ERR_IO : fn(arg, part);
        if (part == UINT64_MAX)
            break;
        lmdb_put_be(kb, part + 1, PART_SIZE);
        k = (MDB_val){sizeof(kb), kb};
    }
    mdb_cursor_close(c);
    return err ? err : rc == MDB_NOTFOUND ? OK : lmdb_map_error(rc);
}

/* Blobs: chunks under (kind and partition, id, 2 n + 1), the large ones each in an overflow run of its own. The two
 * highest bits of the partition say the kind. Before a small value that would stand behind a small one is an empty one,
 * which has the number before (store/blob_size.h); whoever asks for blobs never sees it. */

static const uint64_t kind_bits[BLOB_KINDS + 1] = {
    [BLOB_HEAD] = UINT64_C(2) << 62, [BLOB_CERTIFICATE] = UINT64_C(1) << 62, [BLOB_KINDS] = UINT64_C(3) << 62};

static MDB_val blob_key(uint8_t out[BLOB_KEY], uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n)
{
    lmdb_put_be(out, kind_bits[kind] | part, 8);
    lmdb_put_be(out + 8, id, 8);
    lmdb_put_be(out + 16, (uint64_t)n << 1 | 1, 4);
    return (MDB_val){BLOB_KEY, out};
}

/* Heads stand behind heads, the packets' last chunk behind one that is as small, if there are two of them. */
static int spacer_before(struct engine_txn *t, const uint8_t chunk[BLOB_KEY], enum blob_kind kind, uint32_t n,
                         size_t len)
{
    uint8_t kb[BLOB_KEY];
    MDB_val k = {sizeof(kb), kb}, before;
    if (len > BLOB_LEAF_MAX || kind == BLOB_CERTIFICATE || (kind == BLOB_PACKETS && n == 0))
        return OK;
    memcpy(kb, chunk, sizeof(kb));
    if (kind == BLOB_PACKETS) {
        lmdb_put_be(kb + 16, (uint64_t)(n - 1) << 1 | 1, 4);
        int rc = mdb_get(lt(t)->txn, lm(t->e)->blob, &k, &before);
        if (rc || before.mv_size > BLOB_LEAF_MAX)
            return rc == MDB_NOTFOUND ? OK : lmdb_map_error(rc);
    }
    lmdb_put_be(kb + 16, (uint64_t)n << 1, 4);
    return put_in(lt(t), lm(t->e)->blob, k, slice_of("", 0));
}

int lmdb_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                   uint8_t **ret)
{
    uint8_t kb[BLOB_KEY];
    MDB_val k = blob_key(kb, part, kind, id, n), v = {len, NULL};
    uint64_t pages = len / PAGE + 2; /* the run of its own, and its share of the tree */
    if (lt(t)->room < pages)
        return ERR_FULL;
    lt(t)->room -= pages;
    lt(t)->wrote = true;
    int err = spacer_before(t, kb, kind, n, len);
    if (!err)
        err = lmdb_map_error(mdb_put(lt(t)->txn, lm(t->e)->blob, &k, &v, MDB_RESERVE));
    if (!err)
        *ret = v.mv_data;
    return err;
}

int lmdb_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, struct slice *ret)
{
    uint8_t kb[BLOB_KEY];
    return get_in(lt(t), lm(t->e)->blob, blob_key(kb, part, kind, id, n), ret);
}

int lmdb_blob_del(struct engine_txn *base, uint64_t part, enum blob_kind kind, uint64_t id)
{
    struct lmdb_txn *t = lt(base);
    MDB_cursor *c;
    int rc = mdb_cursor_open(t->txn, lm(base->e)->blob, &c);
    if (rc)
        return lmdb_map_error(rc);
    uint8_t kb[BLOB_KEY];
    bool any = false;
    for (;;) {
        MDB_val k = blob_key(kb, part, kind, id, 0), v;
        kb[BLOB_KEY - 1] = 0;
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
        return lmdb_map_error(rc);
    return any ? OK : ERR_NOT_FOUND;
}

static void blob_key_read(const MDB_val *k, struct blob_at *ret)
{
    const uint8_t *p = k->mv_data;
    uint64_t part = lmdb_get_be(p, 8);
    *ret = (struct blob_at){.part = part & (BLOB_PART_MAX - 1),
                            .id = lmdb_get_be(p + 8, 8),
                            .n = (uint32_t)lmdb_get_be(p + 16, 4) >> 1};
    while (kind_bits[ret->kind] != (part & ~(BLOB_PART_MAX - 1)))
        ret->kind++;
}

/* An empty value is no chunk if its chunk comes next. Otherwise it is told as one beyond all there are. */
struct blob_scan {
    MDB_cursor *c;
    MDB_val k, v;
};

static int blob_next(struct blob_scan *s, MDB_cursor_op op, struct blob_at *ret)
{
    uint8_t spacer[BLOB_KEY];
    int rc = mdb_cursor_get(s->c, &s->k, &s->v, op);
    if (rc || s->k.mv_size != BLOB_KEY)
        return rc ? rc : MDB_CORRUPTED;
    memcpy(spacer, s->k.mv_data, sizeof(spacer));
    blob_key_read(&s->k, ret);
    if (spacer[BLOB_KEY - 1] & 1)
        return MDB_SUCCESS;
    if (s->v.mv_size == 0 && !mdb_cursor_get(s->c, &s->k, &s->v, MDB_NEXT)) { /* at the end it stays where it is */
        spacer[BLOB_KEY - 1] |= 1;
        if (s->k.mv_size == BLOB_KEY && !memcmp(s->k.mv_data, spacer, sizeof(spacer)))
            return MDB_SUCCESS;
        rc = mdb_cursor_get(s->c, &s->k, &s->v, MDB_PREV);
    }
    ret->n |= BLOB_CHUNK_NONE;
    return rc;
}

int lmdb_blobs(struct engine_txn *base, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
               void *arg)
{
    struct lmdb_txn *t = lt(base);
    struct blob_at at;
    uint8_t kb[BLOB_KEY + 1] = {0};
    struct blob_scan s = {.k = {BLOB_KEY, kb}};
    int err = OK, rc = mdb_cursor_open(t->txn, lm(base->e)->blob, &s.c);
    if (rc)
        return lmdb_map_error(rc);
    if (after) {
        (void)blob_key(kb, after->part, after->kind, after->id, after->n);
        s.k.mv_size++; /* the next key */
    }
    for (rc = blob_next(&s, MDB_SET_RANGE, &at); !rc && !err; rc = err ? OK : blob_next(&s, MDB_NEXT, &at))
        err = lmdb_overrun(t) ? ERR_OVERRUN : fn(arg, &at);
    mdb_cursor_close(s.c);
    if (!err && rc == MDB_CORRUPTED)
        return lmdb_overrun(t) ? ERR_OVERRUN : ERR_IO;
    return err ? err : rc == MDB_NOTFOUND ? OK : lmdb_map_error(rc);
}

/* Free pages stand in the free list's records: the commit that freed them is the key; the value is a count, then that
 * many page numbers. */
int lmdb_count_free(MDB_txn *txn, uint64_t before, uint64_t *ret_pages)
{
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t n = 0;
    int rc = mdb_cursor_open(txn, 0, &c);
    if (rc)
        return lmdb_map_error(rc);
    while (!(rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))) {
        size_t commit, pages;
        if (k.mv_size != sizeof(commit) || v.mv_size < sizeof(pages))
            break;
        memcpy(&commit, k.mv_data, sizeof(commit));
        memcpy(&pages, v.mv_data, sizeof(pages));
        if (commit >= before)
            break;
        n += pages;
    }
    mdb_cursor_close(c);
    if (rc && rc != MDB_NOTFOUND)
        return lmdb_map_error(rc);
    *ret_pages = n;
    return OK;
}
