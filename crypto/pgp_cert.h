/* Reading certificates (transferable public keys, RFC 9580 section 10.1) for sealing. This parses and does not
 * validate: a certificate is judged (gpg judge) and reduced to its own valid self-signatures before it is stored. The
 * judge says by fingerprint which subkeys encrypt; pgp_cert_recipients finds and prepares them. */
#ifndef CRYPTO_PGP_CERT_H
#define CRYPTO_PGP_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_check.h"

enum { PGP_CERT_MAX = 1024 * 1024, PGP_FPR_MAX = 32, PGP_KEYS_MAX = 64 };

struct pgp_key {
    uint8_t version; /* 4 or 6 */
    uint8_t algo;    /* enum pgp_pubkey_algo */
    uint32_t created;
    uint8_t fpr[PGP_FPR_MAX];
    uint8_t fpr_len; /* 20 or 32 */
    uint8_t key_id[8];
    bool subkey;
    unsigned bits;           /* RSA modulus bits; curve's nominal size */
    const uint8_t *material; /* algorithm-specific part inside the caller's bytes */
    size_t material_len;
};

/* Lists the keys of one certificate, primary first. data must be exactly one certificate (a second primary key:
 * ERR_FORMAT), binary. *n is capacity in, count out. ERR_FORMAT, ERR_LIMIT, ERR_UNSUPPORTED (v3, v5 keys). */
int pgp_cert_keys(const uint8_t *data, size_t len, struct pgp_key *keys, size_t *n);

/* Octets of the key's modulus (RSA), prime (ElGamal) or point (the curves), as its session-key packets carry them; 0 of
 * what does not encrypt. */
uint16_t pgp_key_octets(const struct pgp_key *k);

/* Why a key's numbers protect nothing, or can never be sealed to. */
enum pgp_flaw {
    PGP_FLAW_NONE,
    PGP_FLAW_FIELDS,      /* not the fields of its algorithm, or of the wrong length */
    PGP_FLAW_MODULUS,     /* RSA: even, or with a small factor */
    PGP_FLAW_EXPONENT,    /* RSA: 1, even, or longer than the modulus */
    PGP_FLAW_GROUP,       /* ElGamal, DSA: p or q is no prime, or g makes no large group */
    PGP_FLAW_ELEMENT,     /* ElGamal, DSA: y tells the secret, or is not in the group */
    PGP_FLAW_FORM,        /* a point that is not as RFC 9580 section 11.2 writes it: uncompressed, or 0x40 before it */
    PGP_FLAW_POINT,       /* a point off its curve */
    PGP_FLAW_SMALL_ORDER, /* a point with which every shared secret is known */
    PGP_FLAW_KDF,         /* ECDH: a key derivation outside SHA-2 and AES (section 11.5) */
};
/* Looks at the numbers of a key that encrypts or signs; what is of an algorithm or curve unknown here has no flaw. OK
 * with *ret, or ERR_MEMORY. */
int pgp_key_flaw(const struct pgp_key *k, enum pgp_flaw *ret);

/* What the self-signatures advertise: features and AES-256 preference. The newest one counts, of the primary user id or
 * directly on the key. */
struct pgp_prefs {
    bool seipd_v2; /* features octet 0x08 */
    bool aes256;   /* AES-256 among the preferred symmetric algorithms */
};
int pgp_cert_prefs(const uint8_t *data, size_t len, struct pgp_prefs *ret);
/* When the newest of its self-signatures was made, 0 without any: of two copies of one certificate the older one is
 * told by it. For those that were judged already. Errors: pgp_cert_keys's. */
int pgp_cert_signed_at(const uint8_t *data, size_t len, uint32_t *ret);

/* Signatures in it that no other key is said to have made: so many may have to be verified, over whatever they are.
 * Errors: pgp_cert_keys's. */
int pgp_cert_own_signatures(const uint8_t *data, size_t len, size_t *ret);

/* The judge's verdict on one certificate, as stored with it (encoded by pgp_verdict_pack below). */
struct pgp_verdict {
    uint8_t primary_fpr[PGP_FPR_MAX];
    uint8_t primary_fpr_len;
    uint8_t primary_algo;
    uint32_t created, expires;    /* primary; 0: never expires */
    uint8_t enc_fpr[PGP_FPR_MAX]; /* the subkey (or primary) that seals */
    uint8_t enc_fpr_len;
    uint8_t enc_algo;
    uint16_t enc_octets;  /* pgp_key_octets; 0: judged before this was noted */
    uint32_t enc_expires; /* 0: never */
    uint32_t signed_at;   /* pgp_cert_signed_at, before any user id was left out */
    bool native;          /* our engine seals to it; else the gpg role does */
    struct pgp_prefs prefs;
};
enum { PGP_VERDICT_SIZE = 96 };
void pgp_verdict_pack(const struct pgp_verdict *v, uint8_t out[PGP_VERDICT_SIZE]);
int pgp_verdict_unpack(const uint8_t *in, size_t len, struct pgp_verdict *ret);
/* The key that seals, as pgp_check_message takes it. */
struct pgp_key_ref pgp_verdict_key(const struct pgp_verdict *v, bool current);

/* What is wrong with the numbers of the key that the verdict names. ERR_NOT_FOUND: it is not there; pgp_cert_keys's. */
int pgp_cert_flaw(const uint8_t *cert, size_t len, const struct pgp_verdict *v, enum pgp_flaw *ret);

/* A prepared recipient: one encryption key, ready for many seals. */
struct pgp_recipient;
/* cert: as stored. ERR_NOT_FOUND: enc_fpr is not in it; ERR_UNSUPPORTED: not an algorithm of the native engine;
 * ERR_FORMAT. */
int pgp_recipient_create(const uint8_t *cert, size_t len, const struct pgp_verdict *v, struct pgp_recipient **ret);
void pgp_recipient_destroy(struct pgp_recipient *r);
/* Whether the native engine seals to this algorithm (and, for ECDH, curve: material decides). */
bool pgp_algo_is_native(uint8_t algo, const uint8_t *material, size_t len);

#endif
