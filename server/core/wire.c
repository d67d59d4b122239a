/* Fixed-width fields into and out of a caller's bytes: the encoding of internal messages and store records. A failure
 * is sticky, so callers check once, at the end. */
#include "server/core/wire.h"

#include <endian.h>
#include <string.h>

void pack_init(struct pack *p, void *data, size_t cap)
{
    *p = (struct pack){.data = data, .cap = cap};
}

/* Room for len bytes, or NULL and the sticky failure. */
static uint8_t *pack_room(struct pack *p, size_t len)
{
    uint8_t *at;

    if (p->failed || len > p->cap - p->len) {
        p->failed = 1;
        return NULL;
    }
    at = p->data + p->len;
    p->len += len;
    return at;
}

void pack_u8(struct pack *p, uint8_t v)
{
    pack_raw(p, &v, sizeof(v));
}

void pack_u16(struct pack *p, uint16_t v)
{
    const uint16_t be = htobe16(v);
    pack_raw(p, &be, sizeof(be));
}

void pack_u32(struct pack *p, uint32_t v)
{
    const uint32_t be = htobe32(v);
    pack_raw(p, &be, sizeof(be));
}

void pack_u64(struct pack *p, uint64_t v)
{
    const uint64_t be = htobe64(v);
    pack_raw(p, &be, sizeof(be));
}

void pack_raw(struct pack *p, const void *data, size_t len)
{
    uint8_t *at;

    if (len == 0)
        return;
    at = pack_room(p, len);
    if (at)
        memcpy(at, data, len);
}

void pack_bytes(struct pack *p, const void *data, size_t len)
{
    /* Both parts or neither: a length without its bytes must never be left behind. */
    if (p->failed || len > UINT32_MAX || p->cap - p->len < 4 || len > p->cap - p->len - 4) {
        p->failed = 1;
        return;
    }
    pack_u32(p, (uint32_t)len);
    pack_raw(p, data, len);
}

void pack_str(struct pack *p, const char *s)
{
    pack_bytes(p, s, strlen(s));
}

void unpack_init(struct unpack *u, const void *data, size_t len)
{
    *u = (struct unpack){.data = data, .len = len};
}

static const uint8_t *unpack_take(struct unpack *u, size_t len)
{
    const uint8_t *at;

    if (u->failed || len > u->len - u->pos) {
        u->failed = 1;
        return NULL;
    }
    at = u->data ? u->data + u->pos : NULL;
    u->pos += len;
    return at;
}

uint8_t unpack_u8(struct unpack *u)
{
    const uint8_t *at = unpack_take(u, 1);
    return at ? *at : 0;
}

uint16_t unpack_u16(struct unpack *u)
{
    uint16_t be = 0;
    const uint8_t *at = unpack_take(u, sizeof(be));
    if (at)
        memcpy(&be, at, sizeof(be));
    return be16toh(be);
}

uint32_t unpack_u32(struct unpack *u)
{
    uint32_t be = 0;
    const uint8_t *at = unpack_take(u, sizeof(be));
    if (at)
        memcpy(&be, at, sizeof(be));
    return be32toh(be);
}

uint64_t unpack_u64(struct unpack *u)
{
    uint64_t be = 0;
    const uint8_t *at = unpack_take(u, sizeof(be));
    if (at)
        memcpy(&be, at, sizeof(be));
    return be64toh(be);
}

struct slice unpack_raw(struct unpack *u, size_t len)
{
    const uint8_t *at = unpack_take(u, len);

    return at ? (struct slice){at, len} : (struct slice){NULL, 0};
}

struct slice unpack_bytes(struct unpack *u, size_t max)
{
    size_t len = unpack_u32(u);

    if (len > max)
        u->failed = 1;
    if (u->failed)
        return (struct slice){NULL, 0};
    return unpack_raw(u, len);
}

void unpack_str(struct unpack *u, char *out, size_t cap)
{
    struct slice s;

    if (cap == 0) {
        u->failed = 1;
        return;
    }
    out[0] = '\0';
    s = unpack_bytes(u, cap - 1);
    if (u->failed || s.len == 0)
        return;
    if (memchr(s.data, 0, s.len)) {
        u->failed = 1;
        return;
    }
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

int unpack_done(const struct unpack *u)
{
    return !u->failed && u->pos == u->len;
}

struct slice slice_str(const char *s)
{
    return slice_of(s, strlen(s));
}
