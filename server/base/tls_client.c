/* TLS as a client. Two contexts for the life of the process: one lets libssl verify a chain (DANE, roots), the other
 * has a function of ours say yes or no to the certificate alone. See tls_client.h. */
#include "server/base/tls_client.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/tls_impl.h"

enum { FINGERPRINT_SIZE = 32 };

struct tls_roots {
    X509_STORE *store;
    unsigned refs;
};

/* What one connection asks for; hangs at its SSL. */
struct asked {
    enum tls_policy policy;
    uint8_t fingerprint[FINGERPRINT_SIZE];
};

static SSL_CTX *contexts[2]; /* [true]: libssl verifies */
static int asked_index = -1;

/* ---- roots ---- */

static size_t add_roots(X509_STORE *store, BIO *bio)
{
    STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    size_t n = 0;

    for (int i = 0; i < sk_X509_INFO_num(all); i++) {
        X509 *x = sk_X509_INFO_value(all, i)->x509;
        n += x && X509_STORE_add_cert(store, x) == 1;
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    return n;
}

/* A damaged certificate ends what PEM_X509_INFO_read_bio reads, so each is given to it by itself. */
static size_t add_each(X509_STORE *store, const char *pem, size_t len)
{
    static const char tail[] = "-----END CERTIFICATE-----";
    const char *end;
    size_t n = 0;

    while ((end = memmem(pem, len, tail, sizeof(tail) - 1))) {
        size_t one = (size_t)(end - pem) + sizeof(tail) - 1;
        BIO *bio = one <= INT_MAX ? BIO_new_mem_buf(pem, (int)one) : NULL;

        if (bio)
            n += add_roots(store, bio);
        BIO_free(bio);
        pem += one;
        len -= one;
    }
    return n;
}

int tls_roots_create(const void *pem, size_t len, struct tls_roots **ret)
{
    struct tls_roots *r = calloc(1, sizeof(*r));
    int err = ERR_MEMORY;

    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (r && (r->store = X509_STORE_new()))
        err = add_each(r->store, pem, len) ? OK : ERR_FORMAT;
    ERR_clear_error();
    if (err != OK) {
        if (r)
            X509_STORE_free(r->store);
        free(r);
        return err;
    }
    r->refs = 1;
    *ret = r;
    return OK;
}

void tls_roots_unref(struct tls_roots *r)
{
    if (!r || --r->refs > 0)
        return;
    X509_STORE_free(r->store);
    free(r);
}

void tls_roots_use(struct tls_roots *r, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, r->store);
}

/* ---- contexts ---- */

static void asked_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    free(ptr);
}

/* RFC 5280 section 4.1.2.7: the hash is of the whole SubjectPublicKeyInfo, as TLSA's selector 1 has it. */
static bool key_fits(X509 *x, const uint8_t want[FINGERPRINT_SIZE])
{
    uint8_t hash[EVP_MAX_MD_SIZE], *spki = NULL;
    unsigned n = 0;
    int len = x ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki) : -1;
    bool fits = len > 0 && EVP_Digest(spki, (size_t)len, hash, &n, EVP_sha256(), NULL) == 1 && n == FINGERPRINT_SIZE &&
                CRYPTO_memcmp(hash, want, FINGERPRINT_SIZE) == 0;

    OPENSSL_free(spki);
    return fits;
}

/* In place of libssl's verification. */
static int judge(X509_STORE_CTX *s, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(s, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct asked *a = SSL_get_ex_data(ssl, asked_index);

    if (a->policy == TLS_MAY || key_fits(X509_STORE_CTX_get0_cert(s), a->fingerprint))
        return 1;
    X509_STORE_CTX_set_error(s, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

static SSL_CTX *context_new(bool verifies)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx)
        return NULL;
    tls_set_common(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (!verifies)
        SSL_CTX_set_cert_verify_callback(ctx, judge, NULL);
    if (SSL_CTX_set_cipher_list(ctx, tls_ciphers(TLS_SMTP)) != 1 || (verifies && SSL_CTX_dane_enable(ctx) != 1)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *context(bool verifies)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* no file is opened, here or later */
    if (asked_index < 0)
        asked_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, asked_free);
    if (asked_index >= 0 && !contexts[verifies])
        contexts[verifies] = context_new(verifies);
    return asked_index < 0 ? NULL : contexts[verifies];
}

/* ---- what is asked of a certificate ---- */

/* As libssl takes them, "" would switch the look at names off, and ".example.org" stand for each name below it. */
static bool names_valid(const struct tls_verify *v)
{
    for (size_t i = 0; i < TLS_NAMES_MAX && v->names[i]; i++)
        if (v->names[i][0] == '\0' || v->names[i][0] == '.')
            return false;
    return v->names[0];
}

static int set_names(SSL *ssl, const struct tls_verify *v)
{
    if (SSL_set1_host(ssl, v->names[0]) != 1)
        return ERR_MEMORY;
    for (size_t i = 1; i < TLS_NAMES_MAX && v->names[i]; i++)
        if (SSL_add1_host(ssl, v->names[i]) != 1)
            return ERR_MEMORY;
    return OK;
}

/* RFC 8461 section 4.1, RFC 9525 section 6.3: names are those of the extension alone. */
static int ask_chain(SSL *ssl, const struct tls_verify *v)
{
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* Without roots nothing is trusted. */
    if (v->roots && SSL_set1_verify_cert_store(ssl, v->roots->store) != 1)
        return ERR_MEMORY;
    return set_names(ssl, v);
}

static int ask_dane(SSL *ssl, const struct tls_verify *v, enum tls_client_fault *ret_fault)
{
    size_t usable = 0;
    int added;

    if (SSL_dane_enable(ssl, v->names[0]) != 1 || set_names(ssl, v) != OK)
        return ERR_MEMORY;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* RFC 7672 section 3.1.1: with usage 3 neither names nor dates count. */
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < v->ntlsa && i < TLS_TLSA_MAX; i++) {
        const struct tls_tlsa *t = &v->tlsa[i];

        if (t->usage != 2 && t->usage != 3) /* RFC 7672 section 3.1.3 */
            continue;
        added = SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, t->data, t->len);
        if (added < 0)
            return ERR_MEMORY;
        usable += added > 0;
    }
    if (usable)
        return OK;
    *ret_fault = TLS_CLIENT_FAULT_TLSA;
    return ERR_UNSUPPORTED;
}

static int ask(SSL *ssl, const struct tls_verify *v, enum tls_client_fault *ret_fault)
{
    struct asked *a = calloc(1, sizeof(*a));

    if (!a || SSL_set_ex_data(ssl, asked_index, a) != 1) {
        free(a);
        return ERR_MEMORY;
    }
    a->policy = v->policy;
    switch (v->policy) {
    case TLS_MAY: return OK;
    case TLS_DANE: return ask_dane(ssl, v, ret_fault);
    case TLS_VERIFY:
        if (v->look) /* a client verifies all the same, and notes what comes of it */
            SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return ask_chain(ssl, v);
    case TLS_FINGERPRINT: memcpy(a->fingerprint, v->fingerprint, FINGERPRINT_SIZE); return OK;
    }
    return ERR_UNSUPPORTED;
}

int tls_client_create(const struct tls_verify *v, int fd, SSL **ret, enum tls_client_fault *ret_fault)
{
    bool verifies = v->policy == TLS_DANE || v->policy == TLS_VERIFY;
    SSL_CTX *ctx;
    SSL *ssl;
    int err = ERR_MEMORY;

    bug_if(v->policy == TLS_FINGERPRINT && !v->fingerprint);
    if (verifies && !names_valid(v))
        return ERR_FORMAT;
    ctx = context(verifies);
    ssl = ctx ? SSL_new(ctx) : NULL;
    if (ssl && SSL_set_fd(ssl, fd) == 1 && (v->sni[0] == '\0' || SSL_set_tlsext_host_name(ssl, v->sni) == 1)) {
        SSL_set_connect_state(ssl);
        err = ask(ssl, v, ret_fault);
    }
    ERR_clear_error();
    if (err != OK)
        SSL_free(ssl);
    else
        *ret = ssl;
    return err;
}

/* ---- why it failed ---- */

enum tls_client_fault tls_client_fault_of(const SSL *ssl)
{
    switch (SSL_get_verify_result(ssl)) {
    case X509_V_OK: return SSL_is_init_finished(ssl) ? TLS_CLIENT_FAULT_NONE : TLS_CLIENT_FAULT_HANDSHAKE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_CLIENT_FAULT_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_CLIENT_FAULT_EXPIRED;
    default: return TLS_CLIENT_FAULT_UNTRUSTED;
    }
}
