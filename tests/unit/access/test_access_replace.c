/* REPLACE (RFC 8508), SEARCH by key, and what ends a session from outside: with a real vault behind. */
#include <errno.h>

#include "tests/support/access_bench.h"

static struct client_end a, b;

static int up(void **state)
{
    bench_up();
    for (int i = 0; i < 4; i++)
        deliver(MAILBOX_INBOX, i == 1 ? FLAG_DELETED : 0, 100);
    client_in(&a);
    client_in(&b);
    say(&a, "SELECT INBOX");
    say(&b, "SELECT INBOX");
    return 0;
}

static int down(void **state)
{
    client_close(&a);
    client_close(&b);
    bench_down();
    return 0;
}

#define MAIL "{8+}\r\na: b\r\n\r\n"

static void test_replace(void **state)
{
    HAS(say(&a, "CAPABILITY"), " REPLACE ");
    const char *t = say(&a, "REPLACE 3 INBOX (\\Seen $k) \" 1-Feb-2003 04:05:06 +0000\" " MAIL);
    /* section 4.3: APPENDUID first, in an untagged OK; EXPUNGE only when all is done; nothing of the STORE */
    const char *code = strstr(t, "* OK [APPENDUID "), *gone = strstr(t, "* 3 EXPUNGE\r\n"),
               *exists = strstr(t, "* 4 EXISTS\r\n"), *done = strstr(t, "t OK Done\r\n");
    assert_true(code && gone && exists && done && code < gone && gone < exists && exists < done);
    HAS(t, " 5] Stored\r\n");
    LACKS(t, "\\Deleted)");
    assert_int_equal(sealed_mail_len, 8);
    HAS(say(&a, "FETCH 1:* (UID FLAGS INTERNALDATE)"),
        "* 4 FETCH (UID 5 FLAGS (\\Seen $k) INTERNALDATE \" 1-Feb-2003 04:05:06 +0000\")");
    HAS(a.text, "* 2 FETCH (UID 2 FLAGS (\\Deleted) "); /* not touched, marked as it is */
    t = say(&b, "NOOP");
    HAS(t, "* 3 EXPUNGE\r\n* 4 EXISTS\r\n");
    /* by UID, the last one by "*", and into another mailbox */
    HAS(say(&a, "UID REPLACE 1 Drafts () " MAIL), "* 1 EXPUNGE\r\n");
    LACKS(a.text, "EXISTS");
    HAS(say(&a, "STATUS Drafts (MESSAGES UNSEEN)"), "(MESSAGES 1 UNSEEN 1)");
    HAS(say(&a, "REPLACE * Drafts " MAIL), "* 3 EXPUNGE\r\n");
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 2 4\r\n");
    HAS(say(&a, "UID REPLACE * INBOX " MAIL), "* 2 EXPUNGE\r\n* 2 EXISTS\r\n");
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 2 6\r\n");
    /* a synchronising literal, and literals for the arguments before it */
    a.len = 0;
    send_bytes(&a, "x REPLACE 1 {5+}\r\nINBOX (\\Draft) {8}\r\n", 38);
    HAS(wait_for(&a, "+ OK\r\n"), "+ OK\r\n");
    send_bytes(&a, "a: b\r\n\r\n\r\n", 10);
    HAS(wait_for(&a, "\nx "), "* 1 EXPUNGE\r\n* 2 EXISTS\r\nx OK Done\r\n");
    HAS(say(&a, "UID FETCH 7 FLAGS"), "FLAGS (\\Draft)");
}

static void synchronising(const char *command, const char *answer)
{
    char text[200];
    int n = sprintf(text, "x %s {8}\r\n", command);
    a.len = 0;
    send_bytes(&a, text, (size_t)n);
    HAS(wait_for(&a, "\nx "), answer);
    LACKS(a.text, "+ ");
}

static void test_refused(void **state)
{
    static const struct {
        const char *command, *answer;
    } table[] = {
        {"REPLACE 5 INBOX", "x BAD No message has that number"},
        {"UID REPLACE 5 INBOX", "x NO [NONEXISTENT]"},
        {"UID REPLACE 4294967295 INBOX", "x NO [NONEXISTENT]"},
        {"REPLACE 1 nix", "x NO [TRYCREATE]"},
        {"REPLACE 0 INBOX", "x BAD REPLACE takes"},
        {"REPLACE 01 INBOX", "x BAD"},
        {"REPLACE 4294967296 INBOX", "x BAD"},
        {"REPLACE 1:2 INBOX", "x BAD"},
        {"REPLACE 1,2 INBOX", "x BAD"},
        {"REPLACE ** INBOX", "x BAD"},
        {"REPLACE -1 INBOX", "x BAD"},
        {"REPLACE INBOX INBOX", "x BAD"},
        {"REPLACE 1 INBOX (\\Recent)", "x BAD"},
        {"REPLACE 1 INBOX (\\Seen) yesterday", "x BAD"},
        {"REPLACE 1 INBOX \"31-Feb-2003 04:05:06 +0000\"", "x BAD"},
        {"UID REPLACE * INBOX () () ", "x BAD"},
    };
    uint64_t bad = 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        synchronising(table[i].command, table[i].answer);
        if (++bad % 10 == 0) { /* twenty would end the session */
            client_close(&a);
            client_in(&a);
            say(&a, "SELECT INBOX");
        }
    }
    HAS(say(&a, "REPLACE 1 INBOX"), "t BAD");
    HAS(say(&a, "REPLACE 1"), "t BAD");
    HAS(say(&a, "REPLACE"), "t BAD");
    HAS(say(&a, "REPLACE 1 {5+}\r\nINBOX"), "t BAD");
    HAS(say(&a, "UNSELECT"), "t OK");
    synchronising("REPLACE 1 INBOX", "x BAD Select a mailbox first");
    HAS(say(&a, "EXAMINE INBOX"), "[READ-ONLY]");
    synchronising("REPLACE 1 INBOX", "x NO [CANNOT]");
    synchronising("UID REPLACE 1 Drafts", "x NO [CANNOT]");
    say(&a, "CREATE empty");
    say(&a, "SELECT empty");
    synchronising("REPLACE * INBOX", "x BAD No message");
    synchronising("REPLACE 1 INBOX", "x BAD No message");
    synchronising("UID REPLACE * INBOX", "x NO [NONEXISTENT]");
    /* nothing happened */
    HAS(say(&b, "NOOP"), "t OK");
    LACKS(b.text, "*");
    HAS(say(&b, "UID SEARCH ALL"), "* SEARCH 1 2 3 4\r\n");
}

static void set_account(uint8_t policy, uint64_t quota)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_SET,
                                    .account = bench.account,
                                    .new = {.policy = policy, .quota = quota}};
    assert_int_equal(request(&bench, &q, -1), OK);
}

/* Whatever fails after the message came: nothing is stored and nothing goes. */
static void test_failures(void **state)
{
    HAS(say(&a, "REPLACE 1 INBOX {3+}\r\na\nb"), "t NO [CANNOT]");
    HAS(say(&a, "REPLACE 1 INBOX {0+}\r\n"), "t NO [CANNOT]");
    HAS(say(&a, "REPLACE 1 INBOX {99999999}"), "t NO [TOOBIG]");
    seal_status = ERR_NO_KEY;
    HAS(say(&a, "REPLACE 1 INBOX " MAIL), "t NO [UNAVAILABLE]");
    seal_status = OK;
    bench_limits(5, 5);
    HAS(say(&a, "REPLACE 1 INBOX " MAIL), "t NO [UNAVAILABLE]");
    bench_limits(1 << 20, 1 << 20);
    set_account(1, VAULT_QUOTA_KEEP); /* a policy that another one has taken the place of, while it was sealed */
    HAS(say(&a, "REPLACE 1 INBOX " MAIL), "t NO [UNAVAILABLE]");
    set_account(0, VAULT_QUOTA_KEEP);
    set_account(VAULT_POLICY_KEEP, 1);                         /* a quota that the account is at */
    HAS(say(&a, "REPLACE 1 INBOX " MAIL), "t NO [OVERQUOTA]"); /* larger than what goes */
    LACKS(a.text, "*");
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 1 2 3 4\r\n");
    seal_len = 100;
    HAS(say(&a, "REPLACE 1 INBOX " MAIL), "t OK"); /* as large */
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 2 3 4 5\r\n");
    /* a line that goes on after the message */
    HAS(say(&a, "REPLACE 1 INBOX " MAIL " x"), "t BAD");
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 2 3 4 5\r\n");
    assert_int_equal(budget_taken(acc.places), 0);
}

/* Another session expunges it, or deletes a mailbox, while the message is on its way. */
static void test_gone_meanwhile(void **state)
{
    a.len = 0;
    send_bytes(&a, "x REPLACE 2 INBOX {8+}\r\na: b", 28);
    say(&b, "EXPUNGE");
    send_bytes(&a, "\r\n\r\n\r\n", 6);
    HAS(wait_for(&a, "\nx "), "x NO [EXPUNGEISSUED]");
    HAS(a.text, "* 2 EXPUNGE\r\n");
    LACKS(a.text, "APPENDUID");
    HAS(say(&b, "UID SEARCH ALL"), "* SEARCH 1 3 4\r\n");
    say(&b, "CREATE target");
    a.len = 0;
    send_bytes(&a, "x REPLACE 1 target {8+}\r\na: b", 29);
    say(&b, "DELETE target");
    send_bytes(&a, "\r\n\r\n\r\n", 6);
    HAS(wait_for(&a, "\nx "), "x NO [TRYCREATE]");
    HAS(say(&b, "UID SEARCH ALL"), "* SEARCH 1 3 4\r\n");
}

/* The number is of the mailbox as this session was told of it. */
static void test_old_picture(void **state)
{
    say(&b, "EXPUNGE");
    HAS(say(&a, "REPLACE 4 INBOX " MAIL), "* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n"); /* UID 4 is the fourth to this one */
    HAS(say(&a, "UID SEARCH ALL"), "* SEARCH 1 3 5\r\n");
    HAS(say(&b, "NOOP"), "* 3 EXPUNGE\r\n* 3 EXISTS\r\n");
    HAS(say(&b, "UID SEARCH ALL"), "* SEARCH 1 3 5\r\n");
}

#define X8(s) s s s s s s s s
#define X20(s) X8(s) X8(s) s s s s

static void key_add(uint8_t tag, uint8_t encryption)
{
    uint8_t cert[300];
    struct vault_request q = {.type = VAULT_KEY_ADD,
                              .account = bench.account,
                              .key = {.verdict = verdict_of(tag), .cert_len = sizeof(cert)}};
    memset(cert, tag, sizeof(cert));
    memset(q.key.verdict.enc_fpr, encryption, 20);
    assert_int_equal(request_cert(&bench, &q, cert, sizeof(cert)), OK);
}

static void test_search_by_key(void **state)
{
    struct letter l = {.mailbox = MAILBOX_INBOX};
    int fd = parcel_of(OUTER, 2, 100);
    key_add(2, 0x82);
    assert_int_equal(deliver_call(&bench, &l, fd), OK); /* 1 to 4 and a notice under key 1, the sixth under key 2 */
    close(fd);
    HAS(say(&a, "NOOP"), "* 6 EXISTS");
    HAS(say(&a, "CAPABILITY"), " X-LETTERLOCK-KEY");
    static const struct {
        const char *keys, *answer;
    } table[] = {
        {"X-LETTERLOCK-KEY " X20("81"), " 1 2 3 4 5"}, /* the encryption key */
        {"X-LETTERLOCK-KEY " X20("01"), " 1 2 3 4 5"}, /* the certificate it belongs to */
        {"X-LETTERLOCK-KEY " X8("81"), " 1 2 3 4 5"},  /* their key ids */
        {"x-letterlock-key \"" X8("01") "\"", " 1 2 3 4 5"},
        {"X-LETTERLOCK-KEY {16+}\r\n" X8("82"), " 6"},
        {"X-LETTERLOCK-KEY " X20("02"), " 6"},
        {"X-LETTERLOCK-KEY " X20("03"), ""},
        {"X-LETTERLOCK-KEY " X8("ff"), ""},
        {"X-LETTERLOCK-KEY " X20("01") "010101010101010101010101", ""}, /* version 6: another key */
        {"NOT X-LETTERLOCK-KEY " X20("01"), " 6"},
        {"OR X-LETTERLOCK-KEY " X20("01") " X-LETTERLOCK-KEY " X20("02"), " 1 2 3 4 5 6"},
        {"X-LETTERLOCK-KEY " X20("01") " X-LETTERLOCK-KEY " X20("02"), ""},
        {"X-LETTERLOCK-KEY " X20("01") " DELETED", " 2"},
        {"2:3 X-LETTERLOCK-KEY " X20("01") " SUBJECT [...]", " 2 3"},
        {"NOT (X-LETTERLOCK-KEY " X20("01") " UID 1:2)", " 3 4 5 6"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char want[64];
        snprintf(want, sizeof(want), "* SEARCH%s\r\nt OK", table[i].answer);
        HAS(say(&a, "SEARCH %s", table[i].keys), want);
        HAS(say(&a, "UID SEARCH %s", table[i].keys), want);
    }
    /* a renewed certificate has another encryption key; what is under the former one is still under the certificate */
    key_add(1, 0x99);
    HAS(say(&a, "SEARCH X-LETTERLOCK-KEY " X20("01")), "* SEARCH 1 2 3 4 5\r\n");
    HAS(say(&a, "SEARCH X-LETTERLOCK-KEY " X8("01")), "* SEARCH 1 2 3 4 5\r\n");
    HAS(say(&a, "SEARCH X-LETTERLOCK-KEY " X20("81")), "* SEARCH 1 2 3 4 5\r\n");
    HAS(say(&a, "SEARCH X-LETTERLOCK-KEY " X20("99")), "* SEARCH\r\n");
    static const char *const bad[] = {
        "",     " 01", " " X8("0g"), " (" X8("01") ")", " " X8("01") "0", " 0x" X20("01"), " " X20("01") X20("01"),
        " \"\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        HAS(say(&a, "SEARCH X-LETTERLOCK-KEY%s", bad[i]), "t BAD");
}

static void test_beyond_the_mailbox(void **state)
{
    static const char *const commands[] = {"FETCH 99 FLAGS", "FETCH 1:5 UID", "STORE 5 FLAGS ()",
                                           "COPY 5 Drafts",  "MOVE 5 Drafts", "SEARCH 5"};
    for (int round = 0; round < 5; round++) /* not counted as bad commands: twenty of those end the session */
        for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
            HAS(say(&a, "%s", commands[i]), "t BAD No message has that number\r\n");
    HAS(say(&a, "UID FETCH 99 FLAGS"), "t OK");
    HAS(say(&a, "UID SEARCH UID 99"), "* SEARCH\r\n");
}

static void password_revoke(uint32_t number)
{
    const struct vault_request q = {.type = VAULT_APP_PASSWORD_REVOKE,
                                    .account = bench.account,
                                    .password.number = number};
    assert_int_equal(request(&bench, &q, -1), OK);
}

/* Who revokes an app password has lost the device: its sessions end, those of others stay. */
static void test_revoked(void **state)
{
    struct client_end c;
    bench_password("other-password", "other");
    client_open(&c);
    HAS(say(&c, "LOGIN alice@example.org other-password"), "t OK");
    say(&c, "SELECT INBOX");
    send_bytes(&b, "i IDLE\r\n", 8);
    wait_for(&b, "+ idling\r\n");
    password_revoke(1);
    wait_for(&a, NULL);
    wait_for(&b, NULL);
    assert_true(a.closed && b.closed);
    HAS(a.text, "* BYE [AUTHENTICATIONFAILED]");
    HAS(b.text, "* BYE [AUTHENTICATIONFAILED]");
    HAS(say(&c, "FETCH 1 UID"), "t OK");
    /* a message that is on its way is not stored */
    c.len = 0;
    send_bytes(&c, "x REPLACE 1 INBOX {8+}\r\na: b", 28);
    password_revoke(2);
    wait_for(&c, NULL);
    HAS(c.text, "* BYE [AUTHENTICATIONFAILED]");
    assert_int_equal(budget_taken(acc.places), 0);
    client_close(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
    const struct CMUnitTest tests[] = {
        T(test_replace),     T(test_refused),       T(test_failures),           T(test_gone_meanwhile),
        T(test_old_picture), T(test_search_by_key), T(test_beyond_the_mailbox), T(test_revoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
