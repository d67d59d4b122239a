#include "crypto/wkd.h"

#include <openssl/evp.h>
#include <stdint.h>

#include "server/core/error.h"

enum { SHA1_SIZE = 20, PIECE = 256 };

/* Of 160 bits, five at a time. */
static void z_base_32(const uint8_t digest[SHA1_SIZE], char out[WKD_HASH_LEN + 1])
{
    static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
    for (size_t i = 0; i < WKD_HASH_LEN; i++) {
        const size_t bit = 5 * i, at = bit / 8;
        const unsigned two = (unsigned)digest[at] << 8 | (at + 1 < SHA1_SIZE ? digest[at + 1] : 0);
        out[i] = alphabet[two >> (11 - bit % 8) & 31];
    }
    out[WKD_HASH_LEN] = '\0';
}

static int update_lowered(EVP_MD_CTX *ctx, const char *s, size_t len)
{
    uint8_t piece[PIECE];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        piece[n++] = (uint8_t)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        if (n < PIECE && i + 1 < len)
            continue;
        if (!EVP_DigestUpdate(ctx, piece, n))
            return ERR_MEMORY;
        n = 0;
    }
    return OK;
}

int wkd_hash(const char *local, size_t len, char out[WKD_HASH_LEN + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int err = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) ? update_lowered(ctx, local, len) : ERR_MEMORY;
    if (!err && !EVP_DigestFinal_ex(ctx, digest, NULL))
        err = ERR_MEMORY;
    EVP_MD_CTX_free(ctx);
    if (!err)
        z_base_32(digest, out);
    return err;
}
