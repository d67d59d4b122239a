/* The listening sockets. All instances of a role accept from the same socket rather than from one each
 * (SO_REUSEPORT): when an instance dies or stops, what waits in the queue is taken up by the others, and nothing
 * is bound to a number of instances. A few processes wake for one connection, which is cheap beside a TLS
 * handshake. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/impl.h"

enum {
    BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
    /* Octets that the kernel takes of a connection beyond those on their way. For a client that asks and never reads it
     * would else keep megabytes. Connections have it from the socket that they are accepted from. */
    UNSENT_MAX = 128 * 1024,
};

static int address_of(const char *text, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *ret_len = sizeof(*v4);
        return OK;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *ret_len = sizeof(*v6);
        return OK;
    }
    return ERR_FORMAT;
}

/* "::" serves IPv4 too. */
static int open_one(const char *bind_to, uint16_t port, int *ret_fd)
{
    const int on = 1, off = 0, unsent = UNSENT_MAX;
    struct sockaddr_storage a;
    socklen_t len;
    int fd;

    if (address_of(bind_to, port, &a, &len) != OK) {
        errno = EINVAL;
        return ERR_FORMAT;
    }
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_IO;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (a.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) != 0 ||
        bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return ERR_IO;
    }
    *ret_fd = fd;
    return OK;
}

int listeners_open(const struct config *c, int ret[LISTENERS], char *why, size_t why_cap)
{
    int fds[LISTENERS];

    for (int i = 0; i < LISTENERS; i++)
        fds[i] = -1;
    for (int i = 0; i < LISTENERS; i++) {
        uint32_t port = c->port_base + listeners_table[i].port;
        if (!listener_wanted((enum listener)i, c))
            continue;
        if (port <= UINT16_MAX && open_one(c->bind, (uint16_t)port, &fds[i]) == OK)
            continue;
        snprintf(why, why_cap, "cannot listen for %s on %s port %u: %s%s", listeners_table[i].name, c->bind, port,
                 port > UINT16_MAX ? "no such port" : strerror(errno),
                 errno == EADDRINUSE      ? " (what is it? ss -ltnp says)"
                 : errno == EACCES        ? " (ports below 1024 need root)"
                 : errno == EADDRNOTAVAIL ? " (bind names an address that this machine does not have)"
                                          : "");
        for (int k = 0; k < LISTENERS; k++)
            if (fds[k] >= 0)
                close(fds[k]);
        return ERR_IO;
    }
    memcpy(ret, fds, sizeof(fds));
    return OK;
}

int tallies_open(const struct config *c, struct tallies ret[ROLES])
{
    for (int role = 0; role < ROLES; role++) {
        struct tallies *t = &ret[role];
        uint32_t n = roles_table[role].listeners ? role_instances((enum role)role, c) : 1;

        randombytes_buf(t->key, sizeof(t->key));
        while (n > 1 && t->n < n) {
            if (tally_page(t->key, &t->own[t->n], &t->read[t->n]) != OK)
                return ERR_MEMORY;
            t->n++;
        }
    }
    return OK;
}

void tallies_close(struct tallies t[ROLES])
{
    for (int role = 0; role < ROLES; role++)
        while (t[role].n) {
            close(t[role].own[--t[role].n]);
            close(t[role].read[t[role].n]);
        }
}
