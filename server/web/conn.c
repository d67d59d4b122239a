/* A connection: its place among its peer's, its deadline, and the certificate of its handshake. The library has no way
 * to close one, so its socket is shut, which the library hears of. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "server/web/web.h"

enum { LEFT_MS = 300 /* for what it sent before */ };

static struct web_conn *of_deadline(struct idle *i)
{
    return (struct web_conn *)((char *)i - offsetof(struct web_conn, deadline));
}

static void on_deadline(struct idle *i)
{
    struct web_conn *c = of_deadline(i);

    c->web->counts[COUNT_WEB_TIMEOUTS]++;
    web_conn_end(c);
}

void web_conn_deadline(struct web_conn *c, uint64_t seconds)
{
    if (!c->ended)
        idle_set(c->web->loop, &c->deadline, seconds * 1000, on_deadline);
}

/* Its session of GnuTLS is gone. */
static void closed(void **context)
{
    struct web_conn *c = *context;

    if (!c)
        return;
    *context = NULL;
    epoll_ctl(c->web->leave_fd, EPOLL_CTL_DEL, c->fd, NULL);
    idle_cancel(&c->deadline);
    shown_unref(c->shown);
    if (c->next)
        c->next->at = c->at;
    *c->at = c->next;
    place_end(&c->place);
    free(c);
}

void web_conn_open(struct web *web, int fd, const struct sockaddr_storage *peer, uint32_t on, bool tls)
{
    struct httpd *h = tls ? &web->secure : &web->clear;
    struct web_conn *c = calloc(1, sizeof(*c));

    if (!c || web->stopping || !h->mhd) {
        close(fd);
        places_leave(web->places, on);
        free(c);
        return;
    }
    c->web = web;
    c->httpd = h;
    c->fd = fd;
    c->peer = *peer;
    place_begin(web->places, &c->place, on);
    c->next = web->conns;
    c->at = &web->conns;
    if (c->next)
        c->next->at = &c->next;
    web->conns = c;
    web->adding = c;
    if (httpd_add(h, fd, peer) != OK && web->adding) { /* it was never begun, so its end is not told */
        void *context = c;
        closed(&context);
    }
    web->adding = NULL;
}

/* ---- clients that go away ---- */

static void on_left(struct idle *i)
{
    web_conn_end(of_deadline(i));
}

/* The library does not hear of an end that comes with the last octets, nor of any while a request waits for its
 * handler. Who has sent a whole request is answered, and the library then reads the end. */
static void leaves(struct web_conn *c)
{
    c->left = true;
    if (c->waits)
        web_conn_end(c);
    else if (!c->ended)
        idle_set(c->web->loop, &c->deadline, LEFT_MS, on_left); /* a whole head sets another */
}

static void on_leaving(void *arg, unsigned events)
{
    const struct web *web = arg;
    struct epoll_event e;

    while (epoll_wait(web->leave_fd, &e, 1, 0) == 1)
        leaves(e.data.ptr);
}

static void watch_leaving(struct web_conn *c)
{
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

    (void)epoll_ctl(c->web->leave_fd, EPOLL_CTL_ADD, c->fd, &e); /* without it its deadline does */
}

int web_conn_watch(struct web *web)
{
    web->leave_fd = epoll_create1(EPOLL_CLOEXEC);
    if (web->leave_fd < 0)
        return ERR_IO;
    web->leave = watch_create(web->loop, web->leave_fd, LOOP_READ, on_leaving, web);
    return web->leave ? OK : ERR_MEMORY;
}

void web_conn_unwatch(struct web *web)
{
    if (!web->leave)
        return;
    watch_destroy(web->leave);
    close(web->leave_fd);
}

/* Within httpd_add. */
static void started(struct web *web, struct MHD_Connection *mhd, void **context)
{
    struct web_conn *c = web->adding;
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    web->adding = NULL;
    *context = c;
    c->mhd = mhd;
    web->counts[COUNT_WEB_CONNECTIONS]++;
    watch_leaving(c);
    web_conn_deadline(c, web->config.web_request_timeout);
    if (tls && shown_want_http(tls->tls_session) != OK)
        web_conn_end(c);
}

void web_conn_told(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
    struct httpd *h = arg;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        started(h->web, mhd, context);
    else
        closed(context);
}

int web_conn_certs(gnutls_session_t session, const gnutls_datum_t *issuers, int nissuers,
                   const gnutls_pk_algorithm_t *algorithms, int nalgorithms, gnutls_pcert_st **chain, unsigned *n,
                   gnutls_privkey_t *key)
{
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct web_conn *c = info ? info->socket_context : NULL;

    if (!c || !c->web->shown)
        return -1;
    if (!c->shown)
        c->shown = shown_ref(c->web->shown);
    shown_choose(c->shown, session, chain, n, key);
    return 0;
}

void web_conn_end(struct web_conn *c)
{
    if (c->ended)
        return;
    c->ended = true;
    idle_cancel(&c->deadline);
    if (c->x)
        c->web->conn_ends(c);
    shutdown(c->fd, SHUT_RDWR);
    httpd_run_soon(c->httpd);
}

bool web_conn_may_end(const struct place *p, enum place_why why)
{
    const struct web_conn *c = (const struct web_conn *)p;

    return !c->ended && !c->waits;
}

void web_conn_end_place(struct place *p, enum place_why why)
{
    web_conn_end((struct web_conn *)p);
}

void web_conn_stop_all(struct web *web)
{
    for (struct web_conn *c = web->conns; c; c = c->next)
        if (!c->x)
            web_conn_end(c);
}
