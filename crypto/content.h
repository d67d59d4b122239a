/* A keyed hash of a message's content, for the delivery id: Poly1305 under a key derived from the store key. It takes a
 * tenth of BLAKE2b's time here. It is a universal hash: for somebody who does not know the key, two contents of n
 * octets collide with a chance below n / 2^106. That holds only while nobody sees a result, so results go into
 * record_hash and nowhere else. */
#ifndef CRYPTO_CONTENT_H
#define CRYPTO_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "crypto/record.h"

enum { CONTENT_HASH_SIZE = 16 };

struct content_hash;
/* Copies what it needs of keys. NULL: out of memory or no such primitive. */
struct content_hash *content_hash_create(const struct record_keys *keys);
void content_hash_destroy(struct content_hash *h);
/* Hashes the pieces' concatenation; where it is cut makes no difference. ERR_CRYPTO. */
int content_hash(struct content_hash *h, const struct iovec *pieces, size_t n, uint8_t out[CONTENT_HASH_SIZE]);

#endif
