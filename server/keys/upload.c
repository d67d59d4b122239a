#include "server/keys/upload.h"

#include <sodium.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"

int keys_verify_pack(struct pack *p, const struct upload_verify *v)
{
    if (v->address.len >= ADDRESS_MAX || v->cert.len > PGP_PUBLISHED_MAX)
        return ERR_LIMIT;
    pack_bytes(p, v->address.data, v->address.len);
    pack_bytes(p, v->cert.data, v->cert.len);
    return p->failed ? ERR_LIMIT : OK;
}

int keys_verify_unpack(struct unpack *u, struct upload_verify *ret)
{
    struct upload_verify v;
    v.address = unpack_bytes(u, ADDRESS_MAX - 1);
    v.cert = unpack_bytes(u, PGP_PUBLISHED_MAX);
    if (!unpack_done(u) || !v.address.len || !v.cert.len || memchr(v.address.data, '\0', v.address.len))
        return ERR_FORMAT;
    *ret = v;
    return OK;
}

void keys_token_write(const uint8_t token[UPLOAD_TOKEN_SIZE], char out[UPLOAD_TOKEN_TEXT])
{
    sodium_bin2hex(out, UPLOAD_TOKEN_TEXT, token, UPLOAD_TOKEN_SIZE);
}

static int digit(uint8_t c)
{
    return c >= 'A' && c <= 'F' ? -1 : digit_hex(c);
}

bool keys_hex_read(struct slice text, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (text.len % 2 || text.len / 2 > cap)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        const int high = digit(text.data[i]), low = digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_len = text.len / 2;
    return true;
}

bool keys_token_read(struct slice text, uint8_t ret[UPLOAD_TOKEN_SIZE])
{
    uint8_t token[UPLOAD_TOKEN_SIZE];
    size_t len;
    if (!keys_hex_read(text, token, sizeof(token), &len) || len != sizeof(token))
        return false;
    memcpy(ret, token, sizeof(token));
    return true;
}
