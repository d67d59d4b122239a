/* Connections of our own making: they stand, are refused, hang, and end while they begin. */
#include <arpa/inet.h>

#include "tests/support/conn_bench.h"

struct dial {
    struct loop *loop;
    struct conn *conn;
    int drains, datas, ends, sys_errno;
    enum conn_end why;
    char got[16];
    size_t ngot;
};

static void dial_data(void *arg)
{
    struct dial *d = arg;
    struct buf *in = conn_in(d->conn);

    d->datas++;
    assert_true(d->ngot + in->len < sizeof(d->got));
    memcpy(d->got + d->ngot, in->data, in->len);
    d->ngot += in->len;
    buf_consume(in, in->len);
    if (d->ngot == 4)
        conn_finish(d->conn);
}

static void dial_drain(void *arg)
{
    struct dial *d = arg;

    d->drains++;
}

static void dial_end(void *arg, enum conn_end why)
{
    struct dial *d = arg;

    d->ends++;
    d->why = why;
    d->sys_errno = conn_errno(d->conn);
    conn_destroy(d->conn);
    d->conn = NULL;
    loop_stop(d->loop);
}

static const struct conn_ops dial_ops = {dial_data, dial_drain, NULL, dial_end};

static int listener(int family, struct sockaddr_storage *at, int backlog)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
    socklen_t len = sizeof(*at);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(at, 0, sizeof(*at));
    if (family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        v6->sin6_addr = in6addr_loopback;
    at->ss_family = (sa_family_t)family;
    if (fd < 0 || bind(fd, (struct sockaddr *)at, family == AF_INET ? sizeof(*v4) : sizeof(*v6)) != 0)
        return -1;
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static void dial_run(struct dial *d, const struct sockaddr_storage *to, const struct sockaddr_storage *from,
                     uint64_t timeout)
{
    memset(d, 0, sizeof(*d));
    d->loop = loop_create();
    d->conn = conn_connect(d->loop, to, from, &small, &dial_ops, d);
    assert_non_null(d->conn);
    assert_int_equal(d->drains + d->ends, 0); /* nothing from inside the call */
    assert_memory_equal(conn_peer(d->conn), to, sizeof(*to));
    conn_set_timeout(d->conn, timeout);
    assert_int_equal(conn_write(d->conn, "ping", 4), OK); /* waits until it stands */
    assert_int_equal(loop_run(d->loop), OK);
    conn_destroy(d->conn);
    loop_destroy(d->loop);
    assert_int_equal(d->ends, 1);
}

struct answer {
    int fd;
    struct sockaddr_storage from;
    bool good;
};

static void *answering(void *arg)
{
    struct answer *a = arg;
    socklen_t len = sizeof(a->from);
    int fd = accept(a->fd, (struct sockaddr *)&a->from, &len);
    char b[4];

    a->good = recv(fd, b, 4, MSG_WAITALL) == 4 && memcmp(b, "ping", 4) == 0 && send(fd, "pong", 4, 0) == 4 &&
              recv(fd, b, 1, 0) == 0;
    close(fd);
    return NULL;
}

static void test_stands(void **state)
{
    const int families[] = {AF_INET, AF_INET, AF_INET6};
    struct sockaddr_storage from = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&from;

    v4->sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.9", &v4->sin_addr);
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_storage to;
        struct answer a = {.fd = listener(families[i], &to, 5)};
        struct dial d;
        pthread_t t;
        char text[INET6_ADDRSTRLEN];

        if (a.fd < 0 && families[i] == AF_INET6)
            continue; /* a machine without it */
        assert_true(a.fd >= 0);
        pthread_create(&t, NULL, answering, &a);
        dial_run(&d, &to, i == 1 ? &from : NULL, 0);
        pthread_join(t, NULL);
        close(a.fd);
        assert_true(a.good);
        assert_int_equal(d.why, CONN_DONE);
        assert_true(d.drains >= 1);
        assert_memory_equal(d.got, "pong", 4);
        addr_to_text(&a.from, text);
        assert_string_equal(text, i == 0 ? "127.0.0.1" : i == 1 ? "127.0.0.9" : "::1");
    }
}

static void test_refused(void **state)
{
    struct sockaddr_storage to, from = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&from;
    struct dial d;
    int fd = listener(AF_INET, &to, 5);

    close(fd);
    dial_run(&d, &to, NULL, 0);
    assert_int_equal(d.why, CONN_ERROR);
    assert_int_equal(d.sys_errno, ECONNREFUSED);
    assert_int_equal(d.drains, 0);
    /* An address that is not ours to speak from: it fails at once, and is told from the loop all the same. */
    v4->sin_family = AF_INET;
    inet_pton(AF_INET, "192.0.2.1", &v4->sin_addr);
    dial_run(&d, &to, &from, 0);
    assert_int_equal(d.why, CONN_ERROR);
    assert_int_equal(d.sys_errno, EADDRNOTAVAIL);
}

/* A listener whose queue is full drops what else would connect: it hangs. */
static void test_hangs(void **state)
{
    struct sockaddr_storage to;
    int fd = listener(AF_INET, &to, 0), fill[8];
    struct dial d;

    for (size_t i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)&to, sizeof(struct sockaddr_in));
    }
    dial_run(&d, &to, NULL, 200);
    assert_int_equal(d.why, CONN_TIMEOUT);
    assert_int_equal(d.drains, 0);
    for (size_t i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

static void test_destroyed_while_it_begins(void **state)
{
    struct sockaddr_storage to;
    int fd = listener(AF_INET, &to, 5);
    struct loop *l = loop_create();
    struct dial d = {.loop = l};

    for (int i = 0; i < 2; i++) {
        d.conn = conn_connect(l, &to, NULL, &small, &dial_ops, &d);
        assert_non_null(d.conn);
        if (i)
            assert_int_equal(conn_start_tls_client(d.conn, &(struct tls_verify){.sni = ""}), ERR_CONFLICT);
        conn_destroy(d.conn);
        close(fd);
    }
    loop_destroy(l);
    assert_int_equal(d.ends, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stands),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_destroyed_while_it_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
