#include "tests/support/tls_fixture.h"

static size_t fixture_take(BIO *b, char *out, size_t cap)
{
    char *data;
    long n = BIO_get_mem_data(b, &data);

    if (n <= 0 || (size_t)n > cap)
        abort();
    memcpy(out, data, (size_t)n);
    BIO_free(b);
    return (size_t)n;
}

void fixture_make(struct fixture_pem *f)
{
    fixture_make_with(f, EVP_EC_gen("P-256"));
}

void fixture_make_with(struct fixture_pem *f, EVP_PKEY *key)
{
    X509 *x = X509_new();
    BIO *chain = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    if (!X509_sign(x, key, EVP_sha256()))
        abort();
    PEM_write_bio_X509(chain, x);
    PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
    f->chain_len = fixture_take(chain, f->chain, sizeof(f->chain));
    f->key_len = fixture_take(pem, f->key, sizeof(f->key));
    X509_free(x);
    EVP_PKEY_free(key);
}

SSL_CTX *fixture_client_ctx(int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    if (max_version)
        SSL_CTX_set_max_proto_version(ctx, max_version);
    return ctx;
}
