/* letterlock backup: a hot, compacted copy of the store and the configuration. The store's copy has its name only when
 * it is whole, so what a backup that was cut short leaves is not taken for one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

static int copy_store(const struct cli *c, struct instance *i, const char *path, uint64_t *ret_bytes)
{
    static const struct vault_request q = {.type = VAULT_BACKUP};
    struct vault_reply r;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return cli_fail(c, "cannot make %s: %s", path, strerror(errno));
    int rc = instance_call(c, i, &q, fd, &r);
    if (!rc)
        *ret_bytes = r.bytes;
    close(fd);
    return rc;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = fd < 0 || fsync(fd) ? ERR_IO : OK;
    if (fd >= 0)
        close(fd);
    return err;
}

int cli_backup(const struct cli *c, struct instance *i, const char *target)
{
    char store[CLI_PATH_MAX], part[CLI_PATH_MAX], config[CLI_PATH_MAX];
    uint64_t bytes = 0;
    if (cli_join(target, "data.mdb", store) || cli_join(target, "data.mdb.part", part) ||
        cli_join(target, "letterlock.conf", config))
        return cli_fail(c, "the path of %s is too long", target);
    if (mkdir(target, 0700))
        return cli_fail(c, "cannot make the folder %s: %s", target,
                        errno == EEXIST ? "it exists; name a new one" : strerror(errno));
    int rc = copy_store(c, i, part, &bytes);
    if (!rc && cli_write_file(config, i->config_text, i->config_len, 0600))
        rc = cli_fail(c, "cannot write %s: %s", config, strerror(errno));
    if (!rc && rename(part, store))
        rc = cli_fail(c, "cannot make %s: %s", store, strerror(errno));
    if (!rc && sync_folder(target))
        rc = cli_fail(c, "cannot sync %s: %s", target, strerror(errno));
    if (rc) {
        unlink(part);
        unlink(store);
        unlink(config);
        rmdir(target);
        return rc;
    }
    printf("%s: %" PRIu64 " bytes\n", store, bytes);
    printf("The store key is not in it: keep %s/store.key, %s/queue.key, and what opens them, elsewhere.\n", c->dir,
           c->dir);
    return EXIT_DONE;
}

int command_backup(struct cli *c)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = cli_backup(c, &i, c->arg[0]);
    instance_close(&i);
    return rc;
}
