/* The instance's lock: one server, or one command that writes, at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/master.h"

enum { WAIT_MS = 2000, STEP_MS = 20 };

int dir_lock(const char *dir, int *ret_fd)
{
    const struct timespec step = {0, STEP_MS * 1000000L};
    char path[1024];
    int fd;

    if (snprintf(path, sizeof(path), "%s/run", dir) >= (int)sizeof(path) - 8)
        return ERR_LIMIT;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return ERR_IO;
    snprintf(path, sizeof(path), "%s/run/lock", dir);
    /* Only for reading: the roles hold it too, and those that see plaintext are to have nothing to write it to. */
    fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ERR_IO;
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            close(fd);
            return ERR_IO;
        }
        if (waited >= WAIT_MS) {
            close(fd);
            return ERR_CONFLICT;
        }
        nanosleep(&step, NULL);
    }
    *ret_fd = fd;
    return OK;
}
