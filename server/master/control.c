/* The command line's side of the control socket. */
#include "server/master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/master/control_path.h"

enum { REPLY_MS = 15000 };

int control_address(const char *dir, struct sockaddr_un *ret)
{
    char path[1024];
    int fd;

    if (snprintf(path, sizeof(path), "%s/run", dir) >= (int)sizeof(path))
        return -1;
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/control", fd);
    return fd;
}

int control_connect(const char *dir, int *ret_fd)
{
    struct sockaddr_un a;
    int at = control_address(dir, &a), fd, r;

    if (at < 0)
        return errno == EACCES ? ERR_DENIED : ERR_NOT_FOUND;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    r = fd < 0                                               ? ERR_IO
        : connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? OK
        : errno == ENOENT || errno == ECONNREFUSED           ? ERR_NOT_FOUND /* refused: a dead server's socket file */
        : errno == EACCES || errno == EPERM                  ? ERR_DENIED
                                                             : ERR_IO;
    close(at);
    if (r == OK)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return r;
}

static int call(int fd, enum control_msg msg, const void *payload, size_t len, unsigned char *reply,
                unsigned long *ret_len, int *ret_fd)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    int err = ipc_send_blocking(fd, msg, 1, payload, len, NULL, 0);

    if (err == OK)
        err = ipc_recv_blocking(fd, buf, &m, REPLY_MS);
    if (err != OK)
        return err;
    if (m.type != CONTROL_REPLY || m.id != 1)
        err = ERR_FORMAT;
    else if (m.payload.len > *ret_len)
        err = ERR_LIMIT;
    for (unsigned i = 0; i < m.nfds; i++)
        if (err != OK || i > 0)
            close(m.fds[i]);
    if (err != OK)
        return err;
    memcpy(reply, m.payload.data, m.payload.len);
    *ret_len = m.payload.len;
    *ret_fd = m.nfds ? m.fds[0] : -1;
    return OK;
}

int control_call(int fd, enum control_msg msg, unsigned char *reply, unsigned long *ret_len, int *ret_fd)
{
    return call(fd, msg, NULL, 0, reply, ret_len, ret_fd);
}

int control_ask(int fd, enum control_msg msg, const void *payload, unsigned long len, unsigned char *reply,
                unsigned long *ret_len)
{
    int none = -1, err = call(fd, msg, payload, len, reply, ret_len, &none);

    if (none >= 0)
        close(none);
    return err;
}
