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

void sasl_base64_encode(struct slice in, char *out)
{
    for (size_t i = 0; i < in.len; i += 3, out += 4)
        digit_base64_write(in.data + i, in.len - i < 3 ? in.len - i : 3, (uint8_t *)out);
    *out = '\0';
}

int sasl_plain_read(struct slice response, struct sasl_plain *ret)
{
    const uint8_t *text = response.data, *end = text + response.len;
    const uint8_t *user = response.len ? memchr(text, 0, response.len) : NULL;
    if (!user)
        return ERR_FORMAT;
    user++;
    const uint8_t *password = memchr(user, 0, (size_t)(end - user));
    if (!password)
        return ERR_FORMAT;
    password++;
    size_t authzid_len = (size_t)(user - text) - 1, user_len = (size_t)(password - user) - 1,
           password_len = (size_t)(end - password);
    if (user_len == 0 || user_len > SASL_USER_MAX || password_len == 0 || password_len > SASL_PASSWORD_MAX ||
        memchr(password, 0, password_len))
        return ERR_FORMAT;
    if (authzid_len && (authzid_len != user_len || memcmp(text, user, user_len) != 0))
        return ERR_DENIED;
    memcpy(ret->user, user, user_len);
    ret->user[user_len] = 0;
    ret->user_len = user_len;
    memcpy(ret->password, password, password_len);
    ret->password[password_len] = 0;
    ret->password_len = password_len;
    return OK;
}

int sasl_plain_decode(struct slice base64, struct sasl_plain *ret)
{
    uint8_t text[SASL_LINE_MAX];
    if (base64.len > SASL_LINE_MAX)
        return ERR_FORMAT;
    long n = sasl_base64_decode(base64, text, sizeof(text));
    int err = n < 0 ? ERR_FORMAT : sasl_plain_read(slice_of(text, (size_t)n), ret);
    explicit_bzero(text, sizeof(text));
    return err;
}
