/* Connections, plain and TLS: split and large transfers, back-pressure, limits and timeouts. */
#include "tests/support/conn_bench.h"

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
    struct buf *in;

    if (s->destroyed) /* it ended in the same turn */
        return;
    in = conn_in(s->conn);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_split),
        cmocka_unit_test(test_echo_large),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_upload_with_pauses_and_half_close),
        cmocka_unit_test(test_full_input_resumes),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_last_reply_reaches_a_flooding_peer),
        cmocka_unit_test(test_output_limit),
    };
    int err;

    fixture_make(&pem);
    if (tls_ctx_create(TLS_SMTP, pem.chain, pem.chain_len, pem.key, pem.key_len, &tls, NULL) != OK)
        return 1;
    err = cmocka_run_group_tests(tests, NULL, NULL);
    tls_ctx_unref(tls);
    return err;
}
