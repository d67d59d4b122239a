/* Connections, plain and TLS, against a blocking client in a thread: split and large transfers, back-pressure,
 * timeouts, ends of every kind, and owners that destroy in their callbacks. */
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
#include "server/base/error.h"
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
    int ended;             /* how often on_end came */
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

/* ---- tests ---- */

enum { SPLIT = 600, LARGE = 3 * 1024 * 1024 };

static int bytes_one_by_one(struct client *c)
{
    for (size_t i = 0; i < SPLIT; i++) {
        uint8_t b = byte_at(i), back;

        if (put_all(c, &b, 1) || get_all(c, &back, 1) || back != b)
            return -1;
    }
    return 0;
}

static int tls_bytes_one_by_one(struct client *c)
{
    return client_tls(c, 0) || bytes_one_by_one(c);
}

static int tls12_bytes_one_by_one(struct client *c)
{
    return client_tls(c, TLS1_2_VERSION) || bytes_one_by_one(c);
}

static void test_echo_split(void **state)
{
    int (*const clients[])(struct client *) = {bytes_one_by_one, tls_bytes_one_by_one, tls12_bytes_one_by_one};

    for (size_t i = 0; i < 3; i++) {
        struct server s;

        start(&s, &echo_ops, &small, clients[i]);
        if (i)
            assert_int_equal(conn_start_tls(s.conn, tls), OK);
        run(&s);
        assert_int_equal(s.got, SPLIT);
        assert_int_equal(s.tls_done, i != 0);
        assert_int_equal(s.ended, 1);
        assert_int_equal(s.why, CONN_EOF);
    }
}

static void *echo_reader(void *arg)
{
    struct client *c = arg;
    static uint8_t b[5000];
    size_t at = 0;

    while (at < LARGE) {
        ssize_t n = recv(c->fd, b, sizeof(b), 0);

        if (n <= 0)
            return (void *)1;
        for (ssize_t i = 0; i < n; i++)
            if (b[i] != byte_at(at + (size_t)i))
                return (void *)1;
        at += (size_t)n;
    }
    return NULL;
}

static int large_both_ways(struct client *c)
{
    static uint8_t b[LARGE];
    pthread_t reader;
    void *r;

    for (size_t i = 0; i < LARGE; i++)
        b[i] = byte_at(i);
    pthread_create(&reader, NULL, echo_reader, c);
    if (put_all(c, b, LARGE))
        return -1;
    pthread_join(reader, &r);
    return r != NULL;
}

/* One thread for both ways: libssl's objects are not for two. */
static int tls_large_both_ways(struct client *c)
{
    static uint8_t out[7000], in[9000];
    size_t sent = 0, got = 0;

    if (client_tls(c, 0))
        return -1;
    while (got < LARGE) {
        size_t window = sent - got, n = LARGE - sent < sizeof(out) ? LARGE - sent : sizeof(out);
        long k;

        if (window + n < 60000 && n) {
            for (size_t i = 0; i < n; i++)
                out[i] = byte_at(sent + i);
            if (put_all(c, out, n))
                return -1;
            sent += n;
            continue;
        }
        k = get(c, in, sizeof(in));
        if (k <= 0)
            return -1;
        for (long i = 0; i < k; i++)
            if (in[i] != byte_at(got + (size_t)i))
                return -1;
        got += (size_t)k;
    }
    return 0;
}

static void test_echo_large(void **state)
{
    struct server s;

    start(&s, &echo_ops, &small, large_both_ways);
    run(&s);
    assert_int_equal(s.got, LARGE);
    assert_int_equal(s.why, CONN_EOF);

    start(&s, &echo_ops, &small, tls_large_both_ways);
    assert_int_equal(conn_start_tls(s.conn, tls), OK);
    run(&s);
    assert_int_equal(s.got, LARGE);
}

static int slow_reader(struct client *c)
{
    uint8_t b[777];

    if (c->want && client_tls(c, 0))
        return -1;
    for (size_t at = 0; at < LARGE;) {
        long n = get(c, b, sizeof(b));

        if (n <= 0)
            return -1;
        for (long i = 0; i < n; i++)
            if (b[i] != byte_at(at + (size_t)i))
                return -1;
        if (at / 200000 != (at + (size_t)n) / 200000)
            pause_ms(3);
        at += (size_t)n;
    }
    return get(c, b, 1) == 0 ? 0 : -1; /* a clean end, with TLS a close_notify */
}

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
    assert_int_equal(conn_write(s->conn, "x", 1), ERR_STATE);
}

static void test_slow_reader(void **state)
{
    static const struct conn_ops ops = {count_data, stream_more, on_tls, on_end};

    for (int with_tls = 0; with_tls < 2; with_tls++) {
        struct server s;

        start(&s, &ops, &small, slow_reader);
        s.client.want = (size_t)with_tls;
        if (with_tls)
            assert_int_equal(conn_start_tls(s.conn, tls), OK);
        stream_more(&s); /* before the handshake: all of it must be encrypted */
        run(&s);
        assert_int_equal(s.why, CONN_DONE);
        assert_true(s.drains > 10);
    }
}

static int upload(struct client *c)
{
    static uint8_t b[LARGE];
    char back;

    if (c->want && client_tls(c, 0))
        return -1;
    for (size_t i = 0; i < LARGE; i++)
        b[i] = byte_at(i);
    if (put_all(c, b, LARGE))
        return -1;
    if (c->ssl)
        SSL_shutdown(c->ssl);
    shutdown(c->fd, SHUT_WR);
    /* Half-closed: the reply still comes. */
    return get_all(c, &back, 1) || back != 'k';
}

static void slow_tick(void *arg)
{
    struct server *s = arg;

    conn_pause(s->conn, false);
}

static void slow_data(void *arg)
{
    struct server *s = arg;

    count_data(s);
    if (s->got == LARGE)
        assert_int_equal(conn_write(s->conn, "k", 1), OK);
    if (s->datas % 32 == 0) {
        conn_pause(s->conn, true);
        timer_set(s->timer, 1);
    }
}

static void test_upload_with_pauses_and_half_close(void **state)
{
    static const struct conn_ops ops = {slow_data, on_drain, on_tls, on_end};

    for (int with_tls = 0; with_tls < 2; with_tls++) {
        struct server s;

        start(&s, &ops, &small, upload);
        s.timer = timer_create_in(s.loop, slow_tick, &s);
        s.client.want = (size_t)with_tls;
        if (with_tls)
            assert_int_equal(conn_start_tls(s.conn, tls), OK);
        run(&s);
        assert_int_equal(s.got, LARGE);
        assert_int_equal(s.why, CONN_EOF);
    }
}

/* The owner lets the input fill up and takes it later, from a timer, without any other call. */
static void later_take(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    assert_true(in->len <= small.in_max);
    for (size_t i = 0; i < in->len; i++)
        s->wrong |= in->data[i] != byte_at(s->got + i);
    s->got += in->len;
    buf_consume(in, in->len);
    if (s->got == LARGE)
        assert_int_equal(conn_write(s->conn, "k", 1), OK);
    timer_set(s->timer, 1);
}

static void later_data(void *arg)
{
    struct server *s = arg;

    s->datas++;
}

static void test_full_input_resumes(void **state)
{
    static const struct conn_ops ops = {later_data, on_drain, on_tls, on_end};

    for (int with_tls = 0; with_tls < 2; with_tls++) {
        struct server s;

        start(&s, &ops, &small, upload);
        s.timer = timer_create_in(s.loop, later_take, &s);
        timer_set(s.timer, 1);
        s.client.want = (size_t)with_tls;
        if (with_tls)
            assert_int_equal(conn_start_tls(s.conn, tls), OK);
        run(&s);
        assert_true(s.got >= LARGE - small.in_max);
        assert_int_equal(s.why, CONN_EOF);
    }
}

static uint64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int drip(struct client *c)
{
    char b;

    for (size_t i = 0; i < 8; i++) {
        uint8_t x = byte_at(i);

        if (put_all(c, &x, 1))
            return -1;
        pause_ms(100);
    }
    return get(c, &b, 1) == 0 ? 0 : -1;
}

static void test_timeout(void **state)
{
    struct server s;
    uint64_t t = clock_ms();

    start(&s, &count_ops, &small, drip);
    conn_set_timeout(s.conn, 300);
    run(&s);
    t = clock_ms() - t;
    assert_int_equal(s.why, CONN_TIMEOUT);
    assert_int_equal(s.got, 8); /* a byte keeps it alive */
    assert_in_range(t, 950, 2500);
}

static int says_plain(struct client *c)
{
    char b[64];

    if (put_all(c, "EHLO x\r\nMAIL FROM:<a@example.org>\r\n", 35))
        return -1;
    while (get(c, b, sizeof(b)) > 0)
        ;
    return 0;
}

static int says_garbage(struct client *c)
{
    char b[3000];

    memset(b, 0x16, sizeof(b));
    if (put_all(c, b, sizeof(b)))
        return -1;
    while (get(c, b, sizeof(b)) > 0)
        ;
    return 0;
}

static int says_old_tls(struct client *c)
{
    return client_tls(c, TLS1_1_VERSION) ? 0 : -1;
}

static void test_handshake_failures(void **state)
{
    int (*const clients[])(struct client *) = {says_plain, says_garbage, says_old_tls};

    for (size_t i = 0; i < 3; i++) {
        struct server s;

        start(&s, &count_ops, &small, clients[i]);
        assert_int_equal(conn_start_tls(s.conn, tls), OK);
        assert_int_equal(conn_start_tls(s.conn, tls), ERR_STATE);
        run(&s);
        assert_int_equal(s.ended, 1);
        assert_int_equal(s.why, CONN_TLS_FAILED);
        assert_int_equal(s.datas, 0);
        ERR_clear_error();
    }
}

/* A handshake whose every byte comes alone, cut off after n bytes of the client's (0: not at all). */
static int handshake_dripped(struct client *c)
{
    SSL_CTX *ctx = fixture_client_ctx(0);
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    size_t sent = 0;
    int r = -1;

    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    for (;;) {
        char b[4096];
        int done = SSL_do_handshake(ssl), n;

        while ((n = BIO_read(out, b, 1)) == 1) {
            if (send(c->fd, b, 1, MSG_NOSIGNAL) != 1 || ++sent == c->want)
                goto out;
            if (sent % 16 == 0)
                pause_ms(0);
        }
        if (done == 1)
            break;
        n = (int)recv(c->fd, b, sizeof(b), 0);
        if (n <= 0)
            goto out;
        BIO_write(in, b, n);
    }
    r = 0;
out:
    if (c->want)
        r = 0;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return r;
}

static void test_handshake_dripped_and_cut(void **state)
{
    for (size_t cut = 0; cut < 300; cut = cut < 8 ? cut + 1 : cut + 37) {
        struct server s;

        start(&s, &count_ops, &small, handshake_dripped);
        s.client.want = cut;
        assert_int_equal(conn_start_tls(s.conn, tls), OK);
        run(&s);
        assert_int_equal(s.tls_done, cut == 0);
        assert_int_equal(s.ended, 1);
        assert_int_equal(s.why, CONN_EOF);
    }
}

static int starttls_with_injection(struct client *c)
{
    static const char pipelined[] = "STARTTLS\r\nINJECTED\r\n";
    char b[4];

    if (put_all(c, pipelined, sizeof(pipelined) - 1) || get_all(c, b, 4) || memcmp(b, "220\n", 4) != 0)
        return -1;
    if (client_tls(c, 0) || put_all(c, "EHLO", 4) || get_all(c, b, 4) || memcmp(b, "250\n", 4) != 0)
        return -1;
    return 0;
}

static void starttls_data(void *arg)
{
    struct server *s = arg;
    struct buf *in = conn_in(s->conn);

    assert_true(s->nseen + in->len < sizeof(s->seen));
    if (!conn_is_tls(s->conn)) {
        if (in->len < 10)
            return;
        assert_memory_equal(in->data, "STARTTLS\r\n", 10);
        buf_consume(in, 10);
        assert_int_equal(conn_write(s->conn, "220\n", 4), OK);
        assert_int_equal(conn_start_tls(s->conn, tls), OK);
        assert_int_equal(conn_in(s->conn)->len, 0);
        return;
    }
    memcpy(s->seen + s->nseen, in->data, in->len);
    s->nseen += in->len;
    buf_consume(in, in->len);
    if (s->nseen == 4)
        assert_int_equal(conn_write(s->conn, "250\n", 4), OK);
}

static void test_starttls_discards_pipelined(void **state)
{
    static const struct conn_ops ops = {starttls_data, on_drain, on_tls, on_end};
    struct server s;

    start(&s, &ops, &small, starttls_with_injection);
    run(&s);
    assert_int_equal(s.tls_done, 1);
    assert_string_equal(s.seen, "EHLO");
}

/* The client floods and reads the last reply only at the end: it must still get it. */
static int floods(struct client *c)
{
    static char b[200000];
    char reply[4];

    put_all(c, b, sizeof(b));
    return get_all(c, reply, 4) || memcmp(reply, "421\n", 4) != 0 || get(c, reply, 1) != 0;
}

static void refuse_data(void *arg)
{
    struct server *s = arg;

    s->datas++;
    assert_int_equal(conn_write(s->conn, "421\n", 4), OK);
    conn_finish(s->conn);
}

static void test_last_reply_reaches_a_flooding_peer(void **state)
{
    static const struct conn_ops ops = {refuse_data, on_drain, on_tls, on_end};
    struct server s;

    start(&s, &ops, &small, floods);
    run(&s);
    assert_int_equal(s.datas, 1);
    assert_int_equal(s.why, CONN_DONE);
}

static int reads_until_end(struct client *c)
{
    static char b[100000];

    if (c->want && client_tls(c, 0))
        return 0;
    put_all(c, b, 100);
    while (get(c, b, sizeof(b)) > 0)
        ;
    return 0;
}

static void test_destroy_in_callbacks(void **state)
{
    static const struct conn_ops ops = {echo, on_drain, on_tls, on_end};
    static char filler[60000];

    for (int with_tls = 0; with_tls < 2; with_tls++)
        for (int where = 0; where < 3; where++) {
            struct server s;

            start(&s, &ops, &small, reads_until_end);
            s.client.want = (size_t)with_tls;
            if (with_tls)
                assert_int_equal(conn_start_tls(s.conn, tls), OK);
            s.destroy_in_data = where == 0;
            s.destroy_in_tls = where == 1;
            s.destroy_in_drain = where == 2;
            if (where == 2)
                assert_int_equal(conn_write(s.conn, filler, sizeof(filler)), OK);
            if (where == 1 && !with_tls)
                s.destroy_in_data = true;
            run(&s);
            assert_true(s.destroyed);
            assert_int_equal(s.ended, 0);
        }
}

static void destroy_other(void *arg)
{
    struct server *s = arg;

    conn_destroy(s->conn);
    s->destroyed = true;
    loop_stop(s->loop);
}

/* Both ends are ready in one turn; whichever comes first destroys the other. */
static void test_destroy_of_another(void **state)
{
    struct loop *l = loop_create();
    struct server a = {.loop = l}, b = {.loop = l};
    static const struct conn_ops ops = {destroy_other, on_drain, on_tls, on_end};
    int fds[2], fds2[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds2);
    a.conn = conn_create(l, fds[0], &small, &ops, &b);
    b.conn = conn_create(l, fds2[0], &small, &ops, &a);
    assert_int_equal(conn_write(a.conn, "x", 1), OK);
    assert_int_equal(conn_write(b.conn, "x", 1), OK);
    assert_int_equal(write(fds[1], "a", 1), 1);
    assert_int_equal(write(fds2[1], "b", 1), 1);
    assert_int_equal(loop_run(l), OK);
    assert_true(a.destroyed != b.destroyed);
    conn_destroy(a.destroyed ? b.conn : a.conn);
    close(fds[1]);
    close(fds2[1]);
    loop_destroy(l);
}

static void test_output_limit(void **state)
{
    static char b[65 * 1024];
    struct server s;

    start(&s, &count_ops, &small, NULL);
    assert_int_equal(conn_write(s.conn, b, sizeof(b)), ERR_LIMIT);
    assert_int_equal(conn_out_len(s.conn), 0);
    assert_int_equal(conn_write(s.conn, b, 64 * 1024), OK);
    assert_int_equal(conn_write(s.conn, b, 1), ERR_LIMIT);
    close(s.client.fd); /* nobody reads: an error value, no signal */
    run(&s);
    assert_int_equal(s.ended, 1);
    assert_true(s.why == CONN_ERROR || s.why == CONN_EOF);
}

/* A peer that goes away in the middle of a TLS stream: no SIGPIPE, one end. */
static int goes_away(struct client *c)
{
    char b[100];

    return client_tls(c, 0) || get_all(c, b, sizeof(b));
}

static void test_peer_vanishes(void **state)
{
    static const struct conn_ops ops = {count_data, stream_more, on_tls, on_end};
    struct server s;

    start(&s, &ops, &small, goes_away);
    assert_int_equal(conn_start_tls(s.conn, tls), OK);
    stream_more(&s);
    run(&s);
    assert_int_equal(s.ended, 1);
    assert_true(s.why == CONN_ERROR || s.why == CONN_EOF);
}

/* A reset over TCP, plain and in the middle of TLS. */
static int resets(struct client *c)
{
    const struct linger at_once = {1, 0};
    char back;

    if (c->want && client_tls(c, 0))
        return -1;
    if (put_all(c, "x", 1) || get_all(c, &back, 1))
        return -1;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(c->fd);
    c->fd = -1;
    return 0;
}

static void test_reset_over_tcp(void **state)
{
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int lfd = socket(AF_INET, SOCK_STREAM, 0), cfd = socket(AF_INET, SOCK_STREAM, 0), sfd;
        socklen_t len = sizeof(a);
        char text[INET6_ADDRSTRLEN];
        struct server s;

        assert_int_equal(bind(lfd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(lfd, 1), 0);
        getsockname(lfd, (struct sockaddr *)&a, &len);
        assert_int_equal(connect(cfd, (struct sockaddr *)&a, len), 0);
        sfd = accept(lfd, NULL, NULL);
        close(lfd);

        start(&s, &echo_ops, &small, resets);
        conn_destroy(s.conn);
        close(s.client.fd);
        s.conn = conn_create(s.loop, sfd, &small, &echo_ops, &s);
        s.client.fd = cfd;
        s.client.want = (size_t)with_tls;
        addr_to_text(conn_peer(s.conn), text);
        assert_string_equal(text, "127.0.0.1");
        if (with_tls)
            assert_int_equal(conn_start_tls(s.conn, tls), OK);
        run(&s);
        assert_int_equal(s.got, 1);
        assert_int_equal(s.ended, 1);
        assert_true(s.why == CONN_ERROR || s.why == CONN_EOF);
    }
}

static void test_addresses(void **state)
{
    struct sockaddr_storage v4 = {0}, v6 = {0}, mapped = {0}, none = {0};
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&v6, *map = (struct sockaddr_in6 *)&mapped;
    unsigned char k[16], k2[16];
    char text[INET6_ADDRSTRLEN];

    v4.ss_family = AF_INET;
    memcpy(&((struct sockaddr_in *)&v4)->sin_addr, "\xc0\x00\x02\x01", 4);
    six->sin6_family = AF_INET6;
    memcpy(&six->sin6_addr, "\x20\x01\x0d\xb8\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c", 16);
    map->sin6_family = AF_INET6;
    memcpy(&map->sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);

    addr_to_text(&v4, text);
    assert_string_equal(text, "192.0.2.1");
    addr_to_text(&mapped, text);
    assert_string_equal(text, "192.0.2.1");
    addr_to_text(&v6, text);
    assert_string_equal(text, "2001:db8:102:304:506:708:90a:b0c");
    addr_to_text(&none, text);
    assert_string_equal(text, "unknown");
    assert_int_equal(addr_peer_key(&v4, k), 4);
    assert_int_equal(addr_peer_key(&mapped, k2), 4);
    assert_memory_equal(k, k2, 4);
    assert_int_equal(addr_network_key(&v4, k), 3);
    assert_int_equal(addr_peer_key(&v6, k), 8);
    assert_int_equal(addr_network_key(&v6, k), 6);
    assert_int_equal(addr_peer_key(&none, k), 0);
}

static void test_bad_contexts(void **state)
{
    struct tls_ctx *ctx = NULL;
    struct fixture_pem other;
    const char *why = NULL;
    char damaged[8300];
    size_t n = pem.chain_len;

    fixture_make(&other);
    assert_int_equal(tls_ctx_create("", 0, "", 0, &ctx, &why), ERR_FORMAT);
    assert_non_null(why);
    assert_int_equal(tls_ctx_create(pem.chain, n, pem.chain, n, &ctx, &why), ERR_FORMAT);
    assert_int_equal(tls_ctx_create(pem.chain, n, other.key, other.key_len, &ctx, &why), ERR_FORMAT);
    assert_int_equal(tls_ctx_create(pem.chain, n / 2, pem.key, pem.key_len, &ctx, NULL), ERR_FORMAT);
    memcpy(damaged, pem.chain, n);
    memcpy(damaged + n, pem.chain, n);
    memset(damaged + n + 60, '!', 20); /* the second certificate */
    assert_int_equal(tls_ctx_create(damaged, 2 * n, pem.key, pem.key_len, &ctx, &why), ERR_FORMAT);
    assert_null(ctx);
    memcpy(damaged + n, pem.chain, n);
    assert_int_equal(tls_ctx_create(damaged, 2 * n, pem.key, pem.key_len, &ctx, &why), OK);
    tls_ctx_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_split),
        cmocka_unit_test(test_echo_large),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_upload_with_pauses_and_half_close),
        cmocka_unit_test(test_full_input_resumes),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_handshake_failures),
        cmocka_unit_test(test_handshake_dripped_and_cut),
        cmocka_unit_test(test_starttls_discards_pipelined),
        cmocka_unit_test(test_last_reply_reaches_a_flooding_peer),
        cmocka_unit_test(test_destroy_in_callbacks),
        cmocka_unit_test(test_destroy_of_another),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_peer_vanishes),
        cmocka_unit_test(test_reset_over_tcp),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_contexts),
    };
    int r;

    fixture_make(&pem);
    if (tls_ctx_create(pem.chain, pem.chain_len, pem.key, pem.key_len, &tls, NULL) != OK)
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    tls_ctx_unref(tls);
    return r;
}
