/* SASL PLAIN (RFC 4616) and the base64 around it. */
#include "server/proto/sasl.h"

#include <stdbool.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"

long sasl_base64_decode(struct slice in, uint8_t *out, size_t cap)
{
    size_t len = 0;
    if (in.len % 4 || in.len / 4 * 3 > cap)
        return -1;
    for (size_t i = 0; i < in.len; i += 4) {
        const uint8_t *p = in.data + i;
        unsigned pad = i + 4 == in.len ? (p[3] == '=') + (p[2] == '=' && p[3] == '=') : 0;
        uint32_t v = 0;
        for (unsigned k = 0; k < 4; k++) {
            int d = k >= 4 - pad ? 0 : digit_base64(p[k]);
            if (d < 0)
                return -1;
            v = v << 6 | (uint32_t)d;
        }
        if (v & ((1u << 8 * pad) - 1)) /* leftover bits must be zero: one text, one spelling */
            return -1;
        out[len++] = (uint8_t)(v >> 16);
        if (pad < 2)
            out[len++] = (uint8_t)(v >> 8);
        if (pad < 1)
            out[len++] = (uint8_t)v;
    }
    return (long)len;
}

static void wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

int sasl_plain_decode(struct slice base64, struct sasl_plain *ret)
{
    uint8_t text[SASL_LINE_MAX];
    if (base64.len > SASL_LINE_MAX)
        return ERR_FORMAT;
    long n = sasl_base64_decode(base64, text, sizeof(text));
    int err = ERR_FORMAT;
    if (n <= 0)
        goto out;
    const uint8_t *end = text + n, *user = memchr(text, 0, (size_t)n);
    if (!user)
        goto out;
    user++;
    const uint8_t *password = memchr(user, 0, (size_t)(end - user));
    if (!password)
        goto out;
    password++;
    size_t authzid_len = (size_t)(user - text) - 1, user_len = (size_t)(password - user) - 1,
           password_len = (size_t)(end - password);
    if (user_len == 0 || user_len > SASL_USER_MAX || password_len == 0 || password_len > SASL_PASSWORD_MAX ||
        memchr(password, 0, password_len))
        goto out;
    err = ERR_DENIED;
    if (authzid_len && (authzid_len != user_len || memcmp(text, user, user_len) != 0))
        goto out;
    memcpy(ret->user, user, user_len);
    ret->user[user_len] = 0;
    ret->user_len = user_len;
    memcpy(ret->password, password, password_len);
    ret->password[password_len] = 0;
    ret->password_len = password_len;
    err = OK;
out:
    wipe(text, sizeof(text));
    return err;
}
