/* Certificates made octet by octet, mostly with Ed25519 keys, good and bad alike: hashing and signing written from RFC
 * 9580 section 5.2.4, sharing nothing with the judge. */
#ifndef TESTS_SUPPORT_PGP_FORGE_H
#define TESTS_SUPPORT_PGP_FORGE_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "crypto/pgp_packet.h"

struct forge_key {
    int version;
    EVP_PKEY *pkey; /* of other algorithms; NULL: Ed25519 */
    uint8_t pk[32], sk[64];
    uint8_t body[1300], fpr[32];
    size_t body_len, fpr_len;
};

struct forge {
    uint8_t data[400 * 1024];
    size_t len;
};

size_t forge_be(uint8_t *out, uint64_t v, size_t octets);
void forge_finger(struct forge_key *k);
void forge_body(struct forge_key *k, int version, uint8_t algo, uint32_t created, const uint8_t *material, size_t len);

/* algo: PGP_ED25519, PGP_X25519 (no secret kept), or any other with the same 32 octets for material. */
void forge_key_make(struct forge_key *k, int version, uint8_t algo, uint32_t created, uint8_t seed_octet);

struct forge_sig {
    uint8_t type;
    uint32_t created, expires, key_expires; /* 0: not stated */
    int flags, features, reason;            /* 0: not stated; flags and reason with 1000 added are stated as they are */
    bool primary_uid, anonymous, named_by_stranger, no_date, bad, bad_left, bad_salt_len;
    uint8_t hash;                     /* 0: SHA-512 */
    uint8_t version;                  /* 0: the key's */
    uint8_t algo;                     /* 0: the key's */
    const uint8_t *hashed, *unhashed; /* more subpackets */
    size_t hashed_len, unhashed_len;
};

size_t forge_sub(uint8_t *out, uint8_t type, const void *v, size_t n);
size_t forge_mpi(uint8_t *out, const uint8_t *p, size_t len);
size_t forge_params(uint8_t *m, EVP_PKEY *pkey, const char *const *names, size_t n);

/* The caller frees pkey. */
struct forge_key forge_rsa(int version, size_t bits);

/* In a group of 2048 bits (RFC 3526 section 3), with this octet for y. */
struct forge_key forge_elgamal(int version, uint32_t created, uint8_t y);

/* The body of a signature by one key over another, over it and a subkey, or over it and a user id. */
size_t forge_sig_body(uint8_t *out, const struct forge_sig *s, const struct forge_key *by,
                      const struct forge_key *primary, const struct forge_key *subkey, const char *uid);

void forge_packet(struct forge *f, int tag, const void *body, size_t len);
void forge_put_key(struct forge *f, int tag, const struct forge_key *k);
void forge_put_uid(struct forge *f, const char *uid);
void forge_put_sig(struct forge *f, struct forge_sig s, const struct forge_key *by, const struct forge_key *primary,
                   const struct forge_key *subkey, const char *uid);

#endif
