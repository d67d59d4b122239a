/* Any octets, any policy: protect, check the outer header, undo exactly; and undo the input itself as if it were a
 * payload. */
#include "tests/support/protect_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[256];
    if (size < 1)
        return 0;
    if (property_check(data + 1, size - 1, (enum header_policy)(data[0] % 3 | (data[0] & POLICY_DISPLAY)),
                       1 + data[0] / 3, why, NULL, NULL, NULL) != 0) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    uint8_t *copy = malloc(size);
    size_t n;
    memcpy(copy, data + 1, size - 1);
    if (header_unprotect(copy, size - 1, &n) == OK && n >= size - 1)
        abort();
    free(copy);
    return 0;
}
