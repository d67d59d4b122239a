/* The access role: IMAP for clients. It reads the store, asks the vault for every change, and seals what clients
 * append; it can write no file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/role.h"
#include "server/core/log.h"
#include "server/core/secmem.h"
#include "server/access/imap/access.h"
#include "server/access/imap/dispatch.h"
#include "server/access/imap/notice.h"
#include "server/access/imap/session.h"
#include "server/core/wipe_heap.h"

enum { PEERS_MAX = 16384, ACCEPTS_A_TURN = 64, ACCEPT_PAUSE_MS = 200 };

struct door {
    struct access *a;
    struct watch *watch;
    struct timer *pause;
    int fd;
    bool tls;
};
static struct door doors[2];

static void pause_over(void *arg)
{
    struct door *d = arg;
    if (d->watch)
        watch_set(d->watch, LOOP_READ);
}

static void on_listener(void *arg, unsigned events)
{
    struct door *d = arg;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            imap_serve(d->a, fd, d->tls);
            continue;
        }
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        log_warn("accept errno=%d", errno); /* out of descriptors or memory: the queue keeps them for a moment */
        watch_set(d->watch, 0);
        timer_set(d->pause, ACCEPT_PAUSE_MS);
        return;
    }
}

static int open_door(struct access *a, struct door *d, int fd, bool tls)
{
    *d = (struct door){.a = a, .fd = fd, .tls = tls};
    if (fd < 0 || (tls && !a->tls))
        return OK;
    d->pause = timer_create_in(a->loop, pause_over, d);
    d->watch = watch_create(a->loop, fd, LOOP_READ, on_listener, d);
    return d->pause && d->watch ? OK : ERR_MEMORY;
}

static void close_doors(void)
{
    for (size_t i = 0; i < 2; i++) {
        watch_destroy(doors[i].watch);
        timer_destroy(doors[i].pause);
        doors[i].watch = NULL;
        doors[i].pause = NULL;
    }
}

/* ---- what master says ---- */

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    struct access *a = arg;
    if (peer == ROLE_VAULT) {
        vault_client_channel(a->vault, fd);
        imap_new_vault(a);
    } else if (peer == ROLE_GPG_SEAL) {
        gpg_seal_client_channel(a->gpg, fd);
    } else {
        close(fd);
    }
}

static void on_tls(void *arg, struct tls_ctx *tls)
{
    struct access *a = arg;
    tls_ctx_unref(a->tls);
    a->tls = tls;
}

static void on_config(void *arg, const struct config *c)
{
    struct access *a = arg;
    char domain[sizeof(c->domain)];
    memcpy(domain, a->config.domain, sizeof(domain)); /* the sealer holds it */
    a->config = *c;
    memcpy(a->config.domain, domain, sizeof(domain));
    sealer_keep_wildcard(a->sealer, c->keep_wildcard_mail);
}

static void grace_over(void *arg)
{
    loop_stop(((struct access *)arg)->loop);
}

static void on_stop(void *arg)
{
    struct access *a = arg;
    if (a->stopping)
        return;
    a->stopping = true;
    close_doors();
    if (!a->sessions) {
        loop_stop(a->loop);
        return;
    }
    struct timer *t = timer_create_in(a->loop, grace_over, a);
    if (t)
        timer_set(t, ACCESS_STOP_GRACE_MS);
    else
        loop_stop(a->loop);
    for (struct imap_session *s = a->sessions; s; s = s->next)
        imap_session_bye(s, "[UNAVAILABLE] The server is going down");
}

static void on_status(void *arg, struct pack *reply)
{
    const struct access *a = arg;
    role_status_put(reply, "imap_sessions_now", a->nsessions);
    role_status_put(reply, "imap_logins", a->logins);
    role_status_put(reply, "imap_login_failures", a->login_failures);
    role_status_put(reply, "imap_commands", a->commands);
    role_status_put(reply, "imap_appended", a->appended);
    role_status_put(reply, "imap_fetched_bytes", a->fetched_bytes);
    role_status_put(reply, "imap_plaintext_bytes_now", a->plaintext);
}

static const struct role_hooks hooks = {
    .on_peer = on_peer,
    .on_tls = on_tls,
    .on_config = on_config,
    .on_stop = on_stop,
    .on_status = on_status,
};

/* ---- the beginning ---- */

static int start_clients(struct access *a, const struct role_start *start)
{
    if (!(a->loop = loop_create()))
        return ERR_MEMORY;
    buf_init(&a->staging, IMAP_STAGING_MAX, false);
    a->vault = vault_client_create(a->loop, imap_notice, a);
    a->gpg = gpg_seal_client_create(a->loop);
    a->peers = peers_create(PEERS_MAX);
    if (!a->vault || !a->gpg || !a->peers || !(a->sealer = sealer_create(a->loop, a->view, a->gpg, a->config.domain)))
        return ERR_MEMORY;
    a->depositor = (struct depositor){a->sealer, a->vault};
    sealer_keep_wildcard(a->sealer, a->config.keep_wildcard_mail);
    if (start->peers[ROLE_VAULT] >= 0)
        vault_client_channel(a->vault, start->peers[ROLE_VAULT]);
    if (start->peers[ROLE_GPG_SEAL] >= 0)
        gpg_seal_client_channel(a->gpg, start->peers[ROLE_GPG_SEAL]);
    int err = open_door(a, &doors[0], start->listeners[LISTEN_IMAP], false);
    if (!err)
        err = open_door(a, &doors[1], start->listeners[LISTEN_IMAPS], true);
    return err ? err : role_attach(a->loop, &hooks, a);
}

static void end(struct access *a)
{
    a->stopping = false; /* the loop is not running any more */
    while (a->sessions)
        imap_session_destroy(a->sessions);
    close_doors();
    sealer_destroy(a->sealer);
    gpg_seal_client_destroy(a->gpg);
    vault_client_destroy(a->vault);
    peers_destroy(a->peers);
    buf_free(&a->staging);
    view_close(a->view);
    tls_ctx_unref(a->tls);
    secmem_pool_trim();
}

int access_main(void)
{
    static struct access a;
    struct role_start start;
    char why[256] = "";
    wipe_heap_on_free();
    tls_wipe_on_free();
    role_receive(&start);
    a.config = start.config;
    a.tls = start.tls;
    if (!start.store_key) {
        log_error("no store key came");
        return 1;
    }
    int err = view_open(start.dir, start.store_key, start.config.reader_turn_ms, &a.view);
    role_start_wipe(&start);
    if (err) {
        log_error("the store cannot be read: %s", err_str(err));
        return 1;
    }
    const struct sandbox_params sp = {.uid = (uid_t)start.uid,
                                      .gid = (gid_t)start.gid,
                                      .allow_no_landlock = start.config.allow_no_landlock};
    if ((err = sandbox_enter(ROLE_ACCESS, &sp, why, sizeof(why))) != OK) {
        log_error("the sandbox refused: %s", why);
        return 1;
    }
    err = start_clients(&a, &start);
    if (!err)
        err = loop_run(a.loop);
    if (err)
        log_error("access ends: %s", err_str(err));
    end(&a);
    return err ? 1 : 0;
}
