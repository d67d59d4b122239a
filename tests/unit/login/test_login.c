/* A process's side of logins: one in hand, the others in their turn, and what happens when master is silent. */
#include <arpa/inet.h>
#include <sodium.h>

#include "tests/support/patience.h"
#include "tests/support/vault_support.h"
#include "tests/support/master_stand_in.h"

#define PASSWORD "abcd-efgh-ijkl-mnop-qrst-uvwx-yz"

static struct bench bench;
static struct view *view;
static struct login *login;

enum { TRIES = 8 };
static struct outcome {
    int err;
    uint64_t account;
    struct login_try *t;
    bool done;
} outcomes[TRIES];
static unsigned ended, awaited;

static void done(void *arg, int err, const struct login_result *r)
{
    struct outcome *o = arg;
    assert_false(o->done);
    assert_true((err == OK) == (r != NULL));
    o->done = true;
    o->err = err;
    o->account = r ? r->user.account : 0;
    if (++ended == awaited)
        loop_stop(bench.loop);
}

static void begin(unsigned n, uint32_t address, const char *user, const char *password)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET};
    ((struct sockaddr_in *)&peer)->sin_addr.s_addr = htonl(address);
    const struct login_params p = {.peer = &peer,
                                   .user = slice_of(user, user ? strlen(user) : 0),
                                   .password = slice_of(password, password ? strlen(password) : 0),
                                   .scope = SCOPE_IMAP};
    outcomes[n] = (struct outcome){.err = 1};
    assert_int_equal(login_start(login, &p, done, &outcomes[n], &outcomes[n].t), OK);
    assert_false(outcomes[n].done);
}

static void late(void *arg)
{
    loop_stop(bench.loop);
}

/* Until n tries have ended, or ms went by; how many have. */
static unsigned wait_for(unsigned n, uint64_t ms)
{
    struct timer *limit = timer_create_in(bench.loop, late, NULL);
    awaited = n;
    timer_set(limit, ms);
    if (ended < n)
        assert_int_equal(loop_run(bench.loop), OK);
    timer_destroy(limit);
    return ended;
}

static int up(void **state)
{
    uint8_t hash[RECORD_HASH_SIZE], zero[32] = {0};
    bench_mem(&bench, true);
    assert_true(sodium_init() >= 0);
    bench_account(&bench);
    assert_int_equal(app_password_hash(bench.keys, bench.account, PASSWORD, strlen(PASSWORD), hash), OK);
    PACK(p);
    pack_u64(&p, bench.account);
    pack_raw(&p, zero, RECORD_HASH_SIZE); /* the administrator has no session */
    pack_raw(&p, hash, sizeof(hash));
    pack_u8(&p, SCOPE_IMAP);
    pack_raw(&p, zero, 32);
    pack_raw(&p, zero, 32);
    pack_str(&p, "test");
    assert_int_equal(call(&bench, VAULT_APP_PASSWORD_ADD, &p, -1), OK);
    assert_int_equal(view_over(bench.engine, bench.keys, &view), OK);
    login = master_up(bench.loop, view);
    ended = 0;
    return 0;
}

static int down(void **state)
{
    master_down();
    view_close(view);
    bench_close(&bench);
    return 0;
}

static void test_right_and_wrong(void **state)
{
    begin(0, 0x0a000001, "alice@example.org", PASSWORD);
    begin(1, 0x0a000001, "alice@example.org", "wrong");
    begin(2, 0x0a000001, "nobody@example.org", PASSWORD);
    begin(3, 0x0a000001, NULL, NULL);
    begin(4, 0x0b000001, "alice@example.org", PASSWORD);
    assert_int_equal(wait_for(5, PATIENCE_MS), 5);
    assert_int_equal(outcomes[0].err, OK);
    assert_int_equal(outcomes[0].account, bench.account);
    for (int i = 1; i < 4; i++)
        assert_int_equal(outcomes[i].err, ERR_DENIED);
    assert_int_equal(outcomes[4].err, OK);
    assert_int_equal(master.failed, 3);
}

/* The fourth wrong one of a peer waits, and is asked about again; another peer's right one does not. */
static void test_slowed(void **state)
{
    for (unsigned i = 0; i < 4; i++)
        begin(i, 0x0a000001, "alice@example.org", "wrong");
    begin(4, 0x0b000001, "alice@example.org", PASSWORD);
    assert_int_equal(wait_for(4, PATIENCE_MS), 4);
    assert_false(outcomes[3].done);
    assert_true(outcomes[4].done);
    assert_int_equal(wait_for(5, PATIENCE_MS), 5);
    assert_int_equal(outcomes[3].err, ERR_DENIED);
    assert_int_equal(master.asked, 6);
}

/* Silence lets nobody in. Master's late answer is of use to nobody, and tells it that nothing was tried. */
static void test_silence(void **state)
{
    master.silent = true;
    begin(0, 0x0a000001, "alice@example.org", PASSWORD);
    begin(1, 0x0a000001, "alice@example.org", PASSWORD);
    assert_int_equal(wait_for(2, LOGIN_ANSWER_MS - 500), 0);
    assert_int_equal(wait_for(2, PATIENCE_MS), 2);
    assert_int_equal(outcomes[0].err, ERR_TIMEOUT);
    assert_int_equal(outcomes[1].err, ERR_TIMEOUT);
    begin(2, 0x0a000001, "alice@example.org", PASSWORD); /* master still owes an answer */
    assert_int_equal(master.asked, 1);
    assert_int_equal(wait_for(3, PATIENCE_MS), 3);
    assert_int_equal(outcomes[2].err, ERR_TIMEOUT);
    begin(3, 0x0a000001, "alice@example.org", PASSWORD);
    master.silent = false;
    assert_int_equal(login_reply(login, master.id, 0), OK);
    assert_false(master.failed);
    assert_int_equal(wait_for(4, PATIENCE_MS), 4);
    assert_int_equal(outcomes[3].err, OK);
    assert_int_equal(master.asked, 2);
}

/* Whoever goes away is forgotten wherever its try stands: asked about, in the queue, waiting. */
static void test_cancelled(void **state)
{
    for (unsigned i = 0; i < 4; i++)
        begin(i, 0x0a000001, "alice@example.org", "wrong");
    login_cancel(outcomes[0].t);
    login_cancel(outcomes[3].t);
    assert_int_equal(wait_for(2, PATIENCE_MS), 2);
    begin(4, 0x0a000001, "alice@example.org", "wrong");
    begin(5, 0x0a000001, "alice@example.org", "wrong");
    assert_int_equal(wait_for(3, PATIENCE_MS), 3);
    login_cancel(outcomes[5].t);
    assert_int_equal(wait_for(4, 1000), 3);
    assert_int_equal(master.failed, 3); /* that one was never tried */
    assert_false(outcomes[0].done || outcomes[3].done || outcomes[5].done);
}

static void test_answers_nobody_asked_for(void **state)
{
    assert_int_equal(login_reply(login, 0, 0), ERR_FORMAT);
    master.silent = true;
    begin(0, 0x0a000001, "alice@example.org", PASSWORD);
    assert_int_equal(login_reply(login, master.id + 1, 0), ERR_FORMAT);
    assert_int_equal(login_reply(login, master.id, 0), OK);
    assert_int_equal(login_reply(login, master.id, 0), ERR_FORMAT);
    assert_int_equal(wait_for(1, PATIENCE_MS), 1);
    assert_int_equal(outcomes[0].err, OK);
}

static void paid(void *arg, int err, const struct login_result *r)
{
    struct outcome *o = arg;
    assert_null(r);
    o->done = true;
    o->err = err;
    if (++ended == awaited)
        loop_stop(bench.loop);
}

static const struct sockaddr_storage *stranger(void)
{
    static struct sockaddr_storage peer = {.ss_family = AF_INET};
    ((struct sockaddr_in *)&peer)->sin_addr.s_addr = htonl(0x0a000001);
    return &peer;
}

/* Each exchange that begins counts as a failed try until it has ended well. */
static void test_paid_for(void **state)
{
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(login_price(login, stranger(), paid, &outcomes[0], &outcomes[0].t), OK);
        assert_int_equal(wait_for(i + 1, PATIENCE_MS), i + 1);
        assert_int_equal(outcomes[0].err, OK);
        login_forgive(login, stranger(), (const uint8_t[LOGIN_EXCHANGE_SIZE]){(uint8_t)i});
    }
    assert_int_equal(master.asked, 5);
    assert_int_equal(master.failed, 5);
    assert_int_equal(master.forgiven, 5);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(login_price(login, stranger(), paid, &outcomes[i], &outcomes[i].t), OK);
    assert_int_equal(wait_for(9, PATIENCE_MS), 9);
    assert_int_equal(master.asked, 10); /* the fourth one had to wait */
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_right_and_wrong),          T(test_slowed),   T(test_silence), T(test_cancelled),
        T(test_answers_nobody_asked_for), T(test_paid_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
