/* The instance's lock: one server, or one command that writes, at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/master.h"

enum { WAIT_MS = 2000, STEP_MS = 20 };

static int fail(const char *what, const char *path, char *why, size_t why_cap)
{
    int e = errno;
    snprintf(why, why_cap, "%s %s: %s%s", what, path, strerror(e),
             e == EACCES                  ? "; run this as root, or as the owner of the instance"
             : e == EROFS                 ? "; mount it for writing"
             : e == ENOSPC || e == EDQUOT ? "; make room"
                                          : "");
    return ERR_IO;
}

static int lock_wait(int fd)
{
    const struct timespec step = {0, STEP_MS * 1000000L};

    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERR_IO;
        if (waited >= WAIT_MS)
            return ERR_CONFLICT;
        nanosleep(&step, NULL);
    }
    return OK;
}

/* Only for reading: the roles hold the file's too, and those that see plaintext are to have nothing to write it to. */
static int take(const char *dir, const char *path, int flags, int *ret_fd, char *why, size_t why_cap)
{
    int err, fd = open(path, O_RDONLY | O_CLOEXEC | flags, 0600);

    if (fd < 0)
        return fail("cannot open the instance's lock", path, why, why_cap);
    err = lock_wait(fd);
    if (err == OK) {
        *ret_fd = fd;
        return OK;
    }
    if (err == ERR_CONFLICT)
        snprintf(why, why_cap, "a server or another command is at work on %s (%s is locked); end it first", dir, path);
    else
        (void)fail("cannot lock", path, why, why_cap);
    close(fd);
    return err;
}

int dir_lock(const char *dir, struct dir_lock *ret, char *why, size_t why_cap)
{
    struct dir_lock l = {-1, -1};
    char path[1024];
    int err;

    if (snprintf(path, sizeof(path), "%s/run", dir) >= (int)sizeof(path) - 8) {
        snprintf(why, why_cap, "the path of %s is too long", dir);
        return ERR_LIMIT;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail("cannot make the run folder", path, why, why_cap);
    snprintf(path, sizeof(path), "%s/run/lock", dir);
    err = take(dir, path, O_CREAT | O_NOFOLLOW, &l.file, why, why_cap);
    if (err == OK)
        err = take(dir, dir, O_DIRECTORY, &l.dir, why, why_cap);
    if (err == OK)
        *ret = l;
    else
        dir_unlock(&l);
    return err;
}

void dir_unlock(struct dir_lock *l)
{
    if (l->file >= 0)
        close(l->file);
    if (l->dir >= 0)
        close(l->dir);
    *l = (struct dir_lock){-1, -1};
}

bool dir_locked(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;

    if (fd >= 0)
        close(fd);
    return locked;
}
