/* The SMTP engine: order of commands, paths, recipients, errors, STARTTLS, XCLIENT, pipelining. */
#include "tests/support/smtp_cases.h"

static void test_order(void **state)
{
    static const struct script cases[] = {
        CASE("QUIT\r\n", CLOSED_OK),
        CASE("quit  \t\r\nNOOP\r\n", CLOSED_OK),
        CASE("MAIL FROM:<a@x>\r\n", "503 5.5.1 EHLO first\r\n"),
        CASE("HELO c\r\nRCPT TO:<b@y>\r\nDATA\r\n", "250 mx.test\r\n" NO_MAIL NO_MAIL),
        CASE("EHLO\r\nHELO \r\n", "501 5.5.4 An argument is missing\r\n501 5.5.4 An argument is missing\r\n"),
        CASE("EHLO user's-pc\r\n", HELLO_OK),
        CASE("EHLO  c\r\n", HELLO_OK),
        CASE("EHLO (x)\r\n", HELLO_OK),
        CASE("EHLO Anna's laptop\r\n", HELLO_OK),
        CASE("EHLO my_pc.\r\n", HELLO_OK),
        CASE("EHLO b\xc3\xbcro-pc\r\n", HELLO_OK),
        CASE("EHLO <a@b>\r\n", HELLO_OK),
        CASE("EHLO [IPv6:::1]\r\n", HELLO_OK),
        CASE(HELLO "MAIL FROM:<a@x>\r\nMAIL FROM:<b@x>\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\n503 5.5.1 A transaction is open\r\n"),
        CASE(HELLO "MAIL FROM:<a@x>\r\nDATA\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\n554 5.5.1 No valid recipients\r\n"),
        CASE(HELLO "MAIL FROM:<refuse@x>\r\nRCPT TO:<b@y>\r\n", HELLO_OK "MAIL refuse@x 0\n550 5.7.1 no\r\n" NO_MAIL),
        CASE(HELLO TO_B "RSET\r\nDATA\r\nRSET\r\n",
             HELLO_OK TO_B_OK "250 2.0.0 OK\r\nRESET\n" NO_MAIL "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B HELLO "DATA\r\n", HELLO_OK TO_B_OK HELLO_OK "RESET\n" NO_MAIL),
        CASE("NOOP anything\r\nHELP\r\nHELP mail\r\nVRFY b\r\nVRFY\r\nRSET x\r\nDATA x\r\n",
             "250 2.0.0 OK\r\n214 2.0.0 See RFC 5321\r\n214 2.0.0 See RFC 5321\r\n"
             "252 2.1.5 Cannot VRFY; send mail and see\r\n"
             "501 5.5.4 An argument is missing\r\n501 5.5.4 No argument is allowed here\r\n503 5.5.1 EHLO first\r\n"),
        CASE("\r\nEXPN x\r\nexpn\r\nMAILX\r\nNOOP HTTP/1.1\r\n",
             "500 5.5.2 Command not recognized\r\n502 5.5.1 EXPN is not offered\r\n"
             "501 5.5.4 An argument is missing\r\n500 5.5.2 Command not recognized\r\n250 2.0.0 OK\r\n"),
        CASE("NO\0OP\r\nNOOP\tx\r\n",
             "500 5.5.2 Control character in command\r\n500 5.5.2 Control character in command\r\n"),
        CASE("EHLO c\nMAIL FROM:<a@x>\r\nNOOP\r\n",
             "500 5.5.2 CR or LF by itself; lines end in CRLF\r\n250 2.0.0 OK\r\n"),
        CASE("NOOP\rQUIT\r\nNOOP\r\n", "500 5.5.2 CR or LF by itself; lines end in CRLF\r\n250 2.0.0 OK\r\n"),
        CASE("STARTTLS\r\nEHLO c\r\nSTARTTLS\r\n",
             "503 5.5.1 EHLO first\r\n" HELLO_OK "502 5.5.1 STARTTLS is not offered\r\n"),
        CASE("XCLIENT ADDR=192.0.2.1\r\n", "550 5.7.0 XCLIENT is not permitted\r\n"),
    };
    CHECK_ALL(cases);
}

/* A line that is too long to be read as a command, or has a line end of another kind; behind such a one too. */
static void http_otherwise(const char *line)
{
    const bool extension = strstr(line, "PROPFIND") != NULL;
    char text[4096], want[200];

    snprintf(text, sizeof(text), "%s%0*d\r\nNOOP\r\n", line, 3000, 7);
    smtp_case_check(&(struct script){text, strlen(text),
                                     extension ? "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n"
                                               : "421 4.7.0 This is not HTTP\r\nCLOSE\n"},
                    &harness_params);
    snprintf(text, sizeof(text), "%0*d\r\nNOOP\n\r\n%s\nNOOP\n", 2100, 7, line);
    snprintf(want, sizeof(want), "500 5.5.2 Line too long\r\n500 5.5.2 CR or LF by itself; lines end in CRLF\r\n%s",
             extension ? "500 5.5.2 CR or LF by itself; lines end in CRLF\r\n"
                       : "421 4.7.0 This is not HTTP\r\nCLOSE\n");
    smtp_case_check(&(struct script){text, strlen(text), want}, &harness_params);
}

/* What a browser can be made to send ends the session at its first line, however that is made. */
static void test_http(void **state)
{
    static const char *const lines[] = {"GET / HTTP/1.1",
                                        "GET /",
                                        "GET",
                                        "POST /x?a=b HTTP/1.0",
                                        "HEAD * HTTP/1.1",
                                        "PUT /x HTTP/1.1",
                                        "PATCH / x",
                                        "PRI * HTTP/2.0",
                                        "CONNECT mx:25 HTTP/1.1",
                                        "OPTIONS * HTTP/1.1",
                                        "DELETE /x",
                                        "TRACE / HTTP/1.1",
                                        "OPTIONS /",
                                        "PROPFIND /dav HTTP/1.1"};
    static const char *const spoken_on[] = {"get x", "GETX", "HTTP/1.1", "X HTTP", "X HTTP/1.1 y", "POSTMASTER x"};
    char text[4096];

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        snprintf(text, sizeof(text), "%s\r\nHELO c\r\nQUIT\r\n", lines[i]);
        smtp_case_check(&(struct script){text, strlen(text), "421 4.7.0 This is not HTTP\r\nCLOSE\n"}, &harness_params);
    }
    for (size_t i = 0; i < sizeof(spoken_on) / sizeof(*spoken_on); i++) {
        snprintf(text, sizeof(text), "%s\r\nNOOP\r\n", spoken_on[i]);
        smtp_case_check(&(struct script){text, strlen(text), "500 5.5.2 Command not recognized\r\n250 2.0.0 OK\r\n"},
                        &harness_params);
    }
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i += 13)
        http_otherwise(lines[i]);
}

static const struct {
    const char *path;
    const char *want;
} good_paths[] = {
    {"<a@x>", "a@x"},
    {"<>", ""},
    {"<\"a b\"@x>", "\"a b\"@x"},
    {"<\"ab\"@x>", "ab@x"},
    {"<\"a\\b\"@x>", "ab@x"},
    {"<\"a\\\"b\\\\\"@x>", "\"a\\\"b\\\\\"@x"},
    {"<\"\"@x>", "\"\"@x"},
    {"<\"a..b\"@x>", "\"a..b\"@x"},
    {"<\"a@b\"@x>", "\"a@b\"@x"},
    {"<@r1,@r2.example:a@x>", "a@x"},
    {"<@r:\"a\"@x>", "a@x"},
    {"<a@[192.0.2.1]>", "a@[192.0.2.1]"},
    {"<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"},
    {"<!#$%&'*+-/=?^_`{|}~.a@x-y.z9>", "!#$%&'*+-/=?^_`{|}~.a@x-y.z9"},
    {"<a@x> SIZE=1000", "a@x"},
    {"<a@x> BODY=8BITMIME SIZE=0", "a@x"},
    {"<a@x> body=7bit size=1", "a@x"},
    {"<\xc3\xa4@\xc3\xb6.example> SMTPUTF8", "\xc3\xa4@\xc3\xb6.example"},
    {"<\"\xc3\xa4 b\"@x> SMTPUTF8", "\"\xc3\xa4 b\"@x"},
    /* composed, decomposed, in capitals: which account that is, the store says */
    {"<j\xc3\xb6rg@x> SMTPUTF8", "j\xc3\xb6rg@x"},
    {"<jo\xcc\x88rg@x> SMTPUTF8", "jo\xcc\x88rg@x"},
    {"<J\xc3\x96RG@BU\xcc\x88"
     "cher.example> SMTPUTF8",
     "J\xc3\x96RG@BU\xcc\x88"
     "cher.example"},
    /* what Postfix takes beyond the RFC: docs/operating.md, "What SMTP clients may say" */
    {" <a@b>", "a@b"},
    {"   <a@b>  SIZE=1", "a@b"},
    {" <>", ""},
    {"<a..b@docomo.example>", "\"a..b\"@docomo.example"},
    {"<abc.@docomo.example>", "\"abc.\"@docomo.example"},
    {"<.abc@ezweb.example>", "\".abc\"@ezweb.example"},
    {"<..@x>", "\"..\"@x"},
    {"<a.-.b...c@x>", "\"a.-.b...c\"@x"},
    {"<s@my_host.example>", "s@my_host.example"},
    {"<s@_dmarc.my_host_.example>", "s@_dmarc.my_host_.example"},
    {"<a@b.example.>", "a@b.example"},
    {"<a@x.> SIZE=1", "a@x"},
    {"<@r_1.,@r2.:a@x>", "a@x"},
    {"<a@x>  SIZE=1", "a@x"},
    {"<a@x>   BODY=8BITMIME   SIZE=1", "a@x"},
    {"<\xc3\xa4..b@\xc3\xb6_x.example.> SMTPUTF8", "\"\xc3\xa4..b\"@\xc3\xb6_x.example"},
};

static const struct {
    const char *path;
    const char *code;
} bad_paths[] = {
    {"a@x", "501 5.1.7"},
    {" a@x", "501 5.1.7"},
    {"", "501 5.1.7"},
    {" ", "501 5.1.7"},
    {"< a@x>", "501 5.1.7"},
    {"<a@x >", "501 5.1.7"},
    {"<a@x..>", "501 5.1.7"},
    {"<a@.>", "501 5.1.7"},
    {"<a@_->", "501 5.1.7"},
    {"<a@x.:1>", "501 5.1.7"},
    {"<a@[192.0.2.1].>", "501 5.1.7"},
    {"<@r..:a@x>", "501 5.1.7"},
    {"<a@x", "501 5.1.7"},
    {"<a>", "501 5.1.7"},
    {"<@x>", "501 5.1.7"},
    {"<a@>", "501 5.1.7"},
    {"<a@x>>", "501 5.5.4"},
    {"<a@x>SIZE=1", "501 5.5.4"},
    {"<a b@x>", "501 5.1.7"},
    {"<a@-x>", "501 5.1.7"},
    {"<a@x->", "501 5.1.7"},
    {"<a@x-.y>", "501 5.1.7"},
    {"<a@x..y>", "501 5.1.7"},
    {"<a@.x>", "501 5.1.7"},
    {"<a@[192.0.2.256]>", "501 5.1.7"},
    {"<a@[192.0.2.1>", "501 5.1.7"},
    {"<a@[tag:x]>", "501 5.1.7"},
    {"<a@[]>", "501 5.1.7"},
    {"<a@[IPv6:1::2::3]>", "501 5.1.7"},
    {"<\"a@x>", "501 5.1.7"},
    {"<\"a\\\"@x>", "501 5.1.7"},
    {"<\"a\"b@x>", "501 5.1.7"},
    {"<@r:>", "501 5.1.7"},
    {"<@r,a@x>", "501 5.1.7"},
    {"<r:a@x>", "501 5.1.7"},
    {"<Postmaster>", "501 5.1.7"},
    {"<\xc3\xa4@x>", "553 5.6.7"},
    {"<\xc3@x> SMTPUTF8", "501 5.1.7"},
    /* C1 controls: terminals that show a log obey them */
    {"<a\xc2\x9b@x> SMTPUTF8", "501 5.1.7"},
    {"<\"\xc2\x9b\"@x> SMTPUTF8", "501 5.1.7"},
    {"<a@\xc2\x85.example> SMTPUTF8", "501 5.1.7"},
    {"<\xc0\xaf@x> SMTPUTF8", "501 5.1.7"},
    {"<\xed\xa0\x80@x> SMTPUTF8", "501 5.1.7"},
    {"<\xf4\x90\x80\x80@x> SMTPUTF8", "501 5.1.7"},
    {"<a@x> SIZE=1001", "552 5.3.4"},
    {"<a@x> SIZE=99999999999999999999", "552 5.3.4"},
    {"<a@x> SIZE=", "501 5.5.4"},
    {"<a@x> SIZE", "501 5.5.4"},
    {"<a@x> SIZE=-1", "501 5.5.4"},
    {"<a@x> SIZE=1 SIZE=1", "501 5.5.4"},
    {"<a@x> BODY=BINARYMIME", "501 5.5.4"},
    {"<a@x> SMTPUTF8=1", "501 5.5.4"},
    {"<a@x> SMTPUTF8 SMTPUTF8", "501 5.5.4"},
    {"<a@x> =1", "501 5.5.4"},
    {"<a@x> RET=HDRS", "555 5.5.4"},
    {"<a@x> AUTH=<>", "555 5.5.4"},
    {"<a@x> SIZE=111111111111111111111", "501 5.5.4"},
};

static void test_paths(void **state)
{
    char line[512], want[600];

    for (size_t i = 0; i < sizeof(good_paths) / sizeof(good_paths[0]); i++) {
        struct harness h;
        harness_init(&h, &harness_params);
        snprintf(line, sizeof(line), "HELO c\r\nMAIL FROM:%s\r\n", good_paths[i].path);
        snprintf(want, sizeof(want), "250 mx.test\r\nMAIL %s ", good_paths[i].want);
        harness_run(&h, line, strlen(line), 0);
        if (strncmp((char *)h.log.data, want, strlen(want)) != 0)
            fail_msg("%s gave %s", good_paths[i].path, (char *)h.log.data);
        harness_free(&h);
    }
    for (size_t i = 0; i < sizeof(bad_paths) / sizeof(bad_paths[0]); i++) {
        struct harness h;
        harness_init(&h, &harness_params);
        snprintf(line, sizeof(line), "HELO c\r\nMAIL FROM:%s\r\n", bad_paths[i].path);
        snprintf(want, sizeof(want), "250 mx.test\r\n%s ", bad_paths[i].code);
        harness_run(&h, line, strlen(line), 0);
        if (strncmp((char *)h.log.data, want, strlen(want)) != 0)
            fail_msg("%s gave %s", bad_paths[i].path, (char *)h.log.data);
        harness_free(&h);
    }
}

static void test_long_path(void **state)
{
    struct harness h;
    char line[2100];

    /* Just below and above what fits; then a command line above its own maximum. */
    for (int n = SMTP_PATH_MAX - 5; n <= SMTP_PATH_MAX + 5; n++) {
        harness_init(&h, &harness_params);
        memset(line, 'a', sizeof(line));
        snprintf(line, sizeof(line), "HELO c\r\nMAIL FROM:<%0*d@x>\r\n", n - 2, 7);
        harness_run(&h, line, strlen(line), 0);
        assert_non_null(strstr((char *)h.log.data, n < SMTP_PATH_MAX ? "250 2.1.0" : "501 5.1.7 Address is too long"));
        harness_free(&h);
    }
    for (int n = SMTP_COMMAND_MAX - 4; n <= SMTP_COMMAND_MAX + 4; n++) {
        harness_init(&h, &harness_params);
        snprintf(line, sizeof(line), "NOOP %0*d\r\nNOOP\r\n", n - 7, 7);
        harness_run(&h, line, strlen(line), 0);
        assert_string_equal((char *)h.log.data, n <= SMTP_COMMAND_MAX ? "250 2.0.0 OK\r\n250 2.0.0 OK\r\n"
                                                                      : "500 5.5.2 Line too long\r\n250 2.0.0 OK\r\n");
        harness_free(&h);
    }
}

static void test_recipients(void **state)
{
    static const struct script cases[] = {
        CASE(HELLO "MAIL  FROM:<a@x>\r\nRCPT   TO:  <a..b@y_y.>\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT \"a..b\"@y_y\n250 2.1.5 OK\r\n"),
        CASE(HELLO "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<PostMaster>\r\nRCPT TO:<nobody@y>\r\n"
                   "RCPT TO:<b@y> NOTIFY=NEVER\r\n",
             HELLO_OK
             "MAIL  0\n250 2.1.0 OK\r\n501 5.1.3 Malformed address\r\nRCPT postmaster@mx.test\n250 2.1.5 OK\r\n"
             "RCPT nobody@y\n550 5.1.1 no\r\n555 5.5.4 RCPT parameter not recognized\r\n"),
        CASE(HELLO TO_B "RCPT TO:<c@y>\r\nRCPT TO:<d@y>\r\nRCPT TO:<e@y>\r\n",
             HELLO_OK TO_B_OK "RCPT c@y\n250 2.1.5 OK\r\nRCPT d@y\n250 2.1.5 OK\r\n452 4.5.3 Too many recipients\r\n"),
        CASE(HELLO
             "MAIL FROM:<a@x>\r\nRCPT TO:<\xc3\xa4@y>\r\nRSET\r\nMAIL FROM:<a@x> SMTPUTF8\r\nRCPT TO:<\xc3\xa4@y>\r\n",
             HELLO_OK
             "MAIL a@x 0\n250 2.1.0 OK\r\n553 5.6.7 Non-ASCII address without SMTPUTF8\r\n250 2.0.0 OK\r\nRESET\n"
             "MAIL a@x 0\n250 2.1.0 OK\r\nRCPT \xc3\xa4@y\n250 2.1.5 OK\r\n"),
    };
    CHECK_ALL(cases);
}

static void test_errors(void **state)
{
    static const struct script flood =
        CASE("x\r\nx\r\nx\r\nNOOP\r\n", "500 5.5.2 Command not recognized\r\n500 5.5.2 Command not recognized\r\n"
                                        "500 5.5.2 Command not recognized\r\n421 4.7.0 Too many errors\r\nCLOSE\n");
    struct smtp_params p = harness_params;

    p.errors_max = 3;
    smtp_case_check(&flood, &p);
}

/* What the engine refuses of mail is told, with the address as it stood there, and each refusal about mail ends with
 * the tag; what is not about mail has none. */
static void test_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"MAIL FROM:<A@x>\r\n", "503 5.5.1 EHLO first [id]\r\nREFUSED MAIL{<A@x>} 503 5.5.1\n"},
        {"EHLO c\r\nMAIL FROM:a@x SIZE=1\r\n",
         HELLO_OK "501 5.1.7 Malformed address [id]\r\nREFUSED MAIL{a@x} 501 5.1.7\n"},
        {"EHLO c\r\nMAIL FROM:  <a b@x> SIZE=1\r\n",
         HELLO_OK "501 5.1.7 Malformed address [id]\r\nREFUSED MAIL{<a b@x>} 501 5.1.7\n"},
        {"EHLO c\r\nMAIL\r\n", HELLO_OK "501 5.5.4 An argument is missing [id]\r\nREFUSED MAIL{} 501 5.5.4\n"},
        {"EHLO c\r\nMAIL FROM:<a@x> SIZE=1001\r\n",
         HELLO_OK "552 5.3.4 Message is larger than this server takes [id]\r\nREFUSED MAIL{<a@x>} 552 5.3.4\n"},
        {"EHLO c\r\nMAIL FROM:<a@x> REQUIRETLS\r\n",
         HELLO_OK "530 5.7.10 REQUIRETLS needs TLS here as well [id]\r\nREFUSED MAIL{<a@x>} 530 5.7.10\n"},
        {HELLO "MAIL FROM:<refuse@x>\r\n", HELLO_OK "MAIL refuse@x 0\n550 5.7.1 no [id]\r\n"},
        {HELLO "MAIL FROM:<>\r\nRCPT TO:<b@y\r\nRCPT TO:<nobody@y>\r\nDATA\r\nRSET\r\nDATA\r\n",
         HELLO_OK "MAIL  0\n250 2.1.0 OK\r\n501 5.1.3 Malformed address [id]\r\nREFUSED RCPT{<b@y} 501 5.1.3\n"
                  "RCPT nobody@y\n550 5.1.1 no [id]\r\n554 5.5.1 No valid recipients [id]\r\n250 2.0.0 OK\r\nRESET\n"
                  "503 5.5.1 MAIL first\r\n"},
        {"EHLO c\r\nMAIL FROM:a\r\nFOO\r\nEHLO\r\n",
         HELLO_OK "501 5.1.7 Malformed address [id]\r\nREFUSED MAIL{a} 501 5.1.7\n"
                  "500 5.5.2 Command not recognized\r\n501 5.5.4 An argument is missing\r\n"},
        {HELLO TO_B "DATA\r\na\rb\r\n.\r\n",
         HELLO_OK TO_B_OK "BEGIN\n354 End with a line of one dot\r\nFAILED 1\n"
                          "554 5.6.0 Message holds a CR or LF by itself; lines must end in CRLF [id]\r\nRESET\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t cut = 0; cut <= strlen(rows[i].text); cut++) {
            struct harness h;
            harness_init(&h, &harness_params);
            smtp_set_tag(h.s, "id");
            h.tell_refused = true;
            harness_run(&h, rows[i].text, strlen(rows[i].text), cut);
            assert_string_equal((char *)h.log.data, rows[i].want);
            harness_free(&h);
        }
}

static void test_starttls(void **state)
{
    struct smtp_params p = harness_params;
    struct harness h;
    static const char tls_hello[] = "250-mx.test\r\n250-PIPELINING\r\n"
                                    "250-SIZE 1000\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
                                    "250 ENHANCEDSTATUSCODES\r\n";
    static const char hello_in_tls[] = "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
                                       "250-SMTPUTF8\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n250 ENHANCEDSTATUSCODES\r\n";
    char want[1000];

    p.starttls = true;
    /* Injection: what was pipelined behind STARTTLS is dropped, refused, and never runs, in the clear or inside TLS. */
    harness_init(&h, &p);
    harness_feed(&h, HELLO, strlen(HELLO));
    harness_run(&h, "STARTTLS\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@y>", 44, 44);
    snprintf(want, sizeof(want), "%s503 5.5.1 Nothing may be sent behind STARTTLS before its reply\r\n", tls_hello);
    assert_string_equal((char *)h.log.data, want);
    assert_int_equal(h.in.len, 0);
    assert_false(smtp_envelope(h.s)->tls);
    harness_free(&h);

    /* Even one octet behind, even half a command. */
    harness_init(&h, &p);
    harness_feed(&h, HELLO "STARTTLS\r\nN", strlen(HELLO) + 11);
    assert_int_equal(h.in.len, 0);
    assert_false(smtp_envelope(h.s)->tls);
    harness_free(&h);

    /* After TLS all is forgotten and STARTTLS is not offered again. */
    harness_init(&h, &p);
    harness_feed(&h, HELLO, strlen(HELLO));
    harness_feed(&h, "STARTTLS\r\n", 10);
    harness_run(&h, "MAIL FROM:<a@x>\r\n" HELLO "STARTTLS\r\n", strlen("MAIL FROM:<a@x>\r\n" HELLO "STARTTLS\r\n"), 0);
    snprintf(want, sizeof(want),
             "%sSTARTTLS\n220 2.0.0 Ready\r\n503 5.5.1 EHLO first\r\n%s503 5.5.1 TLS is on already\r\n", tls_hello,
             hello_in_tls);
    assert_string_equal((char *)h.log.data, want);
    assert_true(smtp_envelope(h.s)->tls);
    harness_free(&h);

    /* Not inside a transaction. */
    harness_init(&h, &p);
    harness_run(&h, HELLO "MAIL FROM:<a@x>\r\nSTARTTLS\r\n", strlen(HELLO "MAIL FROM:<a@x>\r\nSTARTTLS\r\n"), 0);
    assert_non_null(strstr((char *)h.log.data, "503 5.5.1 A transaction is open\r\n"));
    harness_free(&h);
}

static void test_xclient(void **state)
{
    struct smtp_params p = harness_params;
    static const struct script cases[] = {
        CASE("XCLIENT ADDR=192.0.2.9 NAME=host+2Eexample HELO=c PROTO=ESMTP\r\nMAIL FROM:<a@x>\r\n",
             "XCLIENT addr=192.0.2.9 name=host.example helo=c proto=ESMTP\n220 mx.test ESMTP\r\n"
             "MAIL a@x 0\n250 2.1.0 OK\r\n"),
        CASE("XCLIENT ADDR=IPv6:2001:db8::9 NAME=[UNAVAILABLE]\r\nMAIL FROM:<a@x>\r\n",
             "XCLIENT addr=2001:db8::9 name= helo= proto=\n220 mx.test ESMTP\r\n503 5.5.1 EHLO first\r\n"),
        CASE("XCLIENT ADDR=2001:db8::9\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("XCLIENT ADDR=192.0.2.9 ADDR=192.0.2.8\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("XCLIENT NAME=a+2\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("XCLIENT NAME=a+0A\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("XCLIENT LOGIN=a\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("XCLIENT PROTO=LMTP\r\n", "501 5.5.4 Malformed XCLIENT attribute\r\n"),
        CASE("HELO c\r\nMAIL FROM:<a@x>\r\nXCLIENT NAME=a\r\n",
             "250 mx.test\r\nMAIL a@x 0\n250 2.1.0 OK\r\n503 5.5.1 A transaction is open\r\n"),
    };

    p.xclient = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        smtp_case_check(&cases[i], &p);
}

/* Many transactions in one piece, answered in order; replies that nobody reads are bounded. */
static void test_pipelining(void **state)
{
    struct harness h;
    struct buf all;
    struct smtp_event e;
    size_t ends = 0;

    harness_init(&h, &harness_params);
    buf_init(&all, 1 << 20, false);
    buf_puts(&all, HELLO);
    for (int i = 0; i < 200; i++)
        buf_printf(&all, TO_B "DATA\r\n%d\r\n.\r\n" TO_B "BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nRSET\r\n", i);
    harness_feed(&h, all.data, all.len);
    buf_append(&h.log, "", 1);
    for (char *p = (char *)h.log.data; (p = strstr(p, "END ")); p++)
        ends++;
    assert_int_equal(ends, 400);
    harness_free(&h);
    buf_free(&all);

    /* A caller that does not take the output: the engine waits instead of growing. */
    harness_init(&h, &harness_params);
    for (int i = 0; i < 50000; i++)
        buf_puts(&h.in, "NOOP\r\n");
    for (int i = 0; i < 10; i++) {
        smtp_next(h.s, &h.in, &e);
        assert_int_equal(e.type, SMTP_NEED_FLUSH);
        assert_true(smtp_output(h.s)->len <= SMTP_OUTPUT_MAX);
    }
    harness_feed(&h, "QUIT\r\n", 6);
    assert_true(h.closed);
    assert_memory_equal(h.log.data + h.log.len - 6, "CLOSE\n", 6);
    harness_free(&h);
}

static void test_waits(void **state)
{
    struct smtp *s = smtp_create(&harness_params);
    struct smtp_event e;
    struct buf in;

    buf_init(&in, 4096, false);
    buf_puts(&in, HELLO "MAIL FROM:<a@x>\r\nNOOP\r\n");
    smtp_next(s, &in, &e);
    assert_int_equal(e.type, SMTP_MAIL);
    assert_int_equal(smtp_phase(s), SMTP_PHASE_REPLY);
    smtp_next(s, &in, &e);
    assert_int_equal(e.type, SMTP_NEED_REPLY);
    smtp_accept(s, NULL);
    smtp_accept(s, NULL); /* nothing waits: no second reply */
    smtp_refuse(s, 550, "5.0.0", "no");
    smtp_next(s, &in, &e);
    assert_int_equal(e.type, SMTP_NEED_INPUT);
    buf_append(smtp_output(s), "", 1);
    assert_string_equal((char *)smtp_output(s)->data, HELLO_OK "250 2.1.0 OK\r\n250 2.0.0 OK\r\n");
    smtp_close(s, 421, "4.3.2", "bye");
    smtp_accept(s, NULL);
    smtp_next(s, &in, &e);
    assert_int_equal(e.type, SMTP_CLOSE);
    assert_int_equal(smtp_phase(s), SMTP_PHASE_CLOSED);
    smtp_destroy(s);
    buf_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_http),       cmocka_unit_test(test_paths),
        cmocka_unit_test(test_long_path), cmocka_unit_test(test_recipients), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_starttls),  cmocka_unit_test(test_xclient),    cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_waits),     cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
