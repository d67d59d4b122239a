/* Sealing: one OpenPGP message, PKESK for each recipient and then one SEIPD over one literal packet, no compression
 * (RFC 9580 sections 5.1, 5.13, 5.9). v3 PKESK with SEIPD v1 unless every recipient advertises SEIPD v2 (features
 * 0x08): then v6 PKESK with SEIPD v2 (AES-OCB). AES-256 where all prefer it, else AES-128. Every session key comes
 * fresh from the kernel's generator and is wiped. Streams: besides the input it needs at most 256 KB. */
#ifndef CRYPTO_PGP_SEAL_H
#define CRYPTO_PGP_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "crypto/pgp_cert.h"

enum { PGP_SEAL_RECIPIENTS_MAX = 16 };

/* Takes ciphertext as it comes; not OK stops the seal with that error. */
typedef int pgp_sink(void *arg, const uint8_t *data, size_t len);

/* in: the plaintext, in pieces, none of which is copied as a whole. ret_size (may be NULL): bytes given to the sink.
 * ERR_CRYPTO, ERR_LIMIT (recipients, or 0 of them), or the sink's error; a failed seal's output must be thrown away. */
int pgp_seal(struct pgp_recipient *const *recipients, size_t n, const struct iovec *in, size_t iovcnt, pgp_sink *sink,
             void *arg, uint64_t *ret_size);

/* Several messages of one mail for the same recipients, sealed in order: session keys, packets and containers are each
 * message's own, but a recipient's ephemeral key pair serves them all (the reasons are in pgp_pkesk.c). The first error
 * ends it. */
struct pgp_seal_part {
    const struct iovec *in;
    size_t iovcnt;
    pgp_sink *sink;
    void *arg;
};
int pgp_seal_parts(struct pgp_recipient *const *recipients, size_t n, const struct pgp_seal_part *parts, size_t nparts);

/* Exact bytes pgp_seal will give for a plaintext of len bytes (RSA and X25519/X448/ECDH fields have fixed encodings
 * here: RSA's MPI is made again until it has full length). */
uint64_t pgp_seal_size(struct pgp_recipient *const *recipients, size_t n, uint64_t len);

#endif
