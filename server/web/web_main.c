/* The web role: HTTP and HTTPS. It opens no file and no connection; who asks for what is in none of its log lines. */
#include <unistd.h>

#include "keyserver/keyserver.h"
#include "server/base/event.h"
#include "server/core/error.h"
#include "server/login/login.h"
#include "server/web/web.h"
#include "webmail-api/signin/api.h"

static struct web role = {.ingest_fd = -1}; /* there is one a process */

static void use_certs(struct web *web, struct certs *certs)
{
    struct shown *fresh;
    int err;

    if (shown_is_of(web->shown, certs)) /* a reload that changed none of them */
        return;
    err = shown_create(certs, &fresh);
    if (err != OK) {
        log_event(web_certificate, err); /* the former ones go on being shown */
        return;
    }
    shown_unref(web->shown);
    web->shown = fresh;
}

static void limit_lookups(struct web *web)
{
    debts_limits(web->lookups, web->config.web_lookups_peer, web->config.web_lookups_minute);
}

static void not_found(struct web *web, struct http_exchange *x, const struct http_request *r)
{
    if (r->tls)
        pages_not_found(web->pages, x, r);
    else
        site_redirect(web->site, x, r);
}

static int make_api(struct web *web, const struct service *s)
{
    web->login = login_create(web->loop, web->view, role_send);
    if (!web->login)
        return ERR_MEMORY;
    role_on_login(login_reply, web->login);
    return api_create(&(struct api_params){.view = web->view,
                                           .vault = s->vault,
                                           .login = web->login,
                                           .config = &web->config,
                                           .counts = &web->counts[COUNT_WEB_SIGNED_IN]},
                      &web->api);
}

static int make_rows(struct web *web, const struct service *s)
{
    int err = site_create(web, &web->site);

    if (err == OK)
        err = pages_create(web, &web->pages);
    if (err == OK)
        err = keyserver_create(web->view, uploads_of(web->uploads), &web->keyserver);
    if (err == OK)
        err = make_api(web, s);
    if (err != OK)
        return err;
    web->tables[web->ntables++] = site_routes(web->site);
    web->tables[web->ntables++] = settings_routes(web);
    web->tables[web->ntables++] = keyserver_routes(web->keyserver);
    web->tables[web->ntables++] = api_routes(web->api);
    web->tables[web->ntables++] = pages_routes(web->pages);
    return OK;
}

static const struct httpd_hooks hooks = {
    .connection = web_conn_told,
    .certs = web_conn_certs,
    .begin = exchange_begin,
    .step = exchange_step,
    .over = exchange_over,
};

static int make_uploads(struct web *web, const struct service *s)
{
    int err = uploads_create(web, s->vault, s->tally, &web->uploads);

    if (err == OK && web->ingest_fd >= 0)
        uploads_channel(web->uploads, web->ingest_fd);
    web->ingest_fd = -1;
    return err;
}

/* The first one comes before the role has started. */
static void on_channel(void *arg, enum role of, int fd)
{
    struct web *web = arg;

    if (of != ROLE_INGEST)
        close(fd);
    else if (web->uploads)
        uploads_channel(web->uploads, fd);
    else
        web->ingest_fd = fd;
}

static int on_start(void *arg, const struct service *s)
{
    struct web *web = arg;
    int err;

    web->loop = s->loop;
    web->view = s->view;
    web->places = s->places;
    web->config = s->config;
    if (s->certs)
        use_certs(web, s->certs);
    web->conn_ends = exchange_conn_ends;
    web->not_found = not_found;
    web->lookups = debts_create(s->tally, DEBTS_PEERS);
    if (!web->lookups)
        return ERR_MEMORY;
    limit_lookups(web);
    err = web_conn_watch(web);
    if (err == OK)
        err = make_uploads(web, s);
    if (err == OK)
        err = make_rows(web, s);
    if (err == OK)
        err = httpd_start(&web->clear, web, false, &hooks);
    if (err == OK && web->shown)
        err = httpd_start(&web->secure, web, true, &hooks);
    if (err != OK)
        log_event(web_failed, err);
    return err;
}

static void on_finish(void *arg)
{
    struct web *web = arg;

    web->stopping = true;
    for (struct web_conn *c = web->conns; c; c = c->next)
        web_conn_end(c);
    httpd_stop(&web->clear);
    httpd_stop(&web->secure);
    api_destroy(web->api);
    login_destroy(web->login);
    keyserver_destroy(web->keyserver);
    uploads_destroy(web->uploads);
    pages_destroy(web->pages);
    site_destroy(web->site);
    web_conn_unwatch(web);
    shown_unref(web->shown);
    debts_destroy(web->lookups);
}

static void on_reload(void *arg, const struct service *s)
{
    struct web *web = arg;

    web->config = s->config;
    limit_lookups(web);
    if (s->certs)
        use_certs(web, s->certs);
    site_reload(web->site);
}

static void on_stop(void *arg)
{
    struct web *web = arg;

    web->stopping = true;
    web_conn_stop_all(web);
}

static void on_connection(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind)
{
    web_conn_open(arg, fd, peer, on, kind == LISTEN_HTTPS);
}

static void on_status(const void *arg, struct pack *reply)
{
    const struct web *web = arg;

    for (int i = 0; i < WEB_COUNTERS_N; i++)
        role_status_put(reply, COUNTER_WEB_CONNECTIONS + (enum counter)i, web->counts[i]);
}

static void on_challenges(void *arg, const struct challenges *c)
{
    const struct web *web = arg;

    site_challenges(web->site, c);
}

int web_main(void)
{
    static const struct service_role r = {
        .counters = COUNTER_WEB_SERVICE_NO_TLS,
        .role = ROLE_WEB,
        .tls_first = LISTEN_BIT(LISTEN_HTTPS),
        .refusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        .sessions = offsetof(struct config, web_sessions),
        .sessions_peer = offsetof(struct config, web_sessions_peer),
        .start = on_start,
        .finish = on_finish,
        .open = on_connection,
        .channel = on_channel,
        .may_end = web_conn_may_end,
        .end = web_conn_end_place,
        .stop = on_stop,
        .reloaded = on_reload,
        .challenges = on_challenges,
        .status = on_status,
    };

    return service_main(&r, &role);
}
