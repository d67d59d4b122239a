#include "server/master/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int supervisor = -1;

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;

    if (len < 2 || len >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(a.sun_path, path, len + 1);
    if (path[0] == '@') /* an abstract name */
        a.sun_path[0] = '\0';
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (supervisor >= 0 &&
        connect(supervisor, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
        notify_close();
}

void notify(const char *state)
{
    if (supervisor >= 0)
        (void)send(supervisor, state, strlen(state), MSG_NOSIGNAL);
}

void notify_close(void)
{
    if (supervisor >= 0)
        close(supervisor);
    supervisor = -1;
}
