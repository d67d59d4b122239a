/* The role "gpg judge": takes certificates, hands them to GnuPG in a home on /dev/shm, answers what may be stored. It
 * has no secrets and sees no mail. */
#include <dirent.h>
#include <errno.h>
#include <gpgme.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/error.h"
#include "server/base/log.h"
#include "server/base/role.h"
#include "server/gpg/gpg_internal.h"

#define HOMES "/dev/shm"
#define HOME_NAME "letterlock-judge-"

static struct { struct loop *loop; char dir[64]; uint64_t judged, refused; } judge;

struct client { struct ipc *ipc; };

static int reply(struct client *c, uint64_t id, const struct gpg_judgement *j, char *uids[], size_t nuids)
{
    static uint8_t out[IPC_MAX];
    uint8_t verdict[PGP_VERDICT_SIZE] = {0};
    struct pack p;
    int fd = -1, status = j->status;
    if (status == OK && gpg_memfd(j->cert, j->cert_len, &fd) != OK)
        status = ERR_IO;
    if (status == OK)
        pgp_verdict_pack(&j->verdict, verdict);
    else if (status == ERR_NO_KEY) {
        struct pgp_verdict revoked = {.primary_fpr_len = j->verdict.primary_fpr_len,
                                      .enc_fpr_len = j->verdict.primary_fpr_len};
        memcpy(revoked.primary_fpr, j->verdict.primary_fpr, sizeof revoked.primary_fpr);
        memcpy(revoked.enc_fpr, j->verdict.primary_fpr, sizeof revoked.enc_fpr);
        pgp_verdict_pack(&revoked, verdict);
    }
    pack_init(&p, out, sizeof out);
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, j->why);
    pack_raw(&p, verdict, sizeof verdict);
    pack_u32(&p, status == OK ? (uint32_t)nuids : 0);
    for (size_t i = 0; status == OK && i < nuids; i++)
        pack_str(&p, uids[i]);
    int r = p.failed ? ERR_LIMIT : ipc_send(c->ipc, GPG_REPLY, id, out, p.len, &fd, fd >= 0);
    if (fd >= 0)
        close(fd);
    return r;
}

static int on_message(void *arg, struct ipc_msg *m)
{
    struct client *c = arg;
    struct gpg_judgement j = {0};
    char *uids[GPG_UIDS_MAX];
    size_t nuids = 0, len;
    uint8_t *cert;
    if (m->type != GPG_JUDGE || m->nfds != 1 || m->payload.len)
        return ERR_FORMAT;
    int r = gpg_read_all(m->fds[0], PGP_CERT_MAX, &cert, &len);
    if (r != OK) {
        j.status = r;
        snprintf(j.why, sizeof j.why, r == ERR_LIMIT ? "it is larger than 1 MB" : "it could not be read");
    } else {
        gpg_judge(judge.dir, cert, len, &j, uids, &nuids);
        free(cert);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    judge.judged++;
    judge.refused += j.status != OK;
    r = reply(c, m->id, &j, uids, nuids);
    for (size_t i = 0; i < nuids; i++)
        free(uids[i]);
    free(j.cert);
    return r;
}

static void on_close(void *arg)
{
    struct client *c = arg;
    ipc_destroy(c->ipc);
    free(c);
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    static const struct ipc_ops ops = {on_message, on_close};
    struct client *c = calloc(1, sizeof *c);
    if (c && (c->ipc = ipc_create(judge.loop, fd, &ops, c)))
        return;
    if (!c)
        close(fd);
    free(c);
    log_error("judge-no-memory");
}

static void on_status(void *arg, struct pack *p)
{
    role_status_put(p, "judged", judge.judged);
    role_status_put(p, "refused", judge.refused);
}

/* Homes of judges that are no more: they could remove what was in them, but not themselves. */
static void remove_stale(void)
{
    DIR *d = opendir(HOMES);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        size_t n = strlen(HOME_NAME);
        char path[320];
        struct stat st;
        long pid = strncmp(e->d_name, HOME_NAME, n) ? 0 : strtol(e->d_name + n, NULL, 10);
        snprintf(path, sizeof path, "/proc/%ld",
                 pid); /* asking kill would be refused by the filter inherited from master */
        if (pid <= 0 || stat(path, &st) == 0 || errno != ENOENT)
            continue;
        snprintf(path, sizeof path, HOMES "/%s", e->d_name);
        gpg_remove_tree(path);
    }
    if (d)
        closedir(d);
}

int gpg_judge_main(void)
{
    static struct role_start start;
    static const struct role_hooks hooks = {.on_peer = on_peer, .on_status = on_status};
    char why[256] = "";
    role_receive(&start);
    role_start_wipe(&start);
    remove_stale();
    snprintf(judge.dir, sizeof judge.dir, HOMES "/" HOME_NAME "%ld-XXXXXX", (long)getpid());
    if (!mkdtemp(judge.dir)) {
        log_error("judge-no-home");
        return 1;
    }
    gpgme_check_version(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* GPGME forks twice: its gpgs come to us, since an init that reaps late would let
                                         them fill the limit of processes */
    struct sandbox_params p = {.uid = (uid_t)start.uid,
                               .gid = (gid_t)start.gid,
                               .write_dir = judge.dir,
                               .allow_no_landlock = start.config.allow_no_landlock};
    int r = sandbox_enter(SANDBOX_GPG_JUDGE, &p, why, sizeof why);
    if (r != OK) {
        log_error("sandbox error=\"%s\" why=\"%s\"", err_str(r), why);
        gpg_remove_tree(judge.dir);
        return 1;
    }
    judge.loop = loop_create();
    r = judge.loop ? OK : ERR_MEMORY;
    for (int i = 0; r == OK && i < ROLES; i++)
        if (start.peers[i] >= 0)
            on_peer(NULL, (enum role)i, start.peer_admin[i], start.peers[i]);
    if (r == OK)
        r = role_attach(judge.loop, &hooks, NULL);
    if (r == OK)
        r = loop_run(judge.loop);
    if (r != OK)
        log_error("judge-ended error=\"%s\"", err_str(r));
    gpg_remove_tree(judge.dir);
    loop_destroy(judge.loop);
    return r == OK ? 0 : 1;
}
