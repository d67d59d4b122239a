/* What conn.c needs of tls.c and nobody else does. */
#ifndef BASE_TLS_IMPL_H
#define BASE_TLS_IMPL_H

#include <openssl/ssl.h>

#include "server/base/tls.h"

/* A server side for fd; NULL: out of memory. It does not own fd. */
SSL *tls_server(struct tls_ctx *ctx, int fd);
/* Of the handshake that has just failed: goes by libssl's queue of errors, which it leaves. */
enum tls_fault tls_fault_of_last(void);

#endif
