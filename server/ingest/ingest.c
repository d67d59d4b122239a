/* The ingest role: SMTP from the world, sealed for its recipients, handed to the vault. It sees plaintext, in wiped
 * memory, and can write no file. */
#include "server/ingest/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/core/wipe_heap.h"
#include "server/gpg/gpg.h"

enum { PEERS_MAX = 16384, ACCEPT_PAUSE_MS = 200, GRACE_MS = 20000, STALL_MS = 30000, CLOSING_MS = 60000 };

/* ---- accepting ---- */

static void refuse_connection(struct ingest *in, int fd)
{
    static const char busy[] = "421 4.7.0 Too many sessions\r\n";

    count(in, COUNT_SESSIONS_REFUSED);
    (void)send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

/* One that is shed is gone as soon as its last words are: a few places more are lent meanwhile. */
static bool place_free(struct ingest *in)
{
    uint32_t max = in->config.smtp_sessions;

    return in->nsessions < max || (in->nsessions < max + max / 8 + 1 && smtp_session_shed(in));
}

static void accept_pause_over(void *arg)
{
    struct ingest *in = arg;

    if (in->listener)
        watch_set(in->listener, LOOP_READ);
}

/* One a turn: the listener is shared with the other instances, and who is busy should not take them all. */
static void on_listener(void *arg, unsigned events)
{
    struct ingest *in = arg;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    int fd = accept4(in->listener_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        /* Out of descriptors or memory: the queue keeps them for a moment. */
        log_warn("accept errno=%d", errno);
        watch_set(in->listener, 0);
        timer_set(in->listener_pause, ACCEPT_PAUSE_MS);
        return;
    }
    if (peers_enter(in->peers, &peer, in->config.smtp_sessions_peer) != OK) {
        refuse_connection(in, fd);
    } else if (!place_free(in)) {
        peers_leave(in->peers, &peer);
        refuse_connection(in, fd);
    } else {
        smtp_session_open(in, fd, &peer);
    }
}

/* ---- what master says ---- */

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    struct ingest *in = arg;

    if (peer == ROLE_VAULT)
        vault_client_channel(in->vault, fd);
    else if (peer == ROLE_GPG_SEAL)
        gpg_seal_client_channel(in->gpg, fd);
    else
        close(fd);
}

/* Of an account as a whole: its keys may have changed. */
static void on_change(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    struct ingest *in = arg;

    if (!mailbox && in->notices)
        notices_account_changed(in->notices, account);
}

static void on_tls(void *arg, struct tls_ctx *tls)
{
    struct ingest *in = arg;

    tls_ctx_unref(in->tls);
    in->tls = tls;
}

/* The domain stays as it was at the start: sealer and sessions hold it. */
static void on_config(void *arg, const struct config *c)
{
    struct ingest *in = arg;
    char domain[sizeof(c->domain)];

    memcpy(domain, in->config.domain, sizeof(domain));
    in->config = *c;
    memcpy(in->config.domain, domain, sizeof(domain));
    sealer_keep_wildcard(in->sealer, c->keep_wildcard_mail);
    if (in->notices)
        notices_set_days(in->notices, c->key_notice_days);
}

static void on_grace_over(void *arg)
{
    loop_stop(((struct ingest *)arg)->loop);
}

static void on_stop(void *arg)
{
    struct ingest *in = arg;
    struct session *next;

    if (in->stopping)
        return;
    in->stopping = true;
    watch_destroy(in->listener);
    in->listener = NULL;
    notices_destroy(in->notices);
    in->notices = NULL;
    timer_set(in->grace, GRACE_MS);
    if (!in->sessions)
        loop_stop(in->loop);
    for (struct session *s = in->sessions; s; s = next) {
        next = s->next;
        smtp_session_stop(s);
    }
}

static void on_status(void *arg, struct pack *reply)
{
    static const char *const names[INGEST_COUNTERS_N] = {
#define INGEST_COUNTER_NAME(id, name) [COUNT_##id] = name,
        INGEST_COUNTERS(INGEST_COUNTER_NAME)};
    struct ingest *in = arg;

    for (int i = 0; i < INGEST_COUNTERS_N; i++)
        role_status_put(reply, names[i], in->counters[i]);
    role_status_put(reply, "sessions_now", in->nsessions);
    role_status_put(reply, "plaintext_bytes_now", in->plaintext);
}

static const struct role_hooks hooks = {
    .on_peer = on_peer,
    .on_tls = on_tls,
    .on_config = on_config,
    .on_stop = on_stop,
    .on_status = on_status,
};

/* ---- the beginning ---- */

static void on_notice_sent(void *arg)
{
    count(arg, COUNT_NOTICES);
}

int ingest_start_notices(struct ingest *in)
{
    const struct notices_params p = {
        .loop = in->loop,
        .view = in->view,
        .depositor = &in->depositor,
        .sent = on_notice_sent,
        .arg = in,
    };

    in->notices = notices_create(&p, in->config.key_notice_days);
    return in->notices ? OK : ERR_MEMORY;
}

static int start_clients(struct ingest *in, const struct role_start *start)
{
    in->loop = loop_create();
    if (!in->loop)
        return ERR_MEMORY;
    in->vault = vault_client_create(in->loop, on_change, in);
    in->gpg = gpg_seal_client_create(in->loop);
    in->peers = peers_create(PEERS_MAX);
    in->listener_pause = timer_create_in(in->loop, accept_pause_over, in);
    in->grace = timer_create_in(in->loop, on_grace_over, in);
    if (!in->vault || !in->gpg || !in->peers || !in->listener_pause || !in->grace)
        return ERR_MEMORY;
    in->content = content_hash_create(view_keys(in->view));
    in->sealer = sealer_create(in->loop, in->view, in->gpg, in->config.domain);
    if (!in->sealer || !in->content)
        return ERR_MEMORY;
    in->depositor = (struct depositor){in->sealer, in->vault};
    sealer_keep_wildcard(in->sealer, in->config.keep_wildcard_mail);
    if (start->instance == 0 && ingest_start_notices(in) != OK)
        return ERR_MEMORY;
    if (start->peers[ROLE_VAULT] >= 0)
        vault_client_channel(in->vault, start->peers[ROLE_VAULT]);
    if (start->peers[ROLE_GPG_SEAL] >= 0)
        gpg_seal_client_channel(in->gpg, start->peers[ROLE_GPG_SEAL]);
    in->listener_fd = start->listeners[LISTEN_SMTP];
    if (in->listener_fd >= 0) {
        in->listener = watch_create(in->loop, in->listener_fd, LOOP_READ, on_listener, in);
        if (!in->listener)
            return ERR_MEMORY;
    }
    return role_attach(in->loop, &hooks, in);
}

static void end(struct ingest *in)
{
    while (in->sessions)
        smtp_session_destroy(in->sessions);
    watch_destroy(in->listener);
    timer_destroy(in->listener_pause);
    timer_destroy(in->grace);
    notices_destroy(in->notices);
    sealer_destroy(in->sealer);
    content_hash_destroy(in->content);
    gpg_seal_client_destroy(in->gpg);
    vault_client_destroy(in->vault);
    peers_destroy(in->peers);
    view_close(in->view);
    tls_ctx_unref(in->tls);
    secmem_pool_trim();
}

int ingest_main(void)
{
    static struct ingest in;
    struct role_start start;
    char why[256] = "";
    int err;

    wipe_heap_on_free();
    tls_wipe_on_free();
    role_receive(&start);
    in.config = start.config;
    in.stall_ms = STALL_MS;
    in.closing_ms = CLOSING_MS;
    in.tls = start.tls;
    if (!start.store_key) {
        log_error("no store key came");
        return 1;
    }
    err = view_open(start.dir, start.store_key, start.config.reader_turn_ms, &in.view);
    role_start_wipe(&start);
    if (err != OK) {
        log_error("the store cannot be read: %s", err_str(err));
        return 1;
    }
    struct sandbox_params sp = {
        .uid = (uid_t)start.uid,
        .gid = (gid_t)start.gid,
        .allow_no_landlock = start.config.allow_no_landlock,
    };
    err = sandbox_enter(ROLE_INGEST, &sp, why, sizeof(why));
    if (err != OK) {
        log_error("the sandbox refused: %s", why);
        return 1;
    }
    err = start_clients(&in, &start);
    if (err == OK)
        err = loop_run(in.loop);
    if (err != OK)
        log_error("ingest ends: %s", err_str(err));
    end(&in);
    return err == OK ? 0 : 1;
}
