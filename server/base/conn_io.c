/* Attempts to move octets over a socket, through libssl or not. See conn_io.h. */
#include "server/base/conn_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { TLS_HELD = 64 * 1024 /* octets that libssl may have taken from the socket */ };

enum io conn_io_of_ssl(SSL *ssl, int ret)
{
    switch (SSL_get_error(ssl, ret)) {
    case SSL_ERROR_WANT_READ: return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return IO_EOF;
    case SSL_ERROR_SYSCALL: return errno == 0 ? IO_EOF : IO_ERROR;
    default:
        /* An end without close_notify: the protocols above know whether they were done. */
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return IO_EOF;
        return IO_TLS_ERROR;
    }
}

/* SSL_get_error goes by what the attempt itself left behind. */
static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

static enum io of_attempt(SSL *ssl, int ret)
{
    enum io io = ret == 1 ? IO_DONE : conn_io_of_ssl(ssl, ret);

    ERR_clear_error();
    return io;
}

enum io conn_io_read(SSL *ssl, int fd, uint8_t *to, size_t room, size_t *ret_n)
{
    ssize_t n;

    if (ssl) {
        forget_errors();
        return of_attempt(ssl, SSL_read_ex(ssl, to, room, ret_n));
    }
    do
        n = recv(fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_n = (size_t)n;
        return IO_DONE;
    }
    return n == 0 ? IO_EOF : errno == EAGAIN ? IO_WANT_READ : IO_ERROR;
}

enum io conn_io_write(SSL *ssl, int fd, const uint8_t *from, size_t len, size_t *ret_n)
{
    ssize_t n;

    if (ssl) {
        forget_errors();
        return of_attempt(ssl, SSL_write_ex(ssl, from, len, ret_n));
    }
    do
        n = send(fd, from, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *ret_n = (size_t)n;
        return IO_DONE;
    }
    return errno == EAGAIN ? IO_WANT_WRITE : IO_ERROR;
}

bool conn_io_lost(const SSL *ssl, int fd, uint64_t octets)
{
    struct tcp_info t = {0};
    socklen_t len = sizeof(t);
    int left = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &len) != 0)
        return false;
    if (t.tcpi_state == TCP_CLOSE)
        return true;
    return t.tcpi_state == TCP_CLOSE_WAIT && ioctl(fd, FIONREAD, &left) == 0 && left >= 0 &&
           (uint64_t)left + (ssl ? TLS_HELD : 0) < octets;
}

void conn_io_set_tcp(int fd)
{
    const int one = 1;

    /* Output is put together a turn at a time already. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}
