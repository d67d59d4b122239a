/* Mail from our own people: who may log in, as whom they may write, what of their header goes on. Logins go by a
 * stand-in of master. */
#include "tests/support/submission_bench.h"
#include "server/base/debts.h"

#include <stdio.h>

static void test_login(void **state)
{
    struct talker *t = submission_dial();

    say(t, "MAIL FROM:<alice@example.org>\r\n");
    expect(t, "530 5.7.0 ");
    submission_plain(t, "alice@example.org", "wrong");
    expect(t, "535 5.7.8 ");
    submission_plain(t, "bob@example.org", submission_password); /* of another scope */
    expect(t, "535 5.7.8 ");
    say(t, "AUTH PLAIN AGE=\r\n");
    expect(t, "501 5.5.2 ");
    say(t, "AUTH LOGIN\r\n");
    expect(t, "334 VXNlcm5hbWU6");
    say(t, "Ym9iQGV4YW1wbGUub3Jn\r\n");
    expect(t, "334 UGFzc3dvcmQ6");
    say(t, "*\r\n");
    expect(t, "501 5.7.0 ");
    say(t, "AUTH LOGIN YWxAZXhhbXBsZS5vcmc=\r\n"); /* al@example.org; nothing is left of the exchange before */
    expect(t, "334 UGFzc3dvcmQ6");
    say(t, "Y29ycmVjdCBob3JzZQ==\r\n");
    expect(t, "235 2.7.0 ");
    assert_int_equal(in.counters[COUNT_LOGINS], 1);
    assert_int_equal(in.counters[COUNT_LOGIN_FAILURES], 2);
    hang_up(t);
}

/* A session that goes while master is asked, or while it waits, leaves nothing. */
static void test_login_floods(void **state)
{
    struct talker *t = submission_dial();

    for (int i = 0; i < 3; i++)
        submission_plain(t, "nobody@example.org", "x");
    expect(t, "421 4.7.0 Too many failed logins");
    hang_up(t);
    assert_int_equal(in.counters[COUNT_LOGIN_FAILURES], 3);
    master.silent = true;
    for (int i = 0; i < 10; i++) {
        t = submission_dial();
        submission_plain(t, "alice@example.org", submission_password);
        run_ms(1);
        hang_up(t);
        run_ms(1);
    }
    assert_int_equal(in.counters[COUNT_LOGINS], 0);
}

static void test_tls_is_needed(void **state)
{
    struct talker *t;

    in.config.submission_plain_auth_loopback = false;
    t = submission_dial();
    submission_plain(t, "alice@example.org", submission_password);
    expect(t, "538 5.7.11 ");
    hang_up(t);
    in.config.submission_plain_auth_loopback = true;
    t = dial_to(&submission_receiver, "192.0.2.1");
    expect(t, "220 ");
    say(t, "EHLO c\r\n");
    expect(t, "250 ");
    submission_plain(t, "alice@example.org", submission_password);
    expect(t, "538 5.7.11 ");
    say(t, "XCLIENT ADDR=127.0.0.1\r\n");
    expect(t, "550 5.7.0 ");
    hang_up(t);
    assert_int_equal(master.asked, 0);
}

static void test_senders(void **state)
{
    static const struct {
        const char *from, *want;
    } rows[] = {
        {"alice@example.org", "250 2.1.0 "},
        {"ALICE@EXAMPLE.ORG", "250 2.1.0 "},
        {"al@example.org", "250 2.1.0 "},
        {"al+x@example.org", "250 2.1.0 "},
        {"any@catch.example", "250 2.1.0 "},
        {"", "250 2.1.0 "},
        {"bob@example.org", "550 5.7.1 "},
        {"bob@catch.example", "550 5.7.1 "},
        {"x@example.net", "550 5.7.1 "},
        {"nobody@example.org", "550 5.7.1 "},
        {"alice", "501 5.1.7 "},
        {"bob+alice@example.org", "550 5.7.1 "},
    };
    struct talker *t = submission_logged_in();
    char line[200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        snprintf(line, sizeof(line), "MAIL FROM:<%s>\r\n", rows[i].from);
        say(t, line);
        expect(t, rows[i].want);
        say(t, "RSET\r\n");
        expect(t, "250 2.0.0 ");
    }
    hang_up(t);
}

static void test_recipients(void **state)
{
    struct talker *t = submission_logged_in();

    say(t, OURS TO("bob") "RCPT TO:<bob@EXAMPLE.ORG>\r\n");
    expect(t, "250 2.1.5 ");
    say(t, TO("nobody"));
    expect(t, "550 5.1.1 ");
    say(t, TO("full"));
    expect(t, "452 4.2.2 ");
    say(t, "RCPT TO:<hidden@hidden.invalid>\r\n");
    expect(t, "550 5.1.1 This stands for a correspondent");
    say(t, "RCPT TO:<Hidden@HIDDEN.invalid>\r\n");
    expect(t, "550 5.1.1 This stands for a correspondent");
    say(t, "RCPT TO:<\"a b\"@example.org>\r\n");
    expect(t, "550 5.1.1 ");
    say(t, "RCPT TO:<\"a b\"@example.net>\r\n"); /* nobody here could have it */
    expect(t, "250 2.1.5 ");
    say(t, "RCPT TO:<x@my_host.example.net>\r\n");
    expect(t, "250 2.1.5 ");
    say(t, "RCPT TO:<x@[192.0.2.1]>\r\n");
    expect(t, "550 5.1.2 ");
    say(t, "DATA\r\n");
    expect(t, "354 ");
    say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(bob), 1);
    hang_up(t);
}

static void test_without_a_queue(void **state)
{
    struct talker *t = submission_logged_in();

    enqueuer_destroy(in.enqueuer);
    in.enqueuer = NULL;
    say(t, OURS "RCPT TO:<x@example.net>\r\n");
    expect(t, "451 4.3.5 ");
    hang_up(t);
}

/* The password is revoked while its session lives. */
static void test_revoked(void **state)
{
    struct talker *t = submission_logged_in();
    struct vault_request q = {.type = VAULT_APP_PASSWORD_REVOKE, .account = alice, .password.number = 1};

    assert_int_equal(request(&b, &q, -1), OK);
    say(t, OURS);
    expect(t, "421 4.7.0 Log in again");
    hang_up(t);
}

static void send_header(struct talker *t, const char *header, size_t len, const char *want)
{
    say(t, OURS TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say_len(t, header, len);
    say(t, "\r\nBody\r\n.\r\n");
    expect(t, want);
}

#define ROW(header, want)                       \
    {                                           \
        header "\r\n", sizeof(header) + 1, want \
    }
static const struct {
    const char *header;
    size_t len;
    const char *want;
} authors[] = {
    ROW("From: alice@example.org", "250 "),
    ROW("from:\tAlice <ALICE@example.org>", "250 "),
    ROW("From: \"Dr. A., MD\" <al+work@example.org>", "250 "),
    ROW("From: Alice\r\n <alice@example.org>", "250 "),
    ROW("From: =?utf-8?q?J=C3=B6?= <alice@example.org>", "250 "),
    ROW("From: J\xc3\xb6 <alice@example.org>", "250 "),
    ROW("From: alice@example.org (a comment)", "250 "),
    ROW("From: alice@example.org, al@example.org", "250 "),
    ROW("From: alice@example.org\r\nSender: any@catch.example", "250 "),
    ROW("From: alice@example.org\r\nResent-From: al@example.org\r\nResent-From: alice@example.org", "250 "),
    ROW("From: alice@example.org\r\nReply-To: list@example.net", "250 "),
    /* another's */
    ROW("From: bob@example.org", "550 5.7.1 "),
    ROW("From: x@example.net", "550 5.7.1 "),
    ROW("From: \"alice@example.org\" <bob@example.org>", "550 5.7.1 "),
    ROW("From: bob@example.org (alice@example.org)", "550 5.7.1 "),
    ROW("From: alice@example.org, bob@example.org", "550 5.7.1 "),
    ROW("From: bob@example.org, alice@example.org", "550 5.7.1 "),
    ROW("From: =?utf-8?q?alice?=@example.org", "550 5.7.1 "),
    ROW("From: alice@example.org\r\nSender: bob@example.org", "550 5.7.1 "),
    ROW("From: alice@example.org\r\nResent-From: bob@example.org", "550 5.7.1 "),
    ROW("From: alice@example.org\r\nResent-Sender: bob@example.org", "550 5.7.1 "),
    ROW("From: alice@example.org\r\nresent-from: alice@example.org\r\nRESENT-FROM: bob@example.org", "550 5.7.1 "),
    ROW("From: \"alice@example.org,\" <bob@example.org>", "550 5.7.1 "),
    ROW("From: alice@\r\n catch.example.net", "55"),
    ROW("From: bob@catch.example", "550 5.7.1 "),
    /* what readers would take for different ones, or for none */
    ROW("From: alice@example.org\r\nFrom: alice@example.org", "554 5.6.0 The message has more than one From"),
    ROW("From: alice@example.org\r\nFROM: bob@example.org", "554 5.6.0 The message has more than one From"),
    ROW("From : alice@example.org", "554 5.6.0 From or Sender"),
    ROW("From: alice@example.org\r\nFrom : bob@example.org", "554 5.6.0 The message has more than one From"),
    ROW("From: alice@example.org\r\nSender: alice@example.org\r\nSender: bob@example.org", "554 5.6.0 "),
    ROW("From: alice@example.org\r\nSender: alice@example.org, al@example.org", "554 5.6.0 "),
    ROW("Subject: none", "554 5.6.0 The message has no From"),
    ROW("From:", "554 5.6.0 The message has no From"),
    ROW("From: \r\n ", "554 5.6.0 "),
    ROW("From: <>", "554 5.6.0 From or Sender"),
    ROW("From: alice", "554 5.6.0 From or Sender"),
    ROW("From: undisclosed:;", "554 5.6.0 From or Sender"),
    ROW("From: us: alice@example.org;", "554 5.6.0 From or Sender"),
    ROW("From: us: alice@example.org, bob@example.org;", "55"),
    ROW("From: <@example.net:alice@example.org>", "554 5.6.0 From or Sender"),
    ROW("From: alice@example.org bob@example.org", "554 5.6.0 From or Sender"),
    ROW("From: <alice@example.org> <bob@example.org>", "554 5.6.0 From or Sender"),
    ROW("From: alice@example.org;bob@example.org", "554 5.6.0 From or Sender"),
    ROW("From: J\xf6 <alice@example.org>", "554 5.6.0 From or Sender"),
    ROW("From: a\x01<alice@example.org>", "554 5.6.0 From or Sender"),
    ROW("From: alice@example.org\0, bob@example.org", "554 5.6.0 A line"),
    ROW("Subject: x\0\r\nFrom: alice@example.org", "554 5.6.0 A line"),
    ROW("From: (alice@example.org", "554 5.6.0 From or Sender"),
    ROW("From: \"alice <alice@example.org>", "554 5.6.0 From or Sender"),
    ROW("From alice@example.org Thu Jan  1\r\nFrom: alice@example.org", "554 5.6.0 A line"),
    ROW("no field\r\nFrom: alice@example.org", "554 5.6.0 A line"),
    ROW("From: alice@example.org\r\nno field\r\nFrom: bob@example.org", "554 5.6.0 A line"),
    ROW(": x\r\nFrom: alice@example.org", "554 5.6.0 A line"),
    ROW(" From: bob@example.org\r\nFrom: alice@example.org", "554 5.6.0 A line"),
};

static void test_authors(void **state)
{
    struct talker *t = submission_logged_in();
    static char text[1200];

    in.config.smtp_errors_peer = 100000;
    debts_limits(in.debts, 100000, 60000);
    for (size_t i = 0; i < sizeof(authors) / sizeof(*authors); i++) {
        if (i % 10 == 9) { /* a session ends after so many errors */
            hang_up(t);
            t = submission_logged_in();
        }
        send_header(t, authors[i].header, authors[i].len, authors[i].want);
    }
    hang_up(t);
    t = submission_logged_in();
    snprintf(text, sizeof(text), "From: \"%0*d\" <alice@example.org>\r\n", 900, 1);
    send_header(t, text, strlen(text), "250 ");
    snprintf(text, sizeof(text), "From: \"%0*d\" <alice@example.org>\r\n", 1000, 1); /* RFC 5322 section 2.1.1 */
    send_header(t, text, strlen(text), "554 5.6.0 From or Sender");
    /* In the body it is nobody's. */
    send_header(t, "Subject: x\r\n\r\nFrom: alice@example.org\r\n", 40, "554 5.6.0 The message has no From");
    hang_up(t);
}

static void test_header(void **state)
{
    static char text[65536];
    struct talker *t = submission_logged_in();
    size_t n, original;

    say(t, OURS TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say(t, "Received: from laptop.home\r\nBcc: carol@example.net,\r\n dave@example.net\r\nbCC : eve@example.net\r\n"
           "From: alice@example.org\r\nUser-Agent: Thing/1.0 (Home; build 7)\r\nX-Mailer: Thing\r\n"
           "X-Originating-IP: [203.0.113.9]\r\nX-Mozilla-Keys:\r\nDate: Wed, 14 Oct 2026 19:46:40 +0200\r\n"
           "Message-ID: <1@laptop.home>\r\nMIME-Version: 1.0\r\nSubject:  odd  \r\n spacing\r\nX-Own: stays\r\n"
           "Return-Path: <alice@laptop.home>\r\nRESENT-BCC: frank@example.net\r\n"
           "\r\nBcc: in the body it stays\r\nUser-Agent: and this\r\n.\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    n = open_last(bob, text);
    assert_non_null(strstr(text, "Received: by mx.example.org (Letterlock) with ESMTPA\r\n\tid "));
    assert_int_equal(header_unprotect((uint8_t *)text, n, &original), OK);
    text[original] = '\0';
    char *id = strstr(text, "Message-ID: <");
    assert_non_null(id);
    assert_memory_equal(id + 13 + 32, "@example.org>\r\n", 15);
    memset(id + 13, 'x', 32);
    assert_string_equal(text, "From: alice@example.org\r\nDate: Wed, 14 Oct 2026 17:46:40 +0000\r\n"
                              "Message-ID: <xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@example.org>\r\nMIME-Version: 1.0\r\n"
                              "Subject:  odd  \r\n spacing\r\nX-Own: stays\r\n"
                              "\r\nBcc: in the body it stays\r\nUser-Agent: and this\r\n");
    hang_up(t);
}

/* The id of a message that was sealed under the policy hidden stands for the real one. */
static void test_pseudonyms(void **state)
{
    static char text[65536], mail[2048];
    char pseudonym[900];
    struct schema_account a;
    struct talker *t = submission_logged_in();

    assert_int_equal(view_begin(view), OK);
    assert_int_equal(view_account(view, alice, &a), OK);
    assert_int_equal(view_end(view), OK);
    assert_int_equal(pseudonym_make(a.pseudonym_key, in.config.domain, "first@far.example", pseudonym,
                                    sizeof(pseudonym)),
                     OK);
    say(t, OURS TO("bob") "DATA\r\n");
    expect(t, "354 ");
    snprintf(mail, sizeof(mail),
             "From: alice@example.org\r\nMessage-ID: <2@example.org>\r\nDate: x\r\nIn-Reply-To: <%s>\r\n"
             "References: <zero@far.example>\r\n\t<%s>\r\n\r\nHello\r\n.\r\n",
             pseudonym, pseudonym);
    say(t, mail);
    expect(t, "250 2.0.0 Accepted as ");
    open_last(bob, text);
    assert_non_null(strstr(text, "Message-ID: <2@example.org>\r\n"));
    assert_non_null(strstr(text, "In-Reply-To: <first@far.example>\r\n"));
    assert_non_null(strstr(text, "References: <zero@far.example>\r\n <first@far.example>\r\n"));
    assert_null(strstr(text, "Date: x"));
    hang_up(t);
}

/* The same message again, after a reply that was lost: no second copy, though a Date is made each time. */
static void test_retry(void **state)
{
    struct talker *t = submission_logged_in();

    engine_fail_unknown(b.fail, 1, 0); /* it was stored, and nobody knows */
    for (int i = 0; i < 2; i++) {
        say(t, OURS TO("bob") "DATA\r\n");
        expect(t, "354 ");
        say(t, "From: alice@example.org\r\n\r\nHello\r\n.\r\n");
        expect(t, i ? "250 2.0.0 " : "451 4.");
    }
    assert_int_equal(stored(bob), 1);
    hang_up(t);
}

static void test_smuggling(void **state)
{
    static const char *const bodies[] = {"a\n.\r\n", "a\r.\r\n", "a\n.\n",
                                         "\r\n\n.\r\nMAIL FROM:<alice@example.org>\r\n"};
    struct talker *t;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        t = submission_logged_in();
        say(t, OURS TO("bob") "DATA\r\n");
        expect(t, "354 ");
        say(t, "From: alice@example.org\r\n\r\n");
        say(t, bodies[i]);
        say(t, "\r\n.\r\n");
        expect(t, "554 5.6.0 Message holds a CR or LF");
        hang_up(t);
    }
    assert_int_equal(stored(bob), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, submission_up, submission_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_login),      TEST(test_login_floods), TEST(test_tls_is_needed), TEST(test_senders),
        TEST(test_recipients), TEST(test_revoked),      TEST(test_authors),       TEST(test_header),
        TEST(test_pseudonyms), TEST(test_retry),        TEST(test_smuggling),     TEST(test_without_a_queue),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
