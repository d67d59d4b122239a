/* What both sides of SCRAM read and reckon alike (RFC 5802 sections 3 and 7). */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "server/core/error.h"
#include "server/proto/scram_impl.h"

int scram_hmac(const uint8_t key[SCRAM_KEY_SIZE], const char *text, uint8_t out[SCRAM_KEY_SIZE])
{
    return HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, (const uint8_t *)text, strlen(text), out, NULL) ? OK : ERR_CRYPTO;
}

int scram_take(struct slice *left, char name, struct slice *ret)
{
    const uint8_t *end;

    if (left->len < 2 || left->data[0] != name || left->data[1] != '=')
        return ERR_FORMAT;
    end = memchr(left->data, ',', left->len);
    *ret = slice_of(left->data + 2, (end ? (size_t)(end - left->data) : left->len) - 2);
    *left = end ? slice_of(end + 1, left->len - (size_t)(end + 1 - left->data)) : slice_of(NULL, 0);
    return ret->len ? OK : ERR_FORMAT;
}

/* printable = %x21-2B / %x2D-7E (section 7). */
bool scram_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x21 || s.data[i] > 0x7e)
            return false;
    return true;
}
