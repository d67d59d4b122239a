/* The library's daemons: without a listening socket, fed with connections that service's acceptor took, so that places
 * and the limits of a peer are those of every role. */
#include <netinet/in.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/web/web.h"

enum {
    POOL = 8192, /* octets a connection: of all its head, and of its answer's */
    CONNECTIONS_MAX = 1000000
};

static void run(void *arg)
{
    struct httpd *h = arg;
    MHD_UNSIGNED_LONG_LONG ms;

    if (!h->mhd)
        return;
    (void)MHD_run(h->mhd);
    if (MHD_get_timeout(h->mhd, &ms) == MHD_YES && ms == 0)
        httpd_run_soon(h);
}

void httpd_run_soon(struct httpd *h)
{
    defer_set_long(h->loop, &h->again, run, h);
}

static void on_ready(void *arg, unsigned events)
{
    run(arg);
}

/* Paths are decoded by server/http/router, once. */
static size_t leave_as_it_is(void *arg, struct MHD_Connection *mhd, char *s)
{
    return 0;
}

static struct MHD_Daemon *start(struct httpd *h, const struct httpd_hooks *hooks)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)hooks->certs},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)shown_priorities},
        {MHD_OPTION_END, 0, NULL},
    };

    if (!h->tls)
        tls[0] = tls[2];
    return MHD_start_daemon(flags | (h->tls ? MHD_USE_TLS : 0), 0, NULL, NULL, hooks->step, h,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)CONNECTIONS_MAX, MHD_OPTION_NOTIFY_CONNECTION, hooks->connection, h,
                            MHD_OPTION_NOTIFY_COMPLETED, hooks->over, h, MHD_OPTION_URI_LOG_CALLBACK, hooks->begin, h,
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_as_it_is, NULL, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
                            MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int httpd_start(struct httpd *h, struct web *web, bool tls, const struct httpd_hooks *hooks)
{
    const union MHD_DaemonInfo *info;

    *h = (struct httpd){.loop = web->loop, .web = web, .tls = tls};
    h->mhd = start(h, hooks);
    if (!h->mhd)
        return ERR_MEMORY;
    info = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    h->watch = info ? watch_create(h->loop, info->epoll_fd, LOOP_READ, on_ready, h) : NULL;
    if (h->watch)
        return OK;
    httpd_stop(h);
    return ERR_MEMORY;
}

void httpd_stop(struct httpd *h)
{
    if (!h->mhd)
        return;
    defer_cancel(h->loop, &h->again);
    watch_destroy(h->watch);
    (void)MHD_run(h->mhd); /* takes up again what was waiting */
    MHD_stop_daemon(h->mhd);
    h->mhd = NULL;
}

int httpd_add(struct httpd *h, int fd, const struct sockaddr_storage *peer)
{
    socklen_t len = peer->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    return MHD_add_connection(h->mhd, fd, (const struct sockaddr *)peer, len) == MHD_YES ? OK : ERR_MEMORY;
}
