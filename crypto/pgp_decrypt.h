/* Opening what others encrypt to a key of ours, as GnuPG and its kin write it: session-key packets of version 3 for
 * ECDH on Curve25519, SEIPD v1 with its modification detection code, in it perhaps one compressed packet (ZIP, ZLIB),
 * one literal packet, and signatures, which are stepped over (RFC 9580 sections 5.1.5, 5.13.1, 5.6, 5.9, 5.2, 5.4). The
 * message is strangers': it is in memory as a whole, nothing of it is looked at before the code is right, and what it
 * may take is bounded. Other than crypto/pgp_open.h, which opens what this server seals itself. */
#ifndef CRYPTO_PGP_DECRYPT_H
#define CRYPTO_PGP_DECRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    PGP_DECRYPT_MAX = 1024 * 1024, /* octets of a message */
    PGP_DECRYPT_PKESKS_MAX = 32,   /* session-key packets of a message */
    PGP_DECRYPT_TRIES_MAX = 4,     /* of these, that name our key or nobody */
    PGP_DECRYPT_SIGNATURES_MAX = 16
};

/* A v4 subkey: ECDH on Curve25519 with SHA-256 and AES-128 (section 11.5). */
struct pgp_decrypt_key {
    uint8_t secret[32], point[32], fpr[20];
};

/* The literal packet's octets. ERR_CRYPTO: not for this key, or changed on its way; ERR_FORMAT: no such message;
 * ERR_UNSUPPORTED: of another kind; ERR_LIMIT: longer than cap, or beyond the bounds above; ERR_MEMORY. */
int pgp_decrypt(const struct pgp_decrypt_key *k, struct slice message, uint8_t *out, size_t cap, size_t *ret_len);

/* What a container holds, likewise. */
int pgp_literal_read(struct slice packets, uint8_t *out, size_t cap, size_t *ret_len);

#endif
