#include "server/doctor/chain.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"

enum { CERTIFICATES_MAX = 16, DAY = 86400 };

struct chain {
    size_t n; /* at least 1 */
    X509 *v[CERTIFICATES_MAX];
};

void chain_free(struct chain *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        X509_free(c->v[i]);
    free(c);
}

/* Hands c out if there is a certificate in it. */
static int finish(struct chain *c, struct chain **ret)
{
    ERR_clear_error();
    if (c->n == 0) {
        chain_free(c);
        return ERR_FORMAT;
    }
    *ret = c;
    return OK;
}

int chain_read(const char *path, struct chain **ret)
{
    struct chain *c;
    BIO *file;

    errno = 0;
    file = BIO_new_file(path, "r");
    if (!file)
        return ERR_IO;
    c = calloc(1, sizeof(*c));
    while (c && c->n < CERTIFICATES_MAX && (c->v[c->n] = PEM_read_bio_X509(file, NULL, NULL, (void *)"")))
        c->n++;
    BIO_free(file);
    return c ? finish(c, ret) : ERR_MEMORY;
}

void chain_path(const char *dir, const struct config *c, char *out, size_t cap)
{
    const char *name = c->tls_chain;

    snprintf(out, cap, "%s/tls/%s.chain.pem", dir, c->domain);
    if (access(out, F_OK) != 0)
        snprintf(out, cap, "%s%s%s", name[0] == '/' ? "" : dir, name[0] == '/' ? "" : "/", name);
}

int chain_of_peer(struct ssl_st *ssl, struct chain **ret)
{
    const STACK_OF(X509) *shown = SSL_get_peer_cert_chain(ssl);
    struct chain *c = calloc(1, sizeof(*c));

    if (!c)
        return ERR_MEMORY;
    for (int i = 0; i < sk_X509_num(shown) && c->n < CERTIFICATES_MAX; i++) {
        X509 *x = sk_X509_value(shown, i);
        if (X509_up_ref(x))
            c->v[c->n++] = x;
    }
    return finish(c, ret);
}

int chain_key_sha256(const struct chain *c, uint8_t out[32])
{
    uint8_t *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->v[0]), &der);
    unsigned len = 0;
    bool done = n > 0 && EVP_Digest(der, (size_t)n, out, &len, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    return done ? OK : ERR_CRYPTO;
}

void chain_issuer(const struct chain *c, char out[CHAIN_ISSUER_CAP])
{
    if (X509_NAME_get_text_by_NID(X509_get_issuer_name(c->v[0]), NID_organizationName, out, CHAIN_ISSUER_CAP) < 0)
        out[0] = '\0';
}

/* The subject's CN names nothing (RFC 9525 section 2). */
bool chain_named(const struct chain *c, const char *host)
{
    return X509_check_host(c->v[0], host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

bool chain_valid_at(const struct chain *c, uint64_t now)
{
    time_t t = (time_t)now;

    return X509_cmp_time(X509_get0_notBefore(c->v[0]), &t) < 0 && X509_cmp_time(X509_get0_notAfter(c->v[0]), &t) > 0;
}

static uint64_t time_of(const ASN1_TIME *a)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool told = epoch && ASN1_TIME_diff(&days, &seconds, epoch, a) == 1;

    ASN1_TIME_free(epoch);
    return told && days >= 0 ? (uint64_t)days * DAY + (uint64_t)seconds : 0;
}

uint64_t chain_ends(const struct chain *c)
{
    return time_of(X509_get0_notAfter(c->v[0]));
}

bool chain_is_late(const struct chain *c, uint64_t now)
{
    uint64_t from = time_of(X509_get0_notBefore(c->v[0])), to = chain_ends(c);

    return X509_self_signed(c->v[0], 0) == 1 || to <= from || now >= to - (to - from) / 3;
}

/* ---- TLSA (RFC 6698 section 2.1) ---- */

static bool one_fits(X509 *x, uint8_t selector, uint8_t matching, struct slice data)
{
    static const EVP_MD *(*const digests[])(void) = {NULL, EVP_sha256, EVP_sha512};
    uint8_t *der = NULL, hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int n = selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : i2d_X509(x, &der);
    bool fits = false;

    if (n > 0 && matching == 0)
        fits = (size_t)n == data.len && memcmp(der, data.data, data.len) == 0;
    else if (n > 0 && EVP_Digest(der, (size_t)n, hash, &len, digests[matching](), NULL) == 1)
        fits = len == data.len && memcmp(hash, data.data, data.len) == 0;
    OPENSSL_free(der);
    return fits;
}

bool chain_fits(const struct chain *c, uint8_t usage, uint8_t selector, uint8_t matching, struct slice data)
{
    const size_t first = usage == 2 ? 1 : 0, end = usage == 3 ? 1 : usage == 2 ? c->n : 0;

    if (selector > 1 || matching > 2)
        return false;
    for (size_t i = first; i < end; i++)
        if (one_fits(c->v[i], selector, matching, data))
            return true;
    return false;
}

/* ---- as clients see it ---- */

/* The words of libssl's verification; NULL: it passes. */
static const char *verify_in(X509_STORE *store, const struct chain *c, const char *host, uint64_t now)
{
    X509_STORE_CTX *x = X509_STORE_CTX_new();
    STACK_OF(X509) *rest = sk_X509_new_null();
    const char *why = "out of memory";
    X509_VERIFY_PARAM *p;

    for (size_t i = 1; rest && i < c->n; i++)
        (void)sk_X509_push(rest, c->v[i]);
    if (x && rest && X509_STORE_CTX_init(x, store, c->v[0], rest) == 1 &&
        X509_STORE_CTX_set_default(x, "ssl_server") == 1) {
        p = X509_STORE_CTX_get0_param(x);
        X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        X509_VERIFY_PARAM_set_time(p, (time_t)now);
        if (X509_VERIFY_PARAM_set1_host(p, host, 0) == 1)
            why = X509_verify_cert(x) == 1 ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(x));
    }
    sk_X509_free(rest);
    X509_STORE_CTX_free(x);
    ERR_clear_error();
    return why;
}

int chain_verify(const struct chain *c, const char *roots, const char *host, uint64_t now, const char **ret_why)
{
    X509_STORE *store = X509_STORE_new();
    const char *why;

    if (!store || X509_STORE_load_file(store, roots) != 1) {
        X509_STORE_free(store);
        ERR_clear_error();
        return ERR_IO;
    }
    why = verify_in(store, c, host, now);
    X509_STORE_free(store);
    if (!why)
        return OK;
    *ret_why = why;
    return ERR_CRYPTO;
}

int chain_write(const struct chain *c, char **ret, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text, *copy = NULL;
    bool done = bio != NULL;
    long n = 0;

    for (size_t i = 0; done && i < c->n; i++)
        done = PEM_write_bio_X509(bio, c->v[i]) == 1;
    if (done && (n = BIO_get_mem_data(bio, &text)) > 0 && (copy = malloc((size_t)n)))
        memcpy(copy, text, (size_t)n);
    BIO_free(bio);
    if (!copy)
        return ERR_MEMORY;
    *ret = copy;
    *ret_len = (size_t)n;
    return OK;
}
