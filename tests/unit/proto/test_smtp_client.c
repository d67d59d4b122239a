/* The SMTP client against what servers say, good ones and others: each script whole, octet by octet, and with each turn
 * cut in two everywhere; all must give the same. T ends a turn of the server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/support/smtp_client_harness.h"

#define T "\xff"
#define HELLO "220 hi\r\n" T
#define SAID_EHLO "> EHLO mx.test\n"
#define PLAIN_EHLO "250 mx\r\n" T
#define PIPE_EHLO "250-mx\r\n250 PIPELINING\r\n" T
#define BYE "221 bye\r\n" T
#define SAID_BYE "> QUIT\nCLOSED 221 none\n"
#define CONTENT "> Subject: x\n> \n> ..dot\n> .\n"

static const struct smtp_client_rcpt two[] = {{"b@y", NULL, 0}, {"c@y", NULL, 0}};
static const struct smtp_client_mail to_two = {.sender = "a@x", .rcpts = two, .n = 2},
                                     to_one = {.sender = "a@x", .rcpts = two, .n = 1};

struct script {
    const char *text, *want;
    const struct smtp_client_mail *mails;
    size_t n;
    bool with_tls, depends_on_cut, texts;
    const char *user;
};

static void run_one(const struct script *s, size_t cut)
{
    struct client_harness h;

    client_harness_init(&h);
    h.mails = s->mails;
    h.nmails = s->n;
    h.with_tls = s->with_tls;
    h.user = s->user;
    h.texts = s->texts;
    h.content = slice_str("Subject: x\r\n\r\n.dot\r\n");
    client_harness_run(&h, s->text, strlen(s->text), cut);
    if (strcmp((char *)h.log.data, s->want) != 0)
        fail_msg("cut %zu of\n%s\ngave\n%s\nand not\n%s", cut, s->text, (char *)h.log.data, s->want);
    client_harness_free(&h);
}

static void check_all(const struct script *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(s[i].text);

        run_one(&s[i], len);
        for (size_t cut = 0; cut < len && !s[i].depends_on_cut; cut++)
            run_one(&s[i], cut);
    }
}
#define CHECK_ALL(s) check_all(s, sizeof(s) / sizeof((s)[0]))

static void test_hello(void **state)
{
    static const struct script scripts[] = {
        {HELLO PLAIN_EHLO BYE, SAID_EHLO "READY 250 offers 0 size 0\n" SAID_BYE},
        {"220-many\r\n220-lines\r\n220 of it\r\n" T PLAIN_EHLO BYE, SAID_EHLO "READY 250 offers 0 size 0\n" SAID_BYE},
        {HELLO
         "250-mx greets you\r\n250-starttls\r\n250-PIPELINING\r\n250-size 1000\r\n250-8BitMime\r\n250-SMTPUTF8\r\n"
         "250-DSN\r\n250-REQUIRETLS\r\n250-CHUNKING\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN SCRAM-SHA-256\r\n" T BYE,
         SAID_EHLO "READY 250 offers 511 size 1000\n" SAID_BYE},
        /* The first line is no keyword; words that only begin like one are none; what stands behind does not matter. */
        {HELLO "250-PIPELINING\r\n250-PIPELININGS\r\n250-8BITMIM\r\n250-\r\n250- \r\n250-AUTH=PLAIN\r\n250-AUTH\r\n"
               "250-SIZE\r\n250 DSN junk \x01\r\n" T BYE,
         SAID_EHLO "READY 250 offers 36 size 0\n" SAID_BYE},
        {HELLO "250-mx\r\n250-SIZE 99999999999999999999999999\r\n250 SIZE -1\r\n" T BYE,
         SAID_EHLO "READY 250 offers 4 size 0\n" SAID_BYE},
        {HELLO "250-mx\r\n250 SIZE 99999999999999999999999999\r\n" T BYE,
         SAID_EHLO "READY 250 offers 4 size 18446744073709551615\n" SAID_BYE},
        {HELLO "502 what?\r\n" T "250 ok\r\n" T BYE, SAID_EHLO "> HELO mx.test\nREADY 250 offers 0 size 0\n" SAID_BYE},
        /* A HELO's reply offers nothing. */
        {HELLO "500 what?\r\n" T "250-ok\r\n250 PIPELINING\r\n" T BYE,
         SAID_EHLO "> HELO mx.test\nREADY 250 offers 0 size 0\n" SAID_BYE},
        {HELLO "500 what?\r\n" T "500 what?\r\n" T, SAID_EHLO "> HELO mx.test\nCLOSED 500 refused\n"},
        {HELLO "450 4.3.2 later\r\n" T, SAID_EHLO "CLOSED 450 4.3.2 refused\n"},
        {HELLO "354 go\r\n" T, SAID_EHLO "CLOSED 354 reply\n"},
        {"554 no\r\n" T, "CLOSED 554 refused\n"},
        {"421 no\r\n" T, "CLOSED 421 refused\n"},
        {"250 no\r\n" T, "CLOSED 250 reply\n"},
        /* QUIT's reply is not looked at. */
        {HELLO PLAIN_EHLO "500 no\r\n" T, SAID_EHLO "READY 250 offers 0 size 0\n> QUIT\nCLOSED 500 none\n"},
        {HELLO PLAIN_EHLO "421 no\r\n" T, SAID_EHLO "READY 250 offers 0 size 0\n> QUIT\nCLOSED 421 none\n"},
    };

    CHECK_ALL(scripts);
}

static void test_no_replies(void **state)
{
    static const struct script scripts[] = {
        {"SSH-2.0-x\r\n" T, "CLOSED 0 reply\n"},
        {"HTTP/1.1 400 no\r\n" T, "CLOSED 0 reply\n"},
        {"\r\n" T, "CLOSED 0 reply\n"},
        {"22\r\n" T, "CLOSED 0 reply\n"},
        {"120 soon\r\n" T, "CLOSED 0 reply\n"},
        {"620 x\r\n" T, "CLOSED 0 reply\n"},
        {"2200 x\r\n" T, "CLOSED 0 reply\n"},
        {"220\tx\r\n" T, "CLOSED 0 reply\n"},
        {"220 x\n" T, "CLOSED 0 reply\n"},
        {"220 x\rx\r\n" T, "CLOSED 0 reply\n"},
        {"220-x\r\n250 x\r\n" T, "CLOSED 0 reply\n"},
        {HELLO "250-x\r\n251-y\r\n250 z\r\n" T, SAID_EHLO "CLOSED 220 reply\n"},
        {"220\r\n" T "250\r\n" T BYE, SAID_EHLO "READY 250 offers 0 size 0\n" SAID_BYE},
        {"220-\r\n220\r\n" T "250\r\n" T BYE, SAID_EHLO "READY 250 offers 0 size 0\n" SAID_BYE},
    };

    CHECK_ALL(scripts);
}

static void test_limits(void **state)
{
    static char text[1 << 20];
    struct script s = {.text = text};
    size_t n;

    memset(text, 'x', sizeof(text) - 1); /* a line of a megabyte */
    memcpy(text, "220 ", 4);
    s.want = "CLOSED 0 reply\n";
    run_one(&s, sizeof(text) - 1);
    run_one(&s, 0);
    /* The longest line, and one octet more. */
    for (size_t more = 0; more < 2; more++) {
        memset(text, 'x', SMTP_CLIENT_LINE_MAX);
        memcpy(text, "220 ", 4);
        snprintf(text + SMTP_CLIENT_LINE_MAX - 2 + more, 16, "\r\n" T);
        s.want = more ? "CLOSED 0 reply\n" : SAID_EHLO;
        run_one(&s, 0);
        run_one(&s, SMTP_CLIENT_LINE_MAX - 2);
    }
    for (size_t more = 0; more < 2; more++) {
        n = 0;
        for (size_t i = 0; i + 1 < SMTP_CLIENT_LINES_MAX + more; i++)
            n += (size_t)snprintf(text + n, 16, "220-x\r\n");
        snprintf(text + n, 16, "220 x\r\n" T);
        s.want = more ? "CLOSED 0 reply\n" : SAID_EHLO;
        run_one(&s, 0);
    }
}

static void test_texts(void **state)
{
    char longest[400], want[400], cut_character[400];
    struct script scripts[] = {
        {"554-5.7.1 no\r\n554-5.7.1 mail from\r\n554 5.7.2 you\r\n" T,
         "CLOSED 554 5.7.1 refused {554 5.7.1 no mail from 5.7.2 you}\n"},
        {"554 4.7.1 another class\r\n" T, "CLOSED 554 refused {554 4.7.1 another class}\n"},
        {"554 5.7\r\n" T, "CLOSED 554 refused {554 5.7}\n"},
        {"554 5.7.1234 x\r\n" T, "CLOSED 554 refused {554 5.7.1234 x}\n"},
        {"554 5.7.1x\r\n" T, "CLOSED 554 refused {554 5.7.1x}\n"},
        {"554 5.123.123\r\n" T, "CLOSED 554 5.123.123 refused {554 5.123.123}\n"},
        {"554\r\n" T, "CLOSED 554 refused {554}\n"},
        {"554 a\x1b[2J\x07\x7f\tb\r\n" T, "CLOSED 554 refused {554 a?[2J???b}\n"},
        {"554 \xc2\x9b"
         "31m \xe2\x80\xae \x80 gr\xc3\xbc\xc3\x9f\r\n" T,
         "CLOSED 554 refused {554 ??31m ??? ? gr\xc3\xbc\xc3\x9f}\n"},
        {longest, want},
        {cut_character, want},
    };
    struct client_harness h;
    struct smtp_client_event e;

    memset(want, 0, sizeof(want));
    snprintf(longest, sizeof(longest), "554 %0300d\r\n" T, 0);
    snprintf(want, sizeof(want), "CLOSED 554 refused {554 %0196d}\n", 0);
    snprintf(cut_character, sizeof(cut_character), "554 %0196d\xc3\xbc\r\n" T, 0);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        scripts[i].texts = true;
    CHECK_ALL(scripts);
    snprintf(cut_character, sizeof(cut_character), "554 %0195d\xe2\x82\xac\r\n" T, 0);
    snprintf(want, sizeof(want), "CLOSED 554 refused {554 %0195d}\n", 0);
    check_all(&scripts[10], 1);
    /* A NUL ends no text. */
    client_harness_init(&h);
    buf_append(&h.in, "554 a\0b\r\n", 9);
    smtp_client_next(h.c, &h.in, &e);
    assert_int_equal(e.type, SMTP_CLIENT_CLOSED);
    assert_string_equal(e.reply->text, "554 a?b");
    client_harness_free(&h);
}

#define READY_0 SAID_EHLO "READY 250 offers 0 size 0\n"
#define READY_2 SAID_EHLO "READY 250 offers 2 size 0\n"
#define ONE_OK "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 250 of 0\n> DATA\nWANTS 354\n" CONTENT
#define SAY_ONE "250 ok\r\n" T "250 ok\r\n" T "354 go\r\n" T
#define TWO "> MAIL FROM:<a@x>\n> RCPT TO:<b@y>\n> RCPT TO:<c@y>\n"

static void test_one_by_one(void **state)
{
    static const struct smtp_client_mail again[] = {{.sender = "a@x", .rcpts = two, .n = 1},
                                                    {.sender = "a@x", .rcpts = two, .n = 1}};
    static const struct script scripts[] = {
        {HELLO PLAIN_EHLO SAY_ONE "250 2.0.0 ok\r\n" T BYE, READY_0 ONE_OK "DONE 250 2.0.0\n" SAID_BYE, &to_one, 1},
        {HELLO PLAIN_EHLO SAY_ONE "250 ok\r\n" T SAY_ONE "250 ok\r\n" T BYE,
         READY_0 ONE_OK "DONE 250\n" ONE_OK "DONE 250\n" SAID_BYE, again, 2},
        /* After a refusal RSET comes first. */
        {HELLO PLAIN_EHLO SAY_ONE "554 no\r\n" T "250 ok\r\n" T SAY_ONE "452 no\r\n" T BYE,
         READY_0 ONE_OK "DONE 554\n> RSET\n" ONE_OK "DONE 452\n" SAID_BYE, again, 2},
        {HELLO PLAIN_EHLO SAY_ONE "554 no\r\n" T "500 no\r\n" T,
         READY_0 ONE_OK "DONE 554\n> RSET\nCLOSED 500 refused\n", again, 2},
        {HELLO PLAIN_EHLO "550 5.1.8 no\r\n" T BYE, READY_0 "> MAIL FROM:<a@x>\nSENDER 550 5.1.8\nDONE 0\n" SAID_BYE,
         &to_two, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "550 no\r\n" T "251 ok\r\n" T "354 go\r\n" T "250 ok\r\n" T BYE,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 550 of 0\n> RCPT TO:<c@y>\nRCPT 251 of 1\n> "
                 "DATA\nWANTS 354\n" CONTENT "DONE 250\n" SAID_BYE,
         &to_two, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "550 no\r\n" T "450 no\r\n" T BYE,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 550 of 0\n> RCPT TO:<c@y>\nRCPT 450 of 1\n"
                 "DONE 0\n" SAID_BYE,
         &to_two, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "250 ok\r\n" T "554 5.5.1 no\r\n" T BYE,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 250 of 0\n> DATA\nDONE 554 5.5.1\n" SAID_BYE,
         &to_one, 1},
    };

    CHECK_ALL(scripts);
}

static void test_pipelining(void **state)
{
    static const struct smtp_client_mail both[] = {{.sender = "a@x", .rcpts = two, .n = 2},
                                                   {.sender = "a@x", .rcpts = two, .n = 2}};
    static const struct script scripts[] = {
        {HELLO PIPE_EHLO "250 ok\r\n250 ok\r\n250 ok\r\n" T "354 go\r\n" T "250 ok\r\n" T BYE,
         READY_2 TWO "SENDER 250\nRCPT 250 of 0\nRCPT 250 of 1\n> DATA\nWANTS 354\n" CONTENT "DONE 250\n" SAID_BYE,
         both, 1},
        {HELLO PIPE_EHLO "250 ok\r\n" T "250 ok\r\n452 4.5.3 too many\r\n" T "354 go\r\n" T "250 ok\r\n" T BYE,
         READY_2 TWO "SENDER 250\nRCPT 250 of 0\nRCPT 452 4.5.3 of 1\n> DATA\nWANTS 354\n" CONTENT
                     "DONE 250\n" SAID_BYE,
         both, 1},
        /* MAIL was refused: what comes of the RCPTs that are on their way is nobody's affair. */
        {HELLO PIPE_EHLO "550 no\r\n503 no\r\n503 no\r\n" T "250 ok\r\n250 ok\r\n550 no\r\n" T "354 go\r\n" T
                         "250 ok\r\n" T BYE,
         READY_2 TWO "SENDER 550\nDONE 0\n" TWO "SENDER 250\nRCPT 250 of 0\nRCPT 550 of 1\n> DATA\nWANTS 354\n" CONTENT
                     "DONE 250\n" SAID_BYE,
         both, 2},
        {HELLO PIPE_EHLO "550 no\r\n250 ok\r\n250 ok\r\n" T BYE, READY_2 TWO "SENDER 550\nDONE 0\n" SAID_BYE, both, 1},
        {HELLO PIPE_EHLO "250 ok\r\n550 no\r\n550 no\r\n" T "250 ok\r\n" T "550 no\r\n503 no\r\n503 no\r\n" T BYE,
         READY_2 TWO "SENDER 250\nRCPT 550 of 0\nRCPT 550 of 1\nDONE 0\n> RSET\n" TWO "SENDER 550\nDONE 0\n" SAID_BYE,
         both, 2},
        /* DATA is not said before somebody is there, so no 354 can come for nobody. */
        {HELLO PIPE_EHLO "250 ok\r\n550 no\r\n550 no\r\n354 go\r\n" T,
         READY_2 TWO "SENDER 250\nRCPT 550 of 0\nRCPT 550 of 1\nDONE 0\nCLOSED 354 reply\n", both, 1},
    };

    CHECK_ALL(scripts);
}

/* What answers nothing, or comes before what it would answer. */
static void test_out_of_turn(void **state)
{
    static const struct script scripts[] = {
        {"220 hi\r\n250 mx\r\n" T, "CLOSED 250 reply\n"},
        {HELLO "250 mx\r\n250 ok\r\n" T, SAID_EHLO "READY 250 offers 0 size 0\nCLOSED 250 reply\n", &to_one, 1},
        /* All at once, as to a client that does not look. */
        {HELLO PIPE_EHLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n" T,
         READY_2 TWO "SENDER 250\nRCPT 250 of 0\nRCPT 250 of 1\nCLOSED 354 reply\n", &to_two, 1},
        {HELLO PIPE_EHLO "250 ok\r\n250 ok\r\n250 ok\r\n" T "354 go\r\n250 ok\r\n" T,
         READY_2 TWO "SENDER 250\nRCPT 250 of 0\nRCPT 250 of 1\n> DATA\nWANTS 354\nCLOSED 250 reply\n", &to_two, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n250 ok\r\n" T, READY_0 "> MAIL FROM:<a@x>\nSENDER 250\nCLOSED 250 reply\n",
         &to_one, 1},
        /* Codes that make no sense there. */
        {HELLO PLAIN_EHLO "354 go\r\n" T, READY_0 "> MAIL FROM:<a@x>\nCLOSED 354 reply\n", &to_one, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "354 go\r\n" T,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nCLOSED 354 reply\n", &to_one, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "250 ok\r\n" T "250 ok\r\n" T,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 250 of 0\n> DATA\nCLOSED 250 reply\n", &to_one,
         1},
        {HELLO PLAIN_EHLO SAY_ONE "354 go\r\n" T, READY_0 ONE_OK "CLOSED 354 reply, in doubt\n", &to_one, 1},
        /* The content is on its way: what is no reply leaves it in doubt, as does an end. */
        {HELLO PLAIN_EHLO SAY_ONE "what\r\n" T, READY_0 ONE_OK "CLOSED 354 reply, in doubt\n", &to_one, 1},
        {HELLO PLAIN_EHLO SAY_ONE, READY_0 ONE_OK "in doubt\n", &to_one, 1},
        {HELLO PLAIN_EHLO SAY_ONE "250-half", READY_0 ONE_OK "in doubt\n", &to_one, 1},
        /* Not yet all of it. */
        {HELLO PLAIN_EHLO "250 ok\r\n" T "250 ok\r\n" T "354 go\r\n552 5.3.4 too big\r\n" T,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 250 of 0\n> DATA\nWANTS 354\n"
                 "CLOSED 552 5.3.4 unwanted\n",
         &to_one, 1},
        {HELLO PLAIN_EHLO "250 ok\r\n" T "250 ok\r\n" T "354 go\r\n452 4.3.1 full\r\n" T,
         READY_0 "> MAIL FROM:<a@x>\nSENDER 250\n> RCPT TO:<b@y>\nRCPT 250 of 0\n> DATA\nWANTS 354\n"
                 "CLOSED 452 4.3.1 refused\n",
         &to_one, 1},
    };

    CHECK_ALL(scripts);
}

/* RFC 5321 section 3.8: at any moment. */
static void test_421(void **state)
{
    static const char *const said[] = {HELLO, PIPE_EHLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n" T, "354 go\r\n" T};

    for (size_t stop = 0; stop <= sizeof(said) / sizeof(said[0]); stop++) {
        char text[256] = "", *end = NULL;
        struct client_harness h;

        for (size_t i = 0; i < stop; i++)
            strcat(text, said[i]);
        strcat(text, "421 4.3.2 down\r\n" T);
        client_harness_init(&h);
        h.mails = &to_two;
        h.nmails = 1;
        h.content = slice_str("x\r\n");
        client_harness_run(&h, text, strlen(text), strlen(text));
        end = strstr((char *)h.log.data, "CLOSED 421 4.3.2 refused\n");
        assert_non_null(end);
        assert_null(strstr((char *)h.log.data, "DONE"));
        client_harness_free(&h);
    }
}

#define TLS_EHLO "250-mx\r\n250-STARTTLS\r\n250-STARTTLS\r\n250 PIPELINING\r\n" T
#define SAID_TLS SAID_EHLO "READY 250 offers 3 size 0\n> STARTTLS\n"

static void test_starttls(void **state)
{
    static const struct script scripts[] = {
        {HELLO TLS_EHLO "220 go\r\n" T PLAIN_EHLO BYE,
         SAID_TLS "START_TLS 220\n" SAID_EHLO "READY 250 offers 0 size 0\n" SAID_BYE, .with_tls = true},
        /* It is not offered again where it is on. */
        {HELLO TLS_EHLO "220 go\r\n" T TLS_EHLO BYE,
         SAID_TLS "START_TLS 220\n" SAID_EHLO "READY 250 offers 2 size 0\n" SAID_BYE, .with_tls = true},
        {HELLO TLS_EHLO "454 4.7.0 not now\r\n" T BYE, SAID_TLS "NO_TLS 454 4.7.0\n" SAID_BYE, .with_tls = true},
        {HELLO TLS_EHLO "502 no\r\n" T BYE, SAID_TLS "NO_TLS 502\n" SAID_BYE, .with_tls = true},
        {HELLO TLS_EHLO "250 ok\r\n" T, SAID_TLS "CLOSED 250 reply\n", .with_tls = true},
        {HELLO TLS_EHLO "354 ok\r\n" T, SAID_TLS "CLOSED 354 reply\n", .with_tls = true},
        /* RFC 3207 section 6: what was said in the clear does not count inside. */
        {HELLO TLS_EHLO "220 go\r\n250 PIPELINING\r\n" T, SAID_TLS "CLOSED 220 early\n", .with_tls = true,
         .depends_on_cut = true},
        {HELLO TLS_EHLO "220 go\r\nx" T, SAID_TLS "CLOSED 220 early\n", .with_tls = true, .depends_on_cut = true},
        {HELLO TLS_EHLO "220 go\r\n" T "502 what?\r\n" T "250 ok\r\n" T BYE,
         SAID_TLS "START_TLS 220\n" SAID_EHLO "> HELO mx.test\nREADY 250 offers 0 size 0\n" SAID_BYE, .with_tls = true},
    };

    CHECK_ALL(scripts);
}

/* user, pencil, in base64; the server's part was reckoned by python3's hashlib for this nonce. */
#define SAID_FIRST "> AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9TVRJek5EVTJOemc1TURFeU16UTFOamM0\n"
#define SCRAM_EHLO "250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n" T
#define READY_SCRAM SAID_EHLO "READY 250 offers 384 size 0\n"
#define FIRST "334 cj1NVEl6TkRVMk56ZzVNREV5TXpRMU5qYzRzZXJ2ZXIscz1jMkZzZEhOaGJIUnpZV3gwYzJGc2RBPT0saT00MDk2\r\n" T
#define SAID_FINAL                                                           \
    "> Yz1iaXdzLHI9TVRJek5EVTJOemc1TURFeU16UTFOamM0c2VydmVyLHA9MEQ4bUluYTdj" \
    "V2VrRkYvSUp0eU8xYURnRjlhSzNIUzFZK1BwczBZODlmOD0=\n"
#define PROOF "334 dj01YlB4N3VXR1NueWk4UUE1TDk3MzFabm1oQzZ4VDVBT0ZITkloWUNkWVNrPQ==\r\n" T

static void test_login(void **state)
{
    static const struct script scripts[] = {
        {HELLO SCRAM_EHLO FIRST PROOF "235 in\r\n" T BYE,
         READY_SCRAM SAID_FIRST SAID_FINAL "> \nLOGGED_IN 235\n" SAID_BYE, .user = "user"},
        {HELLO SCRAM_EHLO FIRST "535 5.7.8 no\r\n" T BYE,
         READY_SCRAM SAID_FIRST SAID_FINAL "LOGGED_IN 535 5.7.8\n" SAID_BYE, .user = "user"},
        {HELLO SCRAM_EHLO "454 later\r\n" T BYE, READY_SCRAM SAID_FIRST "LOGGED_IN 454\n" SAID_BYE, .user = "user"},
        /* A server that accepts without its proof, or with a false one. */
        {HELLO SCRAM_EHLO "235 in\r\n" T, READY_SCRAM SAID_FIRST "CLOSED 235 login\n", .user = "user"},
        {HELLO SCRAM_EHLO FIRST "235 in\r\n" T, READY_SCRAM SAID_FIRST SAID_FINAL "CLOSED 235 login\n", .user = "user"},
        {HELLO SCRAM_EHLO FIRST "334 dj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9\r\n" T "235 in\r\n" T,
         READY_SCRAM SAID_FIRST SAID_FINAL "> *\nCLOSED 235 login\n", .user = "user"},
        {HELLO SCRAM_EHLO "334 \r\n" T "501 cancelled\r\n" T, READY_SCRAM SAID_FIRST "> *\nCLOSED 501 login\n",
         .user = "user"},
        {HELLO SCRAM_EHLO "334-cj0=\r\n334 cj0=\r\n" T "501 cancelled\r\n" T,
         READY_SCRAM SAID_FIRST "> *\nCLOSED 501 login\n", .user = "user"},
        {HELLO SCRAM_EHLO "334 !\r\n" T "334 !\r\n" T, READY_SCRAM SAID_FIRST "> *\nCLOSED 334 login\n",
         .user = "user"},
        {HELLO SCRAM_EHLO FIRST PROOF "334 \r\n" T "501 no\r\n" T,
         READY_SCRAM SAID_FIRST SAID_FINAL "> \n> *\nCLOSED 501 login\n", .user = "user"},
        {HELLO SCRAM_EHLO "250 ok\r\n" T, READY_SCRAM SAID_FIRST "CLOSED 250 login\n", .user = "user"},
        /* PLAIN goes by TLS alone. */
        {HELLO "250-mx\r\n250 AUTH PLAIN\r\n" T BYE, SAID_EHLO "READY 250 offers 128 size 0\nno login\n" SAID_BYE,
         .user = "user"},
        {HELLO TLS_EHLO "220 go\r\n" T "250-mx\r\n250 AUTH PLAIN\r\n" T "235 2.7.0 in\r\n" T BYE,
         SAID_TLS "START_TLS 220\n" SAID_EHLO
                  "READY 250 offers 128 size 0\n> AUTH PLAIN AHVzZXIAcGVuY2ls\nLOGGED_IN 235 2.7.0\n" SAID_BYE,
         .with_tls = true, .user = "user"},
        {HELLO TLS_EHLO "220 go\r\n" T "250-mx\r\n250 AUTH PLAIN\r\n" T "334 more\r\n" T "501 no\r\n" T,
         SAID_TLS "START_TLS 220\n" SAID_EHLO
                  "READY 250 offers 128 size 0\n> AUTH PLAIN AHVzZXIAcGVuY2ls\n> *\nCLOSED 501 login\n",
         .with_tls = true, .user = "user"},
    };

    CHECK_ALL(scripts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),       cmocka_unit_test(test_no_replies), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_one_by_one), cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_out_of_turn), cmocka_unit_test(test_421),        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
