/* The bodies of the encrypted containers (RFC 9580 section 5.13). Not for use outside crypto/. */
#ifndef CRYPTO_PGP_SEIPD_H
#define CRYPTO_PGP_SEIPD_H

#include "crypto/pgp_stream.h"

/* Octets of a body, from the literal packet's whole length. */
uint64_t pgp_seipd1_size(uint64_t literal_len);
uint64_t pgp_seipd2_size(uint64_t literal_len);
/* f: the literal packet. ERR_CRYPTO, or the sink's error. */
int pgp_seipd1(struct pgp_output *o, const struct pgp_suite *s, struct pgp_feed *f);
int pgp_seipd2(struct pgp_output *o, const struct pgp_suite *s, struct pgp_feed *f, uint64_t literal_len);

#endif
