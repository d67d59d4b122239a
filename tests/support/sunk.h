/* What a seal gave, for tests to look at. SUNK_MAX: octets that it may have. */
#ifndef TESTS_SUPPORT_SUNK_H
#define TESTS_SUPPORT_SUNK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/core/error.h"

struct sunk {
    uint8_t data[SUNK_MAX];
    size_t len;
};

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct sunk *s = arg;
    if (s->len + len > sizeof(s->data))
        return ERR_FULL;
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return OK;
}

#endif
