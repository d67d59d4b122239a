/* The outer seal on a message's body, chunk by chunk, under a key of the message's own: AES-256-GCM, whose keystream
 * hides what may be readable (mail that came or was appended encrypted), or over octets that stand as they are its
 * authentication alone (what this server sealed: random octets). A key is derived for one message with 16 random octets
 * of its record, so no nonce comes twice, also after a restore. The nonce binds the chunk's number and whether it is
 * the last. */
#ifndef CRYPTO_OUTER_SEAL_H
#define CRYPTO_OUTER_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/record.h"

enum { OUTER_SEAL_SALT = 16, OUTER_SEAL_TAG = 16 };

struct outer_key {
    uint8_t key[RECORD_KEY_SIZE];
};

/* Finds the cipher: before the sandbox. ERR_UNSUPPORTED, ERR_MEMORY. What is below does it as well, once a thread. */
int outer_seal_init(void);

/* use: RECORD_CONTENT, or of what goes out RECORD_QUEUE_CONTENT; keys must have it. The caller wipes the key. */
void outer_key_make(const struct record_keys *keys, enum record_use use, uint64_t account, uint64_t message,
                    const uint8_t salt[OUTER_SEAL_SALT], struct outer_key *ret);

/* A chunk has room octets, of which the first len are given. In both forms a tag follows: out has room + OUTER_SEAL_TAG
 * octets. ERR_CRYPTO, ERR_MEMORY, ERR_UNSUPPORTED. */
int outer_seal_hide(const struct outer_key *k, uint32_t n, bool last, const uint8_t *plain, size_t len, size_t room,
                    uint8_t *out);
/* As they are, and random octets behind them. */
int outer_seal_mark(const struct outer_key *k, uint32_t n, bool last, const uint8_t *plain, size_t len, size_t room,
                    uint8_t *out);
/* sealed_len: room + OUTER_SEAL_TAG. ERR_CRYPTO: not this chunk of this message, or damaged. out has room octets, which
 * are wiped then. */
int outer_seal_open(const struct outer_key *k, uint32_t n, bool last, const uint8_t *sealed, size_t sealed_len,
                    uint8_t *out);
int outer_seal_check(const struct outer_key *k, uint32_t n, bool last, const uint8_t *marked, size_t marked_len);

#endif
