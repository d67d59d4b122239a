/* What an account sends is counted once, whoever asks, and past a limit nothing more of it goes to the queue until it
 * is released. */
#include "tests/support/vault_support.h"

#include <sodium.h>
#include <sys/socket.h>

#include "crypto/outer_seal.h"
#include "store/suppression.h"

enum { HOUR = 3600, DAY = 86400, WHOM_MAX = 8 };

static struct bench b;
static uint64_t ids;
static uint8_t record[60] = {2, 1}, whoms[WHOM_MAX][SENDING_WHOM];
static struct vault_queue_row rows[WHOM_MAX];
static int parcel;

static void limits(uint32_t messages, uint32_t recipients, uint32_t first, uint32_t domain)
{
    b.vault->queue.limits = (struct sending_limits){messages, recipients, first, domain, 0};
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(outer_seal_init(), OK);
    test_now = 1700000000 / DAY * DAY;
    bench_mem(&b, true);
    bench_account(&b);
    b.vault->queue.most = UINT64_MAX;
    parcel = queue_parcel_of(b.keys, 100);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(parcel);
    bench_close(&b);
    return 0;
}

/* To n recipients, the first of them of this number; 0: to somebody here. */
static struct vault_request mail(uint64_t account, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char name[32] = "";
        snprintf(name, sizeof(name), "r%u@there.example", first + i);
        memset(whoms[i], 0, SENDING_WHOM);
        if (first > 0)
            sending_whom(b.keys, account, name, whoms[i]);
        rows[i] = (struct vault_queue_row){.n = i + 1, .len = sizeof(record), .record = record, .whom = whoms[i]};
    }
    return (struct vault_request){.type = VAULT_QUEUE_ADD,
                                  .queue_add = {.id = ++ids,
                                                .account = account,
                                                .counts = true,
                                                .envelope = slice_of(record, 60),
                                                .n = n,
                                                .v = rows}};
}

static enum sending_verdict submit(uint64_t account, uint32_t first, uint32_t n)
{
    const struct vault_request q = mail(account, first, n);
    const uint64_t before = b.vault->queue.messages;
    assert_int_equal(request(&b, &q, parcel), OK);
    assert_int_equal(b.vault->queue.messages, before + (b.r.queued.verdict == SENDING_TAKEN));
    return (enum sending_verdict)b.r.queued.verdict;
}

static int hold(uint64_t account, bool on)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_HOLD, .account = account, .hold = on};
    return request(&b, &q, -1);
}

static struct schema_hold held(uint64_t account)
{
    struct schema_hold h = {.why = 0};
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    int err = schema_get_hold(t, b.keys, account, &h);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    (void)engine_read_end(t);
    return h;
}

static struct sending_sum sum_of(uint64_t account)
{
    struct sending_sum sum;
    struct schema_sent s;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(schema_get_sent(t, b.keys, account, &s), OK);
    (void)engine_read_end(t);
    sending_total(&s, test_now, &sum);
    return sum;
}

static void test_messages(void **state)
{
    (void)state;
    limits(3, 0, 0, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(b.account, 1, 2), SENDING_TAKEN);
    assert_int_equal(held(b.account).why, 0);
    const uint64_t last = ids;
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
    assert_int_equal(held(b.account).why, HOLD_MESSAGES);
    assert_int_equal(held(b.account).since, test_now);
    assert_int_equal(b.vault->queue.held, 1);
    assert_int_equal(sum_of(b.account).messages, 3);
    ids = last - 1; /* what is there already is taken, and not counted again */
    const struct vault_request q = mail(b.account, 1, 2);
    assert_int_equal(request(&b, &q, parcel), OK);
    assert_true(b.r.queued.duplicate && b.r.queued.verdict == SENDING_TAKEN);
    ids = last + 1;
    test_now += 30 * DAY; /* no time releases it */
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
}

/* Strangers' mail that goes on: half of what there is, and nobody is held. */
static void test_forwarded(void **state)
{
    struct vault_request q;
    (void)state;
    limits(5, 0, 0, 0);
    for (int i = 0; i < 6; i++) {
        q = mail(b.account, 1, 1);
        q.queue_add.forwarded = true;
        assert_int_equal(request(&b, &q, parcel), OK);
        assert_int_equal(b.r.queued.verdict, i < 3 ? SENDING_TAKEN : SENDING_HELD);
        assert_int_equal(held(b.account).why, 0);
    }
    assert_int_equal(sum_of(b.account).messages, 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(submit(b.account, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
    assert_int_equal(held(b.account).why, HOLD_MESSAGES);
    q = mail(b.account, 1, 1);
    q.queue_add.forwarded = true;
    assert_int_equal(request(&b, &q, parcel), OK);
    assert_int_equal(b.r.queued.verdict, SENDING_HELD);
}

static void test_recipients(void **state)
{
    (void)state;
    limits(0, 5, 0, 0);
    assert_int_equal(submit(b.account, 1, 3), SENDING_TAKEN);
    assert_int_equal(submit(b.account, 0, 5), SENDING_TAKEN); /* for people here */
    assert_int_equal(sum_of(b.account).recipients, 3);
    assert_int_equal(sum_of(b.account).messages, 1);
    assert_int_equal(submit(b.account, 1, 3), SENDING_HELD); /* none of them */
    assert_int_equal(held(b.account).why, HOLD_RECIPIENTS);
    assert_int_equal(sum_of(b.account).recipients, 3);
}

static void test_first(void **state)
{
    (void)state;
    limits(0, 0, 4, 0);
    assert_int_equal(submit(b.account, 1, 4), SENDING_TAKEN);
    for (int i = 0; i < 20; i++)
        assert_int_equal(submit(b.account, 1, 4), SENDING_TAKEN); /* it knows them */
    assert_int_equal(sum_of(b.account).first, 4);
    test_now += 60 * DAY;
    assert_int_equal(submit(b.account, 1, 4), SENDING_TAKEN);
    assert_int_equal(sum_of(b.account).first, 0);
    assert_int_equal(submit(b.account, 10, 4), SENDING_TAKEN);
    assert_int_equal(submit(b.account, 20, 1), SENDING_HELD);
    assert_int_equal(held(b.account).why, HOLD_FIRST);
}

/* However it goes about it: in no 24 hours are there more. */
static void test_any_24_hours(void **state)
{
    enum { TRIES = 4000, MOST = 20 };
    static uint64_t taken[TRIES];
    unsigned n = 0;
    (void)state;
    limits(MOST, 0, 0, 0);
    for (unsigned i = 0; i < TRIES; i++) {
        test_now += randombytes_uniform(3) ? randombytes_uniform(600) : randombytes_uniform(3 * HOUR);
        struct engine_txn *t;
        assert_int_equal(engine_read_begin(b.inner, &t), OK);
        (void)engine_read_end(t);
        if (sum_of(b.account).messages >= MOST)
            continue; /* else it is held */
        assert_int_equal(submit(b.account, 1, 1), SENDING_TAKEN);
        taken[n++] = test_now;
    }
    assert_true(n > 2 * MOST);
    for (unsigned i = MOST; i < n; i++)
        assert_true(taken[i] - taken[i - MOST] >= DAY);
    assert_int_equal(held(b.account).why, 0);
}

/* Two processes of ingest ask in turn, and at once: one limit. */
static void test_two_who_ask(void **state)
{
    unsigned taken = 0, refused = 0;
    int pair[2];
    (void)state;
    limits(10, 0, 0, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_INGEST), OK);
    struct client *first = b.client, *second = b.vault->clients;
    const int end = b.end;
    assert_ptr_not_equal(first, second);
    for (unsigned i = 0; i < 40; i++) {
        const struct vault_request q = mail(b.account, 1, 1);
        b.client = i % 2 ? second : first;
        ask_for(&b, &q, parcel); /* all in one group */
    }
    vault_run(b.vault);
    for (unsigned i = 0; i < 40; i++) {
        struct vault_reply r;
        b.end = i % 2 ? pair[1] : end;
        assert_int_equal(hear(&b, NULL), OK);
        assert_int_equal(vault_reply_unpack(VAULT_QUEUE_ADD, &b.body, &r), OK);
        taken += r.queued.verdict == SENDING_TAKEN;
        refused += r.queued.verdict == SENDING_HELD;
    }
    b.client = first;
    b.end = end;
    assert_int_equal(taken, 10);
    assert_int_equal(refused, 30);
    assert_int_equal(b.vault->queue.messages, 10);
    assert_int_equal(b.vault->queue.held, 1);
    close(pair[1]);
}

/* Another's limit is another's; what is nobody's has none; an account that is not there sends nothing. */
static void test_others(void **state)
{
    const uint64_t mine = b.account;
    (void)state;
    limits(1, 0, 0, 0);
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), OK);
    const uint64_t bob = b.account;
    b.account = mine;
    assert_true(bob != mine);
    assert_int_equal(submit(mine, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(mine, 1, 1), SENDING_HELD);
    assert_int_equal(submit(bob, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(0, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(0, 1, 1), SENDING_TAKEN);
    const struct vault_request q = mail(bob + 5, 1, 1);
    assert_int_equal(request(&b, &q, parcel), ERR_NOT_FOUND);
}

static void test_domain(void **state)
{
    const uint64_t mine = b.account;
    (void)state;
    limits(0, 0, 0, 3);
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), OK);
    const uint64_t bob = b.account;
    b.account = mine;
    assert_int_equal(submit(mine, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(bob, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(mine, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(bob, 1, 1), SENDING_DOMAIN);
    assert_int_equal(held(bob).why, 0);
    assert_int_equal(sum_of(bob).messages, 1);
    test_now += SENDING_HOURS * HOUR;
    assert_int_equal(submit(bob, 1, 1), SENDING_TAKEN);
}

static void test_by_hand(void **state)
{
    (void)state;
    limits(2, 0, 0, 0);
    assert_int_equal(hold(b.account + 5, true), ERR_NOT_FOUND);
    assert_int_equal(hold(b.account + 5, false), OK);
    assert_int_equal(hold(b.account, true), OK);
    assert_int_equal(hold(b.account, true), OK);
    assert_int_equal(held(b.account).why, HOLD_BY_HAND);
    assert_int_equal(b.vault->queue.held, 1);
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
    assert_int_equal(hold(b.account, false), OK);
    assert_int_equal(hold(b.account, false), OK);
    assert_int_equal(b.vault->queue.held, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(submit(b.account, 1, 1), SENDING_TAKEN);
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
    assert_int_equal(hold(b.account, false), OK); /* and it has a day's mail again */
    assert_int_equal(submit(b.account, 1, 1), SENDING_TAKEN);
    assert_int_equal(hold(b.account, true), OK);
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_ACCOUNT_REMOVE, .account = b.account}, -1), OK);
    assert_int_equal(held(b.account).why, 0);
    assert_int_equal(b.vault->queue.held, 0);
}

/* Each write of it fails in turn: it is queued and counted, or neither. */
static void test_failing(void **state)
{
    (void)state;
    limits(1, 0, 0, 9);
    for (unsigned what = 0; what < 2; what++) /* one that is taken, one that holds */
        for (unsigned nth = 1;; nth++) {
            const struct vault_request q = mail(b.account, 1, 2);
            const uint64_t before = b.vault->queue.messages;
            engine_fail_at(b.fail, nth, ERR_FULL);
            int err = request(&b, &q, parcel);
            engine_fail_at(b.fail, 0, OK);
            assert_true(nth < 60);
            if (err == OK)
                break;
            assert_int_equal(err, ERR_FULL);
            assert_int_equal(b.vault->queue.messages, before);
            assert_int_equal(sum_of(b.account).messages, what);
            assert_int_equal(held(b.account).why, 0);
            assert_int_equal(b.vault->queue.held, 0);
        }
    assert_int_equal(b.vault->queue.messages, 1);
    assert_int_equal(held(b.account).why, HOLD_MESSAGES);
}

/* It never forgets so many that it takes more room, and those that it wrote to lately it knows. */
static void test_room_for_those_it_knows(void **state)
{
    enum { MANY = SENDING_BUCKETS * SENDING_BUCKET_MAX * 5 / 4 };
    struct schema_keybuf from, to;
    struct engine_txn *t;
    uint64_t octets = 0;
    (void)state;
    limits(0, 0, 0, 0);
    for (uint32_t i = 1; i < MANY; i += WHOM_MAX) {
        test_now += 60;
        assert_int_equal(submit(b.account, i, WHOM_MAX), SENDING_TAKEN);
    }
    const uint32_t before = sum_of(b.account).first;
    assert_int_equal(submit(b.account, MANY - 7, 7), SENDING_TAKEN);
    assert_int_equal(sum_of(b.account).first, before);
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    for (uint32_t i = 0; i < SENDING_BUCKETS; i++) {
        struct slice value;
        assert_int_equal(engine_get(t, b.account, key_u32(&from, 'l', i), &value), OK);
        octets += value.len;
    }
    struct slice value;
    assert_int_equal(engine_get(t, b.account, key_u32(&to, 'l', SENDING_BUCKETS), &value), ERR_NOT_FOUND);
    (void)engine_read_end(t);
    assert_in_range(octets, 100000, 220000);
}

/* ---- addresses that bounced for good ---- */

static int suppress(const char *address, bool put)
{
    struct vault_request q = {.type = put ? VAULT_SUPPRESS_PUT : VAULT_SUPPRESS_DEL};
    struct suppressed s = {.since = 1, .until = 2};
    uint8_t sealed[SUPPRESSED_RECORD_MAX];
    size_t len;
    assert_int_equal(suppression_spell(address, s.address), OK);
    assert_int_equal(suppression_seal(b.keys, &s, q.suppress.hash, sealed, &len), OK);
    q.suppress.record = slice_of(sealed, put ? len : 0);
    return request(&b, &q, -1);
}

static void test_suppressed(void **state)
{
    (void)state;
    assert_int_equal(suppress("Bob@There.example", true), OK);
    assert_int_equal(suppress("bob@there.example", true), OK); /* another time */
    assert_int_equal(suppress("carol@there.example", true), OK);
    assert_int_equal(b.vault->queue.suppressed, 2);
    b.vault->queue.suppressed = SUPPRESSED_MAX;
    assert_int_equal(suppress("dave@there.example", true), ERR_FULL);
    assert_int_equal(suppress("bob@there.example", true), OK);
    b.vault->queue.suppressed = 2;
    for (int i = 0; i < 2; i++)
        assert_int_equal(suppress("BOB@there.example", false), OK);
    assert_int_equal(b.vault->queue.suppressed, 1);
    assert_int_equal(queue_count(b.vault), OK);
    assert_int_equal(b.vault->queue.suppressed, 1);
}

/* What cannot be an account here is somebody's elsewhere; what has no domain is nobody's. */
static void test_spelling(void **state)
{
    static const char *const none[] = {"", "@", "x", "@there.example", "x@", "x@[192.0.2.1]", "x@-.example"};
    char out[ADDRESS_MAX], longest[2 * ADDRESS_MAX];
    (void)state;
    assert_int_equal(suppression_spell("B\u00c4R@B\u00fccher.example", out), OK);
    assert_string_equal(out, "b\u00e4r@xn--bcher-kva.example");
    assert_int_equal(suppression_spell("\"a b\"@THERE.example", out), OK);
    assert_non_null(strstr(out, "@there.example"));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(suppression_spell(none[i], out), ERR_FORMAT);
    memset(longest, 'x', sizeof(longest));
    for (size_t n = 1; n < ADDRESS_MAX + 20; n++) {
        strcpy(longest + n, "@there.example");
        int err = suppression_spell(longest, out);
        assert_true(err == ERR_FORMAT || strlen(out) == strlen(longest));
        memset(longest, 'x', sizeof(longest));
    }
}

/* ---- complaints ---- */

static int complain(uint64_t account, uint8_t message)
{
    const struct vault_request q = {.type = VAULT_COMPLAINT, .account = account, .complaint = {message, 7}};
    return request(&b, &q, -1);
}

static uint32_t of_day(uint64_t account, uint32_t *ret_total)
{
    struct schema_complaints c;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(schema_get_complaints(t, b.keys, account, &c), OK);
    (void)engine_read_end(t);
    *ret_total = c.total;
    return complaints_of_day(&c, test_now);
}

/* Once a message, however often it is said; past the limit the account is held; a release forgives and remembers. */
static void test_complaints(void **state)
{
    uint32_t total;
    (void)state;
    limits(0, 0, 0, 0);
    b.vault->queue.limits.complaints = 3;
    assert_int_equal(complain(b.account + 5, 1), ERR_NOT_FOUND);
    for (uint8_t round = 0; round < 100; round++)
        for (uint8_t m = 1; m <= 3; m++) {
            assert_int_equal(complain(b.account, m), OK);
            assert_int_equal(b.r.duplicate, round > 0);
        }
    assert_int_equal(of_day(b.account, &total), 3);
    assert_int_equal(total, 3);
    assert_int_equal(held(b.account).why, 0);
    assert_int_equal(submit(b.account, 1, 1), SENDING_TAKEN);
    assert_int_equal(complain(b.account, 4), OK);
    assert_int_equal(held(b.account).why, HOLD_COMPLAINTS);
    assert_int_equal(held(b.account).since, test_now);
    assert_int_equal(b.vault->queue.held, 1);
    assert_int_equal(b.vault->count.complaints, 4);
    assert_int_equal(submit(b.account, 1, 1), SENDING_HELD);
    test_now += 100;
    assert_int_equal(complain(b.account, 5), OK); /* held as it is */
    assert_int_equal(held(b.account).since, test_now - 100);
    assert_int_equal(hold(b.account, false), OK);
    assert_int_equal(of_day(b.account, &total), 0);
    assert_int_equal(total, 5);
    for (uint8_t m = 1; m <= 5; m++)
        assert_int_equal(complain(b.account, m), OK);
    assert_int_equal(of_day(b.account, &total), 0);
    assert_int_equal(complain(b.account, 6), OK);
    assert_int_equal(of_day(b.account, &total), 1);
    assert_int_equal(held(b.account).why, 0);
}

static void test_complaints_of_a_day(void **state)
{
    uint32_t total;
    (void)state;
    limits(0, 0, 0, 0);
    b.vault->queue.limits.complaints = 2;
    for (uint8_t m = 1; m <= 60; m++) { /* two a day, of any 24 hours */
        assert_int_equal(complain(b.account, m), OK);
        test_now += 13 * HOUR;
    }
    assert_int_equal(held(b.account).why, 0);
    assert_in_range(of_day(b.account, &total), 0, 2);
    assert_int_equal(total, 60);
    b.vault->queue.limits.complaints = 0; /* counted, and nothing else */
    for (uint8_t m = 61; m <= 250; m++)
        assert_int_equal(complain(b.account, m), OK);
    assert_int_equal(held(b.account).why, 0);
    assert_int_equal(of_day(b.account, &total), 190 + 1);
    assert_int_equal(total, 250);
}

/* However many there are, an account takes one record for them, in which the oldest goes. */
static void test_complaints_take_little_room(void **state)
{
    struct schema_keybuf kb;
    struct engine_txn *t;
    struct slice value;
    uint32_t total;
    (void)state;
    limits(0, 0, 0, 0);
    for (uint32_t i = 0; i < COMPLAINTS_KEPT + 100; i++) {
        struct vault_request q = {.type = VAULT_COMPLAINT, .account = b.account};
        memcpy(q.complaint, &i, sizeof(i));
        assert_int_equal(request(&b, &q, -1), OK);
    }
    assert_int_equal(of_day(b.account, &total), COMPLAINTS_KEPT);
    assert_int_equal(total, COMPLAINTS_KEPT + 100);
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(engine_get(t, b.account, key_simple(&kb, 'y'), &value), OK);
    assert_in_range(value.len, 3000, 4500);
    (void)engine_read_end(t);
}

/* Each write of it fails in turn: what was counted holds with the next one at the latest. */
static void test_complaints_failing(void **state)
{
    uint32_t total;
    (void)state;
    limits(0, 0, 0, 0);
    b.vault->queue.limits.complaints = 1;
    assert_int_equal(complain(b.account, 1), OK);
    for (unsigned nth = 1;; nth++) {
        engine_fail_at(b.fail, nth, ERR_FULL);
        int err = complain(b.account, 2);
        engine_fail_at(b.fail, 0, OK);
        assert_true(nth < 60);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_FULL);
        assert_int_equal(of_day(b.account, &total), 1);
        assert_int_equal(held(b.account).why, 0);
    }
    assert_int_equal(held(b.account).why, HOLD_COMPLAINTS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages),
        TEST(test_forwarded),
        TEST(test_recipients),
        TEST(test_first),
        TEST(test_any_24_hours),
        TEST(test_two_who_ask),
        TEST(test_others),
        TEST(test_domain),
        TEST(test_by_hand),
        TEST(test_failing),
        TEST(test_room_for_those_it_knows),
        TEST(test_suppressed),
        TEST(test_spelling),
        TEST(test_complaints),
        TEST(test_complaints_of_a_day),
        TEST(test_complaints_take_little_room),
        TEST(test_complaints_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
