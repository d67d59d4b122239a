/* The roles' lives: who is started when, what a death means, and the orderly end. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/master/notify.h"

enum {
    READY_MS = 30000, /* a role that has not said READY by then never will */
    LIVED_MS = 1000,  /* READY for so long: its next death is a first one */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 30000,
    SAY_DEATHS = 3,
    SAY_EVERY_MS = 60000,
    START_FAILURES = 5, /* of a required role before `ready`: the start is given up */
};

/* What each stage may take, together at most ten seconds. */
static const uint64_t stop_ms[ROLE_STOP_STAGES] = {5000, 1000, 4000};

static void start_due(struct master *m);
static void stop_step(struct master *m);

static const char *name_of(const struct proc *p)
{
    return p->row->name;
}

static void set_down(struct proc *p)
{
    logins_role_gone(p);
    ipc_destroy(p->channel);
    p->channel = NULL;
    log_pipe_destroy(p->log);
    p->log = NULL;
    p->state = PROC_DOWN;
    p->pid = 0;
    p->status_due = false;
    free(p->status);
    p->status = NULL;
    p->status_len = 0;
}

static struct proc *find_server(struct master *m, enum role r)
{
    for (size_t i = 0; i < m->nprocs; i++)
        if (m->procs[i].role == r)
            return &m->procs[i];
    return NULL;
}

struct proc *roles_server(struct master *m, enum role r)
{
    struct proc *p = find_server(m, r);
    return p && p->state == PROC_READY && p->channel ? p : NULL;
}

static int send_peer(struct proc *to, enum role other, bool admin, int fd)
{
    const uint8_t head[2] = {(uint8_t)other, admin};

    to->missing = 0;
    return to->channel ? ipc_send(to->channel, ROLE_MSG_PEER, 0, head, sizeof(head), &fd, 1) : ERR_GONE;
}

int roles_connect(struct proc *server, enum role client, bool admin, int *ret_fd)
{
    int pair[2], r = ipc_pair(pair);

    if (r != OK)
        return r;
    r = send_peer(server, client, admin, pair[0]);
    close(pair[0]);
    if (r == OK)
        *ret_fd = pair[1];
    else
        close(pair[1]);
    return r;
}

/* A server is there (again): everyone who is its client gets a fresh channel to it. Of a role with several instances it
 * is the first one. */
static void connect_clients(struct proc *server)
{
    struct master *m = server->master;

    if (server != find_server(m, server->role))
        return;
    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *c = &m->procs[i];
        int fd;

        if (!(c->row->servers & ROLE_BIT(server->role)) || !c->channel)
            continue;
        if (roles_connect(server, c->role, false, &fd) != OK) {
            log_error("no channel from %s to %s", name_of(c), name_of(server));
            continue;
        }
        if (send_peer(c, server->role, false, fd) != OK)
            log_error("no channel from %s to %s", name_of(c), name_of(server));
        close(fd);
    }
}

static void check_ready(struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++)
        if (m->procs[i].row->listeners && m->procs[i].state != PROC_READY)
            return;
    if (m->said_ready || m->stopping)
        return;
    m->said_ready = true;
    log_text("ready\n", 6);
    notify("READY=1");
}

static void became_ready(struct proc *p)
{
    p->state = PROC_READY;
    p->ready_at = loop_now_ms(p->master->loop);
    p->unanswered = 0;
    timer_set(p->timer, 0);
    log_debug("%s %u is ready, pid %d", name_of(p), p->instance, (int)p->pid);
    if (p->master->stopping)
        return;
    connect_clients(p);
    start_due(p->master);
    check_ready(p->master);
    p->master->watcher.on_ready(p->master);
}

/* Its channel to a server that lives was taken away: one of the two has sent what no role sends (a bug, or somebody
 * else speaks there), or left what it was sent unread. The client gets no second one, with which it could hold places
 * of the server's: one of them ends, and begins anew. Which of them it was nobody can tell, so it is whom strangers
 * reach first. Said once or twice it may have crossed the new channel on its way. */
static int peer_gone(struct proc *p, const struct ipc_msg *msg)
{
    enum { MISSING_MAX = 3 };
    const struct proc *server, *ends;

    if (msg->payload.len != 1 || msg->payload.data[0] >= ROLES || !(p->row->servers & ROLE_BIT(msg->payload.data[0])))
        return ERR_FORMAT;
    server = roles_server(p->master, (enum role)msg->payload.data[0]);
    if (!server || p->master->stopping || ++p->missing < MISSING_MAX)
        return OK;
    p->missing = 0; /* once a process */
    ends = server->row->traits & ROLE_IS_BLAMED ? server : p;
    log_error("channel-ended role=%s instance=%u pid=%d by=%s", ends->row->name, ends->instance, (int)ends->pid,
              ends == p ? server->row->name : p->row->name);
    kill(ends->pid, SIGKILL);
    return OK;
}

static int on_message(void *arg, struct ipc_msg *msg)
{
    struct proc *p = arg;

    p->unanswered = 0;
    switch (msg->type) {
    case ROLE_MSG_READY:
        if (p->state != PROC_STARTING)
            return ERR_FORMAT;
        became_ready(p);
        return OK;
    case ROLE_MSG_STATUS_REPLY: p->master->watcher.on_status(p, msg->id, msg->payload); return OK;
    case ROLE_MSG_LOGIN_ASK: return logins_ask(p, msg);
    case ROLE_MSG_LOGIN_DONE: return logins_done(p, msg);
    case ROLE_MSG_LOGIN_FORGIVE: return logins_forgive(p, msg);
    case ROLE_MSG_PEER_GONE: return peer_gone(p, msg);
    default: return ERR_FORMAT;
    }
}

/* A role without its channel is of no use; its death follows and is handled there. */
static void on_close(void *arg)
{
    struct proc *p = arg;

    ipc_destroy(p->channel);
    p->channel = NULL;
    if (!p->master->stopping && p->pid > 0)
        kill(p->pid, SIGKILL);
}

static bool may_start(const struct proc *p)
{
    for (int err = 0; err < ROLES; err++) {
        const struct proc *s = p->row->servers & ROLE_BIT(err) ? find_server(p->master, (enum role)err) : NULL;
        /* A server that serving can do without is not waited for once it has failed. */
        if (s && s->state != PROC_READY && (s->row->traits & ROLE_REQUIRED || s->failures == 0))
            return false;
    }
    return true;
}

static uint64_t backoff(unsigned failures)
{
    uint64_t ms = BACKOFF_FIRST_MS;

    if (failures == 0)
        return 1; /* at once, from the loop */
    while (--failures && ms < BACKOFF_MAX_MS)
        ms *= 2;
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void give_up(struct master *m)
{
    m->failed = true;
    roles_stop(m);
}

static void schedule(struct proc *p)
{
    struct master *m = p->master;
    uint64_t ms = backoff(p->failures++);

    if (!m->said_ready && p->row->traits & ROLE_REQUIRED && p->failures > START_FAILURES && !m->stopping) {
        log_error("%s does not start; what it said stands above", name_of(p));
        give_up(m);
        return;
    }
    p->restarts++;
    timer_set(p->timer, ms);
}

/* How many of its kind there are: fixed at the start, whatever a new configuration says. */
static uint32_t running(const struct proc *p)
{
    uint32_t n = 0;

    for (size_t i = 0; i < p->master->nprocs; i++)
        n += p->master->procs[i].role == p->role;
    return n;
}

static uint64_t memory_of(const struct proc *p)
{
    struct config c = p->master->files.config;

    config_share(&c, running(p));
    return role_memory(p->role, &c);
}

/* What stands in files, as far as the role is to know it. */
static void give_files(const struct proc *p, struct spawn_params *s)
{
    const struct files *f = &p->master->files;

    if (p->row->traits & ROLE_HAS_TLS)
        s->certs = f->certs;
    if (p->row->traits & ROLE_ANSWERS_ACME && p->master->challenges.n)
        s->challenges = &p->master->challenges;
    if (p->row->traits & ROLE_SENDS) {
        s->policy = f->policy, s->policy_len = f->policy_len;
        s->password = f->password;
    }
}

static void start(struct proc *p)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct master *m = p->master;
    struct spawn_params s = {.role = p->role,
                             .instance = p->instance,
                             .instances = running(p),
                             .dir = m->dir,
                             .config = &m->files.config,
                             .config_text = m->files.text,
                             .config_len = m->files.text_len,
                             .lock_fd = m->lock.file};
    const char *why;
    int channel, log, r;

    p->due = false;
    r = p->role == ROLE_VAULT ? store_again(m) : OK;
    if (r == ERR_GONE)
        give_up(m);
    else if (r != OK)
        schedule(p);
    if (r != OK)
        return;
    if (p->row->uses)
        s.keys = m->keys;
    give_files(p, &s);
    if (m->tallies[p->role].n) {
        s.tally = m->tallies[p->role].own[p->instance];
        s.tallies = m->tallies[p->role].read;
        tally_clear(s.tally, m->tallies[p->role].key);
    }
    for (int i = 0; i < LISTENERS; i++)
        s.listeners[i] = p->row->listeners & LISTEN_BIT(i) ? m->listeners[i] : -1;
    for (int i = 0; i < ROLES; i++) {
        struct proc *server = p->row->servers & ROLE_BIT(i) ? roles_server(m, (enum role)i) : NULL;
        s.peers[i] = -1;
        if (server && roles_connect(server, p->role, false, &s.peers[i]) != OK)
            s.peers[i] = -1;
    }
    p->memory = memory_of(p);
    r = spawn_role(&s, &p->pid, &channel, &log);
    why = strerror(errno);
    for (int i = 0; i < ROLES; i++)
        if (s.peers[i] >= 0)
            close(s.peers[i]);
    if (r == OK) {
        p->state = PROC_STARTING;
        p->channel = ipc_create(m->loop, channel, &ops, p);
        p->log = log_pipe_create(m->loop, log, p->role, p->row->instances ? (int)p->instance : -1);
        if (!p->channel || !p->log)
            kill(p->pid, SIGKILL);
        timer_set(p->timer, READY_MS);
        return;
    }
    p->pid = 0;
    log_error("%s %u cannot be started: %s", name_of(p), p->instance, r == ERR_IO ? why : err_str(r));
    schedule(p);
}

static void start_due(struct master *m)
{
    for (size_t i = 0; i < m->nprocs && !m->stopping; i++)
        if (m->procs[i].due && m->procs[i].state == PROC_DOWN && may_start(&m->procs[i]))
            start(&m->procs[i]);
}

static void on_timer(void *arg)
{
    struct proc *p = arg;

    if (p->state == PROC_STARTING) {
        log_error("%s %u did not get ready in %d s", name_of(p), p->instance, READY_MS / 1000);
        kill(p->pid, SIGKILL);
    } else if (p->state == PROC_DOWN && !p->master->stopping) {
        p->due = true;
        start_due(p->master);
    }
}

/* The first deaths one by one; of a role that dies again and again in the same way a line a minute. */
static void say_death(struct proc *p, int status)
{
    uint64_t now = loop_now_ms(p->master->loop);
    char more[64] = "";

    if (p->failures >= SAY_DEATHS && status == p->said_status && now - p->said_ms < SAY_EVERY_MS) {
        p->unsaid++;
        return;
    }
    if (p->unsaid)
        snprintf(more, sizeof(more), "; %u more times since the line before", p->unsaid);
    log_warn("%s %u ended, %s %d%s%s", name_of(p), p->instance, WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS   ? " (its sandbox ended it)"
             : WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ? " (a file it reads was cut short, or the disk fails)"
                                                                 : "",
             more);
    p->said_ms = now;
    p->said_status = status;
    p->unsaid = 0;
}

/* What starting again does not mend. */
static bool ended_for_good(const struct proc *p, int status)
{
    static const char *const words[] = {
        [ROLE_EXIT_KEY] = "the store is sealed under another key: put back the store.key that belongs to it",
        [ROLE_EXIT_VERSION] = "a newer letterlock made the store: use that version",
        [ROLE_EXIT_OLD] = "a letterlock from before the first release made the store: none but that one reads it",
        [ROLE_EXIT_UPGRADE] = "an older letterlock made the store: run letterlock upgrade",
        [ROLE_EXIT_STORE] = "the store's file is damaged, or not a store of letterlock's: letterlock restore makes it "
                            "from a backup, once the file is moved away",
    };
    size_t code = WIFEXITED(status) ? (size_t)WEXITSTATUS(status) : 0;

    if (p->role != ROLE_VAULT || code >= sizeof(words) / sizeof(*words) || !words[code])
        return false;
    log_error("the server ends: %s", words[code]);
    return true;
}

static void died(struct proc *p, int status)
{
    struct master *m = p->master;
    bool was_ready = p->state == PROC_READY;

    if (was_ready && loop_now_ms(m->loop) - p->ready_at >= LIVED_MS)
        p->failures = 0;
    log_pipe_destroy(p->log); /* its last words come before its end */
    p->log = NULL;
    if (!m->stopping)
        say_death(p, status);
    timer_set(p->timer, 0);
    set_down(p);
    if (m->stopping) {
        stop_step(m);
        return;
    }
    if (ended_for_good(p, status)) {
        give_up(m);
        return;
    }
    schedule(p);
    start_due(m); /* clients of one that may be done without wait no longer */
}

void roles_reap(struct master *m)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < m->nprocs; i++)
            if (m->procs[i].pid == pid) {
                died(&m->procs[i], status);
                break;
            }
}

/* A role whose listeners are all switched off is not started. */
static bool serves(const struct master *m, const struct role_row *row)
{
    bool wanted = !row->listeners;

    for (int k = 0; k < LISTENERS; k++)
        wanted |= row->listeners & LISTEN_BIT(k) && m->listeners[k] >= 0;
    return wanted;
}

int roles_create(struct master *m)
{
    for (int r = ROLE_MASTER + 1; r < ROLES; r++) {
        uint32_t n = serves(m, &roles_table[r]) ? role_instances((enum role)r, &m->files.config) : 0;
        for (uint32_t i = 0; i < n; i++) {
            struct proc *p = &m->procs[m->nprocs];
            if (m->nprocs == PROCS_MAX)
                return ERR_LIMIT;
            *p = (struct proc){.master = m, .role = (enum role)r, .row = &roles_table[r], .instance = i, .due = true};
            p->timer = timer_create_in(m->loop, on_timer, p);
            if (!p->timer)
                return ERR_MEMORY;
            m->nprocs++;
        }
    }
    return OK;
}

void roles_start(struct master *m)
{
    start_due(m);
}

/* Its limit grows with what it may hold now, where the kernel lets master do it: to another uid with CAP_SYS_RESOURCE
 * alone. */
static void allow_memory(struct proc *p)
{
    struct rlimit l;
    uint64_t memory = memory_of(p);

    if (memory <= p->memory || getrlimit(RLIMIT_DATA, &l) != 0)
        return;
    l.rlim_cur = l.rlim_max < memory ? l.rlim_max : memory;
    if (prlimit(p->pid, RLIMIT_DATA, &l, NULL) == 0)
        p->memory = memory;
    else
        log_warn("%s %u may have %llu MB of memory until it is started anew, less than the new configuration asks for",
                 name_of(p), p->instance, (unsigned long long)(p->memory >> 20));
}

void roles_reloaded(struct master *m)
{
    static uint8_t out[IPC_MAX];
    size_t len;

    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        struct spawn_params s = {.role = p->role,
                                 .instance = p->instance,
                                 .instances = running(p),
                                 .dir = m->dir,
                                 .config = &m->files.config,
                                 .config_text = m->files.text,
                                 .config_len = m->files.text_len,
                                 .policy = m->files.policy,
                                 .policy_len = m->files.policy_len,
                                 .password = m->files.password};
        int err = OK;

        if (!p->channel)
            continue;
        if (spawn_pack_config(&s, out, &len) == OK)
            err = ipc_send(p->channel, ROLE_MSG_CONFIG, 0, out, len, NULL, 0);
        for (size_t k = 0; err == OK && p->row->traits & ROLE_HAS_TLS && k < certs_pairs(m->files.certs); k++)
            if (spawn_pack_tls(m->files.certs, k, out, &len) == OK)
                err = ipc_send(p->channel, ROLE_MSG_TLS, 0, out, len, NULL, 0);
        if (err == OK && p->row->traits & ROLE_SENDS && spawn_pack_relay(&s, out, &len) == OK)
            err = ipc_send(p->channel, ROLE_MSG_RELAY, 0, out, len, NULL, 0);
        explicit_bzero(out, sizeof(out));
        allow_memory(p);
        if (err != OK)
            log_error("%s %u did not get the new configuration: %s", name_of(p), p->instance, err_str(err));
    }
}

static bool stage_empty(const struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++)
        if (m->procs[i].pid && m->procs[i].row->stop_stage == m->stop_stage)
            return false;
    return true;
}

static void tell_stage(struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        if (p->pid && p->row->stop_stage == m->stop_stage &&
            (!p->channel || ipc_send(p->channel, ROLE_MSG_STOP, 0, NULL, 0, NULL, 0) != OK))
            kill(p->pid, SIGKILL);
    }
    timer_set(m->stop_timer, stop_ms[m->stop_stage]);
}

/* Goes on to the next stage that has anyone in it. */
static void stop_step(struct master *m)
{
    unsigned before = m->stop_stage;

    while (m->stop_stage < ROLE_STOP_STAGES && stage_empty(m))
        m->stop_stage++;
    if (m->stop_stage == ROLE_STOP_STAGES)
        loop_stop(m->loop);
    else if (m->stop_stage != before)
        tell_stage(m);
}

static void stop_overdue(void *arg)
{
    struct master *m = arg;

    for (size_t i = 0; i < m->nprocs; i++)
        if (m->procs[i].pid && m->procs[i].row->stop_stage == m->stop_stage) {
            log_warn("%s %u did not stop in time", name_of(&m->procs[i]), m->procs[i].instance);
            kill(m->procs[i].pid, SIGKILL);
        }
}

void roles_stop(struct master *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    notify("STOPPING=1");
    for (size_t i = 0; i < m->nprocs; i++) {
        m->procs[i].due = false;
        timer_set(m->procs[i].timer, 0);
    }
    m->stop_timer = timer_create_in(m->loop, stop_overdue, m);
    if (!m->stop_timer) {
        loop_stop(m->loop);
        return;
    }
    m->stop_stage = 0;
    tell_stage(m);
    stop_step(m);
}

void roles_destroy(struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        if (p->pid > 0) {
            kill(p->pid, SIGKILL);
            waitpid(p->pid, NULL, 0);
        }
        set_down(p);
        timer_destroy(p->timer);
    }
    m->nprocs = 0;
    timer_destroy(m->stop_timer);
    m->stop_timer = NULL;
}
