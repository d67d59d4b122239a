/* Sessions of the ingest role at its bounds: size, memory and time, crowds, and clients that leave, stay silent or do
 * not read. */
#include "tests/support/ingest_bench.h"

static void say_big(struct talker *t, size_t lines)
{
    char line[102];

    memset(line, 'x', 100);
    memcpy(line + 100, "\r\n", 2);
    for (size_t i = 0; i < lines; i++)
        say_len(t, line, sizeof(line));
}

/* More recipients than may wait for the vault at once, and a message that is sealed with pauses. */
static void test_crowd(void **state)
{
    struct talker *t = dial();
    char line[100];
    uint64_t ids[40];

    for (int i = 0; i < 40; i++) {
        snprintf(line, sizeof(line), "user%d@example.org", i);
        ids[i] = add_account(line, 0, &key);
    }
    for (int big = 0; big < 2; big++) {
        say(t, FROM);
        for (int i = 0; i < 40; i++) {
            snprintf(line, sizeof(line), "RCPT TO:<user%d@example.org>\r\n", i);
            say(t, line);
        }
        say(t, "DATA\r\n");
        expect(t, "354 ");
        if (big)
            say_big(t, 10000);
        say(t, BODY);
        expect(t, "250 2.0.0 Accepted");
        for (int i = 0; i < 40; i++)
            assert_int_equal(stored(ids[i]), big + 1);
    }
    hang_up(t);
}

static void test_size(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 21000);
    assert_int_equal(in.counters[COUNT_SIZE], 1);
    assert_int_equal(budget_taken(in.places), 0); /* long before the end */
    say(t, ".\r\n");
    expect(t, "552 5.3.4");
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 20000);
    say(t, ".\r\n");
    expect(t, "250 2.0.0");
    hang_up(t);
}

static void test_budget(void **state)
{
    struct talker *t = dial(), *u, *other;

    /* One peer's share is used up; another peer is not affected; in all there is an end as well. */
    in.config.plaintext_budget_peer = 1 << 20;
    in.config.plaintext_budget = 3 << 19;
    use_limits();
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 8000); /* 816,000 octets stay in flight */
    run_ms(20);
    smtp_session_place(in.sessions)->flow_ms += UINT32_MAX; /* as if more of it came all the time */
    assert_true(budget_taken(in.places) >= 816000 && budget_taken(in.places) < 1 << 20);
    u = dial();
    say(u, FROM TO("alice") "DATA\r\n");
    expect(u, "354 ");
    say_big(u, 5000);
    say(u, ".\r\n");
    expect(u, "452 4.3.1");
    other = dial_from("192.0.2.2");
    expect(other, "220 ");
    say(other, "HELO c\r\n" FROM TO("bob") "DATA\r\n");
    expect(other, "354 ");
    say_big(other, 5000);
    say(other, ".\r\n");
    expect(other, "250 2.0.0");
    say(other, FROM TO("bob") "DATA\r\n");
    expect(other, "354 ");
    say_big(other, 9000); /* within its share, past what is left in all */
    say(other, ".\r\n");
    expect(other, "452 4.3.1");
    say(other, "MAIL FROM:<x@example.net> SIZE=1000000\r\n");
    expect(other, "452 4.3.1"); /* said before it comes */
    say(t, ".\r\n");
    expect(t, "250 2.0.0");
    assert_int_equal(budget_taken(in.places), 0);
    assert_int_equal(in.counters[COUNT_BUDGET], 3);
    hang_up(t);
    hang_up(u);
    hang_up(other);
}

/* Memory is short, and somebody who holds much of it brings nothing more: the others wait for a moment, and get it. */
static void test_budget_of_who_stalls(void **state)
{
    struct talker *t = dial(), *other;

    in.config.plaintext_budget_peer = in.config.plaintext_budget = 3 << 19;
    use_limits();
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 10000);
    run_ms(20);
    other = dial_from("198.51.100.2");
    expect(other, "220 ");
    say(other, "HELO c\r\n" FROM TO("bob") "DATA\r\n");
    expect(other, "354 ");
    say_big(other, 9000);
    say(other, ".\r\n");
    expect(other, "250 2.0.0");
    expect(t, "421 4.3.1");
    assert_int_equal(places_ended(in.places, PLACE_OCTETS), 1);
    assert_int_equal(budget_taken(in.places), 0);
    assert_int_equal(in.counters[COUNT_BUDGET], 0);
    assert_true(stored(alice) == 0 && stored(bob) == 1);
    hang_up(t);
    hang_up(other);
}

/* A message of the size that is announced as possible fits a budget that is just as large. */
static void test_budget_to_the_last_octet(void **state)
{
    struct talker *t;

    in.config.message_max = in.config.plaintext_budget = in.config.plaintext_budget_peer = 1500000;
    use_limits();
    t = dial();
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 14600); /* 1,489,200 octets: not many steps of 64 KB fit behind them */
    say(t, ".\r\n");
    expect(t, "250 2.0.0");
    hang_up(t);
}

static void test_client_goes(void **state)
{
    struct talker *t = dial();

    /* In the middle of content, and while a seal is under way. */
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, "half");
    run_ms(10);
    hang_up(t);
    run_ms(10);
    assert_int_equal(places_sessions(in.places), 0);
    assert_int_equal(budget_taken(in.places), 0);
    t = dial();
    say(t, FROM TO("odd") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    run_ms(10);
    assert_non_null(fake_gpg.done);
    smtp_session_destroy(in.sessions);
    assert_null(fake_gpg.done);
    assert_int_equal(budget_taken(in.places), 0);
    hang_up(t);
}

/* A client that says everything at once and closes its side still gets every reply. */
static void test_half_close(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "BDAT 12 LAST\r\nSubject: y\r\n" FROM TO("bob") "BDAT 12 LAST\r\nSubject: y\r\nQUIT\r\n");
    assert_int_equal(shutdown(t->fd, SHUT_WR), 0);
    expect(t, "221 2.0.0");
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 1);
    run_ms(20);
    assert_int_equal(places_sessions(in.places), 0);
    hang_up(t);
}

static void test_stop(void **state)
{
    struct talker *idle = dial(), *busy = dial();

    say(busy, FROM TO("odd") "DATA\r\n");
    expect(busy, "354 ");
    say(busy, BODY);
    run_ms(20);
    in.stopping = true;
    smtp_session_stop_all(&in);
    expect(idle, "421 4.3.2");
    assert_int_equal(busy->len, 0);
    fake_gpg.done(fake_gpg.arg, ERR_GONE);
    run_ms(20);
    assert_non_null(strstr(busy->text, "451 4.3.0"));
    assert_non_null(strstr(busy->text, "421 4.3.2"));
    hang_up(idle);
    hang_up(busy);
}

static void test_timeouts(void **state)
{
    in.config.smtp_command_timeout = in.config.smtp_data_timeout = 1;
    struct talker *t = dial(), *u = dial();

    say(u, FROM TO("alice") "DATA\r\n");
    expect(u, "354 ");
    for (int i = 0; i < 3; i++) { /* one that keeps sending is not timed out */
        run_ms(500);
        say(u, "x\r\n");
    }
    expect(t, "421 4.4.2");
    expect(u, "421 4.4.2");
    struct talker *v = dial();
    for (int i = 0; i < 10 && !strstr(v->text, "421 4.4.2"); i++) { /* a command must be whole by then, too */
        say(v, "N");
        run_ms(300);
    }
    assert_non_null(strstr(v->text, "421 4.4.2"));
    assert_int_equal(in.counters[COUNT_TIMEOUTS], 3);
    in.config.smtp_session_timeout = 1;
    in.config.smtp_command_timeout = 100;
    struct talker *w = dial();
    for (int i = 0; i < 4 && !w->over && !strstr(w->text, "421"); i++) {
        say(w, "NOOP\r\n");
        run_ms(400);
    }
    assert_non_null(strstr(w->text, "421 4.4.2"));
    hang_up(t);
    hang_up(u);
    hang_up(v);
    hang_up(w);
}

/* A session that is over holds no plaintext, though its client does not take the last words, nor lasts as long as the
 * client cares to take them octet by octet. */
static void test_slow_end(void **state)
{
    char octets[256];
    struct talker *t;

    small_socket = 4096;
    t = dial();
    small_socket = 0;
    in.config.smtp_data_timeout = 1;
    in.closing_ms = 500;
    watch_set(t->watch, 0);
    for (int i = 0; i < 150; i++)
        say(t, "EHLO c\r\n");
    say(t, FROM TO("alice") "DATA\r\nhalf");
    run_ms(50);
    assert_true(budget_taken(in.places) > 0);
    run_ms(1200);
    assert_int_equal(in.counters[COUNT_TIMEOUTS], 1);
    assert_int_equal(budget_taken(in.places), 0);
    assert_int_equal(places_sessions(in.places), 1);
    for (int i = 0; i < 40 && places_sessions(in.places); i++) {
        assert_true(read(t->fd, octets, sizeof(octets)) > 0);
        run_ms(20);
    }
    assert_int_equal(places_sessions(in.places), 0);
    hang_up(t);
}

/* Nor does it keep its place for as long, when another needs it. */
static void test_place_of_slow_end(void **state)
{
    struct talker *t;
    struct place *p;

    small_socket = 4096;
    t = dial();
    small_socket = 0;
    watch_set(t->watch, 0);
    for (int i = 0; i < 150; i++)
        say(t, "EHLO c\r\n");
    say(t, "QUIT\r\n");
    run_ms(100);
    assert_int_equal(places_sessions(in.places), 1);
    p = smtp_session_place(in.sessions);
    assert_false(smtp_session_may_end(p, PLACE_SLOW));
    assert_true(smtp_session_may_end(p, PLACE_SHED));
    smtp_session_end(p, PLACE_SHED);
    assert_false(smtp_session_may_end(p, PLACE_SHED));
    run_ms(700);
    assert_int_equal(places_sessions(in.places), 0);
    hang_up(t);
}

/* What waits for the vault is memory, too. */
static void test_budget_of_parcels(void **state)
{
    struct talker *t = dial(), *u = dial();
    int pair[2];

    in.stall_ms = 1500;
    in.config.plaintext_budget_peer = in.config.plaintext_budget = 1 << 20;
    use_limits();
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(in.depositor.vault, pair[1]); /* nobody reads at the other end */
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say_big(t, 8000);
    say(t, ".\r\n");
    run_ms(200);
    say(u, FROM TO("bob") "DATA\r\n");
    expect(u, "354 ");
    say_big(u, 8000);
    say(u, ".\r\n");
    expect(u, "452 4.3.1");
    expect(t, "451 4.3.0");
    assert_int_equal(budget_taken(in.places), 0);
    close(pair[0]);
    hang_up(t);
    hang_up(u);
}

/* Who has brought nothing for longest makes room; who came further just now stays, whatever else is said does not
 * count. */
static void test_shed(void **state)
{
    struct talker *silent = dial(), *busy = dial(), *chatty;

    run_ms(300);
    chatty = dial();
    assert_false(places_shed(in.places));
    run_ms(3000);
    say(busy, FROM TO("alice"));
    expect(busy, "250 2.1.5");
    say(chatty, "NOOP\r\n");
    expect(chatty, "250 2.0.0");
    run_ms(2000);
    assert_true(places_shed(in.places));
    expect(silent, "421 4.3.2");
    run_ms(200);
    assert_true(places_shed(in.places));
    expect(chatty, "421 4.3.2");
    assert_false(places_shed(in.places));
    run_ms(10);
    assert_int_equal(places_sessions(in.places), 1);
    assert_int_equal(places_ended(in.places, PLACE_SHED), 2);
    say(busy, "DATA\r\n");
    expect(busy, "354 ");
    hang_up(silent);
    hang_up(busy);
    hang_up(chatty);
}

/* Replies that nobody reads do not pile up. */
static void test_never_reads(void **state)
{
    struct talker *t = dial();
    uint64_t before = 0;

    watch_set(t->watch, 0);
    for (int i = 0; i < 200000; i++) {
        ssize_t n = write(t->fd, "EHLO c\r\n", 8);
        if (n != 8) {
            if (before++ > 200)
                break;
            run_ms(1);
        }
    }
    assert_true(before > 200); /* we were stopped, not swallowed without end */
    assert_int_equal(places_sessions(in.places), 1);
    hang_up(t);
    run_ms(20);
    assert_int_equal(places_sessions(in.places), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_crowd),
        TEST(test_size),
        TEST(test_budget),
        TEST(test_budget_of_who_stalls),
        TEST(test_budget_to_the_last_octet),
        TEST(test_client_goes),
        TEST(test_half_close),
        TEST(test_stop),
        TEST(test_timeouts),
        TEST(test_slow_end),
        TEST(test_place_of_slow_end),
        TEST(test_shed),
        TEST(test_budget_of_parcels),
        TEST(test_never_reads),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
