/* How connections begin and end: handshakes that fail, STARTTLS, ends of every kind, and owners that destroy in their
 * callbacks. */
#include "tests/support/conn_bench.h"
#include "tests/support/patience.h"

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
        assert_int_equal(conn_start_tls(s.conn, tls), ERR_CONFLICT);
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
    int err = -1;

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
    err = 0;
out:
    if (c->want)
        err = 0;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return err;
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

    assert_false(addr_is_loopback(&v4) || addr_is_loopback(&mapped) || addr_is_loopback(&v6) ||
                 addr_is_loopback(&none));
    memcpy(&((struct sockaddr_in *)&v4)->sin_addr, "\x7f\x01\x02\x03", 4);
    memcpy(map->sin6_addr.s6_addr + 12, "\x7f\0\0\1", 4);
    six->sin6_addr = in6addr_loopback;
    assert_true(addr_is_loopback(&v4) && addr_is_loopback(&mapped) && addr_is_loopback(&v6));
    memcpy(&six->sin6_addr, "\0\0\0\0\0\0\0\0\0\0\0\0\x7f\0\0\1", 16); /* IPv4-compatible is not mapped */
    assert_false(addr_is_loopback(&v6));
}

/* In a pause, where its end is not seen. */
static void test_lost_in_a_pause(void **state)
{
    const struct linger at_once = {1, 0};
    for (int reset = 0; reset < 2; reset++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        struct server s = {.loop = loop_create()};
        int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
        assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
        struct conn *c = conn_create(s.loop, accept(listener, NULL, NULL), &small, &count_ops, &s);
        assert_non_null(c);
        conn_pause(c, true);
        assert_int_equal(send(client, "0123456789", 10, 0), 10);
        pause_ms(50);
        assert_false(conn_lost(c, 0) || conn_lost(c, 1000)); /* it may still send */
        if (reset)
            setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(client);
        for (int i = 0; i < PATIENCE_MS / 10 && !conn_lost(c, 11); i++)
            pause_ms(10);
        assert_true(conn_lost(c, 11));
        assert_int_equal(conn_lost(c, 10), reset);
        conn_destroy(c);
        loop_destroy(s.loop);
        close(listener);
    }
}

static void test_bad_contexts(void **state)
{
    struct tls_ctx *ctx = NULL;
    struct fixture_pem other;
    const char *why = NULL;
    char damaged[8300];
    size_t n = pem.chain_len;

    fixture_make(&other);
    assert_int_equal(tls_ctx_create(TLS_SMTP, "", 0, "", 0, &ctx, &why), ERR_FORMAT);
    assert_non_null(why);
    assert_int_equal(tls_ctx_create(TLS_SMTP, pem.chain, n, pem.chain, n, &ctx, &why), ERR_FORMAT);
    assert_int_equal(tls_ctx_create(TLS_SMTP, pem.chain, n, other.key, other.key_len, &ctx, &why), ERR_FORMAT);
    assert_int_equal(tls_ctx_create(TLS_SMTP, pem.chain, n / 2, pem.key, pem.key_len, &ctx, NULL), ERR_FORMAT);
    memcpy(damaged, pem.chain, n);
    memcpy(damaged + n, pem.chain, n);
    memset(damaged + n + 60, '!', 20); /* the second certificate */
    assert_int_equal(tls_ctx_create(TLS_SMTP, damaged, 2 * n, pem.key, pem.key_len, &ctx, &why), ERR_FORMAT);
    assert_null(ctx);
    memcpy(damaged + n, pem.chain, n);
    assert_int_equal(tls_ctx_create(TLS_SMTP, damaged, 2 * n, pem.key, pem.key_len, &ctx, &why), OK);
    tls_ctx_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_failures),
        cmocka_unit_test(test_handshake_dripped_and_cut),
        cmocka_unit_test(test_starttls_discards_pipelined),
        cmocka_unit_test(test_destroy_in_callbacks),
        cmocka_unit_test(test_destroy_of_another),
        cmocka_unit_test(test_peer_vanishes),
        cmocka_unit_test(test_reset_over_tcp),
        cmocka_unit_test(test_lost_in_a_pause),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_contexts),
    };
    int err;

    fixture_make(&pem);
    if (tls_ctx_create(TLS_SMTP, pem.chain, pem.chain_len, pem.key, pem.key_len, &tls, NULL) != OK)
        return 1;
    err = cmocka_run_group_tests(tests, NULL, NULL);
    tls_ctx_unref(tls);
    return err;
}
