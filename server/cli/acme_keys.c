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
#include "server/doctor/chain.h"

static void wipe(char *text, size_t len)
{
    sodium_memzero(text, len);
    free(text);
}

static EVP_PKEY *next_key(BIO *pem)
{
    EVP_PKEY *key = pem ? PEM_read_bio_PrivateKey(pem, NULL, NULL, (void *)"") : NULL;
    ERR_clear_error();
    return key;
}

int acme_key_read(const char *path, EVP_PKEY **ret)
{
    char *text;
    size_t len;
    int err = cli_read_file(path, CERTS_KEY_MAX, &text, &len);
    if (err)
        return err;
    BIO *pem = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *key = next_key(pem);
    BIO_free(pem);
    wipe(text, len);
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

static bool put_key(BIO *pem, EVP_PKEY *key)
{
    return PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1;
}

/* Its owner may read the file from the moment on that it has this name. */
static int write_bio(BIO *pem, bool done, const char *path)
{
    char *text = NULL;
    long n = done ? BIO_get_mem_data(pem, &text) : 0;
    int err = n > 0 ? replace(path, text, (size_t)n, 0600) : ERR_CRYPTO;
    BIO_free(pem);
    return err;
}

int acme_key_make(const char *path, EVP_PKEY **ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *pem = BIO_new(BIO_s_secmem());
    int err = write_bio(pem, key && pem && put_key(pem, key), path);
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

/* ---- what the server reads ---- */

static bool chain_is_for(const struct chain *c, const EVP_PKEY *key)
{
    uint8_t of_chain[32], of_key[32];
    return chain_key_sha256(c, of_chain) == OK && acme_key_sha256(key, of_key) == OK &&
           memcmp(of_chain, of_key, sizeof(of_key)) == 0;
}

int acme_key_in_use(const struct acme_pair *p, EVP_PKEY **ret)
{
    struct chain *c;
    char *text;
    size_t len;
    int err = cli_read_file(p->key, CERTS_KEY_MAX, &text, &len);
    if (err)
        return err;
    BIO *pem = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *first = next_key(pem), *key = first;
    if (first && chain_read(p->chain, &c) == OK) {
        while (key && !chain_is_for(c, key)) {
            if (key != first)
                EVP_PKEY_free(key);
            key = next_key(pem);
        }
        chain_free(c);
    }
    BIO_free(pem);
    wipe(text, len);
    if (!first)
        return ERR_FORMAT;
    *ret = key ? key : first;
    if (*ret != first)
        EVP_PKEY_free(first);
    return OK;
}

/* The key's file: the next key, and behind it the one in use, NULL: none. */
static int write_keys(const struct acme_pair *p, EVP_PKEY *next, EVP_PKEY *in_use)
{
    BIO *pem = BIO_new(BIO_s_secmem());
    bool done = pem && put_key(pem, next) && (!in_use || put_key(pem, in_use));
    return write_bio(pem, done, p->key);
}

static int write_both_keys(const struct acme_pair *p, EVP_PKEY *next)
{
    EVP_PKEY *in_use = NULL;
    int err = acme_key_in_use(p, &in_use);
    if (!err || err == ERR_NOT_FOUND)
        err = write_keys(p, next, in_use);
    EVP_PKEY_free(in_use);
    return err;
}

/* The next key goes last: as long as it is there, the rest is made up for. */
static int forget_next(const struct acme_pair *p)
{
    return (unlink(p->seen) && errno != ENOENT) || unlink(p->next) ? ERR_IO : OK;
}

int acme_install(const struct acme_pair *p, const char *chain, size_t len, EVP_PKEY *next)
{
    int err = next ? write_both_keys(p, next) : OK;
    if (!err)
        err = replace(p->chain, chain, len, 0644);
    if (!err && next)
        err = write_keys(p, next, NULL);
    return err || !next ? err : forget_next(p);
}

bool acme_unfinished(const struct acme_pair *p)
{
    struct chain *c;
    EVP_PKEY *next;
    if (acme_key_read(p->next, &next))
        return false;
    bool is = chain_read(p->chain, &c) == OK;
    if (is) {
        is = chain_is_for(c, next);
        chain_free(c);
    }
    EVP_PKEY_free(next);
    return is;
}

int acme_finish(const struct acme_pair *p)
{
    EVP_PKEY *next;
    int err = acme_key_read(p->next, &next);
    if (err)
        return err;
    err = write_keys(p, next, NULL);
    EVP_PKEY_free(next);
    return err ? err : forget_next(p);
}
