/* What conn.c, conn_connect.c and conn_tls.c share; nobody else includes it. */
#ifndef BASE_CONN_IMPL_H
#define BASE_CONN_IMPL_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "server/base/conn.h"
#include "server/base/heard.h"

enum state { PLAIN, HANDSHAKE, TLS, LINGER, CONNECTING, OVER };

struct conn {
    struct loop *loop;
    struct watch *watch;
    const struct conn_ops *ops;
    void *arg;
    SSL *ssl;
    struct tls_ctx *ctx; /* NULL: the client's side */
    struct buf in, out;
    size_t out_low;
    size_t plain_left; /* bytes of out to go before the handshake */
    struct idle idle;
    struct defer work; /* flush, and look whether reading may go on */
    uint64_t timeout_ms;
    int fd;
    uint32_t lingered;
    int sys_errno; /* why the socket failed */
    uint8_t state, busy, fault, client_fault;
    struct heard heard;
    size_t heard_left; /* octets of out to go before it is asked */
    bool dead, paused, offer, eof, finishing, starting;
    bool read_wants_write, write_wants_read, blocked; /* blocked: output waits for the socket */
    bool handshake_writes;
    bool held; /* finishing, but close_notify waits for the peer's end */
    bool more; /* libssl holds input that was not taken for want of room */
    struct sockaddr_storage peer;
};

/* Flushes, and looks whether reading may go on, in the loop's next turn. */
void conn_work_later(struct conn *c);
/* In state PLAIN, watched for events. NULL: no memory; fd stays the caller's. */
struct conn *conn_new(struct loop *l, int fd, unsigned events, const struct conn_params *p, const struct conn_ops *ops,
                      void *arg);

#endif
