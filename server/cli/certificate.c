/* A self-signed P-256 certificate: enough to start with; an ACME client replaces the two files later. */
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

enum { CERTIFICATE_DAYS = 3650 };

static int add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static int write_pem(BIO *bio, const char *path, unsigned mode)
{
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    int err = n > 0 ? cli_write_file(path, text, (size_t)n, mode) : ERR_CRYPTO;
    if (n > 0)
        sodium_memzero(text, (size_t)n);
    return err;
}

int cli_make_tls(const char *domain, const char *chain_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    char names[600];
    snprintf(names, sizeof(names), "DNS:%s,DNS:localhost,IP:127.0.0.1", domain);
    unsigned char serial[8];
    randombytes_buf(serial, sizeof(serial));
    serial[0] &= 0x7f;
    BIGNUM *bn = BN_bin2bn(serial, sizeof(serial), NULL);
    int ok = key && x && bn && X509_set_version(x, X509_VERSION_3) &&
             BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
             X509_gmtime_adj(X509_getm_notAfter(x), (long)CERTIFICATE_DAYS * 86400) && X509_set_pubkey(x, key) &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)domain,
                                        -1, -1, 0) &&
             X509_set_issuer_name(x, X509_get_subject_name(x)) && add_extension(x, NID_subject_alt_name, names) &&
             add_extension(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") && X509_sign(x, key, EVP_sha256());
    BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
    ok = ok && PEM_write_bio_X509(chain, x) && PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
    int err = ok ? OK : ERR_CRYPTO;
    /* The chain last: where it stands, its key does. */
    if (!err && !access(key_path, F_OK) && unlink(key_path))
        err = ERR_IO;
    if (!err)
        err = write_pem(secret, key_path, 0600);
    if (!err)
        err = write_pem(chain, chain_path, 0644);
    BIO_free(chain);
    BIO_free(secret);
    BN_free(bn);
    X509_free(x);
    EVP_PKEY_free(key);
    return err;
}
