/* Messages' records, each sealed whole with its outer header, and delivery ids and certificates. */
#include "store/schema_impl.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/format/parcel.h"
#include "server/format/render.h"
#include "store/content.h"
#include "store/key_rules.h"
#include "store/sealed_blob.h"

_Static_assert((int)SCHEMA_OUTER_MAX >= (int)PARCEL_OUTER_MAX,
               "an outer header that comes in must fit into its record");

enum { MESSAGE_VERSION = 1 };

/* What is asked for, and from whom: everything before the outer header. */
static void unpack_numbers(struct unpack *u, struct schema_message *m)
{
    m->id = unpack_u64(u);
    m->references = unpack_u32(u);
    m->kind = unpack_u8(u);
    m->render_version = unpack_u8(u);
    m->packets_len = unpack_u64(u);
    m->head_len = unpack_u32(u);
    m->capsule_len = unpack_u32(u);
    m->outer_len = unpack_u32(u);
    m->internaldate = (int64_t)unpack_u64(u);
    m->received = unpack_u64(u);
    struct slice thread = unpack_raw(u, RECORD_HASH_SIZE), own = unpack_raw(u, RECORD_HASH_SIZE);
    m->expiry_scheme = unpack_u8(u);
    m->expiry_hour = unpack_u32(u);
    m->keys_used = unpack_u32(u);
    if (u->failed)
        return;
    memcpy(m->thread, thread.data, thread.len);
    memcpy(m->own_id, own.data, own.len);
}

static int unpack_lists(struct unpack *u, struct schema_message *m)
{
    m->nfprs = unpack_u8(u);
    if (u->failed || m->nfprs > MESSAGE_FPRS_MAX)
        return ERR_FORMAT;
    for (unsigned i = 0; i < m->nfprs; i++) {
        struct slice fpr = unpack_raw(u, MESSAGE_FPR_SIZE);
        if (fpr.len == MESSAGE_FPR_SIZE)
            memcpy(m->fprs[i], fpr.data, MESSAGE_FPR_SIZE);
    }
    struct slice salt = unpack_raw(u, OUTER_SEAL_SALT);
    if (salt.len == OUTER_SEAL_SALT)
        memcpy(m->salt, salt.data, OUTER_SEAL_SALT);
    m->padding = unpack_u32(u);
    m->nfeatures = unpack_u8(u);
    if (u->failed || m->nfeatures > MESSAGE_FEATURES_MAX)
        return ERR_FORMAT;
    for (unsigned i = 0; i < MESSAGE_FEATURES_MAX; i++)
        m->features[i] = unpack_u64(u);
    return u->failed ? ERR_FORMAT : OK;
}

static int unpack_plain(struct slice plain, uint64_t message, struct schema_message *m)
{
    struct unpack u;
    memset(m, 0, sizeof(*m));
    unpack_init(&u, plain.data, plain.len);
    int err = fields_version(&u, MESSAGE_VERSION);
    if (err)
        return err;
    unpack_numbers(&u, m);
    err = unpack_lists(&u, m);
    if (err)
        return err;
    m->outer = unpack_bytes(&u, SCHEMA_OUTER_MAX);
    if (!unpack_done(&u) || m->id != message || m->outer.len != m->outer_len || m->kind < MESSAGE_SERVER_SEALED ||
        m->kind > MESSAGE_QUEUED || m->expiry_scheme > 1 || m->packets_len > SCHEMA_PACKETS_MAX ||
        m->head_len > m->packets_len || m->capsule_len > PARCEL_CAPSULE_MAX || m->padding > CONTENT_PADDING_MAX)
        return ERR_FORMAT;
    return OK;
}

static int message_unpack(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct schema_message *ret, uint8_t *outer_buf)
{
    uint8_t plain[ENGINE_VALUE_MAX];
    struct schema_message m;
    struct unpack u = key_fields(key);
    size_t len;
    uint64_t message = unpack_u64(&u);
    int err = unpack_done(&u) ? sealed_open(k, account, key, value, plain, sizeof(plain), &len) : ERR_FORMAT;
    if (err)
        return err;
    err = unpack_plain(slice_of(plain, len), message, &m);
    if (!err && (m.kind == MESSAGE_QUEUED) != (account == PART_QUEUE))
        err = ERR_FORMAT;
    if (!err && outer_buf && m.outer.len)
        memcpy(outer_buf, m.outer.data, m.outer.len);
    secmem_wipe(plain, len);
    if (err)
        return err;
    m.outer = outer_buf ? slice_of(outer_buf, m.outer_len) : slice_of(NULL, 0);
    *ret = m;
    return OK;
}

static struct slice key_message(struct schema_keybuf *kb, uint64_t account, uint64_t message)
{
    return key_u64(kb, account == PART_QUEUE ? 'M' : 'm', message);
}

int schema_unpack_message(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct schema_message *ret)
{
    return message_unpack(k, account, key, value, ret, NULL);
}

int schema_get_message(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t message,
                       struct schema_message *ret, uint8_t *outer_buf)
{
    struct schema_keybuf kb;
    struct slice key = key_message(&kb, account, message), value;
    int err = engine_get(t, account, key, &value);
    return err ? err : message_unpack(k, account, key, value, ret, outer_buf);
}

static void pack_message(struct pack *p, const struct schema_message *v)
{
    pack_u8(p, MESSAGE_VERSION);
    pack_u64(p, v->id);
    pack_u32(p, v->references);
    pack_u8(p, v->kind);
    pack_u8(p, v->render_version);
    pack_u64(p, v->packets_len);
    pack_u32(p, v->head_len);
    pack_u32(p, v->capsule_len);
    pack_u32(p, v->outer_len);
    pack_u64(p, (uint64_t)v->internaldate);
    pack_u64(p, v->received);
    pack_raw(p, v->thread, sizeof(v->thread));
    pack_raw(p, v->own_id, sizeof(v->own_id));
    pack_u8(p, v->expiry_scheme);
    pack_u32(p, v->expiry_hour);
    pack_u32(p, v->keys_used);
    pack_u8(p, v->nfprs);
    for (unsigned i = 0; i < v->nfprs; i++)
        pack_raw(p, v->fprs[i], MESSAGE_FPR_SIZE);
    pack_raw(p, v->salt, sizeof(v->salt));
    pack_u32(p, v->padding);
    pack_u8(p, v->nfeatures);
    /* Room for all of them, or the record's length tells how many there are, and by that who wrote. */
    for (unsigned i = 0; i < MESSAGE_FEATURES_MAX; i++)
        pack_u64(p, i < v->nfeatures ? v->features[i] : 0);
    pack_bytes(p, v->outer.data, v->outer.len);
}

int schema_put_message(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_message *v)
{
    struct schema_keybuf kb;
    uint8_t buf[ENGINE_VALUE_MAX];
    struct pack p;
    if (v->outer.len != v->outer_len || v->outer_len > SCHEMA_OUTER_MAX || v->nfprs > MESSAGE_FPRS_MAX ||
        v->nfeatures > MESSAGE_FEATURES_MAX || v->packets_len > SCHEMA_PACKETS_MAX ||
        v->capsule_len > PARCEL_CAPSULE_MAX || v->head_len > v->packets_len || v->padding > CONTENT_PADDING_MAX)
        return ERR_LIMIT;
    pack_init(&p, buf, sizeof(buf));
    pack_message(&p, v);
    return sealed_put(t, k, account, key_message(&kb, account, v->id), &p);
}

uint64_t schema_message_size(const struct schema_message *m)
{
    return render_size(m->render_version, m->outer_len, m->packets_len);
}

struct schema_facts schema_message_facts(const struct schema_message *m)
{
    return (struct schema_facts){schema_message_size(m), m->internaldate};
}

/* Delivery ids. */

enum { DELIVERY_PLAIN = 3 * 8 + 3 * 4 };

int schema_get_delivery(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        const uint8_t id[RECORD_HASH_SIZE], struct schema_delivery *ret)
{
    struct schema_keybuf kb;
    uint8_t plain[DELIVERY_PLAIN + 64];
    struct slice key = key_hash(&kb, 'D', id);
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, account, key, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    struct schema_delivery d;
    d.time = unpack_u64(&u);
    d.message = unpack_u64(&u);
    d.mailbox = unpack_u32(&u);
    d.uidvalidity = unpack_u32(&u);
    d.uid = unpack_u32(&u);
    d.modseq = unpack_u64(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    *ret = d;
    return OK;
}

int schema_put_delivery(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        const uint8_t id[RECORD_HASH_SIZE], const struct schema_delivery *d)
{
    struct schema_keybuf kb;
    uint8_t value[DELIVERY_PLAIN];
    struct pack p;
    pack_init(&p, value, sizeof(value));
    pack_u64(&p, d->time);
    pack_u64(&p, d->message);
    pack_u32(&p, d->mailbox);
    pack_u32(&p, d->uidvalidity);
    pack_u32(&p, d->uid);
    pack_u64(&p, d->modseq);
    return sealed_put(t, k, account, key_hash(&kb, 'D', id), &p);
}

/* Certificates. */

static struct sealed_blob cert_blob(uint64_t account, uint64_t number, size_t len)
{
    return (struct sealed_blob){
        .use = RECORD_DIRECTORY, .account = account, .kind = BLOB_CERTIFICATE, .id = number, .len = len};
}

int schema_put_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t number,
                    struct slice cert)
{
    if (!cert.len || cert.len > PGP_CERT_MAX || number >= BLOB_ID_MAX)
        return ERR_LIMIT;
    struct sealed_blob b = cert_blob(account, number, cert.len);
    return sealed_blob_put(t, k, &b, &cert, 1);
}

int schema_get_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *key,
                    uint8_t *buf, size_t *ret_len)
{
    uint8_t chunk[ENGINE_BLOB_CHUNK];
    const struct sealed_blob b = cert_blob(account, key->blob, key->cert_len);
    size_t at = 0, len;
    for (uint32_t n = 0; n < sealed_blob_chunks(b.len); n++, at += len) {
        int err = sealed_blob_open(t, k, &b, n, chunk, &len);
        if (err)
            return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
        memcpy(buf + at, chunk, len);
    }
    uint8_t hash[CERT_HASH_SIZE];
    key_cert_hash(slice_of(buf, key->cert_len), hash);
    if (memcmp(hash, key->cert_hash, sizeof(hash)) != 0)
        return ERR_UNAPPROVED;
    *ret_len = key->cert_len;
    return OK;
}
