/* A store's data file of any octets: the answer is one of those promised, and a file that was called whole stays whole
 * when more is put behind it. The walk over all pages ends, and agrees. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/lmdb_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static const uint8_t more[65536];
    struct lmdb_file f = {0};
    if (fd < 0)
        fd = memfd_create("file", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    int err = lmdb_file_check(fd, &f);
    if (err != OK && err != ERR_NOT_FOUND && err != ERR_LIMIT && err != ERR_FORMAT && err != ERR_VERSION)
        abort();
    if ((err == ERR_NOT_FOUND) != (size == 0) || (err == ERR_LIMIT && f.want <= f.have))
        abort();
    struct lmdb_walk w = {0};
    int walked = lmdb_file_walk(fd, NULL, NULL, &w);
    if (walked == OK && !w.faults && err != OK)
        abort(); /* what the walk finds no fault in is whole */
    if ((walked == ERR_NOT_FOUND) != (size == 0) || (walked == OK && w.free > w.pages))
        abort();
    if (err != OK)
        return 0;
    if (pwrite(fd, more, sizeof(more), (off_t)size) != (ssize_t)sizeof(more) || lmdb_file_check(fd, &f) != OK)
        abort();
    return 0;
}
