/* The role "resolver": names and addresses (DNS) for the other roles. It has no store, no keys and sees no mail; what
 * it says of a name is as good as DNSSEC makes it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/role.h"
#include "server/dns/message.h"
#include "server/resolver/lookup.h"
#include "server/resolver/upstream.h"

struct client {
    struct client *next;
    struct ipc *ipc;
    struct asker *asker;
};

static struct {
    struct loop *loop;
    struct lookups *lookups;
    struct client *clients;
    struct config config;
    char anchors[ANCHORS_MAX];
} resolver;

static int on_message(void *arg, struct ipc_msg *m)
{
    struct client *c = arg;

    return m->type == DNS_ASK && m->nfds == 0 ? asker_ask(c->asker, m->id, m->payload) : ERR_FORMAT;
}

static void client_free(struct client *c)
{
    if (c->asker)
        asker_destroy(c->asker);
    ipc_destroy(c->ipc);
    free(c);
}

static void on_close(void *arg)
{
    struct client **at = &resolver.clients, *c = arg;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    client_free(c);
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct client *c = calloc(1, sizeof(*c));

    (void)arg, (void)peer, (void)admin;
    if (!c)
        close(fd);
    else if ((c->ipc = ipc_create(resolver.loop, fd, &ops, c)) &&
             asker_create(resolver.lookups, c->ipc, &c->asker) == OK) {
        c->next = resolver.clients;
        resolver.clients = c;
        return;
    }
    if (c)
        client_free(c);
    log_event(out_of_memory);
}

static void on_status(void *arg, struct pack *p)
{
    struct lookup_counts n = lookups_counts(resolver.lookups);

    (void)arg;
    role_status_put(p, COUNTER_DNS_QUESTIONS, n.questions);
    role_status_put(p, COUNTER_DNS_LOOKUPS, n.lookups);
    role_status_put(p, COUNTER_DNS_SERVFAIL, n.servfail);
    role_status_put(p, COUNTER_DNS_BOGUS, n.bogus);
    role_status_put(p, COUNTER_DNS_TIMEOUTS, n.timeouts);
    role_status_put(p, COUNTER_DNS_REFUSED, n.refused);
    role_status_put(p, COUNTER_DNS_CACHES, n.caches);
    role_status_put(p, COUNTER_DNS_WAITING_NOW, n.waiting);
    role_status_put(p, COUNTER_DNS_UNDER_WAY_NOW, n.under_way);
}

static int make_upstream(const struct config *c, struct ub_ctx **ret)
{
    enum event_DNS why;
    int err = upstream_create(resolver.loop, c, resolver.anchors, ret, &why);

    if (err != OK)
        log_event(dns_unusable, why, err);
    return err;
}

/* Other servers, another cache. What libunbound does not take leaves the former ones. */
static void on_config(void *arg, const struct config *c)
{
    struct ub_ctx *u;
    bool same = !strcmp(c->dns_server, resolver.config.dns_server) && !strcmp(c->dns_stub, resolver.config.dns_stub);

    (void)arg;
    if (same || make_upstream(c, &u) != OK)
        return;
    if (lookups_upstream(resolver.lookups, u) != OK) {
        ub_ctx_delete(u);
        log_event(out_of_memory);
        return;
    }
    resolver.config = *c;
}

static int start_lookups(void)
{
    struct ub_ctx *u;
    int err;

    resolver.loop = loop_create();
    if (!resolver.loop)
        return ERR_MEMORY;
    err = make_upstream(&resolver.config, &u);
    if (err != OK)
        return err;
    resolver.lookups = lookups_create(resolver.loop, u);
    if (!resolver.lookups)
        ub_ctx_delete(u);
    return resolver.lookups ? OK : ERR_MEMORY;
}

int resolver_main(void)
{
    static struct role_start start;
    static const struct role_hooks hooks = {.on_peer = on_peer, .on_status = on_status, .on_config = on_config};
    struct sandbox_params p = {0};
    int err;

    role_receive(&start);
    role_start_wipe(&start);
    resolver.config = start.config;
    err = upstream_anchors(start.dir, &start.config, resolver.anchors);
    if (err != OK) {
        log_event(dns_unusable, EVENT_DNS_ANCHOR_FILE, err);
        return 1;
    }
    p.uid = (uid_t)start.uid;
    p.gid = (gid_t)start.gid;
    p.memory = role_memory(ROLE_RESOLVER, &start.config);
    p.allow_no_landlock = start.config.allow_no_landlock;
    if (sandbox_enter_role(ROLE_RESOLVER, &p) != OK)
        return 1;
    err = start_lookups();
    for (int i = 0; err == OK && i < ROLES; i++)
        if (start.peers[i] >= 0)
            on_peer(NULL, (enum role)i, start.peer_admin[i], start.peers[i]);
    if (err == OK)
        err = role_attach(resolver.loop, &hooks, NULL);
    if (err == OK)
        err = loop_run(resolver.loop);
    if (err != OK)
        log_event(role_ends, err);
    while (resolver.clients)
        on_close(resolver.clients);
    lookups_destroy(resolver.lookups);
    loop_destroy(resolver.loop);
    return err == OK ? 0 : 1;
}
