/* How fast an account may send: what comes at once and what later, whom it leaves alone, what ends a wait early. */
#include "tests/support/submission_bench.h"

#include "server/base/debts.h"
#include "server/ingest/smtp/session.h"
#include "server/ingest/submission/pace.h"
#include "tests/support/patience.h"

enum { BURST = 3, MESSAGE_MS = 400, LONG_MS = 10 * 1000 };
#define TRY OURS "RSET\r\n"

static void slow_to(uint32_t burst, uint32_t ms)
{
    in.config.send_messages_burst = burst;
    in.config.send_messages_minute = ms ? 60 * 1000 / ms : 0;
    submission_pacing_limits(in.pacing, &in.config);
}

static size_t lines_with(const struct talker *t, const char *words)
{
    size_t n = 0;

    for (const char *at = t->text; (at = strstr(at, words)); at++)
        n++;
    return n;
}

static void await_lines(struct talker *t, const char *words, size_t n)
{
    for (uint64_t end = loop_now_ms(b.loop) + PATIENCE_MS; lines_with(t, words) < n;) {
        assert_true(loop_now_ms(b.loop) < end);
        run_ms(5);
    }
    assert_int_equal(lines_with(t, words), n);
}

static void await_sessions(size_t n)
{
    for (uint64_t end = loop_now_ms(b.loop) + PATIENCE_MS; places_sessions(in.places) != n;) {
        assert_true(loop_now_ms(b.loop) < end);
        run_ms(5);
    }
}

/* Pipelined tries gain nothing: a burst at once, then one after the other, each with the answer that it has anyway. */
static void test_burst_then_pace(void **state)
{
    struct talker *t = submission_logged_in(), *other = submission_logged_in_as("odd@example.org");
    uint64_t begin = loop_now_ms(b.loop);

    slow_to(BURST, MESSAGE_MS);
    t->len = 0;
    say(t, TRY TRY TRY TRY TRY);
    await_lines(t, "250 2.1.0", BURST + 2);
    assert_true(loop_now_ms(b.loop) - begin >= 2 * MESSAGE_MS);
    assert_int_equal(in.counters[COUNT_PACED], 2);
    assert_int_equal(in.counters[COUNT_PACED_REFUSED], 0);
    hang_up(t);
    hang_up(other);
}

/* Whatever connection it comes by; and nobody else's waits with it. */
static void test_an_account_s_wait_is_its_own(void **state)
{
    enum { CONNECTIONS = 12 };
    struct talker *t[CONNECTIONS], *other = submission_logged_in_as("odd@example.org");
    size_t n = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        t[i] = submission_logged_in();
    slow_to(BURST, LONG_MS);
    for (int i = 0; i < CONNECTIONS; i++) {
        t[i]->len = 0;
        say(t[i], OURS);
    }
    run_ms(100);
    for (int i = 0; i < BURST; i++) {
        say(other, "MAIL FROM:<odd@example.org>\r\n");
        expect(other, "250 2.1.0");
        say(other, "RSET\r\n");
        expect(other, "250 2.0.0");
    }
    for (int i = 0; i < CONNECTIONS; i++)
        n += lines_with(t[i], "250 2.1.0");
    assert_int_equal(n, BURST);
    assert_int_equal(in.counters[COUNT_PACED], CONNECTIONS - BURST);
    for (int i = 0; i < CONNECTIONS; i++)
        hang_up(t[i]);
    hang_up(other);
}

/* And so do its logins, which wait for one another and not for its messages. */
static void test_logins(void **state)
{
    struct talker *t[BURST + 1];
    uint64_t begin = loop_now_ms(b.loop);

    slow_to(BURST, MESSAGE_MS);
    for (int i = 0; i <= BURST; i++)
        t[i] = submission_logged_in();
    assert_true(loop_now_ms(b.loop) - begin >= MESSAGE_MS);
    assert_int_equal(in.counters[COUNT_PACED], 1);
    slow_to(BURST, LONG_MS);
    for (int i = 0; i < BURST; i++) {
        say(t[i], OURS);
        expect(t[i], "250 2.1.0");
    }
    for (int i = 0; i <= BURST; i++)
        hang_up(t[i]);
}

/* A line that is too long: its end is told so, as late as it would have waited, and may come again. */
static void test_in_vain(void **state)
{
    struct talker *t = submission_logged_in(), *u;
    uint64_t begin;

    slow_to(1, DEBTS_WAIT_MS * 3);
    in.vain_ms = MESSAGE_MS;
    say(t, OURS);
    expect(t, "250 2.1.0");
    say(t, "RSET\r\n");
    expect(t, "250 2.0.0");
    begin = loop_now_ms(b.loop);
    say(t, OURS);
    expect(t, "450 4.7.1");
    assert_true(loop_now_ms(b.loop) - begin >= MESSAGE_MS);
    assert_int_equal(in.counters[COUNT_PACED_REFUSED], 1);
    u = submission_logged_in();
    hang_up(u);
    u = submission_dial();
    submission_plain(u, "alice@example.org", submission_password);
    expect(u, "454 4.7.0");
    say(u, OURS);
    expect(u, "530 5.7.0");
    slow_to(1, 0); /* no pace */
    submission_plain(u, "alice@example.org", submission_password);
    expect(u, "235 2.7.0");
    say(t, OURS);
    expect(t, "250 2.1.0");
    hang_up(t);
    hang_up(u);
}

static void hold_alice(bool hold)
{
    struct vault_request q = {.type = VAULT_ACCOUNT_HOLD, .account = alice, .hold = hold};

    assert_int_equal(request(&b, &q, -1), OK);
}

/* A held account's tries go no faster than those of one that is not. */
static void test_held(void **state)
{
    struct talker *t = submission_logged_in();
    uint64_t begin = loop_now_ms(b.loop);

    hold_alice(true);
    slow_to(BURST, MESSAGE_MS);
    say(t, OURS OURS OURS OURS OURS);
    await_lines(t, "550 5.7.1", BURST + 2);
    assert_true(loop_now_ms(b.loop) - begin >= 2 * MESSAGE_MS);
    hang_up(t);
    hold_alice(false);
}

static void test_sessions_of_an_account(void **state)
{
    enum { MAX = 4 };
    struct talker *t[MAX], *more = submission_dial(), *other;

    in.config.smtp_sessions_account = MAX;
    slow_to(100, MESSAGE_MS);
    for (int i = 0; i < MAX; i++)
        t[i] = submission_logged_in();
    submission_plain(more, "alice@example.org", submission_password);
    expect(more, "454 4.7.0 Too many sessions");
    assert_int_equal(in.counters[COUNT_PACED_REFUSED], 1);
    other = submission_logged_in_as("odd@example.org");
    hang_up(t[1]); /* out of the middle of the list */
    await_sessions(MAX + 1);
    submission_plain(more, "alice@example.org", submission_password);
    expect(more, "235 2.7.0");
    t[1] = submission_dial();
    submission_plain(t[1], "alice@example.org", submission_password);
    expect(t[1], "454 4.7.0 Too many sessions");
    for (int i = 0; i < MAX; i++)
        hang_up(t[i]);
    hang_up(more);
    hang_up(other);
    await_sessions(0);
}

/* A server that stops waits for nobody; a session whose place is needed goes; one that ends in its wait leaves
 * nothing (teardown counts). */
static void test_ends_of_a_wait(void **state)
{
    struct talker *t[3];

    for (int i = 0; i < 3; i++)
        t[i] = submission_logged_in();
    slow_to(1, DEBTS_WAIT_MS * 3); /* the second is in vain, and would wait for longer than the test */
    in.vain_ms = 10 * PATIENCE_MS;
    for (int i = 0; i < 3; i++) {
        say(t[i], i == 0 ? TRY : OURS);
        run_ms(20);
    }
    assert_int_equal(in.counters[COUNT_PACED], 2);
    smtp_session_end(smtp_session_place(in.sessions), PLACE_SHED); /* the last one */
    expect(t[2], "421 4.3.2");
    in.stopping = true;
    smtp_session_stop_all(&in);
    expect(t[1], "421 4.3.2 The server is stopping");
    await_sessions(0);
    for (int i = 0; i < 3; i++)
        hang_up(t[i]);
    in.stopping = false;
    t[0] = submission_dial();
    slow_to(1, LONG_MS);
    hang_up(submission_logged_in());
    submission_plain(t[0], "alice@example.org", submission_password); /* teardown finds it waiting */
    run_ms(20);
    assert_true(in.counters[COUNT_PACED] >= 3);
    hang_up(t[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_burst_then_pace, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_an_account_s_wait_is_its_own, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_logins, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_in_vain, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_held, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_sessions_of_an_account, submission_up, submission_down),
        cmocka_unit_test_setup_teardown(test_ends_of_a_wait, submission_up, submission_down),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
