/* Certificates' records: sealed, under a keyed hash of the fingerprint, so that nobody without the key finds whose
 * they are. */
#include "store/schema_impl.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/approval.h"

enum {
    KEY_VERSION = 1,
    KEY_SIZE = 1 + 1 + 8 + 8 + 8 + 4 + CERT_HASH_SIZE + PGP_VERDICT_SIZE + 2 + KEY_FORMER_MAX * (1 + PGP_FPR_MAX)
};

/* What follows the verdict. */
static int key_past(struct unpack *u, struct schema_key *v)
{
    v->noticed = unpack_u8(u);
    v->nformer = unpack_u8(u);
    if (u->failed || v->nformer > KEY_FORMER_MAX ||
        (v->noticed & ~(KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED | KEY_EVENT_REVOKED)))
        return ERR_FORMAT;
    for (unsigned i = 0; i < v->nformer; i++) {
        uint8_t len = unpack_u8(u);
        struct slice fpr = unpack_raw(u, PGP_FPR_MAX);
        if (u->failed || (len != 20 && len != 32))
            return ERR_FORMAT;
        v->former[i].fpr_len = len;
        memcpy(v->former[i].fpr, fpr.data, PGP_FPR_MAX);
    }
    return unpack_done(u) ? OK : ERR_FORMAT;
}

static int key_unpack(const uint8_t *plain, size_t len, struct schema_key *ret)
{
    struct schema_key v = {0};
    struct unpack u;
    unpack_init(&u, plain, len);
    uint8_t version = unpack_u8(&u);
    v.state = unpack_u8(&u);
    v.added = unpack_u64(&u);
    v.ended = unpack_u64(&u);
    v.blob = unpack_u64(&u) ^ BLOB_ID_MAX;
    v.cert_len = unpack_u32(&u);
    struct slice hash = unpack_raw(&u, CERT_HASH_SIZE), verdict = unpack_raw(&u, PGP_VERDICT_SIZE);
    if (!u.failed && version > KEY_VERSION)
        return ERR_VERSION;
    if (u.failed || version != KEY_VERSION || v.state < KEY_CURRENT || v.state > KEY_ENC_REVOKED ||
        v.cert_len > PGP_CERT_MAX || v.blob >= BLOB_ID_MAX)
        return ERR_FORMAT;
    memcpy(v.cert_hash, hash.data, CERT_HASH_SIZE);
    int err = key_past(&u, &v);
    if (!err)
        err = pgp_verdict_unpack(verdict.data, verdict.len, &v.verdict);
    if (!err)
        *ret = v;
    return err;
}

int schema_unpack_key(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                      struct schema_key *ret)
{
    uint8_t plain[KEY_SIZE];
    struct schema_key v;
    struct schema_keybuf kb;
    size_t len;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    err = key_unpack(plain, len, &v);
    secmem_wipe(plain, len);
    if (err)
        return err;
    struct slice want = key_certificate(&kb, k, account, v.verdict.primary_fpr, v.verdict.primary_fpr_len);
    if (want.len != key.len || memcmp(want.data, key.data, key.len) != 0)
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

int schema_put_key(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *v)
{
    struct schema_keybuf kb;
    uint8_t buf[KEY_SIZE], verdict[PGP_VERDICT_SIZE];
    struct pack p;
    if (v->cert_len > PGP_CERT_MAX || v->blob >= BLOB_ID_MAX || v->nformer > KEY_FORMER_MAX)
        return ERR_LIMIT;
    pgp_verdict_pack(&v->verdict, verdict);
    pack_init(&p, buf, sizeof(buf));
    pack_u8(&p, KEY_VERSION);
    pack_u8(&p, v->state);
    pack_u64(&p, v->added);
    pack_u64(&p, v->ended);
    pack_u64(&p, v->blob | BLOB_ID_MAX);
    pack_u32(&p, v->cert_len);
    pack_raw(&p, v->cert_hash, CERT_HASH_SIZE);
    pack_raw(&p, verdict, sizeof(verdict));
    pack_u8(&p, v->noticed);
    pack_u8(&p, v->nformer);
    for (unsigned i = 0; i < v->nformer; i++) {
        pack_u8(&p, v->former[i].fpr_len);
        pack_raw(&p, v->former[i].fpr, PGP_FPR_MAX);
    }
    return sealed_put(t, k, account,
                      key_certificate(&kb, k, account, v->verdict.primary_fpr, v->verdict.primary_fpr_len), &p);
}

struct key_load {
    const struct record_keys *k;
    uint64_t account;
    struct schema_key *v;
    size_t n;
};

static int key_one(void *arg, struct slice key, struct slice value)
{
    struct key_load *l = arg;
    if (l->n == PGP_KEYS_MAX)
        return ERR_LIMIT;
    int err = schema_unpack_key(l->k, l->account, key, value, &l->v[l->n]);
    l->n += err == OK;
    return err;
}

static int by_age(const void *x, const void *y)
{
    const struct schema_key *a = x, *b = y;
    if (a->added != b->added)
        return a->added < b->added ? -1 : 1;
    return memcmp(a->verdict.primary_fpr, b->verdict.primary_fpr, PGP_FPR_MAX);
}

int schema_get_keys(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                    struct schema_key ret[PGP_KEYS_MAX], size_t *ret_n)
{
    struct schema_keybuf from, to;
    struct key_load l = {k, account, ret, 0};
    int err = engine_scan(t, account, key_simple(&from, 'K'), key_simple(&to, 'K' + 1), 0, key_one, &l);
    if (err)
        return err;
    if (l.n > 1)
        qsort(ret, l.n, sizeof(*ret), by_age);
    *ret_n = l.n;
    return OK;
}

/* Their approval. */

enum { APPROVAL_VERSION = 1, APPROVAL_RECORD_SIZE = 1 + 4 + APPROVAL_SIZE };

int schema_get_approval(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t *ret_keys_version,
                        uint8_t ret[APPROVAL_SIZE])
{
    struct schema_keybuf kb;
    uint8_t plain[APPROVAL_RECORD_SIZE];
    struct slice key = key_simple(&kb, 'G');
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, account, key, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    uint8_t version = unpack_u8(&u);
    uint32_t keys_version = unpack_u32(&u);
    struct slice approval = unpack_raw(&u, APPROVAL_SIZE);
    if (version > APPROVAL_VERSION)
        return ERR_VERSION;
    if (!unpack_done(&u) || version != APPROVAL_VERSION)
        return ERR_FORMAT;
    memcpy(ret, approval.data, APPROVAL_SIZE);
    *ret_keys_version = keys_version;
    return OK;
}

int schema_put_approval(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t keys_version,
                        const uint8_t approval[APPROVAL_SIZE])
{
    struct schema_keybuf kb;
    uint8_t plain[APPROVAL_RECORD_SIZE];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, APPROVAL_VERSION);
    pack_u32(&p, keys_version);
    pack_raw(&p, approval, APPROVAL_SIZE);
    return sealed_put(t, k, account, key_simple(&kb, 'G'), &p);
}

int schema_check_approval(struct engine_txn *t, const struct record_keys *k, const struct schema_account *account,
                          const struct key_set *keys)
{
    uint8_t uuid[STORE_UUID_SIZE], approval[APPROVAL_SIZE];
    struct approval_text text;
    uint32_t version;
    int err = schema_get_uuid(t, uuid);
    if (!err)
        err = schema_get_approval(t, k, account->id, &version, approval);
    if (err || version != account->keys_version)
        return !err || err == ERR_NOT_FOUND ? ERR_UNAPPROVED : err;
    approval_of_keys(uuid, account, keys, NULL, &text);
    return approval_check(k, &text, approval);
}
