/* Files, secrets and small outputs of the command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "crypto/secmem.h"
#include "server/base/error.h"
#include "server/cli/cli.h"

int cli_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    size_t len = 0, cap = 4096;
    char *data = malloc(cap + 1);
    int err = data ? OK : ERR_MEMORY;
    while (!err) {
        ssize_t n = read(fd, data + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = ERR_IO;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (len > max)
            err = ERR_LIMIT;
        if (!err && len == cap) {
            char *larger = realloc(data, cap * 2 + 1);
            if (larger)
                data = larger, cap *= 2;
            else
                err = ERR_MEMORY;
        }
    }
    close(fd);
    if (err) {
        free(data);
        return err;
    }
    data[len] = 0;
    *ret = data;
    *ret_len = len;
    return OK;
}

int cli_write_file(const char *path, const void *data, size_t len, unsigned mode, bool exclusive)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (exclusive ? O_EXCL : O_TRUNC), mode);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : ERR_IO;
    int err = OK;
    const char *p = data;
    while (len && !err) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            err = ERR_IO;
        else
            p += n, len -= (size_t)n;
    }
    if (!err && fsync(fd) < 0)
        err = ERR_IO;
    if (close(fd) < 0)
        err = ERR_IO;
    return err;
}

int cli_ask_secret(const char *prompt, char *out, size_t cap)
{
    FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty)
        return ERR_UNSUPPORTED;
    struct termios old, quiet;
    int have = tcgetattr(fileno(tty), &old) == 0;
    if (have) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    }
    fprintf(tty, "%s: ", prompt);
    fflush(tty);
    char *line = fgets(out, (int)cap, tty);
    if (have)
        tcsetattr(fileno(tty), TCSAFLUSH, &old);
    fputc('\n', tty);
    fclose(tty);
    if (!line)
        return ERR_IO;
    out[strcspn(out, "\r\n")] = 0;
    return OK;
}

int cli_memfd(const void *data, size_t len)
{
    int fd = memfd_create("certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    const char *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        p += n;
        len -= (size_t)n;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    return fd;
}

void cli_print_fpr(const uint8_t *fpr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02X", fpr[i]);
}
