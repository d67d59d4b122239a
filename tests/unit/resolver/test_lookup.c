/* Questions of several askers before a name server that is silent until it is told to answer: turns, places, one lookup
 * for what is asked twice, and what becomes of those who go or do not listen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/dns/message.h"
#include "server/resolver/lookup.h"
#include "tests/support/patience.h"

enum { HELD_MAX = 4096, PACKET = 1500 };

static struct loop *loop;
static struct lookups *lookups;
static int server;
static struct watch *server_watch;
static struct timer *patience;
static bool answers;
static struct held {
    struct sockaddr_in from;
    uint8_t data[PACKET];
    size_t len;
} held[HELD_MAX];
static size_t nheld, asked;

struct side {
    struct asker *asker;
    struct ipc *ipc, *far;
    unsigned heard, again, at; /* at: how many answers there were in all when its last came */
};
static struct side sides[3];
static unsigned answers_in_all, wanted;

/* An address, to whatever was asked. */
static void server_answer(struct held *h)
{
    static const uint8_t record[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1};
    size_t at = 12;
    while (at < h->len && h->data[at])
        at += 1U + h->data[at];
    at += 5;
    assert_true(at <= h->len && at + sizeof(record) <= PACKET);
    h->data[2] = 0x81;
    h->data[3] = 0x80;
    memcpy(h->data + 6, "\0\1\0\0\0\0", 6);
    memcpy(h->data + at, record, sizeof(record));
    (void)sendto(server, h->data, at + sizeof(record), 0, (struct sockaddr *)&h->from, sizeof(h->from));
}

static void on_question(void *arg, unsigned events)
{
    struct held *h = &held[nheld];
    socklen_t n = sizeof(h->from);
    ssize_t got = recvfrom(server, h->data, sizeof(h->data), 0, (struct sockaddr *)&h->from, &n);
    if (got < 12)
        return;
    h->len = (size_t)got;
    asked++;
    if (answers)
        server_answer(h);
    else if (nheld < HELD_MAX - 1)
        nheld++;
}

static void server_begin(void)
{
    answers = true;
    while (nheld)
        server_answer(&held[--nheld]);
}

static int on_reply(void *arg, struct ipc_msg *m)
{
    struct side *s = arg;
    struct unpack u;
    unpack_init(&u, m->payload.data, m->payload.len);
    s->again += unpack_u32(&u) != 0;
    s->heard++;
    s->at = ++answers_in_all;
    if (answers_in_all == wanted)
        loop_stop(loop);
    return OK;
}

static int on_nothing(void *arg, struct ipc_msg *m)
{
    return OK;
}

static void on_close(void *arg)
{
    fail_msg("a channel ended");
}

static void too_late(void *arg)
{
    fail_msg("%u answers of %u", answers_in_all, wanted);
}

static int up(void **state)
{
    static const struct ipc_ops near = {on_nothing, on_close}, far = {on_reply, on_close};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    struct config c;
    struct ub_ctx *u;
    enum event_DNS why;
    config_defaults(&c);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    (void)setsockopt(server, SOL_SOCKET, SO_RCVBUFFORCE, &(int){8 << 20}, sizeof(int)); /* less is asked twice then */
    assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&a, &n), 0);
    snprintf(c.dns_server, sizeof(c.dns_server), "127.0.0.1@%d", ntohs(a.sin_port));
    loop = loop_create();
    server_watch = watch_create(loop, server, LOOP_READ, on_question, NULL);
    patience = timer_create_in(loop, too_late, NULL);
    timer_set(patience, PATIENCE_MS);
    assert_int_equal(upstream_create(loop, &c, "", &u, &why), OK);
    lookups = lookups_create(loop, u);
    nheld = asked = 0;
    answers = false;
    answers_in_all = wanted = 0;
    for (int i = 0; i < 3; i++) {
        int pair[2];
        sides[i] = (struct side){0};
        assert_int_equal(ipc_pair(pair), OK);
        sides[i].ipc = ipc_create(loop, pair[0], &near, NULL);
        sides[i].far = ipc_create(loop, pair[1], &far, &sides[i]);
        assert_int_equal(asker_create(lookups, sides[i].ipc, &sides[i].asker), OK);
    }
    return 0;
}

static void side_gone(struct side *s)
{
    if (s->asker)
        asker_destroy(s->asker);
    ipc_destroy(s->ipc);
    ipc_destroy(s->far);
    *s = (struct side){0};
}

static int down(void **state)
{
    for (int i = 0; i < 3; i++)
        side_gone(&sides[i]);
    lookups_destroy(lookups);
    timer_destroy(patience);
    watch_destroy(server_watch);
    loop_destroy(loop);
    close(server);
    return 0;
}

static int ask(struct side *s, unsigned type, const char *name)
{
    static uint64_t id;
    uint8_t out[300];
    struct pack p;
    pack_init(&p, out, sizeof(out));
    pack_u16(&p, (uint16_t)type);
    pack_str(&p, name);
    return asker_ask(s->asker, ++id, slice_of(out, p.len));
}

static void ask_many(struct side *s, const char *form, unsigned n)
{
    char name[64];
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s%u.example", form, i);
        assert_int_equal(ask(s, DNS_A, name), OK);
    }
}

static void hear(unsigned n)
{
    wanted = n;
    assert_int_equal(loop_run(loop), OK);
}

/* One has filled all places and a long queue; two others who come later have their turns. */
static void test_turns(void **state)
{
    ask_many(&sides[0], "a", 4000);
    ask_many(&sides[1], "b", 20);
    ask_many(&sides[2], "c", 20);
    assert_int_equal(lookups_counts(lookups).under_way, LOOKUPS_MAX);
    assert_int_equal(lookups_counts(lookups).waiting, 4040 - LOOKUPS_MAX);
    server_begin();
    hear(4040);
    assert_true(sides[0].again == 0 && sides[0].heard == 4000 && sides[0].at == 4040);
    print_message("the others' last answers were number %u and %u of 4040\n", sides[1].at, sides[2].at);
    /* First come, first served would begin them behind 4000, when 3500 are answered. */
    assert_true(sides[1].heard == 20 && sides[1].again == 0 && sides[1].at < 3000);
    assert_true(sides[2].heard == 20 && sides[2].again == 0 && sides[2].at < 3000);
}

/* What one may have is its own: the others have theirs. */
static void test_places(void **state)
{
    ask_many(&sides[0], "a", QUESTIONS_MAX + 10);
    assert_int_equal(lookups_counts(lookups).refused, 10);
    ask_many(&sides[1], "b", 10);
    assert_int_equal(lookups_counts(lookups).refused, 10);
    hear(10);
    assert_int_equal(sides[0].again, 10);
    side_gone(&sides[0]); /* with all its questions */
    assert_int_equal(lookups_counts(lookups).waiting, 10);
    server_begin();
    hear(20);
    assert_true(sides[1].heard == 10 && sides[1].again == 0);
}

static void test_once(void **state)
{
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 100; k++)
            assert_int_equal(ask(&sides[i], DNS_A, "same.example"), OK);
    assert_int_equal(lookups_counts(lookups).lookups, 1);
    assert_int_equal(ask(&sides[0], DNS_MX, "same.example"), OK);
    assert_int_equal(lookups_counts(lookups).lookups, 2);
    side_gone(&sides[2]);
    server_begin();
    hear(201);
    assert_true(sides[0].heard == 101 && sides[1].heard == 100);
    assert_int_equal(lookups_counts(lookups).under_way, 0);
}

static void test_bad_questions(void **state)
{
    static const char *const names[] = {"", ".", "a.", "A.example", "a\tb", "a\x7f"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_int_equal(ask(&sides[0], DNS_A, names[i]), ERR_FORMAT);
    assert_int_equal(ask(&sides[0], 5, "a"), ERR_FORMAT);
    assert_int_equal(ask(&sides[0], 0xffff, "a"), ERR_FORMAT);
    assert_int_equal(asker_ask(sides[0].asker, 1, slice_of("\0\1", 2)), ERR_FORMAT);
    assert_int_equal(asker_ask(sides[0].asker, 1, slice_of("\0\1\0\0\0\1ab", 8)), ERR_FORMAT);
    assert_int_equal(lookups_counts(lookups).questions, 0);
}

/* All go while lookups are under way: libunbound's later word meets nobody. */
static void test_nobody_left(void **state)
{
    ask_many(&sides[0], "a", 600);
    ask_many(&sides[1], "b", 3);
    side_gone(&sides[0]);
    server_begin();
    hear(3);
    assert_int_equal(lookups_counts(lookups).waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turns, up, down),
        cmocka_unit_test_setup_teardown(test_places, up, down),
        cmocka_unit_test_setup_teardown(test_once, up, down),
        cmocka_unit_test_setup_teardown(test_bad_questions, up, down),
        cmocka_unit_test_setup_teardown(test_nobody_left, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
