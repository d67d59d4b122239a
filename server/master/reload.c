/* Reload: read and check everything again, and only then let the roles know. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/master/notify.h"

struct lines {
    char *text;
    size_t cap;
};

static void add_line(void *arg, bool hint, const char *sentence)
{
    struct lines *l = arg;
    size_t len = strlen(l->text);

    if (hint)
        return;
    log_warn("%s", sentence);
    if (len + strlen(sentence) + 2 <= l->cap)
        snprintf(l->text + len, l->cap - len, "%s%s", len ? "\n" : "", sentence);
}

static int take_over(struct master *m, char *why, size_t why_cap)
{
    struct config running = m->files.config;
    char late[512];
    struct files f;
    int err = files_load(m->dir, m->files.certs, &f, why, why_cap);

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
    mind_files(m->dir, &m->files, add_line, &(struct lines){why, why_cap});
    return OK;
}

int reload(struct master *m, char *why, size_t why_cap)
{
    int err;

    notify("RELOADING=1");
    err = take_over(m, why, why_cap);
    notify("READY=1");
    return err;
}
