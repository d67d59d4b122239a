#include "server/core/base64url.h"

#include <sodium.h>

enum { URLSAFE = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

void base64url_write(struct slice in, char *out)
{
    (void)sodium_bin2base64(out, BASE64URL_LEN(in.len) + 1, in.data, in.len, URLSAFE);
}

long base64url_read(struct slice in, uint8_t *out, size_t cap)
{
    uint8_t all = 0;
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++)
        all |= in.data[i];
    if (all & 0x80) /* libsodium 1.0.18 takes these for digits */
        return -1;
    if (sodium_base642bin(out, cap, (const char *)in.data, in.len, NULL, &len, NULL, URLSAFE) != 0)
        return -1;
    return (long)len;
}
