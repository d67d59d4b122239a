/* The log's lines about mail: one for each recipient, with what became of it and why; how many lines strangers can
 * cause; names only while the operator wants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/base/debts.h"
#include "server/base/event.h"
#include "server/ingest/transaction/report.h"
#include "tests/support/ingest_bench.h"

enum { LINES_MAX = 2000 };

static struct said {
    enum event_kind event;
    uint64_t numbers[EVENT_NUMBERS_mail];
    char id[TRANSACTION_ID_LEN + 1], to[64];
    uint8_t hash[EVENT_RAWS_mail - 1][EVENT_HASH_SIZE]; /* the salt, then the names */
} lines[LINES_MAX];
static size_t nlines, ended;

enum { AT, REASON, REPLY, STATUS, OCTETS, RECIPIENTS };
enum { SALT, SENDER, SENDER_BASE, SENDER_DOMAIN, RECIPIENT, RECIPIENT_BASE, RECIPIENT_ACCOUNT };

static void collect(const struct event_record *r)
{
    struct said *s = &lines[nlines];

    ended += r->event == EVENT_session_ended && r->numbers[1] == 421;
    if (r->event != EVENT_mail && r->event != EVENT_mail_untold && r->event != EVENT_named_mail)
        return;
    assert_true(nlines < LINES_MAX);
    *s = (struct said){.event = r->event};
    memcpy(s->numbers, r->numbers, sizeof(s->numbers));
    if (r->event == EVENT_mail)
        for (int i = 1; i < EVENT_RAWS_mail; i++)
            memcpy(s->hash[i - 1], r->raws[i].data, EVENT_HASH_SIZE);
    if (r->event != EVENT_mail_untold)
        memcpy(s->id, r->raws[0].data, r->raws[0].len);
    if (r->event == EVENT_named_mail)
        memcpy(s->to, r->raws[3].data, r->raws[3].len);
    nlines++;
}

static int setup_report(void **state)
{
    int err = setup(state);

    event_init("ingest", LOG_LEVEL_INFO, false);
    event_to(collect);
    nlines = ended = 0;
    return err;
}

static int teardown_report(void **state)
{
    transaction_report_untold(&in);
    return teardown(state);
}

/* The oldest line that was not looked at. */
static void said(enum event_STAGE at, enum event_REASON why, unsigned reply, unsigned status, unsigned recipients)
{
    assert_true(nlines > 0);
    assert_int_equal(lines[0].event, EVENT_mail);
    assert_int_equal(lines[0].numbers[AT], at);
    assert_int_equal(lines[0].numbers[REASON], why);
    assert_int_equal(lines[0].numbers[REPLY], reply);
    assert_int_equal(lines[0].numbers[STATUS], status);
    assert_int_equal(lines[0].numbers[RECIPIENTS], recipients);
    memmove(lines, lines + 1, --nlines * sizeof(lines[0]));
}

#define SAID(at, why, reply, status, n) said(EVENT_STAGE_##at, EVENT_REASON_##why, reply, status, n)

static bool is_none(const uint8_t hash[EVENT_HASH_SIZE])
{
    static const uint8_t zeros[EVENT_HASH_SIZE];

    return memcmp(hash, zeros, sizeof(zeros)) == 0;
}

static void test_accepted(void **state)
{
    struct talker *t = dial();

    say(t, "MAIL FROM:<x+1@example.net>\r\n" TO("alice") TO("al") TO("bob+list") "DATA\r\n");
    expect(t, "354 ");
    assert_int_equal(nlines, 0);
    say(t, BODY);
    expect(t, "250 2.0.0 Accepted");
    assert_int_equal(nlines, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(lines[i].id, lines[0].id);
        for (int h = SALT; h <= RECIPIENT; h++)
            assert_false(is_none(lines[i].hash[h]));
        assert_int_equal(is_none(lines[i].hash[RECIPIENT_BASE]), i != 2);
        assert_int_equal(is_none(lines[i].hash[RECIPIENT_ACCOUNT]), i != 1);
        for (int j = 0; j < i; j++) /* each line its own salt */
            for (int h = SALT; h <= SENDER_DOMAIN; h++)
                assert_memory_not_equal(lines[i].hash[h], lines[j].hash[h], EVENT_HASH_SIZE);
    }
    assert_int_equal(lines[0].numbers[OCTETS], strlen("Subject: hello\r\n\r\nHello\r\n"));
    for (int i = 0; i < 3; i++)
        SAID(END, ACCEPTED, 250, 20000, 3);
    hang_up(t);
}

static void test_refused(void **state)
{
    static const struct {
        const char *line, *want;
        enum event_STAGE at;
        enum event_REASON why;
        unsigned reply, status;
    } rows[] = {
        {TO("x"), "503 5.5.1", EVENT_STAGE_RECIPIENT, EVENT_REASON_ORDER, 503, 50501},
        {"MAIL FROM:x\r\n", "501 5.1.7", EVENT_STAGE_SENDER, EVENT_REASON_MALFORMED, 501, 50107},
        {"MAIL FROM:<x@y> SIZE=9999999999\r\n", "552 5.3.4", EVENT_STAGE_SENDER, EVENT_REASON_TOO_LARGE, 552, 50304},
        {"MAIL FROM:<x@y> FOO=1\r\n", "555 5.5.4", EVENT_STAGE_SENDER, EVENT_REASON_SYNTAX, 555, 50504},
        {"MAIL FROM:<\xc3\xa4@y>\r\n", "553 5.6.7", EVENT_STAGE_SENDER, EVENT_REASON_NON_ASCII, 553, 50607},
        {FROM, "250 ", EVENT_STAGE_SENDER, EVENT_REASON_ACCEPTED, 0, 0},
        {FROM, "503 5.5.1", EVENT_STAGE_SENDER, EVENT_REASON_ORDER, 503, 50501},
        {TO("nobody"), "550 5.1.1", EVENT_STAGE_RECIPIENT, EVENT_REASON_NO_USER, 550, 50101},
        {"RCPT TO:<a@example.net>\r\n", "550 5.7.1", EVENT_STAGE_RECIPIENT, EVENT_REASON_RELAY, 550, 50701},
        {"RCPT TO:<a\r\n", "501 5.1.3", EVENT_STAGE_RECIPIENT, EVENT_REASON_MALFORMED, 501, 50103},
    };
    struct talker *t;

    in.config.smtp_errors = 1000;
    t = dial();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        say(t, rows[i].line);
        expect(t, rows[i].want);
        if (rows[i].reply)
            said(rows[i].at, rows[i].why, rows[i].reply, rows[i].status, 0);
        assert_int_equal(nlines, 0);
    }
    hang_up(t);
    run_ms(20);
    assert_int_equal(nlines, 0); /* no recipient, no mail */
}

static void test_given_up(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") TO("bob") "RSET\r\n");
    expect(t, "250 2.0.0 OK");
    SAID(RECIPIENT, ABANDONED, 0, 0, 2);
    SAID(RECIPIENT, ABANDONED, 0, 0, 2);
    say(t, FROM TO("nobody") TO("alice") "DATA\r\n");
    expect(t, "354 ");
    SAID(RECIPIENT, NO_USER, 550, 50101, 0);
    say(t, "a\nb\r\n.\r\n");
    expect(t, "554 5.6.0");
    SAID(CONTENT, BARE, 554, 50600, 1);
    say(t, FROM TO("nobody") TO("alice") "DATA\r\n");
    expect(t, "354 ");
    SAID(RECIPIENT, NO_USER, 550, 50101, 0);
    say(t, "a\nb\r\n");
    run_ms(20);
    hang_up(t);
    run_ms(20);
    SAID(CONTENT, BARE, 0, 0, 1); /* it never came to the refusal */
    t = dial();
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, "Subject: x\r\n");
    run_ms(20);
    in.stopping = true;
    smtp_session_stop_all(&in);
    run_ms(20);
    SAID(CONTENT, STOPPING, 421, 40302, 1);
    assert_int_equal(nlines, 0);
    hang_up(t);
    run_ms(20);
    assert_int_equal(ended, 1); /* not those that left by themselves */
}

/* One recipient's mail is stored and another's is not: all are asked for again, and the log tells them apart. */
static void test_some_are_stored(void **state)
{
    struct talker *t = dial();

    in.stall_ms = 300;
    say(t, FROM TO("alice") TO("odd") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "451 4.3.0");
    SAID(END, ACCEPTED, 451, 40300, 2);
    SAID(END, DEFERRED, 451, 40300, 2);
    assert_int_equal(stored(alice), 1);
    hang_up(t);
}

/* What anybody can cause for nothing has REPORTS_CHEAP_MAX lines a minute; messages have theirs all the same. */
static void test_flood(void **state)
{
    struct talker *t;

    in.config.smtp_errors = 100000;
    debts_limits(in.debts, 100000, 60000);
    t = dial();
    say(t, FROM);
    expect(t, "250 ");
    for (int i = 0; i < REPORTS_CHEAP_MAX + 100; i++) {
        say(t, TO("nobody"));
        expect(t, "550 5.1.1");
    }
    assert_int_equal(nlines, REPORTS_CHEAP_MAX);
    say(t, TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "250 2.0.0");
    assert_int_equal(nlines, REPORTS_CHEAP_MAX + 1);
    assert_int_equal(lines[REPORTS_CHEAP_MAX].numbers[REASON], EVENT_REASON_ACCEPTED);
    transaction_report_untold(&in); /* the minute is over */
    assert_int_equal(lines[REPORTS_CHEAP_MAX + 1].event, EVENT_mail_untold);
    assert_int_equal(lines[REPORTS_CHEAP_MAX + 1].numbers[0], 100);
    say(t, FROM);
    expect(t, "250 ");
    say(t, TO("nobody"));
    expect(t, "550 5.1.1");
    assert_int_equal(nlines, REPORTS_CHEAP_MAX + 3);
    hang_up(t);
}

static void test_names(void **state)
{
    struct talker *t = dial();

    event_init("ingest", LOG_LEVEL_INFO, true);
    send_to_alice(t, "250 2.0.0");
    assert_int_equal(nlines, 2);
    assert_int_equal(lines[0].event, EVENT_named_mail);
    assert_string_equal(lines[0].to, "alice@example.org");
    assert_string_equal(lines[0].id, lines[1].id);
    hang_up(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_report, teardown_report)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_accepted),        TEST(test_refused), TEST(test_given_up),
        TEST(test_some_are_stored), TEST(test_flood),   TEST(test_names),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
