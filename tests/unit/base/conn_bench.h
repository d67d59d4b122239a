/* A connection under test, plain or TLS, and a blocking client in a thread at its other end. */
#ifndef TESTS_BASE_CONN_BENCH_H
#define TESTS_BASE_CONN_BENCH_H

#include <openssl/err.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/base/loop.h"
#include "server/base/tls.h"
#include "tests/unit/base/tls_fixture.h"

static struct fixture_pem pem;
static struct tls_ctx *tls;

/* ---- the client ---- */

struct client {
    int fd;
    SSL *ssl;
    int (*run)(struct client *c); /* 0: as wanted */
    int result;
    size_t want;
    pthread_t thread;
};

static long put(struct client *c, const void *p, size_t n)
{
    return c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
}

static long get(struct client *c, void *p, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);
}

static int put_all(struct client *c, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        long k = put(c, at, n);

        if (k <= 0)
            return -1;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

static int get_all(struct client *c, void *p, size_t n)
{
    char *at = p;

    while (n) {
        long k = get(c, at, n);

        if (k <= 0)
            return -1;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

static int client_tls(struct client *c, int max_version)
{
    SSL_CTX *ctx = fixture_client_ctx(max_version);

    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1 ? 0 : -1;
}

static void *client_thread(void *arg)
{
    struct client *c = arg;

    c->result = c->run(c);
    if (c->ssl)
        SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    return NULL;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The same bytes on both sides, different at every offset of a page. */
static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

/* ---- the server ---- */

struct server {
    struct loop *loop;
    struct conn *conn;
    struct client client;
    size_t got, sent, total;
    bool wrong, destroyed;
    int ended; /* how often on_end came */
    enum conn_end why;
    int tls_done, drains, datas;
    bool destroy_in_data, destroy_in_drain, destroy_in_tls;
    struct timer *timer;
    char seen[256];
    size_t nseen;
};

static void gone(struct server *s)
{
    conn_destroy(s->conn);
    s->destroyed = true;
    loop_stop(s->loop);
}

static void on_end(void *arg, enum conn_end why)
{
    struct server *s = arg;

    assert_false(s->destroyed);
    s->ended++;
    s->why = why;
    assert_int_equal(conn_write(s->conn, "x", 1), ERR_GONE);
    gone(s);
}

static void on_tls(void *arg)
{
    struct server *s = arg;

    s->tls_done++;
    assert_true(conn_is_tls(s->conn));
    assert_non_null(strstr(conn_tls_info(s->conn), "TLSv1."));
    if (s->destroy_in_tls)
        gone(s);
}

static void on_drain(void *arg)
{
    struct server *s = arg;

    s->drains++;
    if (s->destroy_in_drain)
        gone(s);
}

static void echo(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    s->datas++;
    if (s->destroy_in_data) {
        gone(s);
        return;
    }
    while (in->len) {
        size_t n = in->len > 1000 ? 1000 : in->len;

        if (conn_write(s->conn, in->data, n) == ERR_LIMIT) {
            conn_pause(s->conn, true);
            return;
        }
        s->got += n;
        buf_consume(in, n);
    }
}

static void echo_drain(void *arg)
{
    struct server *s = arg;

    s->drains++;
    conn_pause(s->conn, false);
}

static void count_data(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    for (size_t i = 0; i < in->len; i++)
        s->wrong |= in->data[i] != byte_at(s->got + i);
    s->got += in->len;
    s->datas++;
    buf_consume(in, in->len);
}

static const struct conn_ops echo_ops = {echo, echo_drain, on_tls, on_end};
static const struct conn_ops count_ops = {count_data, on_drain, on_tls, on_end};
static const struct conn_params small = {.in_max = 16 * 1024, .out_max = 64 * 1024, .out_low = 16 * 1024, .wipe = true};

static void start(struct server *s, const struct conn_ops *ops, const struct conn_params *p,
                  int (*client)(struct client *))
{
    int fds[2];

    memset(s, 0, sizeof(*s));
    s->loop = loop_create();
    assert_non_null(s->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    s->conn = conn_create(s->loop, fds[0], p, ops, s);
    assert_non_null(s->conn);
    s->client.fd = fds[1];
    s->client.run = client;
}

static void run(struct server *s)
{
    if (s->client.run)
        assert_int_equal(pthread_create(&s->client.thread, NULL, client_thread, &s->client), 0);
    assert_int_equal(loop_run(s->loop), OK);
    if (s->client.run) {
        pthread_join(s->client.thread, NULL);
        assert_int_equal(s->client.result, 0);
    }
    timer_destroy(s->timer);
    if (!s->destroyed)
        conn_destroy(s->conn);
    loop_destroy(s->loop);
    assert_false(s->wrong);
}

enum { SPLIT = 600, LARGE = 3 * 1024 * 1024 };

static void stream_more(void *arg)
{
    struct server *s = arg;
    uint8_t b[3001];

    s->drains++;
    while (s->sent < LARGE) {
        size_t n = LARGE - s->sent < sizeof(b) ? LARGE - s->sent : sizeof(b);

        for (size_t i = 0; i < n; i++)
            b[i] = byte_at(s->sent + i);
        if (conn_write(s->conn, b, n) == ERR_LIMIT)
            return;
        s->sent += n;
        assert_true(conn_out_len(s->conn) <= 64 * 1024);
    }
    conn_finish(s->conn);
    assert_int_equal(conn_write(s->conn, "x", 1), ERR_CONFLICT);
}

#endif
