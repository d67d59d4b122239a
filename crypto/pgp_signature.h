/* Signature packets (RFC 9580 section 5.2), versions 4 and 6: taken apart, what they state, and whether a key made them
 * over a key, a subkey or a user id. Works on bytes in memory; a signature points into the caller's. Not for use
 * outside crypto/. */
#ifndef CRYPTO_PGP_SIGNATURE_H
#define CRYPTO_PGP_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"

enum pgp_sig_type {
    PGP_SIG_CERT_FIRST = 0x10,
    PGP_SIG_CERT_LAST = 0x13,
    PGP_SIG_BINDING = 0x18,
    PGP_SIG_BACK = 0x19,
    PGP_SIG_DIRECT = 0x1f,
    PGP_SIG_REVOKE_KEY = 0x20,
    PGP_SIG_REVOKE_SUBKEY = 0x28,
    PGP_SIG_REVOKE_CERT = 0x30,
};
enum pgp_key_flag { PGP_FLAG_CERTIFY = 0x01, PGP_FLAG_SIGN = 0x02, PGP_FLAG_ENCRYPT = 0x04 | 0x08 };
enum pgp_subpacket_type { PGP_SUB_ISSUER = 16, PGP_SUB_EMBEDDED = 32, PGP_SUB_ISSUER_FPR = 33 };

struct pgp_area {
    const uint8_t *data;
    size_t len;
};

struct pgp_subpacket {
    uint8_t type;
    bool critical;
    struct pgp_area value;
    struct pgp_area whole; /* with its length */
};
/* OK, ERR_NOT_FOUND at the end, ERR_FORMAT (section 5.2.3.7). */
int pgp_subpacket_next(struct pgp_area area, size_t *pos, struct pgp_subpacket *ret);

struct pgp_signature {
    uint8_t version, type, algo, hash;
    struct pgp_area head;             /* from the version to the end of the hashed area: hashed itself */
    struct pgp_area hashed, unhashed; /* subpackets; both are well-formed */
    struct pgp_area salt;             /* version 6 */
    struct pgp_area fields;           /* the algorithm's, not looked into yet */
    const uint8_t *left;              /* 2 octets: how the hash begins */
    /* Of the hashed area, the last of a kind winning. */
    bool unusable; /* it has no date, a critical thing unknown here or a statement of the wrong length */
    bool primary_uid;
    bool has_flags, has_key_expires, has_features, has_ciphers, has_suites, has_reason;
    bool seipd_v2, aes256, aes256_ocb;
    uint8_t flags, reason;
    uint32_t created, expires, key_expires; /* seconds after its own and the key's creation; 0: never */
};
/* OK, ERR_FORMAT, ERR_UNSUPPORTED (another version). */
int pgp_signature_read(const uint8_t *body, size_t len, struct pgp_signature *ret);

/* Whether the signature says that another key made it. The hashed area is asked before the unhashed one. A signature
 * that names nobody may be anybody's. */
bool pgp_signature_is_foreign(const struct pgp_signature *s, const struct pgp_key *key);
bool pgp_names_issuer(const struct pgp_subpacket *p, const struct pgp_key *key);

/* A revocation for no stated reason, for a compromised key or for a reason unknown here (section 5.2.3.31). */
bool pgp_revocation_is_hard(const struct pgp_signature *s);
static inline bool pgp_sig_is_certification(uint8_t type)
{
    return type >= PGP_SIG_CERT_FIRST && type <= PGP_SIG_CERT_LAST;
}

/* Whether certificates are judged by signatures with this hash: SHA-2 and SHA-3. SHA-1 only where it takes a key away.
 */
bool pgp_signature_hash_counts(const struct pgp_signature *s);

/* What a signature is over, by its type: always the primary key, then a subkey or a user id. */
struct pgp_signed {
    const struct pgp_key *primary, *subkey;
    struct pgp_area user_id;
};
/* OK, ERR_REFUSED (this key did not make it over that), ERR_UNSUPPORTED (algorithm), ERR_MEMORY. */
int pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over);
/* Whether signatures of this key can be verified here. */
bool pgp_key_can_sign(const struct pgp_key *key);

/* Which of two user ids' newest signatures speaks for the certificate: one marked primary, then the newer one. */
bool pgp_primary_uid_before(const struct pgp_signature *a, const struct pgp_signature *b);
/* Takes each item from the newer of the two signatures that state it. Either may be NULL. */
struct pgp_prefs pgp_prefs_merge(const struct pgp_signature *uid, const struct pgp_signature *direct);

/* Finds the self-signatures that speak for a certificate, without verifying them: for certificates that were judged
 * already and reduced to what is valid. uid_at: where the user id stands. Errors: pgp_cert_keys's. */
struct pgp_self {
    bool has_uid, has_direct;
    struct pgp_signature uid, direct;
    size_t uid_at;
};
int pgp_cert_self(const uint8_t *data, size_t len, struct pgp_self *ret);

/* The packet's body inside the caller's bytes. */
struct pgp_area pgp_key_body(const struct pgp_key *key);

#endif
