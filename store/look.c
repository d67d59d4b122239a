#include "store/look.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/lmdb_file.h"

#define GET_IT_BACK "mount its disk or put it back; where it is lost, letterlock restore makes it from a backup"
#define SET_ASIDE "put the whole file back, or move it away and have letterlock restore make it from a backup"

static int fail_with_errno(const char *what, const char *path, char *why, size_t why_cap)
{
    int e = errno;
    if (e == ENOENT || e == ENOTDIR) {
        snprintf(why, why_cap, "there is no store: %s %s is not there; " GET_IT_BACK, what, path);
        return ERR_NOT_FOUND;
    }
    snprintf(why, why_cap, "%s %s: %s%s", what, path, strerror(e),
             e == EACCES  ? "; run this as root, or as the owner of the instance"
             : e == EROFS ? "; mount it for writing"
             : e == EIO   ? "; look at the disk (dmesg)"
                          : "");
    return e == EACCES || e == EPERM || e == EROFS ? ERR_DENIED : e == ENOMEM ? ERR_MEMORY : ERR_IO;
}

static int look_inside(int fd, const char *path, char *why, size_t why_cap)
{
    struct lmdb_file f;
    int err = lmdb_file_check(fd, &f);
    switch (err) {
    case OK: break;
    case ERR_NOT_FOUND: snprintf(why, why_cap, "there is no store: the file %s is empty; " GET_IT_BACK, path); break;
    case ERR_LIMIT:
        snprintf(why, why_cap,
                 "the store's file %s is cut short: it has %" PRIu64 " bytes, and at least %" PRIu64
                 " belong to it; " SET_ASIDE,
                 path, f.have, f.want);
        err = ERR_FORMAT;
        break;
    case ERR_FORMAT: snprintf(why, why_cap, "%s is damaged, or not a store; " SET_ASIDE, path); break;
    case ERR_VERSION:
        snprintf(why, why_cap, "%s is of another version of LMDB; use the one that wrote it", path);
        break;
    case ERR_IO: err = fail_with_errno("the store's file", path, why, why_cap); break;
    default: snprintf(why, why_cap, "the store's file %s: %s", path, err_str(err)); break;
    }
    return err;
}

/* Gives the store's file open. */
static int look_at(const char *dir, char *why, size_t why_cap, int *ret_fd)
{
    char folder[1024], path[1024];
    struct stat st;
    int n = snprintf(folder, sizeof(folder), "%s/store", dir);
    int m = snprintf(path, sizeof(path), "%s/store/data.mdb", dir);
    if (n < 0 || m < 0 || (size_t)m >= sizeof(path)) {
        snprintf(why, why_cap, "the path of %s is too long", dir);
        return ERR_LIMIT;
    }
    if (stat(folder, &st) != 0)
        return fail_with_errno("the store's folder", folder, why, why_cap);
    if (geteuid() == 0 && lstat(folder, &st) == 0 &&
        S_ISLNK(st.st_mode)) { /* root hands it over, and follows no links */
        snprintf(why, why_cap,
                 "the store's folder %s is a symbolic link; put a folder there, and mount --bind the place "
                 "on it",
                 folder);
        return ERR_FORMAT;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_with_errno("the store's file", path, why, why_cap);
    int err = OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(why, why_cap, "%s is not a file; " SET_ASIDE, path);
        err = ERR_FORMAT;
    } else if (access(path, W_OK) != 0 || access(folder, W_OK) != 0) {
        err = fail_with_errno("the store's file", path, why, why_cap);
    }
    if (!err)
        err = look_inside(fd, path, why, why_cap);
    if (err)
        close(fd);
    else
        *ret_fd = fd;
    return err;
}

int store_look(const char *dir, char *why, size_t why_cap)
{
    int fd, err = look_at(dir, why, why_cap, &fd);
    if (!err)
        close(fd);
    return err;
}

int store_walk(const char *dir, void (*fault)(void *arg, uint64_t page, const char *what), void *arg,
               uint64_t *ret_pages, char *why, size_t why_cap)
{
    struct lmdb_walk walk;
    int fd, err = look_at(dir, why, why_cap, &fd);
    if (err)
        return err;
    err = lmdb_file_walk(fd, fault, arg, &walk);
    close(fd);
    if (err)
        snprintf(why, why_cap, "the store's file cannot be read: %s", err_str(err));
    else
        *ret_pages = walk.pages;
    return err;
}
