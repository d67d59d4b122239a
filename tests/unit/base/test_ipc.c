/* Channels: order under a flood, descriptors, limits, hostile bytes, and owners that destroy in their callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/base/ipc.h"

struct side {
    struct loop *loop;
    struct ipc *ipc;
    uint64_t next, stop_at;
    size_t bytes;
    int closes, refuse_at;
    bool destroy_in_message, destroy_in_close, echo;
    int taken[IPC_MAX_FDS];
    unsigned nfds;
};

static uint8_t large[IPC_MAX + 1];

static unsigned open_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int on_message(void *arg, struct ipc_msg *msg)
{
    struct side *s = arg;

    assert_int_equal(msg->id, s->next);
    assert_int_equal(msg->type, (uint32_t)(msg->id ^ 0xa5a5a5a5));
    for (size_t i = 0; i < msg->payload.len; i += 4096)
        assert_int_equal(msg->payload.data[i], (uint8_t)(i / 4096));
    s->next++;
    s->bytes += msg->payload.len;
    s->nfds = msg->nfds;
    for (unsigned i = 0; i < msg->nfds; i++) {
        assert_true(fcntl(msg->fds[i], F_GETFD) & FD_CLOEXEC);
        if (i % 2 == 0) {
            s->taken[i] = msg->fds[i];
            msg->fds[i] = -1;
        }
    }
    if (s->echo)
        assert_int_equal(ipc_send(s->ipc, msg->type, msg->id, msg->payload.data, msg->payload.len, NULL, 0), OK);
    if (s->next == s->stop_at)
        loop_stop(s->loop);
    if (s->destroy_in_message) {
        ipc_destroy(s->ipc);
        s->ipc = NULL;
        loop_stop(s->loop);
    }
    return s->refuse_at && s->next == (uint64_t)s->refuse_at ? ERR_FORMAT : OK;
}

static void on_close(void *arg)
{
    struct side *s = arg;

    s->closes++;
    assert_true(ipc_peer_gone(s->ipc));
    assert_int_equal(ipc_send(s->ipc, 1, 1, NULL, 0, NULL, 0), ERR_GONE);
    if (s->destroy_in_close) {
        ipc_destroy(s->ipc);
        s->ipc = NULL;
    }
    loop_stop(s->loop);
}

static const struct ipc_ops ops = {on_message, on_close};

static void pair(struct side *a, struct side *b)
{
    int fds[2];

    memset(a, 0, sizeof(*a));
    memset(b, 0, sizeof(*b));
    assert_int_equal(ipc_pair(fds), OK);
    a->loop = b->loop = loop_create();
    a->ipc = ipc_create(a->loop, fds[0], &ops, a);
    b->ipc = ipc_create(b->loop, fds[1], &ops, b);
    assert_non_null(a->ipc);
    assert_non_null(b->ipc);
}

/* One end is raw. */
static int raw_pair(struct side *a)
{
    int fds[2];

    memset(a, 0, sizeof(*a));
    assert_int_equal(ipc_pair(fds), OK);
    a->loop = loop_create();
    a->ipc = ipc_create(a->loop, fds[0], &ops, a);
    return fds[1];
}

static void done(struct side *a, struct side *b)
{
    ipc_destroy(a->ipc);
    if (b)
        ipc_destroy(b->ipc);
    loop_destroy(a->loop);
}

static int put(struct ipc *c, uint64_t id, size_t len)
{
    return ipc_send(c, (uint32_t)(id ^ 0xa5a5a5a5), id, large, len, NULL, 0);
}

/* More than the socket takes: the rest waits in the queue, in order, and is echoed. */
static void test_flood_in_order(void **state)
{
    struct side a, b;
    size_t sum = 0;

    pair(&a, &b);
    a.echo = true;
    b.stop_at = 20000;
    for (uint64_t i = 0; i < 20000; i++) {
        size_t len = i % 100 == 0 ? IPC_MAX : i % 200;

        assert_int_equal(put(b.ipc, i, i < 10000 ? len % 300 : i % 200), OK);
        sum += i < 10000 ? len % 300 : i % 200;
    }
    assert_int_equal(loop_run(a.loop), OK);
    assert_int_equal(a.next, 20000);
    assert_int_equal(b.next, 20000);
    assert_int_equal(b.bytes, sum);
    done(&a, &b);
}

static void test_largest_and_too_large(void **state)
{
    struct side a, b;
    int fds[IPC_MAX_FDS + 1] = {0};

    pair(&a, &b);
    a.stop_at = 30;
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(put(b.ipc, i, IPC_MAX), OK);
    assert_int_equal(put(b.ipc, 30, IPC_MAX + 1), ERR_LIMIT);
    assert_int_equal(ipc_send(b.ipc, 1, 1, NULL, 0, fds, IPC_MAX_FDS + 1), ERR_LIMIT);
    assert_int_equal(loop_run(a.loop), OK);
    assert_int_equal(a.bytes, 30 * IPC_MAX);
    done(&a, &b);
}

static void test_queue_limit(void **state)
{
    struct side a, b;
    uint64_t n = 0;
    int err;

    pair(&a, &b);
    while ((err = put(b.ipc, n, IPC_MAX)) == OK)
        assert_in_range(++n, 1, 1000);
    assert_int_equal(err, ERR_FULL);
    assert_true(n * IPC_MAX >= IPC_QUEUE_MAX - IPC_MAX);
    a.stop_at = n;
    assert_int_equal(loop_run(a.loop), OK); /* what was accepted arrives, whole and in order */
    assert_int_equal(a.next, n);
    assert_int_equal(put(b.ipc, n, 10), OK); /* and there is room again */
    a.stop_at = n + 1;
    assert_int_equal(loop_run(a.loop), OK);
    done(&a, &b);
}

static void test_descriptors(void **state)
{
    unsigned before = open_fds();
    struct side a, b;
    int fds[IPC_MAX_FDS];

    pair(&a, &b);
    for (uint64_t i = 0; i < 40; i++) { /* direct at first, then queued with duplicates */
        for (int k = 0; k < IPC_MAX_FDS; k++)
            fds[k] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        assert_int_equal(ipc_send(b.ipc, (uint32_t)(i ^ 0xa5a5a5a5), i, large, i % 2 ? IPC_MAX : 0, fds, i % 5), OK);
        for (int k = 0; k < IPC_MAX_FDS; k++)
            close(fds[k]);
    }
    for (uint64_t i = 0; i < 40; i++) {
        a.stop_at = i + 1;
        a.nfds = 0;
        if (a.next < a.stop_at)
            assert_int_equal(loop_run(a.loop), OK);
    }
    assert_int_equal(a.next, 40);
    done(&a, &b);
    for (int fd = 3; fd < 200; fd++) { /* those that the callbacks took */
        char link[64], to[64] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, to, sizeof(to) - 1) > 0 && strcmp(to, "/dev/zero") == 0)
            close(fd);
    }
    assert_int_equal(open_fds(), before);
}

static void test_peer_closes_after_sending(void **state)
{
    struct side a, b;

    pair(&a, &b);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(put(b.ipc, i, 100), OK);
    ipc_destroy(b.ipc);
    b.ipc = NULL;
    assert_int_equal(ipc_send(a.ipc, 1, 1, NULL, 0, NULL, 0), ERR_GONE); /* our sending fails first */
    a.destroy_in_close = true;
    assert_int_equal(loop_run(a.loop), OK);
    assert_int_equal(a.next, 100); /* and still all is heard */
    assert_int_equal(a.closes, 1);
    done(&a, &b);
}

static void test_hostile_messages(void **state)
{
    for (int kind = 0; kind < 6; kind++) {
        unsigned before = open_fds();
        struct side a;
        int raw = raw_pair(&a);
        union {
            struct cmsghdr h;
            char room[CMSG_SPACE(40 * sizeof(int))];
        } control = {0};
        struct iovec iov = {large, 64};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

        switch (kind) {
        case 0: /* shorter than a header */ assert_int_equal(send(raw, large, 11, 0), 11); break;
        case 1: /* empty */ assert_int_equal(send(raw, large, 0, 0), 0); break;
        case 2: /* one byte too large */
            iov.iov_base = calloc(1, IPC_MAX + 13);
            iov.iov_len = IPC_MAX + 13;
            assert_int_equal(sendmsg(raw, &m, 0), IPC_MAX + 13);
            free(iov.iov_base);
            break;
        case 3:                       /* more descriptors than allowed */
            m.msg_control = &control; /* the kernel sees to it that all of them are closed */
            m.msg_controllen = CMSG_SPACE(40 * sizeof(int));
            control.h.cmsg_level = SOL_SOCKET;
            control.h.cmsg_type = SCM_RIGHTS;
            control.h.cmsg_len = CMSG_LEN(40 * sizeof(int));
            for (int i = 0; i < 40; i++)
                memcpy(CMSG_DATA(&control.h) + (size_t)i * sizeof(int), &raw, sizeof(int));
            assert_int_equal(sendmsg(raw, &m, 0), 64);
            break;
        case 4: /* far too large */
            iov.iov_base = calloc(1, 150000);
            iov.iov_len = 150000;
            assert_int_equal(sendmsg(raw, &m, 0), 150000);
            free(iov.iov_base);
            break;
        case 5: /* stops reading: nothing can be answered */
            shutdown(raw, SHUT_RD);
            assert_int_equal(ipc_send(a.ipc, 1, 1, NULL, 0, NULL, 0), ERR_GONE);
            break;
        }
        assert_int_equal(loop_run(a.loop), OK);
        assert_int_equal(a.closes, 1);
        assert_int_equal(a.next, 0);
        done(&a, NULL);
        close(raw);
        assert_int_equal(open_fds(), before);
    }
}

static void test_refused_message_ends_the_channel(void **state)
{
    struct side a, b;

    pair(&a, &b);
    a.refuse_at = 3;
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(put(b.ipc, i, 5), OK);
    assert_int_equal(loop_run(a.loop), OK);
    assert_int_equal(a.next, 3);
    assert_int_equal(a.closes, 1);
    done(&a, &b);
}

static void test_destroy_in_message(void **state)
{
    struct side a, b;

    pair(&a, &b);
    a.destroy_in_message = true;
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(put(b.ipc, i, 5), OK);
    assert_int_equal(loop_run(a.loop), OK);
    assert_int_equal(a.next, 1);
    assert_int_equal(a.closes, 0);
    done(&a, &b);
}

/* No descriptor is left for those that come: the message cannot be whole, so the channel ends. */
static void test_out_of_descriptors(void **state)
{
    struct rlimit old, few;
    struct side a;
    int raw = raw_pair(&a), fds[1] = {raw};

    assert_int_equal(ipc_send_blocking(raw, 1, 1, NULL, 0, fds, 1), OK);
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = (rlim_t)raw + 1;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int i = 0; i < 20; i++)
        (void)!dup(raw); /* fill what holes there are */
    assert_int_equal(loop_run(a.loop), OK);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.next, 0);
    done(&a, NULL);
    close(raw);
}

static void test_blocking(void **state)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg msg = {.type = 77};
    int fds[2];

    assert_int_equal(ipc_pair(fds), OK);
    assert_int_equal(ipc_recv_blocking(fds[1], buf, &msg, 0), ERR_TIMEOUT);
    assert_int_equal(ipc_recv_blocking(fds[1], buf, &msg, 30), ERR_TIMEOUT);
    assert_int_equal(msg.type, 77); /* untouched on failure */
    assert_int_equal(ipc_send_blocking(fds[0], 5, 6, large, IPC_MAX, fds, 2), OK);
    assert_int_equal(ipc_send_blocking(fds[0], 5, 6, large, IPC_MAX + 1, NULL, 0), ERR_LIMIT);
    assert_int_equal(ipc_recv_blocking(fds[1], buf, &msg, -1), OK);
    assert_int_equal(msg.type, 5);
    assert_int_equal(msg.id, 6);
    assert_int_equal(msg.payload.len, IPC_MAX);
    assert_int_equal(msg.nfds, 2);
    close(msg.fds[0]);
    close(msg.fds[1]);
    assert_int_equal(send(fds[0], "short", 5, 0), 5);
    assert_int_equal(ipc_recv_blocking(fds[1], buf, &msg, -1), ERR_FORMAT);
    close(fds[0]);
    assert_int_equal(ipc_recv_blocking(fds[1], buf, &msg, -1), ERR_GONE);
    assert_int_equal(ipc_send_blocking(fds[1], 1, 1, NULL, 0, NULL, 0), ERR_GONE);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_in_order),
        cmocka_unit_test(test_largest_and_too_large),
        cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_peer_closes_after_sending),
        cmocka_unit_test(test_hostile_messages),
        cmocka_unit_test(test_refused_message_ends_the_channel),
        cmocka_unit_test(test_destroy_in_message),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_blocking),
    };

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i / 4096);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
