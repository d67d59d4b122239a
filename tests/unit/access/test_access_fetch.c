/* FETCH: bodies and their parts, large ones, and packets that come later. */
#include <errno.h>

#include "tests/support/access_bench.h"

static int up(void **state)
{
    bench_up();
    return 0;
}
static int down(void **state)
{
    bench_down();
    return 0;
}

/* The value of a literal that follows what. */
static struct slice literal_after(struct client_end *c, const char *what)
{
    char *at = memmem(c->text, c->len, what, strlen(what));
    if (!at)
        print_error("no %s in %.500s\n", what, c->text);
    assert_non_null(at);
    at += strlen(what);
    assert_int_equal(*at, '{');
    char *end;
    size_t len = strtoul(at + 1, &end, 10);
    assert_memory_equal(end, "}\r\n", 3);
    assert_true(end + 3 + len <= c->text + c->len);
    return slice_of(end + 3, len);
}

static void test_fetch_bodies(void **state)
{
    struct client_end c;
    static uint8_t whole[200000];
    static const size_t sizes[] = {1, 47, 48, 49, 5000, 60000};
    client_in(&c);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        deliver(MAILBOX_INBOX, 0, sizes[i]);
    say(&c, "SELECT INBOX");
    for (unsigned n = 1; n <= sizeof(sizes) / sizeof(*sizes); n++) {
        char what[200];
        HAS(say(&c, "FETCH %u (RFC822.SIZE BODY.PEEK[])", n), "RFC822.SIZE");
        struct slice all = literal_after(&c, "BODY[] ");
        assert_int_equal(strtoul(strstr(c.text, "RFC822.SIZE ") + 12, NULL, 10), all.len); /* octets sent */
        size_t len = all.len;
        memcpy(whole, all.data, len);
        LACKS(say(&c, "FETCH %u FLAGS", n), "Seen");
        /* header and text make the whole */
        say(&c, "FETCH %u (RFC822.HEADER BODY.PEEK[TEXT])", n);
        struct slice h = literal_after(&c, "RFC822.HEADER "), x = literal_after(&c, "BODY[TEXT] ");
        assert_int_equal(h.len + x.len, len);
        assert_memory_equal(h.data, whole, h.len);
        assert_memory_equal(x.data, whole + h.len, x.len);
        /* so do pieces of any length */
        size_t step = n == 1 ? 1 : len / 7 + n;
        for (size_t off = 0; off < len + step; off += step) {
            say(&c, "FETCH %u BODY.PEEK[]<%zu.%zu>", n, off, step);
            snprintf(what, sizeof(what), "BODY[]<%zu> ", off);
            struct slice piece = literal_after(&c, what);
            assert_int_equal(piece.len, off >= len ? 0 : len - off < step ? len - off : step);
            assert_memory_equal(piece.data, whole + (off < len ? off : len), piece.len);
        }
        /* parts: MIME and body lie where the boundaries say */
        say(&c,
            "FETCH %u (BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[2] BODY.PEEK[3] BODY.PEEK[1.1] "
            "BODY.PEEK[1.HEADER])",
            n);
        struct slice part2 = literal_after(&c, "BODY[2] "), mime = literal_after(&c, "BODY[2.MIME] ");
        assert_memory_equal(literal_after(&c, "BODY[1] ").data, "Version: 1", 10);
        assert_memory_equal(part2.data, "-----BEGIN PGP MESSAGE-----", 27);
        assert_memory_equal(mime.data + mime.len - 4, "\r\n\r\n", 4);
        HAS(c.text, "BODY[3] NIL");
        HAS(c.text, "BODY[1.1] NIL");
        HAS(c.text, "BODY[1.HEADER] NIL");
        snprintf(what, sizeof(what),
                 "\"octet-stream\" (\"name\" \"encrypted.asc\") NIL \"OpenPGP encrypted message\" \"7bit\" %zu",
                 part2.len);
        HAS(say(&c, "FETCH %u BODYSTRUCTURE", n), what);
        HAS(c.text, "\"encrypted\" (\"protocol\" \"application/pgp-encrypted\" \"boundary\" \"=_");
        LACKS(say(&c, "FETCH %u BODY", n), "boundary");
    }
    const char *t = say(&c, "FETCH 1 (BODY[HEADER.FIELDS (subject \"From\")] ENVELOPE)");
    HAS(t, "BODY[HEADER.FIELDS (subject From)] {18}\r\nSubject: [...]\r\n\r\n");
    HAS(t, "ENVELOPE (\"Sat, 21 Nov 2026 10:00:00 +0000\" \"[...]\" NIL NIL NIL NIL NIL NIL NIL NIL)");
    HAS(t, "FLAGS (\\Seen)"); /* set by this FETCH, told with it */
    LACKS(say(&c, "FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (Subject)]"), "[...]");
    HAS(say(&c, "FETCH 1 FULL"), "INTERNALDATE \" 9-Sep-2001 01:46:40 +0000\"");
    HAS(say(&c, "FETCH 1 (FROB)"), "t BAD");
    client_close(&c);
}

static void test_large_fetch(void **state)
{
    struct client_end c;
    enum { N = 40, LEN = 300000 };
    for (int i = 0; i < N; i++)
        deliver(MAILBOX_INBOX, 0, LEN);
    client_in(&c);
    say(&c, "SELECT INBOX");
    c.slow = 40000; /* a client that lags: the server waits, and holds no more than it may */
    say(&c, "FETCH 1:* (UID BODY.PEEK[])");
    char *at = c.text;
    for (int i = 1; i <= N; i++) {
        char want[64];
        int n = snprintf(want, sizeof(want), "* %d FETCH (UID %d BODY[] {", i, i);
        assert_memory_equal(at, want, n);
        size_t len = strtoul(at + n, &at, 10);
        assert_true(len > LEN);
        at += 3 + len;
        assert_memory_equal(at, ")\r\n", 3);
        at += 3;
    }
    assert_string_equal(at, "t OK Done\r\n");
    c.slow = 0;
    HAS(say(&c, "UID SEARCH ALL"), " 40\r\n");
    client_close(&c);
}

/* ---- packets that come later ---- */

static struct arrivals {
    struct timer *timer;
    unsigned times;
    size_t pieces;
    int err;
} come;

static void on_arrival_time(void *arg)
{
    size_t n = engine_fail_arrive(bench.fail, come.err);
    come.times += n > 0;
    come.pieces += n;
    timer_set(come.timer, 1);
}

static void arrive_in(uint64_t ms, int err)
{
    if (!come.timer)
        come.timer = timer_create_in(bench.loop, on_arrival_time, NULL);
    come.times = 0;
    come.pieces = 0;
    come.err = err;
    timer_set(come.timer, ms);
}

static char *answer_of(struct client_end *c, const char *command)
{
    say(c, "%s", command);
    char *copy = malloc(c->len);
    assert_non_null(copy);
    memcpy(copy, c->text, c->len);
    return copy;
}

static void ask_and_wait(struct client_end *c, const char *command)
{
    if (*command)
        c->len = 0;
    send_bytes(c, command, strlen(command));
    c->until = "never";
    timer_set(c->limit, 50);
    loop_run(bench.loop);
}

/* What FETCH gives when packets come later is what it gives when they are at hand; they are asked for many at once; and
 * a checksum over more than is asked for at once comes to its end. */
static void test_fetch_later(void **state)
{
    static const struct {
        const char *command;
        unsigned times; /* at most */
        bool asks;
    } table[] = {
        {"FETCH 1:* (UID FLAGS BODY.PEEK[])", 40, true},
        {"UID FETCH 1:70 (BODY.PEEK[TEXT] RFC822.SIZE)", 2, true},
        {"FETCH 71 BODY.PEEK[]<100000.300000>", 6, true},
        {"FETCH 72 BODY.PEEK[TEXT]<1320000.200000>", 5, true}, /* the armour's end */
        {"FETCH 73 (BODY.PEEK[]<10.20> BODY.PEEK[]<1000000.5000> BODY.PEEK[2]<500000.6000>)", 6, true},
        {"FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER])", 0, false},
        {"FETCH 1:* FULL", 0, false},
    };
    enum { N = sizeof(table) / sizeof(*table) };
    struct client_end c;
    char *at_hand[N];
    size_t lens[N];
    for (unsigned i = 0; i < 70; i++)
        deliver(MAILBOX_INBOX, 0, 500 + i);
    for (unsigned i = 0; i < 3; i++)
        deliver(MAILBOX_INBOX, 0, 1000000 + i);
    client_in(&c);
    say(&c, "SELECT INBOX");
    for (unsigned i = 0; i < N; i++) {
        at_hand[i] = answer_of(&c, table[i].command);
        lens[i] = c.len;
    }
    engine_fail_later(bench.fail);
    for (unsigned i = 0; i < N; i++) {
        arrive_in(1, OK);
        say(&c, "%s", table[i].command);
        print_message("%s: %zu pieces, asked for %u times\n", table[i].command, come.pieces, come.times);
        assert_int_equal(c.len, lens[i]);
        assert_memory_equal(c.text, at_hand[i], lens[i]);
        assert_true(come.times <= table[i].times && (come.times > 0) == table[i].asks);
        free(at_hand[i]);
    }
    timer_destroy(come.timer);
    come.timer = NULL;
    client_close(&c);
}

/* Packets that do not come, sessions that do not wait for them, and others that do not wait with them. */
static void test_fetch_later_fails(void **state)
{
    struct client_end c, d;
    for (unsigned i = 0; i < 3; i++)
        deliver(MAILBOX_INBOX, 0, 700000);
    client_in(&c);
    client_in(&d);
    say(&c, "SELECT INBOX");
    say(&d, "SELECT INBOX");
    engine_fail_later(bench.fail);
    arrive_in(1, ERR_TIMEOUT);
    HAS(say(&c, "FETCH 1 (FLAGS BODY.PEEK[])"), "t NO [UNAVAILABLE]");
    LACKS(c.text, "* 1 FETCH"); /* nothing was begun */
    HAS(say(&c, "FETCH 1 FLAGS"), "* 1 FETCH (FLAGS ())\r\nt OK");
    /* in the middle of a literal nothing else can be said */
    arrive_in(0, OK);
    ask_and_wait(&c, "t FETCH 1 BODY.PEEK[]\r\n");
    assert_int_equal(c.len, 0);
    assert_int_equal(engine_fail_arrive(bench.fail, OK), 1);
    ask_and_wait(&c, "");
    assert_true(c.len > 100000 && !c.closed);
    assert_int_equal(engine_fail_arrive(bench.fail, ERR_TIMEOUT), 1);
    wait_for(&c, NULL);
    assert_true(c.closed);
    LACKS(c.text, "t NO");
    client_close(&c);
    /* one waits, another goes on; one ends while it waits, and is not asked for any more */
    client_in(&c);
    say(&c, "SELECT INBOX");
    ask_and_wait(&c, "t FETCH 1:3 BODY.PEEK[]\r\n");
    HAS(say(&d, "FETCH 2 FLAGS"), "* 2 FETCH (FLAGS ())\r\nt OK");
    client_close(&c);
    ask_and_wait(&d, "t FETCH 3 BODY.PEEK[]\r\n");
    assert_int_equal(engine_fail_arrive(bench.fail, OK), 1);
    /* one that is expunged meanwhile, before anything was told of it, is passed over */
    ask_and_wait(&d, "");
    while (!strstr(d.text, "\nt ")) {
        engine_fail_arrive(bench.fail, OK);
        ask_and_wait(&d, "");
    }
    d.len = 0;
    ask_and_wait(&d, "t UID FETCH 2:3 BODY.PEEK[]<0.5000>\r\n");
    assert_int_equal(expunge_call(&bench, 1, 0, (uint32_t[]){2, 2}, 1), OK);
    arrive_in(1, OK);
    wait_for(&d, "\nt ");
    LACKS(d.text, "UID 2 ");
    HAS(d.text, "* 3 FETCH (UID 3 BODY[]<0> {5000}\r\n");
    HAS(d.text, "\nt OK");
    timer_destroy(come.timer);
    come.timer = NULL;
    client_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, up, down)
        T(test_fetch_bodies),
        T(test_large_fetch),
        T(test_fetch_later),
        T(test_fetch_later_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
