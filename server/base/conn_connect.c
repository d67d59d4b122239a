/* Connections of our own making. See conn.h. */
#include <errno.h>
#include <unistd.h>

#include "server/base/conn_impl.h"
#include "server/base/conn_io.h"

static socklen_t size_of(const struct sockaddr_storage *ss)
{
    return ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* errno, 0: it stands or is under way. */
static int begin(int fd, const struct sockaddr_storage *to, const struct sockaddr_storage *from)
{
    if (from && bind(fd, (const struct sockaddr *)from, size_of(from)) != 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)to, size_of(to)) != 0 && errno != EINPROGRESS && errno != EINTR)
        return errno;
    return 0;
}

struct conn *conn_connect(struct loop *l, const struct sockaddr_storage *to, const struct sockaddr_storage *from,
                          const struct conn_params *p, const struct conn_ops *ops, void *arg)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct conn *c;

    if (fd < 0)
        return NULL;
    c = conn_new(l, fd, LOOP_WRITE, p, ops, arg);
    if (!c) {
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    conn_io_set_tcp(fd);
    c->peer = *to;
    c->state = CONNECTING;
    c->sys_errno = begin(fd, to, from);
    if (c->sys_errno)
        conn_work_later(c); /* on_end comes from the loop, never from in here */
    return c;
}

void conn_local(const struct conn *c, struct sockaddr_storage *ret)
{
    socklen_t len = sizeof(*ret);

    *ret = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (c->fd < 0 || getsockname(c->fd, (struct sockaddr *)ret, &len) != 0)
        ret->ss_family = AF_UNSPEC;
}
