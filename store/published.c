/* Records of the directory, read and written. */
#include "store/published_impl.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"
#include "store/write.h"

enum { VERSION = 1 };
enum {
    ENTRY_PLAIN = 1 + 8 + 1 + 4 + ADDRESS_MAX + 4 + PUBLISHED_HASH_SIZE + PUBLISHED_FRONT,
    HEAD_PLAIN = 1 + 8 + PUBLISHED_HASH_SIZE,
    CHANGE_PLAIN = 1 + 8 + 1 + 4 + ADDRESS_MAX + PUBLISHED_SALT_SIZE + 2 * PUBLISHED_HASH_SIZE
};

bool published_names(void *arg, const uint8_t *user_id, size_t len)
{
    char named[ADDRESS_MAX];
    size_t at, plus;
    return address_of_user_id((const char *)user_id, len, named, &at, &plus) == OK && strcmp(named, arg) == 0;
}

/* ---- the log ---- */

static const char TAG[] = "letterlock directory 1";

void published_change_hash(const struct published_change *c, const uint8_t before[PUBLISHED_HASH_SIZE],
                           uint8_t ret[PUBLISHED_HASH_SIZE])
{
    uint8_t whom[crypto_hash_sha256_BYTES], numbers[8 + 8 + 1];
    crypto_hash_sha256_state s;
    struct pack p;
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, c->salt, sizeof(c->salt));
    crypto_hash_sha256_update(&s, (const uint8_t *)c->address, strlen(c->address));
    crypto_hash_sha256_final(&s, whom);
    pack_init(&p, numbers, sizeof(numbers));
    pack_u64(&p, c->number);
    pack_u64(&p, c->at);
    pack_u8(&p, c->why);
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const uint8_t *)TAG, sizeof(TAG));
    crypto_hash_sha256_update(&s, before, PUBLISHED_HASH_SIZE);
    crypto_hash_sha256_update(&s, numbers, p.len);
    crypto_hash_sha256_update(&s, whom, sizeof(whom));
    crypto_hash_sha256_update(&s, c->cert, sizeof(c->cert));
    crypto_hash_sha256_final(&s, ret);
}

int schema_unpack_published_change(const struct record_keys *k, struct slice key, struct slice value,
                                   struct published_change *ret)
{
    uint8_t plain[CHANGE_PLAIN];
    struct published_change c;
    struct unpack u = key_fields(key);
    size_t len;
    c.number = unpack_u64(&u);
    if (!unpack_done(&u) || c.number == 0)
        return ERR_FORMAT;
    int err = sealed_open(k, PART_KEYSERVER, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    c.at = unpack_u64(&u);
    c.why = unpack_u8(&u);
    unpack_str(&u, c.address, sizeof(c.address));
    struct slice salt = unpack_raw(&u, sizeof(c.salt)), cert = unpack_raw(&u, sizeof(c.cert)),
                 hash = unpack_raw(&u, sizeof(c.hash));
    if (err || !unpack_done(&u) || c.why < PUBLISH_KEY || c.why > PUBLISH_VERIFIED || !c.address[0])
        return err ? err : ERR_FORMAT;
    memcpy(c.salt, salt.data, sizeof(c.salt));
    memcpy(c.cert, cert.data, sizeof(c.cert));
    memcpy(c.hash, hash.data, sizeof(c.hash));
    *ret = c;
    return OK;
}

int schema_put_published_change(struct engine_txn *t, const struct record_keys *k, const struct published_change *c)
{
    struct schema_keybuf kb;
    uint8_t plain[CHANGE_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, c->at);
    pack_u8(&p, c->why);
    pack_str(&p, c->address);
    pack_raw(&p, c->salt, sizeof(c->salt));
    pack_raw(&p, c->cert, sizeof(c->cert));
    pack_raw(&p, c->hash, sizeof(c->hash));
    return sealed_put(t, k, PART_KEYSERVER, key_u64(&kb, 'l', c->number), &p);
}

/* None yet: zeros. */
int schema_get_published_head(struct engine_txn *t, const struct record_keys *k, struct published_head *ret)
{
    struct schema_keybuf kb;
    struct published_head h;
    uint8_t plain[HEAD_PLAIN];
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, PART_KEYSERVER, key_simple(&kb, 'h'), plain, sizeof(plain), &len);
    if (err) {
        if (err == ERR_NOT_FOUND)
            memset(ret, 0, sizeof(*ret));
        return err == ERR_NOT_FOUND ? OK : err;
    }
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    h.changes = unpack_u64(&u);
    struct slice hash = unpack_raw(&u, sizeof(h.hash));
    if (err || !unpack_done(&u))
        return err ? err : ERR_FORMAT;
    memcpy(h.hash, hash.data, sizeof(h.hash));
    *ret = h;
    return OK;
}

int schema_put_published_head(struct engine_txn *t, const struct record_keys *k, const struct published_head *h)
{
    struct schema_keybuf kb;
    uint8_t plain[HEAD_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, h->changes);
    pack_raw(&p, h->hash, sizeof(h->hash));
    return sealed_put(t, k, PART_KEYSERVER, key_simple(&kb, 'h'), &p);
}

static int log_change(struct store_write *w, const char *address, struct slice cert, uint8_t why)
{
    struct published_head h;
    struct published_change c = {.at = w->now, .why = why};
    int err = schema_get_published_head(w->t, w->keys, &h);
    if (err)
        return err;
    c.number = h.changes + 1;
    memcpy(c.address, address, strlen(address) + 1);
    randombytes_buf(c.salt, sizeof(c.salt));
    if (cert.len)
        crypto_hash_sha256(c.cert, cert.data, cert.len);
    published_change_hash(&c, h.hash, c.hash);
    h.changes = c.number;
    memcpy(h.hash, c.hash, sizeof(h.hash));
    w->wrote = true;
    err = schema_put_published_change(w->t, w->keys, &c);
    return err ? err : schema_put_published_head(w->t, w->keys, &h);
}

/* ---- entries ---- */

void published_hash(const struct record_keys *k, const char *address, uint8_t out[RECORD_HASH_SIZE])
{
    const struct record_part part = {address, strlen(address)};
    record_hash(k, RECORD_PUBLISHED, PART_KEYSERVER, &part, 1, out);
}

struct slice key_published_wkd(struct schema_keybuf *kb, const struct record_keys *k, const char *domain,
                               const char hash[WKD_HASH_LEN])
{
    const struct record_part parts[] = {{domain, strlen(domain)}, {hash, WKD_HASH_LEN}};
    uint8_t out[RECORD_HASH_SIZE];
    record_hash(k, RECORD_PUBLISHED, PART_KEYSERVER, parts, 2, out);
    return key_hash(kb, 'w', out);
}

struct slice key_published_key(struct schema_keybuf *kb, const struct record_keys *k, const uint8_t *name, size_t len)
{
    const struct record_part part = {name, len};
    uint8_t out[RECORD_HASH_SIZE];
    record_hash(k, RECORD_PUBLISHED, PART_KEYSERVER, &part, 1, out);
    return key_hash(kb, 'f', out);
}

static struct slice behind(struct schema_keybuf *kb, struct slice front, const uint8_t hash[RECORD_HASH_SIZE])
{
    memcpy(kb->b + front.len, hash, RECORD_HASH_SIZE);
    return slice_of(kb->b, front.len + RECORD_HASH_SIZE);
}

int published_indexes(const struct record_keys *k, const struct published *p, int (*fn)(void *arg, struct slice key),
                      void *arg)
{
    struct schema_keybuf kb;
    struct pgp_published cert;
    uint8_t hash[RECORD_HASH_SIZE];
    char wkd[WKD_HASH_LEN + 1];
    const char *at = strrchr(p->address, '@');
    int err = at ? pgp_published_read(p->cert, p->len, &cert) : ERR_FORMAT;
    if (!err)
        err = wkd_hash(p->address, (size_t)(at - p->address), wkd);
    if (err)
        return err == ERR_LIMIT ? ERR_FORMAT : err;
    published_hash(k, p->address, hash);
    err = fn(arg, behind(&kb, key_published_wkd(&kb, k, at + 1, wkd), hash));
    for (size_t i = 0; !err && i < cert.nkeys; i++) {
        err = fn(arg, behind(&kb, key_published_key(&kb, k, cert.key[i].fpr, cert.key[i].fpr_len), hash));
        if (!err)
            err = fn(arg, behind(&kb, key_published_key(&kb, k, cert.key[i].key_id, 8), hash));
    }
    return err;
}

static size_t front_of(const struct published *p)
{
    return p->len < PUBLISHED_FRONT ? p->len : PUBLISHED_FRONT;
}

/* What is behind the front; the digest holds the pieces together. */
static int get_rest(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                    struct published *p, const uint8_t digest[PUBLISHED_HASH_SIZE])
{
    struct schema_keybuf kb;
    uint8_t whole[PUBLISHED_HASH_SIZE];
    for (uint32_t at = PUBLISHED_FRONT, n = 0; at < p->len; at += PUBLISHED_CHUNK, n++) {
        const size_t want = p->len - at < PUBLISHED_CHUNK ? p->len - at : PUBLISHED_CHUNK;
        size_t len = 0;
        int err = sealed_get(t, k, PART_KEYSERVER, key_hash_u32(&kb, 'c', hash, n), p->cert + at, want, &len);
        if (err || len != want)
            return err && err != ERR_NOT_FOUND ? err : ERR_FORMAT;
    }
    crypto_hash_sha256(whole, p->cert, p->len);
    return memcmp(whole, digest, sizeof(whole)) == 0 ? OK : ERR_FORMAT;
}

int schema_get_published(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                         struct published *ret)
{
    struct schema_keybuf kb;
    uint8_t plain[ENTRY_PLAIN], own[RECORD_HASH_SIZE];
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, PART_KEYSERVER, key_hash(&kb, 'p', hash), plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    ret->since = unpack_u64(&u);
    ret->why = unpack_u8(&u);
    unpack_str(&u, ret->address, sizeof(ret->address));
    ret->len = unpack_u32(&u);
    struct slice digest = unpack_raw(&u, PUBLISHED_HASH_SIZE), front = unpack_raw(&u, front_of(ret));
    if (err || !unpack_done(&u) || ret->len == 0 || ret->len > sizeof(ret->cert) || ret->why < PUBLISH_KEY ||
        ret->why > PUBLISH_VERIFIED)
        return err ? err : ERR_FORMAT;
    memcpy(ret->cert, front.data, front.len);
    published_hash(k, ret->address, own);
    if (memcmp(own, hash, sizeof(own)) != 0)
        return ERR_FORMAT;
    return ret->len > PUBLISHED_FRONT ? get_rest(t, k, hash, ret, digest.data) : OK;
}

int schema_put_published(struct engine_txn *t, const struct record_keys *k, const struct published *p)
{
    struct schema_keybuf kb;
    uint8_t plain[ENTRY_PLAIN], digest[PUBLISHED_HASH_SIZE], hash[RECORD_HASH_SIZE];
    static uint8_t chunk[PUBLISHED_CHUNK];
    struct pack out;
    published_hash(k, p->address, hash);
    crypto_hash_sha256(digest, p->cert, p->len);
    pack_init(&out, plain, sizeof(plain));
    pack_u8(&out, VERSION);
    pack_u64(&out, p->since);
    pack_u8(&out, p->why);
    pack_str(&out, p->address);
    pack_u32(&out, p->len);
    pack_raw(&out, digest, sizeof(digest));
    pack_raw(&out, p->cert, front_of(p));
    int err = sealed_put(t, k, PART_KEYSERVER, key_hash(&kb, 'p', hash), &out);
    for (uint32_t at = PUBLISHED_FRONT, n = 0; !err && at < p->len; at += PUBLISHED_CHUNK, n++) {
        pack_init(&out, chunk, sizeof(chunk));
        pack_raw(&out, p->cert + at, p->len - at < PUBLISHED_CHUNK ? p->len - at : PUBLISHED_CHUNK);
        err = sealed_put(t, k, PART_KEYSERVER, key_hash_u32(&kb, 'c', hash, n), &out);
    }
    return err;
}

static int del(void *arg, struct slice key)
{
    return write_del(arg, key);
}

static int put_empty(void *arg, struct slice key)
{
    return write_put(arg, key, slice_of("", 0));
}

static int erase(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], const struct published *p)
{
    struct schema_keybuf kb;
    int err = published_indexes(w->keys, p, del, w);
    if (!err)
        err = write_del(w, key_hash(&kb, 'p', hash));
    for (uint32_t n = 0; !err && PUBLISHED_FRONT + n * PUBLISHED_CHUNK < p->len; n++)
        err = write_del(w, key_hash_u32(&kb, 'c', hash, n));
    return err;
}

/* What stands under an address's hash, and in the indexes that lead to it: found by its name alone. */
enum { RUBBLE_MAX = 512 };
struct rubble {
    const uint8_t *hash;
    size_t n;
    struct schema_keybuf key[RUBBLE_MAX];
    uint8_t len[RUBBLE_MAX];
};

static int rubble_one(void *arg, struct slice key, struct slice value)
{
    struct rubble *r = arg;
    const bool of_chunk = key.data[0] == 'c';
    const size_t at = of_chunk ? 1 : key.len - RECORD_HASH_SIZE;
    (void)value;
    if (key.len < 1 + RECORD_HASH_SIZE || memcmp(key.data + at, r->hash, RECORD_HASH_SIZE) != 0)
        return OK;
    memcpy(r->key[r->n].b, key.data, key.len);
    r->len[r->n++] = (uint8_t)key.len;
    return r->n == RUBBLE_MAX;
}

/* A damaged one says neither how many pieces it has nor by which keys it is found, so the indexes are gone through. */
static int erase_damaged(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE])
{
    static struct rubble r;
    struct schema_keybuf from, to;
    int err = OK;
    r.n = 0;
    r.hash = hash;
    for (const char *letter = "cwf"; err == OK && *letter; letter++)
        err = engine_scan(w->t, PART_KEYSERVER, key_simple(&from, *letter), key_simple(&to, (char)(*letter + 1)), 0,
                          rubble_one, &r);
    err = err < 0 ? err : write_del(w, key_hash(&from, 'p', hash));
    for (size_t i = 0; err == OK && i < r.n; i++)
        err = write_del(w, slice_of(r.key[i].b, r.len[i]));
    return err;
}

/* Its form, and that it is of nobody else. */
static int is_fit(const char *address, struct slice cert)
{
    struct pgp_published p;
    int err = pgp_published_read(cert.data, cert.len, &p);
    if (err)
        return err == ERR_FORMAT ? ERR_REFUSED : err;
    for (size_t i = 0; i < p.nuser_ids; i++)
        if (!published_names((void *)address, p.user_id[i].text, p.user_id[i].len))
            return ERR_REFUSED;
    return p.nuser_ids ? OK : ERR_REFUSED;
}

int published_set(struct store_write *w, const char *address, struct slice cert, uint8_t why)
{
    static struct published p;
    uint8_t hash[RECORD_HASH_SIZE];
    published_hash(w->keys, address, hash);
    int err = schema_get_published(w->t, w->keys, hash, &p);
    const bool there = err == OK, damaged = err == ERR_FORMAT || err == ERR_CRYPTO;
    if (err != OK && err != ERR_NOT_FOUND && !damaged)
        return err;
    if (there ? p.len == cert.len && !memcmp(p.cert, cert.data, cert.len) : cert.len == 0 && !damaged)
        return OK;
    err = cert.len ? is_fit(address, cert) : OK;
    if (err == OK && (there || damaged))
        err = there ? erase(w, hash, &p) : erase_damaged(w, hash);
    if (err == OK && cert.len) {
        p = (struct published){.since = w->now, .why = why, .len = (uint32_t)cert.len};
        memcpy(p.address, address, strlen(address) + 1);
        memcpy(p.cert, cert.data, cert.len);
        err = published_indexes(w->keys, &p, put_empty, w);
        w->wrote = true;
        if (err == OK)
            err = schema_put_published(w->t, w->keys, &p);
    }
    return err == OK ? log_change(w, address, cert, why) : err;
}
