/* The role: its birth, what others say to it, its turn. See relay.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/base/role.h"
#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/core/wipe_heap.h"
#include "server/queue/internal.h"
#include "server/relay/delivery.h"
#include "server/relay/inside.h"
#include "server/relay/listed.h"
#include "server/relay/relay.h"
#include "server/relay/sts_kept.h"
#include "server/relay/suppress.h"
#include "server/relay/tally.h"
#include "server/relay/tls_reports.h"

enum {
    BEGIN_MAX = 64, /* jobs that are begun in one turn */
    ROOTS_MAX = 4 * 1024 * 1024,
    GRACE_MS = 4500, /* less than master waits */
    INGEST_MAX = 64,
    INGEST_WAIT_MS = 15000,
    INGEST_ANSWER_MS = 120000,
    LOOK_MS = 1000,
    QUEUE_PARTITION = 1,
    PORTS_MAX = 64,
};

static struct relay relay;
static struct timer *grace;
static uint16_t ports[PORTS_MAX];
static size_t nports;

static void on_stop(void *arg);

/* ---- a turn ---- */

static void set_due(struct relay *r)
{
    const uint64_t due = schedule_due(r->schedule), now = relay_now();
    uint64_t ms = due > now ? (due - now) * 1000 : 1;

    /* It looks at the clock itself now and then: the time of day may be set. */
    timer_set(r->due, due == UINT64_MAX || ms > LOOK_MS * 10 ? LOOK_MS * 10 : ms < 10 ? 10 : ms);
}

static void pump(void *arg)
{
    struct relay *r = arg;
    unsigned begun = 0;
    struct job *j;

    if (r->stopping) {
        relay_stopped(r);
        return;
    }
    opened_wake(r);
    schedule_advance(r->schedule, relay_now());
    while (begun < BEGIN_MAX && relay_may_begin(r) && (j = schedule_start(r->schedule, relay_now()))) {
        begun++;
        if (j->task == TASK_SEND)
            delivery_begin(r, j);
        else
            inside_begin(r, j);
    }
    delivery_make_room(r);
    if (begun == BEGIN_MAX)
        relay_wake(r);
    set_due(r);
    secmem_wipe_stack(); /* of what was done since the last turn: whom it was from and for */
}

static void on_due(void *arg)
{
    pump(arg);
}

/* ---- what others say ---- */

/* All of the queue is read when a vault begins to tell of changes, which is at the start too: what came before that is
 * told to nobody. */
static void on_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    if (!account) {
        changes_walk(arg);
        dkim_keys_changed(relay.dkim);
    } else if (account == QUEUE_PARTITION && modseq == VAULT_RELEASED) {
        changes_walk(arg);
    } else if (account == QUEUE_PARTITION && modseq) {
        changes_note(arg, modseq);
    } else if (account == QUEUE_PARTITION) {
        dkim_keys_changed(relay.dkim);
    }
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    if (peer == ROLE_VAULT)
        vault_client_channel(relay.vault, fd);
    else if (peer == ROLE_RESOLVER)
        dns_channel(relay.dns, fd);
    else if (peer == ROLE_FETCHER)
        fetch_channel(relay.fetch, fd);
    else if (peer == ROLE_INGEST)
        ask_channel(relay.ingest, fd);
    else
        close(fd);
}

static void use_config(const struct config *c)
{
    struct relay *r = &relay;
    const struct schedule_limits l = {
        .connections = c->relay_connections,
        .connections_destination = c->relay_connections_destination,
        .retry_first = c->queue_retry,
        .retry_max = c->queue_retry_max > c->queue_retry ? c->queue_retry_max : c->queue_retry,
        .delay = c->queue_delay_notice,
    };

    r->config = *c;
    r->source = (struct relay_source){0};
    r->router = (struct router){.dns = r->dns,
                                .sts = r->sts,
                                .policy = r->policy,
                                .own_name = r->config.domain,
                                .port = (uint16_t)c->relay_port,
                                .smarthost_login = c->smarthost_user[0],
                                .unused = tally_unused,
                                .arg = r};
    if (c->relay_source[0])
        (void)relay_source_parse(c->relay_source, &r->source); /* the configuration has checked it */
    if (c->smarthost[0])
        (void)relay_host_parse(c->smarthost, &r->router.smarthost);
    if (r->tallies)
        tallies_limit(r->tallies, c->tls_report ? c->tls_report_interval : 0);
    if (r->listed)
        listed_use(r->listed, &r->config);
    if (r->schedule)
        schedule_limit(r->schedule, &l);
    else
        r->schedule = schedule_create(&l);
}

/* ---- ports ---- */

/* All that may be connected to, by what is configured. */
static size_t ports_wanted(const struct config *c, const struct relay_policy *p, uint16_t out[PORTS_MAX])
{
    struct relay_route smarthost = {.port = 0};
    size_t n = relay_policy_ports(p, out, PORTS_MAX - 2);

    out[n++] = (uint16_t)c->relay_port;
    if (c->smarthost[0] && relay_host_parse(c->smarthost, &smarthost) == OK && smarthost.port)
        out[n++] = smarthost.port;
    return n;
}

/* The sandbox has those of the start, and takes no others: then this process ends, and the next one has them. */
static void check_ports(void)
{
    uint16_t wanted[PORTS_MAX];
    const size_t n = ports_wanted(&relay.config, relay.policy, wanted);

    for (size_t i = 0; i < n; i++) {
        bool may = false;
        for (size_t k = 0; k < nports; k++)
            may |= ports[k] == wanted[i];
        if (may)
            continue;
        on_stop(NULL);
        return;
    }
}

/* on_relay follows at once. */
static void on_config(void *arg, const struct config *c)
{
    use_config(c);
}

static void use_relay(struct relay_policy *policy, const char *password)
{
    relay_policy_free(relay.policy);
    relay.policy = policy;
    relay.router.policy = policy;
    snprintf(relay.password, ROLE_PASSWORD_MAX, "%s", password);
}

/* Routes may be others: what waits is scheduled anew. */
static void on_relay(void *arg, struct relay_policy *policy, const char *password)
{
    use_relay(policy, password);
    check_ports();
    schedule_unblock(relay.schedule, NULL, relay_now());
    changes_walk(&relay);
}

static void on_grace(void *arg)
{
    loop_stop(relay.loop);
}

static void on_stop(void *arg)
{
    if (relay.stopping)
        return;
    relay.stopping = true;
    timer_set(grace, GRACE_MS);
    delivery_stop_all(&relay);
    relay_wake(&relay);
}

static void on_status(void *arg, struct pack *reply)
{
    const struct schedule_counts n = schedule_counts(relay.schedule);

    for (int i = 0; i < RELAY_COUNTERS_N; i++)
        role_status_put(reply, COUNTER_RELAY_SENT + (enum counter)i, relay.counters[i]);
    role_status_put(reply, COUNTER_RELAY_MESSAGES_NOW, n.messages);
    role_status_put(reply, COUNTER_RELAY_READY_NOW, n.ready);
    role_status_put(reply, COUNTER_RELAY_CONNECTIONS_NOW, relay.ndeliveries);
    role_status_put(reply, COUNTER_RELAY_UNWRITTEN_NOW, relay.unwritten);
    role_status_put(reply, COUNTER_RELAY_PLAINTEXT_NOW, relay.contents.octets);
    if (relay.listed)
        role_status_put(reply, COUNTER_RELAY_LISTED_NOW, listed_now(relay.listed));
}

/* ---- the beginning and the end ---- */

/* Without them TLS that is to be verified fails, and the rest goes on. */
static void read_roots(const char *path)
{
    char *pem = path[0] ? malloc(ROOTS_MAX) : NULL;
    int fd = pem ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t len = 0;
    int err = fd >= 0 ? read_to_end(fd, READ_ALL, pem, ROOTS_MAX, &len) : ERR_IO;

    if (err == OK)
        err = tls_roots_create(pem, len, &relay.roots);
    if (path[0] && err != OK)
        log_event(relay_roots, (uint64_t)errno);
    if (fd >= 0)
        close(fd);
    free(pem);
}

static int enter(struct role_start *start)
{
    struct sandbox_params p = {.uid = (uid_t)start->uid,
                               .gid = (gid_t)start->gid,
                               .memory = role_memory(ROLE_RELAY, &start->config),
                               .allow_no_landlock = start->config.allow_no_landlock};
    int err;

    if (!start->keys || !start->password) {
        log_event(start_failed, EVENT_START_NO_RECORD_KEYS, ERR_CONFLICT);
        return ERR_CONFLICT;
    }
    relay.policy = start->policy;
    relay.password = start->password;
    relay.opener = pgp_opener_create(start->keys->queue_secret,
                                     slice_of(start->keys->queue_public, start->keys->queue_public_len));
    err = relay.opener ? view_open(start->dir, start->keys, start->config.reader_turn_ms, &relay.view) : ERR_MEMORY;
    role_start_wipe(start);
    if (err != OK) {
        log_event(store_unreadable, err);
        return err;
    }
    read_roots(start->config.relay_tls_roots);
    nports = ports_wanted(&start->config, start->policy, ports);
    p.ports = ports;
    p.nports = nports;
    return sandbox_enter_role(ROLE_RELAY, &p);
}

static void wake(void *arg)
{
    relay_wake(arg);
}

static int make(const struct role_start *start)
{
    static const struct ask_params ingest = {.peer = ROLE_INGEST,
                                             .reply = INTERNAL_REPLY,
                                             .max = INGEST_MAX,
                                             .wait_ms = INGEST_WAIT_MS,
                                             .answer_ms = INGEST_ANSWER_MS};
    struct relay *r = &relay;
    struct sts_shelf shelf;

    r->instance = start->instance;
    r->instances = start->instances;
    r->turn = pump;
    TAILQ_INIT(&r->deliveries);
    TAILQ_INIT(&r->contents.waits);
    nonces_init(&r->nonces);
    if (!(r->loop = loop_create()))
        return ERR_MEMORY;
    r->vault = vault_client_create(r->loop, on_notice, r);
    r->dns = dns_create(r->loop);
    r->fetch = fetch_create(r->loop);
    r->listed = r->instance == 0 && r->dns ? listed_create(r->loop, r->dns) : NULL;
    r->sts_kept = r->vault ? sts_kept_create(r->loop, r->view, r->vault, relay_now) : NULL;
    shelf = (struct sts_shelf){sts_kept_read, sts_kept_write, r->sts_kept};
    r->sts = sts_create(r->loop, r->dns, r->fetch, relay_now, &shelf);
    r->tallies = r->vault
                     ? tallies_create(r->loop, r->view, r->vault, relay_now, &r->counters[COUNT_TALLIES_LOST], wake, r)
                     : NULL;
    r->ingest = ask_create(r->loop, &ingest);
    r->dkim = dkim_keys_create(r->view);
    r->due = timer_create_in(r->loop, on_due, r);
    r->prune = timer_create_in(r->loop, suppress_prune, r);
    grace = timer_create_in(r->loop, on_grace, NULL);
    use_config(&start->config);
    if (!r->vault || !r->dns || !r->fetch || !r->sts || !r->sts_kept || !r->tallies || !r->dkim || !r->ingest ||
        !r->due || !r->prune || !grace || !r->schedule)
        return ERR_MEMORY;
    if (r->instance == 0 && !(r->tls_reports = tls_reports_create(r)))
        return ERR_MEMORY;
    return changes_create(r);
}

static int run(const struct role_start *start)
{
    static const struct role_hooks hooks = {
        .on_peer = on_peer, .on_config = on_config, .on_relay = on_relay, .on_stop = on_stop, .on_status = on_status};
    int err = make(start);

    if (err != OK)
        return err;
    for (int i = 0; i < ROLES; i++)
        if (start->peers[i] >= 0)
            on_peer(NULL, (enum role)i, false, start->peers[i]);
    err = role_attach(relay.loop, &hooks, NULL);
    if (err != OK)
        return err;
    suppress_prune(&relay);
    sts_kept_prune(relay.sts_kept);
    return loop_run(relay.loop);
}

static void end(void)
{
    struct relay *r = &relay;

    if (!r->loop)
        return;
    delivery_destroy_all(r);
    changes_destroy(r);
    defer_cancel(r->loop, &r->pump);
    timer_destroy(r->due);
    timer_destroy(r->prune);
    timer_destroy(grace);
    tls_reports_destroy(r->tls_reports);
    tallies_destroy(r->tallies);
    ask_destroy(r->ingest);
    sts_destroy(r->sts);
    listed_destroy(r->listed);
    sts_kept_destroy(r->sts_kept);
    dns_destroy(r->dns);
    fetch_destroy(r->fetch);
    vault_client_destroy(r->vault);
    pgp_opener_destroy(r->opener);
    dkim_keys_destroy(r->dkim);
    view_close(r->view);
    secmem_pool_trim();
}

int relay_main(void)
{
    static struct role_start start;
    int err;

    wipe_heap_on_free();
    tls_wipe_on_free();
    role_receive(&start);
    if (enter(&start) != OK)
        return 1;
    err = run(&start);
    if (err != OK)
        log_event(role_ends, err);
    end();
    return err == OK ? 0 : 1;
}
