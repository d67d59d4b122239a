/* TLS contexts from PEM bytes, tuned for many idle connections: record buffers are given back while a connection is
 * quiet, and nothing is kept for resumption. Tickets are off: several processes with a key each could rarely honour
 * them, and without them no key outlives its connection. */
#include "server/base/tls.h"

#include <malloc.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/bug.h"
#include "server/base/tls_impl.h"
#include "server/core/wipe_heap.h"

struct tls_ctx {
    SSL_CTX *ssl;
    unsigned refs;
    struct certs *certs;
    struct shown *shown; /* of each pair, empty until it was asked for */
};

/* TLS 1.3 has AEAD alone. The order is ours: CBC only where the client has nothing else. Names of ALPN are IANA's, but
 * for SMTP, which has none: these are what clients send. */
static const struct {
    const char *ciphers, *alpn[3];
} uses[TLS_USES] = {
    [TLS_SMTP] = {"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA256:ECDHE+AES+SHA384:ECDHE+AES+SHA1", {"smtp", "esmtp"}},
    [TLS_IMAP] = {"ECDHE+AESGCM:ECDHE+CHACHA20", {"imap"}},
    /* To see that the default can be used: server/web has a TLS of its own. */
    [TLS_WEB] = {"ECDHE+AESGCM:ECDHE+CHACHA20", {"http/1.1"}},
};

/* An encrypted key must not ask on a terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    return -1;
}

/* What the operator can mend of a certificate that OpenSSL refuses. */
static const char *refused(const char *otherwise)
{
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
        return "a certificate of the chain has too short a key: get one with RSA of 2048 bits at least, or a curve";
    case SSL_R_CA_MD_TOO_WEAK: return "a certificate of the chain is signed with too weak a hash: get a new one";
    default: return otherwise;
    }
}

/* What is shown to a client. */
struct shown {
    X509 *leaf;
    STACK_OF(X509) * rest;
    EVP_PKEY *key;
};

static void shown_free(struct shown *s)
{
    X509_free(s->leaf);
    sk_X509_pop_free(s->rest, X509_free);
    EVP_PKEY_free(s->key);
    *s = (struct shown){NULL};
}

static const char *read_chain(BIO *pem, struct shown *s)
{
    unsigned long e;
    X509 *x;

    s->leaf = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL);
    if (!s->leaf)
        return "the chain has no certificate in PEM";
    s->rest = sk_X509_new_null();
    while (s->rest && (x = PEM_read_bio_X509(pem, NULL, no_password, NULL)))
        if (!sk_X509_push(s->rest, x)) {
            X509_free(x);
            return "out of memory";
        }
    e = ERR_peek_last_error();
    if (!s->rest || ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
        return "a certificate of the chain is damaged";
    ERR_clear_error();
    return NULL;
}

static const char *read_key(BIO *pem, struct shown *s)
{
    bool fits;

    s->key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
    fits = s->key && X509_check_private_key(s->leaf, s->key) == 1;
    ERR_clear_error();
    return fits     ? NULL
           : s->key ? "the key does not belong to the first certificate of the chain"
                    : "the key is not an unencrypted private key in PEM";
}

/* The caller frees s in any case. */
static const char *shown_read(struct cert_pair p, struct shown *s)
{
    BIO *chain = BIO_new_mem_buf(p.chain.len ? (const void *)p.chain.data : "", (int)p.chain.len);
    BIO *key = BIO_new_mem_buf(p.key.len ? (const void *)p.key.data : "", (int)p.key.len);
    const char *why = "out of memory";

    ERR_clear_error();
    if (chain && key && !(why = read_chain(chain, s)))
        why = read_key(key, s);
    BIO_free(chain);
    BIO_free(key);
    return why;
}

static const char *show_by_default(SSL_CTX *ssl, const struct shown *s)
{
    if (SSL_CTX_use_certificate(ssl, s->leaf) != 1)
        return refused("the first certificate of the chain cannot be used");
    for (int i = 0; i < sk_X509_num(s->rest); i++)
        if (SSL_CTX_add1_chain_cert(ssl, sk_X509_value(s->rest, i)) != 1)
            return refused("a certificate of the chain cannot be used");
    return SSL_CTX_use_PrivateKey(ssl, s->key) == 1 ? NULL : "the key cannot be used";
}

/* One that offers protocols and not ours was sent here by somebody who means another server, such as a browser with a
 * request that a page made up: RFC 7301 section 3.2. list: a length and a name, again and again. */
static int choose_protocol(SSL *s, const unsigned char **ret, unsigned char *ret_len, const unsigned char *list,
                           unsigned len, void *alpn)
{
    for (unsigned at = 0; at < len; at += 1u + list[at])
        for (const char *const *own = alpn; *own; own++)
            if (list[at] == strlen(*own) && memcmp(list + at + 1, *own, list[at]) == 0) {
                *ret = list + at + 1;
                *ret_len = list[at];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void tls_set_common(SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION); /* RFC 8996, RFC 8997 */
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1); /* a record's header and body in one read */
}

const char *tls_ciphers(enum tls_use use)
{
    return uses[use].ciphers;
}

static SSL_CTX *context_new(enum tls_use use)
{
    SSL_CTX *ssl;

    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* no file is opened, here or later */
    ssl = SSL_CTX_new(TLS_server_method());
    if (!ssl)
        return NULL;
    tls_set_common(ssl);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    if (SSL_CTX_set_cipher_list(ssl, uses[use].ciphers) != 1) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, (void *)uses[use].alpn);
    return ssl;
}

/* With one context for all that are tried: making one takes ten times as long as the rest. */
int tls_pair_check(struct cert_pair pair, const char **ret_why)
{
    static SSL_CTX *ssl;
    struct shown s = {NULL};
    const char *why;

    if (!ssl && !(ssl = context_new(TLS_SMTP)))
        return ERR_MEMORY;
    SSL_CTX_clear_chain_certs(ssl);
    why = shown_read(pair, &s);
    if (!why)
        why = show_by_default(ssl, &s);
    shown_free(&s);
    ERR_clear_error();
    if (why && ret_why)
        *ret_why = why;
    return why ? ERR_FORMAT : OK;
}

/* ---- certificates by name ---- */

/* Read once. NULL: it cannot be, which master has seen to. */
static const struct shown *shown_of(struct tls_ctx *ctx, size_t pair)
{
    struct shown *s = &ctx->shown[pair];

    if (!s->leaf && shown_read(certs_pair(ctx->certs, pair), s))
        shown_free(s);
    return s->leaf ? s : NULL;
}

/* A name that no pair has is no error: a sender goes by the name of its MX record, and would send in the clear else
 * (RFC 6066 section 3, RFC 7672 section 8.1). What was there goes first, or a client that knows both kinds of keys
 * would get the default's. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    struct tls_ctx *ctx = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct shown *s;
    size_t pair;

    if (!name || !certs_find(ctx->certs, name, &pair))
        return SSL_TLSEXT_ERR_NOACK;
    if (pair == 0)
        return SSL_TLSEXT_ERR_OK;
    s = shown_of(ctx, pair);
    if (s) {
        SSL_certs_clear(ssl);
        if (SSL_use_cert_and_key(ssl, s->leaf, s->key, s->rest, 1) == 1)
            return SSL_TLSEXT_ERR_OK;
    }
    ERR_clear_error();
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct tls_ctx *ctx_new(struct certs *certs)
{
    struct tls_ctx *ctx = calloc(1, sizeof(*ctx));

    if (!ctx || !(ctx->shown = calloc(certs_pairs(certs), sizeof(*ctx->shown)))) {
        free(ctx);
        return NULL;
    }
    ctx->refs = 1;
    ctx->certs = certs;
    certs_ref(certs);
    return ctx;
}

int tls_ctx_create_by_name(enum tls_use use, struct certs *certs, struct tls_ctx **ret_ctx, const char **ret_why)
{
    struct tls_ctx *ctx = certs_pairs(certs) ? ctx_new(certs) : NULL;
    const char *why;

    if (!ctx)
        return certs_pairs(certs) ? ERR_MEMORY : ERR_FORMAT;
    ctx->ssl = context_new(use);
    if (!ctx->ssl) {
        tls_ctx_unref(ctx);
        if (ret_why)
            *ret_why = "the TLS library did not start";
        return ERR_CRYPTO;
    }
    why = shown_read(certs_pair(certs, 0), &ctx->shown[0]);
    if (!why)
        why = show_by_default(ctx->ssl, &ctx->shown[0]);
    ERR_clear_error();
    if (why) {
        tls_ctx_unref(ctx);
        if (ret_why)
            *ret_why = why;
        return ERR_FORMAT;
    }
    SSL_CTX_set_tlsext_servername_callback(ctx->ssl, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx->ssl, ctx);
    *ret_ctx = ctx;
    return OK;
}

int tls_ctx_create(enum tls_use use, const void *chain_pem, size_t chain_len, const void *key_pem, size_t key_len,
                   struct tls_ctx **ret_ctx, const char **ret_why)
{
    struct certs *one;
    int err = certs_create(&one);

    if (err != OK)
        return err;
    err = certs_add(one, NULL, 0, slice_of(chain_pem, chain_len), slice_of(key_pem, key_len));
    if (err == OK)
        err = tls_ctx_create_by_name(use, one, ret_ctx, ret_why);
    else if (ret_why)
        *ret_why = err == ERR_LIMIT ? "the chain or the key is too large" : "the chain or the key is empty";
    certs_unref(one);
    return err;
}

void tls_ctx_ref(struct tls_ctx *ctx)
{
    ctx->refs++;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
    if (!ctx || --ctx->refs > 0)
        return;
    for (size_t i = 0; i < certs_pairs(ctx->certs); i++)
        shown_free(&ctx->shown[i]);
    free(ctx->shown);
    SSL_CTX_free(ctx->ssl);
    certs_unref(ctx->certs);
    free(ctx);
}

SSL *tls_server(struct tls_ctx *ctx, int fd)
{
    SSL *s = SSL_new(ctx->ssl);

    if (s && SSL_set_fd(s, fd) != 1) {
        SSL_free(s);
        s = NULL;
    }
    if (s)
        SSL_set_accept_state(s);
    ERR_clear_error();
    return s;
}

static const struct {
    int reason;
    enum tls_fault fault;
} faults[] = {
    {SSL_R_HTTP_REQUEST, TLS_FAULT_NO_TLS},
    {SSL_R_HTTPS_PROXY_REQUEST, TLS_FAULT_NO_TLS},
    {SSL_R_WRONG_VERSION_NUMBER, TLS_FAULT_NO_TLS}, /* of the record: such as a command in the clear */
    {SSL_R_PACKET_LENGTH_TOO_LONG, TLS_FAULT_NO_TLS},
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_FAULT_VERSION},
    {SSL_R_VERSION_TOO_LOW, TLS_FAULT_VERSION},
    {SSL_R_NO_SHARED_CIPHER, TLS_FAULT_CIPHER},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TLS_FAULT_CIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_FAULT_CIPHER},
    {SSL_R_NO_SHARED_GROUPS, TLS_FAULT_CIPHER},
    {SSL_R_NO_APPLICATION_PROTOCOL, TLS_FAULT_ALPN},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_FAULT_ENDED},
};

enum tls_fault tls_fault_of_last(void)
{
    int reason = ERR_GET_REASON(ERR_peek_error());

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (faults[i].reason == reason)
            return faults[i].fault;
    return reason > SSL_AD_REASON_OFFSET ? TLS_FAULT_ALERT : TLS_FAULT_OTHER;
}

static void wiping_free(void *p, const char *file, int line)
{
    if (p && !wipe_heap_active())
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *plain_malloc(size_t n, const char *file, int line)
{
    return n ? malloc(n) : NULL;
}

static void *wiping_realloc(void *p, size_t n, const char *file, int line)
{
    size_t old;
    void *q;

    if (!p)
        return plain_malloc(n, file, line);
    if (n == 0) {
        wiping_free(p, file, line);
        return NULL;
    }
    old = malloc_usable_size(p);
    q = malloc(n);
    if (!q)
        return NULL;
    memcpy(q, p, old < n ? old : n);
    wiping_free(p, file, line);
    return q;
}

void tls_wipe_on_free(void)
{
    /* Refused once OpenSSL has allocated anything: then this call comes too late in the program. */
    bug_if(CRYPTO_set_mem_functions(plain_malloc, wiping_realloc, wiping_free) != 1);
}
