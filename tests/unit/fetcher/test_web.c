/* Whatever libcurl has in mind: a socket is made for the addresses that are given, and for no other. What servers can
 * do is in tests/script/test_fetch.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/fetcher/web.h"

static struct loop *loop;
static struct web *web;
static CURLU *u;
static int listener, calls, last;
static uint16_t port;

static void ended(void *arg, int err, const struct fetch_answer *a)
{
    assert_null(a);
    calls++;
    last = err;
    loop_stop(loop);
}

static int up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    loop = loop_create();
    web = web_create(loop, NULL);
    assert_non_null(web);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
    calls = 0;
    return 0;
}

static int down(void **state)
{
    web_destroy(web);
    curl_url_cleanup(u);
    u = NULL;
    loop_destroy(loop);
    close(listener);
    return 0;
}

static struct web_transfer *begin(const char *url, const char *address, uint16_t to_port)
{
    static union web_address to;
    struct web_request q = {
        .kind = fetch_kind_row(FETCH_DOCTOR), .host = "a.test", .type = "", .to = &to, .nto = 1, .connect_ms = 60000};
    struct web_transfer *t;

    curl_url_cleanup(u);
    u = curl_url();
    q.url = u;
    to.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(to_port)};
    assert_int_equal(inet_pton(AF_INET, address, &to.v4.sin_addr), 1);
    assert_int_equal(curl_url_set(u, CURLUPART_URL, url, 0), CURLUE_OK);
    assert_int_equal(web_begin(web, &q, ended, NULL, &t), OK);
    return t;
}

static void on_pause(void *arg)
{
    loop_stop(loop);
}

static bool somebody_came(void)
{
    int fd = accept(listener, NULL, NULL);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A URL that should never have got here, and one whose name libcurl has other addresses for. */
static void test_another_address(void **state)
{
    char url[100];

    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port);
    (void)begin(url, "127.0.0.2", port);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(last, ERR_AGAIN);
    assert_false(somebody_came());
    (void)begin("https://a.test/", "127.0.0.1", port);
    while (!somebody_came()) {
        struct timer *t = timer_create_in(loop, on_pause, NULL);
        timer_set(t, 10);
        assert_int_equal(loop_run(loop), OK);
        timer_destroy(t);
    }
    if (calls == 1)
        assert_int_equal(loop_run(loop), OK);
    assert_int_equal(calls, 2);
    assert_true(last == ERR_CRYPTO || last == ERR_AGAIN); /* the handshake has no other side, or no roots */
}

static void test_taken_back(void **state)
{
    web_cancel(begin("https://a.test/", "127.0.0.1", port));
    assert_int_equal(calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_another_address, up, down),
        cmocka_unit_test_setup_teardown(test_taken_back, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
