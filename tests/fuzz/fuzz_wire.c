/* A few bytes say what is read, the rest is read so: nothing outside the input is touched, a failure stays, and what
 * was read packs to the same bytes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/wire.h"

static void step(uint8_t op, struct unpack *u, struct pack *p)
{
    struct slice s;
    char text[40];

    switch (op % 7) {
    case 0: pack_u8(p, unpack_u8(u)); break;
    case 1: pack_u16(p, unpack_u16(u)); break;
    case 2: pack_u32(p, unpack_u32(u)); break;
    case 3: pack_u64(p, unpack_u64(u)); break;
    case 4:
        s = unpack_raw(u, op);
        pack_raw(p, s.data, s.len);
        break;
    case 5:
        s = unpack_bytes(u, (size_t)op * 16);
        if (s.len > (size_t)op * 16)
            abort();
        pack_bytes(p, s.data, s.len);
        break;
    default: unpack_str(u, text, op % 2 ? sizeof(text) : 2); pack_str(p, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t nops = size ? data[0] % 16 : 0;
    uint8_t *exact;
    struct unpack u;
    struct pack p;

    if (size < 1 + nops)
        return 0;
    size -= 1 + nops;
    exact = malloc(size ? size : 1);
    pack_init(&p, exact, size);
    unpack_init(&u, data + 1 + nops, size);
    for (size_t i = 0; i < nops; i++) {
        size_t pos = u.pos;
        int failed = u.failed;

        step(data[1 + i], &u, &p);
        if (u.pos > size || u.pos < pos || u.failed < failed)
            abort();
        if (u.failed)
            break;
        if (p.failed || p.len != u.pos || memcmp(exact, data + 1 + nops, u.pos) != 0)
            abort();
    }
    if (unpack_done(&u) != (!u.failed && u.pos == size))
        abort();
    free(exact);
    return 0;
}
