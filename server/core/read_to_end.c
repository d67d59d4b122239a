#include "server/core/read_to_end.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"

int read_to_end(int fd, int stop, void *out, size_t cap, size_t *ret_len)
{
    char *at = out;
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, at + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        len += (size_t)n;
        if (stop != READ_ALL && memchr(at + len - (size_t)n, stop, (size_t)n))
            break;
    }
    *ret_len = len;
    return OK;
}
