/* Octets that grow a little, for tests. */
#ifndef TEST_PIECES_H
#define TEST_PIECES_H

#include <sodium.h>
#include <string.h>

#include "server/core/wire.h"

struct piece {
    uint8_t data[4096];
    size_t len;
};

static inline struct piece unhex(const char *hex)
{
    struct piece p;

    assert_int_equal(sodium_hex2bin(p.data, sizeof(p.data), hex, strlen(hex), NULL, &p.len, NULL), 0);
    return p;
}

static inline struct slice slice(const struct piece *p)
{
    return slice_of(p->data, p->len);
}

static inline void add(struct piece *p, const void *data, size_t len)
{
    assert_true(len <= sizeof(p->data) - p->len);
    memcpy(p->data + p->len, data, len);
    p->len += len;
}

#endif
