/* Starting a role: this binary again, with a clean environment, one channel on descriptor 3 and nothing else
 * inherited. All that the role is to know goes through the channel, so nothing shows in its command line or
 * environment. */
#include "server/master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/master/log_pipe.h"

extern char **environ;

/* The rest, the passphrase file's name among it, is nobody's business. */
static const char *const kept[] = {"TZ=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
enum { KEPT = sizeof(kept) / sizeof(*kept) };

static void clean_environment(char *out[KEPT + 2])
{
    size_t n = 0;

    out[n++] = (char *)"PATH=/usr/bin:/bin";
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < KEPT; i++)
            if (n < KEPT + 1 && strncmp(*e, kept[i], strlen(kept[i])) == 0)
                out[n++] = *e;
    out[n] = NULL;
}

/* In the child. Between fork and exec only calls that are safe there. */
static _Noreturn void become_role(int channel, int log, char *const argv[], char *const env[], pid_t parent)
{
    sigset_t none;
    int null;

    /* Master's death ends the role at once; what it was doing is safe at any moment (docs/crash-states.md). */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    setsid(); /* the terminal's signals go to master, which stops the roles in order */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(1);
    if (channel == ROLE_CHANNEL_FD ? fcntl(channel, F_SETFD, 0) != 0 : dup2(channel, ROLE_CHANNEL_FD) < 0)
        _exit(1);
    if (close_range(ROLE_CHANNEL_FD + 1, ~0U, 0) != 0 || chdir("/") != 0)
        _exit(1);
    umask(077);
    execve("/proc/self/exe", argv, env);
    _exit(1);
}

int spawn_pack_config(const struct spawn_params *p, uint8_t *out, size_t *ret_len)
{
    struct pack m;
    uint64_t uid, gid;

    spawn_ids(p->config, p->role, &uid, &gid);
    pack_init(&m, out, IPC_MAX);
    pack_str(&m, p->dir);
    pack_u32(&m, p->instance);
    pack_u32(&m, p->instances);
    pack_u64(&m, uid);
    pack_u64(&m, gid);
    pack_bytes(&m, p->config_text, p->config_len);
    *ret_len = m.len;
    return m.failed ? ERR_LIMIT : OK;
}

int spawn_pack_tls(const struct certs *c, size_t pair, uint8_t *out, size_t *ret_len)
{
    struct pack m;
    int err;

    pack_init(&m, out, IPC_MAX);
    err = certs_pack(c, pair, &m);
    *ret_len = m.len;
    return err;
}

int spawn_pack_challenges(const struct challenges *c, uint8_t *out, size_t *ret_len)
{
    struct pack m;

    pack_init(&m, out, IPC_MAX);
    challenges_pack(c, &m);
    *ret_len = m.len;
    return m.failed ? ERR_LIMIT : OK;
}

int spawn_pack_relay(const struct spawn_params *p, uint8_t *out, size_t *ret_len)
{
    struct pack m;

    pack_init(&m, out, IPC_MAX);
    pack_bytes(&m, p->policy, p->policy_len);
    pack_str(&m, p->password);
    *ret_len = m.len;
    return m.failed ? ERR_LIMIT : OK;
}

static int send_relay(int fd, const struct spawn_params *p)
{
    static uint8_t out[IPC_MAX];
    size_t len;
    int err = spawn_pack_relay(p, out, &len);

    if (err == OK)
        err = ipc_send_blocking(fd, ROLE_MSG_RELAY, 0, out, len, NULL, 0);
    explicit_bzero(out, sizeof(out));
    return err;
}

static int send_config(int fd, const struct spawn_params *p)
{
    static uint8_t out[IPC_MAX];
    size_t len;
    int err = spawn_pack_config(p, out, &len);

    return err == OK ? ipc_send_blocking(fd, ROLE_MSG_CONFIG, 0, out, len, NULL, 0) : err;
}

static int send_record_keys(int fd, const struct spawn_params *p)
{
    uint8_t out[RECORD_BUNDLE_MAX];
    size_t len = record_bundle_pack(p->keys, roles_table[p->role].uses, out);
    int err = ipc_send_blocking(fd, ROLE_MSG_RECORD_KEYS, 0, out, len, NULL, 0);

    explicit_bzero(out, sizeof(out));
    return err;
}

static int send_queue_key(int fd, const struct spawn_params *p)
{
    uint8_t out[QUEUE_KEY_PACKED_MAX];
    size_t len = record_bundle_pack_queue(p->keys, roles_table[p->role].traits & ROLE_QUEUE_OPENS, out);
    int err = ipc_send_blocking(fd, ROLE_MSG_QUEUE_KEY, 0, out, len, NULL, 0);

    explicit_bzero(out, sizeof(out));
    return err;
}

static int send_certs(int fd, const struct certs *c)
{
    static uint8_t out[IPC_MAX];
    size_t len;
    int err = OK;

    for (size_t i = 0; i < certs_pairs(c) && err == OK; i++) {
        err = spawn_pack_tls(c, i, out, &len);
        if (err == OK)
            err = ipc_send_blocking(fd, ROLE_MSG_TLS, 0, out, len, NULL, 0);
        explicit_bzero(out, sizeof(out));
    }
    return err;
}

static int send_challenges(int fd, const struct challenges *c)
{
    static uint8_t out[IPC_MAX];
    size_t len;
    int err = spawn_pack_challenges(c, out, &len);

    return err == OK ? ipc_send_blocking(fd, ROLE_MSG_CHALLENGES, 0, out, len, NULL, 0) : err;
}

/* Its own page, and the others'. */
static int send_tallies(int fd, const struct spawn_params *p)
{
    const uint8_t own = 1, other = 0;
    int err = ipc_send_blocking(fd, ROLE_MSG_TALLY, 0, &own, 1, &p->tally, 1);

    for (uint32_t i = 0; err == OK && i < p->instances; i++)
        if (i != p->instance)
            err = ipc_send_blocking(fd, ROLE_MSG_TALLY, 0, &other, 1, &p->tallies[i], 1);
    return err;
}

/* Everything up to GO. */
static int send_start(int fd, const struct spawn_params *p)
{
    int err = send_config(fd, p);

    if (err == OK && p->lock_fd > 0)
        err = ipc_send_blocking(fd, ROLE_MSG_LOCK, 0, NULL, 0, &p->lock_fd, 1);
    if (err == OK && p->make)
        err = ipc_send_blocking(fd, ROLE_MSG_MAKE, 0, NULL, 0, NULL, 0);
    if (err == OK && p->upgrade)
        err = ipc_send_blocking(fd, ROLE_MSG_UPGRADE, 0, NULL, 0, NULL, 0);
    if (err == OK && p->keys)
        err = send_record_keys(fd, p);
    if (err == OK && p->keys && roles_table[p->role].traits & (ROLE_QUEUE_SEALS | ROLE_QUEUE_OPENS))
        err = send_queue_key(fd, p);
    if (err == OK && p->certs)
        err = send_certs(fd, p->certs);
    if (err == OK && p->challenges)
        err = send_challenges(fd, p->challenges);
    if (err == OK && p->policy)
        err = send_relay(fd, p);
    if (err == OK && p->tallies)
        err = send_tallies(fd, p);
    for (uint8_t i = 0; err == OK && i < LISTENERS; i++)
        if (p->listeners[i] >= 0)
            err = ipc_send_blocking(fd, ROLE_MSG_LISTENER, 0, &i, 1, &p->listeners[i], 1);
    for (uint8_t i = 0; err == OK && i < ROLES; i++)
        if (p->peers[i] >= 0) {
            const uint8_t head[2] = {i, p->peer_admin};
            err = ipc_send_blocking(fd, ROLE_MSG_PEER, 0, head, sizeof(head), &p->peers[i], 1);
        }
    return err == OK ? ipc_send_blocking(fd, ROLE_MSG_GO, 0, NULL, 0, NULL, 0) : err;
}

int spawn_role(const struct spawn_params *p, pid_t *ret_pid, int *ret_channel, int *ret_log)
{
    char name[64], *argv[] = {(char *)"letterlock", name, NULL}, *env[KEPT + 2];
    pid_t parent = getpid(), pid;
    int pair[2], log[2], why, r = log_pipe_ends(log);

    if (r != OK)
        return r;
    r = ipc_pair(pair);
    if (r != OK) {
        close(log[0]);
        close(log[1]);
        return r;
    }
    snprintf(name, sizeof(name), "role:%s", role_name(p->role));
    clean_environment(env);
    pid = fork();
    if (pid == 0)
        become_role(pair[1], log[1], argv, env, parent);
    why = errno;
    close(pair[1]);
    close(log[1]);
    r = pid < 0 ? ERR_IO : send_start(pair[0], p);
    if (r != OK && r != ERR_GONE) { /* gone: it died in its start, and its parent hears of that as of any death */
        close(pair[0]);
        close(log[0]);
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        errno = why;
        return r;
    }
    *ret_pid = pid;
    *ret_channel = pair[0];
    *ret_log = log[0];
    return OK;
}

int spawn_wait_ready(int channel, int ms)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    int err = ipc_recv_blocking(channel, buf, &m, ms);

    if (err != OK)
        return err;
    for (unsigned i = 0; i < m.nfds; i++)
        close(m.fds[i]);
    return m.type == ROLE_MSG_READY ? OK : ERR_FORMAT;
}

void spawn_ids(const struct config *c, enum role role, uint64_t *ret_uid, uint64_t *ret_gid)
{
    *ret_uid = *ret_gid = geteuid() == 0 && c->role_uid_base ? (uint64_t)c->role_uid_base + role : 0;
}
