/* The SMTP engine for mail from our own people: AUTH (RFC 4954), DSN (RFC 3461), FUTURERELEASE (RFC 4865). */
#include "tests/support/smtp_cases.h"

#define OURS_OK(auth)                                                                                         \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n" auth \
    "250-DSN\r\n250-FUTURERELEASE 3600 2026-10-14T18:46:40Z\r\n250 ENHANCEDSTATUSCODES\r\n"
#define OFFER "250-AUTH PLAIN LOGIN\r\n"
#define IN HELLO "AUTH PLAIN Z29vZA==\r\n"
#define IN_OK OURS_OK(OFFER) "AUTH PLAIN {good}\n235 2.7.0 Logged in\r\n"
#define NO_DSN "DSN 0  0  -1\n250 2.1.5 OK\r\n"

static void check_all(const struct script *cases, size_t n, const struct smtp_params *p)
{
    for (size_t i = 0; i < n; i++)
        smtp_case_check(&cases[i], p);
}
#define CHECK(cases, p) check_all(cases, sizeof(cases) / sizeof(cases[0]), p)

static void test_auth(void **state)
{
    static const struct script cases[] = {
        CASE(HELLO "MAIL FROM:<a@x>\r\n", OURS_OK(OFFER) "530 5.7.0 Log in first\r\n"),
        CASE(IN "EHLO c\r\nAUTH PLAIN Z29vZA==\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n",
             IN_OK OURS_OK("") "503 5.5.1 You have logged in already\r\n"
                               "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\n" NO_DSN),
        CASE(HELLO "auth plain\r\nZ29vZA==\r\n",
             OURS_OK(OFFER) "AUTH PLAIN {-}\n334 \r\nAUTH PLAIN {good}\n235 2.7.0 Logged in\r\n"),
        CASE(HELLO "AUTH LOGIN\r\nYQ==\r\nZ29vZCE=\r\n",
             OURS_OK(OFFER) "AUTH LOGIN {-}\n334 bmFtZT8=\r\nAUTH LOGIN {a}\n334 bmFtZT8=\r\n"
                            "AUTH LOGIN {good!}\n235 2.7.0 Logged in\r\n"),
        CASE(HELLO "AUTH PLAIN =\r\nMAIL FROM:<a@x>\r\n",
             OURS_OK(OFFER) "AUTH PLAIN {}\n535 5.7.8 no\r\n530 5.7.0 Log in first\r\n"),
        CASE(HELLO "AUTH PLAIN bm8=\r\nNOOP\r\n", OURS_OK(OFFER) "AUTH PLAIN {no}\n535 5.7.8 no\r\n250 2.0.0 OK\r\n"),
        CASE(HELLO "AUTH PLAIN\r\n*\r\nMAIL FROM:<a@x>\r\n",
             OURS_OK(OFFER) "AUTH PLAIN {-}\n334 \r\n501 5.7.0 Cancelled\r\n530 5.7.0 Log in first\r\n"),
        CASE(HELLO "AUTH PLAIN Z29vZA=\r\nAUTH PLAIN Z29v ZA==\r\nAUTH PLAIN Z29vZB==\r\n",
             OURS_OK(OFFER) "501 5.5.2 Not base64\r\n501 5.5.2 Not base64\r\n501 5.5.2 Not base64\r\n"),
        /* A command behind the challenge is no command. */
        CASE(HELLO "AUTH PLAIN\r\nMAIL FROM:<a@x>\r\nNOOP\r\n",
             OURS_OK(OFFER) "AUTH PLAIN {-}\n334 \r\n501 5.5.2 Not base64\r\n250 2.0.0 OK\r\n"),
        CASE(HELLO "AUTH PLAIN\r\nZ29v\nZA==\r\nNOOP\r\n",
             OURS_OK(OFFER) "AUTH PLAIN {-}\n334 \r\n500 5.5.2 CR or LF by itself; lines end in CRLF\r\n"
                            "250 2.0.0 OK\r\n"),
        CASE(HELLO "AUTH\r\nAUTH PLAI\r\nAUTH PLAIN-X\r\nAUTH PLAIN LOGIN\r\nAUTH SCRAM-SHA-256\r\n",
             OURS_OK(OFFER) "501 5.5.4 An argument is missing\r\n504 5.5.4 No such mechanism\r\n"
                            "504 5.5.4 No such mechanism\r\n501 5.5.2 Not base64\r\n504 5.5.4 No such mechanism\r\n"),
        CASE("AUTH PLAIN Z29vZA==\r\n", "503 5.5.1 EHLO first\r\n"),
        CASE(IN "MAIL FROM:<a@x>\r\nAUTH PLAIN Z29vZA==\r\n",
             IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\n503 5.5.1 A transaction is open\r\n"),
        CASE(HELLO "RCPT TO:<b@y>\r\nDATA\r\nBDAT 3\r\nx\r\n",
             OURS_OK(OFFER) NO_MAIL NO_MAIL "503 5.5.1 MAIL first\r\n"),
        CASE("XCLIENT ADDR=192.0.2.1\r\n", "550 5.7.0 XCLIENT is not permitted\r\n"),
    };
    CHECK(cases, &harness_submission);
}

static void test_from_the_world(void **state)
{
    static const struct script cases[] = {
        CASE(HELLO "AUTH PLAIN Z29vZA==\r\n", HELLO_OK "502 5.5.1 AUTH is not offered\r\n"),
        CASE(HELLO "MAIL FROM:<a@x> RET=HDRS\r\nMAIL FROM:<a@x> HOLDFOR=60\r\nMAIL FROM:<a@x> AUTH=<>\r\n",
             HELLO_OK "555 5.5.4 MAIL parameter not recognized\r\n555 5.5.4 MAIL parameter not recognized\r\n"
                      "555 5.5.4 MAIL parameter not recognized\r\n"),
        CASE(HELLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y> NOTIFY=NEVER\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\n555 5.5.4 RCPT parameter not recognized\r\n"),
    };
    CHECK_ALL(cases);
}

/* RFC 4954 section 4: no password goes in the clear. */
static void test_only_under_tls(void **state)
{
    static const char text[] = HELLO "AUTH PLAIN Z29vZA==\r\nMAIL FROM:<a@x>\r\n";
    struct smtp_params p = harness_submission;
    struct harness h;

    p.submission.clear = NULL;
    p.starttls = true;
    harness_init(&h, &p);
    harness_run(&h, text, sizeof(text) - 1, 0);
    assert_non_null(strstr((char *)h.log.data, "250-STARTTLS\r\n"));
    assert_null(strstr((char *)h.log.data, "AUTH PLAIN LOGIN"));
    assert_non_null(
        strstr((char *)h.log.data, "538 5.7.11 Only under TLS\r\n530 5.7.0 Start TLS and log in first\r\n"));
    harness_free(&h);

    harness_init(&h, &p);
    harness_run(&h, "EHLO c\r\nSTARTTLS\r\n", 18, 18);
    harness_run(&h, IN, sizeof(IN) - 1, sizeof(IN) - 1);
    assert_true(smtp_envelope(h.s)->authenticated);
    harness_free(&h);

    /* What was proved in the clear does not count under TLS. */
    p.submission.clear = "PLAIN";
    harness_init(&h, &p);
    harness_run(&h, IN, sizeof(IN) - 1, sizeof(IN) - 1);
    assert_true(smtp_envelope(h.s)->authenticated);
    harness_run(&h, "STARTTLS\r\n", 10, 10);
    assert_false(smtp_envelope(h.s)->authenticated);
    harness_run(&h, "EHLO c\r\nMAIL FROM:<a@x>\r\n", 25, 25);
    assert_non_null(memmem(h.log.data, h.log.len, "530 5.7.0", 9));
    harness_free(&h);
}

static void test_long_lines(void **state)
{
    struct harness h;
    char text[8192];

    harness_init(&h, &harness_submission);
    snprintf(text, sizeof(text), HELLO "AUTH PLAIN\r\n%0*d\r\nNOOP\r\n", 3000, 7);
    harness_run(&h, text, strlen(text), strlen(text));
    assert_non_null(strstr((char *)h.log.data, "334 \r\n500 5.5.6 Line too long\r\n250 2.0.0 OK\r\n"));
    harness_free(&h);
}

static void test_dsn(void **state)
{
    static const struct script cases[] = {
        CASE(IN "MAIL FROM:<a@x> RET=hdrs ENVID=QQ+2B1\r\nRCPT TO:<b@y> NOTIFY=success,DELAY ORCPT=rfc822;b+40y\r\n"
                "RCPT TO:<c@y> NOTIFY=NEVER\r\nRSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n",
             IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\nDSN 2 QQ+2B1 10 rfc822;b+40y -1\n250 2.1.5 OK\r\n"
                   "RCPT c@y\nDSN 2 QQ+2B1 1  -1\n250 2.1.5 OK\r\n250 2.0.0 OK\r\nRESET\n"
                   "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\n" NO_DSN),
        CASE(IN "MAIL FROM:<a@x> AUTH=<>\r\nRCPT TO:<b@y> ORCPT=utf-8;b\r\n",
             IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\nDSN 0  0 utf-8;b -1\n250 2.1.5 OK\r\n"),
    };
    static const char *const mail[] = {"RET=",
                                       "RET",
                                       "RET=X",
                                       "RET=FULL RET=FULL",
                                       "ENVID=",
                                       "ENVID=+",
                                       "ENVID=+2b",
                                       "ENVID=a=b+0D+0A",
                                       "ENVID=\xc3\xa4",
                                       "AUTH=",
                                       "HOLDFOR=0",
                                       "HOLDFOR=x",
                                       "HOLDFOR=60 HOLDUNTIL=2026-10-14T18:00:00Z",
                                       "HOLDFOR=1234567890"};
    static const char *const rcpt[] = {"NOTIFY=",
                                       "NOTIFY=NEVER,DELAY",
                                       "NOTIFY=SUCCESS,",
                                       "NOTIFY=,SUCCESS",
                                       "NOTIFY",
                                       "NOTIFY=DELAY NOTIFY=DELAY",
                                       "ORCPT=rfc822",
                                       "ORCPT=;x",
                                       "ORCPT=rfc822;",
                                       "ORCPT=rfc822;a+0D",
                                       "ORCPT=rfc822;\xc3\xa4",
                                       "ORCPT=utf-8;\xc3\xa4",
                                       "ORCPT=a;b ORCPT=a;b",
                                       "ORCPT=a b;c"};
    char text[1024], want[1024];

    CHECK(cases, &harness_submission);
    for (size_t i = 0; i < sizeof(mail) / sizeof(*mail); i++) {
        snprintf(text, sizeof(text), IN "MAIL FROM:<a@x> %s\r\n", mail[i]);
        smtp_case_check(&(struct script){text, strlen(text), IN_OK "501 5.5.4 Malformed MAIL parameter\r\n"},
                        &harness_submission);
    }
    for (size_t i = 0; i < sizeof(rcpt) / sizeof(*rcpt); i++) {
        snprintf(text, sizeof(text), IN "MAIL FROM:<a@x>\r\nRCPT TO:<b@y> %s\r\n", rcpt[i]);
        snprintf(want, sizeof(want), IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\n501 5.5.4 Malformed RCPT parameter\r\n");
        smtp_case_check(&(struct script){text, strlen(text), want}, &harness_submission);
    }
    snprintf(text, sizeof(text), IN "MAIL FROM:<a@x>\r\nRCPT TO:<b@y> FOO=1\r\n");
    snprintf(want, sizeof(want), IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\n555 5.5.4 RCPT parameter not recognized\r\n");
    smtp_case_check(&(struct script){text, strlen(text), want}, &harness_submission);
    snprintf(text, sizeof(text), IN "MAIL FROM:<a@x> ENVID=%0*d\r\n", SMTP_ENVID_MAX + 1, 1);
    smtp_case_check(&(struct script){text, strlen(text), IN_OK "501 5.5.4 Malformed MAIL parameter\r\n"},
                    &harness_submission);
}

static void test_hold(void **state)
{
#define HELD(param, left)                                     \
    CASE(IN "MAIL FROM:<a@x> " param "\r\nRCPT TO:<b@y>\r\n", \
         IN_OK "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT b@y\nDSN 0  0  " left "\n250 2.1.5 OK\r\n")
#define TOO_LONG(param) CASE(IN "MAIL FROM:<a@x> " param "\r\n", IN_OK "501 5.5.4 Mail is not held for so long\r\n")
    static const struct script cases[] = {
        HELD("HOLDFOR=3600", "3600"),
        TOO_LONG("HOLDFOR=3601"),
        TOO_LONG("HOLDFOR=999999999"),
        HELD("HOLDUNTIL=2026-10-14T18:46:40Z", "3600"),
        HELD("HOLDUNTIL=2026-10-14T20:46:40+02:00", "3600"),
        HELD("HOLDUNTIL=1900-01-01T00:00:00Z", "0"),
        TOO_LONG("HOLDUNTIL=2026-10-14T18:46:41Z"),
        TOO_LONG("HOLDUNTIL=9999-12-31T23:59:59Z"),
    };
    struct smtp_params p = harness_submission;
    struct harness h;

    CHECK(cases, &harness_submission);
    p.submission.hold_max = 0;
    harness_init(&h, &p);
    harness_run(&h, IN "MAIL FROM:<a@x> HOLDFOR=1\r\n", sizeof(IN "MAIL FROM:<a@x> HOLDFOR=1\r\n") - 1, 0);
    assert_null(strstr((char *)h.log.data, "FUTURERELEASE"));
    assert_non_null(strstr((char *)h.log.data, "555 5.5.4 MAIL parameter not recognized\r\n"));
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_from_the_world),
        cmocka_unit_test(test_only_under_tls),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_dsn),
        cmocka_unit_test(test_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
