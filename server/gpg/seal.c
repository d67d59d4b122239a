/* The role "gpg seal": for each message one gpg, which reads the plaintext from the client's pipe and writes packets to
 * the client's other pipe. Certificates come to it as descriptors; it has no home, no keyring, no agent, and the
 * sandbox lets neither it nor this role open anything for writing. The role itself never touches the plaintext. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/role.h"
#include "server/gpg/gpg_internal.h"

enum {
    CERT_FD = 10 /* the first certificate's descriptor in gpg */,
    SECONDS_MAX = 600,
    ARGS_MAX = 40 + 2 * GPG_CERTS_MAX
};

struct client;
struct child {
    struct child *next;
    pid_t pid;
    struct client *client;
    uint64_t id;
};
/* Asked for, and waiting for a place. */
struct job {
    struct job *next;
    uint64_t id;
    size_t ncerts;
    int fds[2 + GPG_CERTS_MAX]; /* gpg's standard input and output, then the certificates */
    uint32_t until;             /* 0: now; else the time gpg is told */
};
struct client {
    struct client *next;
    struct ipc *ipc;
    struct job *first, **tail;
    unsigned waiting;
};

static struct {
    struct loop *loop;
    struct child *children;
    struct client *clients; /* whose turn it is stands first */
    unsigned running;
    int null;
    bool stopping;
    uint64_t sealed, failed;
} seal;

static int reply(struct client *c, uint64_t id, int status, const char *why)
{
    uint8_t out[256];
    struct pack p;
    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, why);
    return ipc_send(c->ipc, GPG_REPLY, id, out, p.len, NULL, 0);
}

/* Between fork and exec: nothing that allocates. fds: standard input and output, then the certificates. */
static _Noreturn void become_gpg(const char *const argv[], const int *fds, size_t n)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    struct itimerval patience = {.it_value.tv_sec = SECONDS_MAX};
    static const char *const env[] = {"PATH=/usr/bin", "LC_ALL=C", "GNUPGHOME=/nonexistent", NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &dfl, NULL);
    setitimer(ITIMER_REAL, &patience, NULL); /* this role may not kill: a gpg that hangs ends itself */
    for (size_t i = 0; i < n; i++) {         /* first out of the way of where they go */
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, CERT_FD + GPG_CERTS_MAX);
        if (fd < 0 || dup2(fd, i < 2 ? (int)i : CERT_FD + (int)i - 2) < 0)
            _exit(126);
    }
    if (dup2(seal.null, STDERR_FILENO) < 0) /* gpg's words name people */
        _exit(126);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) & ~O_NONBLOCK);
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) & ~O_NONBLOCK);
    execve("/usr/bin/gpg", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    _exit(127);
}

static pid_t run_gpg(const struct job *job)
{
    static char numbers[GPG_CERTS_MAX][8], until[16];
    const char *argv[ARGS_MAX] = {"gpg",
                                  "--no-options",
                                  "--rfc4880", /* newer ones would write GnuPG's own AEAD packets */
                                  "--homedir",
                                  "/nonexistent",
                                  "--batch",
                                  "--quiet",
                                  "--no-tty",
                                  "--no-keyring",
                                  "--lock-never",
                                  "--no-random-seed-file",
                                  "--trust-model",
                                  "always",
                                  "--no-auto-key-locate",
                                  "--no-auto-check-trustdb",
                                  "--no-autostart",
                                  "--disable-dirmngr",
                                  "--enable-special-filenames",
                                  "--no-comments",
                                  "--no-emit-version",
                                  "-z",
                                  "0",
                                  "--no-armor",
                                  "--set-filename",
                                  ""};
    size_t n = 0;
    while (argv[n])
        n++;
    if (job->until) {
        snprintf(until, sizeof(until), "%u!", job->until);
        argv[n++] = "--faked-system-time";
        argv[n++] = until;
        argv[n++] = "--ignore-time-conflict"; /* another current key may have been made since */
        argv[n++] = "--ignore-valid-from";
    }
    for (size_t i = 0; i < job->ncerts; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "-&%u", CERT_FD + (unsigned)i);
        argv[n++] = "--recipient-file";
        argv[n++] = numbers[i];
    }
    argv[n++] = "--encrypt";
    argv[n] = NULL;
    event_flush();
    pid_t pid = fork();
    if (pid == 0)
        become_gpg(argv, job->fds, 2 + job->ncerts);
    return pid;
}

/* Cuts the memfd of certificates into one descriptor each. */
static int take_certs(struct job *job, struct ipc_msg *m)
{
    struct unpack u;
    uint8_t *all = NULL;
    size_t len = 0, at = 0;
    uint64_t now = (uint64_t)time(NULL);
    unpack_init(&u, m->payload.data, m->payload.len);
    size_t n = unpack_u32(&u);
    if (u.failed || !n || n > GPG_CERTS_MAX || m->nfds != 3)
        return ERR_FORMAT;
    int err = gpg_read_all(m->fds[0], GPG_CERTS_MAX * (size_t)PGP_CERT_MAX, &all, &len);
    for (size_t i = 0; err == OK && i < n; i++) {
        size_t size = unpack_u32(&u);
        uint32_t expires = unpack_u32(&u);
        if (u.failed || !size || size > len - at) {
            err = ERR_FORMAT;
            break;
        }
        err = gpg_memfd(all + at, size, &job->fds[2 + i]);
        at += size;
        if (err == OK)
            job->ncerts++;
        if (expires && expires <= now && (!job->until || expires - 1 < job->until))
            job->until = expires - 1;
    }
    if (err == OK && (!unpack_done(&u) || at != len))
        err = ERR_FORMAT;
    free(all);
    return err;
}

static void job_free(struct job *job)
{
    for (size_t i = 0; i < 2 + job->ncerts; i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
    free(job);
}

static int job_start(struct client *c, struct job *job)
{
    struct child *child = calloc(1, sizeof(*child));
    if (!child)
        return ERR_MEMORY;
    *child = (struct child){.pid = run_gpg(job), .client = c, .id = job->id, .next = seal.children};
    if (child->pid < 0) {
        free(child);
        return ERR_MEMORY;
    }
    seal.children = child;
    seal.running++;
    return OK;
}

/* Whose turn it is, who then stands last. NULL: nobody waits. */
static struct client *client_next(void)
{
    struct client **at = &seal.clients, *c;
    while (*at && !(*at)->first)
        at = &(*at)->next;
    if (!(c = *at))
        return NULL;
    *at = c->next;
    while (*at)
        at = &(*at)->next;
    *at = c;
    c->next = NULL;
    return c;
}

/* Each client in its turn: none that asks for much holds up another. */
static void start_some(void)
{
    struct client *c;
    while (seal.running < GPG_OPS_MAX && (c = client_next())) {
        struct job *job = c->first;
        c->first = job->next;
        if (!c->first)
            c->tail = &c->first;
        c->waiting--;
        int err = job_start(c, job);
        if (err != OK)
            (void)reply(c, job->id, err, "gpg could not be started");
        job_free(job);
    }
}

static int on_message(void *arg, struct ipc_msg *m)
{
    struct client *c = arg;
    if (m->type != GPG_SEAL)
        return ERR_FORMAT;
    if (c->waiting >= GPG_OPS_MAX)
        return reply(c, m->id, ERR_FULL, "too many seals wait");
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return reply(c, m->id, ERR_MEMORY, "no memory");
    job->id = m->id;
    job->fds[0] = job->fds[1] = -1;
    int err = take_certs(job, m);
    if (err != OK) {
        job_free(job);
        return err == ERR_FORMAT ? err : reply(c, m->id, err, "the certificates could not be taken");
    }
    for (int i = 0; i < 2; i++) {
        job->fds[i] = m->fds[1 + i];
        m->fds[1 + i] = -1;
    }
    *c->tail = job;
    c->tail = &job->next;
    c->waiting++;
    start_some();
    return OK;
}

static void stop_if_idle(void)
{
    if (seal.stopping && !seal.running)
        loop_stop(seal.loop);
}

static void on_child(void *arg, int signo)
{
    int status;
    for (struct child **at = &seal.children, *c; (c = *at);) {
        if (waitpid(c->pid, &status, WNOHANG) == 0) {
            at = &c->next;
            continue;
        }
        bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        seal.sealed += ok;
        seal.failed += !ok;
        if (c->client)
            reply(c->client, c->id, ok ? OK : ERR_CRYPTO, ok ? "" : "gpg could not seal to these certificates");
        *at = c->next;
        free(c);
        seal.running--;
    }
    start_some();
    stop_if_idle();
}

static void on_close(void *arg)
{
    struct client *c = arg;
    for (struct child *k = seal.children; k; k = k->next)
        if (k->client == c)
            k->client = NULL; /* its pipes are closed: gpg ends by itself */
    for (struct job *job; (job = c->first);) {
        c->first = job->next;
        job_free(job);
    }
    for (struct client **at = &seal.clients; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    ipc_destroy(c->ipc);
    free(c);
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct client *c = calloc(1, sizeof(*c));
    if (c && (c->ipc = ipc_create(seal.loop, fd, &ops, c))) {
        c->tail = &c->first;
        c->next = seal.clients;
        seal.clients = c;
        return;
    }
    if (!c)
        close(fd);
    free(c);
    log_event(out_of_memory);
}

static void on_status(void *arg, struct pack *p)
{
    role_status_put(p, COUNTER_SEALED, seal.sealed);
    role_status_put(p, COUNTER_SEAL_FAILED, seal.failed);
    role_status_put(p, COUNTER_SEALS_UNDER_WAY, seal.running);
}

static void on_stop(void *arg)
{
    seal.stopping = true;
    stop_if_idle();
}

int gpg_seal_main(void)
{
    static struct role_start start;
    static const struct role_hooks hooks = {.on_peer = on_peer, .on_status = on_status, .on_stop = on_stop};
    role_receive(&start);
    role_start_wipe(&start);
    seal.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct sandbox_params p = {.uid = (uid_t)start.uid,
                               .gid = (gid_t)start.gid,
                               .memory = role_memory(ROLE_GPG_SEAL, &start.config),
                               .allow_no_landlock = start.config.allow_no_landlock};
    if (seal.null < 0)
        log_event(sandbox_refused, EVENT_SANDBOX_DEV_NULL, errno, 0);
    int err = seal.null < 0 ? ERR_IO : sandbox_enter_role(ROLE_GPG_SEAL, &p);
    if (err != OK)
        return 1;
    seal.loop = loop_create();
    err = seal.loop ? loop_on_signal(seal.loop, SIGCHLD, on_child, NULL) : ERR_MEMORY;
    for (int i = 0; err == OK && i < ROLES; i++)
        if (start.peers[i] >= 0)
            on_peer(NULL, (enum role)i, start.peer_admin[i], start.peers[i]);
    if (err == OK)
        err = role_attach(seal.loop, &hooks, NULL);
    if (err == OK)
        err = loop_run(seal.loop);
    if (err != OK)
        log_event(role_ends, err);
    loop_destroy(seal.loop);
    return err == OK ? 0 : 1;
}
