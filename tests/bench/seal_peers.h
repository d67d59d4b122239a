/* The other libraries that seal, for bench_seal. Every function: 0, or -1 after it said why on standard error. */
#ifndef BENCH_SEAL_PEERS_H
#define BENCH_SEAL_PEERS_H

#include <stddef.h>
#include <stdint.h>

/* A home of its own with one key in it (Ed25519, Curve25519), whose certificate comes out. */
int seal_gpgme_open(uint8_t *cert, size_t cap, size_t *ret_len);
int seal_gpgme_once(const uint8_t *in, size_t len);
void seal_gpgme_close(void);

int seal_rnp_open(const uint8_t *cert, size_t len);
int seal_rnp_once(const uint8_t *in, size_t len);
void seal_rnp_close(void);

#endif
