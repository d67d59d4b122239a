/* Random octets that must differ but need not be secret: ids, salts. A stream cipher under a key that the kernel's
 * generator gave once, and that each refill replaces, so they cost no system call. Keys come from elsewhere. */
#ifndef CRYPTO_NONCE_H
#define CRYPTO_NONCE_H

#include <stddef.h>
#include <stdint.h>

enum { NONCE_POOL_SIZE = 1024, NONCE_MAX = 32 /* octets taken at once */ };

struct nonces {
    uint8_t key[32], pool[NONCE_POOL_SIZE];
    size_t left; /* octets of pool not yet given out, at its end */
};

void nonces_init(struct nonces *n);
void nonces_take(struct nonces *n, void *out, size_t len);

#endif
