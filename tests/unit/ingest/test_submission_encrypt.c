/* Mail that is sealed to its recipients before it goes anywhere: what waits in the queue then, and what becomes of it
 * when a seal fails. */
#include "tests/support/submission_bench.h"

#include "crypto/pgp_check.h"
#include "store/schema.h"

#define TEXT "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: geese\r\n"
#define ID "Message-ID: <1@example.org>\r\n"
#define END "\r\nThe geese fly at midnight\r\n.\r\n"

static void set(uint8_t encrypt)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                                    .account = alice,
                                    .new = {.policy = VAULT_POLICY_KEEP,
                                            .quota = VAULT_QUOTA_KEEP,
                                            .seal_v2 = VAULT_SEAL_V2_KEEP,
                                            .encrypt = encrypt}};

    assert_int_equal(request(&b, &q, -1), OK);
}

static void data(struct talker *t, const char *rcpts)
{
    say(t, rcpts);
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, TEXT ID END);
}

#define HELD "MAIL FROM:<alice@example.org> HOLDFOR=3600\r\n"

static void check_sealed(const struct submission_queued *q)
{
    assert_non_null(strstr(q->text, "\r\nTo: bob@example.org\r\nSubject: [...]\r\nMessage-ID: <1@example.org>\r\n"));
    assert_non_null(strstr(q->text, "\r\nContent-Type: multipart/encrypted;"));
    assert_non_null(strstr(q->text, "\r\n-----BEGIN PGP MESSAGE-----\r\n"));
    assert_null(strstr(q->text, "geese"));
    assert_null(strstr(q->text, "Sealed-By"));
}

/* One message for those whom the header names, one for each other; tried again they find themselves. */
static void test_what_waits_is_sealed(void **state)
{
    struct talker *t = submission_logged_in();

    set(ENCRYPT_ALWAYS);
    for (int i = 0; i < 2; i++) {
        data(t, HELD TO("al") TO("bob") "RCPT TO:<bob@catch.example>\r\n");
        expect(t, "250 2.0.0 Accepted as ");
        const struct submission_queued *q = submission_queued(0);
        assert_int_equal(q->n, 3);
        for (size_t k = 0; k < 3; k++) {
            q = submission_queued(k);
            assert_int_equal(q->nto, 1);
            assert_int_equal(q->to[0].local, 1);
            assert_int_equal(q->to[0].state, QUEUE_QUEUED);
            assert_true(q->envelope.hold_until > q->envelope.queued_at);
            check_sealed(q);
        }
    }
    assert_int_equal(stored(bob), 0);
    assert_int_equal(budget_taken(in.places), 0);
    data(t, HELD TO("bob") TO("bob"));
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(submission_queued(0)->n, 4);
    hang_up(t);
}

static void test_unknown_keys(void **state)
{
    struct talker *t = submission_logged_in();

    set(ENCRYPT_ALWAYS);
    say(t, OURS "RCPT TO:<x@example.net>\r\n");
    expect(t, "550 5.7.5 No key is known for this recipient");
    say(t, "RSET\r\n");
    expect(t, "250 ");
    set(ENCRYPT_OPPORTUNISTIC);
    data(t, OURS "RCPT TO:<x@example.net>\r\n");
    expect(t, "250 2.0.0 ");
    assert_non_null(strstr(submission_queued(0)->text, "Subject: geese"));
    hang_up(t);
}

static void write_word(uint8_t word)
{
    struct engine_txn *w;
    struct schema_account a;

    assert_int_equal(engine_group_begin(b.engine, &w), OK);
    assert_int_equal(schema_get_account(w, b.keys, alice, &a), OK);
    a.encrypt = word;
    assert_int_equal(schema_put_account(w, b.keys, alice, &a), OK);
    assert_int_equal(engine_group_commit(w), OK);
}

/* A vault that writes another word than was approved stops the account's mail: it goes nowhere in clear. */
static void test_a_word_that_nobody_approved(void **state)
{
    struct talker *t = submission_logged_in();

    set(ENCRYPT_ALWAYS);
    write_word(ENCRYPT_NEVER);
    say(t, OURS);
    expect(t, "451 4.7.5 Your account's keys are not approved");
    write_word(ENCRYPT_ALWAYS);
    say(t, OURS);
    expect(t, "250 ");
    hang_up(t);
}

static void nothing_went(void)
{
    assert_int_equal(stored(odd) + stored(bob), 0);
    assert_int_equal(submission_queued(0)->n, 0);
    assert_int_equal(budget_taken(in.places), 0);
}

/* gpg seals to odd's key: it is gone, it fails, and it never answers. */
static void test_a_seal_fails(void **state)
{
    struct talker *t = submission_logged_in();

    set(ENCRYPT_OPPORTUNISTIC);
    fake_gpg.gone = 1;
    data(t, OURS TO("odd") TO("bob"));
    expect(t, "451 4.3.0 ");
    nothing_went();
    fake_gpg.gone = 0;
    data(t, OURS TO("bob") TO("odd"));
    run_ms(20);
    assert_non_null(fake_gpg.done);
    fake_gpg.done(fake_gpg.arg, ERR_TIMEOUT);
    expect(t, "451 4.3.0 ");
    nothing_went();
    in.stall_ms = 100;
    data(t, OURS TO("odd"));
    expect(t, "451 4.3.0 ");
    assert_null(fake_gpg.done); /* cancelled */
    nothing_went();
    data(t, HELD TO("odd"));
    run_ms(20);
    assert_non_null(fake_gpg.done);
    smtp_session_destroy(in.sessions);
    assert_null(fake_gpg.done);
    nothing_went();
    hang_up(t);
}

/* The memory that copies take is the budget's. */
static void test_no_memory_for_copies(void **state)
{
    struct talker *t = submission_logged_in();

    set(ENCRYPT_ALWAYS);
    in.config.plaintext_budget = in.config.plaintext_budget_peer = 300000;
    use_limits();
    data(t, HELD TO("bob") TO("al"));
    expect(t, "452 4.3.1 ");
    nothing_went();
    hang_up(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, submission_up, submission_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_waits_is_sealed), TEST(test_unknown_keys),
                                       TEST(test_a_word_that_nobody_approved), TEST(test_a_seal_fails),
                                       TEST(test_no_memory_for_copies)};
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
