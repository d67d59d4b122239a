/* Reload: read and check everything again, and only then let the roles know. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/master/impl.h"

/* What is fixed when a process starts, or a socket is bound. */
static bool needs_restart(const struct config *a, const struct config *b)
{
    return strcmp(a->bind, b->bind) != 0 || a->port_base != b->port_base || a->smtp != b->smtp ||
           a->submission != b->submission || a->imap != b->imap || a->imaps != b->imaps ||
           a->role_uid_base != b->role_uid_base || a->ingest_instances != b->ingest_instances ||
           a->access_instances != b->access_instances || a->map_size != b->map_size ||
           a->reader_turn_ms != b->reader_turn_ms || a->allow_no_landlock != b->allow_no_landlock;
}

int reload(struct master *m, char *why, size_t why_cap)
{
    struct files f;
    int err = files_load(m->dir, &f, why, why_cap);

    if (err != OK) {
        log_error("reload refused, the old configuration stays: %s", why);
        return err;
    }
    snprintf(
        why, why_cap, "%s",
        needs_restart(&m->files.config, &f.config)
            ? "changes of addresses, ports, listeners, instances, uids or the store's sizes count from the next start"
            : "");
    files_free(&m->files);
    m->files = f;
    config_set_log(&m->files.config, "master");
    roles_reloaded(m);
    log_info("reloaded%s%s", *why ? ": " : "", why);
    return OK;
}
