/* Asking a peer that does not wait for a new channel (store/client.h's tests have one that does): cap, time limits,
 * descriptors, what a lost channel does, and peers that answer nonsense. The peer is the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/ask.h"
#include "server/core/error.h"
#include "tests/support/patience.h"

enum { QUESTION = 7, REPLY = 100, OTHER = 101, MAX = 3 };

static struct loop *l;
static struct ask *a;
static int end = -1;
static unsigned others;

struct asker {
    int calls, status;
    uint8_t first;
    int next_err; /* of asking again from the callback */
    bool again;
};

static int on_other(void *arg, struct ipc_msg *m)
{
    others++;
    return m->type == OTHER ? OK : ERR_FORMAT;
}

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct asker *k = arg;
    uint8_t none[1];
    struct pack p;

    k->calls++;
    k->status = status;
    k->first = unpack_u8(body);
    pack_init(&p, none, sizeof(none));
    if (k->again) {
        k->again = false;
        k->next_err = ask_send(a, QUESTION, &p, NULL, 0, 0, on_reply, k, NULL);
    }
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

static void connect_peer(void)
{
    int pair[2];

    if (end >= 0)
        close(end);
    assert_int_equal(ipc_pair(pair), OK);
    ask_channel(a, pair[0]);
    end = pair[1];
}

static int setup(void **state)
{
    static const struct ask_params p = {
        .peer = ROLE_VAULT, .reply = REPLY, .max = MAX, .answer_ms = 300, .on_other = on_other};

    l = loop_create();
    a = ask_create(l, &p);
    others = 0;
    return l && a ? 0 : -1;
}

static int teardown(void **state)
{
    ask_destroy(a);
    loop_destroy(l);
    close(end);
    end = -1;
    return 0;
}

static int ask(struct asker *k, const int *fds, unsigned nfds, uint64_t *ret_id)
{
    uint8_t out[8];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, 5);
    return ask_send(a, QUESTION, &p, fds, nfds, 0, on_reply, k, ret_id);
}

static struct ipc_msg take(void)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;

    assert_int_equal(ipc_recv_blocking(end, buf, &m, PATIENCE_MS), OK);
    assert_int_equal(m.type, QUESTION);
    assert_int_equal(m.payload.len, 4);
    return m;
}

static void answer(uint64_t id, uint32_t status, uint8_t byte)
{
    uint8_t out[32];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, status);
    pack_str(&p, "said");
    pack_u8(&p, byte);
    assert_int_equal(ipc_send_blocking(end, REPLY, id, out, p.len, NULL, 0), OK);
}

static void test_answers(void **state)
{
    struct asker one = {0}, two = {0}, full = {0};
    int fds[IPC_MAX_FDS + 1] = {0};
    uint64_t id;

    assert_int_equal(ask(&one, NULL, 0, NULL), ERR_GONE); /* nobody to ask */
    connect_peer();
    assert_int_equal(ask(&one, fds, IPC_MAX_FDS + 1, NULL), ERR_LIMIT);
    assert_int_equal(ask(&one, fds, IPC_MAX_FDS, &id), OK);
    struct ipc_msg m = take();
    assert_int_equal(m.nfds, IPC_MAX_FDS);
    for (unsigned i = 0; i < m.nfds; i++)
        close(m.fds[i]);
    assert_int_equal(m.id, id);
    assert_int_equal(ask(&two, NULL, 0, NULL), OK);
    assert_int_equal(ask(&two, NULL, 0, NULL), OK);
    assert_int_equal(ask(&full, NULL, 0, NULL), ERR_FULL);
    answer(id, 0, 9);
    assert_int_equal(ipc_send_blocking(end, OTHER, 0, NULL, 0, NULL, 0), OK);
    answer(take().id, -ERR_DENIED, 8);
    spin(20);
    assert_true(one.calls == 1 && one.status == OK && one.first == 9);
    assert_true(two.calls == 1 && two.status == ERR_DENIED && two.first == 8);
    assert_int_equal(others, 1);
    assert_int_equal(full.calls, 0);
}

/* A peer that does not answer keeps the places of what it was asked; a late answer is taken for what it is. */
static void test_no_answer(void **state)
{
    struct asker k[MAX] = {0}, more = {0};
    uint64_t ids[MAX];

    connect_peer();
    for (int i = 0; i < MAX; i++)
        assert_int_equal(ask(&k[i], NULL, 0, &ids[i]), OK);
    ask_forget(a, ids[2]);
    ask_forget(a, ids[2]);
    ask_forget(a, 12345678);
    spin(700);
    assert_true(k[0].calls == 1 && k[0].status == ERR_TIMEOUT && k[1].calls == 1 && k[2].calls == 0);
    assert_int_equal(ask(&more, NULL, 0, NULL), ERR_FULL);
    for (int i = 0; i < MAX; i++)
        answer(take().id, 0, 1);
    spin(20);
    assert_true(k[0].calls == 1 && k[1].calls == 1 && k[2].calls == 0);
    assert_int_equal(ask(&more, NULL, 0, NULL), OK);
    answer(take().id, 0, 2);
    spin(20);
    assert_true(more.calls == 1 && more.first == 2);
}

/* What a callback asks anew is not failed with the rest. */
static void test_channel_lost(void **state)
{
    struct asker k = {.again = true}, other = {0};

    connect_peer();
    assert_int_equal(ask(&k, NULL, 0, NULL), OK);
    assert_int_equal(ask(&other, NULL, 0, NULL), OK);
    close(end);
    end = -1;
    spin(20);
    assert_true(k.calls == 1 && k.status == ERR_GONE && k.next_err == ERR_GONE);
    assert_true(other.calls == 1 && other.status == ERR_GONE);
    connect_peer();
    assert_int_equal(ask(&k, NULL, 0, NULL), OK);
    connect_peer(); /* a new one while the last still stands */
    assert_true(k.calls == 2 && k.status == ERR_GONE);
    assert_int_equal(ask(&k, NULL, 0, NULL), OK);
    answer(take().id, 0, 3);
    spin(20);
    assert_true(k.calls == 3 && k.first == 3);
}

static void test_hostile_peer(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t id_off;
        size_t len;
        uint8_t bytes[12];
    } bad[] = {
        {REPLY, 0, 0, {0}},       {REPLY, 0, 4, {0}},   {REPLY, 0, 8, {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}},
        {REPLY, 0, 8, {0xff}},    {REPLY, MAX, 8, {0}}, {REPLY, 1, 8, {0}},
        {REPLY, 0, 8, {0, 0, 4}}, {77, 0, 0, {0}},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct asker k = {0};
        uint64_t id;

        connect_peer();
        assert_int_equal(ask(&k, NULL, 0, &id), OK);
        assert_int_equal(ipc_send_blocking(end, bad[i].type, id + bad[i].id_off, bad[i].bytes, bad[i].len, NULL, 0),
                         OK);
        spin(10);
        assert_true(k.calls == 1 && k.status == ERR_GONE);
        assert_int_equal(ask(&k, NULL, 0, NULL), ERR_GONE);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_no_answer),
        TEST(test_channel_lost),
        TEST(test_hostile_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
