/* Requests with bodies, answers that come later, and clients that do not wait for them: over loopback, with rows of the
 * test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/web/web.h"
#include "tests/support/patience.h"

#define HOST "Host: a.example\r\n"

static struct web web;
static struct peers *peers;
static struct http_exchange *waiting;
static int gone, client, handled;
static char heard[256 * 1024];
static size_t heard_len;
static bool ended;
static const char *wanted; /* stops the loop once it was heard; NULL: the end */
static struct timer *patience, *pause_over;

/* ---- rows ---- */

static void echo(void *service, struct http_exchange *x, const struct http_request *r)
{
    handled++;
    http_answer(x, &(struct http_reply){.status = 200, .type = r->type, .body = r->body});
}

static void on_gone(void *arg)
{
    gone++;
    waiting = NULL;
    loop_stop(web.loop);
}

static void later(void *service, struct http_exchange *x, const struct http_request *r)
{
    handled++;
    waiting = x;
    http_on_gone(x, on_gone, NULL);
    loop_stop(web.loop);
}

enum { LOOKUPS = 3 };

static void empty(void *service, struct http_exchange *x, const struct http_request *r)
{
    handled++;
    http_answer(x, &(struct http_reply){.status = 200});
}

static const struct http_route rows[] = {
    {.methods = HTTP_POST, .pattern = "/echo", .body_max = 100000, .flags = HTTP_CLEAR_TOO, .handle = echo},
    {.methods = HTTP_POST,
     .pattern = "/unused",
     .body_max = 100000,
     .flags = HTTP_CLEAR_TOO | HTTP_BODY_UNUSED,
     .handle = echo},
    {.methods = HTTP_GET, .pattern = "/later", .flags = HTTP_CLEAR_TOO | HTTP_ANY_ORIGIN, .handle = later},
    {.methods = HTTP_GET, .pattern = "/look", .flags = HTTP_CLEAR_TOO | HTTP_LOOKUP, .handle = empty},
};

static void not_found(struct web *w, struct http_exchange *x, const struct http_request *r)
{
    http_answer_status(x, 404);
}

/* ---- the two sides ---- */

static void on_heard(void *arg, unsigned events)
{
    ssize_t n = recv(client, heard + heard_len, sizeof(heard) - 1 - heard_len, MSG_DONTWAIT);

    if (n > 0)
        heard_len += (size_t)n;
    heard[heard_len] = '\0';
    ended = n == 0 || (n < 0 && errno == ECONNRESET);
    if (ended || (wanted && strstr(heard, wanted)))
        loop_stop(web.loop);
}

static void on_patience(void *arg)
{
    fail_msg("nothing came; heard: %s", heard);
}

static void on_pause_over(void *arg)
{
    loop_stop(web.loop);
}

static void run(void)
{
    timer_set(patience, PATIENCE_MS);
    assert_int_equal(loop_run(web.loop), OK);
    timer_set(patience, 0);
}

/* Until that was heard, NULL: until the connection has ended. */
static void hear(const char *text)
{
    struct watch *w = watch_create(web.loop, client, LOOP_READ, on_heard, NULL);

    wanted = text;
    ended = false;
    do
        run();
    while (!ended && !(text && strstr(heard, text)));
    watch_destroy(w);
    if (text)
        assert_non_null(strstr(heard, text));
    else
        assert_true(ended);
}

static void say(const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void forget(void)
{
    heard_len = 0;
    heard[0] = '\0';
}

static void visit(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(at), peer_len = sizeof(peer);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
    uint32_t on;

    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    fd = accept4(listener, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listener);
    assert_int_equal(places_enter(web.places, &peer, &on), OK);
    web_conn_open(&web, fd, &peer, on, false);
    forget();
}

static void on_changed(void *arg)
{
    if (web.loop && places_sessions(web.places) == 0)
        loop_stop(web.loop);
}

static void limit(uint64_t octets)
{
    places_limit(web.places, &(struct places_limits){.sessions = 10,
                                                     .octets = octets,
                                                     .sessions_peer = 10,
                                                     .octets_peer = octets,
                                                     .octets_always = octets,
                                                     .processes = 1});
}

static int up(void **state)
{
    static const struct httpd_hooks hooks = {web_conn_told, web_conn_certs, exchange_begin, exchange_step,
                                             exchange_over};

    memset(&web, 0, sizeof(web));
    gone = handled = 0;
    waiting = NULL;
    config_defaults(&web.config);
    web.loop = loop_create();
    patience = timer_create_in(web.loop, on_patience, NULL);
    pause_over = timer_create_in(web.loop, on_pause_over, NULL);
    peers = peers_create(100);
    web.places = places_create(&(struct places_params){.loop = web.loop,
                                                       .peers = peers,
                                                       .may_end = web_conn_may_end,
                                                       .end = web_conn_end_place,
                                                       .changed = on_changed});
    limit(1 << 20);
    web.lookups = debts_create(NULL, DEBTS_PEERS);
    debts_limits(web.lookups, LOOKUPS, 1);
    web.tables[web.ntables++] = (struct http_routes){rows, sizeof(rows) / sizeof(*rows), NULL};
    web.conn_ends = exchange_conn_ends;
    web.not_found = not_found;
    assert_int_equal(web_conn_watch(&web), OK);
    assert_int_equal(httpd_start(&web.clear, &web, false, &hooks), OK);
    visit();
    return 0;
}

static int down(void **state)
{
    close(client);
    while (places_sessions(web.places) > 0)
        run();
    assert_int_equal(budget_taken(web.places), 0);
    httpd_stop(&web.clear);
    web_conn_unwatch(&web);
    timer_destroy(patience);
    timer_destroy(pause_over);
    places_destroy(web.places);
    debts_destroy(web.lookups);
    peers_destroy(peers);
    loop_destroy(web.loop);
    web.loop = NULL;
    return 0;
}

/* ---- bodies ---- */

static void a_body_comes_in_pieces(void **state)
{
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\nContent-Type: Text/X; a=b\r\n\r\n012");
    for (int i = 0; i < 3; i++) {
        timer_set(pause_over, 5);
        assert_int_equal(loop_run(web.loop), OK);
        say("ab");
    }
    say("z");
    hear("012abababz");
    assert_non_null(strstr(heard, "HTTP/1.1 200"));
    assert_non_null(strstr(heard, "Content-Type: text/x\r\n"));
    forget();
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"); /* the connection goes on */
    hear("\r\n\r\n");
    assert_int_equal(handled, 2);
}

static void a_body_is_asked_for(void **state)
{
    say("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear("HTTP/1.1 100");
    say("body");
    hear("\r\n\r\nbody");
}

static void too_large_a_body_is_refused_before_it_comes(void **state)
{
    say("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
    hear(NULL);
    assert_non_null(strstr(heard, "HTTP/1.1 413"));
    assert_null(strstr(heard, "HTTP/1.1 100"));
    assert_int_equal(handled, 0);
}

static void a_body_without_room_is_refused(void **state)
{
    static char body[60001];

    limit(30000);
    memset(body, 'b', sizeof(body) - 1);
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
    say(body);
    hear("HTTP/1.1 503");
    assert_int_equal(handled, 0);
    assert_int_equal(budget_taken(web.places), 0);
}

static void a_body_that_nobody_wants_takes_no_room(void **state)
{
    static char body[60001];

    limit(30000);
    memset(body, 'b', sizeof(body) - 1);
    say("POST /unused HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
    say(body);
    hear("\r\n\r\n");
    assert_non_null(strstr(heard, "HTTP/1.1 200"));
    assert_non_null(strstr(heard, "Content-Length: 0\r\n")); /* what echo was given */
    assert_int_equal(handled, 1);
    assert_int_equal(budget_taken(web.places), 0);
    forget();
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nkept"); /* the connection goes on */
    hear("\r\n\r\nkept");
}

static void a_body_that_is_cut_off_leaves_nothing(void **state)
{
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n012");
    close(client);
    client = -1;
    while (places_sessions(web.places) > 0)
        run();
    assert_int_equal(handled, 0);
}

/* ---- later ---- */

static void an_answer_comes_later(void **state)
{
    for (int i = 0; i < 3; i++) {
        say("GET /later?q HTTP/1.1\r\n" HOST "\r\n");
        run();
        assert_non_null(waiting);
        http_answer(waiting, &(struct http_reply){.status = 202, .body = slice_str("late")});
        waiting = NULL;
        hear("\r\n\r\nlate");
        assert_non_null(strstr(heard, "HTTP/1.1 202"));
        assert_non_null(strstr(heard, "Access-Control-Allow-Origin: *\r\n"));
        forget();
    }
    assert_int_equal(gone, 0);
}

static void a_client_that_leaves_is_told_of(void **state)
{
    say("GET /later HTTP/1.1\r\n" HOST "\r\n");
    run();
    assert_non_null(waiting);
    close(client);
    client = -1;
    run();
    assert_int_equal(gone, 1);
    while (places_sessions(web.places) > 0)
        run();
}

static void a_client_that_has_left_is_not_waited_for(void **state)
{
    say("GET /later HTTP/1.1\r\n" HOST "\r\n");
    close(client);
    client = -1;
    while (places_sessions(web.places) > 0)
        run();
    assert_int_equal(gone, handled);
}

static void what_waits_is_not_ended_for_others(void **state)
{
    say("GET /later HTTP/1.1\r\n" HOST "\r\n");
    run();
    assert_false(web_conn_may_end(&web.conns->place, PLACE_SHED));
    web.stopping = true;
    web_conn_stop_all(&web);
    http_answer(waiting, &(struct http_reply){.status = 200, .body = slice_str("in the end")});
    hear(NULL);
    assert_non_null(strstr(heard, "\r\n\r\nin the end"));
}

static void an_end_in_the_middle_is_told_of(void **state)
{
    say("GET /later HTTP/1.1\r\n" HOST "\r\n");
    run();
    web_conn_end(web.conns);
    assert_int_equal(gone, 1);
    hear(NULL);
    assert_int_equal(heard_len, 0);
}

/* ---- look-ups ---- */

static void a_peer_makes_so_many_look_ups(void **state)
{
    for (int i = 0; i <= LOOKUPS; i++) {
        forget();
        say(i % 2 ? "HEAD /look HTTP/1.1\r\n" HOST "\r\n" : "GET /look HTTP/1.1\r\n" HOST "\r\n");
        hear("\r\n\r\n");
        assert_non_null(strstr(heard, i < LOOKUPS ? "HTTP/1.1 200" : "HTTP/1.1 429"));
    }
    assert_non_null(strstr(heard, "Retry-After: 6")); /* 60, or 61 */
    assert_int_equal(handled, LOOKUPS);
    assert_int_equal(web.counts[COUNT_WEB_LOOKUPS], LOOKUPS);
    assert_int_equal(web.counts[COUNT_WEB_LOOKUPS_REFUSED], 1);
    forget();
    say("OPTIONS /look HTTP/1.1\r\n" HOST "\r\nPOST /look HTTP/1.1\r\n" HOST "\r\n"); /* look nothing up */
    hear("HTTP/1.1 405");
    assert_non_null(strstr(heard, "HTTP/1.1 204"));
    forget();
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nelse"); /* the connection goes on */
    hear("\r\n\r\nelse");
    assert_int_equal(web.counts[COUNT_WEB_LOOKUPS_REFUSED], 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_body_comes_in_pieces),
        T(a_body_is_asked_for),
        T(too_large_a_body_is_refused_before_it_comes),
        T(a_body_without_room_is_refused),
        T(a_body_that_nobody_wants_takes_no_room),
        T(a_body_that_is_cut_off_leaves_nothing),
        T(an_answer_comes_later),
        T(a_client_that_leaves_is_told_of),
        T(a_client_that_has_left_is_not_waited_for),
        T(what_waits_is_not_ended_for_others),
        T(an_end_in_the_middle_is_told_of),
        T(a_peer_makes_so_many_look_ups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
