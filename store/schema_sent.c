/* Records of what accounts send: counts, known recipients, who is held. */
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/sending_impl.h"

enum {
    SENT_VERSION = 1,
    SENT_PLAIN = 1 + 8 + SENDING_HOURS * 12,
    KNOWN_VERSION = 1,
    KNOWN_PLAIN = 1 + 4 + SENDING_BUCKET_MAX * (SENDING_WHOM + 2),
    HOLD_VERSION = 1,
    HOLD_PLAIN = 1 + 8 + 1,
    COMPLAINTS_VERSION = 1,
    COMPLAINTS_PLAIN = 1 + 4 + 8 + 4 + COMPLAINTS_KEPT * (COMPLAINT_MESSAGE + 4),
};

/* ---- counts ---- */

static int sent_unpack(const uint8_t *plain, size_t len, struct schema_sent *ret)
{
    struct schema_sent s;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, SENT_VERSION);
    s.hour = unpack_u64(&u);
    for (unsigned i = 0; i < SENDING_HOURS; i++) {
        s.v[i].messages = unpack_u32(&u);
        s.v[i].recipients = unpack_u32(&u);
        s.v[i].first = unpack_u32(&u);
    }
    if (err == OK && !unpack_done(&u))
        err = ERR_FORMAT;
    if (err == OK)
        *ret = s;
    return err;
}

int schema_unpack_sent(const struct record_keys *k, uint64_t part, struct slice key, struct slice value,
                       struct schema_sent *ret)
{
    uint8_t plain[SENT_PLAIN];
    size_t len;
    int err = sealed_open(k, part, key, value, plain, sizeof(plain), &len);
    return err == OK ? sent_unpack(plain, len, ret) : err;
}

static int get_sent(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key,
                    struct schema_sent *ret)
{
    struct slice value;
    int err = engine_get(t, part, key, &value);
    if (err == ERR_NOT_FOUND)
        *ret = (struct schema_sent){0};
    else if (err == OK)
        return schema_unpack_sent(k, part, key, value, ret);
    return err == ERR_NOT_FOUND ? OK : err;
}

static int put_sent(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key,
                    const struct schema_sent *v)
{
    uint8_t plain[SENT_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, SENT_VERSION);
    pack_u64(&p, v->hour);
    for (unsigned i = 0; i < SENDING_HOURS; i++) {
        pack_u32(&p, v->v[i].messages);
        pack_u32(&p, v->v[i].recipients);
        pack_u32(&p, v->v[i].first);
    }
    return sealed_put(t, k, part, key, &p);
}

int schema_get_sent(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_sent *ret)
{
    struct schema_keybuf kb;
    return get_sent(t, k, account, key_simple(&kb, 'L'), ret);
}

int schema_put_sent(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_sent *v)
{
    struct schema_keybuf kb;
    return put_sent(t, k, account, key_simple(&kb, 'L'), v);
}

struct slice key_domain_sent(struct schema_keybuf *kb, const struct record_keys *k, const char *domain)
{
    struct slice key = key_domain(kb, k, domain);
    kb->b[0] = 'L';
    return key;
}

int schema_get_domain_sent(struct engine_txn *t, const struct record_keys *k, const char *domain,
                           struct schema_sent *ret)
{
    struct schema_keybuf kb;
    return get_sent(t, k, PART_INSTANCE, key_domain_sent(&kb, k, domain), ret);
}

int schema_put_domain_sent(struct engine_txn *t, const struct record_keys *k, const char *domain,
                           const struct schema_sent *v)
{
    struct schema_keybuf kb;
    return put_sent(t, k, PART_INSTANCE, key_domain_sent(&kb, k, domain), v);
}

/* ---- who is known ---- */

static int known_unpack(const uint8_t *plain, size_t len, struct known_bucket *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, KNOWN_VERSION);
    ret->n = unpack_u32(&u);
    if (err != OK || ret->n > SENDING_BUCKET_MAX)
        return err != OK ? err : ERR_FORMAT;
    for (uint32_t i = 0; i < ret->n; i++) {
        struct slice whom = unpack_raw(&u, SENDING_WHOM);
        ret->v[i].day = (uint16_t)(unpack_u8(&u) << 8);
        ret->v[i].day = (uint16_t)(ret->v[i].day | unpack_u8(&u));
        if (u.failed)
            return ERR_FORMAT;
        memcpy(ret->v[i].whom, whom.data, SENDING_WHOM);
    }
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

static int known_open(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                      struct known_bucket *ret)
{
    uint8_t plain[KNOWN_PLAIN];
    size_t len;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (err == OK)
        err = known_unpack(plain, len, ret);
    return err;
}

int schema_get_known(struct engine_txn *t, const struct record_keys *k, uint64_t account, char letter, uint32_t bucket,
                     struct known_bucket *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u32(&kb, letter, bucket), value;
    int err = engine_get(t, account, key, &value);
    ret->n = 0;
    return err == ERR_NOT_FOUND ? OK : err == OK ? known_open(k, account, key, value, ret) : err;
}

int schema_put_known(struct engine_txn *t, const struct record_keys *k, uint64_t account, char letter, uint32_t bucket,
                     const struct known_bucket *v)
{
    struct schema_keybuf kb;
    uint8_t plain[KNOWN_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, KNOWN_VERSION);
    pack_u32(&p, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        pack_raw(&p, v->v[i].whom, SENDING_WHOM);
        pack_u8(&p, (uint8_t)(v->v[i].day >> 8));
        pack_u8(&p, (uint8_t)v->v[i].day);
    }
    return sealed_put(t, k, account, key_u32(&kb, letter, bucket), &p);
}

int schema_unpack_known(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        uint32_t *ret_n)
{
    struct known_bucket b;
    int err = known_open(k, account, key, value, &b);
    if (err == OK)
        *ret_n = b.n;
    return err;
}

/* ---- complaints ---- */

int schema_put_complaints(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                          const struct schema_complaints *v)
{
    struct schema_keybuf kb;
    uint8_t plain[COMPLAINTS_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, COMPLAINTS_VERSION);
    pack_u32(&p, v->total);
    pack_u64(&p, v->last);
    pack_u32(&p, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        pack_raw(&p, v->v[i].message, COMPLAINT_MESSAGE);
        pack_u32(&p, v->v[i].hour);
    }
    return sealed_put(t, k, account, key_simple(&kb, 'y'), &p);
}

static int complaints_unpack(const uint8_t *plain, size_t len, struct schema_complaints *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, COMPLAINTS_VERSION);
    ret->total = unpack_u32(&u);
    ret->last = unpack_u64(&u);
    ret->n = unpack_u32(&u);
    if (err != OK || ret->n > COMPLAINTS_KEPT)
        return err != OK ? err : ERR_FORMAT;
    for (uint32_t i = 0; i < ret->n; i++) {
        struct slice message = unpack_raw(&u, COMPLAINT_MESSAGE);
        ret->v[i].hour = unpack_u32(&u);
        if (u.failed)
            return ERR_FORMAT;
        memcpy(ret->v[i].message, message.data, COMPLAINT_MESSAGE);
    }
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

int schema_unpack_complaints(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                             struct schema_complaints *ret)
{
    uint8_t plain[COMPLAINTS_PLAIN];
    struct schema_complaints c;
    size_t len;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (err == OK)
        err = complaints_unpack(plain, len, &c);
    if (err == OK)
        *ret = c;
    return err;
}

int schema_get_complaints(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                          struct schema_complaints *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_simple(&kb, 'y'), value;
    int err = engine_get(t, account, key, &value);
    if (err == ERR_NOT_FOUND)
        *ret = (struct schema_complaints){0};
    else if (err == OK)
        return schema_unpack_complaints(k, account, key, value, ret);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ---- who is held ---- */

int schema_put_hold(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_hold *v)
{
    struct schema_keybuf kb;
    uint8_t plain[HOLD_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, HOLD_VERSION);
    pack_u64(&p, v->since);
    pack_u8(&p, v->why);
    return sealed_put(t, k, PART_QUEUE, key_u64(&kb, 'H', account), &p);
}

int schema_unpack_hold(const struct record_keys *k, struct slice key, struct slice value, struct schema_hold *ret)
{
    struct schema_hold h;
    uint8_t plain[HOLD_PLAIN];
    struct unpack u;
    size_t len;
    int err = sealed_open(k, PART_QUEUE, key, value, plain, sizeof(plain), &len);
    if (err != OK)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, HOLD_VERSION);
    h.since = unpack_u64(&u);
    h.why = unpack_u8(&u);
    if (err == OK && (!unpack_done(&u) || h.why < HOLD_BY_HAND || h.why > HOLD_COMPLAINTS))
        err = ERR_FORMAT;
    if (err == OK)
        *ret = h;
    return err;
}

int schema_get_hold(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_hold *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u64(&kb, 'H', account), value;
    int err = engine_get(t, PART_QUEUE, key, &value);
    return err == OK ? schema_unpack_hold(k, key, value, ret) : err;
}
