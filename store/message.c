/* The write side of messages: one record, head and body, and the account's usage, always in one
 * commit. */
#include "store/message.h"

#include <string.h>

#include "server/core/error.h"
#include "store/content.h"

enum { DAY_SECONDS = 86400, DELIVERY_STEP = 256 };

void write_begin(struct store_write *w)
{
    keyword_begin(w);
    usage_begin(w);
}

int write_end(struct store_write *w)
{
    int err = keyword_end(w);
    return err == OK ? usage_end(w) : err;
}

int write_put(struct store_write *w, struct slice key, struct slice value)
{
    w->wrote = true;
    return engine_put(w->t, w->account, key, value);
}

int write_del(struct store_write *w, struct slice key)
{
    w->wrote = true;
    int err = engine_del(w->t, w->account, key);
    return err == ERR_NOT_FOUND ? OK : err;
}

int write_del_instance(struct store_write *w, struct slice key)
{
    w->wrote = true;
    int err = engine_del(w->t, PART_INSTANCE, key);
    return err == ERR_NOT_FOUND ? OK : err;
}

int message_frees(struct store_write *w, uint64_t message, uint64_t *ret)
{
    struct schema_message m;
    int err = schema_get_message(w->t, w->keys, w->account, message, &m, NULL);
    if (err == OK)
        *ret = m.references > 1 ? 0 : usage_of_message(&m);
    return err;
}

int message_create(struct store_write *w, struct schema_message *m, struct slice packets, struct slice capsule)
{
    int err = usage_take_number(w, &m->id);
    if (err != OK)
        return err;
    m->references = 1;
    usage_message(w, m, 1);
    w->wrote = true;
    if ((err = content_write(w->t, w->keys, w->account, m, packets, capsule)) != OK ||
        (err = schema_put_message(w->t, w->keys, w->account, m)) != OK)
        return err;
    if (m->expiry_hour == 0)
        return OK;
    struct schema_keybuf k;
    return write_put(w, key_u32_u64(&k, 'X', m->expiry_hour, m->id), slice_of("", 0));
}

int message_ref(struct store_write *w, uint64_t message)
{
    struct schema_message m;
    int err = schema_get_message(w->t, w->keys, w->account, message, &m, w->outer);
    if (err != OK)
        return err;
    if (m.references == UINT32_MAX)
        return ERR_LIMIT;
    m.references++;
    w->wrote = true;
    return schema_put_message(w->t, w->keys, w->account, &m);
}

static int blob_erase(struct store_write *w, enum blob_kind kind, uint64_t id)
{
    int err = engine_blob_del(w->t, w->account, kind, id);
    return err == ERR_NOT_FOUND ? OK : err;
}

int message_unref(struct store_write *w, uint64_t message)
{
    struct schema_message m;
    int err = schema_get_message(w->t, w->keys, w->account, message, &m, w->outer);
    if (err != OK)
        return err;
    w->wrote = true;
    if (m.references > 1) {
        m.references--;
        return schema_put_message(w->t, w->keys, w->account, &m);
    }
    struct schema_keybuf k;
    usage_message(w, &m, -1);
    if ((err = blob_erase(w, BLOB_PACKETS, message)) != OK || (err = blob_erase(w, BLOB_HEAD, message)) != OK ||
        (err = write_del(w, key_u64(&k, 'm', message))) != OK)
        return err;
    return m.expiry_hour == 0 ? OK : write_del(w, key_u32_u64(&k, 'X', m.expiry_hour, message));
}

/* ---- delivery ids ---- */

int delivery_put(struct store_write *w, const uint8_t id[RECORD_HASH_SIZE], const struct schema_delivery *d)
{
    struct schema_keybuf k;
    struct slice there;
    int err = engine_get(w->t, w->account, key_hash(&k, 'D', id), &there);
    if (err == ERR_NOT_FOUND)
        usage_charge(w, CHARGE_DELIVERY);
    else if (err != OK)
        return err;
    w->wrote = true;
    err = schema_put_delivery(w->t, w->keys, w->account, id, d);
    if (err != OK)
        return err;
    return write_put(w, key_u32_hash(&k, 'e', (uint32_t)(d->time / DAY_SECONDS), id), slice_of("", 0));
}

static int delivery_remove(struct store_write *w, const uint8_t id[RECORD_HASH_SIZE], uint32_t day)
{
    struct schema_keybuf k;
    usage_charge(w, -CHARGE_DELIVERY);
    int err = write_del(w, key_hash(&k, 'D', id));
    return err == OK ? write_del(w, key_u32_hash(&k, 'e', day, id)) : err;
}

int delivery_forget(struct store_write *w, const uint8_t id[RECORD_HASH_SIZE])
{
    struct schema_delivery d;
    int err = schema_get_delivery(w->t, w->keys, w->account, id, &d);
    return err == OK ? delivery_remove(w, id, (uint32_t)(d.time / DAY_SECONDS)) : err;
}

struct expire_scan {
    uint32_t n, max;
    struct {
        uint32_t day;
        uint8_t id[RECORD_HASH_SIZE];
    } v[DELIVERY_STEP];
};

static int expire_one(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct expire_scan *s = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    uint32_t day = unpack_u32(&u);
    struct slice id = unpack_raw(&u, RECORD_HASH_SIZE);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    s->v[s->n].day = day;
    memcpy(s->v[s->n].id, id.data, RECORD_HASH_SIZE);
    return ++s->n >= s->max;
}

int delivery_expire(struct store_write *w, uint32_t max, uint32_t *ret_n)
{
    struct expire_scan s = {.max = max < DELIVERY_STEP ? max : DELIVERY_STEP};
    struct schema_keybuf from, to;
    uint64_t today = w->now / DAY_SECONDS;
    if (s.max == 0 || today <= DELIVERY_DAYS) {
        *ret_n = 0;
        return OK;
    }
    int err = engine_scan(w->t, w->account, key_simple(&from, 'e'),
                          key_u32(&to, 'e', (uint32_t)(today - DELIVERY_DAYS)), 0, expire_one, &s);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < s.n; i++)
        if ((err = delivery_remove(w, s.v[i].id, s.v[i].day)) != OK)
            return err;
    *ret_n = s.n;
    return OK;
}
