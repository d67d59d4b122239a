/* Between the files of WebAuthn: what a browser sent, taken apart. */
#ifndef SESSION_WEBAUTHN_IMPL_H
#define SESSION_WEBAUTHN_IMPL_H

#include "webmail-api/session/webauthn.h"

enum { WEBAUTHN_CLIENT_DATA_MAX = 2048, WEBAUTHN_OBJECT_MAX = 16 * 1024, WEBAUTHN_SIGNATURE_MAX = 512 };

/* Authenticator data (section 6.1). Slices point into it. */
struct webauthn_data {
    struct slice whole;
    const uint8_t *rp_hash; /* 32 octets */
    uint8_t flags;
    uint32_t count;
    struct slice maker, id, key; /* of a credential, or empty; key is CBOR */
};
enum { FLAG_UP = 1, FLAG_UV = 4, FLAG_BE = 8, FLAG_BS = 16, FLAG_AT = 64, FLAG_ED = 128 };

/* ERR_FORMAT: anything left over, missing, or that contradicts itself. */
int webauthn_data_read(struct slice in, struct webauthn_data *ret);
/* Whose domain, and that its user was there, and known if that was asked. ERR_DENIED. */
int webauthn_data_check(const struct webauthn_data *d, const struct webauthn_asked *a);
/* The client data (section 5.8.1): what was signed, and where. type: "webauthn.create" or "webauthn.get". ERR_FORMAT,
 * ERR_DENIED. */
int webauthn_client_check(struct slice json, const char *type, const struct webauthn_asked *a);

/* ---- keys and signatures ---- */

/* COSE's numbers (RFC 9053 section 2, RFC 8812 section 2). */
enum webauthn_alg { WEBAUTHN_ES256 = -7, WEBAUTHN_EDDSA = -8, WEBAUTHN_RS256 = -257 };

/* Of a COSE key, and that it is one. ERR_FORMAT, ERR_UNSUPPORTED, ERR_MEMORY. */
int webauthn_key_check(struct slice key, enum webauthn_alg *ret);
/* An attestation that the credential signed itself, its statement being CBOR. ERR_DENIED; or a shortage. */
int webauthn_self_verify(const struct webauthn_data *d, const struct webauthn_asked *a, enum webauthn_alg alg,
                         struct slice statement, const uint8_t client_hash[32]);
/* ERR_DENIED, ERR_MEMORY, and webauthn_key_check's. */
int webauthn_signature_verify(const struct webauthn_data *d, const struct webauthn_asked *a, struct slice key,
                              struct slice signature, const uint8_t client_hash[32]);

#endif
