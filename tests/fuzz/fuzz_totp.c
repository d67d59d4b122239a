/* What people type as a second factor: eight octets of time, then a code of an app or of paper. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "webmail-api/session/totp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[TOTP_SECRET_SIZE + 1] = "12345678901234567890", key[RECOVERY_KEY_SIZE] = {1};
    static char text[RECOVERY_CODES][RECOVERY_CODE_MAX];
    static struct recovery_codes made;
    struct recovery_codes c;
    uint64_t now = 0, step = 0;

    if (!made.left) {
        must(sodium_init() >= 0);
        recovery_codes_make(key, text, &made);
    }
    c = made;
    if (size < sizeof(now))
        return 0;
    memcpy(&now, data, sizeof(now));
    const struct slice typed = slice_of(data + sizeof(now), size - sizeof(now));
    int err = totp_verify(secret, now, 0, typed, &step);
    must(err == OK || err == ERR_FORMAT || err == ERR_DENIED);
    if (err == OK)
        must(totp_verify(secret, now, step, typed, &step) == ERR_DENIED);
    err = recovery_codes_use(&c, key, typed);
    must(err == OK ? c.left != made.left : memcmp(&c, &made, sizeof(c)) == 0);
    return 0;
}
