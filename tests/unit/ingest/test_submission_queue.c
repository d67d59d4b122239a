/* Mail from our own people for elsewhere: what is in the queue, as relay reads it. */
#include "tests/support/submission_bench.h"

static void test_queued(void **state)
{
    struct talker *t = submission_logged_in();
    const struct submission_queued *q;
    char id[17];

    say(t, "MAIL FROM:<al@example.org> BODY=8BITMIME RET=HDRS ENVID=QQ+2B1\r\n" TO(
               "bob") "RCPT TO:<x@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;y+40z\r\nRCPT TO:<x@example.net>\r\n"
                      "RCPT TO:<y@M\xc3\xbcnchen.example>\r\n");
    expect(t, "553 5.6.7 ");
    say(t, "RCPT TO:<y@example.net>\r\nDATA\r\n");
    expect(t, "354 ");
    say(t, "From: alice@example.org\r\nBcc: z@example.net\r\nSubject: a\r\n\r\nGr\xc3\xbc\xc3\x9f"
           "e\r\n.\r\n");
    for (int i = 0; i < 10000 && !strstr(t->text, "Accepted as "); i++)
        run_ms(1);
    assert_non_null(strstr(t->text, "Accepted as "));
    assert_int_equal(sscanf(strstr(t->text, "Accepted as "), "Accepted as %16[0-9a-f]", id), 1);
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(bob), 1);
    q = submission_queued(SIZE_MAX);
    assert_int_equal(q->n, 1);
    assert_true(q->ids[0] == strtoull(id, NULL, 16));
    assert_int_equal(q->envelope.account, alice);
    assert_string_equal(q->envelope.from, "al@example.org");
    assert_string_equal(q->envelope.envid, "QQ+2B1");
    assert_int_equal(q->envelope.ret, 2);
    assert_int_equal(q->envelope.body, QUEUE_8BIT);
    assert_int_equal(q->envelope.smtputf8, 0);
    assert_int_equal(q->envelope.hold_until, 0);
    assert_int_equal(q->envelope.expires - q->envelope.queued_at, in.config.queue_lifetime);
    assert_int_equal(q->envelope.size, q->len);
    assert_int_equal(q->nto, 2);
    assert_string_equal(q->to[0].to, "x@example.net");
    assert_string_equal(q->to[0].orcpt, "rfc822;y+40z");
    assert_int_equal(q->to[0].notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_int_equal(q->to[0].state, QUEUE_QUEUED);
    assert_int_equal(q->to[0].local, 0);
    assert_string_equal(q->to[1].to, "y@example.net");
    assert_memory_equal(q->text, "Received: by mx.example.org (Letterlock) with ESMTPA\r\n", 53);
    assert_non_null(strstr(q->text, "\r\nFrom: alice@example.org\r\nSubject: a\r\nDate: "));
    assert_non_null(strstr(q->text, "\r\n\r\nGr\xc3\xbc\xc3\x9f"
                                    "e\r\n"));
    assert_null(strstr(q->text, "z@example.net"));
    assert_null(strstr(q->text, "laptop"));
    assert_int_equal(in.counters[COUNT_QUEUED], 1);
    assert_int_equal(budget_taken(in.places), 0);
    hang_up(t);
}

static void send_to(struct talker *t, const char *rcpts, const char *header, const char *want)
{
    say(t, OURS);
    say(t, rcpts);
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, header);
    say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, want);
}

/* The reply was lost, or could not be given: the client comes again, and nothing is sent or stored twice. */
static void test_again(void **state)
{
    static const char id[] = "Message-ID: <1@laptop.home>\r\n", to[] = TO("bob") "RCPT TO:<x@example.net>\r\n";
    struct talker *t = submission_logged_in();

    engine_fail_unknown(b.fail, 1, 1); /* bob has it; whether the queue has, nobody knows */
    send_to(t, to, id, "451 4.");
    hang_up(t);
    for (int i = 0; i < 3; i++) {
        t = submission_logged_in();
        send_to(t, to, id, "250 2.0.0 ");
        hang_up(t);
        run_ms(5);
    }
    assert_int_equal(stored(bob), 1);
    assert_int_equal(submission_queued(SIZE_MAX)->n, 1);
    t = submission_logged_in();
    send_to(t, "RCPT TO:<y@example.net>\r\n", id, "250 2.0.0 "); /* others: another message */
    assert_int_equal(submission_queued(SIZE_MAX)->n, 2);
    for (int i = 0; i < 2; i++)
        send_to(t, "RCPT TO:<x@example.net>\r\n", "", "250 2.0.0 "); /* an alert comes as often as it is sent */
    assert_int_equal(submission_queued(SIZE_MAX)->n, 4);
    hang_up(t);
}

/* Held mail goes to the queue whole, what is for accounts here as well. */
static void test_held(void **state)
{
    struct talker *t = submission_logged_in();
    const struct submission_queued *q;

    say(t, "MAIL FROM:<alice@example.org> HOLDFOR=3600\r\n" TO("nobody"));
    expect(t, "550 5.1.1 ");
    say(t, TO("bob") "RCPT TO:<x@example.net>\r\nDATA\r\n");
    expect(t, "354 ");
    say(t, "From: alice@example.org\r\n\r\nLater\r\n.\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(bob), 0);
    q = submission_queued(SIZE_MAX);
    assert_int_equal(q->n, 1);
    assert_true(q->envelope.hold_until >= q->envelope.queued_at + 3590);
    assert_true(q->envelope.expires == q->envelope.hold_until + in.config.queue_lifetime);
    assert_int_equal(q->nto, 2);
    assert_int_equal(q->to[0].local, 1);
    assert_string_equal(q->to[0].to, "bob@example.org");
    assert_int_equal(q->to[0].state, QUEUE_QUEUED);
    assert_int_equal(q->to[1].local, 0);
    assert_int_equal(q->to[1].next_try, 0); /* released, it goes at once */
    hang_up(t);
}

/* What fails for one is queued for nobody; nor is what was refused. */
static void test_nothing_is_queued_of_what_fails(void **state)
{
    struct talker *t = submission_logged_in();

    say(t, OURS TO("odd") "RCPT TO:<x@example.net>\r\nDATA\r\n");
    expect(t, "354 ");
    fake_gpg.gone = 1; /* odd's key is sealed to by gpg */
    say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, "451 4.");
    say(t, OURS "RCPT TO:<x@example.net>\r\nDATA\r\n");
    expect(t, "354 ");
    say(t, "From: bob@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, "550 5.7.1 ");
    say(t, OURS "RCPT TO:<x@example.net>\r\nRSET\r\n");
    expect(t, "250 2.0.0 ");
    assert_int_equal(submission_queued(SIZE_MAX)->n, 0);
    hang_up(t);
}

/* The vault does not answer: the client is told to come again, and nothing is held. */
static void test_stalled_queue(void **state)
{
    struct talker *t = submission_logged_in();
    int pair[2];

    in.stall_ms = 50;
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(in.depositor.vault, pair[0]); /* nobody is there */
    say(t, OURS "RCPT TO:<x@example.net>\r\nDATA\r\n");
    expect(t, "354 ");
    say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, "451 4.");
    assert_int_equal(budget_taken(in.places), 0);
    hang_up(t);
    close(pair[1]);
    run_ms(5);
}

static void test_more_than_fits(void **state)
{
    struct talker *t = submission_logged_in();
    char line[900];
    unsigned n = 0;

    say(t, OURS);
    expect(t, "250 2.1.0 ");
    for (; n < in.config.recipients_max; n++) {
        snprintf(line, sizeof(line), "RCPT TO:<r%u@example.net> ORCPT=rfc822;%0*u\r\n", n, 490, n);
        say(t, line);
        run_ms(1);
        while (!t->len)
            run_ms(1);
        if (strncmp(t->text, "452 4.5.3 ", 10) == 0)
            break;
        expect(t, "250 2.1.5 ");
    }
    expect(t, "452 4.5.3 ");
    assert_true(n > 20 && n < in.config.recipients_max);
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, "250 2.0.0 ");
    assert_int_equal(submission_queued(SIZE_MAX)->nto, n);
    hang_up(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, submission_up, submission_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_queued),        TEST(test_held),           TEST(test_nothing_is_queued_of_what_fails),
        TEST(test_stalled_queue), TEST(test_more_than_fits), TEST(test_again),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
