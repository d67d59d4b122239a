/* What remembers work that is not over or that somebody may still ask for: tombstones, mailboxes that are erased or
 * emptied, copies in pieces, a restore. */
#include "store/schema_impl.h"

#include "server/core/error.h"

enum { TOMBSTONES_SIZE = 4 + TOMBSTONES_MAX * 8, JOB_SIZE = 1 + 4 + 4, COPY_SIZE = 4 + 4 };

static int tombstones_unpack(const uint8_t *plain, size_t len, struct schema_tombstones *v)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    uint32_t n = unpack_u32(&u);
    if (u.failed || n == 0 || n > TOMBSTONES_MAX)
        return ERR_FORMAT;
    for (v->n = 0; v->n < n; v->n++) {
        uint32_t first = unpack_u32(&u), last = unpack_u32(&u);
        if (u.failed || first == 0 || last < first)
            return ERR_FORMAT;
        v->v[v->n].first = first;
        v->v[v->n].last = last;
    }
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

int schema_unpack_tombstones(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                             struct schema_tombstones *ret)
{
    struct schema_tombstones v;
    uint8_t plain[TOMBSTONES_SIZE];
    struct unpack u = key_fields(key);
    size_t len;
    (void)unpack_u32(&u);
    v.modseq = unpack_u64(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (!err)
        err = tombstones_unpack(plain, len, &v);
    if (!err) {
        ret->modseq = v.modseq;
        ret->n = v.n;
        for (uint32_t i = 0; i < v.n; i++)
            ret->v[i] = v.v[i];
    }
    return err;
}

int schema_put_tombstones(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                          const struct schema_tombstones *v)
{
    struct schema_keybuf kb;
    uint8_t plain[TOMBSTONES_SIZE];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u32(&p, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        pack_u32(&p, v->v[i].first);
        pack_u32(&p, v->v[i].last);
    }
    return sealed_put(t, k, account, key_u32_u64(&kb, 'x', mailbox, v->modseq), &p);
}

int schema_unpack_job(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                      struct schema_job *ret)
{
    struct schema_job v;
    struct unpack place = key_fields(key), u;
    int err = tagged_open(k, account, key, value, &u);
    if (err)
        return err;
    v.mailbox = unpack_u32(&place);
    v.job = unpack_u8(&u);
    v.to = unpack_u32(&u);
    v.uid_end = unpack_u32(&u);
    if (!unpack_done(&place) || !unpack_done(&u) || (v.job != JOB_ERASE && v.job != JOB_MOVE))
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

int schema_put_job(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_job *v)
{
    struct schema_keybuf kb;
    uint8_t buf[JOB_SIZE];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u8(&p, v->job);
    pack_u32(&p, v->to);
    pack_u32(&p, v->uid_end);
    return tagged_put(t, k, account, key_u32(&kb, 'Z', v->mailbox), &p);
}

int schema_unpack_copy(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                       struct schema_copy *ret)
{
    struct schema_copy v;
    struct unpack place = key_fields(key), u;
    int err = tagged_open(k, account, key, value, &u);
    if (err)
        return err;
    v.number = unpack_u64(&place);
    v.first = unpack_u32(&place);
    v.to = unpack_u32(&u);
    v.last = unpack_u32(&u);
    if (!unpack_done(&place) || !unpack_done(&u) || v.first == 0 || v.last < v.first)
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

int schema_put_copy(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_copy *v)
{
    struct schema_keybuf kb;
    uint8_t buf[COPY_SIZE];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u32(&p, v->to);
    pack_u32(&p, v->last);
    return tagged_put(t, k, account, key_u64_u32(&kb, 'Y', v->number, v->first), &p);
}

int schema_get_restored(struct engine_txn *t, const struct record_keys *k, uint64_t *ret)
{
    struct schema_keybuf kb;
    struct unpack u;
    int err = tagged_get(t, k, PART_INSTANCE, key_simple(&kb, 'R'), &u);
    if (err)
        return err;
    uint64_t next = unpack_u64(&u);
    if (!unpack_done(&u) || next == 0)
        return ERR_FORMAT;
    *ret = next;
    return OK;
}

int schema_put_restored(struct engine_txn *t, const struct record_keys *k, uint64_t next)
{
    struct schema_keybuf kb;
    uint8_t buf[8];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u64(&p, next);
    return tagged_put(t, k, PART_INSTANCE, key_simple(&kb, 'R'), &p);
}
