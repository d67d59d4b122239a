/* Reload: read and check everything again, and only then let the roles know. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/master/impl.h"

int reload(struct master *m, char *why, size_t why_cap)
{
    struct config running = m->files.config;
    char late[512];
    struct files f;
    int err = files_load(m->dir, &f, why, why_cap);

    if (err == OK) {
        config_reload(&running, &f.config, late, sizeof(late));
        err = files_use(&f, &running, why, why_cap);
    }
    if (err != OK) {
        log_error("reload refused, the old configuration stays: %s", why);
        return err;
    }
    snprintf(why, why_cap, "%s%s", late, late[0] ? ": takes effect at the next start" : "");
    files_free(&m->files);
    m->files = f;
    config_set_log(&m->files.config, "master");
    limits_raise(&m->files.config);
    roles_reloaded(m);
    log_info("reloaded%s%s", *why ? ": " : "", why);
    return OK;
}
