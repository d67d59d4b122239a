/* A certificate as it stands in the directory of published ones, looked at packet by packet: for the vault and for who
 * serves it. That its signatures are good was seen when it was made (crypto/pgp_minimise.h); here nothing is verified,
 * and only the form is held to: what is kept for a stranger to fetch has no room for anything but a certificate. */
#ifndef CRYPTO_PGP_PUBLISHED_H
#define CRYPTO_PGP_PUBLISHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"

enum { PGP_PUBLISHED_MAX = 48 * 1024 /* octets */, PGP_PUBLISHED_KEYS_MAX = 32, PGP_PUBLISHED_USER_IDS_MAX = 8 };

struct pgp_published {
    struct pgp_published_key {
        uint8_t version, algo, fpr_len;
        uint8_t fpr[PGP_FPR_MAX], key_id[8];
        uint32_t created;
    } key[PGP_PUBLISHED_KEYS_MAX]; /* the primary one first */
    size_t nkeys;
    struct {
        const uint8_t *text; /* in the caller's octets */
        size_t len;
    } user_id[PGP_PUBLISHED_USER_IDS_MAX];
    size_t nuser_ids;
    bool revoked; /* a revocation of the whole stands in it */
};

/* cert: the primary key; behind it at most a revocation of it and a direct key signature; then user ids, each with one
 * certification; then subkeys, each with one binding and at most one revocation. Each signature is by the primary key,
 * by its own word. ERR_FORMAT: not so, or no packets; ERR_LIMIT: longer, or more of something. */
int pgp_published_read(const uint8_t *cert, size_t len, struct pgp_published *ret);

/* One certificate with the user ids of both, which are copies of one and the same certificate: a's octets, and behind
 * its user ids those of b that it lacks. ERR_LIMIT: longer than cap, or more user ids than one has; ERR_CONFLICT: they
 * are of different primary keys; pgp_published_read's. */
int pgp_published_join(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out, size_t cap,
                       size_t *ret_len);

/* What a key is known by (RFC 9580 sections 5.5.4.2 and 5.5.4.3): body: of its packet, of version 4 or 6. ERR_FORMAT,
 * ERR_MEMORY. fpr: PGP_FPR_MAX octets. */
int pgp_fingerprint(const uint8_t *body, size_t len, uint8_t *fpr, uint8_t *ret_len, uint8_t key_id[8]);

#endif
