/* Files, secrets and small outputs of the command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/cli/cli.h"

int cli_read_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
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
            char *larger = malloc(cap * 2 + 1); /* not realloc: what is left behind may be a secret */
            if (larger) {
                memcpy(larger, data, len);
                explicit_bzero(data, len);
                free(data);
                data = larger, cap *= 2;
            } else {
                err = ERR_MEMORY;
            }
        }
    }
    if (err) {
        if (data)
            explicit_bzero(data, len);
        free(data);
        return err;
    }
    data[len] = 0;
    *ret = data;
    *ret_len = len;
    return OK;
}

int cli_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    int err = cli_read_fd(fd, max, ret, ret_len), why = errno;
    close(fd);
    errno = why;
    return err;
}

int cli_read_given(const char *path, size_t max, char **ret, size_t *ret_len)
{
    return strcmp(path, "-") == 0 ? cli_read_fd(STDIN_FILENO, max, ret, ret_len)
                                  : cli_read_file(path, max, ret, ret_len);
}

int cli_each(struct cli *c, int (*one)(struct cli *c, const char *arg))
{
    int rc = EXIT_DONE;
    for (size_t i = 0; i < c->nargs; i++) {
        const int status = one(c, c->arg[i]);
        if (status != EXIT_DONE)
            rc = status;
    }
    return rc;
}

static int write_whole(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        p += n, len -= (size_t)n;
    }
    return OK;
}

int cli_write_file(const char *path, const void *data, size_t len, unsigned mode)
{
    char part[CLI_PATH_MAX];
    if ((size_t)snprintf(part, sizeof(part), "%s.new", path) >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    if (access(path, F_OK) == 0)
        return ERR_EXISTS;
    unlink(part); /* left over from a command that was cut short */
    int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC | O_EXCL | O_NOFOLLOW, mode);
    if (fd < 0)
        return ERR_IO;
    int err = write_whole(fd, data, len);
    if (!err && fsync(fd) < 0)
        err = ERR_IO;
    if (close(fd) < 0)
        err = ERR_IO;
    if (!err && renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) < 0) {
        /* Some file systems know no such rename; then the look above has to do. */
        if (errno == EEXIST)
            err = ERR_EXISTS;
        else if (errno != EINVAL || rename(part, path) < 0)
            err = ERR_IO;
    }
    if (err) {
        int why = errno;
        unlink(part);
        errno = why;
    }
    return err;
}

int cli_read_secret(const char *path, char *out, size_t cap)
{
    char *text;
    size_t len;
    int err = cli_read_file(path, 64 * 1024, &text, &len);
    if (err)
        return err;
    size_t n = strcspn(text, "\r\n");
    if (n == 0)
        err = ERR_FORMAT;
    else if (n >= cap)
        err = ERR_LIMIT;
    else
        memcpy(out, text, n), out[n] = 0;
    explicit_bzero(text, len);
    free(text);
    return err;
}

const char *cli_secret_fault(int err)
{
    return err == ERR_FORMAT  ? "its first line is empty"
           : err == ERR_LIMIT ? "it is too long (at most 1023 bytes)"
           : err == ERR_IO    ? strerror(errno)
                              : err_str(err);
}

int cli_join(const char *dir, const char *name, char out[CLI_PATH_MAX])
{
    return (size_t)snprintf(out, CLI_PATH_MAX, "%s/%s", dir, name) < CLI_PATH_MAX ? OK : ERR_LIMIT;
}

void cli_path(const struct cli *c, const char *name, char out[CLI_PATH_MAX])
{
    snprintf(out, CLI_PATH_MAX, "%s%s%s", name[0] == '/' ? "" : c->dir, name[0] == '/' ? "" : "/", name);
}

int cli_resolve(const char *path, char *out, size_t cap)
{
    char *whole = realpath(path, NULL);
    if (!whole)
        return ERR_NOT_FOUND;
    int err = strlen(whole) < cap ? OK : ERR_LIMIT;
    if (!err)
        strcpy(out, whole);
    free(whole);
    return err;
}

bool cli_same_file_system(const char *a, const char *b)
{
    struct stat sa, sb;
    return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev;
}

const char *storekey_slot_name(unsigned slot)
{
    static const char *const names[] = {"?", "passphrase", "key file", "systemd credential"};
    return names[slot < sizeof(names) / sizeof(names[0]) ? slot : 0];
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

void cli_tame(char *text)
{
    utf8_tame(text, strlen(text));
}

void cli_print_fpr(FILE *out, const uint8_t *fpr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02X", fpr[i]);
}
