/* What conn.c, tls.c and tls_client.c need of one another and nobody else does. */
#ifndef BASE_TLS_IMPL_H
#define BASE_TLS_IMPL_H

#include <openssl/ssl.h>

#include "server/base/tls.h"
#include "server/base/tls_client.h"

/* A server side for fd; NULL: out of memory. It does not own fd. */
SSL *tls_server(struct tls_ctx *ctx, int fd);
/* Of the handshake that has just failed: goes by libssl's queue of errors, which it leaves. */
enum tls_fault tls_fault_of_last(void);

/* A client side for fd. ERR_MEMORY; ERR_FORMAT: a name that none can bear, or no name; ERR_UNSUPPORTED with *ret_fault:
 * none of the TLSA records can be used. */
int tls_client_create(const struct tls_verify *v, int fd, SSL **ret, enum tls_client_fault *ret_fault);
enum tls_client_fault tls_client_fault_of(const SSL *ssl); /* of a handshake that is over */

/* What contexts of either side have in common. */
void tls_set_common(SSL_CTX *ctx);
const char *tls_ciphers(enum tls_use use);

#endif
