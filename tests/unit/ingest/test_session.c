/* A session with a receiver that the test plays: each event comes to it, its answers may come later, and what the
 * client said meanwhile waits. */
#include "tests/support/ingest_bench.h"

struct played {
    struct smtp_session *session;
    char log[1024];
};
static struct played *now; /* the last that was opened and not closed */
static bool later;         /* answers are the test's to give */
static int refused;

static void note(void *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(void *r, const char *fmt, ...)
{
    struct played *p = r;
    size_t n = strlen(p->log);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->log + n, sizeof(p->log) - n, fmt, ap);
    va_end(ap);
}

static void give_answer(struct played *p)
{
    struct smtp *engine = smtp_session_engine(p->session);

    if (refused)
        smtp_refuse(engine, refused, "5.7.1", "No");
    else
        smtp_accept(engine, NULL);
}

static void answer(struct played *p)
{
    if (!later)
        give_answer(p);
}

static void answer_later(struct played *p)
{
    give_answer(p);
    smtp_session_resume(p->session);
}

static void *on_open(struct ingest *i, struct smtp_session *s)
{
    assert_ptr_equal(i, &in);
    now = calloc(1, sizeof(*now));
    now->session = s;
    return now;
}

static void on_close(void *r)
{
    assert_ptr_equal(r, now);
    free(r);
    now = NULL;
}

static void on_mail(void *r, const struct smtp_event *e)
{
    note(r, "mail=%s,%d ", e->address, (int)e->size);
    answer(r);
}

static void on_rcpt(void *r, const struct smtp_event *e)
{
    note(r, "rcpt=%s ", e->address);
    answer(r);
}

static void on_content(void *r, struct slice content)
{
    note(r, "content=%.*s ", (int)content.len, (const char *)content.data);
}

static void on_failed(void *r, enum smtp_fault fault)
{
    note(r, "failed=%d ", fault);
}

static void on_whole(void *r)
{
    note(r, "end ");
    answer(r);
}

static void on_reset(void *r)
{
    note(r, "reset ");
}

static void on_refused(void *r, const struct smtp_event *e)
{
    note(r, "refused %s=%s ", e->verb == SMTP_MAIL ? "mail" : "rcpt", e->address);
}

static const struct smtp_receiver played = {
    .open = on_open,
    .close = on_close,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .content = on_content,
    .failed = on_failed,
    .end = on_whole,
    .reset = on_reset,
    .refused = on_refused,
};

static struct talker *dial_played(void)
{
    struct talker *t = dial_to(&played, "192.0.2.1");

    expect(t, "220 ");
    say(t, "EHLO c\r\n");
    expect(t, "250 ");
    return t;
}

static void heard(const char *want)
{
    assert_string_equal(now->log, want);
    now->log[0] = '\0';
}

static int setup_played(void **state)
{
    later = false;
    refused = 0;
    return setup(state);
}

static void test_events(void **state)
{
    struct talker *t = dial_played();

    say(t, "MAIL FROM:<a@b.example> SIZE=9\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    expect(t, "354 ");
    heard("mail=a@b.example,9 rcpt=c@d.example ");
    say(t, "..x\r\n.\r\n");
    expect(t, "250 2.0.0");
    heard("content=.x\r\n end ");
    say(t, "MAIL FROM:<>\r\nRSET\r\n");
    expect(t, "250 2.0.0");
    heard("mail=,0 reset ");
    say(t, "MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    expect(t, "354 ");
    say(t, "a\nb\r\n.\r\n");
    expect(t, "554 5.6.0");
    heard("mail=,0 rcpt=c@d.example failed=1 reset ");
    hang_up(t);
    run_ms(20);
    assert_null(now); /* closed with its session */
}

static void test_refusals(void **state)
{
    struct talker *t = dial_played();

    refused = 550;
    say(t, "MAIL FROM:<a@b.example>\r\n");
    expect(t, "550 5.7.1 No");
    refused = 0;
    say(t, "MAIL FROM:<a@b.example>\r\n");
    expect(t, "250 ");
    refused = 450;
    say(t, "RCPT TO:<c@d.example>\r\n");
    expect(t, "450 ");
    hang_up(t);
}

static void test_answered_later(void **state)
{
    struct talker *t = dial_played();

    later = true;
    say(t, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    run_ms(20);
    assert_int_equal(t->len, 0);
    heard("mail=a@b.example,0 ");
    answer_later(now);
    run_ms(20);
    heard("rcpt=c@d.example ");
    answer_later(now);
    expect(t, "354 ");
    say(t, "x\r\n.\r\nNOOP\r\n");
    run_ms(20);
    heard("content=x\r\n end ");
    assert_int_equal(t->len, 0);
    answer_later(now);
    expect(t, "250 2.0.0 OK");
    hang_up(t);
}

/* Whoever waits for an answer gets it before the server stops. */
static void test_stop(void **state)
{
    struct talker *t = dial_played();

    later = true;
    say(t, "MAIL FROM:<a@b.example>\r\n");
    run_ms(20);
    in.stopping = true;
    smtp_session_stop_all(&in);
    run_ms(20);
    assert_int_equal(t->len, 0);
    answer_later(now);
    expect(t, "421 4.3.2");
    hang_up(t);
}

/* The client goes while an answer is due: the receiver is closed, and nobody may answer any more. */
static void test_client_goes(void **state)
{
    struct talker *t = dial_played();

    later = true;
    say(t, "MAIL FROM:<a@b.example>\r\n");
    run_ms(20);
    assert_non_null(now);
    smtp_session_destroy(in.sessions);
    assert_null(now);
    hang_up(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_played, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_events), TEST(test_refusals), TEST(test_answered_later),
                                       TEST(test_stop), TEST(test_client_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
