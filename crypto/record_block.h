/* AES-256 in XTS (IEEE 1619, NIST SP 800-38E) of one block of a data unit, through OpenSSL: block by block, since its
 * own XTS takes three times as long to begin. The tweak of the unit that came last is kept, so blocks that are asked
 * for one after another cost an AES each. */
#ifndef CRYPTO_RECORD_BLOCK_H
#define CRYPTO_RECORD_BLOCK_H

#include "crypto/record.h"

struct record_block;

struct record_block *record_block_create(const uint8_t data[RECORD_KEY_SIZE],
                                         const uint8_t tweak[RECORD_KEY_SIZE]); /* NULL: out of memory */
void record_block_destroy(struct record_block *b);                              /* wipes the keys; NULL will do */
void record_block_crypt(struct record_block *b, bool hide, const struct record_place *place,
                        const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE]);

#endif
