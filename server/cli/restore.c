/* letterlock restore: the store of DIR from a backup. It is made ready in a folder of its own, DIR/restore, and becomes
 * DIR/store by one rename, when every mailbox has its new UIDVALIDITY: a restore that is cut short leaves no store.
 * Where DIR/store is a file system of its own, that folder is DIR/store/restore, and the file alone is renamed. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/cli/cli.h"
#include "server/cli/queue.h"
#include "server/master/master.h"
#include "server/master/offline.h"
#include "store/client.h"

enum { COPY_STEP = 1 << 20 };

struct places {
    char from[CLI_PATH_MAX];                                                    /* SOURCE/data.mdb */
    char store[CLI_PATH_MAX], data[CLI_PATH_MAX];                               /* DIR/store, DIR/store/data.mdb */
    char work[CLI_PATH_MAX], work_store[CLI_PATH_MAX], work_data[CLI_PATH_MAX]; /* DIR/restore and so on */
    bool mounted; /* DIR/store is a file system of its own */
};

static int find_places(const struct cli *c, struct places *p)
{
    if (cli_join(c->arg[0], "data.mdb", p->from))
        return cli_fail(c, "the path of SOURCE is too long");
    cli_path(c, "store", p->store);
    cli_path(c, "store/data.mdb", p->data);
    p->mounted = !access(p->store, F_OK) && !cli_same_file_system(c->dir, p->store);
    cli_path(c, p->mounted ? "store/restore" : "restore", p->work);
    cli_path(c, p->mounted ? "store/restore/store" : "restore/store", p->work_store);
    cli_path(c, p->mounted ? "store/restore/store/data.mdb" : "restore/store/data.mdb", p->work_data);
    return EXIT_DONE;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_work(const struct places *p)
{
    nftw(p->work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int copy(int in, int out)
{
    char *piece = malloc(COPY_STEP);
    int err = piece ? OK : ERR_MEMORY;
    while (!err) {
        ssize_t n = read(in, piece, COPY_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = ERR_IO;
        if (n <= 0)
            break;
        for (ssize_t at = 0; at < n && !err;) {
            ssize_t put = write(out, piece + at, (size_t)(n - at));
            if (put < 0 && errno != EINTR)
                err = ERR_IO;
            at += put > 0 ? put : 0;
        }
    }
    free(piece);
    return !err && fsync(out) < 0 ? ERR_IO : err;
}

static int copy_file(const struct cli *c, const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), rc = EXIT_DONE;
    if (in < 0)
        return cli_fail(c, "cannot read %s: %s", from, strerror(errno));
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0 || copy(in, out))
        rc = cli_fail(c, "copying the store to %s failed: %s", to, strerror(errno));
    if (out >= 0)
        close(out);
    close(in);
    return rc;
}

/* What waited to be sent may have been sent since. */
static int hold_queue(const struct cli *c, struct instance *i, const struct places *p, int vault)
{
    struct record_keys *keys = record_keys_create(i->keys);
    struct view *v = NULL;
    int err = keys ? view_open(p->work, i->keys, i->config.reader_turn_ms, &v) : ERR_MEMORY;
    const struct queue_tools tools = {v, vault, keys};
    if (!err)
        err = queue_hold_all(&tools);
    if (v)
        view_close(v);
    record_keys_destroy(keys);
    return err ? cli_fail(c, "the mail that waits to be sent could not be held: %s", err_str(err)) : EXIT_DONE;
}

/* A vault on DIR/restore gives every mailbox its new UIDVALIDITY. */
static int renew(const struct cli *c, struct instance *i, const struct places *p)
{
    static const struct vault_request q = {.type = VAULT_RESTORED};
    struct offline *offline;
    char why[CLI_WHY_MAX] = "";
    struct offline_params params = instance_offline(c, i);
    params.dir = p->work;
    params.upgrade = true;
    int vault, err = offline_vault(&params, &offline, &vault, why, sizeof(why));
    if (err == ERR_FORMAT || err == ERR_GONE)
        return cli_fail(c, "the backup %s is damaged", c->arg[0]);
    if (err == ERR_VERSION || err == ERR_OLD || err == ERR_CRYPTO)
        return cli_fail(c, "the backup %s cannot be used: %s", c->arg[0], instance_fault(err));
    if (err)
        return cli_fail(c, "no vault on %s: %s", p->work, *why ? why : err_str(err));
    int rc = cli_upgrade(c, vault);
    err = rc ? OK : vault_call(vault, &q, -1, NULL, why);
    if (!rc && !err)
        rc = hold_queue(c, i, p, vault);
    offline_stop(offline);
    close(vault);
    return rc    ? rc
           : err ? cli_fail(c, "the mailboxes could not be given new UIDVALIDITYs: %s", *why ? why : err_str(err))
                 : EXIT_DONE;
}

static bool is_empty(const char *path)
{
    struct stat st;
    return !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_size == 0;
}

/* rename replaces an empty folder only. */
static int put_in_place(const struct cli *c, const struct places *p)
{
    static const char *const beside[] = {"store/lock.mdb", "store/reserve"}; /* without data.mdb they say nothing */
    char path[CLI_PATH_MAX];
    for (size_t k = 0; k < sizeof(beside) / sizeof(*beside); k++) {
        cli_path(c, beside[k], path);
        unlink(path);
    }
    if (is_empty(p->data))
        unlink(p->data);
    if (p->mounted ? rename(p->work_data, p->data) : rename(p->work_store, p->store))
        return cli_fail(c, "cannot put the store in place as %s: %s", p->store,
                        errno == ENOTEMPTY || errno == EEXIST ? "other files are there; move them away"
                                                              : strerror(errno));
    const char *changed = p->mounted ? p->store : c->dir;
    int dir = open(changed, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir))
        cli_mind(c, "%s could not be synced: %s", changed, strerror(errno));
    if (dir >= 0)
        close(dir);
    return EXIT_DONE;
}

static int restore(struct cli *c, struct instance *i, const struct places *p)
{
    if (!access(p->data, F_OK) && !is_empty(p->data))
        return cli_fail(c, "%s holds a store already: move it away first", p->store);
    remove_work(p); /* of a restore that was cut short */
    /* 0711, as DIR: the vault's own uid passes through. */
    if (mkdir(p->work, 0711) || chmod(p->work, 0711) || mkdir(p->work_store, 0700))
        return cli_fail(c, "cannot make %s: %s", p->work_store, strerror(errno));
    int rc = copy_file(c, p->from, p->work_data);
    if (!rc)
        rc = renew(c, i, p);
    if (!rc)
        rc = put_in_place(c, p);
    remove_work(p);
    if (!rc)
        puts("What was done since that backup is undone: keys and app passwords that were ended since count again.\n"
             "letterlock key list and letterlock app-password list show them.\n"
             "Mail that waited to be sent is held, since it may have been sent: letterlock queue list shows it, and\n"
             "letterlock queue release lets it go.");
    return rc;
}

int command_restore(struct cli *c)
{
    struct instance i;
    struct places p;
    struct dir_lock lock;
    int rc = find_places(c, &p);
    if (rc)
        return rc;
    struct stat st;
    if (stat(p.from, &st) || access(p.from, R_OK))
        return cli_fail(c, "%s is not a backup that can be read: %s: %s", c->arg[0], p.from, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return cli_fail(c, "%s is not a backup: %s is empty", c->arg[0], p.from);
    rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    char why[CLI_WHY_MAX] = "";
    if (i.running) {
        rc = cli_fail(c, "a server is at work on %s: end it first", c->dir);
    } else if (dir_lock(c->dir, &lock, why, sizeof(why))) {
        rc = cli_fail(c, "%s", why);
    } else {
        rc = restore(c, &i, &p);
        dir_unlock(&lock);
    }
    instance_close(&i);
    return rc;
}
