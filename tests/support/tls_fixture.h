/* A throw-away certificate and a TLS client for the tests of connections. */
#ifndef TESTS_SUPPORT_TLS_FIXTURE_H
#define TESTS_SUPPORT_TLS_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct fixture_pem {
    char chain[4096], key[4096];
    size_t chain_len, key_len;
};

void fixture_make(struct fixture_pem *f);                     /* P-256 */
void fixture_make_with(struct fixture_pem *f, EVP_PKEY *key); /* takes the key */

SSL_CTX *fixture_client_ctx(int max_version);

#endif
