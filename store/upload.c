/* Certificates that wait to be verified. See upload.h. */
#include "store/upload.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"

enum { VERSION = 1 };
enum {
    UPLOAD_PLAIN = 1 + 8 + 8 + 4 + ADDRESS_MAX + 2 * PUBLISHED_HASH_SIZE + 4,
    HEAD_PLAIN = 1 + 4 + 8,
    UNTIL_KEY = 1 + 8 + RECORD_HASH_SIZE + 4
};

/* ---- records ---- */

struct slice key_upload_until(struct schema_keybuf *kb, uint64_t until, const uint8_t hash[RECORD_HASH_SIZE],
                              uint32_t place)
{
    struct pack p;
    kb->b[0] = 'x';
    pack_init(&p, kb->b + 1, sizeof(kb->b) - 1);
    pack_u64(&p, until);
    pack_raw(&p, hash, RECORD_HASH_SIZE);
    pack_u32(&p, place);
    return slice_of(kb->b, 1 + p.len);
}

int schema_get_upload(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                      uint32_t place, struct upload *ret)
{
    struct schema_keybuf kb;
    struct upload up;
    uint8_t plain[UPLOAD_PLAIN], own[RECORD_HASH_SIZE];
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, PART_KEYSERVER, key_hash_u32(&kb, 'u', hash, place), plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    up.account = unpack_u64(&u);
    up.until = unpack_u64(&u);
    unpack_str(&u, up.address, sizeof(up.address));
    struct slice secret = unpack_raw(&u, sizeof(up.secret)), digest = unpack_raw(&u, sizeof(up.digest));
    up.len = unpack_u32(&u);
    if (err || !unpack_done(&u) || up.len > PGP_PUBLISHED_MAX || !up.address[0])
        return err ? err : ERR_FORMAT;
    published_hash(k, up.address, own);
    if (memcmp(own, hash, sizeof(own)) != 0)
        return ERR_FORMAT;
    memcpy(up.secret, secret.data, sizeof(up.secret));
    memcpy(up.digest, digest.data, sizeof(up.digest));
    *ret = up;
    return OK;
}

int schema_put_upload(struct engine_txn *t, const struct record_keys *k, uint32_t place, const struct upload *u)
{
    struct schema_keybuf kb;
    uint8_t plain[UPLOAD_PLAIN], hash[RECORD_HASH_SIZE];
    struct pack p;
    published_hash(k, u->address, hash);
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, u->account);
    pack_u64(&p, u->until);
    pack_str(&p, u->address);
    pack_raw(&p, u->secret, sizeof(u->secret));
    pack_raw(&p, u->digest, sizeof(u->digest));
    pack_u32(&p, u->len);
    return sealed_put(t, k, PART_KEYSERVER, key_hash_u32(&kb, 'u', hash, place), &p);
}

int schema_get_upload_head(struct engine_txn *t, const struct record_keys *k, struct upload_head *ret)
{
    struct schema_keybuf kb;
    uint8_t plain[HEAD_PLAIN];
    struct upload_head h;
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, PART_KEYSERVER, key_simple(&kb, 'n'), plain, sizeof(plain), &len);
    if (err) {
        if (err == ERR_NOT_FOUND)
            *ret = (struct upload_head){0};
        return err == ERR_NOT_FOUND ? OK : err;
    }
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    h.n = unpack_u32(&u);
    h.octets = unpack_u64(&u);
    if (err || !unpack_done(&u))
        return err ? err : ERR_FORMAT;
    *ret = h;
    return OK;
}

int schema_put_upload_head(struct engine_txn *t, const struct record_keys *k, const struct upload_head *h)
{
    struct schema_keybuf kb;
    uint8_t plain[HEAD_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u32(&p, h->n);
    pack_u64(&p, h->octets);
    return sealed_put(t, k, PART_KEYSERVER, key_simple(&kb, 'n'), &p);
}

static struct slice key_chunk(struct schema_keybuf *kb, const uint8_t hash[RECORD_HASH_SIZE], uint32_t place,
                              uint32_t n)
{
    return key_hash_u32(kb, 'v', hash, place * UPLOAD_CHUNKS + n);
}

int schema_get_upload_cert(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                           uint32_t place, const struct upload *u, uint8_t *cert)
{
    struct schema_keybuf kb;
    uint8_t digest[PUBLISHED_HASH_SIZE];
    for (uint32_t at = 0, n = 0; at < u->len; at += PUBLISHED_CHUNK, n++) {
        const size_t want = u->len - at < PUBLISHED_CHUNK ? u->len - at : PUBLISHED_CHUNK;
        size_t len = 0;
        int err = sealed_get(t, k, PART_KEYSERVER, key_chunk(&kb, hash, place, n), cert + at, want, &len);
        if (err || len != want)
            return err && err != ERR_NOT_FOUND ? err : ERR_FORMAT;
    }
    crypto_hash_sha256(digest, cert, u->len);
    return memcmp(digest, u->digest, sizeof(digest)) == 0 ? OK : ERR_FORMAT;
}

static int put_cert(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                    uint32_t place, struct slice cert)
{
    static uint8_t chunk[PUBLISHED_CHUNK];
    struct schema_keybuf kb;
    struct pack p;
    int err = OK;
    for (size_t at = 0, n = 0; !err && at < cert.len; at += PUBLISHED_CHUNK, n++) {
        pack_init(&p, chunk, sizeof(chunk));
        pack_raw(&p, cert.data + at, cert.len - at < PUBLISHED_CHUNK ? cert.len - at : PUBLISHED_CHUNK);
        err = sealed_put(t, k, PART_KEYSERVER, key_chunk(&kb, hash, place, (uint32_t)n), &p);
    }
    return err;
}

static int del_cert(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], uint32_t place, uint32_t len)
{
    struct schema_keybuf kb;
    int err = OK;
    for (uint32_t n = 0; !err && n * PUBLISHED_CHUNK < len; n++)
        err = write_del(w, key_chunk(&kb, hash, place, n));
    return err;
}

/* ---- what is over ---- */

struct due {
    uint64_t now;
    uint32_t n;
    uint8_t key[UPLOAD_SWEEP][UNTIL_KEY];
};

static int see_due(void *arg, struct slice key, struct slice value)
{
    struct due *d = arg;
    struct unpack u = key_fields(key);
    (void)value;
    if (key.len != UNTIL_KEY)
        return ERR_FORMAT;
    if (unpack_u64(&u) > d->now)
        return 1;
    memcpy(d->key[d->n], key.data, UNTIL_KEY);
    return ++d->n == UPLOAD_SWEEP;
}

static int forget(struct store_write *w, const uint8_t key[UNTIL_KEY], struct upload_head *h)
{
    struct schema_keybuf kb;
    struct upload up;
    struct unpack u = key_fields(slice_of(key, UNTIL_KEY));
    (void)unpack_u64(&u);
    const uint8_t *hash = unpack_raw(&u, RECORD_HASH_SIZE).data;
    const uint32_t place = unpack_u32(&u);
    int err = schema_get_upload(w->t, w->keys, hash, place, &up);
    if (err != OK)
        up.len = 0;
    if (err == ERR_FORMAT || err == ERR_CRYPTO) { /* damaged: all that it may have goes */
        err = OK;
        up.len = PGP_PUBLISHED_MAX;
    }
    if (err == OK || err == ERR_NOT_FOUND)
        err = del_cert(w, hash, place, up.len);
    if (err == OK)
        err = write_del(w, key_hash_u32(&kb, 'u', hash, place));
    if (err == OK)
        err = write_del(w, slice_of(key, UNTIL_KEY));
    h->n -= h->n > 0;
    h->octets -= h->octets > up.len ? up.len : h->octets;
    return err;
}

int upload_sweep(struct store_write *w, uint32_t *ret_n)
{
    static struct due d;
    struct schema_keybuf from, to;
    struct upload_head h;
    d = (struct due){.now = w->now};
    int err = engine_scan(w->t, PART_KEYSERVER, key_simple(&from, 'x'), key_simple(&to, 'x' + 1), 0, see_due, &d);
    if (err >= 0)
        err = d.n ? schema_get_upload_head(w->t, w->keys, &h) : OK;
    for (uint32_t i = 0; err == OK && i < d.n; i++)
        err = forget(w, d.key[i], &h);
    if (err == OK && d.n)
        err = schema_put_upload_head(w->t, w->keys, &h);
    if (err == OK)
        *ret_n = d.n;
    return err;
}

/* ---- what waits ---- */

/* A place that is free, or whose day is over: then *ret_over is when that was. */
static int find_place(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], bool own, uint32_t *ret,
                      uint64_t *ret_over)
{
    const uint32_t first = own ? 0 : UPLOAD_PLACES_OWN, end = own ? UPLOAD_PLACES_OWN : UPLOAD_PLACES;
    uint32_t place = end;
    uint64_t over = 0;
    for (uint32_t i = end; i-- > first;) {
        struct upload up = {.until = 0};
        int err = schema_get_upload(w->t, w->keys, hash, i, &up);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        if (err == OK && up.until > w->now)
            continue;
        place = i;
        over = up.until;
    }
    *ret = place;
    *ret_over = over;
    return place == end ? ERR_QUOTA : OK;
}

static int put(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], uint32_t place, const struct upload *up,
               struct slice cert, struct upload_head *h)
{
    struct schema_keybuf kb;
    h->n++;
    h->octets += cert.len;
    int err = write_put(w, key_upload_until(&kb, up->until, hash, place), slice_of("", 0));
    if (err == OK)
        err = schema_put_upload(w->t, w->keys, place, up);
    if (err == OK)
        err = put_cert(w->t, w->keys, hash, place, cert);
    return err == OK ? schema_put_upload_head(w->t, w->keys, h) : err;
}

int upload_add(struct store_write *w, const char *address, uint64_t account, bool own, struct slice cert,
               uint8_t ret_token[UPLOAD_TOKEN_SIZE])
{
    struct schema_keybuf kb;
    struct upload up = {.account = account, .until = w->now + UPLOAD_LIFE, .len = (uint32_t)cert.len};
    struct upload_head h;
    uint8_t token[UPLOAD_TOKEN_SIZE], *hash = token, *secret = token + RECORD_HASH_SIZE + 1;
    uint32_t place;
    uint64_t over;
    memcpy(up.address, address, strlen(address) + 1);
    crypto_hash_sha256(up.digest, cert.data, cert.len);
    published_hash(w->keys, address, hash);
    int err = find_place(w, hash, own, &place, &over);
    if (err == OK)
        err = schema_get_upload_head(w->t, w->keys, &h);
    if (err == OK && (h.n >= UPLOADS_MAX || h.octets + cert.len > UPLOAD_OCTETS_MAX))
        err = ERR_FULL;
    if (err == OK && over)
        err = forget(w, key_upload_until(&kb, over, hash, place).data, &h);
    if (err != OK)
        return err;
    token[RECORD_HASH_SIZE] = (uint8_t)place;
    randombytes_buf(secret, UPLOAD_SECRET_SIZE);
    crypto_hash_sha256(up.secret, secret, UPLOAD_SECRET_SIZE);
    err = put(w, hash, place, &up, cert, &h);
    if (err == OK)
        memcpy(ret_token, token, sizeof(token));
    return err;
}

static int look_up(struct store_write *w, const uint8_t token[UPLOAD_TOKEN_SIZE], struct upload *ret)
{
    uint8_t secret[PUBLISHED_HASH_SIZE];
    const uint32_t place = token[RECORD_HASH_SIZE];
    int err = place < UPLOAD_PLACES ? schema_get_upload(w->t, w->keys, token, place, ret) : ERR_NOT_FOUND;
    if (err != OK)
        return err;
    crypto_hash_sha256(secret, token + RECORD_HASH_SIZE + 1, UPLOAD_SECRET_SIZE);
    return ret->len && ret->until > w->now && !sodium_memcmp(secret, ret->secret, sizeof(secret)) ? OK : ERR_NOT_FOUND;
}

int upload_find(struct store_write *w, const uint8_t token[UPLOAD_TOKEN_SIZE], struct upload *ret, uint8_t *cert)
{
    struct upload up;
    int err = look_up(w, token, &up);
    if (err == OK)
        err = schema_get_upload_cert(w->t, w->keys, token, token[RECORD_HASH_SIZE], &up, cert);
    if (err == OK)
        *ret = up;
    return err;
}

int upload_done(struct store_write *w, const uint8_t token[UPLOAD_TOKEN_SIZE])
{
    struct upload up;
    struct upload_head h;
    int err = look_up(w, token, &up);
    if (err == OK)
        err = schema_get_upload_head(w->t, w->keys, &h);
    if (err == OK)
        err = del_cert(w, token, token[RECORD_HASH_SIZE], up.len);
    if (err != OK)
        return err;
    h.octets -= h.octets > up.len ? up.len : h.octets;
    up.len = 0;
    w->wrote = true;
    err = schema_put_upload(w->t, w->keys, token[RECORD_HASH_SIZE], &up);
    return err == OK ? schema_put_upload_head(w->t, w->keys, &h) : err;
}
