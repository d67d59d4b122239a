/* What people type as a second factor: eight octets of time, then a code of an app or of paper. */
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
    static const uint8_t secret[TOTP_KEY_SIZE + 1] = "12345678901234567890";
    char code[RECOVERY_CODE_MAX] = "x", again[RECOVERY_CODE_MAX];
    uint64_t now = 0, step = 0;

    if (size < sizeof(now))
        return 0;
    memcpy(&now, data, sizeof(now));
    const struct slice typed = slice_of(data + sizeof(now), size - sizeof(now));
    int err = totp_verify(secret, now, 0, typed, &step);
    must(err == OK || err == ERR_FORMAT || err == ERR_DENIED);
    if (err == OK)
        must(totp_verify(secret, now, step, typed, &step) == ERR_DENIED);
    err = recovery_code_read(typed, code);
    if (err == OK)
        must(strlen(code) == 14 && recovery_code_read(slice_str(code), again) == OK && strcmp(code, again) == 0);
    else
        must(err == ERR_FORMAT && strcmp(code, "x") == 0);
    return 0;
}
