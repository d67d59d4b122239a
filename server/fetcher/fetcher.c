/* The role "fetcher": pages (HTTPS) for the other roles. It has no store, no keys and sees no mail; it connects to
 * addresses alone that the resolver gave and the guard lets pass. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/role.h"
#include "server/fetcher/desk.h"

enum { ROOTS_MAX = 4 * 1024 * 1024 };

struct client {
    struct client *next;
    struct ipc *ipc;
    struct desk_asker *asker;
};

static struct {
    struct loop *loop;
    struct tls_roots *roots;
    struct web *web;
    struct dns *dns;
    struct guard *guard;
    struct desk *desk;
    struct client *clients;
} fetcher;

static int on_message(void *arg, struct ipc_msg *m)
{
    struct client *c = arg;

    if (m->nfds)
        return ERR_FORMAT;
    if (m->type == FETCH_FORGET)
        return desk_forget(c->asker, m->id, m->payload);
    return m->type == FETCH_ASK ? desk_ask(c->asker, m->id, m->payload) : ERR_FORMAT;
}

static void client_free(struct client *c)
{
    desk_asker_destroy(c->asker);
    ipc_destroy(c->ipc);
    free(c);
}

static void on_close(void *arg)
{
    struct client **at = &fetcher.clients, *c = arg;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    client_free(c);
}

static void client_add(int fd)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct client *c = calloc(1, sizeof(*c));

    if (!c)
        close(fd);
    else if ((c->ipc = ipc_create(fetcher.loop, fd, &ops, c)) && (c->asker = desk_asker_create(fetcher.desk, c->ipc))) {
        c->next = fetcher.clients;
        fetcher.clients = c;
        return;
    }
    if (c)
        client_free(c);
    log_event(out_of_memory);
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    (void)arg, (void)admin;
    if (peer == ROLE_RESOLVER)
        dns_channel(fetcher.dns, fd);
    else
        client_add(fd);
}

static void on_status(void *arg, struct pack *p)
{
    struct desk_counts n = desk_counts(fetcher.desk);

    (void)arg;
    role_status_put(p, COUNTER_FETCHES, n.fetches);
    role_status_put(p, COUNTER_FETCH_ANSWERS, n.answers);
    role_status_put(p, COUNTER_FETCH_DENIED, n.denied);
    role_status_put(p, COUNTER_FETCH_LIMIT, n.too_large);
    role_status_put(p, COUNTER_FETCH_TLS, n.tls_failed);
    role_status_put(p, COUNTER_FETCH_TIMEOUTS, n.timeouts);
    role_status_put(p, COUNTER_FETCH_FAILED, n.failed);
    role_status_put(p, COUNTER_FETCH_REFUSED, n.refused);
    role_status_put(p, COUNTER_FETCH_WAITING_NOW, n.waiting);
    role_status_put(p, COUNTER_FETCH_UNDER_WAY_NOW, n.under_way);
}

static void on_config(void *arg, const struct config *c)
{
    (void)arg;
    desk_timeout(fetcher.desk, c->fetch_timeout);
}

/* Without them no server is believed. */
static void read_roots(const char *path)
{
    char *pem = path[0] ? malloc(ROOTS_MAX) : NULL;
    int fd = pem ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t len = 0;
    ssize_t n = 1;

    while (fd >= 0 && len < ROOTS_MAX && (n = read(fd, pem + len, ROOTS_MAX - len)) > 0)
        len += (size_t)n;
    if (path[0] && (!pem || fd < 0 || n < 0 || tls_roots_create(pem, len, &fetcher.roots) != OK))
        log_event(fetch_roots, (uint64_t)errno);
    if (fd >= 0)
        close(fd);
    free(pem);
}

/* What libraries read of the system they read here. */
static int prepare(const struct config *c)
{
    int err = guard_create(c->fetch_allow, &fetcher.guard);

    read_roots(c->fetch_ca_file);
    if (err == OK && !(fetcher.loop = loop_create()))
        err = ERR_MEMORY;
    if (err == OK && !(fetcher.web = web_create(fetcher.loop, fetcher.roots)))
        err = ERR_MEMORY;
    return err;
}

static int enter(const struct role_start *start)
{
    uint16_t ports[GUARD_PORTS_MAX];
    struct sandbox_params p = {.uid = (uid_t)start->uid,
                               .gid = (gid_t)start->gid,
                               .memory = role_memory(ROLE_FETCHER, &start->config),
                               .allow_no_landlock = start->config.allow_no_landlock,
                               .ports = ports,
                               .nports = guard_ports(fetcher.guard, ports)};

    return sandbox_enter_role(ROLE_FETCHER, &p);
}

static int run(const struct role_start *start)
{
    static const struct role_hooks hooks = {.on_peer = on_peer, .on_status = on_status, .on_config = on_config};
    int err;

    fetcher.dns = dns_create(fetcher.loop);
    fetcher.desk = desk_create(fetcher.loop, fetcher.web, fetcher.dns, fetcher.guard, start->config.fetch_timeout);
    if (!fetcher.dns || !fetcher.desk)
        return ERR_MEMORY;
    for (int i = 0; i < ROLES; i++)
        if (start->peers[i] >= 0)
            on_peer(NULL, (enum role)i, start->peer_admin[i], start->peers[i]);
    err = role_attach(fetcher.loop, &hooks, NULL);
    return err == OK ? loop_run(fetcher.loop) : err;
}

int fetcher_main(void)
{
    static struct role_start start;
    int err;

    role_receive(&start);
    role_start_wipe(&start);
    err = prepare(&start.config);
    if (err != OK)
        log_event(role_ends, err);
    if (err != OK || enter(&start) != OK)
        return 1;
    err = run(&start);
    if (err != OK)
        log_event(role_ends, err);
    while (fetcher.clients)
        on_close(fetcher.clients);
    desk_destroy(fetcher.desk);
    dns_destroy(fetcher.dns);
    web_destroy(fetcher.web);
    loop_destroy(fetcher.loop);
    guard_destroy(fetcher.guard);
    tls_roots_unref(fetcher.roots);
    return err == OK ? 0 : 1;
}
