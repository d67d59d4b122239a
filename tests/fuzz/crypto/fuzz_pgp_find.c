/* Finding encrypted mail, and armour by itself: what decodes must come back the same when it is encoded again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_find.h"
#include "server/base/error.h"
#include "tests/unit/armor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void armour(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t n, from, to;
    if (pgp_armor_decode(data, size, "MESSAGE", out, size, &n, &from, &to) != OK)
        return;
    if (n > size || from > to || to > size)
        abort();
    size_t len = armor_size(n, "MESSAGE"), n2;
    char *text = malloc(len);
    uint8_t *back = malloc(n + 1);
    if (armor_encode(out, n, "MESSAGE", text) != len ||
        pgp_armor_decode((uint8_t *)text, len, "MESSAGE", back, n, &n2, &from, &to) != OK || n2 != n || memcmp(back, out, n) != 0)
        abort();
    free(text);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *out = malloc(size + 1);
    size_t n;
    int likely = pgp_find_likely(data, size);
    if (pgp_find_message(data, size, out, size, &n) == OK && (!likely || n == 0 || n > size))
        abort();
    armour(data, size, out);
    free(out);
    return 0;
}
