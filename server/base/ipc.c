/* Channels between processes. The fast path allocates nothing: a message goes out by sendmsg at once and comes in
 * through one static buffer; only what the socket does not take is queued, with duplicates of its descriptors. */
#include "server/base/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"

enum {
    HEADER = 12,
    TURN_MESSAGES = 64, /* read from one channel before the others have their turn */
    TURN_BYTES = 1024 * 1024,
    LAST_MESSAGES = 4096, /* read from a channel whose peer has stopped listening */
    SOCKET_BUFFER = 1024 * 1024,
    RETRY_MS = 20, /* the kernel is short of memory or of descriptors in flight */
};

struct out {
    struct out *next;
    size_t len;
    unsigned nfds;
    int fds[IPC_MAX_FDS];
    uint8_t data[];
};

struct ipc {
    struct loop *loop;
    int fd;
    struct watch *watch;
    struct timer *retry; /* made when it is first needed */
    struct defer close;
    const struct ipc_ops *ops;
    void *arg;
    struct out *queue, **queue_tail;
    size_t queued;
    bool gone;       /* nothing can be sent any more; on_close is due or was called */
    bool *destroyed; /* set by ipc_destroy for the function that is calling out */
};

union control {
    struct cmsghdr align;
    char data[CMSG_SPACE(IPC_MAX_FDS * sizeof(int))];
};

static void ipc_over_later(struct ipc *c);

int ipc_pair(int ret_fds[2])
{
    const int size = SOCKET_BUFFER;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return ERR_IO;
    for (int i = 0; i < 2; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
            (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* the default holds IPC_MAX too */
    memcpy(ret_fds, fds, sizeof(fds));
    return OK;
}

static void fds_close(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void header_put(uint8_t out[HEADER], uint32_t type, uint64_t id)
{
    struct pack p;

    pack_init(&p, out, HEADER);
    pack_u32(&p, type);
    pack_u64(&p, id);
}

/* One sendmsg. ERR_AGAIN: the socket is full; ERR_MEMORY: the kernel is short; ERR_LIMIT; ERR_GONE. */
static int send_now(int fd, struct iovec *iov, size_t niov, const int *fds, unsigned nfds)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = niov};
    union control control;
    ssize_t n;

    if (nfds) {
        struct cmsghdr *h;

        memset(&control, 0, sizeof(control));
        m.msg_control = control.data;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
    }
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return OK;
    switch (errno) {
    case EAGAIN: return ERR_AGAIN;
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS: return ERR_MEMORY;
    case EMSGSIZE: return ERR_LIMIT;
    case EBADF: /* of the caller's descriptors, or ours: a bug either way, but not worth a process */
        return ERR_CONFLICT;
    default: return ERR_GONE;
    }
}

/* One recvmsg of iov. Returns bytes, or ERR_AGAIN, ERR_GONE, ERR_FORMAT; descriptors are stored only with bytes. */
static ssize_t recv_now(int fd, struct iovec *iov, size_t niov, int fds[IPC_MAX_FDS], unsigned *nfds)
{
    union control control;
    struct msghdr m = {.msg_iov = iov,
                       .msg_iovlen = niov,
                       .msg_control = control.data,
                       .msg_controllen = sizeof(control.data)};
    ssize_t n;

    *nfds = 0;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? ERR_AGAIN : ERR_GONE;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        size_t count;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len < CMSG_LEN(0))
            continue;
        count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && *nfds < IPC_MAX_FDS; i++)
            memcpy(&fds[(*nfds)++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
    }
    if (n == 0 || n < HEADER || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        fds_close(fds, *nfds);
        *nfds = 0;
        return n == 0 ? ERR_GONE : ERR_FORMAT;
    }
    return n;
}

static void out_free(struct out *o)
{
    fds_close(o->fds, o->nfds);
    explicit_bzero(o->data, o->len);
    free(o);
}

static void queue_drop(struct ipc *c)
{
    struct out *o, *next;

    for (o = c->queue; o; o = next) {
        next = o->next;
        out_free(o);
    }
    c->queue = NULL;
    c->queue_tail = &c->queue;
    c->queued = 0;
}

static void ipc_retry(void *arg);

/* Asks to be called when the rest of the queue may go. */
static void queue_wait(struct ipc *c, int why)
{
    unsigned events = LOOP_READ;

    if (c->queue && why == ERR_MEMORY) {
        /* The socket is writable, so waiting for that would spin. */
        if (!c->retry)
            c->retry = timer_create_in(c->loop, ipc_retry, c);
        if (c->retry)
            timer_set(c->retry, RETRY_MS);
        else
            events |= LOOP_WRITE;
    } else if (c->queue) {
        events |= LOOP_WRITE;
    }
    watch_set(c->watch, events);
}

static void queue_flush(struct ipc *c)
{
    int err = OK;

    while (c->queue) {
        struct out *o = c->queue;
        struct iovec iov = {o->data, o->len};

        err = send_now(c->fd, &iov, 1, o->fds, o->nfds);
        if (err == ERR_AGAIN || err == ERR_MEMORY)
            break;
        if (err != OK) {
            ipc_over_later(c);
            return;
        }
        c->queue = o->next;
        if (!c->queue)
            c->queue_tail = &c->queue;
        c->queued -= sizeof(*o) + o->len;
        out_free(o);
    }
    queue_wait(c, err);
}

static void ipc_retry(void *arg)
{
    struct ipc *c = arg;

    if (!c->gone)
        queue_flush(c);
}

static int queue_add(struct ipc *c, const struct iovec iov[2], const int *fds, unsigned nfds)
{
    size_t len = iov[0].iov_len + iov[1].iov_len;
    struct out *o;

    if (c->queued + sizeof(*o) + len > IPC_QUEUE_MAX)
        return ERR_FULL;
    o = malloc(sizeof(*o) + len);
    if (!o)
        return ERR_MEMORY;
    o->next = NULL;
    o->len = len;
    memcpy(o->data, iov[0].iov_base, iov[0].iov_len);
    if (iov[1].iov_len)
        memcpy(o->data + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
    for (o->nfds = 0; o->nfds < nfds; o->nfds++) {
        o->fds[o->nfds] = fcntl(fds[o->nfds], F_DUPFD_CLOEXEC, 3);
        if (o->fds[o->nfds] < 0) {
            out_free(o);
            return ERR_MEMORY;
        }
    }
    *c->queue_tail = o;
    c->queue_tail = &o->next;
    c->queued += sizeof(*o) + len;
    return OK;
}

int ipc_send(struct ipc *c, uint32_t type, uint64_t id, const void *payload, size_t len, const int *fds, unsigned nfds)
{
    uint8_t header[HEADER];
    struct iovec iov[2] = {{header, HEADER}, {(void *)(uintptr_t)payload, len}};
    bool first = !c->queue;
    int err = ERR_AGAIN;

    if (len > IPC_MAX || nfds > IPC_MAX_FDS)
        return ERR_LIMIT;
    if (c->gone)
        return ERR_GONE;
    header_put(header, type, id);
    if (first) {
        err = send_now(c->fd, iov, len ? 2 : 1, fds, nfds);
        if (err == ERR_GONE)
            ipc_over_later(c);
        if (err != ERR_AGAIN && err != ERR_MEMORY)
            return err;
    }
    if (queue_add(c, iov, fds, nfds) != OK)
        return c->queued + sizeof(struct out) + HEADER + len > IPC_QUEUE_MAX ? ERR_FULL : ERR_MEMORY;
    if (first)
        queue_wait(c, err);
    return OK;
}

static uint8_t in[HEADER + IPC_MAX];

enum after { ALIVE, OVER, DESTROYED };

/* Receives and hands on at most max messages. */
static enum after receive(struct ipc *c, unsigned max)
{
    bool destroyed = false;
    size_t bytes = 0;

    for (unsigned i = 0; i < max && bytes < TURN_BYTES; i++) {
        struct iovec iov = {in, sizeof(in)};
        struct ipc_msg msg;
        struct unpack u;
        ssize_t n = recv_now(c->fd, &iov, 1, msg.fds, &msg.nfds);
        int err;

        if (n < 0)
            return n == ERR_AGAIN ? ALIVE : OVER;
        bytes += (size_t)n;
        unpack_init(&u, in, HEADER);
        msg.type = unpack_u32(&u);
        msg.id = unpack_u64(&u);
        msg.payload = slice_of(in + HEADER, (size_t)n - HEADER);
        c->destroyed = &destroyed;
        err = c->ops->on_message(c->arg, &msg);
        fds_close(msg.fds, msg.nfds);
        explicit_bzero(in, (size_t)n); /* it may have been a key */
        if (destroyed)
            return DESTROYED;
        c->destroyed = NULL;
        if (err != OK)
            return OVER;
    }
    return ALIVE;
}

/* The end of the channel: nothing more is sent or read, and the owner is told, once. */
static void ipc_over(struct ipc *c)
{
    c->gone = true;
    defer_cancel(c->loop, &c->close);
    queue_drop(c);
    if (c->retry)
        timer_set(c->retry, 0);
    watch_set(c->watch, 0);
    c->ops->on_close(c->arg); /* c may be gone now */
}

/* The peer no longer listens, but what it said before is heard. */
static void ipc_last(void *arg)
{
    struct ipc *c = arg;

    if (receive(c, LAST_MESSAGES) != DESTROYED)
        ipc_over(c);
}

static void ipc_over_later(struct ipc *c)
{
    c->gone = true;
    queue_drop(c);
    watch_set(c->watch, 0);
    defer_set(c->loop, &c->close, ipc_last, c);
}

static void ipc_ready(void *arg, unsigned events)
{
    struct ipc *c = arg;

    if (events & LOOP_WRITE)
        queue_flush(c);
    if (!c->gone && events & LOOP_READ && receive(c, TURN_MESSAGES) == OVER)
        ipc_over(c);
}

struct ipc *ipc_create(struct loop *l, int fd, const struct ipc_ops *ops, void *arg)
{
    struct ipc *c = calloc(1, sizeof(*c));

    if (!c || !(c->watch = watch_create(l, fd, LOOP_READ, ipc_ready, c))) {
        free(c);
        close(fd);
        return NULL;
    }
    c->loop = l;
    c->fd = fd;
    c->ops = ops;
    c->arg = arg;
    c->queue_tail = &c->queue;
    return c;
}

void ipc_destroy(struct ipc *c)
{
    if (!c)
        return;
    if (c->destroyed)
        *c->destroyed = true;
    defer_cancel(c->loop, &c->close);
    watch_destroy(c->watch);
    timer_destroy(c->retry);
    queue_drop(c);
    close(c->fd);
    free(c);
}

int ipc_peer_gone(const struct ipc *c)
{
    return c->gone;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t until)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = until < 0 ? -1 : until - now_ms();
        int n;

        if (until >= 0 && left < 0)
            left = 0;
        n = poll(&p, 1, (int)left);
        if (n > 0)
            return OK;
        if (n == 0)
            return ERR_TIMEOUT;
        if (errno != EINTR)
            return ERR_IO;
    }
}

int ipc_send_blocking(int fd, uint32_t type, uint64_t id, const void *payload, size_t len, const int *fds,
                      unsigned nfds)
{
    uint8_t header[HEADER];
    struct iovec iov[2] = {{header, HEADER}, {(void *)(uintptr_t)payload, len}};
    int err;

    if (len > IPC_MAX || nfds > IPC_MAX_FDS)
        return ERR_LIMIT;
    header_put(header, type, id);
    while ((err = send_now(fd, iov, len ? 2 : 1, fds, nfds)) == ERR_AGAIN || err == ERR_MEMORY) {
        if (err == ERR_MEMORY)
            (void)poll(NULL, 0, RETRY_MS);
        else if ((err = wait_for(fd, POLLOUT, -1)) != OK)
            return err;
    }
    return err;
}

int ipc_recv_blocking(int fd, uint8_t *buf, struct ipc_msg *ret_msg, int timeout_ms)
{
    int64_t until = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    uint8_t header[HEADER];
    struct iovec iov[2] = {{header, HEADER}, {buf, IPC_MAX}};
    struct ipc_msg msg = {0};
    struct unpack u;
    ssize_t n;
    int err;

    while ((n = recv_now(fd, iov, 2, msg.fds, &msg.nfds)) == ERR_AGAIN)
        if ((err = wait_for(fd, POLLIN, until)) != OK)
            return err;
    if (n < 0)
        return (int)n;
    unpack_init(&u, header, HEADER);
    msg.type = unpack_u32(&u);
    msg.id = unpack_u64(&u);
    msg.payload = slice_of(buf, (size_t)n - HEADER);
    *ret_msg = msg;
    return OK;
}
