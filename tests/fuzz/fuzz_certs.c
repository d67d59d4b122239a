/* Any octets as messages that make a set of certificates, one behind the other (u16 length each), and the rest as a
 * name that a client asks for: refused, or a set within its bounds in which each name leads to its own pair. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/certs.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct certs *c)
{
    if (certs_pairs(c) == 0 || certs_pairs(c) > CERTS_PAIRS_MAX)
        abort();
    for (size_t i = 0; i < certs_pairs(c); i++) {
        const char *name;
        size_t pair;
        for (size_t k = 0; (name = certs_name(c, i, k)); k++)
            if (!certs_name_valid(name) || !certs_has(c, name) || !certs_find(c, name, &pair) || pair != i)
                abort();
        if (certs_pair(c, i).chain.len == 0 || certs_pair(c, i).key.len == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certs *coming = NULL, *whole = NULL;
    char name[600];
    size_t pair;

    while (size >= 2 && !whole) {
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2, size -= 2;
        if (len > size)
            len = size;
        if (certs_take(&coming, slice_of(data, len), &whole) != OK && (coming || whole))
            abort();
        data += len, size -= len;
    }
    if (whole) {
        check(whole);
        if (size >= sizeof(name))
            size = sizeof(name) - 1;
        memcpy(name, data, size);
        name[size] = '\0';
        if (certs_find(whole, name, &pair) && pair >= certs_pairs(whole))
            abort();
    }
    certs_unref(coming);
    certs_unref(whole);
    return 0;
}
