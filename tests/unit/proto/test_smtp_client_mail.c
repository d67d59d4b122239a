/* What the SMTP client says of a mail, what it refuses to say, and that all of it comes through: the client's engine
 * against the server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "server/proto/smtp.h"
#include "tests/support/smtp_client_harness.h"

/* ---- a client that is ready ---- */

static struct smtp_client *ready(const char *offers)
{
    struct smtp_client *c = smtp_client_create("mx.test");
    struct smtp_client_event e;
    struct buf in;

    buf_init(&in, 4096, false);
    buf_puts(&in, "220 hi\r\n");
    smtp_client_next(c, &in, &e);
    buf_clear(smtp_client_output(c));
    buf_printf(&in, "250-mx\r\n%s250 OK\r\n", offers);
    smtp_client_next(c, &in, &e);
    assert_int_equal(e.type, SMTP_CLIENT_READY);
    buf_free(&in);
    return c;
}

static void expect_output(struct smtp_client *c, const char *want)
{
    struct buf *out = smtp_client_output(c);

    assert_int_equal(out->len, strlen(want));
    assert_memory_equal(out->len ? out->data : (const uint8_t *)"", want, out->len);
    buf_consume(out, out->len);
}

static struct smtp_client_event hear(struct smtp_client *c, const char *text)
{
    struct smtp_client_event e, first = {.type = SMTP_CLIENT_NEED_INPUT};
    struct buf in;

    buf_init(&in, 4096, false);
    buf_puts(&in, text);
    do {
        smtp_client_next(c, &in, &e);
        if (first.type == SMTP_CLIENT_NEED_INPUT || first.type == SMTP_CLIENT_SENDER)
            first = e.type == SMTP_CLIENT_NEED_INPUT ? first : e;
    } while (e.type != SMTP_CLIENT_NEED_INPUT && e.type != SMTP_CLIENT_CLOSED);
    buf_free(&in);
    return first;
}

static void test_arguments(void **state)
{
    static const struct smtp_client_rcpt rcpts[] = {{"b@y", "rfc822;B+2By@y", 2 | 4}, {"\"b c\"@y", "", 1}, {"d@y"}};
    static const struct smtp_client_mail m = {"a@x", 77, true, true, true, "Q+3Dq", 2, rcpts, 3};
    static const struct {
        const char *offers, *mail, *rcpts;
    } cases[] = {
        {"250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-REQUIRETLS\r\n250-DSN\r\n250-SIZE\r\n",
         "MAIL FROM:<a@x> SIZE=77 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=Q+3Dq\r\n",
         "RCPT TO:<b@y> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B+2By@y\r\n"
         "RCPT TO:<\"b c\"@y> NOTIFY=NEVER\r\nRCPT TO:<d@y>\r\n"},
        {"250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-REQUIRETLS\r\n",
         "MAIL FROM:<a@x> BODY=8BITMIME SMTPUTF8 REQUIRETLS\r\n",
         "RCPT TO:<b@y>\r\nRCPT TO:<\"b c\"@y>\r\nRCPT TO:<d@y>\r\n"},
    };

    for (size_t i = 0; i < 2; i++) {
        struct smtp_client *c = ready(cases[i].offers);
        char want[1024];

        assert_int_equal(smtp_client_mail(c, &m), OK);
        snprintf(want, sizeof(want), "%s%s", cases[i].mail, cases[i].rcpts);
        expect_output(c, want);
        smtp_client_destroy(c);
    }
}

static void test_null_sender(void **state)
{
    static const struct smtp_client_rcpt r = {"b@y"};
    static const struct smtp_client_mail m = {.sender = "", .rcpts = &r, .n = 1};
    struct smtp_client *c = ready("");

    assert_int_equal(smtp_client_mail(c, &m), OK);
    expect_output(c, "MAIL FROM:<>\r\n");
    smtp_client_destroy(c);
}

/* What would end a command, or begin another one, is never said: nothing is. */
static void test_what_cannot_be_said(void **state)
{
    static const char *const addresses[] = {
        "",           "a",           "a@",      "@x",          "a@x\r\nRCPT TO:<c@y>",
        "a@x\n",      "a@x\r",       "a @x",    "a@x y",       "a@x>",
        "<a@x>",      "a@x> SIZE=1", "a\r\n@x", "\"a\r\n\"@x", "\"a\n\"@x",
        "a\x01@x",    "\"a\"b@x",    "a@x,b@x", "@r:a@x",      "a@[1.2.3]",
        "a@x\t",      "a@-",         "\"a@x",   "a\xc3@x",     "\x7f@x",
        "\xc2\x9b@x", "a@x;b",       "a@x\"",   " a@x",        "a@x ",
    };
    static const char *const words[] = {"a b", "a\r\nRCPT TO:<c@y>", "a\n", "a=b", "\x7f", "\xc3\xbc", "a\tb"};
    struct smtp_client *c = ready("250-DSN\r\n250-SMTPUTF8\r\n");
    struct smtp_client_rcpt r[2] = {{"b@y"}, {"b@y"}};
    struct smtp_client_mail m = {.sender = "a@x", .smtputf8 = true, .rcpts = r, .n = 2};
    char too_long[700];

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        r[1].address = addresses[i];
        assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
        r[1].address = "b@y";
        m.sender = addresses[i];
        if (*addresses[i])
            assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
        m.sender = "a@x";
    }
    memset(too_long, 'a', sizeof(too_long));
    memcpy(too_long + sizeof(too_long) - 3, "@x", 3);
    r[1].address = too_long;
    assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
    r[1].address = "b@y";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        m.envid = words[i];
        assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
        m.envid = NULL;
        r[0].orcpt = words[i];
        assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
        r[0].orcpt = NULL;
    }
    m.n = 0;
    assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
    m.n = 2;
    m.smtputf8 = false;
    r[0].address = "\xc3\xbc@y";
    assert_int_equal(smtp_client_mail(c, &m), ERR_FORMAT);
    assert_int_equal(smtp_client_output(c)->len, 0);
    /* It stands as it was. */
    m.smtputf8 = true;
    assert_int_equal(smtp_client_mail(c, &m), OK);
    expect_output(c, "MAIL FROM:<a@x> SMTPUTF8\r\n");
    smtp_client_destroy(c);
}

/* ---- content ---- */

static struct smtp_client *wanting(void)
{
    static const struct smtp_client_rcpt r = {"b@y"};
    static const struct smtp_client_mail m = {.sender = "a@x", .rcpts = &r, .n = 1};
    struct smtp_client *c = ready("250-PIPELINING\r\n");

    assert_int_equal(smtp_client_mail(c, &m), OK);
    buf_clear(smtp_client_output(c));
    hear(c, "250 ok\r\n250 ok\r\n");
    buf_clear(smtp_client_output(c));
    assert_int_equal(hear(c, "354 go\r\n").type, SMTP_CLIENT_WANTS_CONTENT);
    return c;
}

/* What some server takes for the end of a message, or of a line, where we see none. */
static void test_no_smuggling(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {
#define BAD(s) {s, sizeof(s) - 1}
        BAD("a\n.\n"),  BAD("a\n.\r\n"), BAD("a\r.\r"),      BAD("a\r.\r\n"), BAD("a\r\n.\r"),
        BAD("a\r\r\n"), BAD("a\r\n\r"),  BAD("\n"),          BAD("\r"),       BAD("a"),
        BAD("a\r\nb"),  BAD("a\0b\r\n"), BAD("a\r\n\0\r\n"), BAD("a\r\n.\n"), BAD("a\r\n.\r.\r\n"),
        BAD("\r\0\n"),  BAD("a\r\n."),
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (size_t cut = 0; cut <= bad[i].len; cut++) {
            struct smtp_client *c = wanting();
            struct buf *out = smtp_client_output(c);
            const uint8_t *p = (const uint8_t *)bad[i].text;
            int err = cut ? smtp_client_content(c, slice_of(p, cut), false) : OK;

            if (err == OK)
                err = smtp_client_content(c, slice_of(p + cut, bad[i].len - cut), true);
            assert_int_equal(err, ERR_FORMAT);
            assert_int_equal(out->len, 0); /* and never an end */
            assert_int_equal(smtp_client_content(c, slice_str("a\r\n"), true), ERR_GONE);
            assert_int_equal(hear(c, "").fault, SMTP_CLIENT_FAULT_CONTENT);
            assert_false(smtp_client_in_doubt(c));
            smtp_client_destroy(c);
        }
}

static void test_dots(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ".\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {"..\r\n", "...\r\n.\r\n"},
        {"a.b\r\n.\r\n.c\r\n\r\n.\r\n", "a.b\r\n..\r\n..c\r\n\r\n..\r\n.\r\n"},
        {"\r\n", "\r\n.\r\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            struct smtp_client *c = wanting();

            assert_int_equal(smtp_client_content(c, slice_of(cases[i].text, cut), false), OK);
            assert_false(smtp_client_in_doubt(c));
            assert_int_equal(smtp_client_content(c, slice_str(cases[i].text + cut), true), OK);
            assert_false(smtp_client_in_doubt(c)); /* nobody can have it yet */
            expect_output(c, cases[i].want);
            assert_true(smtp_client_in_doubt(c));
            assert_int_equal(hear(c, "250 ok\r\n").type, SMTP_CLIENT_DONE);
            assert_false(smtp_client_in_doubt(c));
            smtp_client_destroy(c);
        }
}

/* A full output takes nothing, and says so. */
static void test_output_is_full(void **state)
{
    struct smtp_client *c = wanting();
    static char lines[100 * 1024];
    size_t n = 0;

    for (size_t i = 0; i + 3 <= sizeof(lines); i += 3)
        memcpy(lines + i, ".\r\n", 3);
    while (smtp_client_content(c, slice_of(lines, sizeof(lines) / 3 * 3), false) == OK)
        n++;
    assert_int_equal(n, 1);
    assert_int_equal(smtp_client_output(c)->len, sizeof(lines) / 3 * 4);
    assert_int_equal(smtp_client_content(c, slice_of(lines, sizeof(lines) / 3 * 3), true), ERR_LIMIT);
    buf_clear(smtp_client_output(c));
    assert_int_equal(smtp_client_content(c, slice_of(lines, sizeof(lines) / 3 * 3), true), OK);
    smtp_client_destroy(c);
}

static void test_quit_under_way(void **state)
{
    struct smtp_client *c = wanting();

    smtp_client_quit(c);
    assert_int_equal(smtp_client_output(c)->len, 0);
    assert_int_equal(hear(c, "").type, SMTP_CLIENT_CLOSED);
    smtp_client_destroy(c);
}

/* RFC 5321 section 4.5.3.2: how long each may take at least. */
static void test_patience(void **state)
{
    struct smtp_client *c = smtp_client_create("mx.test");

    assert_true(smtp_client_patience_ms(c) >= 5 * 60 * 1000);
    smtp_client_destroy(c);
    c = wanting();
    assert_true(smtp_client_patience_ms(c) >= 3 * 60 * 1000);
    assert_int_equal(smtp_client_content(c, slice_str("a\r\n"), true), OK);
    assert_true(smtp_client_patience_ms(c) >= 10 * 60 * 1000);
    smtp_client_destroy(c);
}

/* ---- against the server's engine ---- */

enum { MAILS = 6, RCPTS = 40 };

static uint64_t dice_state;

static unsigned dice(unsigned n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % n;
}

struct both {
    struct smtp_client *c;
    struct smtp *s;
    struct buf to_server, to_client, server_in, client_in;
    struct buf content[MAILS], got;
    struct smtp_client_mail mails[MAILS];
    struct smtp_client_rcpt rcpts[MAILS][RCPTS];
    char names[MAILS][RCPTS][24];
    size_t at, given; /* the mail under way, and octets of it */
    size_t asked, stored, done;
    bool ended;
};

static bool is_refused(size_t mail, size_t rcpt)
{
    return (mail * 7 + rcpt * 3) % 5 == 0;
}

/* Lines with dots in front, empty ones, long ones. */
static void make_content(struct buf *b)
{
    static const char *const pieces[] = {".", "..", "\r\n", "\r\n.\r\n", "x", "\xff\x80", "word ", ".\r\n", "\r\n\r\n"};

    buf_init(b, 1 << 20, false);
    for (unsigned n = dice(200); n > 0; n--) {
        const char *p = pieces[dice(9)];

        for (unsigned k = dice(20) ? 1 : dice(3000); k > 0; k--)
            buf_puts(b, p);
    }
    if (b->len < 2 || memcmp(b->data + b->len - 2, "\r\n", 2) != 0)
        buf_puts(b, "\r\n");
}

static void make_both(struct both *b)
{
    const struct smtp_params p = {.domain = "mx.test",
                                  .message_max = 8 << 20,
                                  .recipients_max = RCPTS,
                                  .text_line_max = 1 << 20,
                                  .errors_max = 10000};

    memset(b, 0, sizeof(*b));
    b->c = smtp_client_create("client.test");
    b->s = smtp_create(&p);
    buf_init(&b->to_server, 8 << 20, false);
    buf_init(&b->to_client, 8 << 20, false);
    buf_init(&b->server_in, 8 << 20, false);
    buf_init(&b->client_in, 8 << 20, false);
    buf_init(&b->got, 8 << 20, false);
    for (size_t i = 0; i < MAILS; i++) {
        make_content(&b->content[i]);
        for (size_t k = 0; k < RCPTS; k++) {
            snprintf(b->names[i][k], sizeof(b->names[i][k]), "r%zu.%zu@y", i, k);
            b->rcpts[i][k].address = b->names[i][k];
        }
        b->mails[i] = (struct smtp_client_mail){.sender = dice(3) ? "a@x" : "",
                                                .size = b->content[i].len,
                                                .body_8bit = true,
                                                .smtputf8 = dice(2),
                                                .rcpts = b->rcpts[i],
                                                .n = 1 + dice(RCPTS)};
    }
    b->given = SIZE_MAX;
    smtp_greet(b->s);
}

static void move(struct buf *from, struct buf *to, size_t n)
{
    n = n < from->len ? n : from->len;
    assert_int_equal(buf_append(to, from->data, n), OK);
    buf_consume(from, n);
}

static void serve(struct both *b)
{
    struct smtp_event e;
    size_t mail, rcpt;

    do {
        smtp_next(b->s, &b->server_in, &e);
        switch (e.type) {
        case SMTP_MAIL:
            assert_string_equal(e.address, b->mails[b->at].sender);
            assert_int_equal(e.size, b->content[b->at].len);
            b->asked = 0;
            smtp_accept(b->s, NULL);
            break;
        case SMTP_RCPT:
            assert_int_equal(sscanf(e.address, "r%zu.%zu@y", &mail, &rcpt), 2);
            assert_int_equal(mail, b->at);
            assert_int_equal(rcpt, b->asked++);
            if (is_refused(mail, rcpt))
                smtp_refuse(b->s, 550, "5.1.1", "no");
            else
                smtp_accept(b->s, NULL);
            break;
        case SMTP_BEGIN:
            assert_int_equal(b->asked, b->mails[b->at].n);
            buf_clear(&b->got);
            smtp_accept(b->s, NULL);
            break;
        case SMTP_CONTENT: assert_int_equal(buf_append(&b->got, e.content.data, e.content.len), OK); break;
        case SMTP_END:
            assert_int_equal(b->got.len, b->content[b->at].len);
            assert_memory_equal(b->got.data, b->content[b->at].data, b->got.len);
            assert_true(smtp_envelope(b->s)->body_8bit);
            assert_int_equal(smtp_envelope(b->s)->smtputf8, b->mails[b->at].smtputf8);
            b->stored++;
            smtp_accept(b->s, NULL);
            break;
        case SMTP_FAILED:
        case SMTP_REFUSED: fail(); break;
        case SMTP_RESET:
        case SMTP_ERROR:
        case SMTP_NEED_FLUSH:
        case SMTP_NEED_INPUT:
        case SMTP_CLOSE: break;
        default: fail();
        }
        move(smtp_output(b->s), &b->to_client, SIZE_MAX);
    } while (e.type != SMTP_NEED_INPUT && e.type != SMTP_CLOSE);
}

static void give_some(struct both *b)
{
    const struct buf *content = &b->content[b->at];
    size_t left = content->len - b->given, n = dice(2) ? left : dice((unsigned)left + 1);

    if (n > 32 * 1024)
        n = 32 * 1024;
    assert_int_equal(smtp_client_content(b->c, slice_of(content->data + b->given, n), n == left), OK);
    b->given += n;
}

static void begin_or_quit(struct both *b)
{
    b->given = SIZE_MAX;
    if (b->done < MAILS)
        assert_int_equal(smtp_client_mail(b->c, &b->mails[b->at = b->done]), OK);
    else
        smtp_client_quit(b->c);
}

static void ask(struct both *b)
{
    struct smtp_client_event e;
    bool some = false;

    do {
        smtp_client_next(b->c, &b->client_in, &e);
        switch (e.type) {
        case SMTP_CLIENT_READY: begin_or_quit(b); break;
        case SMTP_CLIENT_SENDER: assert_int_equal(e.reply->code, 250); break;
        case SMTP_CLIENT_RCPT: assert_int_equal(e.reply->code, is_refused(b->at, e.index) ? 550 : 250); break;
        case SMTP_CLIENT_WANTS_CONTENT: b->given = 0; break;
        case SMTP_CLIENT_DONE:
            for (size_t i = 0; i < b->mails[b->at].n; i++)
                some = some || !is_refused(b->at, i);
            assert_int_equal(e.reply->code, some ? 250 : 0);
            b->done++;
            begin_or_quit(b);
            break;
        case SMTP_CLIENT_CLOSED:
            assert_int_equal(e.fault, SMTP_CLIENT_FAULT_NONE);
            b->ended = true;
            break;
        case SMTP_CLIENT_NEED_INPUT: break;
        default: fail();
        }
    } while (e.type != SMTP_CLIENT_NEED_INPUT && e.type != SMTP_CLIENT_CLOSED);
    if (b->given <= b->content[b->at].len && !b->ended) {
        give_some(b);
        if (b->given == b->content[b->at].len)
            b->given = SIZE_MAX;
    }
    move(smtp_client_output(b->c), &b->to_server, SIZE_MAX);
}

static void test_all_comes_through(void **state)
{
    static struct both b;

    for (uint64_t seed = 0; seed < 150; seed++) {
        size_t want = 0;

        dice_state = seed;
        make_both(&b);
        for (size_t i = 0; i < MAILS; i++)
            for (size_t k = 0; k < b.mails[i].n; k++)
                if (!is_refused(i, k)) {
                    want++;
                    break;
                }
        while (!b.ended) {
            unsigned pace = 1 + dice(3) * dice(3) * 1000;

            serve(&b);
            move(&b.to_client, &b.client_in, 1 + dice(pace));
            ask(&b);
            move(&b.to_server, &b.server_in, 1 + dice(pace));
        }
        assert_int_equal(b.stored, want);
        assert_int_equal(b.done, MAILS);
        smtp_client_destroy(b.c);
        smtp_destroy(b.s);
        for (size_t i = 0; i < MAILS; i++)
            buf_free(&b.content[i]);
        buf_free(&b.got);
        buf_free(&b.to_client);
        buf_free(&b.to_server);
        buf_free(&b.server_in);
        buf_free(&b.client_in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_null_sender),
        cmocka_unit_test(test_what_cannot_be_said),
        cmocka_unit_test(test_no_smuggling),
        cmocka_unit_test(test_dots),
        cmocka_unit_test(test_output_is_full),
        cmocka_unit_test(test_quit_under_way),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_all_comes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
