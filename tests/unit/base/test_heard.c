/* What a peer does, and whether that shows that it has read what was written to it: over real TCP, without a loop. */
#include "server/base/heard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct pair {
    int ours, peer;
    struct heard h;
    bool over;
};

static void connect_pair(struct pair *p, int peer_room)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    const int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    memset(p, 0, sizeof(*p));
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    p->peer = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(p->peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (peer_room)
        setsockopt(p->peer, SOL_SOCKET, SO_RCVBUF, &peer_room, sizeof(peer_room));
    assert_int_equal(connect(p->peer, (struct sockaddr *)&a, sizeof(a)), 0);
    p->ours = accept(listener, NULL, NULL);
    assert_true(p->ours >= 0);
    close(listener);
}

static void finish_pair(struct pair *p)
{
    close(p->ours);
    if (p->peer >= 0)
        close(p->peer);
}

static void settle(void)
{
    poll(NULL, 0, 60);
}

/* As a connection does: all that is there is read, then it looks. Until nothing more comes. */
static enum heard_state look(struct pair *p)
{
    char b[4096];
    ssize_t n;

    settle();
    while (!p->over && (n = recv(p->ours, b, sizeof(b), MSG_DONTWAIT)) >= 0) {
        heard_look(&p->h, p->ours);
        p->over = n == 0;
    }
    return p->h.state;
}

static void say(struct pair *p)
{
    heard_before(&p->h, p->ours);
    assert_int_equal(send(p->ours, "250 OK\r\n", 8, MSG_NOSIGNAL), 8);
    heard_after(&p->h, p->ours);
}

static void peer_says(struct pair *p, const char *text)
{
    assert_int_equal(send(p->peer, text, strlen(text), 0), (ssize_t)strlen(text));
    settle();
}

static void peer_reads(struct pair *p)
{
    char b[8];

    assert_int_equal(recv(p->peer, b, 8, MSG_WAITALL), 8);
}

static void peer_closes(struct pair *p, bool reset)
{
    const struct linger now = {1, 0};

    if (reset)
        setsockopt(p->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(p->peer);
    p->peer = -1;
    settle();
}

/* What happens, a letter each: s we say it; r the peer reads it, q says QUIT, f closes its half, c closes, x resets. */
static void test_read(void **state)
{
    static const char *const yes[] = {"srq", "src", "srf", "sqrc", "qsrq", "qsrc", "sfr", "srsrq", "qsqrc"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        struct pair p;
        unsigned said = 0;
        connect_pair(&p, 0);
        for (const char *c = yes[i]; *c; c++) {
            if (*c == 's')
                say(&p), said++, settle();
            else if (*c == 'r' && said)
                peer_reads(&p), said--;
            else if (*c == 'q')
                peer_says(&p, "QUIT\r\n");
            else if (*c == 'f')
                shutdown(p.peer, SHUT_WR);
            else if (*c == 'c')
                peer_closes(&p, false);
        }
        if (look(&p) != HEARD_YES)
            fail_msg("%s", yes[i]);
        finish_pair(&p);
    }
}

static void test_unread(void **state)
{
    static const char *const no[] = {"s",   "sr",  "sc", "sx",  "srx",  "qs",   "qsr",
                                     "qsc", "qsx", "fs", "fsr", "fsrx", "qfsrc"};

    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        struct pair p;
        connect_pair(&p, 0);
        for (const char *c = no[i]; *c; c++) {
            if (*c == 's')
                say(&p), settle();
            else if (*c == 'r')
                peer_reads(&p);
            else if (*c == 'q')
                peer_says(&p, "QUIT\r\n");
            else if (*c == 'f')
                shutdown(p.peer, SHUT_WR), settle();
            else
                peer_closes(&p, *c == 'x');
        }
        if (look(&p) != HEARD_OPEN)
            fail_msg("%s", no[i]);
        finish_pair(&p);
    }
}

/* Octets prove nothing while ours are not yet all acknowledged. */
static void test_not_acknowledged(void **state)
{
    struct pair p;
    static char big[1 << 20], b[1 << 16];
    size_t sent = 0, got = 0;
    ssize_t n;

    connect_pair(&p, 4096);
    while ((n = send(p.ours, big, sizeof(big), MSG_DONTWAIT)) > 0)
        sent += (size_t)n;
    assert_int_equal(errno, EAGAIN);
    heard_before(&p.h, p.ours);
    heard_after(&p.h, p.ours);
    peer_says(&p, "NOOP\r\n");
    assert_int_equal(look(&p), HEARD_OPEN);
    assert_true(heard_crossed(p.ours));
    while (got < sent && (n = recv(p.peer, b, sizeof(b), 0)) > 0)
        got += (size_t)n;
    assert_int_equal(got, sent);
    peer_says(&p, "NOOP\r\n");
    assert_false(heard_crossed(p.ours));
    assert_int_equal(look(&p), HEARD_YES);
    finish_pair(&p);
}

/* Asked anew, what showed the first says nothing of the second; and of what is no TCP nothing is known. */
static void test_anew_and_elsewhere(void **state)
{
    struct pair p;
    int unix_pair[2];

    connect_pair(&p, 0);
    say(&p);
    peer_reads(&p);
    peer_says(&p, "NOOP\r\n");
    assert_int_equal(look(&p), HEARD_YES);
    say(&p);
    assert_int_equal(look(&p), HEARD_OPEN);
    finish_pair(&p);
    memset(&p, 0, sizeof(p));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair), 0);
    p.ours = unix_pair[0];
    p.peer = unix_pair[1];
    say(&p);
    peer_reads(&p);
    peer_says(&p, "NOOP\r\n");
    assert_int_equal(look(&p), HEARD_UNASKED);
    assert_false(heard_crossed(p.ours));
    finish_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_not_acknowledged),
        cmocka_unit_test(test_anew_and_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
