/* letterlock backup and restore. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/cli/cli.h"

int command_backup(struct cli *c)
{
    struct instance i;
    char path[600];
    if (mkdir(c->arg[0], 0700))
        return cli_fail(c, "cannot make the folder %s: %s", c->arg[0], strerror(errno));
    int rc = instance_open(c, INSTANCE_VAULT, &i);
    if (rc) {
        rmdir(c->arg[0]);
        return rc;
    }
    snprintf(path, sizeof path, "%s/data.mdb", c->arg[0]);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = cli_fail(c, "cannot make %s: %s", path, strerror(errno));
    } else {
        uint8_t none[1];
        struct pack p;
        struct unpack body;
        pack_init(&p, none, sizeof none);
        rc = instance_call(c, &i, VAULT_BACKUP, &p, fd, &body);
        if (!rc)
            printf("%s: %" PRIu64 " bytes\n", path, unpack_u64(&body));
        close(fd);
        if (rc)
            unlink(path);
    }
    snprintf(path, sizeof path, "%s/letterlock.conf", c->arg[0]);
    if (!rc && cli_write_file(path, i.config_text, i.config_len, 0600, true))
        rc = cli_fail(c, "cannot write %s", path);
    if (rc)
        rmdir(c->arg[0]);
    else
        printf("The store key is not in it: keep %s/store.key, and what opens it, elsewhere.\n", c->dir);
    instance_close(&i);
    return rc;
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err = out < 0 ? ERR_IO : OK;
    while (!err) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
        if (n < 0)
            err = ERR_IO;
        if (n <= 0)
            break;
    }
    if (!err && fsync(out) < 0)
        err = ERR_IO;
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return err;
}

int command_restore(struct cli *c)
{
    char from[600], store[600], to[620];
    snprintf(from, sizeof from, "%s/data.mdb", c->arg[0]);
    snprintf(store, sizeof store, "%s/store", c->dir);
    snprintf(to, sizeof to, "%s/data.mdb", store);
    if (access(from, R_OK))
        return cli_fail(c, "%s is not a backup: it has no data.mdb that can be read", c->arg[0]);
    if (!access(to, F_OK))
        return cli_fail(c, "%s holds a store already: move it away first", store);
    if (mkdir(store, 0700) && errno != EEXIST)
        return cli_fail(c, "cannot make %s: %s", store, strerror(errno));
    /* Under another name until it is whole, so that a broken copy is never taken for a store. */
    char part[640];
    snprintf(part, sizeof part, "%s.part", to);
    unlink(part);
    if (copy_file(from, part) || rename(part, to)) {
        unlink(part);
        return cli_fail(c, "copying the store failed: %s", strerror(errno));
    }
    struct instance i;
    int rc = instance_open(c, INSTANCE_VAULT, &i);
    if (!rc) {
        uint8_t none[1];
        struct pack p;
        pack_init(&p, none, sizeof none);
        rc = instance_call(c, &i, VAULT_RESTORED, &p, -1, NULL);
        instance_close(&i);
    }
    if (rc)
        unlink(to);
    return rc;
}
