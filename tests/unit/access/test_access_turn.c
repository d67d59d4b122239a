/* A turn's work is bounded, and what takes many turns comes out as if it had taken one: the map of a mailbox that
 * changes meanwhile, what is told of thousands of expunges. */
#include "tests/support/access_bench.h"

#include "server/access/imap/map.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/turn.h"
#include "server/format/render.h"

static struct client_end a, b;

static int up(void **state)
{
    bench_up();
    client_in(&b);
    client_in(&a); /* the newest: acc.sessions */
    return 0;
}

static int down(void **state)
{
    client_close(&a);
    client_close(&b);
    bench_down();
    return 0;
}

/* INBOX gets count messages, UIDs from 1. */
static void fill(unsigned count)
{
    unsigned n = 1;
    deliver(MAILBOX_INBOX, 0, 100);
    for (; n < count; n = 2 * n < count ? 2 * n : count) {
        HAS(say(&b, "SELECT INBOX"), "t OK");
        HAS(say(&b, "COPY 1:%u INBOX", count - n < n ? count - n : n), "t OK");
    }
}

static void expunge(uint32_t first, uint32_t last)
{
    for (; first <= last; first += 1000) {
        uint32_t r[2] = {first, last - first < 999 ? last : first + 999};
        assert_int_equal(expunge_call(&bench, MAILBOX_INBOX, false, r, 1), OK);
    }
}

static void test_work_is_spent(void **state)
{
    imap_turn_begin(&acc);
    assert_int_equal(acc.turn.left, IMAP_TURN_WORK);
    assert_true(imap_turn_spend(&acc, IMAP_TURN_WORK - 1));
    assert_true(imap_turn_left(&acc));
    assert_false(imap_turn_spend(&acc, 5)); /* what has begun is ended */
    assert_false(imap_turn_left(&acc));
    assert_false(imap_turn_spend(&acc, 1));
    imap_turn_begin(&acc);
    assert_true(imap_turn_left(&acc));
}

static int nothing(void *arg, struct view *v)
{
    (void)imap_turn_spend(&acc, 100);
    return OK;
}

/* A try that is void has spent what it spent; the turns after it are shorter, until one is short enough. */
static void test_overruns_make_turns_shorter(void **state)
{
    imap_turn_begin(&acc);
    for (unsigned cut = 1; cut <= 12; cut++) {
        engine_fail_overrun(bench.fail, 1);
        uint32_t left = acc.turn.left;
        assert_int_equal(view_run(acc.view, nothing, NULL), OK);
        assert_int_equal(acc.turn.left, left > 200 ? left - 200 : 0);
        imap_turn_begin(&acc);
        assert_int_equal(acc.turn.left, IMAP_TURN_WORK >> (cut < 10 ? cut : 10));
    }
    assert_true(imap_turn_left(&acc));
    for (unsigned i = 0; i < 10; i++)
        imap_turn_begin(&acc);
    assert_int_equal(acc.turn.left, IMAP_TURN_WORK);
}

/* Blocks and tombstones read at different times make the picture of the time that the session is at. */
static void test_map_of_a_mailbox_that_changes(void **state)
{
    enum { COUNT = 6000 };
    unsigned pieces = 0;
    int err;
    fill(COUNT);
    expunge(100, 199);
    HAS(say(&a, "SELECT INBOX"), "* 5900 EXISTS");
    struct imap_session *s = acc.sessions;
    expunge(2000, 2999);
    do {
        acc.turn.left = 1; /* as little as there is: one block, or one change */
        err = imap_map_load(&acc, s->account, s->sel);
        pieces++;
        if (pieces % 2) { /* in what was read, in what comes, and all of a block */
            expunge(300 + pieces, 300 + pieces);
            expunge(5000 + pieces, 5000 + pieces);
        } else {
            deliver(MAILBOX_INBOX, 0, 100);
        }
        if (pieces == 3)
            expunge(4096, 4096 + 1023);
    } while (err == ERR_AGAIN && pieces < 1000);
    assert_int_equal(err, OK);
    assert_true(pieces > 8);
    const struct imap_map *m = s->sel->map;
    assert_int_equal(imap_map_count(m), 5900);
    assert_int_equal(imap_map_last(m), COUNT);
    struct imap_map_near up = {0}, anywhere = {0};
    for (uint32_t uid = 1, seq = 0; uid <= COUNT + 5; uid++) {
        bool there = uid <= COUNT && (uid < 100 || uid > 199);
        uint32_t other = uid * 4099 % (COUNT + 3000); /* both ways, beyond the end, and far beyond */
        seq += there;
        assert_int_equal(imap_map_seq(m, uid), there ? seq : 0);
        assert_int_equal(imap_map_from_near(m, &up, uid), imap_map_from(m, uid));
        assert_int_equal(imap_map_seq_near(m, &up, uid), there ? seq : 0);
        assert_int_equal(imap_map_seq_near(m, &anywhere, other), imap_map_seq(m, other));
        assert_int_equal(imap_map_from_near(m, &anywhere, UINT32_MAX - other), 0);
        if (there)
            assert_int_equal(imap_map_uid(m, seq), uid);
    }
}

static unsigned count_lines(const char *text, const char *end)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, end)) != NULL; p++)
        n++;
    return n;
}

/* More expunges than a piece tells, of which the store has forgotten the tombstones or not; flags and new mail come
 * right behind them. */
static void many_expunges(bool forgotten)
{
    enum { COUNT = 15000, GONE = 12000 };
    fill(COUNT);
    HAS(say(&a, "SELECT INBOX"), "* 15000 EXISTS");
    HAS(say(&a, "FETCH 15000 (UID)"), "* 15000 FETCH (UID 15000)"); /* which loads the map */
    HAS(say(&b, "SELECT INBOX"), "t OK");
    HAS(say(&b, "UID STORE 14000 +FLAGS.SILENT (\\Flagged)"), "t OK");
    expunge(1001, 1000 + GONE);
    deliver(MAILBOX_INBOX, 0, 100);
    if (forgotten) {
        struct schema_mailbox box;
        struct engine_txn *t;
        assert_int_equal(engine_group_begin(bench.engine, &t), OK);
        assert_int_equal(schema_get_mailbox(t, bench.keys, bench.account, MAILBOX_INBOX, &box), OK);
        box.tombstones_from = box.highestmodseq;
        assert_int_equal(schema_put_mailbox(t, bench.keys, bench.account, &box), OK);
        assert_int_equal(engine_group_commit(t), OK);
    }
    const char *r = say(&a, "NOOP");
    LACKS(r, "BYE");
    assert_int_equal(count_lines(r, "EXPUNGE\r\n"), GONE);
    HAS(r, "* 3001 EXISTS\r\n");
    HAS(r, "* 2000 FETCH (UID 14000 FLAGS (\\Flagged))\r\n");
    assert_int_equal(count_lines(r, "FETCH"), 1);
    HAS(say(&a, "FETCH 1000:1001 (UID)"), "* 1000 FETCH (UID 1000)\r\n* 1001 FETCH (UID 13001)\r\n");
    HAS(say(&a, "FETCH 3001 (UID)"), "* 3001 FETCH (UID 15001)\r\n");
}

static void test_many_expunges(void **state)
{
    many_expunges(false);
}

static void test_many_forgotten_expunges(void **state)
{
    many_expunges(true);
}

/* Others' turns while a's command is at work. */
static unsigned ticks;

static void tick(void *arg)
{
    const struct imap_job *j = acc.sessions->job;
    ticks += j && !j->done && j->step;
    defer_set_long(bench.loop, arg, tick, arg);
}

/* A message that is gone costs a look as well, whatever looks for it. */
static void test_absent_messages_cost_work(void **state)
{
    enum { COUNT = 20000 };
    static const struct {
        const char *command, *answer;
        unsigned turns;
    } table[] = {
        {"FETCH 1:* (FLAGS)", "t NO [EXPUNGEISSUED]", 2 * COUNT / IMAP_TURN_WORK},
        {"FETCH 1:* (BODY.PEEK[])", "t NO [EXPUNGEISSUED]", 14 * COUNT / IMAP_TURN_WORK},
        {"SEARCH 1:*", "t OK", COUNT / IMAP_TURN_WORK},
        {"NOOP", "t OK", COUNT / IMAP_TURN_WORK},
    };
    struct defer d = {0};
    fill(COUNT);
    HAS(say(&a, "SELECT INBOX"), "t OK");
    HAS(say(&a, "FETCH 1 (UID)"), "t OK");
    expunge(1, COUNT);
    defer_set_long(bench.loop, &d, tick, &d);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        ticks = 0;
        HAS(say(&a, "%s", table[i].command), table[i].answer);
        print_message("%s: %u turns\n", table[i].command, ticks);
        assert_true(ticks >= table[i].turns);
    }
    defer_cancel(bench.loop, &d);
}

/* Each key with a text looks through the header of each message. */
static void test_texts_cost_work(void **state)
{
    enum { COUNT = 20, TEXTS = 256 };
    static char outer[SCHEMA_OUTER_MAX], command[8192] = "SEARCH";
    struct letter l = {.mailbox = MAILBOX_INBOX, .internaldate = 1000000000};
    struct defer d = {0};
    strcat(strcpy(outer, OUTER), "Cc: a@example.org");
    while (strlen(outer) < sizeof(outer) - 100)
        strcat(outer, ",\r\n recipient@example.org");
    strcat(outer, "\r\n");
    for (int i = 0; i < COUNT; i++) {
        int fd = parcel_of(outer, 1, 100);
        assert_int_equal(deliver_call(&bench, &l, fd), OK);
        close(fd);
    }
    for (int i = 0; i < TEXTS; i++)
        strcat(command, " NOT TEXT zz");
    HAS(say(&a, "SELECT INBOX"), "t OK");
    ticks = 0;
    defer_set_long(bench.loop, &d, tick, &d);
    HAS(say(&a, "%s", command), "* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\r\nt OK");
    defer_cancel(bench.loop, &d);
    print_message("%u turns\n", ticks);
    assert_true(ticks >= COUNT - 2); /* a message each */
}

/* Where the checksum of message seq is in its second part. 0: there is none (a length in three ends with one). */
static size_t checksum_of(unsigned seq)
{
    HAS(say(&a, "FETCH %u BODY.PEEK[2]", seq), "t OK");
    const char *literal = strchr(strchr(a.text, '{'), '\n') + 1, *end = strstr(literal, "\r\n-----END");
    return end[-5] == '=' && end[-6] == '\n' ? (size_t)(end - 5 - literal) : 0;
}

/* An octet of output for which all packets of a message are read. */
static void test_checksums_cost_work(void **state)
{
    enum { COUNT = 20, SMALL = 600000, LARGE = 4000000 };
    struct defer d = {0};
    size_t at[2] = {0}, len[2] = {SMALL, LARGE};
    unsigned seq = 0;
    for (unsigned i = 0; i < 2; i++) {
        HAS(say(&a, "SELECT INBOX"), "t OK");
        for (unsigned try = 0; try < 3 && !at[i]; try++, seq++) {
            deliver(MAILBOX_INBOX, 0, len[i] += try > 0);
            HAS(say(&a, "NOOP"), "t OK");
            at[i] = checksum_of(seq + 1);
        }
        assert_true(at[i] > 0);
    }
    unsigned large = seq;
    for (unsigned i = 0; i < COUNT; i++)
        deliver(MAILBOX_INBOX, 0, len[0]);
    HAS(say(&a, "NOOP"), "t OK");
    defer_set_long(bench.loop, &d, tick, &d);
    ticks = 0;
    HAS(say(&a, "FETCH %u BODY.PEEK[2]<%zu.1>", large, at[1]), "{1}\r\n=)\r\nt OK");
    print_message("one of %u: %u turns\n", (unsigned)LARGE, ticks);
    assert_true(ticks >= LARGE / RENDER_CRC_MAX);
    ticks = 0;
    HAS(say(&a, "FETCH %u:* BODY.PEEK[2]<%zu.1>", large + 1, at[0]), "{1}\r\n=)\r\nt OK");
    print_message("%u of %u: %u turns\n", (unsigned)COUNT, (unsigned)SMALL, ticks);
    assert_true(ticks >= COUNT / 4);
    defer_cancel(bench.loop, &d);
}

/* Of an account one session stands in the line at a time; the others follow in the order in which they came. */
static struct imap_session *turns[8];
static unsigned nturns;

static void note_turn(void *arg)
{
    turns[nturns++] = arg;
    if (nturns < 6)
        imap_session_wake(arg);
    else
        loop_stop(bench.loop);
}

static void test_sessions_of_an_account_share_its_turns(void **state)
{
    struct client_end c;
    client_in(&c);
    struct imap_session *s[3] = {acc.sessions, acc.sessions->next, acc.sessions->next->next};
    void (*woken)(void *arg) = s[0]->woken;
    nturns = 0;
    for (int i = 0; i < 3; i++) {
        s[i]->woken = note_turn;
        imap_session_wake(s[i]);
        imap_session_wake(s[i]);
        assert_int_equal(s[i]->wake.at != NULL, i == 0);
        assert_true(imap_session_waits(s[i]));
    }
    assert_int_equal(loop_run(bench.loop), OK);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(turns[i], s[i % 3]);
    /* who goes leaves the place to the next */
    for (int i = 0; i < 3; i++) {
        s[i]->woken = woken;
        imap_session_wake(s[i]);
    }
    imap_session_destroy(s[0]);
    assert_true(s[1]->wake.at && !s[1]->ticket);
    assert_true(!s[2]->wake.at && s[2]->ticket);
    client_close(&c);
    HAS(say(&a, "NOOP"), "t OK");
    HAS(say(&b, "NOOP"), "t OK");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, up, down)
    const struct CMUnitTest tests[] = {
        T(test_work_is_spent),
        T(test_sessions_of_an_account_share_its_turns),
        T(test_overruns_make_turns_shorter),
        T(test_map_of_a_mailbox_that_changes),
        T(test_many_expunges),
        T(test_many_forgotten_expunges),
        T(test_absent_messages_cost_work),
        T(test_texts_cost_work),
        T(test_checksums_cost_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
