/* OpenPGP packet framing, reading and writing (RFC 9580 section 4; old and new format, partial body lengths).
 * Works on bytes in memory, allocates nothing, trusts nothing: every length is checked against what is there. */
#ifndef CRYPTO_PGP_PACKET_H
#define CRYPTO_PGP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgp_tag {
    PGP_TAG_PKESK = 1,
    PGP_TAG_SIGNATURE = 2,
    PGP_TAG_SKESK = 3,
    PGP_TAG_ONE_PASS = 4,
    PGP_TAG_SECRET_KEY = 5,
    PGP_TAG_PUBLIC_KEY = 6,
    PGP_TAG_SECRET_SUBKEY = 7,
    PGP_TAG_COMPRESSED = 8,
    PGP_TAG_SED = 9,
    PGP_TAG_MARKER = 10,
    PGP_TAG_LITERAL = 11,
    PGP_TAG_TRUST = 12,
    PGP_TAG_USER_ID = 13,
    PGP_TAG_PUBLIC_SUBKEY = 14,
    PGP_TAG_USER_ATTRIBUTE = 17,
    PGP_TAG_SEIPD = 18,
    PGP_TAG_MDC = 19,
    PGP_TAG_AEAD = 20 /* GnuPG's own */,
    PGP_TAG_PADDING = 21,
};

enum pgp_pubkey_algo {
    PGP_RSA = 1,
    PGP_RSA_ENCRYPT = 2,
    PGP_RSA_SIGN = 3,
    PGP_ELGAMAL = 16,
    PGP_DSA = 17,
    PGP_ECDH = 18,
    PGP_ECDSA = 19,
    PGP_EDDSA_LEGACY = 22,
    PGP_X25519 = 25,
    PGP_X448 = 26,
    PGP_ED25519 = 27,
    PGP_ED448 = 28,
};

struct pgp_packet {
    enum pgp_tag tag;
    bool new_format;
    bool partial; /* body in partial chunks: body/body_len cover the first chunk only */
    const uint8_t *body;
    size_t body_len;    /* of the first chunk when partial */
    size_t total_len;   /* header(s) and body, to the next packet */
    size_t content_len; /* body bytes with chunk headers taken out */
};

/* Reads the packet at data[*pos] and advances *pos past it. OK, ERR_NOT_FOUND at the end, ERR_FORMAT, ERR_UNSUPPORTED
 * for old-format indeterminate length. Partial lengths are legal only for data packets (8, 9, 11, 18, 20) and need 512
 * bytes in the first chunk (section 4.2.1.4). */
int pgp_packet_next(const uint8_t *data, size_t len, size_t *pos, struct pgp_packet *ret);

/* The body of a packet that was read, without its chunks' headers: content_len octets. */
void pgp_packet_join(const struct pgp_packet *p, uint8_t *out);

/* Writes a new-format header with a definite length; returns bytes written (2, 3 or 6). out has 6 bytes. */
size_t pgp_packet_header(uint8_t *out, enum pgp_tag tag, size_t body_len);

/* A multiprecision integer at body[*pos] (section 3.2). ERR_FORMAT. ret points past the 2-octet length. */
int pgp_mpi_next(const uint8_t *body, size_t len, size_t *pos, const uint8_t **ret, size_t *ret_len);

/* Session-key packet heads (section 5.1), enough to know for whom it is. */
struct pgp_pkesk {
    uint8_t version; /* 3 or 6 */
    uint8_t algo;
    uint8_t key_id[8]; /* v3; all zero: wildcard */
    uint8_t fpr[32];   /* v6 */
    uint8_t fpr_len;   /* v6: 0 (wildcard), 20 or 32 */
};
int pgp_pkesk_read(const uint8_t *body, size_t len, struct pgp_pkesk *ret); /* OK, ERR_FORMAT, ERR_UNSUPPORTED */

#endif
