/* Revocations of a certificate (RFC 9580 section 10.1.3, signatures of type 0x20 over the primary key): found in what
 * an owner hands in, and put into the certificate that they are about. Nothing is verified here: what comes out is to
 * be judged like any certificate. */
#ifndef CRYPTO_PGP_REVOCATION_H
#define CRYPTO_PGP_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"

enum { PGP_REVOCATIONS_MAX = 16, PGP_REVOCATION_LEN_MAX = 8 * 1024 /* of one */ };

struct pgp_revocations {
    bool bare; /* nothing but revocations: no certificate */
    size_t n;
    struct {
        const uint8_t *packet;
        size_t len;
    } sig[PGP_REVOCATIONS_MAX]; /* whole packets in the caller's bytes */
};
/* data: binary; revocation signatures alone, or one certificate. ERR_NOT_FOUND: no revocation in it; ERR_FORMAT,
 * ERR_LIMIT. */
int pgp_revocations_read(const uint8_t *data, size_t len, struct pgp_revocations *ret);
/* Whether one of them names this primary key as its maker. One that names nobody may be anybody's. */
bool pgp_revocations_name(const struct pgp_revocations *r, const struct pgp_key *primary);
/* Puts those of them that may be the certificate's own right behind its primary key packet. ERR_LIMIT: more than cap
 * octets. */
int pgp_revocations_insert(const struct pgp_revocations *r, const uint8_t *cert, size_t len, uint8_t *out, size_t cap,
                           size_t *ret_len);

#endif
