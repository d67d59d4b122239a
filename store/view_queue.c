/* The read side of the outgoing queue. */
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/view_impl.h"

struct id_walk {
    int (*fn)(void *arg, uint64_t id);
    void *arg;
};

static int see_id(void *arg, struct slice key, struct slice value)
{
    struct id_walk *w = arg;
    struct unpack u = key_fields(key);
    (void)value;
    uint64_t id = unpack_u64(&u);
    return unpack_done(&u) ? w->fn(w->arg, id) : ERR_FORMAT;
}

int view_queue_each(struct view *v, uint64_t after, int (*fn)(void *arg, uint64_t id), void *arg)
{
    struct schema_keybuf from, to;
    struct id_walk w = {fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    if (after >= BLOB_ID_MAX)
        return OK;
    return engine_scan(v->txn, PART_QUEUE, key_u64(&from, 'Q', after + 1), key_simple(&to, 'Q' + 1), 0, see_id, &w);
}

int view_queued(struct view *v, uint64_t id, struct queue_envelope *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct schema_keybuf kb;
    struct slice sealed;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = engine_get(v->txn, PART_QUEUE, key_u64(&kb, 'Q', id), &sealed);
    return err == OK ? queue_open_envelope(v->keys, id, sealed, ret, seen) : err;
}

struct recipient_walk {
    struct view *v;
    uint64_t id;
    int (*fn)(void *arg, uint32_t n, int err, const struct queue_recipient *r);
    void *arg;
};

static int see_recipient(void *arg, struct slice key, struct slice value)
{
    struct recipient_walk *w = arg;
    struct queue_recipient r = {0};
    struct unpack u = key_fields(key);
    (void)unpack_u64(&u);
    uint32_t n = unpack_u32(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    int err = queue_open_recipient(w->v->keys, w->id, n, value, &r);
    r.n = n;
    if (err != OK && value.len >= 1 + QUEUE_SEEN_SIZE)
        memcpy(r.seen, value.data + 1, QUEUE_SEEN_SIZE);
    return w->fn(w->arg, n, err, &r);
}

int view_queue_recipients(struct view *v, uint64_t id, uint32_t from,
                          int (*fn)(void *arg, uint32_t n, int err, const struct queue_recipient *r), void *arg)
{
    struct schema_keybuf first, end;
    struct recipient_walk w = {v, id, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    return engine_scan(v->txn, PART_QUEUE, key_u64_u32(&first, 'T', id, from), key_u64(&end, 'T', id + 1), 0,
                       see_recipient, &w);
}

int view_queue_message(struct view *v, uint64_t id, struct schema_message *ret)
{
    return view_message(v, PART_QUEUE, id, ret, NULL);
}

int view_queue_packets(struct view *v, const struct schema_message *m, uint64_t offset, uint8_t *out, size_t len)
{
    return view_packets(v, PART_QUEUE, m, offset, out, len);
}

struct dkim_walk {
    struct view *v;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *r);
    void *arg;
};

static int see_dkim(void *arg, struct slice key, struct slice value)
{
    struct dkim_walk *w = arg;
    struct dkim_record r = {0};
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = dkim_record_open(w->v->keys, key.data + 1, value, &r);
    err = w->fn(w->arg, key.data + 1, err, &r);
    secmem_wipe(&r, sizeof(r));
    return err;
}

int view_dkim_each(struct view *v,
                   int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *r),
                   void *arg)
{
    struct schema_keybuf from, to;
    struct dkim_walk w = {v, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    return engine_scan(v->txn, PART_QUEUE, key_simple(&from, 'D'), key_simple(&to, 'D' + 1), 0, see_dkim, &w);
}
