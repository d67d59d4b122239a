/* Master's side of the control socket. Who may connect is decided by the kernel's word on the peer's uid; what a
 * client sends is foreign all the same: an unknown message ends its channel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/certificates.h"
#include "server/master/control_path.h"
#include "server/master/impl.h"

enum {
    BACKLOG = 64,
    STATUS_MS = 2000,  /* for the roles to count */
    SERVER_MS = 10000, /* for a role that is being restarted */
    TICK_MS = 100,
};

static void reply(struct control_client *c, uint64_t id, const void *payload, size_t len, int fd)
{
    c->waiting = 0;
    if (c->ipc)
        (void)ipc_send(c->ipc, CONTROL_REPLY, id, payload, len, &fd, fd >= 0 ? 1 : 0);
}

static void reply_code(struct control_client *c, uint64_t id, int err, const char *why)
{
    uint8_t out[CONTROL_WHY_MAX + 16];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-err);
    if (why)
        pack_str(&p, why);
    reply(c, id, out, p.len, -1);
}

/* Until the deadline, when the tick gives up. */
static int wait_for(struct control_client *c, enum control_msg what, uint64_t id, uint64_t ms)
{
    c->waiting = what;
    c->id = id;
    c->until = loop_now_ms(c->master->loop) + ms;
    timer_set(c->master->control_timer, TICK_MS);
    return OK;
}

static enum role role_behind(enum control_msg what)
{
    return what == CONTROL_VAULT ? ROLE_VAULT : what == CONTROL_SEAL ? ROLE_GPG_SEAL : ROLE_GPG_JUDGE;
}

static bool wants_channel(enum control_msg what)
{
    return what == CONTROL_VAULT || what == CONTROL_JUDGE || what == CONTROL_SEAL;
}

static int give_channel(struct control_client *c, enum control_msg what, uint64_t id)
{
    static const uint8_t zero[4];
    struct proc *server = roles_server(c->master, role_behind(what));
    int fd, r = server ? roles_connect(server, ROLE_MASTER, true, &fd) : ERR_GONE;

    if (r == ERR_GONE) /* dead, or dying: the next one will answer */
        return wait_for(c, what, id, SERVER_MS);
    if (r != OK) {
        reply_code(c, id, r, NULL);
        return OK;
    }
    reply(c, id, zero, sizeof(zero), fd);
    close(fd);
    return OK;
}

static void on_role_ready(struct master *m)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *c = &m->clients[i];
        if (c->ipc && wants_channel(c->waiting) && roles_server(m, role_behind(c->waiting)))
            (void)give_channel(c, c->waiting, c->id);
    }
}

/* The role's own counters, and what master counts of it. */
static void pack_counters(struct pack *out, const struct proc *p)
{
    struct unpack u;

    uint32_t n;

    unpack_init(&u, p->status, p->status_len);
    n = unpack_u32(&u);
    pack_u32(out, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        pack_str(out, counter_name(unpack_u32(&u)));
        pack_u64(out, unpack_u64(&u));
    }
    pack_str(out, "role-hangs");
    pack_u64(out, p->hangs);
}

static void pack_proc(struct pack *out, const struct proc *p, bool counters)
{
    static const uint8_t none[4];

    pack_str(out, p->row->name);
    pack_u32(out, p->instance);
    pack_u64(out, (uint64_t)p->pid);
    pack_u64(out, p->restarts);
    if (counters && p->status)
        pack_counters(out, p);
    else
        pack_raw(out, none, sizeof(none));
}

static void reply_status(struct control_client *c)
{
    static uint8_t out[IPC_MAX];
    struct master *m = c->master;
    struct pack p;

    for (int counters = 1; counters >= 0; counters--) { /* without them, should they not fit */
        pack_init(&p, out, sizeof(out));
        pack_u32(&p, 0);
        pack_u32(&p, (uint32_t)m->nprocs);
        for (size_t i = 0; i < m->nprocs; i++)
            pack_proc(&p, &m->procs[i], counters);
        if (!p.failed)
            break;
    }
    reply(c, c->id, out, p.len, -1);
}

static bool status_complete(const struct master *m)
{
    for (size_t i = 0; i < m->nprocs; i++)
        if (m->procs[i].status_due)
            return false;
    return true;
}

static void reply_status_all(struct master *m)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (m->clients[i].ipc && m->clients[i].waiting == CONTROL_STATUS)
            reply_status(&m->clients[i]);
}

/* Counters are a role's word: kept only if they decode. */
static bool counters_valid(struct slice s)
{
    struct unpack u;
    uint32_t n;

    unpack_init(&u, s.data, s.len);
    n = unpack_u32(&u);
    if (n > COUNTERS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!counter_name(unpack_u32(&u)))
            return false;
        unpack_u64(&u);
    }
    return unpack_done(&u);
}

static void on_role_status(struct proc *p, uint64_t id, struct slice payload)
{
    if (id != p->master->status_id || !p->status_due)
        return;
    p->status_due = false;
    free(p->status);
    p->status = NULL;
    if (counters_valid(payload) && (p->status = malloc(payload.len))) {
        memcpy(p->status, payload.data, payload.len);
        p->status_len = payload.len;
    }
    if (status_complete(p->master))
        reply_status_all(p->master);
}

static int on_status(struct control_client *c, uint64_t id)
{
    struct master *m = c->master;
    bool under_way = false;

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        under_way |= m->clients[i].ipc && m->clients[i].waiting == CONTROL_STATUS;
    (void)wait_for(c, CONTROL_STATUS, id, STATUS_MS);
    if (under_way)
        return OK; /* one count serves all who ask meanwhile */
    m->status_id++;
    for (size_t i = 0; i < m->nprocs; i++) {
        struct proc *p = &m->procs[i];
        p->status_due = p->state == PROC_READY && p->channel &&
                        ipc_send(p->channel, ROLE_MSG_STATUS, m->status_id, NULL, 0, NULL, 0) == OK;
    }
    if (status_complete(m))
        reply_status_all(m);
    return OK;
}

static int on_reload(struct control_client *c, uint64_t id)
{
    char why[CONTROL_WHY_MAX] = "";
    int err = reload(c->master, why, sizeof(why));

    reply_code(c, id, err, why);
    return OK;
}

struct minds {
    struct pack p;
    uint32_t n;
};

static void add_mind(void *arg, bool hint, const char *sentence)
{
    struct minds *l = arg;

    (void)hint;
    if (l->n == CONTROL_MINDS_MAX || strlen(sentence) >= CONTROL_MIND_MAX)
        return;
    pack_str(&l->p, sentence);
    l->n++;
}

static int on_mind(struct control_client *c, uint64_t id)
{
    static uint8_t out[8 + CONTROL_MINDS_MAX * (4 + CONTROL_MIND_MAX)];
    struct minds l = {.n = 0};
    struct pack head;

    pack_init(&l.p, out + 8, sizeof(out) - 8);
    mind_all(c->master, add_mind, &l);
    pack_init(&head, out, 8);
    pack_u32(&head, 0);
    pack_u32(&head, l.n);
    reply(c, id, out, 8 + l.p.len, -1);
    return OK;
}

static int on_stop(struct control_client *c, uint64_t id)
{
    reply_code(c, id, OK, NULL);
    roles_stop(c->master);
    return OK;
}

static int on_vault(struct control_client *c, uint64_t id)
{
    return give_channel(c, CONTROL_VAULT, id);
}

static int on_judge(struct control_client *c, uint64_t id)
{
    return give_channel(c, CONTROL_JUDGE, id);
}

static int on_seal(struct control_client *c, uint64_t id)
{
    return give_channel(c, CONTROL_SEAL, id);
}

static int (*const verbs[])(struct control_client *c, uint64_t id) = {
    [CONTROL_STATUS] = on_status, [CONTROL_VAULT] = on_vault, [CONTROL_JUDGE] = on_judge, [CONTROL_RELOAD] = on_reload,
    [CONTROL_STOP] = on_stop,     [CONTROL_MIND] = on_mind,   [CONTROL_SEAL] = on_seal,
};

/* ---- those that say more ---- */

static int on_challenge(struct control_client *c, uint64_t id, struct slice asked)
{
    int status, err = certificates_challenge(c->master, asked, &status);

    if (err == OK)
        reply_code(c, id, status, NULL);
    return err;
}

static int on_certificates(struct control_client *c, uint64_t id, struct slice asked)
{
    static uint8_t out[IPC_MAX];
    struct pack p;
    int err;

    pack_init(&p, out, sizeof(out));
    err = certificates_list(c->master, asked, &p);
    if (err == OK)
        reply(c, id, out, p.len, -1);
    return err;
}

static int (*const questions[])(struct control_client *c, uint64_t id, struct slice asked) = {
    [CONTROL_CHALLENGE] = on_challenge,
    [CONTROL_CERTIFICATES] = on_certificates,
};

static int on_message(void *arg, struct ipc_msg *msg)
{
    struct control_client *c = arg;

    if (c->waiting) /* one request at a time */
        return ERR_FORMAT;
    if (msg->type < sizeof(questions) / sizeof(*questions) && questions[msg->type])
        return questions[msg->type](c, msg->id, msg->payload);
    if (msg->type >= sizeof(verbs) / sizeof(*verbs) || !verbs[msg->type] || msg->payload.len)
        return ERR_FORMAT;
    return verbs[msg->type](c, msg->id);
}

static void on_close(void *arg)
{
    struct control_client *c = arg;

    ipc_destroy(c->ipc);
    c->ipc = NULL;
    c->waiting = 0;
}

static void on_tick(void *arg)
{
    struct master *m = arg;
    bool more = false;

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *c = &m->clients[i];
        if (!c->ipc || !c->waiting)
            continue;
        if (loop_now_ms(m->loop) < c->until)
            more = true;
        else if (c->waiting == CONTROL_STATUS)
            reply_status(c); /* with what came in time */
        else
            reply_code(c, c->id, ERR_GONE, NULL);
    }
    if (more)
        timer_set(m->control_timer, TICK_MS);
}

static bool may_use(const struct master *m, int fd)
{
    struct ucred u;
    socklen_t len = sizeof(u);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == 0 &&
           (u.uid == 0 || u.uid == m->owner || u.uid == geteuid());
}

static void on_connect(void *arg, unsigned events)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct master *m = arg;
    int fd = accept4(m->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    for (size_t i = 0; fd >= 0 && i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *c = &m->clients[i];
        if (c->ipc || !may_use(m, fd))
            continue;
        *c = (struct control_client){.master = m};
        c->ipc = ipc_create(m->loop, fd, &ops, c); /* takes fd either way */
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* The lock is held, so a socket file that is there already is a dead server's. */
int control_listen(struct master *m, char *why, size_t why_cap)
{
    struct sockaddr_un a;
    struct stat st;
    int at = control_address(m->dir, &a), fd = -1, r = ERR_IO;

    if (at >= 0 && stat(m->dir, &st) == 0) {
        m->owner = st.st_uid;
        (void)unlinkat(at, "control", 0);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && chmod(a.sun_path, 0600) == 0 &&
            (m->owner == geteuid() || chown(a.sun_path, m->owner, (gid_t)-1) == 0) && listen(fd, BACKLOG) == 0)
            r = OK;
    }
    if (r != OK) {
        snprintf(why, why_cap, "the control socket %s/run/control cannot be made: %s%s", m->dir, strerror(errno),
                 errno == ENOSPC || errno == EDQUOT ? "; make room" : "");
        if (fd >= 0)
            close(fd);
    } else {
        m->control_fd = fd;
    }
    if (at >= 0)
        close(at);
    return r;
}

int control_start(struct master *m)
{
    m->watcher = (struct roles_watcher){on_role_ready, on_role_status};
    m->control_timer = timer_create_in(m->loop, on_tick, m);
    m->control_watch = watch_create(m->loop, m->control_fd, LOOP_READ, on_connect, m);
    return m->control_timer && m->control_watch ? OK : ERR_MEMORY;
}

void control_end(struct master *m)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        ipc_destroy(m->clients[i].ipc);
        m->clients[i].ipc = NULL;
    }
    watch_destroy(m->control_watch);
    timer_destroy(m->control_timer);
    if (m->control_fd >= 0)
        close(m->control_fd);
    certificates_end(m);
}
