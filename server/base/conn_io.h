/* One attempt to move octets over a client's socket: what conn.c does them with. */
#ifndef BASE_CONN_IO_H
#define BASE_CONN_IO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an attempt came to. */
enum io { IO_DONE, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_ERROR, IO_TLS_ERROR };

/* ssl NULL: in the clear. *ret_n is set with IO_DONE. */
enum io conn_io_read(SSL *ssl, int fd, uint8_t *to, size_t room, size_t *ret_n);
enum io conn_io_write(SSL *ssl, int fd, const uint8_t *from, size_t len, size_t *ret_n);
enum io conn_io_of_ssl(SSL *ssl, int ret); /* of a call of libssl that gave ret */

/* Whether the peer has ended, and fewer octets than that are still to be read; after a reset none are. */
bool conn_io_lost(const SSL *ssl, int fd, uint64_t octets);

void conn_io_set_tcp(int fd); /* sent at once, and a dead peer is found */

#endif
