/* A certificate as it is published: what others need to write to somebody and to check what they have signed, and
 * nothing else. Every signature that stays was verified. What anybody can add (third parties' signatures, unhashed
 * subpackets, user attributes, keys that are not bound) goes, and so does what is over: expired subkeys, older
 * signatures, subkeys that neither encrypt nor sign. Revocations stay. Works on bytes in memory and has no clock of its
 * own. docs/openpgp.md says it packet by packet. */
#ifndef CRYPTO_PGP_MINIMISE_H
#define CRYPTO_PGP_MINIMISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_published.h"

enum { PGP_MINIMISE_SIGNATURE_MAX = 8 * 1024 /* octets of one; a longer one does not count */ };

struct pgp_minimised {
    uint8_t fpr[PGP_FPR_MAX]; /* of the primary key */
    uint8_t fpr_len;
    bool revoked, expired; /* the whole of it */
    size_t user_ids;
};

/* cert: binary, one certificate, at most PGP_CERT_MAX octets. keep: the user ids that stay, if they are valid (or have
 * expired, if none is valid); others are not even looked at. A copy made of a copy has the same octets. Unlike the
 * judge, this takes weak keys and, in version 4, self-signatures over SHA-1: whoever gets it judges it.
 * ERR_NOT_FOUND: none of the user ids may stay. ERR_FORMAT; ERR_LIMIT: more octets, keys or user ids than there may be,
 * or more signatures to verify; ERR_UNSUPPORTED: a key of another version, a primary key whose signatures cannot be
 * verified here; ERR_REFUSED: nothing of its own vouches for it, a secret key, several certificates; ERR_MEMORY. */
int pgp_minimise(const uint8_t *cert, size_t len, uint64_t now,
                 bool (*keep)(void *arg, const uint8_t *user_id, size_t len), void *arg, uint8_t *out, size_t cap,
                 size_t *ret_len, struct pgp_minimised *ret);

#endif
