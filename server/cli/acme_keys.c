/* Keys, requests for certificates, and the files that the server reads. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/certs.h"
#include "server/cli/acme.h"
#include "server/core/error.h"

int acme_key_read(const char *path, EVP_PKEY **ret)
{
    char *text;
    size_t len;
    int err = cli_read_file(path, CERTS_KEY_MAX, &text, &len);
    if (err)
        return err;
    BIO *pem = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *key = pem ? PEM_read_bio_PrivateKey(pem, NULL, NULL, (void *)"") : NULL;
    BIO_free(pem);
    sodium_memzero(text, len);
    free(text);
    ERR_clear_error();
    if (!key)
        return ERR_FORMAT;
    *ret = key;
    return OK;
}

/* Whoever owns the folder serves from it. */
static int write_owned(const char *path, const void *data, size_t len, unsigned mode)
{
    char folder[CLI_PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    int err = cli_write_file(path, data, len, mode);
    if (!err && geteuid() == 0 && stat(folder, &st) == 0 && lchown(path, st.st_uid, st.st_gid))
        err = ERR_IO;
    return err;
}

static int replace(const char *path, const void *data, size_t len, unsigned mode)
{
    char beside[CLI_PATH_MAX];
    if (snprintf(beside, sizeof(beside), "%s.next", path) >= (int)sizeof(beside))
        return ERR_LIMIT;
    unlink(beside); /* of a run that was cut short */
    int err = write_owned(beside, data, len, mode);
    if (!err && rename(beside, path))
        err = ERR_IO;
    return err;
}

int acme_key_make(const char *path, EVP_PKEY **ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = 0;
    if (key && pem && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL))
        n = BIO_get_mem_data(pem, &text);
    int err = n > 0 ? write_owned(path, text, (size_t)n, 0600) : ERR_CRYPTO;
    if (n > 0)
        sodium_memzero(text, (size_t)n);
    BIO_free(pem);
    if (err) {
        EVP_PKEY_free(key);
        return err;
    }
    *ret = key;
    return OK;
}

int acme_key_sha256(const EVP_PKEY *key, uint8_t out[32])
{
    uint8_t *der = NULL;
    unsigned len = 0;
    int n = i2d_PUBKEY(key, &der);
    bool done = n > 0 && EVP_Digest(der, (size_t)n, out, &len, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return done ? OK : ERR_CRYPTO;
}

int acme_request_write(const char *name, EVP_PKEY *key, const char *path)
{
    X509_REQ *r = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
    BIO *pem = BIO_new(BIO_s_mem());
    char alternatives[300], *text = NULL;
    snprintf(alternatives, sizeof(alternatives), "DNS:%s", name);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives);
    bool done = r && all && pem && e && sk_X509_EXTENSION_push(all, e);
    if (!done)
        X509_EXTENSION_free(e);
    done = done && X509_REQ_set_pubkey(r, key) && X509_REQ_add_extensions(r, all) &&
           X509_REQ_sign(r, key, EVP_sha256()) && PEM_write_bio_X509_REQ(pem, r);
    long n = done ? BIO_get_mem_data(pem, &text) : 0;
    unlink(path);
    int err = n > 0 ? write_owned(path, text, (size_t)n, 0600) : ERR_CRYPTO;
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    X509_REQ_free(r);
    BIO_free(pem);
    ERR_clear_error();
    return err;
}

/* The next key before the one that is in use; "" for a key that there is not yet. */
static int write_both_keys(const struct acme_pair *p, char **ret_next, size_t *ret_len)
{
    char *former = NULL, *both;
    size_t next_len, former_len = 0;
    int err = cli_read_file(p->next, CERTS_KEY_MAX, ret_next, &next_len);
    if (err)
        return err;
    *ret_len = next_len;
    err = cli_read_file(p->key, CERTS_KEY_MAX, &former, &former_len);
    if (err && err != ERR_NOT_FOUND)
        return err;
    both = malloc(next_len + former_len + 1);
    if (both) {
        memcpy(both, *ret_next, next_len);
        if (former_len)
            memcpy(both + next_len, former, former_len);
        err = replace(p->key, both, next_len + former_len, 0600);
        sodium_memzero(both, next_len + former_len);
    } else {
        err = ERR_MEMORY;
    }
    free(both);
    if (former)
        sodium_memzero(former, former_len);
    free(former);
    return err;
}

int acme_install(const struct acme_pair *p, const char *chain, size_t len, bool new_key)
{
    char *next = NULL;
    size_t next_len = 0;
    int err = new_key ? write_both_keys(p, &next, &next_len) : OK;
    if (!err)
        err = replace(p->chain, chain, len, 0644);
    if (!err && new_key)
        err = replace(p->key, next, next_len, 0600);
    if (!err && new_key && (unlink(p->next) || (unlink(p->seen) && errno != ENOENT)))
        err = ERR_IO;
    if (next)
        sodium_memzero(next, next_len);
    free(next);
    return err;
}
