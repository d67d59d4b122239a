/* A role's side of its birth and of master's later messages. Master is trusted more than any peer, but what does
 * not decode is refused all the same: before GO it ends the role, afterwards the channel, which ends the role too. */
#include "server/base/role.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/secmem.h"
#include "server/core/error.h"
#include "server/core/heap_trim.h"
#include "server/base/event.h"

enum { STATUS_MAX = 4 + COUNTERS * 12 };

static char own_name[24] = "role";
static enum role own_role;

/* The name stands in the command line, "letterlock role:NAME". */
static void learn_name(void)
{
    char line[128];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    const char *name;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    line[n] = '\0';
    name = line + strlen(line) + 1;
    if (name < line + n && strncmp(name, "role:", 5) == 0)
        snprintf(own_name, sizeof(own_name), "%s", name + 5);
    for (int i = 0; i < ROLES; i++)
        if (strcmp(own_name, role_name((enum role)i)) == 0)
            own_role = (enum role)i;
}

static int take_fd(struct ipc_msg *m, int *ret_fd)
{
    if (m->nfds != 1 || m->fds[0] < 0)
        return ERR_FORMAT;
    *ret_fd = m->fds[0];
    m->fds[0] = -1;
    return OK;
}

static int read_config(struct ipc_msg *m, struct role_start *s)
{
    struct unpack u;
    struct slice text;
    char why[256] = "";

    unpack_init(&u, m->payload.data, m->payload.len);
    unpack_str(&u, s->dir, sizeof(s->dir));
    s->instance = unpack_u32(&u);
    s->instances = unpack_u32(&u);
    s->uid = unpack_u64(&u);
    s->gid = unpack_u64(&u);
    text = unpack_bytes(&u, IPC_MAX);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    if (config_parse((const char *)text.data, text.len, &s->config, why, sizeof(why)) != OK) {
        log_event(start_failed, EVENT_START_CONFIGURATION, ERR_FORMAT);
        return ERR_FORMAT;
    }
    config_share(&s->config, s->instances);
    config_set_log(&s->config, own_name);
    return OK;
}

/* No more and no fewer than its row says: a key too many is a fault that nobody would notice otherwise. */
static int read_record_keys(struct ipc_msg *m, struct role_start *s)
{
    int err;

    if (!s->keys && !(s->keys = secmem_key_alloc(sizeof(*s->keys))))
        return ERR_MEMORY;
    err = record_bundle_unpack(m->payload, s->keys);
    return err == OK && s->keys->uses != roles_table[own_role].uses ? ERR_FORMAT : err;
}

static int read_queue_key(struct ipc_msg *m, struct role_start *s)
{
    const unsigned traits = roles_table[own_role].traits;
    int err = s->keys && traits & (ROLE_QUEUE_SEALS | ROLE_QUEUE_OPENS) ? OK : ERR_FORMAT;

    if (err == OK)
        err = record_bundle_unpack_queue(m->payload, s->keys);
    return err == OK && s->keys->queue_opens != !!(traits & ROLE_QUEUE_OPENS) ? ERR_FORMAT : err;
}

/* Certificates as they come, until the last pair of a set. */
static struct certs *coming;

static int read_certs(struct ipc_msg *m, struct certs **ret)
{
    return roles_table[own_role].traits & ROLE_HAS_TLS ? certs_take(&coming, m->payload, ret) : ERR_FORMAT;
}

static int read_first_certs(struct ipc_msg *m, struct role_start *s)
{
    return s->certs ? ERR_FORMAT : read_certs(m, &s->certs);
}

/* password: ROLE_PASSWORD_MAX octets. */
static int read_relay(struct ipc_msg *m, struct relay_policy **ret, char *password)
{
    struct unpack u;
    struct slice text;
    char why[256];

    if (!(roles_table[own_role].traits & ROLE_SENDS))
        return ERR_FORMAT;
    unpack_init(&u, m->payload.data, m->payload.len);
    text = unpack_bytes(&u, RELAY_POLICY_TEXT_MAX);
    unpack_str(&u, password, ROLE_PASSWORD_MAX);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    return relay_policy_parse((const char *)text.data, text.len, ret, why, sizeof(why));
}

static int read_first_relay(struct ipc_msg *m, struct role_start *s)
{
    if (s->policy || !(s->password = secmem_key_alloc(ROLE_PASSWORD_MAX)))
        return ERR_MEMORY;
    return read_relay(m, &s->policy, s->password);
}

/* There is one table a process: its octets are handed on at once. */
static int read_challenges(struct ipc_msg *m, const struct challenges **ret)
{
    static struct challenges table;

    *ret = &table;
    return roles_table[own_role].traits & ROLE_ANSWERS_ACME ? challenges_unpack(m->payload, &table) : ERR_FORMAT;
}

static int read_first_challenges(struct ipc_msg *m, struct role_start *s)
{
    return read_challenges(m, &s->challenges);
}

static int read_listener(struct ipc_msg *m, struct role_start *s)
{
    if (m->payload.len != 1 || m->payload.data[0] >= LISTENERS || s->listeners[m->payload.data[0]] >= 0)
        return ERR_FORMAT;
    return take_fd(m, &s->listeners[m->payload.data[0]]);
}

static int read_peer_head(const struct ipc_msg *m, enum role *ret_role, bool *ret_admin)
{
    const uint8_t *p = m->payload.data;

    if (m->payload.len != 2 || p[0] >= ROLES || p[1] > 1)
        return ERR_FORMAT;
    *ret_role = (enum role)p[0];
    *ret_admin = p[1];
    return OK;
}

static int read_first_peer(struct ipc_msg *m, struct role_start *s)
{
    enum role r;
    bool admin;

    if (read_peer_head(m, &r, &admin) != OK || s->peers[r] >= 0)
        return ERR_FORMAT;
    s->peer_admin[r] = admin;
    return take_fd(m, &s->peers[r]);
}

static int read_lock(struct ipc_msg *m, struct role_start *s)
{
    static int held = -1;

    (void)s;
    return held < 0 ? take_fd(m, &held) : ERR_FORMAT;
}

static int read_make(struct ipc_msg *m, struct role_start *s)
{
    s->make = true;
    return m->payload.len == 0 && m->nfds == 0 ? OK : ERR_FORMAT;
}

static int read_upgrade(struct ipc_msg *m, struct role_start *s)
{
    s->upgrade = true;
    return m->payload.len == 0 && m->nfds == 0 ? OK : ERR_FORMAT;
}

static int read_tally(struct ipc_msg *m, struct role_start *s)
{
    int err;

    if (m->payload.len != 1 || m->payload.data[0] > 1)
        return ERR_FORMAT;
    if (m->payload.data[0])
        return s->tally < 0 ? take_fd(m, &s->tally) : ERR_FORMAT;
    if (s->ntallies == TALLY_PAGES_MAX)
        return ERR_FORMAT;
    err = take_fd(m, &s->tallies[s->ntallies]);
    s->ntallies += err == OK;
    return err;
}

static int (*const first_reads[])(struct ipc_msg *m, struct role_start *s) = {
    [ROLE_MSG_CONFIG] = read_config,     [ROLE_MSG_RECORD_KEYS] = read_record_keys,
    [ROLE_MSG_TLS] = read_first_certs,   [ROLE_MSG_LISTENER] = read_listener,
    [ROLE_MSG_PEER] = read_first_peer,   [ROLE_MSG_LOCK] = read_lock,
    [ROLE_MSG_TALLY] = read_tally,       [ROLE_MSG_MAKE] = read_make,
    [ROLE_MSG_UPGRADE] = read_upgrade,   [ROLE_MSG_QUEUE_KEY] = read_queue_key,
    [ROLE_MSG_RELAY] = read_first_relay, [ROLE_MSG_CHALLENGES] = read_first_challenges,
};

void role_receive(struct role_start *ret)
{
    static uint8_t buf[IPC_MAX];
    struct role_start s = {.tally = -1};
    struct ipc_msg m;
    int err;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);                    /* a limit on the size of files is an error value too */
    fcntl(ROLE_CHANNEL_FD, F_SETFD, FD_CLOEXEC); /* it is not for programs the role may run */
    learn_name();
    event_init(own_name, LOG_LEVEL_INFO, false);
    event_to_pipe(STDERR_FILENO);
    for (int i = 0; i < LISTENERS; i++)
        s.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        s.peers[i] = -1;
    for (;;) {
        err = ipc_recv_blocking(ROLE_CHANNEL_FD, buf, &m, -1);
        if (err == OK && m.type == ROLE_MSG_GO)
            break;
        if (err == OK && (m.type >= sizeof(first_reads) / sizeof(*first_reads) || !first_reads[m.type]))
            err = ERR_FORMAT;
        if (err == OK)
            err = first_reads[m.type](&m, &s);
        explicit_bzero(buf, sizeof(buf)); /* it may have been a key */
        for (unsigned i = 0; err == OK && i < m.nfds; i++)
            if (m.fds[i] >= 0)
                close(m.fds[i]);
        if (err != OK) {
            if (err != ERR_GONE) /* master ended: nothing to report, and nobody to report to */
                log_event(start_failed, EVENT_START_MESSAGE, err);
            exit(1);
        }
    }
    if (!s.dir[0] || coming) {
        log_event(start_failed, EVENT_START_NO_CONFIGURATION, ERR_FORMAT);
        exit(1);
    }
    *ret = s;
}

void role_start_wipe(struct role_start *s)
{
    secmem_key_free(s->keys, sizeof(*s->keys));
    s->keys = NULL;
}

enum { TIDY_MS = 5000 };

/* From here on: the running role. There is one a process. */
static struct {
    struct loop *loop;
    struct ipc *master;
    const struct role_hooks *hooks;
    void *arg;
    struct timer *tidy;
    int (*on_login)(void *arg, uint64_t id, uint64_t wait_ms);
    void *login;
} self;

static int on_config(struct ipc_msg *m)
{
    struct role_start s;
    int err = read_config(m, &s);

    if (err == OK && self.hooks->on_config)
        self.hooks->on_config(self.arg, &s.config);
    return err;
}

static int on_certs(struct ipc_msg *m)
{
    struct certs *whole = NULL;
    int err = read_certs(m, &whole);

    if (err == OK && whole && self.hooks->on_certs)
        self.hooks->on_certs(self.arg, whole);
    else
        certs_unref(whole);
    return err;
}

static int on_relay(struct ipc_msg *m)
{
    struct relay_policy *policy;
    char *password = secmem_key_alloc(ROLE_PASSWORD_MAX);
    int err = password ? read_relay(m, &policy, password) : ERR_MEMORY;

    if (err == OK && self.hooks->on_relay)
        self.hooks->on_relay(self.arg, policy, password);
    else if (err == OK)
        relay_policy_free(policy);
    secmem_key_free(password, ROLE_PASSWORD_MAX);
    return err;
}

static int on_challenges(struct ipc_msg *m)
{
    const struct challenges *c;
    int err = read_challenges(m, &c);

    if (err == OK && self.hooks->on_challenges)
        self.hooks->on_challenges(self.arg, c);
    return err;
}

static int on_peer(struct ipc_msg *m)
{
    enum role r;
    bool admin;
    int fd;

    if (read_peer_head(m, &r, &admin) != OK || take_fd(m, &fd) != OK)
        return ERR_FORMAT;
    if (self.hooks->on_peer)
        self.hooks->on_peer(self.arg, r, admin, fd);
    else
        close(fd);
    return OK;
}

static int on_stop(struct ipc_msg *m)
{
    (void)m;
    if (self.hooks->on_stop)
        self.hooks->on_stop(self.arg);
    else
        loop_stop(self.loop);
    return OK;
}

static int on_status(struct ipc_msg *m)
{
    uint8_t out[STATUS_MAX];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, 0);
    if (self.hooks->on_status)
        self.hooks->on_status(self.arg, &p);
    if (p.failed)
        return OK; /* too many counters: master goes without */
    (void)ipc_send(self.master, ROLE_MSG_STATUS_REPLY, m->id, p.data, p.len, NULL, 0);
    return OK;
}

/* The count in front grows with every pair. */
void role_status_put(struct pack *reply, enum counter c, uint64_t value)
{
    struct unpack u;
    struct pack head;
    uint32_t n;

    pack_u32(reply, c);
    pack_u64(reply, value);
    if (reply->failed)
        return;
    unpack_init(&u, reply->data, 4);
    n = unpack_u32(&u);
    pack_init(&head, reply->data, 4);
    pack_u32(&head, n + 1);
}

static int on_login_reply(struct ipc_msg *m)
{
    struct unpack u;
    uint64_t wait_ms;

    unpack_init(&u, m->payload.data, m->payload.len);
    wait_ms = unpack_u64(&u);
    return unpack_done(&u) && self.on_login ? self.on_login(self.login, m->id, wait_ms) : ERR_FORMAT;
}

static int (*const later_reads[])(struct ipc_msg *m) = {
    [ROLE_MSG_CONFIG] = on_config, [ROLE_MSG_TLS] = on_certs,
    [ROLE_MSG_PEER] = on_peer,     [ROLE_MSG_STOP] = on_stop,
    [ROLE_MSG_STATUS] = on_status, [ROLE_MSG_LOGIN_REPLY] = on_login_reply,
    [ROLE_MSG_RELAY] = on_relay,   [ROLE_MSG_CHALLENGES] = on_challenges,
};

static int on_message(void *arg, struct ipc_msg *m)
{
    (void)arg;
    if (m->type >= sizeof(later_reads) / sizeof(*later_reads) || !later_reads[m->type])
        return ERR_FORMAT;
    return later_reads[m->type](m);
}

static void on_close(void *arg)
{
    (void)arg;
    ipc_destroy(self.master);
    self.master = NULL;
    loop_stop(self.loop);
}

static void on_tidy(void *arg)
{
    (void)arg;
    heap_trim();
    event_tick();
    timer_set(self.tidy, TIDY_MS);
}

int role_attach(struct loop *l, const struct role_hooks *h, void *arg)
{
    static const struct ipc_ops ops = {on_message, on_close};

    self.loop = l;
    self.hooks = h;
    self.arg = arg;
    self.master = ipc_create(l, ROLE_CHANNEL_FD, &ops, NULL);
    self.tidy = timer_create_in(l, on_tidy, NULL);
    if (!self.master || !self.tidy)
        return ERR_MEMORY;
    timer_set(self.tidy, TIDY_MS);
    return ipc_send(self.master, ROLE_MSG_READY, 0, NULL, 0, NULL, 0) == OK ? OK : ERR_IO;
}

int role_send(enum role_msg type, uint64_t id, const struct pack *payload)
{
    return self.master ? ipc_send(self.master, type, id, payload->data, payload->len, NULL, 0) : ERR_GONE;
}

void role_on_login(int (*fn)(void *arg, uint64_t id, uint64_t wait_ms), void *arg)
{
    self.on_login = fn;
    self.login = arg;
}
