/* letterlock serve: from DIR to running roles, and to the end. What can be refused is refused before a role is
 * started. */
#include "server/master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/secmem.h"
#include "server/core/error.h"
#include "server/base/sandbox.h"
#include "server/master/impl.h"
#include "server/master/notify.h"
#include "store/storekey.h"

enum { WHY_MAX = 2400, PEERS_MAX = 16384 /* whose failed logins are counted, networks too */ };

static int derive_keys(struct master *m, struct storekey_roots *roots, char *why)
{
    int err = storekey_unlock(m->dir, m->files.config.store_key_file, passphrase_ask, roots, why, WHY_MAX);

    if (err == OK)
        record_bundle_make(roots->store, roots->queue, m->keys);
    return err;
}

/* The roots do not outlive this: nobody who serves can make an approval of it (crypto/approver.h). */
static int take_keys(struct master *m, char *why)
{
    struct storekey_roots *roots = secmem_key_alloc(sizeof(*roots));
    int err = ERR_MEMORY;

    m->keys = secmem_key_alloc(sizeof(*m->keys));
    if (roots && m->keys)
        err = derive_keys(m, roots, why);
    secmem_key_free(roots, sizeof(*roots));
    secmem_wipe_stack();
    return err;
}

static int check_kernel(const struct master *m, char *why)
{
    int abi = sandbox_landlock_abi();

    if (abi >= 2 || m->files.config.allow_no_landlock)
        return OK;
    snprintf(why, WHY_MAX,
             "this kernel offers Landlock ABI %d and 2 is needed (Linux 5.19, and landlock among the kernel's "
             "lsm=): without it, less stands between mail and disk; allow_no_landlock = yes serves all the same",
             abi);
    return ERR_UNSUPPORTED;
}

static void on_terminate(void *arg, int signo)
{
    struct master *m = arg;

    log_info("stopping (signal %d)", signo);
    roles_stop(m);
}

static void on_hangup(void *arg, int signo)
{
    char why[WHY_MAX] = "";
    struct master *m = arg;

    (void)signo;
    if (!m->stopping)
        (void)reload(m, why, sizeof(why));
}

static void on_child(void *arg, int signo)
{
    (void)signo;
    roles_reap(arg);
}

static void on_event(const struct event_record *r)
{
    log_record("master", -1, r);
}

static int make_loop(struct master *m)
{
    m->loop = loop_create();
    if (!m->loop)
        return ERR_MEMORY;
    if (loop_on_signal(m->loop, SIGTERM, on_terminate, m) != OK ||
        loop_on_signal(m->loop, SIGINT, on_terminate, m) != OK || loop_on_signal(m->loop, SIGHUP, on_hangup, m) != OK ||
        loop_on_signal(m->loop, SIGCHLD, on_child, m) != OK)
        return ERR_IO;
    return log_start(m->loop);
}

static int enter_sandbox(const struct master *m, char *why)
{
    const struct sandbox_params p = {.write_dir = m->dir, .allow_no_landlock = m->files.config.allow_no_landlock};
    struct sandbox_fault f = {0};
    int err = sandbox_enter(ROLE_MASTER, &p, &f);

    if (err != OK)
        snprintf(why, WHY_MAX, "%s%s%s", event_word(EVENT_TYPE_SANDBOX, f.why), f.rc ? ": " : "",
                 f.rc ? strerror(f.rc) : "");
    return err;
}

static int prepare(struct master *m, const char *dir, char *why)
{
    char absolute[4096];
    int err;

    if (!realpath(dir, absolute)) {
        snprintf(why, WHY_MAX, "the instance's folder %s: %s", dir, strerror(errno));
        return ERR_NOT_FOUND;
    }
    if (strlen(absolute) >= sizeof(m->dir)) {
        snprintf(why, WHY_MAX, "the path of %s is too long", dir);
        return ERR_LIMIT;
    }
    memcpy(m->dir, absolute, strlen(absolute) + 1);
    err = files_load(m->dir, NULL, &m->files, why, WHY_MAX);
    if (err != OK)
        return err;
    config_set_log(&m->files.config, "master");
    if ((err = check_kernel(m, why)) != OK || (err = dir_lock(m->dir, &m->lock, why, WHY_MAX)) != OK ||
        (err = store_take(m, why, WHY_MAX)) != OK || (err = take_keys(m, why)) != OK)
        return err;
    if ((err = listeners_open(&m->files.config, m->listeners, why, WHY_MAX)) != OK ||
        (err = control_listen(m, why, WHY_MAX)) != OK)
        return err;
    limits_raise(&m->files.config);
    notify_open();
    if ((err = enter_sandbox(m, why)) != OK)
        return err;
    snprintf(why, WHY_MAX, "out of memory");
    if (!(m->throttle = throttle_create(PEERS_MAX)))
        return ERR_MEMORY;
    if ((err = tallies_open(&m->files.config, m->tallies)) != OK || (err = make_loop(m)) != OK ||
        (err = control_start(m)) != OK || (err = roles_create(m)) != OK || (err = watchdog_start(m)) != OK ||
        (err = mind_start(m)) != OK)
        return err;
    return OK;
}

static void finish(struct master *m)
{
    watchdog_end(m);
    mind_end(m);
    notify_close();
    roles_destroy(m);
    control_end(m);
    for (int i = 0; i < LISTENERS; i++)
        if (m->listeners[i] >= 0)
            close(m->listeners[i]);
    throttle_destroy(m->throttle);
    tallies_close(m->tallies);
    event_end();
    log_end();
    loop_destroy(m->loop);
    secmem_key_free(m->keys, sizeof(*m->keys));
    files_free(&m->files);
    if (m->lock.file >= 0) {
        char path[sizeof(m->dir) + 16];
        snprintf(path, sizeof(path), "%s/run/control", m->dir);
        unlink(path);
        dir_unlock(&m->lock);
    }
}

int master_serve(const char *dir)
{
    static const struct watchdog_params minute = {.ask_ms = 10000, .misses = 6};
    return master_serve_watched(dir, &minute);
}

int master_serve_watched(const char *dir, const struct watchdog_params *w)
{
    /* A limit on the size of files is an error value of the log; the last two make other servers open logs anew. */
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2};
    static struct master m;
    char why[WHY_MAX] = "";
    int err;

    m = (struct master){.lock = {-1, -1}, .control_fd = -1, .watchdog = *w};
    for (int i = 0; i < LISTENERS; i++)
        m.listeners[i] = -1;
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    log_open();
    event_init("master", LOG_LEVEL_INFO, false);
    event_to(on_event);
    err = prepare(&m, dir, why);
    if (err != OK) {
        fprintf(stderr, "letterlock serve: %s\n", *why ? why : err_str(err));
    } else {
        roles_start(&m);
        err = loop_run(m.loop);
    }
    err = err == OK && !m.failed ? 0 : 1;
    finish(&m);
    return err;
}
