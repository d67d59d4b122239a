/* The outgoing queue's key pair, derived from the root of DIR/queue.key: always the same. The public half is a v6
 * public-key packet for X25519, which nobody judges: who is given it has it from master. */
#ifndef CRYPTO_QUEUE_KEY_H
#define CRYPTO_QUEUE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_check.h"
#include "crypto/record.h"
#include "server/core/wire.h"

void queue_key_public(const uint8_t root[32], uint8_t out[QUEUE_PUBLIC_MAX], size_t *ret_len);
void queue_key_secret(const uint8_t root[32], uint8_t out[QUEUE_SECRET_SIZE]);
/* As pgp_check_message takes it. ERR_FORMAT: it is none of queue_key_public's. */
int queue_key_ref(struct slice public_key, struct pgp_key_ref *ret);

#endif
