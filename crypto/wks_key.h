/* The key pair of a domain's submission address, key-submission@DOMAIN, to which people encrypt certificates that they
 * send in by mail (draft-koch-openpgp-webkey-service section 4). It is derived from the store key's root by way of
 * RECORD_WKS and of the domain's name, so it is always the same, is made for each domain the moment it is hosted, and
 * nothing of it is kept anywhere. A v4 certificate that GnuPG 2.2 encrypts to: Ed25519, and ECDH on Curve25519. */
#ifndef CRYPTO_WKS_KEY_H
#define CRYPTO_WKS_KEY_H

#include "crypto/pgp_decrypt.h"
#include "crypto/record.h"
#include "crypto/wkd.h"

enum { WKS_CERT_MAX = 1024 };

/* domain: as the store spells it, at most 255 octets. ret_key: may be NULL; it is the caller's to wipe. ERR_CRYPTO,
 * ERR_MEMORY. */
int wks_key_make(const struct record_keys *k, const char *domain, uint8_t cert[WKS_CERT_MAX], size_t *ret_len,
                 struct pgp_decrypt_key *ret_key);

#endif
