/* TLS contexts made from certificate and key bytes that master read; nothing here opens a file.
 * TLS 1.2 and later, key exchange by elliptic curves alone; no compression, no renegotiation, no resumption. A client
 * that says what it speaks (ALPN, RFC 7301) must say the right thing; one that says nothing is served. */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stddef.h>

#include "server/base/certs.h"

/* Whom a context is for. Between mail servers an old cipher is better than none: those refused would send in the clear.
 * A reader's password and mail go by AEAD ciphers only. */
enum tls_use { TLS_SMTP, TLS_IMAP, TLS_WEB, TLS_USES };

struct tls_ctx; /* reference counted: connections keep theirs across a reload */

/* PEM chain and key. ret_why (may be NULL) gets a static
 * sentence on failure. ERR_FORMAT, ERR_CRYPTO, ERR_MEMORY. */
int tls_ctx_create(enum tls_use use, const void *chain_pem, size_t chain_len, const void *key_pem, size_t key_len,
                   struct tls_ctx **ret_ctx, const char **ret_why);
/* Whether it is good for that: the same, without a context. The pair's name is not looked at. */
int tls_pair_check(struct cert_pair pair, const char **ret_why);
/* By the name that a client asks for (SNI, RFC 6066 section 3); who asks for none, or for one that no pair has, is
 * shown the default. The default is read at once, another pair when it is asked for first. Keeps a reference. */
int tls_ctx_create_by_name(enum tls_use use, struct certs *certs, struct tls_ctx **ret_ctx, const char **ret_why);
/* Why a handshake came to nothing, with the names of the counters. */
#define TLS_FAULTS(X)                                                               \
    X(NO_TLS, "tls_failed_no_tls")   /* what came was no TLS */                     \
    X(VERSION, "tls_failed_version") /* none in common */                           \
    X(CIPHER, "tls_failed_cipher")   /* none in common, or no curve or signature */ \
    X(ALPN, "tls_failed_alpn")       /* it wants another protocol */                \
    X(ALERT, "tls_failed_alert")     /* it refuses: our certificate, most likely */ \
    X(ENDED, "tls_failed_ended")     /* it went away in the middle */               \
    X(TIMEOUT, "tls_failed_timeout")                                                \
    X(OTHER, "tls_failed_other")
#define TLS_FAULT_ENUM(id, name) TLS_FAULT_##id,
enum tls_fault { TLS_FAULT_NONE, TLS_FAULTS(TLS_FAULT_ENUM) TLS_FAULTS_N };

void tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx *ctx);
/* Makes OpenSSL wipe memory before it frees it. Called once, before anything else of OpenSSL, by roles that see
 * plaintext. */
void tls_wipe_on_free(void);

#endif
