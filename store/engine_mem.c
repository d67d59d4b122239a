/* The engine in memory, for tests: a sorted array of shared, unchanging entries. A group works on a copy of the array
 * and commit puts the copy in the old one's place; a snapshot keeps the array it began with. */
#include "store/engine_impl.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { SPACE_KV = 0, SPACE_BLOB = 1, HEAD = 1 + 8, BLOB_TAIL = 1 + 8 + 4, KEY_CAP = HEAD + ENGINE_KEY_MAX };

struct entry {
    unsigned refs;
    size_t key_len, value_len;
    uint8_t bytes[]; /* space, partition, key; then the value */
};

struct version {
    unsigned refs;
    uint64_t seq;
    size_t n, cap;
    struct entry **v;
};

struct mem_engine;
struct mem_txn {
    struct engine_txn base;
    struct version *version;
};

struct mem_engine {
    struct engine base;
    struct version *now;
    struct mem_txn *group;
};

static struct mem_engine *me(struct engine *e)
{
    return (struct mem_engine *)e;
}

static struct mem_txn *mt(struct engine_txn *t)
{
    return (struct mem_txn *)t;
}

static void entry_unref(struct entry *e)
{
    if (--e->refs == 0)
        free(e);
}

static void version_unref(struct version *v)
{
    if (!v || --v->refs)
        return;
    for (size_t i = 0; i < v->n; i++)
        entry_unref(v->v[i]);
    free(v->v);
    free(v);
}

static struct version *version_copy(const struct version *from)
{
    struct version *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->refs = 1;
    v->seq = from->seq + 1;
    v->cap = from->n + 16;
    v->v = malloc(v->cap * sizeof(*v->v));
    if (!v->v) {
        free(v);
        return NULL;
    }
    v->n = from->n;
    for (size_t i = 0; i < v->n; i++) {
        v->v[i] = from->v[i];
        v->v[i]->refs++;
    }
    return v;
}

static size_t full_key(uint8_t out[KEY_CAP], uint8_t space, uint64_t part, struct slice key)
{
    struct pack p;
    pack_init(&p, out, KEY_CAP);
    pack_u8(&p, space);
    pack_u64(&p, part);
    pack_raw(&p, key.data, key.len);
    return p.len;
}

static int compare(const struct entry *e, const uint8_t *key, size_t len)
{
    size_t n = e->key_len < len ? e->key_len : len;
    int c = memcmp(e->bytes, key, n);
    return c ? c : (e->key_len > len) - (e->key_len < len);
}

/* The first entry >= key; *ret_here: it is that key. */
static size_t find(const struct version *v, const uint8_t *key, size_t len, bool *ret_here)
{
    size_t low = 0, high = v->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(v->v[mid], key, len) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_here = low < v->n && compare(v->v[low], key, len) == 0;
    return low;
}

/* *ret: where the value's octets go. */
static int put_room(struct version *v, const uint8_t *key, size_t key_len, size_t len, uint8_t **ret)
{
    bool here;
    size_t at = find(v, key, key_len, &here);
    struct entry *e = malloc(sizeof(*e) + key_len + len);
    if (!e)
        return ERR_MEMORY;
    *e = (struct entry){.refs = 1, .key_len = key_len, .value_len = len};
    memcpy(e->bytes, key, key_len);
    if (!here && v->n == v->cap) {
        struct entry **more = realloc(v->v, v->cap * 2 * sizeof(*more));
        if (!more) {
            free(e);
            return ERR_MEMORY;
        }
        v->v = more;
        v->cap *= 2;
    }
    if (here) {
        entry_unref(v->v[at]);
    } else {
        memmove(v->v + at + 1, v->v + at, (v->n - at) * sizeof(*v->v));
        v->n++;
    }
    v->v[at] = e;
    *ret = e->bytes + key_len;
    return OK;
}

static int put_full(struct version *v, const uint8_t *key, size_t key_len, struct slice value)
{
    uint8_t *room;
    int err = put_room(v, key, key_len, value.len, &room);
    if (!err && value.len)
        memcpy(room, value.data, value.len);
    return err;
}

static int get_full(const struct version *v, const uint8_t *key, size_t len, struct slice *ret)
{
    bool here;
    size_t at = find(v, key, len, &here);
    if (!here)
        return ERR_NOT_FOUND;
    *ret = slice_of(v->v[at]->bytes + v->v[at]->key_len, v->v[at]->value_len);
    return OK;
}

static void remove_range(struct version *v, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        entry_unref(v->v[i]);
    memmove(v->v + from, v->v + to, (v->n - to) * sizeof(*v->v));
    v->n -= to - from;
}

static void mem_close(struct engine *base)
{
    struct mem_engine *e = me(base);
    if (e->group)
        engine_group_abort(&e->group->base);
    version_unref(e->now);
    free(e);
}

static int txn_make(struct engine *base, struct version *v, bool group, struct mem_txn **ret)
{
    struct mem_txn *t = calloc(1, sizeof(*t));
    if (!t)
        return ERR_MEMORY;
    t->base = (struct engine_txn){.e = base, .group = group};
    t->version = v;
    *ret = t;
    return OK;
}

static int mem_read_begin(struct engine *base, struct engine_txn **ret)
{
    struct mem_txn *t;
    int err = txn_make(base, me(base)->now, false, &t);
    if (err)
        return err;
    t->version->refs++;
    *ret = &t->base;
    return OK;
}

static int mem_read_end(struct engine_txn *t)
{
    version_unref(mt(t)->version);
    free(t);
    return OK;
}

static int mem_group_begin(struct engine *base, struct engine_txn **ret)
{
    struct mem_engine *e = me(base);
    if (e->group)
        return ERR_CONFLICT;
    struct version *v = version_copy(e->now);
    if (!v)
        return ERR_MEMORY;
    int err = txn_make(base, v, true, &e->group);
    if (err) {
        version_unref(v);
        return err;
    }
    *ret = &e->group->base;
    return OK;
}

static void mem_group_abort(struct engine_txn *t)
{
    me(t->e)->group = NULL;
    version_unref(mt(t)->version);
    free(t);
}

static int mem_group_commit(struct engine_txn *t)
{
    struct mem_engine *e = me(t->e);
    version_unref(e->now);
    e->now = mt(t)->version;
    e->group = NULL;
    free(t);
    return OK;
}

static int mem_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    uint8_t kb[KEY_CAP];
    return get_full(mt(t)->version, kb, full_key(kb, SPACE_KV, part, key), ret);
}

static int mem_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value)
{
    uint8_t kb[KEY_CAP];
    return put_full(mt(t)->version, kb, full_key(kb, SPACE_KV, part, key), value);
}

static int mem_del(struct engine_txn *t, uint64_t part, struct slice key)
{
    uint8_t kb[KEY_CAP];
    bool here;
    size_t at = find(mt(t)->version, kb, full_key(kb, SPACE_KV, part, key), &here);
    if (!here)
        return ERR_NOT_FOUND;
    remove_range(mt(t)->version, at, at + 1);
    return OK;
}

/* Where the partition's keys end. */
static size_t part_end(const struct version *v, uint8_t space, uint64_t part)
{
    uint8_t kb[KEY_CAP];
    bool here;
    struct slice none = slice_of("", 0);
    if (part == UINT64_MAX)
        return find(v, (const uint8_t[]){(uint8_t)(space + 1)}, 1, &here);
    return find(v, kb, full_key(kb, space, part + 1, none), &here);
}

static int mem_scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                    int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
    const struct version *v = mt(t)->version;
    uint8_t kb[KEY_CAP];
    bool here;
    size_t first = find(v, kb, full_key(kb, SPACE_KV, part, from), &here);
    size_t end = to.len ? find(v, kb, full_key(kb, SPACE_KV, part, to), &here) : part_end(v, SPACE_KV, part);
    for (size_t n = first; n < end; n++) {
        const struct entry *e = v->v[flags & ENGINE_REVERSE ? end - 1 - (n - first) : n];
        int err = fn(arg, slice_of(e->bytes + HEAD, e->key_len - HEAD), slice_of(e->bytes + e->key_len, e->value_len));
        if (err)
            return err;
    }
    return OK;
}

static int mem_partitions(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg)
{
    const struct version *v = mt(t)->version;
    for (size_t i = 0; i < v->n && v->v[i]->bytes[0] == SPACE_KV;) {
        struct unpack u;
        unpack_init(&u, v->v[i]->bytes + 1, 8);
        uint64_t part = unpack_u64(&u);
        int err = fn(arg, part);
        if (err)
            return err;
        i = part_end(v, SPACE_KV, part);
    }
    return OK;
}

static size_t blob_key(uint8_t out[KEY_CAP], uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n)
{
    uint8_t tail[BLOB_TAIL];
    struct pack p;
    pack_init(&p, tail, sizeof(tail));
    pack_u8(&p, (uint8_t)kind);
    pack_u64(&p, id);
    pack_u32(&p, n);
    return full_key(out, SPACE_BLOB, part, slice_of(tail, sizeof(tail)));
}

static int mem_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                         uint8_t **ret)
{
    uint8_t kb[KEY_CAP];
    return put_room(mt(t)->version, kb, blob_key(kb, part, kind, id, n), len, ret);
}

static int mem_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                        struct slice *ret)
{
    uint8_t kb[KEY_CAP];
    return get_full(mt(t)->version, kb, blob_key(kb, part, kind, id, n), ret);
}

static int mem_blobs(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
                     void *arg)
{
    const struct version *v = mt(t)->version;
    uint8_t kb[KEY_CAP] = {SPACE_BLOB};
    bool here = false;
    size_t len = after ? blob_key(kb, after->part, after->kind, after->id, after->n) : 1;
    for (size_t i = find(v, kb, len, &here) + here; i < v->n && v->v[i]->bytes[0] == SPACE_BLOB; i++) {
        struct blob_at at;
        struct unpack u;
        unpack_init(&u, v->v[i]->bytes + 1, v->v[i]->key_len - 1);
        at.part = unpack_u64(&u);
        at.kind = unpack_u8(&u);
        at.id = unpack_u64(&u);
        at.n = unpack_u32(&u);
        int err = fn(arg, &at);
        if (err)
            return err;
    }
    return OK;
}

static int mem_blob_del(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id)
{
    struct version *v = mt(t)->version;
    uint8_t kb[KEY_CAP];
    bool here;
    size_t first = find(v, kb, blob_key(kb, part, kind, id, 0), &here), end = first;
    while (end < v->n && v->v[end]->key_len == HEAD + BLOB_TAIL && !memcmp(v->v[end]->bytes, kb, HEAD + 9))
        end++;
    if (first == end)
        return ERR_NOT_FOUND;
    remove_range(v, first, end);
    return OK;
}

static int mem_copy(struct engine *e, int fd)
{
    return ERR_UNSUPPORTED;
}

static int mem_reopen(struct engine *e)
{
    if (me(e)->group)
        engine_group_abort(&me(e)->group->base);
    return OK;
}

static void mem_tick(struct engine *e)
{
}

static int mem_stat(struct engine *base, struct engine_stat *ret)
{
    const struct version *v = me(base)->now;
    uint64_t used = 0;
    for (size_t i = 0; i < v->n; i++)
        used += v->v[i]->key_len + v->v[i]->value_len;
    *ret = (struct engine_stat){.seq = v->seq, .used_bytes = used, .entries = v->n};
    return OK;
}

static const struct engine_ops mem_ops = {
    .name = "mem",
    .close = mem_close,
    .read_begin = mem_read_begin,
    .read_end = mem_read_end,
    .group_begin = mem_group_begin,
    .group_commit = mem_group_commit,
    .group_abort = mem_group_abort,
    .get = mem_get,
    .put = mem_put,
    .del = mem_del,
    .scan = mem_scan,
    .partitions = mem_partitions,
    .blob_room = mem_blob_room,
    .blob_get = mem_blob_get,
    .blob_del = mem_blob_del,
    .blobs = mem_blobs,
    .copy = mem_copy,
    .reopen = mem_reopen,
    .tick = mem_tick,
    .stat = mem_stat,
};

int engine_mem_create(struct engine **ret)
{
    static const struct version empty;
    struct mem_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return ERR_MEMORY;
    e->base.ops = &mem_ops;
    e->now = version_copy(&empty);
    if (!e->now) {
        free(e);
        return ERR_MEMORY;
    }
    *ret = &e->base;
    return OK;
}
