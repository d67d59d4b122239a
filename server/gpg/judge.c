/* The role "gpg judge": takes certificates, has them judged in a process of their own with a home on /dev/shm, answers
 * what may be stored. It has no secrets and sees no mail. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gpgme.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/role.h"
#include "server/gpg/gpg_internal.h"

#define HOMES "/dev/shm"
#define HOME_NAME "letterlock-judge-"

enum {
    SECONDS_MAX = 60,     /* of one judgement */
    CPU_SECONDS_MAX = 10, /* of one process at it: two orders of magnitude above the usual */
    JOBS_MAX = 16,        /* that wait; each holds its certificate */
};

struct client {
    struct ipc *ipc;
};

struct job {
    struct job *next;
    struct client *client; /* NULL: has gone */
    uint64_t id;
    uint8_t *cert;
    size_t len;
    struct gpg_request request; /* its addresses are in texts */
    char *texts;
};

static struct {
    struct loop *loop;
    struct gpg_policy policy;
    char dir[64];
    struct job *jobs; /* the first is under way, if a worker is */
    size_t njobs;
    pid_t worker;
    int answer, kept; /* memfds that the worker fills */
    uint64_t judged, refused;
} judge;

static size_t pack_answer(const struct gpg_judgement *j, uint8_t *out, size_t cap)
{
    uint8_t verdict[PGP_VERDICT_SIZE] = {0};
    struct pack p;
    if (j->status == OK)
        pgp_verdict_pack(&j->verdict, verdict);
    else if (j->status == ERR_NO_KEY) {
        struct pgp_verdict revoked = {.primary_fpr_len = j->verdict.primary_fpr_len,
                                      .enc_fpr_len = j->verdict.primary_fpr_len};
        memcpy(revoked.primary_fpr, j->verdict.primary_fpr, sizeof(revoked.primary_fpr));
        memcpy(revoked.enc_fpr, j->verdict.primary_fpr, sizeof(revoked.enc_fpr));
        pgp_verdict_pack(&revoked, verdict);
    }
    pack_init(&p, out, cap);
    pack_u32(&p, (uint32_t)-j->status);
    pack_str(&p, j->why);
    pack_raw(&p, verdict, sizeof(verdict));
    return p.len;
}

static int reply_error(struct client *c, uint64_t id, int err, const char *why)
{
    uint8_t out[1024];
    struct gpg_judgement j = {.status = err};
    snprintf(j.why, sizeof(j.why), "%s", why);
    size_t len = pack_answer(&j, out, sizeof(out));
    judge.refused++;
    return ipc_send(c->ipc, GPG_REPLY, id, out, len, NULL, 0);
}

/* --- the worker --- */

/* Other channels must not live on in it: their far ends would not see this role's end. */
static void close_others(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0U, 0);
}

/* It ends itself when it hangs (the role may not kill), and a gpg of its making that spins ends itself too; one that
 * waits sees the end of its pipes. */
static _Noreturn void work(const struct job *job)
{
    struct itimerval patience = {.it_value.tv_sec = SECONDS_MAX};
    struct rlimit cpu = {CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1};
    struct gpg_judgement j;
    uint8_t out[1024];
    for (int s = 1; s < NSIG; s++)
        if (s != SIGPIPE)
            signal(s, SIG_DFL);
    setrlimit(RLIMIT_CPU, &cpu);
    setitimer(ITIMER_REAL, &patience, NULL);
    close_others(judge.answer, judge.kept);
    gpg_judge(judge.dir, &job->request, &judge.policy, &j);
    size_t len = pack_answer(&j, out, sizeof(out));
    int err = j.status == OK ? gpg_write_at(judge.kept, j.cert, j.cert_len) : OK;
    if (err == OK)
        err = gpg_write_at(judge.answer, out, len);
    _exit(err == OK ? 0 : 1);
}

static void end_job(void)
{
    struct job *job = judge.jobs;
    judge.jobs = job->next;
    judge.njobs--;
    free(job->cert);
    free(job->texts);
    free(job);
}

static void start_next(void)
{
    while (judge.jobs && !judge.worker) {
        struct job *job = judge.jobs;
        judge.answer = memfd_create("answer", MFD_CLOEXEC);
        judge.kept = memfd_create("certificate", MFD_CLOEXEC);
        event_flush();
        pid_t pid = !job->client ? -1 : judge.answer < 0 || judge.kept < 0 ? -1 : fork();
        if (pid == 0)
            work(job);
        if (pid > 0) {
            judge.worker = pid;
            return;
        }
        if (job->client)
            reply_error(job->client, job->id, ERR_MEMORY, "no process could be made to judge it: try again");
        if (judge.answer >= 0)
            close(judge.answer);
        if (judge.kept >= 0)
            close(judge.kept);
        end_job();
    }
}

static void answer(const struct job *job, int ended)
{
    uint8_t *out = NULL;
    size_t len = 0;
    bool whole = WIFEXITED(ended) && WEXITSTATUS(ended) == 0;
    bool overdue = WIFSIGNALED(ended) && (WTERMSIG(ended) == SIGALRM || WTERMSIG(ended) == SIGXCPU);
    struct unpack u;
    if (!whole || gpg_read_all(judge.answer, IPC_MAX, &out, &len) != OK)
        len = 0;
    unpack_init(&u, out, len);
    bool ok = unpack_u32(&u) == OK && !u.failed;
    if (job->client && len) {
        judge.refused += !ok;
        ipc_send(job->client->ipc, GPG_REPLY, job->id, out, len, &judge.kept, ok);
    } else if (job->client) {
        log_event(judgement_broken, WIFSIGNALED(ended) ? WTERMSIG(ended) : 0);
        reply_error(job->client, job->id, overdue ? ERR_TIMEOUT : ERR_IO,
                    overdue ? GPG_TOO_LONG : "its judgement broke off: try again, and see the server's log");
    }
    free(out);
}

static void on_child(void *arg, int signo)
{
    int status, ended = -1;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) /* GPGME forks twice: its gpgs come to us */
        if (pid == judge.worker)
            ended = status;
    if (ended < 0)
        return;
    judge.judged++;
    answer(judge.jobs, ended);
    close(judge.answer);
    close(judge.kept);
    judge.worker = 0;
    end_job();
    start_next();
}

/* --- requests --- */

static int take_addresses(struct job *job, struct slice payload)
{
    struct unpack u;
    job->texts = malloc(payload.len + 1);
    if (!job->texts)
        return ERR_MEMORY;
    unpack_init(&u, payload.data, payload.len);
    uint32_t n = unpack_u32(&u);
    char *at = job->texts; /* each length field makes room for a NUL */
    for (uint32_t i = 0; i < n && !u.failed; i++) {
        struct slice s = unpack_bytes(&u, IPC_MAX);
        if (i == GPG_ADDRESSES_MAX || (s.len && memchr(s.data, 0, s.len)))
            return ERR_FORMAT;
        job->request.addresses[job->request.naddresses++] = at;
        if (s.len)
            memcpy(at, s.data, s.len);
        at[s.len] = 0;
        at += s.len + 1;
    }
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

static int on_message(void *arg, struct ipc_msg *m)
{
    struct client *c = arg;
    if (m->type != GPG_JUDGE || m->nfds != 1)
        return ERR_FORMAT;
    if (judge.njobs == JOBS_MAX)
        return reply_error(c, m->id, ERR_FULL, "many certificates are being judged: try again in a minute");
    struct job *job = calloc(1, sizeof(*job)), **at = &judge.jobs;
    if (!job)
        return ERR_MEMORY;
    job->client = c;
    job->id = m->id;
    int err = take_addresses(job, m->payload);
    int given = err == OK ? gpg_read_all(m->fds[0], PGP_CERT_MAX, &job->cert, &job->len) : OK;
    if (err != OK || given != OK) {
        free(job->texts);
        free(job);
        return err != OK
                   ? err
                   : reply_error(c, m->id, given,
                                 given == ERR_LIMIT ? "it is larger than 1 MB" : "it could not be read: try again");
    }
    job->request.cert = job->cert;
    job->request.len = job->len;
    while (*at)
        at = &(*at)->next;
    *at = job;
    judge.njobs++;
    start_next();
    return OK;
}

static void on_close(void *arg)
{
    struct client *c = arg;
    for (struct job *job = judge.jobs; job; job = job->next)
        if (job->client == c)
            job->client = NULL;
    ipc_destroy(c->ipc);
    free(c);
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct client *c = calloc(1, sizeof(*c));
    if (c && (c->ipc = ipc_create(judge.loop, fd, &ops, c)))
        return;
    if (!c)
        close(fd);
    free(c);
    log_event(out_of_memory);
}

static void on_status(void *arg, struct pack *p)
{
    role_status_put(p, COUNTER_JUDGED, judge.judged);
    role_status_put(p, COUNTER_JUDGED_REFUSED, judge.refused);
}

static void on_config(void *arg, const struct config *c)
{
    judge.policy = (struct gpg_policy){.rsa_bits_min = c->rsa_bits_min,
                                       .accept_dsa = c->accept_dsa,
                                       .accept_elgamal = c->accept_elgamal};
}

/* --- homes --- */

/* Homes of judges that are no more, where the cleaner was ended with them. */
static void remove_stale(void)
{
    DIR *d = opendir(HOMES);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        size_t n = strlen(HOME_NAME);
        char path[320];
        struct stat st;
        long pid = strncmp(e->d_name, HOME_NAME, n) ? 0 : strtol(e->d_name + n, NULL, 10);
        snprintf(path, sizeof(path), "/proc/%ld",
                 pid); /* asking kill would be refused by the filter inherited from master */
        if (pid <= 0 || stat(path, &st) == 0 || errno != ENOENT)
            continue;
        snprintf(path, sizeof(path), HOMES "/%s", e->d_name);
        gpg_remove_tree(path);
    }
    if (d)
        closedir(d);
}

/* The sandbox lets the role remove what is in its home, but not the home itself. A process from before the sandbox
 * waits for the role's end, whatever ends it, and does that; nobody can talk to it. */
static int start_cleaner(void)
{
    int end[2];
    char c;
    if (pipe2(end, O_CLOEXEC) != 0)
        return ERR_IO;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, "judge-cleaner");
        signal(SIGTERM, SIG_IGN); /* what asks all processes to end asks the role as well */
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        close_range(0, (unsigned)end[0] - 1, 0);
        close_range((unsigned)end[0] + 1, ~0U, 0);
        while (read(end[0], &c, 1) < 0 && errno == EINTR)
            ;
        gpg_remove_tree(judge.dir);
        _exit(0);
    }
    close(end[0]);
    if (pid < 0)
        close(end[1]);
    return pid < 0 ? ERR_IO : OK; /* the pipe's other end stays open for as long as the role lives */
}

int gpg_judge_main(void)
{
    static struct role_start start;
    static const struct role_hooks hooks = {.on_peer = on_peer, .on_status = on_status, .on_config = on_config};
    role_receive(&start);
    role_start_wipe(&start);
    on_config(NULL, &start.config);
    remove_stale();
    snprintf(judge.dir, sizeof(judge.dir), HOMES "/" HOME_NAME "%ld-XXXXXX", (long)getpid());
    if (!mkdtemp(judge.dir) || start_cleaner() != OK) {
        log_event(judge_no_home, errno);
        rmdir(judge.dir);
        return 1;
    }
    gpgme_check_version(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* GPGME's gpgs come to us: an init that reaps late would let them fill the limit
                                         of processes */
    struct sandbox_params p = {.uid = (uid_t)start.uid,
                               .gid = (gid_t)start.gid,
                               .write_dir = judge.dir,
                               .memory = role_memory(ROLE_GPG_JUDGE, &start.config),
                               .allow_no_landlock = start.config.allow_no_landlock};
    int err = sandbox_enter_role(ROLE_GPG_JUDGE, &p);
    if (err != OK)
        return 1;
    judge.loop = loop_create();
    err = judge.loop ? loop_on_signal(judge.loop, SIGCHLD, on_child, NULL) : ERR_MEMORY;
    for (int i = 0; err == OK && i < ROLES; i++)
        if (start.peers[i] >= 0)
            on_peer(NULL, (enum role)i, start.peer_admin[i], start.peers[i]);
    if (err == OK)
        err = role_attach(judge.loop, &hooks, NULL);
    if (err == OK)
        err = loop_run(judge.loop);
    if (err != OK)
        log_event(role_ends, err);
    gpg_remove_tree(judge.dir);
    loop_destroy(judge.loop);
    return err == OK ? 0 : 1;
}
