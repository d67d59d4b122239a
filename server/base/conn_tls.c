/* How a connection gets TLS, from either side, and what can be said of it then. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/base/conn_impl.h"
#include "server/base/event.h"
#include "server/base/tls_impl.h"

static bool may_start(const struct conn *c)
{
    return c->state == PLAIN && !c->starting && !c->finishing;
}

/* What has been written so far goes out in the clear; what has come is forgotten. */
static void start(struct conn *c)
{
    buf_free(&c->in);
    c->offer = false;
    c->starting = true;
    c->plain_left = c->out.len;
    if (!c->blocked)
        conn_work_later(c);
}

int conn_start_tls(struct conn *c, struct tls_ctx *ctx)
{
    if (!may_start(c))
        return ERR_CONFLICT;
    tls_ctx_ref(ctx);
    c->ctx = ctx;
    start(c);
    return OK;
}

int conn_start_tls_client(struct conn *c, const struct tls_verify *verify)
{
    enum tls_client_fault fault = TLS_CLIENT_FAULT_NONE;
    int err;

    if (!may_start(c))
        return ERR_CONFLICT;
    err = tls_client_create(verify, c->fd, &c->ssl, &fault);
    c->client_fault = (uint8_t)fault;
    if (err == OK)
        start(c);
    return err;
}

enum tls_client_fault conn_tls_client_fault(const struct conn *c)
{
    const bool stands = !c->ctx && conn_is_tls(c);

    return stands ? tls_client_fault_of(c->ssl) : (enum tls_client_fault)c->client_fault;
}

bool conn_is_tls(const struct conn *c)
{
    return c->ssl && SSL_is_init_finished(c->ssl);
}

const char *conn_tls_info(const struct conn *c)
{
    static char text[96];
    if (!conn_is_tls(c))
        return "";
    snprintf(text, sizeof(text), "%s %s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl));
    return text;
}

uint64_t conn_tls_suite(const struct conn *c)
{
    const SSL_CIPHER *cipher = conn_is_tls(c) ? SSL_get_current_cipher(c->ssl) : NULL;
    return cipher ? event_tls((uint16_t)SSL_version(c->ssl), SSL_CIPHER_get_protocol_id(cipher)) : 0;
}

enum tls_fault conn_tls_fault(const struct conn *c)
{
    return (enum tls_fault)c->fault;
}

/* The certificate of the server, whichever side is ours. */
static X509 *server_certificate(SSL *ssl)
{
    return SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
}

/* RFC 5929 section 4.1: its hash by the function of its signature, SHA-256 in place of MD5 and SHA-1. */
static size_t bind_end_point(SSL *ssl, uint8_t out[64])
{
    X509 *x = server_certificate(ssl);
    const EVP_MD *md;
    unsigned n = 0;
    int hash = NID_undef;

    if (!x || X509_get_signature_info(x, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
        return 0;
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    md = EVP_get_digestbynid(hash);
    return md && EVP_MD_get_size(md) <= 64 && X509_digest(x, md, out, &n) == 1 ? n : 0;
}

/* RFC 9266 section 2. Of TLS 1.3 alone: in TLS 1.2 an empty context and none give different octets (RFC 5705 section
 * 4), and clients disagree. */
static size_t bind_exporter(SSL *ssl, uint8_t out[64])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    return SSL_version(ssl) >= TLS1_3_VERSION &&
                   SSL_export_keying_material(ssl, out, 32, label, sizeof(label) - 1, (const uint8_t *)"", 0, 1) == 1
               ? 32
               : 0;
}

size_t conn_tls_binding(const struct conn *c, bool server_end_point, uint8_t out[64])
{
    size_t n;

    if (!conn_is_tls(c))
        return 0;
    n = server_end_point ? bind_end_point(c->ssl, out) : bind_exporter(c->ssl, out);
    ERR_clear_error();
    return n;
}
