/* Answers that wait for errors: who waits, in which order answers come, and what ends the wait before its time. */
#include "tests/support/ingest_bench.h"

#include "server/base/debts.h"

#define EHLO "EHLO client.example\r\n"
#define GONE(n) "RCPT TO:<gone" #n "@example.org>\r\n"
enum { BURST = 2, ERROR_MS = 400 };

static void strict(void)
{
    debts_limits(in.debts, BURST, 60 * 1000 / ERROR_MS);
}

static size_t lines_with(const struct talker *t, const char *code)
{
    size_t n = 0;

    for (const char *at = t->text; (at = strstr(at, code)); at++)
        n++;
    return n;
}

/* The burst at once, then one after the other, in order; and replies that are due are not held back with them. */
static void test_recipients_wait(void **state)
{
    struct talker *t;

    strict();
    t = dial_from("192.0.2.20");
    say(t, EHLO FROM GONE(1) GONE(2) GONE(3) TO("alice") GONE(4) "NOOP\r\n");
    run_ms(ERROR_MS / 2);
    assert_int_equal(lines_with(t, "550 5.1.1"), BURST);
    assert_null(strstr(t->text, "250 2.1.5"));
    run_ms(ERROR_MS);
    assert_int_equal(lines_with(t, "550 5.1.1"), BURST + 1);
    run_ms(2 * ERROR_MS);
    assert_int_equal(lines_with(t, "550 5.1.1"), BURST + 2);
    assert_int_equal(lines_with(t, "250 2.1.5"), 1);
    assert_int_equal(lines_with(t, "250 2.0.0 OK"), 1);
    assert_int_equal(in.counters[COUNT_ERRORS], 4);
    assert_in_range(in.counters[COUNT_ERRORS_WAITS], 2, 3);
    hang_up(t);
}

/* A right recipient of a peer that owes waits like a wrong one, and then costs nothing. */
static void test_right_recipient(void **state)
{
    struct talker *t;

    strict();
    t = dial_from("192.0.2.21");
    say(t, EHLO FROM GONE(1) GONE(2) TO("alice"));
    run_ms(ERROR_MS / 2);
    assert_null(strstr(t->text, "250 2.1.5"));
    expect(t, "250 2.1.5");
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "250 2.0.0 Accepted");
    hang_up(t);
    t = dial_from("192.0.2.21");
    say(t, EHLO FROM TO("alice") TO("bob"));
    run_ms(ERROR_MS / 2);
    assert_int_equal(lines_with(t, "250 2.1.5"), 2);
    hang_up(t);
}

/* What waits longer than anybody should is refused unseen, whoever it is for; then the session is over. */
static void test_unseen(void **state)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};
    uint64_t ms;
    struct talker *t;

    strict();
    inet_pton(AF_INET, "192.0.2.22", &((struct sockaddr_in *)&ss)->sin_addr);
    for (int i = 0; i < 1000; i++)
        debts_add(in.debts, &ss, loop_now_ms(b.loop), &ms);
    t = dial_from("192.0.2.22");
    say(t, EHLO FROM GONE(1) TO("alice") GONE(3) GONE(4) GONE(5) GONE(6) GONE(7) GONE(8) GONE(9) TO("bob") "NOOP\r\n");
    run_ms(ERROR_MS / 4);
    assert_int_equal(lines_with(t, "450 4.7.1"), 10);
    assert_int_equal(lines_with(t, "421 4.7.0"), 1);
    assert_null(strstr(t->text, "550"));
    assert_null(strstr(t->text, "250 2.1.5"));
    assert_int_equal(in.counters[COUNT_ERRORS_UNSEEN], 10);
    assert_int_equal(in.counters[COUNT_NO_USER], 0);
    hang_up(t);
    t = dial_from("192.0.2.22"); /* a bad command: answered with the end */
    say(t, "NONSENSE\r\nNOOP\r\n");
    run_ms(ERROR_MS / 4);
    assert_int_equal(lines_with(t, "421 4.7.0"), 1);
    assert_null(strstr(t->text, "250 2.0.0"));
    hang_up(t);
}

static void test_bad_commands_wait(void **state)
{
    struct talker *t;

    strict();
    t = dial_from("192.0.2.23");
    say(t, EHLO "NONSENSE\r\nBDAT 2 LAST\r\nxxXCLIENT ADDR=192.0.2.1\r\nNOOP\r\n");
    run_ms(ERROR_MS / 2);
    assert_int_equal(lines_with(t, "550 5.7.0"), 0);
    run_ms(ERROR_MS);
    assert_int_equal(lines_with(t, "550 5.7.0"), 1);
    assert_int_equal(lines_with(t, "250 2.0.0 OK"), 1);
    assert_int_equal(in.counters[COUNT_ERRORS_WAITS], 1);
    hang_up(t);
}

/* Who waits holds a place that can be taken back at any time. */
static void test_ended_while_it_waits(void **state)
{
    static const char *const waits[] = {EHLO FROM GONE(1) GONE(2) GONE(3), "NONSENSE\r\nNONSENSE\r\nNONSENSE\r\n"};
    static const char *const peers[] = {"192.0.2.24", "192.0.3.24", "192.0.4.24",
                                        "192.0.5.24", "192.0.6.24", "192.0.7.24"};

    strict();
    for (size_t i = 0; i < 6; i++) {
        struct talker *t = dial_from(peers[i]);
        say(t, waits[i % 2]);
        run_ms(ERROR_MS / 4);
        if (i / 2 == 0) {
            assert_true(smtp_session_may_end(smtp_session_place(in.sessions), PLACE_SHED));
            smtp_session_end(smtp_session_place(in.sessions), PLACE_SHED);
            expect(t, "421 4.3.2");
        } else if (i / 2 == 1) {
            smtp_session_destroy(in.sessions);
        } else {
            in.stopping = true;
            smtp_session_stop_all(&in);
            expect(t, "421 4.3.2");
            in.stopping = false;
        }
        hang_up(t);
        run_ms(ERROR_MS);
        assert_null(in.sessions);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recipients_wait),   TEST(test_right_recipient),      TEST(test_unseen),
        TEST(test_bad_commands_wait), TEST(test_ended_while_it_waits),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
