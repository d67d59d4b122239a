/* Messages' records, whose outer header is sealed inside them, and certificates, whose chunks are sealed one by one. */
#include "store/schema_impl.h"

#include <string.h>

#include "server/core/secmem.h"
#include "server/core/error.h"
#include "store/key_rules.h"
#include "server/format/parcel.h"

_Static_assert((int)SCHEMA_OUTER_MAX >= (int)PARCEL_OUTER_MAX,
               "an outer header that comes in must fit into its record");

enum { CERT_CHUNK = ENGINE_BLOB_CHUNK - RECORD_OVERHEAD };

static int message_numbers(struct unpack *u, struct schema_message *m)
{
    memset(m, 0, sizeof(*m));
    m->id = unpack_u64(u);
    m->references = unpack_u32(u);
    m->kind = unpack_u8(u);
    m->render_version = unpack_u8(u);
    m->packets_len = unpack_u64(u);
    m->capsule_len = unpack_u32(u);
    m->outer_len = unpack_u32(u);
    m->size = unpack_u64(u);
    m->received = unpack_u64(u);
    struct slice thread = unpack_raw(u, RECORD_HASH_SIZE), own = unpack_raw(u, RECORD_HASH_SIZE);
    m->expiry_scheme = unpack_u8(u);
    m->expiry_hour = unpack_u32(u);
    m->keys_used = unpack_u32(u);
    m->nfprs = unpack_u8(u);
    if (u->failed || m->nfprs > MESSAGE_FPRS_MAX || m->kind < MESSAGE_SERVER_SEALED || m->kind > MESSAGE_CLIENT ||
        m->expiry_scheme > 1 || m->outer_len > SCHEMA_OUTER_MAX)
        return ERR_FORMAT;
    memcpy(m->thread, thread.data, thread.len);
    memcpy(m->own_id, own.data, own.len);
    for (unsigned i = 0; i < m->nfprs; i++) {
        struct slice fpr = unpack_raw(u, MESSAGE_FPR_SIZE);
        if (fpr.len == MESSAGE_FPR_SIZE)
            memcpy(m->fprs[i], fpr.data, MESSAGE_FPR_SIZE);
    }
    return u->failed ? ERR_FORMAT : OK;
}

static int message_unpack(struct slice value, uint64_t message, struct schema_message *m, struct slice *ret_sealed)
{
    struct unpack u;
    unpack_init(&u, value.data, value.len);
    int err = message_numbers(&u, m);
    if (err)
        return err;
    struct slice sealed = unpack_bytes(&u, SCHEMA_OUTER_MAX + RECORD_OVERHEAD);
    if (!unpack_done(&u) || m->id != message || sealed.len != (size_t)m->outer_len + RECORD_OVERHEAD)
        return ERR_FORMAT;
    *ret_sealed = sealed;
    return OK;
}

int schema_unpack_message(struct slice key, struct slice value, struct schema_message *ret)
{
    struct schema_message m;
    struct slice sealed;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    uint64_t message = unpack_u64(&u);
    int err = unpack_done(&u) ? message_unpack(value, message, &m, &sealed) : ERR_FORMAT;
    if (!err)
        *ret = m;
    return err;
}

static size_t message_place(uint8_t out[PLACE_MAX], uint64_t account, struct slice key)
{
    struct pack p;
    pack_init(&p, out, PLACE_MAX);
    pack_u64(&p, account);
    pack_raw(&p, key.data, key.len);
    return p.len;
}

int schema_get_message(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t message,
                       struct schema_message *ret, uint8_t *outer_buf)
{
    struct schema_keybuf kb;
    struct schema_message m;
    struct slice key = key_u64(&kb, 'm', message), value, sealed;
    uint8_t place[PLACE_MAX];
    int err = engine_get(t, account, key, &value);
    if (!err)
        err = message_unpack(value, message, &m, &sealed);
    if (err)
        return err;
    if (outer_buf) {
        size_t len;
        err = record_open(k, RECORD_MESSAGE, place, message_place(place, account, key), sealed.data, sealed.len,
                          outer_buf, &len);
        if (err)
            return err;
        m.outer = slice_of(outer_buf, len);
    }
    *ret = m;
    return OK;
}

/* The outer header is sealed straight into the value. */
static int pack_outer(struct pack *p, const struct record_keys *k, uint64_t account, struct slice key,
                      struct slice outer)
{
    uint8_t place[PLACE_MAX];
    pack_u32(p, (uint32_t)(outer.len + RECORD_OVERHEAD));
    if (p->failed || p->cap - p->len < outer.len + RECORD_OVERHEAD)
        return ERR_LIMIT;
    record_seal(k, RECORD_MESSAGE, place, message_place(place, account, key), outer.data, outer.len, p->data + p->len);
    p->len += outer.len + RECORD_OVERHEAD;
    return OK;
}

int schema_put_message(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_message *v)
{
    struct schema_keybuf kb;
    uint8_t buf[ENGINE_VALUE_MAX];
    struct slice key = key_u64(&kb, 'm', v->id);
    struct pack p;
    if (v->outer.len != v->outer_len || v->outer_len > SCHEMA_OUTER_MAX || v->nfprs > MESSAGE_FPRS_MAX)
        return ERR_LIMIT;
    pack_init(&p, buf, sizeof(buf));
    pack_u64(&p, v->id);
    pack_u32(&p, v->references);
    pack_u8(&p, v->kind);
    pack_u8(&p, v->render_version);
    pack_u64(&p, v->packets_len);
    pack_u32(&p, v->capsule_len);
    pack_u32(&p, v->outer_len);
    pack_u64(&p, v->size);
    pack_u64(&p, v->received);
    pack_raw(&p, v->thread, sizeof(v->thread));
    pack_raw(&p, v->own_id, sizeof(v->own_id));
    pack_u8(&p, v->expiry_scheme);
    pack_u32(&p, v->expiry_hour);
    pack_u32(&p, v->keys_used);
    pack_u8(&p, v->nfprs);
    for (unsigned i = 0; i < v->nfprs; i++)
        pack_raw(&p, v->fprs[i], MESSAGE_FPR_SIZE);
    int err = pack_outer(&p, k, account, key, v->outer);
    return err ? err : plain_put(t, account, key, &p);
}

/* Certificates. */

static size_t cert_place(uint8_t out[64], uint64_t account, uint64_t number, uint32_t n, size_t cert_len)
{
    struct pack p;
    pack_init(&p, out, 64);
    pack_u64(&p, account);
    pack_u8(&p, 'K');
    pack_u64(&p, BLOB_ID_MAX | number);
    pack_u32(&p, n);
    pack_u64(&p, cert_len);
    return p.len;
}

int schema_put_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t number,
                    struct slice cert)
{
    uint8_t sealed[ENGINE_BLOB_CHUNK], place[64];
    if (!cert.len || cert.len > PGP_CERT_MAX || number >= BLOB_ID_MAX)
        return ERR_LIMIT;
    for (size_t pos = 0; pos < cert.len; pos += CERT_CHUNK) {
        size_t len = cert.len - pos < CERT_CHUNK ? cert.len - pos : CERT_CHUNK;
        uint32_t n = (uint32_t)(pos / CERT_CHUNK);
        record_seal(k, RECORD_DIRECTORY, place, cert_place(place, account, number, n, cert.len), cert.data + pos, len,
                    sealed);
        int err = engine_blob_put(t, account, BLOB_CERTIFICATE, number, n, slice_of(sealed, len + RECORD_OVERHEAD));
        if (err)
            return err;
    }
    return OK;
}

int schema_get_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *key,
                    uint8_t *buf, size_t *ret_len)
{
    uint8_t place[64];
    for (size_t pos = 0; pos < key->cert_len; pos += CERT_CHUNK) {
        size_t want = key->cert_len - pos < CERT_CHUNK ? key->cert_len - pos : CERT_CHUNK, len;
        uint32_t n = (uint32_t)(pos / CERT_CHUNK);
        struct slice sealed;
        int err = engine_blob_get(t, account, BLOB_CERTIFICATE, key->blob, n, &sealed);
        if (err)
            return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
        if (sealed.len != want + RECORD_OVERHEAD)
            return ERR_FORMAT;
        err = record_open(k, RECORD_DIRECTORY, place, cert_place(place, account, key->blob, n, key->cert_len),
                          sealed.data, sealed.len, buf + pos, &len);
        if (err)
            return err;
    }
    uint8_t hash[CERT_HASH_SIZE];
    key_cert_hash(slice_of(buf, key->cert_len), hash);
    if (memcmp(hash, key->cert_hash, sizeof(hash)) != 0)
        return ERR_CRYPTO;
    *ret_len = key->cert_len;
    return OK;
}
