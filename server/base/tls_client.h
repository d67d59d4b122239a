/* TLS as a client between mail servers: whom a certificate must be of. Nothing here opens a file: the roots are read
 * before the sandbox. */
#ifndef BASE_TLS_CLIENT_H
#define BASE_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_roots; /* certificates of authorities; reference counted */
/* PEM, many certificates; those that do not parse are passed over. ERR_FORMAT: none parses; ERR_MEMORY. */
int tls_roots_create(const void *pem, size_t len, struct tls_roots **ret);
void tls_roots_unref(struct tls_roots *r);
/* A context that another library has made (libcurl's SSL_CTX) trusts them and nobody else. */
void tls_roots_use(struct tls_roots *r, void *ssl_ctx);

enum tls_policy {
    TLS_MAY,         /* opportunistic (RFC 7435): any certificate */
    TLS_DANE,        /* one that a TLSA record names (RFC 7672) */
    TLS_VERIFY,      /* chain to a root, and a name of ours to ask for */
    TLS_FINGERPRINT, /* the SHA-256 of its public key info */
};
enum { TLS_TLSA_MAX = 32, TLS_NAMES_MAX = 3 };

struct tls_tlsa {
    uint8_t usage, selector, matching; /* RFC 7672 section 3.1: usage 2 and 3 alone count; others are unusable */
    const uint8_t *data;
    size_t len;
};
struct tls_verify {
    enum tls_policy policy;
    const char *sni; /* the name that is sent; "" none */
    const char
        *names[TLS_NAMES_MAX];   /* that the certificate may bear; NULL ends them. TLS_DANE: first the base domain */
    const struct tls_tlsa *tlsa; /* TLS_DANE */
    size_t ntlsa;
    const uint8_t *fingerprint; /* 32 octets */
    struct tls_roots *roots;    /* TLS_VERIFY; NULL: none is known */
    bool look;                  /* TLS_VERIFY: what fails is noted, and nothing ends for it (conn_tls_client_fault) */
};
enum tls_client_fault {
    TLS_CLIENT_FAULT_NONE,
    TLS_CLIENT_FAULT_HANDSHAKE, /* no TLS, nothing in common, ended */
    TLS_CLIENT_FAULT_NAME,      /* another's certificate */
    TLS_CLIENT_FAULT_EXPIRED,   /* or not yet valid */
    TLS_CLIENT_FAULT_UNTRUSTED, /* no root that is known, or no TLSA record fits */
    TLS_CLIENT_FAULT_TLSA,      /* none of the records can be used */
};

#endif
