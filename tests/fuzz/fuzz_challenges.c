/* Any octets as the message of what an ACME server is answered: refused, or a table of what may be said to anybody. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/challenges.h"
#include "server/core/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct challenges t, again;
    static uint8_t out[64 * 1024];
    struct pack p;

    if (challenges_unpack(slice_of(data, size), &t) != OK)
        return 0;
    for (size_t i = 0; i < t.n; i++) {
        const char *text = challenges_find(&t, t.v[i].name, t.v[i].token);
        if (text != t.v[i].text || strpbrk(text, "\r\n <>&\"/\\%"))
            abort();
    }
    pack_init(&p, out, sizeof(out));
    challenges_pack(&t, &p);
    if (p.failed || p.len != size || memcmp(out, data, size) != 0 ||
        challenges_unpack(slice_of(out, p.len), &again) != OK)
        abort();
    return 0;
}
