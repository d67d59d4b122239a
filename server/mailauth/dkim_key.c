/* Signing keys: made, kept as PKCS #8, and said as a DNS record. See dkim.h. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>

#include "server/core/error.h"
#include "server/mailauth/dkim_impl.h"

enum { RSA_BITS = 2048, PUBLIC_MAX = 320 /* octets of its public half, DER */ };

static const int types[] = {[DKIM_RSA_SHA256] = EVP_PKEY_RSA, [DKIM_ED25519_SHA256] = EVP_PKEY_ED25519};

static bool known(enum dkim_algorithm a)
{
    return a == DKIM_RSA_SHA256 || a == DKIM_ED25519_SHA256;
}

/* Verifiers refuse RSA keys under 1024 bits, and DNS has no room for those over 2048 in one string (RFC 8301 section
 * 3.2). */
static bool fits(enum dkim_algorithm a, const EVP_PKEY *pkey)
{
    return EVP_PKEY_base_id(pkey) == types[a] && (a != DKIM_RSA_SHA256 || EVP_PKEY_bits(pkey) == RSA_BITS);
}

int dkim_key_open(enum dkim_algorithm a, struct slice der, struct dkim_key **ret)
{
    const uint8_t *at = der.data;
    PKCS8_PRIV_KEY_INFO *info = der.len <= DKIM_KEY_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len) : NULL;
    EVP_PKEY *pkey = info && at == der.data + der.len ? EVP_PKCS82PKEY(info) : NULL;
    struct dkim_key *k;

    PKCS8_PRIV_KEY_INFO_free(info);
    if (!pkey || !known(a) || !fits(a, pkey)) {
        EVP_PKEY_free(pkey);
        return ERR_FORMAT;
    }
    k = calloc(1, sizeof(*k));
    if (!k) {
        EVP_PKEY_free(pkey);
        return ERR_MEMORY;
    }
    *k = (struct dkim_key){a, pkey};
    *ret = k;
    return OK;
}

static EVP_PKEY *make(enum dkim_algorithm a)
{
    if (a == DKIM_RSA_SHA256)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

int dkim_key_make(enum dkim_algorithm a, uint8_t *der, size_t *ret_len)
{
    EVP_PKEY *pkey = known(a) ? make(a) : NULL;
    PKCS8_PRIV_KEY_INFO *info = pkey ? EVP_PKEY2PKCS8(pkey) : NULL;
    uint8_t *at = der;
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1, err = ERR_CRYPTO;

    if (len > 0 && len <= DKIM_KEY_MAX && i2d_PKCS8_PRIV_KEY_INFO(info, &at) == len) {
        *ret_len = (size_t)len;
        err = OK;
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pkey);
    return err;
}

void dkim_key_free(struct dkim_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k)
{
    return k->algorithm;
}

/* RSA: a SubjectPublicKeyInfo (RFC 6376 section 3.6.1); Ed25519: the octets alone (RFC 8463 section 4.2). */
static size_t public_octets(const struct dkim_key *k, uint8_t out[PUBLIC_MAX])
{
    size_t len = PUBLIC_MAX;
    uint8_t *at = out;
    int n;

    if (k->algorithm == DKIM_ED25519_SHA256)
        return EVP_PKEY_get_raw_public_key(k->pkey, out, &len) == 1 ? len : 0;
    n = i2d_PUBKEY(k->pkey, NULL);
    return n > 0 && n <= PUBLIC_MAX ? (size_t)i2d_PUBKEY(k->pkey, &at) : 0;
}

int dkim_key_txt(const struct dkim_key *k, char out[DKIM_TXT_MAX])
{
    uint8_t octets[PUBLIC_MAX];
    char text[PUBLIC_MAX * 4 / 3 + 8];
    size_t len = public_octets(k, octets);

    if (len == 0)
        return ERR_CRYPTO;
    EVP_EncodeBlock((uint8_t *)text, octets, (int)len);
    snprintf(out, DKIM_TXT_MAX, "v=DKIM1; k=%s; p=%s", k->algorithm == DKIM_RSA_SHA256 ? "rsa" : "ed25519", text);
    return OK;
}
