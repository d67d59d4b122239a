/* Master's eye on the store's file. A vault is started only on the file that the server began with: its readers have
 * that one mapped, and another in its place would give them another past. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/core/error.h"
#include "server/master/log.h"
#include "server/master/impl.h"
#include "store/look.h"

enum { SAY_EVERY_MS = 60000, WHY_CAP = 2400 };

static int stat_file(const struct master *m, char path[1024], struct stat *ret)
{
    snprintf(path, 1024, "%s/store/data.mdb", m->dir);
    return stat(path, ret) == 0 ? OK : ERR_IO;
}

int store_take(struct master *m, char *why, size_t why_cap)
{
    char path[1024];
    struct stat st;
    int err = store_look(m->dir, why, why_cap);

    if (err == OK && stat_file(m, path, &st) != OK) {
        snprintf(why, why_cap, "the store's file %s: %s", path, strerror(errno));
        err = ERR_IO;
    }
    if (err == OK)
        m->store = (struct store_seen){.dev = st.st_dev, .ino = st.st_ino, .size = st.st_size};
    return err;
}

/* What is wrong with the file that was taken, by its name. */
static int same_file(struct master *m, char *why)
{
    char path[1024];
    struct stat st;

    if (stat_file(m, path, &st) != OK) {
        snprintf(why, WHY_CAP, "the store's file %s: %s", path, strerror(errno));
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    }
    if (st.st_dev != m->store.dev || st.st_ino != m->store.ino) {
        snprintf(why, WHY_CAP, "the store's file %s is another than the one that is served", path);
        return ERR_NOT_FOUND;
    }
    if (st.st_size < m->store.size) {
        snprintf(why, WHY_CAP, "the store's file %s was cut short from %" PRIdMAX " to %" PRIdMAX " bytes", path,
                 (intmax_t)m->store.size, (intmax_t)st.st_size);
        return ERR_FORMAT;
    }
    m->store.size = st.st_size;
    return OK;
}

/* Once a minute, however often it is asked. */
static void say(struct master *m, const char *what, const char *why)
{
    uint64_t now = loop_now_ms(m->loop);

    m->store.unsaid++;
    if (m->store.said_ms && now - m->store.said_ms < SAY_EVERY_MS)
        return;
    log_error("%s%s (%u times)", why, what, m->store.unsaid);
    m->store.said_ms = now;
    m->store.unsaid = 0;
}

void store_watch(struct master *m)
{
    char why[WHY_CAP];
    int err = same_file(m, why);

    if (err == ERR_NOT_FOUND)
        say(m, ": no mail is taken; letterlock backup still copies what the server has open. Then stop it", why);
    else if (err != OK)
        say(m, "", why);
}

void store_mind(struct master *m, mind_fn *fn, void *arg)
{
    char why[WHY_CAP];

    if (same_file(m, why) != OK)
        fn(arg, false, why);
}

int store_again(struct master *m)
{
    char why[WHY_CAP];
    int err = same_file(m, why);

    if (err == OK)
        err = store_look(m->dir, why, sizeof(why));
    if (err == ERR_NOT_FOUND || err == ERR_FORMAT || err == ERR_VERSION) {
        log_error("the server ends: %s", why);
        return ERR_GONE;
    }
    if (err != OK)
        say(m, "; it is tried again", why);
    return err;
}
