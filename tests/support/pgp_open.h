/* A small decryptor for tests, written from RFC 9580 alone and sharing nothing with the sealing engine: OpenSSL's CFB,
 * key wrap and HKDF as they come. Also makes test certificates (unsigned: the engine does not validate). */
#ifndef TESTS_SUPPORT_PGP_OPEN_H
#define TESTS_SUPPORT_PGP_OPEN_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_cert.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"

struct test_key {
    EVP_PKEY *priv;
    uint8_t cert[2048];
    size_t cert_len;
    struct pgp_verdict verdict;
    uint8_t algo;
    const uint8_t *oid; /* ECDH: length octet and OID */
    uint8_t kdf_hash, kdf_cipher;
    uint8_t pub[140];
    size_t pub_len;
};

extern const uint8_t test_oid_25519[];
extern const uint8_t test_oid_p256[];
extern const uint8_t test_oid_p384[], test_oid_p521[];
extern const uint8_t test_oid_bp256[], test_oid_bp384[], test_oid_bp512[];

/* A key packet: version 4 or 6. */
size_t test_put_key(uint8_t *out, int tag, int version, uint8_t algo, const uint8_t *m, size_t len);

/* Of the RSA keys made from now on; long_exponent: one of 73 bits. */
struct test_rsa {
    unsigned bits;
    bool long_exponent;
};
extern struct test_rsa test_rsa;

/* oid: for ECDH one of the above, else NULL. */
int test_key_make(struct test_key *k, int version, uint8_t algo, const uint8_t *oid);

void test_key_free(struct test_key *k);
int test_unwrap(const uint8_t *kek, size_t kek_len, const uint8_t *in, size_t len, uint8_t *out);

struct test_session {
    uint8_t key[64];
    size_t len;
    uint8_t cipher;  /* v3 */
    uint8_t kek[16]; /* their first octets; zero: RSA */
    uint8_t shared[16];
};

/* The session key of the PKESK that names k. */
int test_open_session(const struct test_key *k, const uint8_t *msg, size_t len, struct test_session *s,
                      size_t *ret_seipd);

int test_open_v2(const struct test_session *s, const uint8_t *body, size_t len, uint8_t *out, size_t *ret_len);

/* out has len octets. Gives the literal packet's content, which must be binary, nameless and undated. */
int test_open(const struct test_key *k, const uint8_t *msg, size_t len, uint8_t *out, size_t *ret_len,
              struct test_session *s);

/* Takes the key ids out of a message's session-key packets, which are of version 3. */
void test_hide(uint8_t *data, size_t len);

#endif
