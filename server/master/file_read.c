#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/master/impl.h"

/* Some are keys; the others do no harm there. */
int file_read(const char *dir, const struct file_kind *kind, const char *name, size_t max, char **ret, size_t *ret_len,
              char *why, size_t why_cap)
{
    char path[1100], *data;
    size_t len = 0;
    int fd, err;

    snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : dir, name[0] == '/' ? "" : "/", name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        snprintf(why, why_cap, "%s %s: %s%s%s", kind->name, path, strerror(errno), errno == ENOENT ? "; " : "",
                 errno == ENOENT ? kind->missing : "");
        return ERR_IO;
    }
    data = sodium_malloc(max + 1);
    err = data ? read_to_end(fd, READ_ALL, data, max + 1, &len) : ERR_MEMORY;
    if (err != OK)
        snprintf(why, why_cap, "%s %s: %s", kind->name, path, strerror(errno));
    else if (len > max)
        snprintf(why, why_cap, "%s %s: it is larger than %zu bytes", kind->name, path, max);
    close(fd);
    if (err == OK && len > max)
        err = ERR_LIMIT;
    if (err != OK) {
        sodium_free(data);
        return err;
    }
    *ret = data;
    *ret_len = len;
    return OK;
}
