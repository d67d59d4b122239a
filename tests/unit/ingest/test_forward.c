/* Mail that goes on: what waits in the queue then, and that nothing does when something fails on the way. */
#include "tests/support/submission_bench.h"

#include "server/ingest/transaction/forward.h"
#include "store/schema.h"

#define FRIEND "friend@there.example"
#define THEIRS "MAIL FROM:<sender@example.net>\r\n"
#define TEXT "From: sender@example.net\r\nTo: bob@example.org\r\nSubject: geese\r\n\r\nThey fly\r\n.\r\n"

static void set(uint64_t account, const char *to, uint8_t how)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                                    .account = account,
                                    .new = {.policy = VAULT_POLICY_KEEP,
                                            .quota = VAULT_QUOTA_KEEP,
                                            .seal_v2 = VAULT_SEAL_V2_KEEP,
                                            .encrypt = VAULT_ENCRYPT_KEEP,
                                            .forwards = true,
                                            .forward = slice_str(to),
                                            .forward_how = how}};

    assert_int_equal(request(&b, &q, -1), OK);
}

static void data(struct talker *t, const char *rcpts)
{
    say(t, rcpts);
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, TEXT);
}

static size_t waiting(void)
{
    return submission_queued(0)->n;
}

static void test_what_waits(void **state)
{
    struct talker *t = dial();
    const struct submission_queued *q;

    set(bob, FRIEND, FORWARD_OWN_KEYS);
    for (int i = 0; i < 2; i++) { /* told or not: as long as it waits it is one */
        data(t, THEIRS TO("bob"));
        expect(t, "250 2.0.0 Accepted as ");
    }
    q = submission_queued(0);
    assert_true(q->n == 1 && q->nto == 1);
    assert_string_equal(q->to[0].to, FRIEND);
    assert_string_equal(q->to[0].orcpt, "rfc822;bob@example.org");
    assert_int_equal(q->to[0].notify, SMTP_NOTIFY_FAILURE);
    assert_int_equal(q->envelope.origin, QUEUE_FORWARDED);
    assert_int_equal(q->envelope.account, bob);
    assert_memory_equal(q->envelope.from, "SRS0=", 5);
    assert_non_null(strstr(q->envelope.from, "=example.net=sender@example.org"));
    assert_memory_equal(q->text, "Delivered-To: bob@example.org\r\nReceived: from ", 46);
    assert_non_null(strstr(q->text, "\r\nContent-Type: multipart/encrypted;"));
    assert_null(strstr(q->text, "geese"));
    assert_int_equal(in.counters[COUNT_FORWARDED], 2);
    assert_int_equal(budget_taken(in.places), 0);
    hang_up(t);
}

static void write_word(uint64_t account, const char *to, uint8_t how)
{
    struct engine_txn *w;
    struct schema_account a;

    assert_int_equal(engine_group_begin(b.engine, &w), OK);
    assert_int_equal(schema_get_account(w, b.keys, account, &a), OK);
    snprintf(a.forward, sizeof(a.forward), "%s", to);
    a.forward_how = how;
    assert_int_equal(schema_put_account(w, b.keys, account, &a), OK);
    assert_int_equal(engine_group_commit(w), OK);
}

/* A vault that writes another word than was approved, while keys that are in order are at hand: nothing goes. */
static void test_a_word_that_nobody_approved(void **state)
{
    struct talker *t = dial();

    in.config.forward_plaintext = true;
    data(t, THEIRS TO("bob"));
    expect(t, "250 ");
    write_word(bob, "spy@there.example", 0);
    data(t, THEIRS TO("bob"));
    expect(t, "451 4.7.5 ");
    assert_int_equal(waiting(), 0);
    write_word(bob, "", 0);
    set(bob, FRIEND, 0);
    data(t, THEIRS TO("bob"));
    expect(t, "250 ");
    const unsigned before = stored(bob);
    write_word(bob, FRIEND, FORWARD_ONLY);
    data(t, THEIRS TO("bob"));
    expect(t, "451 4.7.5 ");
    assert_int_equal(waiting(), 1);
    assert_int_equal(stored(bob), before);
    hang_up(t);
}

/* gpg seals to odd's key: it is gone, it fails, it never answers, or the client leaves meanwhile. */
static void test_a_seal_fails(void **state)
{
    struct talker *t = dial();

    set(odd, FRIEND, FORWARD_OWN_KEYS | FORWARD_ONLY);
    fake_gpg.gone = 1;
    data(t, THEIRS TO("odd"));
    expect(t, "451 4.3.0 ");
    fake_gpg.gone = 0;
    data(t, THEIRS TO("odd"));
    run_ms(20);
    assert_non_null(fake_gpg.done);
    fake_gpg.done(fake_gpg.arg, ERR_TIMEOUT);
    expect(t, "451 4.3.0 ");
    in.stall_ms = 100;
    data(t, THEIRS TO("odd"));
    expect(t, "451 4.3.0 ");
    assert_null(fake_gpg.done); /* cancelled */
    in.stall_ms = 30000;
    data(t, THEIRS TO("odd"));
    run_ms(20);
    assert_non_null(fake_gpg.done);
    smtp_session_destroy(in.sessions);
    assert_null(fake_gpg.done);
    assert_true(waiting() == 0 && stored(odd) == 0);
    hang_up(t);
}

/* Nothing is refused for want of memory to seal it again, nor is anything sent without. */
static void test_no_memory_to_seal(void **state)
{
    struct talker *t = dial();

    set(bob, FRIEND, FORWARD_OWN_KEYS | FORWARD_ONLY);
    in.config.plaintext_budget = in.config.plaintext_budget_peer = 200000;
    use_limits();
    data(t, THEIRS TO("bob"));
    expect(t, "250 ");
    assert_true(waiting() == 0 && stored(bob) == 1 && in.counters[COUNT_FORWARDS_KEPT] == 1);
    hang_up(t);
}

/* Each bounce is for one; who is not named by us gets none. */
static void test_bounces(void **state)
{
    struct talker *t = dial();
    char path[ADDRESS_MAX], line[ADDRESS_MAX + 16], other[ADDRESS_MAX];

    set(bob, FRIEND, FORWARD_OWN_KEYS);
    data(t, THEIRS TO("bob"));
    expect(t, "250 ");
    strcpy(path, submission_queued(0)->envelope.from);
    assert_int_equal(transaction_bounce_open(&in, path, other), OK);
    assert_string_equal(other, "sender@example.net");
    assert_int_equal(transaction_bounce_open(&in, "bob@example.org", other), ERR_NOT_FOUND);
    assert_int_equal(transaction_bounce_open(&in, "SRS0=AAAAAAAA=AA=a.b=c@example.org", other), ERR_FORMAT);
    assert_int_equal(transaction_bounce_open(&in, "SRS0=AAAAAAAA=AA=a.b=c@elsewhere.example", other), ERR_NOT_FOUND);
    say(t, "MAIL FROM:<>\r\n");
    expect(t, "250 ");
    snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", path);
    say(t, line);
    expect(t, "250 ");
    say(t, line);
    expect(t, "452 4.5.3 ");
    say(t, "RSET\r\n");
    expect(t, "250 ");
    say(t, "MAIL FROM:<>\r\n");
    expect(t, "250 ");
    data(t, line);
    expect(t, "250 ");
    assert_int_equal(waiting(), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct submission_queued *q = submission_queued(i);
        if (q->envelope.from[0])
            continue;
        assert_string_equal(q->to[0].to, "sender@example.net");
        assert_int_equal(q->to[0].notify, SMTP_NOTIFY_NEVER);
        assert_int_equal(q->envelope.account, 0);
    }
    hang_up(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, submission_up, submission_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_waits), TEST(test_a_word_that_nobody_approved),
                                       TEST(test_a_seal_fails), TEST(test_no_memory_to_seal), TEST(test_bounces)};
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
