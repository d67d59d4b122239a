/* Poly1305 as a universal hash, through OpenSSL, whose code uses what the processor has. */
#include "crypto/content.h"

#include <openssl/evp.h>
#include <string.h>

#include "server/core/secmem.h"
#include "server/core/error.h"

struct content_hash {
    EVP_MAC_CTX *mac;
    uint8_t key[32];
};

/* No account has the number 0, and a delivery id has three parts: the key is no id, and no id tells of it. */
static void derive(const struct record_keys *keys, uint8_t out[32])
{
    static const char *const halves[] = {"content hash key, first half", "content hash key, second half"};
    for (int i = 0; i < 2; i++) {
        const struct record_part part = {halves[i], strlen(halves[i])};
        record_hash(keys, RECORD_DELIVERY, 0, &part, 1, out + i * RECORD_HASH_SIZE);
    }
}

struct content_hash *content_hash_create(const struct record_keys *keys)
{
    struct content_hash *h = secmem_key_alloc(sizeof(*h));
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    if (h)
        h->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* the context keeps its own reference */
    if (h && !h->mac) {
        secmem_key_free(h, sizeof(*h));
        h = NULL;
    }
    if (h)
        derive(keys, h->key);
    return h;
}

void content_hash_destroy(struct content_hash *h)
{
    if (!h)
        return;
    EVP_MAC_CTX_free(h->mac);
    secmem_key_free(h, sizeof(*h));
}

int content_hash(struct content_hash *h, const struct iovec *pieces, size_t n, uint8_t out[CONTENT_HASH_SIZE])
{
    size_t len;
    int ok = EVP_MAC_init(h->mac, h->key, sizeof(h->key), NULL);
    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_MAC_update(h->mac, pieces[i].iov_base, pieces[i].iov_len);
    return ok && EVP_MAC_final(h->mac, out, &len, CONTENT_HASH_SIZE) && len == CONTENT_HASH_SIZE ? OK : ERR_CRYPTO;
}
