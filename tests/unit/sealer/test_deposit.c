/* Deposits against a vault that the test plays: every state can be left, nothing is stored that was not sealed, nobody
 * is called who has gone, and no descriptor stays behind. */
#include "tests/support/patience.h"
#include "tests/support/sealer_bench.h"

#include <sodium.h>

#include "server/base/ipc.h"
#include "server/sealer/deposit.h"

static struct loop *loop;
static struct vault_client *client;
static struct depositor with;
static int vault = -1; /* the vault's end */
static uint8_t buffer[IPC_MAX];
static struct ipc_msg asked;
static struct vault_request last; /* what was asked */
static struct iovec piece = {(void *)(uintptr_t)MAIL, sizeof(MAIL) - 1};

struct seen {
    unsigned sealed, done;
    uint8_t kind;
    int status;
    struct deposit_result r;
};
static struct seen seen;

static void on_sealed(void *arg, const struct seal_result *r)
{
    struct seen *s = arg;

    assert_int_equal(s->done, 0);
    s->sealed++;
    s->kind = r->kind;
}

static void on_deposited(void *arg, int status, const struct deposit_result *r)
{
    struct seen *s = arg;

    s->done++;
    s->status = status;
    s->r = *r;
    loop_stop(loop);
}

static const struct deposit_hooks deposit_hooks = {.sealed = on_sealed, .done = on_deposited};

static void on_tick(void *arg)
{
    loop_stop(loop);
}

static void run_ms(uint64_t ms)
{
    struct timer *t = timer_create_in(loop, on_tick, NULL);

    timer_set(t, ms);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
}

static void new_vault(void)
{
    int pair[2];

    if (vault >= 0)
        close(vault);
    assert_int_equal(ipc_pair(pair), OK);
    vault = pair[1];
    vault_client_channel(client, pair[0]);
}

/* The next request: its type. It and its parcel are looked at as the vault does. */
static uint32_t next_request(void)
{
    struct uid_range room[VAULT_ROOM(IPC_MAX)];
    struct parcel p;

    assert_int_equal(ipc_recv_blocking(vault, buffer, &asked, PATIENCE_MS), OK);
    assert_int_equal(asked.nfds, 1);
    assert_int_equal(parcel_open(asked.fds[0], 1 << 20, &p), OK);
    parcel_close(&p);
    close(asked.fds[0]);
    assert_int_equal(vault_request_unpack(asked.type, asked.payload, room, &last), OK);
    assert_int_equal(last.account, alice);
    assert_int_equal(last.mailbox, MAILBOX_INBOX);
    assert_int_equal(last.deliver.kind, MESSAGE_SERVER_SEALED);
    assert_int_equal(last.deliver.policy, POLICY_SHY);
    assert_int_equal(last.deliver.internaldate, NOW);
    assert_false(sodium_is_zero(last.deliver.thread, sizeof(last.deliver.thread)));
    assert_false(sodium_is_zero(last.deliver.own_id, sizeof(last.deliver.own_id)));
    return asked.type;
}

static void assert_nothing_asked(void)
{
    assert_int_equal(ipc_recv_blocking(vault, buffer, &asked, 20), ERR_TIMEOUT);
}

static void reply(int status, bool duplicate)
{
    const struct vault_reply r = {.delivered = {.duplicate = duplicate, .uidvalidity = 77, .uid = 5}};
    uint8_t out[64];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    if (status == OK)
        vault_reply_pack(&p, asked.type, &r);
    assert_int_equal(ipc_send_blocking(vault, VAULT_REPLY, asked.id, p.data, p.len, NULL, 0), OK);
}

static int setup_deposit(void **state)
{
    if (setup(state) != 0)
        return -1;
    loop = loop_create();
    client = vault_client_create(loop, NULL, NULL);
    with = (struct depositor){sealer, client};
    seen = (struct seen){0};
    new_vault();
    return 0;
}

static int teardown_deposit(void **state)
{
    vault_client_destroy(client);
    close(vault);
    vault = -1;
    loop_destroy(loop);
    return teardown(state);
}

static struct deposit_request request(void)
{
    return (struct deposit_request){
        .seal =
            {
                .account = alice,
                .mail = &piece,
                .mail_n = 1,
                .mail_len = piece.iov_len,
                .received = RECEIVED,
                .auth_results = "",
                .tls = "",
                .now = NOW,
                .date = NOW,
            },
        .store = {.type = VAULT_DELIVER, .mailbox = MAILBOX_INBOX, .deliver = {.internaldate = NOW, .delivery = {1}}},
    };
}

static struct deposit *start(const struct deposit_request *q)
{
    struct deposit *d = NULL;

    assert_int_equal(deposit_start(&with, q, &deposit_hooks, &seen, &d), OK);
    assert_non_null(d);
    assert_int_equal(seen.done, 0);
    return d;
}

static void test_sealed_at_once(void **state)
{
    struct deposit_request q = request();
    int fds = open_fds();

    start(&q);
    assert_int_equal(seen.sealed, 1);
    assert_int_equal(seen.kind, MESSAGE_SERVER_SEALED);
    assert_int_equal(next_request(), VAULT_DELIVER);
    reply(OK, false);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.status, OK);
    assert_int_equal(seen.r.uidvalidity, 77);
    assert_int_equal(seen.r.uid, 5);
    assert_false(seen.r.duplicate);
    assert_int_equal(open_fds(), fds);
}

static void test_sealed_later(void **state)
{
    struct deposit_request q = request();
    int fds = open_fds();

    use_gpg();
    start(&q);
    assert_int_equal(seen.sealed, 0);
    assert_nothing_asked();
    gpg_run();
    assert_int_equal(seen.sealed, 1);
    assert_int_equal(next_request(), VAULT_DELIVER);
    reply(OK, false);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, OK);
    assert_int_equal(seen.r.stage, DEPOSIT_STORING);
    assert_int_equal(open_fds(), fds);
}

static void test_duplicate(void **state)
{
    struct deposit_request q = request();

    start(&q);
    next_request();
    reply(OK, true);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, OK);
    assert_true(seen.r.duplicate);
}

static void test_variants(void **state)
{
    struct deposit_request q = request();

    q.store.type = VAULT_REPLACE;
    q.store.deliver.replaced.mailbox = MAILBOX_INBOX;
    q.store.deliver.replaced.uid = 3;
    start(&q);
    assert_int_equal(next_request(), VAULT_REPLACE);
    assert_int_equal(last.deliver.replaced.mailbox, MAILBOX_INBOX);
    assert_int_equal(last.deliver.replaced.uid, 3);
    reply(ERR_NOT_FOUND, false);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, ERR_NOT_FOUND);
    assert_int_equal(seen.r.stage, DEPOSIT_STORING);
    q = request();
    q.store.type = VAULT_KEY_NOTICE;
    memset(q.store.deliver.delivery, 0, sizeof(q.store.deliver.delivery));
    q.store.deliver.notice.fpr = slice_of("01234567890123456789", 20);
    q.store.deliver.notice.events = KEY_EVENT_EXPIRED;
    seen = (struct seen){0};
    start(&q);
    assert_int_equal(next_request(), VAULT_KEY_NOTICE);
    assert_int_equal(last.deliver.notice.fpr.len, 20);
    assert_int_equal(last.deliver.notice.events, KEY_EVENT_EXPIRED);
    reply(OK, true);
    run_ms(PATIENCE_MS);
    assert_true(seen.r.duplicate);
}

static void test_cancel_while_sealing(void **state)
{
    struct deposit_request q = request();
    int fds = open_fds();

    use_gpg();
    deposit_cancel(start(&q));
    assert_int_equal(gpg.pending, 0);
    run_ms(20);
    assert_nothing_asked();
    assert_int_equal(seen.sealed + seen.done, 0);
    assert_int_equal(open_fds(), fds);
}

static void test_cancel_while_storing(void **state)
{
    struct deposit_request q = request();
    int fds = open_fds();

    deposit_cancel(start(&q));
    next_request();
    reply(OK, false); /* it meets nobody */
    run_ms(50);
    assert_int_equal(seen.done, 0);
    assert_int_equal(open_fds(), fds);
}

static void test_cancel_while_the_vault_is_away(void **state)
{
    struct deposit_request q = request();
    int fds;

    close(vault);
    vault = -1;
    run_ms(20);
    fds = open_fds();
    deposit_cancel(start(&q));
    assert_int_equal(open_fds(), fds);
    new_vault();
    run_ms(20);
    assert_nothing_asked();
    assert_int_equal(seen.done, 0);
}

static void test_seal_fails(void **state)
{
    struct deposit_request q = request();
    struct deposit *d = NULL;
    int fds = open_fds();

    q.seal.account = alice + 1;
    assert_int_equal(deposit_start(&with, &q, &deposit_hooks, &seen, &d), ERR_NOT_FOUND);
    q = request();
    use_gpg();
    gpg.fail_at = 2; /* the capsule is sealed, the mail is not */
    start(&q);
    gpg_run();
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.status, ERR_GONE);
    assert_int_equal(seen.r.stage, DEPOSIT_SEALING);
    assert_int_equal(seen.sealed, 0);
    gpg.gone = 1;
    assert_int_equal(deposit_start(&with, &q, &deposit_hooks, &seen, &d), ERR_GONE);
    assert_int_equal(seen.done, 1);
    assert_null(d);
    assert_nothing_asked();
    assert_int_equal(open_fds(), fds);
}

static void test_vault_refuses(void **state)
{
    struct deposit_request q = request();

    start(&q);
    next_request();
    reply(ERR_QUOTA, false);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, ERR_QUOTA);
    assert_int_equal(seen.r.stage, DEPOSIT_STORING);
}

static void test_vault_dies(void **state)
{
    struct deposit_request q = request();
    uint8_t first[IPC_MAX];
    size_t len;
    int fds = open_fds();

    start(&q); /* with a delivery id: the next vault is asked the same */
    assert_int_equal(next_request(), VAULT_DELIVER);
    len = asked.payload.len;
    memcpy(first, asked.payload.data, len);
    new_vault();
    run_ms(20);
    assert_int_equal(seen.done, 0);
    assert_int_equal(next_request(), VAULT_DELIVER);
    assert_int_equal(asked.payload.len, len);
    assert_memory_equal(asked.payload.data, first, len);
    reply(OK, false);
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, OK);
    seen = (struct seen){0};
    memset(q.store.deliver.delivery, 0, sizeof(q.store.deliver.delivery));
    start(&q); /* without one nobody knows: it is not asked twice */
    next_request();
    new_vault();
    run_ms(PATIENCE_MS);
    assert_int_equal(seen.status, ERR_GONE);
    assert_nothing_asked();
    assert_int_equal(open_fds(), fds);
}

static void test_vault_is_full(void **state)
{
    static const struct vault_request stat_request = {.type = VAULT_STAT};
    struct deposit_request q = request();
    struct deposit *d = NULL;
    int fds;

    close(vault);
    vault = -1;
    run_ms(20);
    fds = open_fds();
    for (unsigned i = 0; i < VAULT_CLIENT_PENDING_MAX; i++)
        assert_int_equal(vault_client_request(client, &stat_request, -1, NULL, NULL, NULL), OK);
    assert_int_equal(deposit_start(&with, &q, &deposit_hooks, &seen, &d), ERR_FULL);
    assert_int_equal(seen.sealed, 1);
    assert_int_equal(seen.done, 0);
    assert_null(d);
    use_gpg();
    start(&q);
    gpg_run();
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.status, ERR_FULL);
    assert_int_equal(seen.r.stage, DEPOSIT_STORING);
    assert_int_equal(open_fds(), fds);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_deposit, teardown_deposit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sealed_at_once),
        TEST(test_sealed_later),
        TEST(test_duplicate),
        TEST(test_variants),
        TEST(test_cancel_while_sealing),
        TEST(test_cancel_while_storing),
        TEST(test_cancel_while_the_vault_is_away),
        TEST(test_seal_fails),
        TEST(test_vault_refuses),
        TEST(test_vault_dies),
        TEST(test_vault_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
