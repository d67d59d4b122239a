/* What the parts of the sealing engine share. Not for use outside crypto/. */
#ifndef CRYPTO_PGP_INTERNAL_H
#define CRYPTO_PGP_INTERNAL_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_packet.h"
#include "crypto/pgp_seal.h"

enum pgp_cipher { PGP_AES128 = 7, PGP_AES192 = 8, PGP_AES256 = 9 };
enum pgp_hash { PGP_SHA256 = 8, PGP_SHA384 = 9, PGP_SHA512 = 10 };
enum { PGP_AEAD_OCB = 2, PGP_FEATURE_SEIPD_V2 = 0x08 };

enum {
    PGP_RSA_BITS_MIN = 1024,
    PGP_RSA_BITS_MAX = 16384,
    PGP_POINT_MAX = 1 + 2 * 66, /* P-521, uncompressed */
    PGP_PKESK_MAX = 2 + 2048 + 64 /* the largest body: RSA 16384 under a v6 head */,
    PGP_STAGE = 16 * 1024, /* plaintext at a time */
    PGP_OUT = 64 * 1024,   /* ciphertext at a time */
    PGP_CHUNK_OCTET = 10,  /* SEIPD v2: chunks of 2^16 octets */
    PGP_CHUNK = 64 * 1024,
};

/* The primitives and their contexts, fetched once a thread and used for every seal after that: fetching costs more than
 * sealing a small message. Key schedules are overwritten when a seal ends. */
struct pgp_engine {
    EVP_MD *sha1, *sha256, *sha384, *sha512;
    EVP_MD_CTX *md;                           /* short hashes */
    EVP_MD_CTX *mdc;                          /* SHA-1 over a message */
    EVP_CIPHER_CTX *ecb[3], *cbc[3], *ocb[3]; /* by key size: 128, 192, 256 */
    EVP_PKEY_CTX *x448;
    uint8_t last_salt[16]; /* the second half of the last seal's: a generator that repeats itself must not seal */
    struct pgp_work *work;
};

struct pgp_random { /* one draw from the kernel's generator for what every seal needs */
    uint8_t session_key[32];
    uint8_t salt[32]; /* SEIPD v2's salt; its first 16 octets are SEIPD v1's prefix */
};

/* What an ephemeral key pair and a recipient's key gave: made at the recipient's first session-key packet. */
struct pgp_agreement {
    bool made;
    uint8_t point[PGP_POINT_MAX]; /* the ephemeral public key */
    uint8_t kek[32];
};

struct pgp_work { /* undumpable, wiped after each mail */
    struct pgp_random random;
    uint8_t ephemeral[32];
    uint8_t shared[72];
    uint8_t wrap[64];
    struct pgp_agreement agreed[PGP_SEAL_RECIPIENTS_MAX]; /* one a recipient: nothing is shared between them */
    uint8_t stage[PGP_STAGE + 32];
    uint8_t pkesk[6 + PGP_PKESK_MAX];
    size_t out_len;
    uint8_t out[PGP_OUT + 64];
};

struct pgp_engine *pgp_engine(void); /* NULL: out of memory or a primitive is missing */

/* Random octets from the kernel's generator: session keys, salts, prefixes, X25519's ephemeral keys. The ephemeral keys
 * of the other curves and RSA's padding come from OpenSSL's generator, which the kernel's one seeds. ERR_CRYPTO. */
int pgp_random(void *out, size_t len);

struct pgp_part {
    const void *data;
    size_t len;
};
/* Hash of the parts' concatenation. ERR_CRYPTO. */
int pgp_hash_parts(struct pgp_engine *e, const EVP_MD *md, const struct pgp_part *parts, size_t n, uint8_t *out);
/* RFC 5869 with out_len at most two blocks of the hash. */
int pgp_hkdf(struct pgp_engine *e, const EVP_MD *md, struct pgp_part salt, const struct pgp_part *ikm, size_t n,
             struct pgp_part info, uint8_t *out, size_t out_len);
/* RFC 3394: len is a multiple of 8 in 16..48; out has len + 8 octets. */
int pgp_key_wrap(struct pgp_engine *e, const uint8_t *kek, size_t kek_len, const uint8_t *in, size_t len, uint8_t *out);
/* Back: in has len + 8 octets, ctx is pgp_unwrap_ctx's and forgets the key. ERR_CRYPTO: another key, or changed. */
int pgp_key_unwrap(EVP_CIPHER_CTX *ctx, const uint8_t kek[16], const uint8_t *in, size_t len, uint8_t *out);
EVP_CIPHER_CTX *pgp_unwrap_ctx(void); /* for it; NULL: no memory */
/* What crypto_scalarmult_base gives, faster. ERR_CRYPTO. */
int pgp_x25519_public(uint8_t out[32], const uint8_t secret[32]);
void pgp_x25519_forget(void); /* this thread's numbers for it */
const EVP_MD *pgp_hash_md(const struct pgp_engine *e, uint8_t hash);
static inline size_t pgp_cipher_key_len(uint8_t cipher)
{
    return 16 + 8 * (size_t)(cipher - PGP_AES128);
}

enum pgp_kem { PGP_KEM_RSA, PGP_KEM_CURVE25519, PGP_KEM_EC, PGP_KEM_X25519, PGP_KEM_X448 };

struct pgp_recipient {
    uint8_t version, algo, fpr_len;
    uint8_t fpr[PGP_FPR_MAX], key_id[8];
    struct pgp_prefs prefs;
    enum pgp_kem kem;
    uint8_t point[32];             /* Curve25519, X25519 */
    EVP_PKEY *pkey;                /* RSA, NIST and brainpool, X448 */
    EVP_PKEY_CTX *op;              /* RSA: encrypt; NIST and brainpool: key generation */
    size_t rsa_len, rsa_field_len; /* octets of the modulus, of what a ciphertext takes */
    size_t ec_point_len, ec_shared_len;
    uint8_t kdf_hash, kdf_cipher;
    uint8_t kdf_param[96]; /* ECDH: RFC 9580 section 11.5 */
    size_t kdf_param_len;
};

/* Curves of ECDH we know, by OID. */
struct pgp_curve {
    const char *name; /* OpenSSL's; NULL: Curve25519Legacy */
    uint8_t oid_len;
    uint8_t oid[10];
    uint16_t bits;
};
const struct pgp_curve *pgp_curve_find(const uint8_t *oid, size_t len);

/* A key's material in exactly n integers. ERR_FORMAT. */
int pgp_mpis_read(const uint8_t *m, size_t len, struct pgp_part *ret, size_t n);
size_t pgp_mpi_bits(const struct pgp_part *m);
/* OpenSSL's keys; ret is the caller's. ERR_FORMAT (no such key, a point off its curve), ERR_MEMORY. */
int pgp_pkey_from(const char *type, OSSL_PARAM *params, EVP_PKEY **ret);
int pgp_pkey_from_mpis(const char *type, const char *const *names, const struct pgp_part *mpis, size_t n,
                       EVP_PKEY **ret);
/* Section 5.5.5.6: OID, point, then KDF parameters: 3, 1, hash, cipher. ERR_FORMAT. */
struct pgp_ecdh_fields {
    const struct pgp_curve *curve; /* NULL: unknown */
    const uint8_t *oid;            /* with its length octet in front */
    size_t oid_len;
    struct pgp_part point;
    uint8_t hash, cipher;
};
int pgp_ecdh_read(const uint8_t *m, size_t len, struct pgp_ecdh_fields *ret);
bool pgp_ecdh_kdf_known(const struct pgp_ecdh_fields *f); /* SHA-2 and AES */
/* What is wrong with modulus and exponent, short of looking for factors. */
enum pgp_flaw pgp_rsa_flaw(const struct pgp_part part[2]);
/* Modulus and exponent. ERR_FORMAT, ERR_UNSUPPORTED (sizes that we or OpenSSL do not work with). */
int pgp_rsa_read(const uint8_t *m, size_t len, struct pgp_part ret[2]);
int pgp_rsa_pkey(const struct pgp_part part[2], EVP_PKEY **ret);
int pgp_ec_pkey(const struct pgp_curve *curve, struct pgp_part point, EVP_PKEY **ret);

/* A key packet of a certificate: ERR_FORMAT, ERR_UNSUPPORTED (version), ERR_MEMORY. */
int pgp_key_read(const struct pgp_packet *p, struct pgp_key *ret);
/* Whether packets of this kind may stand between those of a certificate. */
bool pgp_may_be_in_cert(enum pgp_tag tag);
/* Whether pgp_recipient_create would take this key: OK, ERR_UNSUPPORTED, ERR_FORMAT (a point that no curve has, or of
 * small order), ERR_MEMORY. */
int pgp_key_seals(const struct pgp_key *k);

/* How one seal is done for all its recipients. */
struct pgp_suite {
    bool v2;
    uint8_t cipher; /* enum pgp_cipher: the session key's */
    size_t key_len;
};

size_t pgp_pkesk_body_size(const struct pgp_recipient *r, const struct pgp_suite *s);
/* Writes header and body at e->work->pkesk for e->work->random.session_key. a: this recipient's, and nobody else's. */
int pgp_pkesk_make(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, struct pgp_agreement *a,
                   size_t *ret_len);

#endif
