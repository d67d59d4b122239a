/* Random octets without a system call each. See nonce.h. */
#include "crypto/nonce.h"

#include <sodium.h>
#include <string.h>

#include "server/core/bug.h"

/* The cipher's first octets are the next key, the others the pool: a nonce of zeros, since each key serves once. */
static void refill(struct nonces *n)
{
    static const uint8_t zeros[crypto_stream_chacha20_NONCEBYTES];
    uint8_t stream[sizeof(n->key) + sizeof(n->pool)];

    crypto_stream_chacha20(stream, sizeof(stream), zeros, n->key);
    memcpy(n->key, stream, sizeof(n->key));
    memcpy(n->pool, stream + sizeof(n->key), sizeof(n->pool));
    n->left = sizeof(n->pool);
    sodium_memzero(stream, sizeof(stream));
}

void nonces_init(struct nonces *n)
{
    randombytes_buf(n->key, sizeof(n->key));
    refill(n);
}

void nonces_take(struct nonces *n, void *out, size_t len)
{
    bug_if(len > NONCE_MAX);
    if (n->left < len)
        refill(n);
    memcpy(out, n->pool + sizeof(n->pool) - n->left, len);
    n->left -= len;
}
