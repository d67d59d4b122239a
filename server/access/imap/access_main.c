/* The access role: IMAP for clients. It reads the store, asks the vault for every change, and seals what clients
 * append; it can write no file. */
#include "server/access/imap/access.h"
#include "server/access/imap/dispatch.h"
#include "server/access/imap/notice.h"
#include "server/access/imap/session.h"
#include "server/base/role.h"
#include "server/service/service.h"

static struct access role; /* there is one a process */

static void on_reload(void *arg, const struct service *s)
{
    struct access *a = arg;
    a->config = s->config;
    a->tls = s->tls;
    sealer_keep_wildcard(a->depositor.sealer, a->config.keep_wildcard_mail);
}

static void on_stop(void *arg)
{
    struct access *a = arg;
    for (struct imap_session *s = a->sessions; s; s = s->next)
        imap_session_bye(s, "[UNAVAILABLE] The server is going down");
}

static void on_status(const void *arg, struct pack *reply)
{
    const struct access *a = arg;
    role_status_put(reply, COUNTER_IMAP_LOGINS, a->logins);
    role_status_put(reply, COUNTER_IMAP_LOGIN_FAILURES, a->login_failures);
    role_status_put(reply, COUNTER_IMAP_LOGINS_OVER_LIMIT, a->logins_over_limit);
    role_status_put(reply, COUNTER_IMAP_COMMANDS, a->commands);
    role_status_put(reply, COUNTER_IMAP_APPENDED, a->appended);
    role_status_put(reply, COUNTER_IMAP_FETCHED_BYTES, a->fetched_bytes);
}

static void let_go(void *arg, const struct vault_seen_row *row)
{
    access_hold(arg, row->delivery, -1);
}

static int on_start(void *arg, const struct service *s)
{
    struct access *a = arg;
    a->loop = s->loop;
    a->view = s->view;
    a->vault = a->depositor.vault = s->vault;
    told_seen_init(&a->seen, s->loop, s->vault);
    a->seen.gone = let_go;
    a->seen.arg = a;
    a->content = content_hash_create(view_keys(a->view));
    a->places = s->places;
    a->tally = s->tally;
    a->config = s->config;
    a->tls = s->tls;
    buf_init(&a->staging, IMAP_STAGING_MAX, false);
    a->login = login_create(a->loop, a->view, role_send);
    if (!a->login || !a->content || !(a->depositor.sealer = sealer_create(a->loop, a->view, s->gpg, a->config.domain)))
        return ERR_MEMORY;
    sealer_keep_wildcard(a->depositor.sealer, a->config.keep_wildcard_mail);
    role_on_login(login_reply, a->login);
    return OK;
}

static void on_finish(void *arg)
{
    struct access *a = arg;
    while (a->sessions)
        imap_session_destroy(a->sessions);
    told_seen_flush(&a->seen);
    told_seen_free(&a->seen);
    sealer_destroy(a->depositor.sealer);
    content_hash_destroy(a->content);
    login_destroy(a->login);
    buf_free(&a->staging);
}

static void on_connection(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind)
{
    imap_serve(arg, fd, peer, on, kind == LISTEN_IMAPS);
}

int access_main(void)
{
    static const struct service_role r = {
        .counters = COUNTER_IMAP_NO_TLS,
        .role = ROLE_ACCESS,
        .tls_first = LISTEN_BIT(LISTEN_IMAPS),
        .refusal = "* BYE [UNAVAILABLE] Too many connections\r\n",
        .sessions = offsetof(struct config, imap_sessions),
        .sessions_peer = offsetof(struct config, imap_sessions_peer),
        .start = on_start,
        .finish = on_finish,
        .open = on_connection,
        .may_end = imap_session_may_end,
        .end = imap_session_end,
        .stop = on_stop,
        .reloaded = on_reload,
        .notice = imap_notice,
        .status = on_status,
    };
    return service_main(&r, &role);
}
