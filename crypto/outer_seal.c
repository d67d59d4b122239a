/* The outer seal, through OpenSSL. One context for each direction lives as long as its thread. */
#include "crypto/outer_seal.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

enum { NONCE = 12 };

static _Thread_local EVP_CIPHER_CTX *context;

int outer_seal_init(void)
{
    if (context)
        return OK;
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    int err = !c ? ERR_UNSUPPORTED : !x ? ERR_MEMORY : EVP_CipherInit_ex2(x, c, NULL, NULL, 1, NULL) ? OK : ERR_CRYPTO;
    EVP_CIPHER_free(c); /* the context keeps its own reference */
    if (err)
        EVP_CIPHER_CTX_free(x);
    else
        context = x;
    return err;
}

void outer_key_make(const struct record_keys *keys, enum record_use use, uint64_t account, uint64_t message,
                    const uint8_t salt[OUTER_SEAL_SALT], struct outer_key *ret)
{
    uint8_t id[8];
    for (int i = 0; i < 8; i++)
        id[i] = (uint8_t)(message >> (56 - 8 * i));
    const struct record_part parts[] = {{id, sizeof(id)}, {salt, OUTER_SEAL_SALT}};
    record_subkey(keys, use, account, parts, 2, ret->key);
}

/* NULL: no context, or it would not take the key. */
static EVP_CIPHER_CTX *keyed(const struct outer_key *k, uint32_t n, bool last, int encrypts)
{
    uint8_t nonce[NONCE] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, last};
    if (outer_seal_init() != OK || !EVP_CipherInit_ex2(context, NULL, k->key, nonce, encrypts, NULL))
        return NULL;
    return context;
}

/* out NULL: the octets are authenticated alone. */
static bool fed(EVP_CIPHER_CTX *x, const uint8_t *in, size_t len, uint8_t *out)
{
    int got;
    return len == 0 || EVP_CipherUpdate(x, out, &got, in, (int)len) == 1;
}

static int end_with_tag(EVP_CIPHER_CTX *x, uint8_t tag[OUTER_SEAL_TAG])
{
    uint8_t none[16];
    int got;
    bool ok = EVP_CipherFinal_ex(x, none, &got) == 1 &&
              EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, OUTER_SEAL_TAG, tag) == 1;
    return ok ? OK : ERR_CRYPTO;
}

/* The tag is given before the end: OpenSSL compares it, in constant time. */
static int end_against_tag(EVP_CIPHER_CTX *x, const uint8_t tag[OUTER_SEAL_TAG])
{
    uint8_t none[16], given[OUTER_SEAL_TAG];
    int got;
    memcpy(given, tag, sizeof(given));
    bool ok = EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, OUTER_SEAL_TAG, given) == 1 &&
              EVP_CipherFinal_ex(x, none, &got) == 1;
    return ok ? OK : ERR_CRYPTO;
}

int outer_seal_hide(const struct outer_key *k, uint32_t n, bool last, const uint8_t *plain, size_t len, size_t room,
                    uint8_t *out)
{
    EVP_CIPHER_CTX *x = keyed(k, n, last, 1);
    memset(out + len, 0, room - len);
    if (!x || !fed(x, plain, len, out) || !fed(x, out + len, room - len, out + len))
        return ERR_CRYPTO;
    return end_with_tag(x, out + room);
}

int outer_seal_mark(const struct outer_key *k, uint32_t n, bool last, const uint8_t *plain, size_t len, size_t room,
                    uint8_t *out)
{
    EVP_CIPHER_CTX *x = keyed(k, n, last, 1);
    memcpy(out, plain, len);
    randombytes_buf(out + len, room - len);
    if (!x || !fed(x, out, room, NULL))
        return ERR_CRYPTO;
    return end_with_tag(x, out + room);
}

int outer_seal_open(const struct outer_key *k, uint32_t n, bool last, const uint8_t *sealed, size_t sealed_len,
                    uint8_t *out)
{
    if (sealed_len < OUTER_SEAL_TAG)
        return ERR_CRYPTO;
    size_t room = sealed_len - OUTER_SEAL_TAG;
    EVP_CIPHER_CTX *x = keyed(k, n, last, 0);
    int err = x && fed(x, sealed, room, out) ? end_against_tag(x, sealed + room) : ERR_CRYPTO;
    if (err)
        secmem_wipe(out, room);
    return err;
}

int outer_seal_check(const struct outer_key *k, uint32_t n, bool last, const uint8_t *marked, size_t marked_len)
{
    if (marked_len < OUTER_SEAL_TAG)
        return ERR_CRYPTO;
    size_t room = marked_len - OUTER_SEAL_TAG;
    EVP_CIPHER_CTX *x = keyed(k, n, last, 0);
    return x && fed(x, marked, room, NULL) ? end_against_tag(x, marked + room) : ERR_CRYPTO;
}
