/* Writing and reading fields of fixed width: the one encoding of internal messages and of store records. Integers are
 * big-endian; "bytes" are a u32 length and that many bytes. Neither side allocates. */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

/* Writes into a caller's buffer. The first overflow sets .failed and every later put does nothing, so
 * callers check once, at the end. */
struct pack {
    uint8_t *data;
    size_t len, cap;
    int failed;
};

void pack_init(struct pack *p, void *data, size_t cap);
void pack_u8(struct pack *p, uint8_t v);
void pack_u16(struct pack *p, uint16_t v);
void pack_u32(struct pack *p, uint32_t v);
void pack_u64(struct pack *p, uint64_t v);
void pack_raw(struct pack *p, const void *data, size_t len);   /* no length prefix */
void pack_bytes(struct pack *p, const void *data, size_t len); /* u32 length, then data */
void pack_str(struct pack *p, const char *s);                  /* pack_bytes without the NUL */

/* Reads from a caller's bytes. The first underflow or violated maximum sets .failed; later gets return 0
 * or empty slices. Slices point into the input. */
struct unpack {
    const uint8_t *data;
    size_t len, pos;
    int failed;
};

void unpack_init(struct unpack *u, const void *data, size_t len);
uint8_t unpack_u8(struct unpack *u);
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
struct slice unpack_raw(struct unpack *u, size_t len);
struct slice unpack_bytes(struct unpack *u, size_t max);
/* Copies a string of at most cap-1 bytes and ends it with NUL; a NUL inside fails. */
void unpack_str(struct unpack *u, char *out, size_t cap);
/* 1 if nothing failed and every byte was read. */
int unpack_done(const struct unpack *u);

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const uint8_t *)data, len};
}
struct slice slice_str(const char *s); /* without the NUL */

#endif
