/* Fixed-width fields into and out of a caller's bytes: the encoding of internal messages and store records. A failure
 * is sticky, so callers check once, at the end. */
#include "server/core/wire.h"

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

static void pack_uint(struct pack *p, uint64_t v, size_t width)
{
    uint8_t *at = pack_room(p, width);

    if (!at)
        return;
    for (size_t i = width; i-- > 0; v >>= 8)
        at[i] = (uint8_t)v;
}

void pack_u8(struct pack *p, uint8_t v)
{
    pack_uint(p, v, 1);
}

void pack_u16(struct pack *p, uint16_t v)
{
    pack_uint(p, v, 2);
}

void pack_u32(struct pack *p, uint32_t v)
{
    pack_uint(p, v, 4);
}

void pack_u64(struct pack *p, uint64_t v)
{
    pack_uint(p, v, 8);
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
    pack_uint(p, len, 4);
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

static uint64_t unpack_uint(struct unpack *u, size_t width)
{
    const uint8_t *at = unpack_take(u, width);
    uint64_t v = 0;

    if (!at)
        return 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | at[i];
    return v;
}

uint8_t unpack_u8(struct unpack *u)
{
    return (uint8_t)unpack_uint(u, 1);
}

uint16_t unpack_u16(struct unpack *u)
{
    return (uint16_t)unpack_uint(u, 2);
}

uint32_t unpack_u32(struct unpack *u)
{
    return (uint32_t)unpack_uint(u, 4);
}

uint64_t unpack_u64(struct unpack *u)
{
    return unpack_uint(u, 8);
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
