/* letterlock upgrade: a store that an older version of this schema wrote is brought up to date, in the vault, after a
 * backup. Each step is written down in the commit that ends it, so one that is cut short goes on where it was. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/master/offline.h"
#include "store/client.h"

enum { SAY_COMMITS = 256 };

int cli_upgrade(const struct cli *c, int vault)
{
    static const struct vault_request q = {.type = VAULT_UPGRADE};
    const bool shows = isatty(STDERR_FILENO);
    struct vault_reply r = {0};
    for (uint64_t commits = 1; commits == 1 || r.upgraded.more; commits++) {
        char text[256] = "";
        const uint32_t before = r.upgraded.done;
        int err = vault_call(vault, &q, -1, &r, text);
        if (err)
            return cli_fail(c, "the step at work has failed (%s); run letterlock upgrade again",
                            *text ? text : err_str(err));
        if (shows && r.upgraded.more && commits % SAY_COMMITS == 0)
            fprintf(stderr, "%" PRIu64 " commits\r", commits);
        if (r.upgraded.what.len && r.upgraded.done != before)
            printf("step %" PRIu32 " of %" PRIu32 " is done: %.*s\n", r.upgraded.done, r.upgraded.steps,
                   (int)r.upgraded.what.len, (const char *)r.upgraded.what.data);
    }
    return EXIT_DONE;
}

static int backup_first(const struct cli *c, struct instance *i)
{
    char target[CLI_PATH_MAX + 32], copy[CLI_PATH_MAX + 64], absolute[CLI_PATH_MAX];
    if (c->opt[OPT_NO_BACKUP])
        return EXIT_DONE;
    if (c->opt[OPT_BACKUP])
        return cli_backup(c, i, c->opt[OPT_BACKUP]);
    if (cli_resolve(c->dir, absolute, sizeof(absolute)))
        return cli_fail(c, "cannot resolve %s", c->dir);
    snprintf(target, sizeof(target), "%s.before-upgrade", absolute);
    snprintf(copy, sizeof(copy), "%s/data.mdb", target);
    if (!access(copy, F_OK))
        return cli_fail(c,
                        "%s holds a copy already: give --no-backup to go on with an upgrade that was cut short after "
                        "it, or --backup TARGET for another one",
                        target);
    if (!access(target, F_OK))
        return cli_fail(c, "%s is there and holds no whole copy: remove it, or give --backup TARGET", target);
    return cli_backup(c, i, target);
}

/* ret_due: there is something to do. A copy that was not opened since is judged by the vault first. */
static int look(const struct cli *c, struct instance *i, bool *ret_due)
{
    char why[CLI_WHY_MAX];
    int err = instance_view(c, i, why);
    *ret_due = err == ERR_UPGRADE || err == ERR_CONFLICT;
    return err && !*ret_due ? cli_fail(c, "%s", why) : EXIT_DONE;
}

static int upgrade(const struct cli *c, struct instance *i)
{
    char why[CLI_WHY_MAX] = "";
    bool due;
    int rc = look(c, i, &due);
    if (rc)
        return rc;
    if (due) {
        struct offline_params p = instance_offline(c, i);
        p.upgrade = true;
        if (offline_vault(&p, &i->offline, &i->vault, why, sizeof(why)))
            return cli_fail(c, "%s", why);
        rc = look(c, i, &due);
    }
    if (!rc && due)
        rc = backup_first(c, i);
    if (!rc && due)
        rc = cli_upgrade(c, i->vault);
    else if (!rc)
        puts("The store is up to date: nothing was to do.");
    return rc;
}

int command_upgrade(struct cli *c)
{
    struct instance i;
    if (c->opt[OPT_BACKUP] && c->opt[OPT_NO_BACKUP])
        return cli_usage(c, "give --backup or --no-backup, not both");
    int rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    rc = upgrade(c, &i);
    instance_close(&i);
    return rc;
}
