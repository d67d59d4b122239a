#include "server/service/service.h"

#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/core/secmem.h"
#include "server/core/wipe_heap.h"
#include "server/base/conn.h"

enum {
    PEERS_MAX = 65536,       /* addresses and networks of more sessions than a process has descriptors */
    MEMORY_STEP = 64 * 1024, /* in which mail is counted */
    GRACE_MS = 4000,         /* less than master waits before it kills: what is in memory is wiped by ourselves */
};

/* There is one a process. */
static struct {
    struct service s;
    struct peers *peers;
    struct acceptor *acceptor;
    const struct service_role *role;
    void *arg;
    uint32_t instances;
    struct timer *grace;
    bool stopping;
} self;

static uint32_t configured(size_t offset)
{
    return *(const uint32_t *)((const char *)&self.s.config + offset);
}

/* A peer has its even share here, and room for one message, whatever the other instances say. */
static void use_limits(void)
{
    const struct config *c = &self.s.config;
    uint32_t n = self.instances ? self.instances : 1;
    uint64_t octets = c->plaintext_budget_peer / n, message = c->message_max + MEMORY_STEP;
    const struct places_limits l = {
        .sessions = configured(self.role->sessions),
        .octets = c->plaintext_budget,
        .sessions_peer = configured(self.role->sessions_peer),
        .octets_peer = c->plaintext_budget_peer,
        .octets_always = octets > message ? octets : message,
        .processes = n,
    };

    places_limit(self.s.places, &l);
}

/* ---- what master says ---- */

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    if (peer == ROLE_VAULT)
        vault_client_channel(self.s.vault, fd);
    else if (peer == ROLE_GPG_SEAL)
        gpg_seal_client_channel(self.s.gpg, fd);
    else if (self.role->channel)
        self.role->channel(self.arg, peer, fd);
    else
        close(fd);
}

static void reloaded(void)
{
    if (self.role->reloaded)
        self.role->reloaded(self.arg, &self.s);
}

/* A set whose default cannot be used changes nothing: master has tried it. */
static int use_certs(struct certs *certs)
{
    struct tls_ctx *tls;
    int err = tls_ctx_create_by_name(roles_table[self.role->role].tls, certs, &tls, NULL);

    if (err != OK) {
        log_event(tls_unusable, err);
        certs_unref(certs);
        return err;
    }
    tls_ctx_unref(self.s.tls);
    certs_unref(self.s.certs);
    self.s.tls = tls;
    self.s.certs = certs;
    return OK;
}

static void on_certs(void *arg, struct certs *certs)
{
    struct tls_ctx *old = self.s.tls;

    if (old)
        tls_ctx_ref(old); /* the role may look at it until it has heard of the new one */
    if (use_certs(certs) == OK)
        reloaded();
    tls_ctx_unref(old);
}

static void on_challenges(void *arg, const struct challenges *c)
{
    if (self.role->challenges)
        self.role->challenges(self.arg, c);
}

static void on_config(void *arg, const struct config *c)
{
    self.s.config = *c;
    use_limits();
    reloaded();
}

static void on_stop(void *arg)
{
    if (self.stopping)
        return;
    self.stopping = true;
    timer_set(self.grace, GRACE_MS);
    acceptor_close(self.acceptor);
    self.role->stop(self.arg);
    if (places_sessions(self.s.places) == 0)
        loop_stop(self.s.loop);
}

static void on_over(void *arg)
{
    loop_stop(self.s.loop);
}

static void put(struct pack *reply, enum service_counter c, uint64_t value)
{
    role_status_put(reply, self.role->counters + (enum counter)c, value);
}

static void on_status(void *arg, struct pack *reply)
{
    for (int i = TLS_FAULT_NONE + 1; i < TLS_FAULTS_N; i++)
        put(reply, SERVICE_NO_TLS + (enum service_counter)(i - TLS_FAULT_NO_TLS), conn_tls_faults((enum tls_fault)i));
    put(reply, SERVICE_SESSIONS_NOW, places_sessions(self.s.places));
    put(reply, SERVICE_SESSIONS_REFUSED, places_refused(self.s.places));
    put(reply, SERVICE_SESSIONS_SHED, places_ended(self.s.places, PLACE_SHED));
    put(reply, SERVICE_SESSIONS_ENDED_FOR_MEMORY, places_ended(self.s.places, PLACE_OCTETS));
    put(reply, SERVICE_SESSIONS_ENDED_SLOW, places_ended(self.s.places, PLACE_SLOW));
    put(reply, SERVICE_PRESSURE_NOW, places_stressed(self.s.places));
    put(reply, SERVICE_PLAINTEXT_BYTES_NOW, budget_taken(self.s.places));
    struct gpg_seal_counts gpg = gpg_seal_counts(self.s.gpg);
    put(reply, SERVICE_GPG_SEALS_WAITING_NOW, gpg.waiting);
    put(reply, SERVICE_GPG_SEALS_REFUSED, gpg.refused);
    self.role->status(self.arg, reply);
}

static const struct role_hooks hooks = {
    .on_peer = on_peer,
    .on_certs = on_certs,
    .on_challenges = on_challenges,
    .on_config = on_config,
    .on_stop = on_stop,
    .on_status = on_status,
};

/* ---- the beginning and the end ---- */

/* Takes the descriptors. */
static int open_peers(const struct role_start *start)
{
    int err = OK;

    self.peers = peers_create(PEERS_MAX);
    if (!self.peers)
        return ERR_MEMORY;
    if (start->tally >= 0)
        err = tally_open(start->tally, start->tallies, start->ntallies, &self.s.tally);
    if (err == OK && self.s.tally)
        peers_share(self.peers, self.s.tally);
    if (start->tally >= 0)
        close(start->tally);
    for (size_t i = 0; i < start->ntallies; i++)
        close(start->tallies[i]);
    return err;
}

/* What needs a path, a privilege or a mapping, then the sandbox. */
static int enter(struct role_start *start)
{
    const struct sandbox_params p = {.uid = (uid_t)start->uid,
                                     .gid = (gid_t)start->gid,
                                     .memory = role_memory(self.role->role, &start->config),
                                     .allow_no_landlock = start->config.allow_no_landlock};
    int err;

    if (!start->keys) {
        log_event(start_failed, EVENT_START_NO_RECORD_KEYS, ERR_CONFLICT);
        return ERR_CONFLICT;
    }
    err = view_open(start->dir, start->keys, start->config.reader_turn_ms, &self.s.view);
    role_start_wipe(start);
    if (err != OK) {
        log_event(store_unreadable, err);
        return err;
    }
    err = open_peers(start);
    if (err != OK) {
        log_event(peers_uncounted, err);
        return err;
    }
    return sandbox_enter_role(self.role->role, &p);
}

static void on_places_changed(void *arg)
{
    if (self.acceptor)
        acceptor_places_changed(self.acceptor);
}

static int make(void)
{
    struct service *s = &self.s;

    if (!(s->loop = loop_create()))
        return ERR_MEMORY;
    s->vault = vault_client_create(s->loop, self.role->notice, self.arg);
    s->gpg = gpg_seal_client_create(s->loop);
    self.grace = timer_create_in(s->loop, on_over, NULL);
    if (!s->vault || !s->gpg || !self.grace)
        return ERR_MEMORY;
    s->places = places_create(&(struct places_params){.loop = s->loop,
                                                      .peers = self.peers,
                                                      .may_end = self.role->may_end,
                                                      .end = self.role->end,
                                                      .changed = on_places_changed});
    if (!s->places)
        return ERR_MEMORY;
    self.acceptor = acceptor_create(s->loop, &(struct acceptor_params){.places = s->places,
                                                                       .refusal = self.role->refusal,
                                                                       .open = self.role->open,
                                                                       .empty = on_over,
                                                                       .arg = self.arg});
    if (!self.acceptor)
        return ERR_MEMORY;
    use_limits();
    return OK;
}

static int listen_all(const struct role_start *start)
{
    int err = OK;

    for (int i = 0; i < LISTENERS && err == OK; i++) {
        bool tls_first = self.role->tls_first & LISTEN_BIT(i);
        if (start->listeners[i] >= 0 && (self.s.tls || !tls_first))
            err = acceptor_listen(self.acceptor, start->listeners[i], (enum listener)i, tls_first);
    }
    return err;
}

/* The role is there for its own peers once it has started. */
static void give_peers(const struct role_start *start, bool own)
{
    for (int i = 0; i < ROLES; i++)
        if (start->peers[i] >= 0 && own == (i == ROLE_VAULT || i == ROLE_GPG_SEAL))
            on_peer(NULL, (enum role)i, false, start->peers[i]);
}

static int serve(const struct role_start *start)
{
    int err = make();

    if (err != OK)
        return err;
    give_peers(start, true);
    err = self.role->start(self.arg, &self.s);
    give_peers(start, false);
    if (err == OK && start->challenges)
        on_challenges(NULL, start->challenges);
    if (err == OK)
        err = listen_all(start);
    if (err == OK)
        err = role_attach(self.s.loop, &hooks, NULL);
    if (err == OK)
        err = loop_run(self.s.loop);
    self.role->finish(self.arg);
    return err;
}

static void end(void)
{
    struct service *s = &self.s;

    acceptor_destroy(self.acceptor);
    places_destroy(s->places);
    timer_destroy(self.grace);
    gpg_seal_client_destroy(s->gpg);
    vault_client_destroy(s->vault);
    peers_destroy(self.peers);
    tally_close(self.s.tally);
    view_close(s->view);
    tls_ctx_unref(s->tls);
    certs_unref(s->certs);
    secmem_pool_trim();
}

int service_main(const struct service_role *r, void *arg)
{
    struct role_start start;
    int err;

    wipe_heap_on_free();
    tls_wipe_on_free();
    role_receive(&start);
    self.role = r;
    self.arg = arg;
    self.s.config = start.config;
    self.s.instance = start.instance;
    self.instances = start.instances;
    if (start.certs && use_certs(start.certs) != OK)
        return 1;
    if (enter(&start) != OK)
        return 1;
    err = serve(&start);
    if (err != OK)
        log_event(role_ends, err);
    end();
    return err == OK ? 0 : 1;
}
