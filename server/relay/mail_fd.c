#include "server/relay/mail_fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"

static int write_all(int fd, const struct secmem_msg *m)
{
    for (const struct secmem_chunk *c = m->first; c; c = c->next)
        for (size_t done = 0; done < c->len;) {
            ssize_t n = write(fd, c->data + done, c->len - done);
            if (n <= 0)
                return ERR_MEMORY;
            done += (size_t)n;
        }
    return OK;
}

int mail_fd_make(const struct secmem_msg *m, int *ret_fd)
{
    int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int err = fd < 0 ? ERR_MEMORY : write_all(fd, m);

    if (err == OK && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        err = ERR_IO;
    if (err == OK)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return err;
}
