/* A client's connection: a non-blocking socket, TLS or not, with capped buffers both ways. Buffers exist only while
 * they hold something. All callbacks come from the loop, never from inside a conn_ call. */
#ifndef BASE_CONN_H
#define BASE_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "server/core/buf.h"
#include "server/base/loop.h"
#include "server/base/tls.h"
#include "server/base/tls_client.h"

struct conn;

enum conn_end { CONN_EOF, CONN_ERROR, CONN_TIMEOUT, CONN_TLS_FAILED, CONN_DONE /* flushed after conn_finish */ };

struct conn_ops {
    void (*on_data)(void *arg);                   /* conn_in() grew */
    void (*on_drain)(void *arg);                  /* output fell to or below the low-water mark */
    void (*on_tls)(void *arg);                    /* a TLS handshake is complete (may be NULL) */
    void (*on_end)(void *arg, enum conn_end why); /* once; the owner then calls conn_destroy */
};

struct conn_params {
    size_t in_max;  /* reading stops while this much is unread */
    size_t out_max; /* conn_write fails with ERR_LIMIT past it */
    size_t out_low; /* low-water mark for on_drain */
    bool wipe;      /* carries plaintext: buffers are wiped */
};

/* Takes ownership of fd, which is closed when memory is lacking (NULL). */
struct conn *conn_create(struct loop *l, int fd, const struct conn_params *p, const struct conn_ops *ops, void *arg);
/* A connection of our own making: connect(2) without waiting, from an address of ours (from NULL: the kernel's choice).
 * on_tls is not called for it; on_drain is, once it stands. Fails later as on_end(CONN_ERROR), or as CONN_TIMEOUT with
 * conn_set_timeout. NULL: no memory or no descriptor; errno says which. */
struct conn *conn_connect(struct loop *l, const struct sockaddr_storage *to, const struct sockaddr_storage *from,
                          const struct conn_params *p, const struct conn_ops *ops, void *arg);
int conn_errno(const struct conn *c); /* in on_end(CONN_ERROR): why; 0: not known */
void conn_destroy(struct conn *c);    /* closes at once; allowed inside callbacks; NULL is allowed */

/* The owner consumes from it, in on_data or later. Bytes that are left over are offered again with the next ones, and
 * when a pause ends. */
struct buf *conn_in(struct conn *c);
/* Queued whole or not at all, flushed at the end of the turn. ERR_LIMIT, ERR_MEMORY; ERR_GONE after on_end,
 * ERR_CONFLICT after conn_finish. */
int conn_write(struct conn *c, const void *data, size_t len);
size_t conn_out_len(const struct conn *c);
/* Flush, TLS close, then on_end(CONN_DONE). While conn_ask_heard has no answer the peer's end is waited for, a second
 * at most; under TLS before ours is sent, since a peer that leaves our close_notify unread ends with a reset. */
void conn_finish(struct conn *c);
/* Whether the peer has read all that conn_write has taken and that is not yet sent (server/base/heard.h). Asked again
 * it forgets what it was asked. */
void conn_ask_heard(struct conn *c);
bool conn_heard(const struct conn *c); /* may be true from the next on_data or on_end on */
/* Whether the peer speaks before its turn. Before anything is written: whether something has come. In on_data: whether
 * what has come was sent before all that is written can have been read. It finds everybody who does not wait for the
 * network's way and back, and nobody who waits. */
bool conn_spoke_early(struct conn *c);
/* Stops reading, for back-pressure. The peer's end is not seen before the pause ends either. */
void conn_pause(struct conn *c, bool paused);
/* Whether the peer is gone, and of what it sent fewer octets than that are still to be taken. It may be asked in a
 * pause, when the peer's end is not seen. false: it is there, or it cannot be known. */
bool conn_lost(const struct conn *c, uint64_t octets);
void conn_set_timeout(struct conn *c, uint64_t ms); /* no byte either way for so long: on_end(CONN_TIMEOUT); 0: never */

/* Server side handshake from the next byte on. Unread input is discarded first: the caller must have refused commands
 * pipelined before STARTTLS (RFC 3207 section 6). */
int conn_start_tls(struct conn *c, struct tls_ctx *ctx); /* ERR_CONFLICT: TLS already; ERR_MEMORY */
/* The client's side of a handshake (server/base/tls_client.h): on_tls when it is complete and verified as `verify`
 * asks, else on_end(CONN_TLS_FAILED), whatever happened, and conn_tls_client_fault. With `look` it is complete whatever
 * the certificate, and conn_tls_client_fault says in on_tls what there is against that. verify is copied. Unread input
 * is discarded. It has 30 s, or conn_set_timeout's where that is less. ERR_CONFLICT, ERR_MEMORY; ERR_FORMAT: no name to
 * ask for, or one that none can bear; ERR_UNSUPPORTED, and TLS_CLIENT_FAULT_TLSA: no TLSA record can be used. The
 * connection stands as it was: RFC 7672 section 2.2 wants TLS then with any certificate, TLS_MAY without falling
 * back. */
int conn_start_tls_client(struct conn *c, const struct tls_verify *verify);
enum tls_client_fault conn_tls_client_fault(const struct conn *c);
/* What binds a login to this TLS session: RFC 9266's tls-exporter, under TLS 1.3 alone; or RFC 5929's
 * tls-server-end-point. Returns octets written to out, 0: there is none. */
size_t conn_tls_binding(const struct conn *c, bool server_end_point, uint8_t out[64]);
bool conn_is_tls(const struct conn *c);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384"-like text for Received and capsule; "" without TLS. Valid until the next call. */
const char *conn_tls_info(const struct conn *c);

/* The same as numbers: event_tls(); 0 without TLS. */
uint64_t conn_tls_suite(const struct conn *c);
/* In on_end: why the handshake came to nothing, of either side; TLS_FAULT_NONE if it did not, or there was none. */
enum tls_fault conn_tls_fault(const struct conn *c);
uint64_t conn_tls_faults(enum tls_fault kind); /* since the start, of all of the process where we were the server */

const struct sockaddr_storage *conn_peer(const struct conn *c);
void conn_local(const struct conn *c, struct sockaddr_storage *ret); /* our side; AF_UNSPEC: not known */
/* XCLIENT, PROXY: the owner states who the peer really is. */
void conn_set_peer(struct conn *c, const struct sockaddr_storage *ss);

/* The octets of an address: 4, 16, or 0 for what is neither. An IPv4-mapped address (RFC 4291 section 2.5.5.2) is its
 * IPv4 address. */
size_t addr_bytes(const struct sockaddr_storage *ss, unsigned char out[16]);
/* An address without port, as text: "192.0.2.1", "2001:db8::1". */
void addr_to_text(const struct sockaddr_storage *ss, char out[INET6_ADDRSTRLEN]);
/* 127.0.0.0/8 (RFC 1122 section 3.2.1.3), mapped into IPv6 too, and ::1 (RFC 4291 section 2.5.3). */
bool addr_is_loopback(const struct sockaddr_storage *ss);
/* Gives what limits and slowing count as one client: of IPv4 the address as peer and its /24 as network, of IPv6 the
 * /64 and the /48. Returns how many bytes count; the others are zero. */
size_t addr_peer_key(const struct sockaddr_storage *ss, unsigned char out[16]);
size_t addr_network_key(const struct sockaddr_storage *ss, unsigned char out[16]);

#endif
