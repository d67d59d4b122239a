/* A role for the time of one command. */
#include "server/master/offline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/master/log_pipe.h"
#include "server/master/master.h"
#include "server/master/spawn.h"
#include "store/look.h"

enum { READY_MS = 30000, STOP_MS = 10000, STEP_MS = 5 };

struct offline {
    struct dir_lock lock;
    pid_t pid;
    int channel;
    struct log_pipe *log;
};

static struct offline *offline_create(void)
{
    struct offline *o = calloc(1, sizeof(*o));

    if (o) {
        o->lock = (struct dir_lock){-1, -1};
        o->channel = -1;
    }
    return o;
}

/* Starts the role with one channel of a pair as its first client. */
static int start(struct offline *o, const struct offline_params *from, struct spawn_params *p, int *ret_channel)
{
    int pair[2], log = -1, r = ipc_pair(pair);

    if (r != OK)
        return r;
    for (int i = 0; i < LISTENERS; i++)
        p->listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p->peers[i] = -1;
    p->peers[ROLE_MASTER] = pair[1];
    if (from->peer != ROLE_MASTER)
        p->peers[from->peer] = from->peer_fd;
    p->peer_admin = true;
    r = spawn_role(p, &o->pid, &o->channel, &log);
    close(pair[1]);
    if (r == OK && !(o->log = log_pipe_create(NULL, log, p->role, -1)))
        r = ERR_MEMORY;
    if (r == OK)
        r = spawn_wait_ready(o->channel, READY_MS);
    if (r == OK)
        *ret_channel = pair[0];
    else
        close(pair[0]);
    return r;
}

/* What the vault that ended has said by its exit status. */
static int last_word(struct offline *o)
{
    static const int said[] = {
        [ROLE_EXIT_KEY] = ERR_CRYPTO, [ROLE_EXIT_VERSION] = ERR_VERSION, [ROLE_EXIT_STORE] = ERR_FORMAT,
        [ROLE_EXIT_OLD] = ERR_OLD,    [ROLE_EXIT_UPGRADE] = ERR_UPGRADE,
    };
    int status;

    if (waitpid(o->pid, &status, 0) != o->pid)
        return ERR_GONE;
    o->pid = 0;
    size_t code = WIFEXITED(status) ? (size_t)WEXITSTATUS(status) : 0;
    return code < sizeof(said) / sizeof(said[0]) && said[code] ? said[code] : ERR_GONE;
}

int offline_vault(const struct offline_params *from, struct offline **ret, int *ret_vault, char *why, size_t why_cap)
{
    struct spawn_params p = {.role = ROLE_VAULT,
                             .config = from->config,
                             .config_text = from->config_text,
                             .config_len = from->config_len,
                             .keys = from->keys,
                             .upgrade = from->upgrade,
                             .make = from->make};
    char absolute[4096];
    struct offline *o = offline_create();
    int err = OK;

    if (!o)
        return ERR_MEMORY;
    if (!realpath(from->dir, absolute)) {
        snprintf(why, why_cap, "%s: %s", from->dir, strerror(errno));
        offline_stop(o);
        return ERR_NOT_FOUND;
    }
    p.dir = absolute;
    if (!from->held)
        err = dir_lock(absolute, &o->lock, why, why_cap);
    if (err == OK && !from->make)
        err = store_look(absolute, why, why_cap);
    if (err != OK) {
        offline_stop(o);
        return err;
    }
    p.lock_fd = from->held ? from->held->file : o->lock.file;
    err = start(o, from, &p, ret_vault);
    if (err == ERR_GONE)
        err = last_word(o);
    if (err != OK) {
        snprintf(why, why_cap, "the vault did not start (its own words are above)");
        offline_stop(o);
        return err;
    }
    *ret = o;
    return OK;
}

int offline_role(enum role role, const struct offline_params *from, struct offline **ret, int *ret_channel, char *why,
                 size_t why_cap)
{
    struct spawn_params p = {.role = role,
                             .dir = from->dir,
                             .config = from->config,
                             .config_text = from->config_text,
                             .config_len = from->config_len};
    char absolute[4096];
    struct offline *o = offline_create();
    int err;

    if (!o)
        return ERR_MEMORY;
    if (realpath(from->dir, absolute))
        p.dir = absolute;
    err = start(o, from, &p, ret_channel);
    if (err != OK) {
        snprintf(why, why_cap, "the role %s did not start (its own words are above)", role_name(role));
        offline_stop(o);
        return err;
    }
    *ret = o;
    return OK;
}

/* STOP, then patience, then force: what was answered is on disk either way. */
static void end_role(struct offline *o)
{
    const struct timespec step = {0, STEP_MS * 1000000L};

    if (ipc_send_blocking(o->channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0) != OK)
        kill(o->pid, SIGKILL);
    for (int waited = 0; waitpid(o->pid, NULL, WNOHANG) == 0; waited += STEP_MS) {
        if (waited == STOP_MS)
            kill(o->pid, SIGKILL);
        nanosleep(&step, NULL);
    }
}

void offline_stop(struct offline *o)
{
    if (!o)
        return;
    if (o->pid)
        end_role(o);
    log_pipe_destroy(o->log);
    if (o->channel >= 0)
        close(o->channel);
    dir_unlock(&o->lock);
    free(o);
}
