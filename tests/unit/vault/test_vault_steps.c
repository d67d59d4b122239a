/* Requests that take more than one commit (making and removing an account, what follows a restore): the vault dies
 * between each two of their steps, and the next one goes on from what is on disk. docs/crash-states.md has a row for
 * each. */
#include "tests/support/vault_requests.h"

#include "store/view.h"
#include "tests/support/approving.h"

enum { ACCOUNTS = 70 /* more than one commit after a restore takes */ };

static const char CERT[] = "certificate";

static struct account_new bob(void)
{
    return (struct account_new){.address = "bob@example.org",
                                .verdict = verdict_of(2),
                                .cert = slice_of(CERT, sizeof(CERT))};
}

/* A step as the vault takes it: a commit of its own. */
static void step(struct bench *b, uint64_t account, int (*fn)(struct store_write *w, void *arg), void *arg)
{
    static struct store_write w;
    memset(&w, 0, sizeof(w));
    w.keys = b->keys;
    w.now = test_now;
    w.account = account;
    assert_int_equal(engine_group_begin(b->engine, &w.t), OK);
    assert_int_equal(fn(&w, arg), OK);
    assert_int_equal(write_end(&w), OK);
    assert_int_equal(engine_group_commit(w.t), OK);
}

/* The vault is gone, and another one starts over the same store, as its main does. */
static void die(struct bench *b)
{
    int pair[2];
    vault_destroy(b->vault);
    close(b->end);
    assert_int_equal(vault_create(b->loop, b->engine, b->keys, 50 << 20, 1000, &b->vault), OK);
    b->vault->clock = test_clock;
    int err = vault_restored(b->vault);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b->vault, pair[0], ~0u), OK);
    b->client = b->vault->clients;
    b->end = pair[1];
}

static void all_chores(struct bench *b)
{
    while (vault_chores(b->vault))
        ;
}

static uint32_t count(struct bench *b, uint64_t part, char letter)
{
    struct engine_txn *t;
    struct schema_keybuf from, to;
    uint32_t n = 0;
    struct slice end = letter != 0 ? key_simple(&to, (char)(letter + 1)) : slice_of("", 0);
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, part, key_simple(&from, letter), end, 0, recount_one, &n), OK);
    (void)engine_read_end(t);
    return n;
}

static void assert_no_account(struct bench *b, uint64_t id)
{
    all_chores(b);
    assert_int_equal(count(b, id, 0), 0);
    assert_int_equal(count(b, PART_INSTANCE, 'Z'), 0);
    struct engine_txn *t;
    struct slice s;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    for (uint64_t blob = 1; blob < 8; blob++)
        for (int kind = BLOB_PACKETS; kind < BLOB_KINDS; kind++)
            assert_int_equal(engine_blob_get(t, id, (enum blob_kind)kind, blob, 0, &s), ERR_NOT_FOUND);
    (void)engine_read_end(t);
}

/* ---- making an account ---- */

struct making {
    struct account_new new;
    uint64_t id;
};

static int begin(struct store_write *w, void *arg)
{
    struct making *m = arg;
    return account_begin(w, &m->new, &m->id);
}

static int fill(struct store_write *w, void *arg)
{
    return account_fill(w, &((struct making *)arg)->new);
}

static int list(struct store_write *w, void *arg)
{
    return account_list(w, &((struct making *)arg)->new);
}

static void open_bench(struct bench *b)
{
    bench_mem(b, false);
    bench_account(b);
}

/* Nobody has seen it: its number is doomed, its address free. */
static void test_making_stops_after_the_number(void **state)
{
    struct bench b;
    struct making m = {.new = bob()};
    open_bench(&b);
    approving_new(b.engine, b.keys, STORE_KEY, &m.new);
    step(&b, 0, begin, &m);
    die(&b);
    assert_int_equal(count(&b, PART_INSTANCE, 'Z'), 1);
    assert_int_equal(count(&b, PART_INSTANCE, 'N'), 1);
    assert_no_account(&b, m.id);
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), OK);
    assert_int_equal(b.account, m.id + 1); /* numbers do not come again */
    recount_all(&b);
    bench_close(&b);
}

/* ---- what whoever can write the store's file may put there ---- */

static void put(struct bench *b, struct slice k, struct slice v)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(engine_put(t, PART_INSTANCE, k, v), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

/* The record of the next number, as it was before an account was made. */
static void test_a_number_that_comes_again(void **state)
{
    struct bench b;
    struct engine_txn *t;
    struct schema_keybuf k;
    struct slice v;
    uint8_t was[64];
    bench_mem(&b, false);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_get(t, PART_INSTANCE, key_simple(&k, 'I'), &v), OK);
    size_t len = v.len;
    memcpy(was, v.data, len);
    (void)engine_read_end(t);
    bench_account(&b);
    const uint64_t alice = b.account;
    uint32_t records = count(&b, alice, 0);
    put(&b, key_simple(&k, 'I'), slice_of(was, len));
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), ERR_CONFLICT);
    assert_int_equal(count(&b, PART_INSTANCE, 'Z'), 0);
    die(&b);
    all_chores(&b);
    assert_int_equal(count(&b, alice, 0), records);
    bench_close(&b);
}

/* A mark that says an account is doomed which the list names; one behind it that is. */
static void test_doomed_and_listed(void **state)
{
    struct bench b;
    struct making m = {.new = bob()};
    struct schema_keybuf k;
    open_bench(&b);
    uint32_t records = count(&b, b.account, 0);
    put(&b, key_u64(&k, 'Z', b.account), slice_of("", 0));
    approving_new(b.engine, b.keys, STORE_KEY, &m.new);
    step(&b, 0, begin, &m);
    die(&b);
    assert_int_equal(count(&b, PART_INSTANCE, 'Z'), 2);
    all_chores(&b);
    assert_int_equal(count(&b, PART_INSTANCE, 'Z'), 1);
    assert_int_equal(count(&b, b.account, 0), records);
    bench_close(&b);
}

/* There is a whole account, which no address leads to. */
static void test_making_stops_before_the_directory(void **state)
{
    struct bench b;
    struct making m = {.new = bob()};
    open_bench(&b);
    approving_new(b.engine, b.keys, STORE_KEY, &m.new);
    step(&b, 0, begin, &m);
    step(&b, m.id, fill, &m);
    assert_int_equal(count(&b, m.id, 'A'), 1);
    die(&b);
    assert_int_equal(count(&b, PART_INSTANCE, 'N'), 1);
    assert_int_equal(count(&b, PART_INSTANCE, 'a'), 1);
    assert_no_account(&b, m.id);
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), OK);
    recount_all(&b);
    bench_close(&b);
}

/* Dead before its answer: the account is there, and whoever asks again hears that the address is taken. */
static void test_making_stops_before_the_answer(void **state)
{
    struct bench b;
    struct making m = {.new = bob()};
    open_bench(&b);
    approving_new(b.engine, b.keys, STORE_KEY, &m.new);
    step(&b, 0, begin, &m);
    step(&b, m.id, fill, &m);
    step(&b, m.id, list, &m);
    die(&b);
    all_chores(&b);
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), ERR_EXISTS);
    b.account = m.id;
    int fd = parcel_of(OUTER, 2, 100);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* ---- removing one ---- */

static int unlist(struct store_write *w, void *arg)
{
    return account_unlist(w);
}

static int close_account(struct store_write *w, void *arg)
{
    return account_close(w);
}

static void removing(bool closed)
{
    struct bench b;
    open_bench(&b);
    deliver_ok(&b, MAILBOX_INBOX, 0, 40000);
    step(&b, b.account, unlist, NULL);
    if (closed)
        step(&b, b.account, close_account, NULL);
    die(&b);
    assert_int_equal(count(&b, PART_INSTANCE, 'N'), 0);
    assert_int_equal(count(&b, PART_INSTANCE, 'a'), 0);
    assert_no_account(&b, b.account);
    uint64_t none;
    b.notices = 0;
    assert_int_equal(hear(&b, &none), ERR_TIMEOUT);
    assert_int_equal(b.notices, closed ? 0 : 1); /* sessions hear of it once */
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    assert_int_equal(deliver_call(&b, &l, fd), ERR_NOT_FOUND);
    close(fd);
    assert_int_equal(account_add_call(&b, "alice@example.org", 0, 0, 1), OK);
    bench_close(&b);
}

static void test_removing_stops_after_the_directory(void **state)
{
    removing(false);
}

static void test_removing_stops_before_the_erasure(void **state)
{
    removing(true);
}

/* ---- after a restore ---- */

static int mark(struct store_write *w, void *arg)
{
    return restored_mark(w, *(uint64_t *)arg);
}

static int accounts(struct store_write *w, void *arg)
{
    return restored_accounts(w, *(uint64_t *)arg, arg);
}

static void validities(struct bench *b, uint64_t first, uint32_t out[ACCOUNTS])
{
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        assert_int_equal(schema_get_mailbox(t, b->keys, first + i, MAILBOX_INBOX, &box), OK);
        out[i] = box.uidvalidity;
    }
    (void)engine_read_end(t);
}

/* steps: how many of mark, accounts, mark, accounts, mark were done. */
static void restoring(unsigned steps)
{
    static uint32_t before[ACCOUNTS], between[ACCOUNTS], after[ACCOUNTS];
    struct bench b;
    char address[32];
    open_bench(&b);
    uint64_t first = b.account, next = PART_ACCOUNT_FIRST;
    for (unsigned i = 1; i < ACCOUNTS; i++) {
        snprintf(address, sizeof(address), "a%u@example.org", i);
        assert_int_equal(account_add_call(&b, address, 0, 0, 1), OK);
    }
    validities(&b, first, before);
    for (unsigned i = 0; i < steps; i++)
        step(&b, 0, i % 2 == 0 ? mark : accounts, &next);
    validities(&b, first, between);
    test_now += 10;
    die(&b);
    assert_int_equal(vault_restored(b.vault), ERR_NOT_FOUND);
    validities(&b, first, after);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        bool done = i < (steps >= 4 ? ACCOUNTS : steps >= 2 ? 64u : 0u);
        bool marked = i < (steps >= 5 ? ACCOUNTS : steps >= 3 ? 64u : 0u);
        assert_true(done ? between[i] > before[i] : between[i] == before[i]);
        if (marked || steps == 0)
            assert_int_equal(after[i], between[i]); /* it is not done twice */
        else
            assert_true(after[i] > between[i]);
    }
    for (uint64_t i = 0; i < ACCOUNTS; i++)
        store_recount(b.engine, b.keys, first + i);
    bench_close(&b);
}

static void test_a_restore_stops_after_each_step(void **state)
{
    for (unsigned steps = 0; steps <= 5; steps++)
        restoring(steps);
}

/* The request itself does all of it. */
static void test_restored(void **state)
{
    static uint32_t before[ACCOUNTS], after[ACCOUNTS];
    struct bench b;
    char address[32];
    open_bench(&b);
    uint64_t first = b.account;
    for (unsigned i = 1; i < ACCOUNTS; i++) {
        snprintf(address, sizeof(address), "a%u@example.org", i);
        assert_int_equal(account_add_call(&b, address, 0, 0, 1), OK);
    }
    validities(&b, first, before);
    assert_true(usage_of(&b).number_next < 100);
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_RESTORED}, -1), OK);
    validities(&b, first, after);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        assert_true(after[i] > before[i]);
        b.account = first + i; /* what was given out after the backup is not given again */
        assert_true(usage_of(&b).number_next >= test_now << 24);
        store_recount(b.engine, b.keys, b.account);
    }
    assert_int_equal(count(&b, PART_INSTANCE, 'R'), 0);
    bench_close(&b);
}

/* Requests before one that takes steps are done before it, those after it after. */
static void test_order(void **state)
{
    struct bench b;
    uint64_t id;
    open_bench(&b);
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    const struct vault_request deliver = letter_request(b.account, &l);
    ask_for(&b, &deliver, fd);
    ask_for(&b, &(struct vault_request){.type = VAULT_ACCOUNT_REMOVE, .account = b.account}, -1);
    ask_for(&b, &deliver, fd);
    close(fd);
    vault_run(b.vault);
    static const int want[] = {OK, OK, ERR_NOT_FOUND};
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(hear(&b, &id), want[i]);
        assert_int_equal(id, b.ids - 2 + i);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making_stops_after_the_number),
        cmocka_unit_test(test_making_stops_before_the_directory),
        cmocka_unit_test(test_making_stops_before_the_answer),
        cmocka_unit_test(test_a_number_that_comes_again),
        cmocka_unit_test(test_doomed_and_listed),
        cmocka_unit_test(test_removing_stops_after_the_directory),
        cmocka_unit_test(test_removing_stops_before_the_erasure),
        cmocka_unit_test(test_a_restore_stops_after_each_step),
        cmocka_unit_test(test_restored),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
