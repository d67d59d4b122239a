/* The way into a role: shares, refusals, room made by shedding, shortage of descriptors, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "server/core/error.h"
#include "server/service/acceptor.h"

enum { SESSIONS_MAX = 64, MANY = 40 };

static struct loop *l;

/* An instance of a role: its sessions do nothing. */
struct instance {
    struct peers *peers;
    struct places *places;
    struct acceptor *acceptor;
    struct session {
        struct place place;
        int fd;
        enum listener kind;
    } * sessions[SESSIONS_MAX];
    unsigned n, opened, shed;
    bool empty;
};

static struct instance one, two;
static int listener, tls_listener;

static void on_open(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind)
{
    struct instance *i = arg;
    struct session *s = calloc(1, sizeof(*s));

    assert_true(s && i->n < SESSIONS_MAX);
    s->fd = fd;
    s->kind = kind;
    place_begin(i->places, &s->place, on);
    i->sessions[i->n++] = s;
    i->opened++;
}

static void end_at(struct instance *i, unsigned at)
{
    struct session *s = i->sessions[at];

    i->n--;
    memmove(&i->sessions[at], &i->sessions[at + 1], (i->n - at) * sizeof(i->sessions[0]));
    close(s->fd);
    place_end(&s->place);
    free(s);
}

static void end_session(struct instance *i)
{
    end_at(i, i->n - 1);
}

/* Standing is place.c's matter, and so its test's: here it is over, or not. */
static void stand(struct instance *i, unsigned at, bool well)
{
    i->sessions[at]->place.good_ms = well ? UINT64_MAX : 1;
}

static bool may_end(const struct place *p, enum place_why why)
{
    return true;
}

static void on_end(struct place *p, enum place_why why)
{
    struct instance *i = p->in == one.places ? &one : &two;

    assert_int_equal(why, PLACE_SHED);
    for (unsigned at = 0; at < i->n; at++)
        if (&i->sessions[at]->place == p) {
            i->shed++;
            end_at(i, at);
            return;
        }
    fail();
}

static void on_changed(void *arg)
{
    struct instance *i = arg;

    if (i->acceptor)
        acceptor_places_changed(i->acceptor);
}

static void on_empty(void *arg)
{
    ((struct instance *)arg)->empty = true;
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void spin(uint64_t ms)
{
    struct timer *t = timer_create_in(l, stop, l);

    timer_set(t, ms);
    assert_int_equal(loop_run(l), OK);
    timer_destroy(t);
}

static int listen_here(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, 128), 0);
    return fd;
}

static void limit(struct instance *i, uint32_t max, uint32_t max_peer)
{
    places_limit(i->places, &(struct places_limits){.sessions = max, .sessions_peer = max_peer});
}

static void start(struct instance *i, uint32_t max, uint32_t max_peer)
{
    memset(i, 0, sizeof(*i));
    i->peers = peers_create(64);
    i->places = places_create(&(struct places_params){
        .loop = l, .peers = i->peers, .may_end = may_end, .end = on_end, .changed = on_changed, .arg = i});
    i->acceptor = acceptor_create(l, &(struct acceptor_params){.places = i->places,
                                                               .refusal = "421 no\r\n",
                                                               .open = on_open,
                                                               .empty = on_empty,
                                                               .arg = i});
    assert_non_null(i->acceptor);
    limit(i, max, max_peer);
    assert_int_equal(acceptor_listen(i->acceptor, listener, LISTEN_IMAP, false), OK);
    assert_int_equal(acceptor_listen(i->acceptor, tls_listener, LISTEN_IMAPS, true), OK);
}

static void finish(struct instance *i)
{
    while (i->acceptor && i->n)
        end_session(i);
    acceptor_destroy(i->acceptor);
    places_destroy(i->places);
    peers_destroy(i->peers);
    memset(i, 0, sizeof(*i));
}

static int setup(void **state)
{
    l = loop_create();
    listener = listen_here();
    tls_listener = listen_here();
    return l ? 0 : -1;
}

static int teardown(void **state)
{
    finish(&one);
    finish(&two);
    close(listener);
    close(tls_listener);
    loop_destroy(l);
    return 0;
}

static int dial_to(int to, const char *from)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, from, &sin.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(getsockname(to, (struct sockaddr *)&sin, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void dial_many(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fds[i] = dial_to(listener, "127.0.0.1");
}

static void hang_up(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

/* Who has its share leaves the rest to the other; past both shares connections wait, and none is refused. */
static void test_shares(void **state)
{
    int fds[MANY];

    start(&one, 8, 100);
    start(&two, 20, 100);
    dial_many(fds, MANY);
    spin(100);
    assert_true(one.n == 8 && two.n == 20);
    end_session(&one);
    end_session(&two);
    end_session(&two);
    spin(100);
    assert_true(one.n == 8 && two.n == 20 && one.opened == 9 && two.opened == 22);
    limit(&one, 12, 100); /* a reload */
    spin(100);
    assert_int_equal(one.n, 12);
    limit(&one, 2, 100);
    end_session(&one);
    spin(100);
    assert_int_equal(one.n, 11); /* those that stand stay, and no more come */
    assert_true(places_refused(one.places) == 0 && places_refused(two.places) == 0);
    hang_up(fds, MANY);
}

static void expect_end(int fd, const char *words)
{
    char text[64];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, words);
    if (n > 0)
        assert_int_equal(read(fd, text, sizeof(text)), 0);
}

static void test_limit_of_a_peer(void **state)
{
    struct sockaddr_storage other = {.ss_family = AF_INET};
    int fds[6];

    inet_pton(AF_INET, "192.0.2.1", &((struct sockaddr_in *)&other)->sin_addr);
    start(&one, 20, 2);
    dial_many(fds, 3);
    spin(50);
    assert_int_equal(one.n, 2);
    expect_end(fds[2], "421 no\r\n");
    fds[3] = dial_to(tls_listener, "127.0.0.1");
    spin(50);
    expect_end(fds[3], ""); /* in the clear nothing can be said there */
    fds[4] = dial_to(tls_listener, "127.0.0.2");
    spin(50);
    assert_true(one.n == 3 && one.sessions[0]->kind == LISTEN_IMAP && one.sessions[2]->kind == LISTEN_IMAPS &&
                places_refused(one.places) == 2);
    /* One turns out to be somebody else: its old place is free. */
    assert_int_equal(place_move(&one.sessions[0]->place, &other), OK);
    assert_int_equal(places_sessions(one.places), 3);
    fds[5] = dial_to(listener, "127.0.0.1");
    spin(50);
    assert_int_equal(one.n, 4);
    inet_pton(AF_INET, "127.0.0.1", &((struct sockaddr_in *)&other)->sin_addr);
    assert_int_equal(place_move(&one.sessions[2]->place, &other), ERR_LIMIT);
    assert_int_equal(places_sessions(one.places), 4);
    hang_up(fds, 6);
}

/* With all places taken, whoever can be done without makes room; nobody goes while another instance has a place. */
static void test_shed(void **state)
{
    int fds[MANY];

    start(&one, 8, 100);
    dial_many(fds, 8);
    spin(50);
    assert_int_equal(one.n, 8);
    for (unsigned i = 0; i < 8; i++)
        stand(&one, i, i >= 3);
    spin(200);
    assert_int_equal(one.shed, 0); /* nobody waits */
    start(&two, 4, 100);
    dial_many(fds + 8, 4);
    spin(200);
    assert_true(two.n == 4 && one.shed == 0);
    dial_many(fds + 12, 5);
    spin(300);
    assert_true(one.shed == 3 && one.n == 8 && one.opened == 11);
    hang_up(fds, 17);
}

/* Out of descriptors: connections wait for a moment, and are taken when there are some. */
static void test_no_descriptors(void **state)
{
    struct rlimit old, none;
    int fds[3];

    start(&one, 8, 100);
    dial_many(fds, 3);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    spin(100);
    assert_int_equal(one.n, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    spin(400);
    assert_int_equal(one.n, 3);
    hang_up(fds, 3);
}

/* Descriptors run out before places: who can be done without makes room, as where places run out. */
static void test_shed_for_descriptors(void **state)
{
    struct rlimit old, some;
    int fds[11];

    start(&one, 20, 100);
    dial_many(fds, 8);
    spin(100);
    assert_int_equal(one.n, 8);
    for (unsigned i = 0; i < 8; i++)
        stand(&one, i, i >= 3);
    dial_many(fds + 8, 3); /* they wait already */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    some = old;
    some.rlim_cur = 3; /* nobody gets another, though one is closed */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &some), 0);
    spin(100);
    assert_int_equal(one.shed, 0); /* another instance may come first */
    spin(300);
    assert_int_equal(one.shed, 3); /* and those that stand well are left alone */
    spin(300);
    assert_int_equal(one.shed, 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    spin(400);
    assert_true(one.n == 8 && one.opened == 11);
    hang_up(fds, 11);
}

static void test_the_end(void **state)
{
    int fds[4];

    start(&one, 8, 100);
    dial_many(fds, 2);
    spin(50);
    acceptor_close(one.acceptor);
    dial_many(fds + 2, 2);
    spin(100);
    assert_true(one.n == 2 && !one.empty);
    end_session(&one);
    assert_false(one.empty);
    end_session(&one);
    assert_true(one.empty);
    start(&two, 8, 100); /* another instance takes up what waits */
    spin(50);
    assert_int_equal(two.n, 2);
    hang_up(fds, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shares),
        TEST(test_limit_of_a_peer),
        TEST(test_shed),
        TEST(test_no_descriptors),
        TEST(test_the_end),
        TEST(test_shares),
        TEST(test_limit_of_a_peer),
        TEST(test_shed),
        TEST(test_shed_for_descriptors),
        TEST(test_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
