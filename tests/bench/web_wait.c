/* bench_web_wait CHAIN KEY: HTTPS as the web role serves it, on a port of loopback that is printed, with one row,
 * /wait, whose answer never comes: what a page's connection costs that waits for events. Ends when its standard input
 * does. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/web/web.h"

enum { MANY = 1000000, LONG = 86400 };

static struct web web;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "bench_web_wait: %s: %s\n", what, err_str(err));
    exit(1);
}

/* ---- the row ---- */

static void on_gone(void *arg)
{
}

static void wait_for_ever(void *service, struct http_exchange *x, const struct http_request *r)
{
    http_on_gone(x, on_gone, NULL);
}

static const struct http_route rows[] = {{.methods = HTTP_GET, .pattern = "/wait", .handle = wait_for_ever}};

static void not_found(struct web *w, struct http_exchange *x, const struct http_request *r)
{
    http_answer_status(x, 404);
}

/* ---- the role's other parts ---- */

static void read_file(const char *path, char *out, size_t cap, struct slice *ret)
{
    FILE *f = fopen(path, "rb");

    must(f ? OK : ERR_IO, path);
    *ret = slice_of(out, fread(out, 1, cap, f));
    fclose(f);
}

static struct shown *show(const char *chain_path, const char *key_path)
{
    static char chain_text[CERTS_CHAIN_MAX], key_text[CERTS_KEY_MAX];
    struct slice chain, key;
    struct certs *certs;
    struct shown *shown;

    read_file(chain_path, chain_text, sizeof(chain_text), &chain);
    read_file(key_path, key_text, sizeof(key_text), &key);
    must(certs_create(&certs), "certificates");
    must(certs_add(certs, NULL, 0, chain, key), "certificate");
    must(shown_create(certs, &shown), "certificate");
    return shown;
}

static void on_changed(void *arg)
{
}

static struct places *make_places(struct loop *loop)
{
    struct places *p = places_create(&(struct places_params){.loop = loop,
                                                             .peers = peers_create(MANY),
                                                             .may_end = web_conn_may_end,
                                                             .end = web_conn_end_place,
                                                             .changed = on_changed});

    places_limit(p, &(struct places_limits){.sessions = MANY,
                                            .octets = MANY,
                                            .sessions_peer = MANY,
                                            .octets_peer = MANY,
                                            .octets_always = MANY,
                                            .processes = 1});
    return p;
}

/* ---- connections ---- */

static void on_connection(void *arg, unsigned events)
{
    const int *listener = arg;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int fd = accept4(*listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uint32_t on;

    if (fd < 0)
        return;
    must(places_enter(web.places, &peer, &on), "place");
    web_conn_open(&web, fd, &peer, on, true);
}

static int listen_somewhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&at, &len))
        must(ERR_IO, "listen");
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void on_input(void *arg, unsigned events)
{
    loop_stop(web.loop);
}

int main(int argc, char **argv)
{
    static const struct httpd_hooks hooks = {web_conn_told, web_conn_certs, exchange_begin, exchange_step,
                                             exchange_over};
    int listener;

    if (argc != 3)
        return 2;
    config_defaults(&web.config);
    web.config.web_request_timeout = LONG;
    web.loop = loop_create();
    web.places = make_places(web.loop);
    web.lookups = debts_create(NULL, DEBTS_PEERS);
    web.shown = show(argv[1], argv[2]);
    web.tables[web.ntables++] = (struct http_routes){rows, sizeof(rows) / sizeof(*rows), NULL};
    web.conn_ends = exchange_conn_ends;
    web.not_found = not_found;
    must(web_conn_watch(&web), "watch");
    must(httpd_start(&web.secure, &web, true, &hooks), "daemon");
    listener = listen_somewhere();
    watch_create(web.loop, listener, LOOP_READ, on_connection, &listener);
    watch_create(web.loop, STDIN_FILENO, LOOP_READ, on_input, NULL);
    must(loop_run(web.loop), "loop");
    return 0;
}
