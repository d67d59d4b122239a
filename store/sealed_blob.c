#include "store/sealed_blob.h"

#include <string.h>

#include "server/core/error.h"
#include "store/blob_size.h"

enum {
    BLOB_PLACE = 8 + 1 + 8 + 4 + 8 + SEALED_BLOB_SALT,
    AHEAD = 1 + 24 /* version and nonce, before the octets that are sealed */
};
_Static_assert(AHEAD + 16 == RECORD_OVERHEAD, "record.h");

static size_t place_of(uint8_t out[BLOB_PLACE], const struct sealed_blob *b, uint32_t n)
{
    struct pack p;
    pack_init(&p, out, BLOB_PLACE);
    pack_u64(&p, b->account);
    pack_u8(&p, (uint8_t)b->kind);
    pack_u64(&p, b->id);
    pack_u32(&p, n);
    pack_u64(&p, b->len);
    if (b->salt)
        pack_raw(&p, b->salt, SEALED_BLOB_SALT);
    return p.len;
}

uint32_t sealed_blob_chunks(uint64_t len)
{
    return (uint32_t)((len + SEALED_BLOB_CHUNK - 1) / SEALED_BLOB_CHUNK);
}

/* Of the blob, in chunk n, which must be one of its chunks. */
static size_t part_of(uint64_t len, uint32_t n)
{
    uint64_t left = len - (uint64_t)n * SEALED_BLOB_CHUNK;
    return left < SEALED_BLOB_CHUNK ? (size_t)left : SEALED_BLOB_CHUNK;
}

static size_t stored_of(uint64_t len, uint32_t n)
{
    return blob_size_fit(part_of(len, n) + RECORD_OVERHEAD);
}

uint64_t sealed_blob_stored(uint64_t len)
{
    uint32_t n = sealed_blob_chunks(len);
    return n ? (uint64_t)(n - 1) * ENGINE_BLOB_CHUNK + stored_of(len, n - 1) : 0;
}

/* Takes len octets from the parts on. */
static void gather(uint8_t *out, size_t len, const struct slice *parts, size_t *part, size_t *at)
{
    while (len) {
        size_t left = parts[*part].len - *at, take = left < len ? left : len;
        if (take)
            memcpy(out, parts[*part].data + *at, take);
        out += take;
        len -= take;
        *at += take;
        if (*at == parts[*part].len) {
            *at = 0;
            ++*part;
        }
    }
}

int sealed_blob_put(struct engine_txn *t, const struct record_keys *k, const struct sealed_blob *b,
                    const struct slice *parts, size_t nparts)
{
    uint64_t sum = 0;
    size_t part = 0, at = 0;
    for (size_t i = 0; i < nparts; i++)
        sum += parts[i].len;
    if (sum != b->len)
        return ERR_LIMIT;
    for (uint32_t n = 0; n < sealed_blob_chunks(b->len); n++) {
        uint8_t place[BLOB_PLACE], *room;
        size_t len = part_of(b->len, n), stored = stored_of(b->len, n);
        int err = engine_blob_room(t, b->account, b->kind, b->id, n, stored, &room);
        if (err)
            return err;
        gather(room + AHEAD, len, parts, &part, &at);
        memset(room + AHEAD + len, 0, stored - RECORD_OVERHEAD - len);
        record_seal(k, b->use, place, place_of(place, b, n), room + AHEAD, stored - RECORD_OVERHEAD,
                    room); /* in place */
    }
    return OK;
}

int sealed_blob_open(struct engine_txn *t, const struct record_keys *k, const struct sealed_blob *b, uint32_t n,
                     uint8_t *out, size_t *ret_len)
{
    uint8_t place[BLOB_PLACE];
    struct slice sealed;
    size_t len;
    if (n >= sealed_blob_chunks(b->len))
        return ERR_NOT_FOUND;
    int err = engine_blob_get(t, b->account, b->kind, b->id, n, &sealed);
    if (!err && sealed.len != stored_of(b->len, n))
        err = ERR_FORMAT;
    if (err)
        return err;
    err = record_open(k, b->use, place, place_of(place, b, n), sealed.data, sealed.len, out, &len);
    if (!err)
        *ret_len = part_of(b->len, n);
    return err;
}
