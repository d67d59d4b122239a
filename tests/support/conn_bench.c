#include "tests/support/conn_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fixture_pem pem;

struct tls_ctx *tls;

static long put(struct client *c, const void *p, size_t n)
{
    return c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
}

long get(struct client *c, void *p, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);
}

int put_all(struct client *c, const void *p, size_t n)
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

int get_all(struct client *c, void *p, size_t n)
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

int client_tls(struct client *c, int max_version)
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

void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

uint8_t byte_at(size_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

static void gone(struct server *s)
{
    conn_destroy(s->conn);
    s->destroyed = true;
    loop_stop(s->loop);
}

void on_end(void *arg, enum conn_end why)
{
    struct server *s = arg;

    assert_false(s->destroyed);
    s->ended++;
    s->why = why;
    assert_int_equal(conn_write(s->conn, "x", 1), ERR_GONE);
    gone(s);
}

void on_tls(void *arg)
{
    struct server *s = arg;

    s->tls_done++;
    assert_true(conn_is_tls(s->conn));
    assert_non_null(strstr(conn_tls_info(s->conn), "TLSv1."));
    if (s->destroy_in_tls)
        gone(s);
}

void on_drain(void *arg)
{
    struct server *s = arg;

    s->drains++;
    if (s->destroy_in_drain)
        gone(s);
}

void echo(void *arg)
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

void count_data(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    for (size_t i = 0; i < in->len; i++)
        s->wrong |= in->data[i] != byte_at(s->got + i);
    s->got += in->len;
    s->datas++;
    buf_consume(in, in->len);
}

const struct conn_ops echo_ops = {echo, echo_drain, on_tls, on_end};

const struct conn_ops count_ops = {count_data, on_drain, on_tls, on_end};

const struct conn_params small = {.in_max = 16 * 1024, .out_max = 64 * 1024, .out_low = 16 * 1024, .wipe = true};

void start(struct server *s, const struct conn_ops *ops, const struct conn_params *p, int (*client)(struct client *))
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

void run(struct server *s)
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

void stream_more(void *arg)
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
