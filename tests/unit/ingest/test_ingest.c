/* Sessions of the ingest role: what is accepted, refused and deferred, and that nothing is held afterwards. */
#include "tests/support/ingest_bench.h"
#include "tests/support/patience.h"

static void test_accept(void **state)
{
    static char text[65536];
    struct talker *t = dial();
    size_t n, original;

    send_to_alice(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(alice), 1);
    n = open_last(alice, text);
    assert_non_null(strstr(text, "Received: from c ([192.0.2.1])\r\n"
                                 "\tby mx.example.org (Letterlock) with ESMTP\r\n\tid "));
    assert_non_null(strstr(text, "\r\n\tfor <alice@example.org>;\r\n\t"));
    assert_int_equal(header_unprotect((uint8_t *)text, n, &original), OK);
    assert_memory_equal(text, "Subject: hello\r\n\r\nHello\r\n", original);
    assert_int_equal(in.counters[COUNT_ACCEPTED], 1);
    assert_int_equal(in.counters[COUNT_SEALED], 1);
    assert_int_equal(in.counters[COUNT_BYTES], 25);
    assert_int_equal(budget_taken(in.places), 0);
    hang_up(t);
}

static void test_many(void **state)
{
    struct talker *t = dial();
    static char text[65536];

    /* Each address is a delivery, in whatever spelling; several recipients are not named in Received. */
    say(t, FROM TO("alice") TO("al") TO("bob") TO("Alice+tag") TO("ALICE") TO("alice+TAG") "BDAT 3 LAST\r\nx\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(alice), 3);
    assert_int_equal(in.counters[COUNT_SEALED], 4);
    assert_int_equal(stored(bob), 1);
    open_last(bob, text);
    assert_null(strstr(text, "\tfor <"));
    /* Many messages in one session, and in one write. */
    for (int i = 0; i < 50; i++)
        say(t, FROM TO("alice") "BDAT 12 LAST\r\nSubject: y\r\n");
    say(t, "NOOP\r\n");
    expect(t, "250 2.0.0 OK");
    assert_int_equal(stored(alice), 4); /* the same content from the same sender: the delivery id knows it */
    for (int i = 0; i < 50; i++) {
        char m[100];
        snprintf(m, sizeof(m), FROM TO("alice") "BDAT 14 LAST\r\nSubject: %03d\r\n", i);
        say(t, m);
    }
    say(t, "NOOP\r\n");
    expect(t, "250 2.0.0 OK");
    assert_int_equal(stored(alice), 54);
    hang_up(t);
}

/* Not known whether it was stored: the sender tries again, and whichever it was there is one copy. */
static void test_store_unknown(void **state)
{
    struct talker *t = dial();

    for (unsigned i = 0; i < 4; i++) {
        char m[300];
        snprintf(m, sizeof(m), FROM TO("alice") "BDAT 14 LAST\r\nSubject: %03u\r\n", i);
        engine_fail_unknown(b.fail, i % 2, i / 2);
        say(t, m);
        expect(t, "451 4.");
        say(t, m);
        expect(t, "250 2.0.0 Accepted");
        assert_int_equal(stored(alice), i + 1);
    }
    hang_up(t);
}

static void test_recipients(void **state)
{
    static const struct {
        const char *rcpt, *want;
        enum ingest_counter c;
    } cases[] = {
        {"nobody@example.org", "550 5.1.1 ", COUNT_NO_USER},
        {"alice@example.net", "550 5.7.1 ", COUNT_RELAY},
        {"full@example.org", "452 4.2.2 ", COUNT_QUOTA},
        {"\"a b\"@example.org", "550 5.1.", COUNT_NO_USER},
        {"a@[192.0.2.1]", "550 5.", COUNT_RELAY},
    };
    struct talker *t = dial();
    char line[200];

    say(t, "MAIL FROM:<x@example.net> SIZE=1000\r\n");
    expect(t, "250 2.1.0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", cases[i].rcpt);
        say(t, line);
        expect(t, cases[i].want);
    }
    say(t, "RCPT TO:<ALICE@EXAMPLE.ORG>\r\n");
    expect(t, "250 2.1.5");
    say(t, "RSET\r\nMAIL FROM:<x@example.net> SIZE=3000000\r\n");
    expect(t, "552 5.3.4");
    in.config.recipients_max = 1; /* of new sessions */
    struct talker *u = dial();
    say(u, FROM TO("alice") TO("bob"));
    expect(u, "452 4.5.3");
    hang_up(u);
    hang_up(t);
}

/* A snapshot that lived too long is taken again; if all do, the client is asked to come again, never refused for
 * good. */
static void test_overrun(void **state)
{
    struct talker *t = dial();

    say(t, "MAIL FROM:<x@example.net>\r\n");
    engine_fail_overrun(b.fail, VIEW_TRIES - 1);
    say(t, TO("alice"));
    expect(t, "250 2.1.5");
    engine_fail_overrun(b.fail, VIEW_TRIES);
    say(t, TO("bob"));
    expect(t, "451 4.3.0");
    say(t, TO("nobody"));
    expect(t, "550 5.1.1");
    engine_fail_overrun(b.fail, 2 * VIEW_TRIES); /* whether its key is of use, and while it is sealed */
    say(t, "BDAT 15 LAST\r\nSubject: late\r\n");
    expect(t, "451 4.");
    say(t, FROM TO("alice") "BDAT 15 LAST\r\nSubject: late\r\n");
    expect(t, "250 2.0.0 Accepted as ");
    assert_int_equal(stored(alice), 1);
    hang_up(t);
}

static void test_quota_reserved(void **state)
{
    uint64_t carol = add_account("carol@example.org", 100000, &key);
    struct talker *t = dial(), *u = dial();

    /* What one session was promised, another is not. */
    say(t, "MAIL FROM:<x@example.net> SIZE=90000\r\n" TO("carol"));
    expect(t, "250 2.1.5");
    assert_int_equal(transaction_quota_reserved(carol), 90000);
    say(u, "MAIL FROM:<x@example.net> SIZE=20000\r\n" TO("carol"));
    expect(u, "452 4.2.2");
    say(t, "RSET\r\n");
    expect(t, "250 2.0.0");
    say(u, TO("carol"));
    expect(u, "250 2.1.5");
    hang_up(t);
    hang_up(u);
    run_ms(20);
    assert_int_equal(transaction_quota_reserved(carol), 0);
}

/* The store fails at every possible write in turn: never 250, never half a message; the retry brings what is missing
 * and no doubles. */
static void test_store_fails(void **state)
{
    struct talker *t = dial();
    unsigned failures = 0, na = 0, nb = 0;

    for (uint64_t nth = 1; nth < 60; nth++) {
        char m[300];
        snprintf(m, sizeof(m), FROM TO("alice") TO("bob") "BDAT 14 LAST\r\nSubject: %03u\r\n", (unsigned)nth);
        engine_fail_at(b.fail, nth, nth % 2 ? ERR_FULL : ERR_IO);
        say(t, m);
        bool late = false;
        struct timer *timer = timer_create_in(b.loop, on_tick, &late);
        timer_set(timer, PATIENCE_MS);
        while (!late && !strstr(t->text, "Accepted") && !strstr(t->text, "45"))
            loop_run(b.loop);
        timer_destroy(timer);
        assert_false(late);
        bool ok = strstr(t->text, "250 2.0.0 Accepted") != NULL;
        t->len = 0;
        t->text[0] = '\0';
        engine_fail_at(b.fail, 0, OK);
        if (ok) {
            assert_int_equal(stored(alice), na + 1);
            assert_int_equal(stored(bob), nb + 1);
        } else {
            failures++;
            say(t, m);
            expect(t, "250 2.0.0 Accepted");
        }
        na++, nb++;
        assert_int_equal(stored(alice), na);
        assert_int_equal(stored(bob), nb);
    }
    assert_true(failures > 1); /* most are mended by the vault, which runs a spoilt group again, one request each */
    hang_up(t);
}

static void test_vault_returns(void **state)
{
    struct talker *t = dial();

    /* The vault's channel is lost while a message comes; the next one brings it home. */
    vault_client_channel(in.depositor.vault, dup(open("/dev/null", O_RDONLY)));
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    run_ms(50);
    assert_int_equal(t->len, 0);
    connect_vault();
    expect(t, "250 2.0.0 Accepted");
    assert_int_equal(stored(alice), 1);
    hang_up(t);
}

static void test_loop(void **state)
{
    struct talker *t = dial();

    for (int n = 100; n <= 101; n++) {
        say(t, FROM TO("alice") "DATA\r\n");
        expect(t, "354 ");
        for (int i = 0; i < n; i++)
            say(t, i % 2 ? "RECEIVED \t: x\r\n\tReceived: folded\r\n" : "Received: from a by b; now\r\n");
        say(t, "Received-Not: x\r\n\r\nReceived: body\r\n.\r\n");
        expect(t, n == 100 ? "250 " : "554 5.4.6");
    }
    hang_up(t);
}

/* They are counted over the whole header, however much stands between them. */
static void test_long_loop(void **state)
{
    struct talker *t = dial();
    static char filler[1000];

    snprintf(filler, sizeof(filler), "X-Filler: %0900d\r\n", 0);
    for (int n = 100; n <= 101; n++) {
        say(t, FROM TO("alice") "DATA\r\n");
        expect(t, "354 ");
        for (int i = 0; i < n; i++) {
            say(t, filler);
            say(t, "Received: from a by b; now\r\n");
        }
        say(t, "\r\nReceived: body\r\n.\r\n");
        expect(t, n == 100 ? "250 " : "554 5.4.6");
    }
    hang_up(t);
}

static void test_bare(void **state)
{
    struct talker *t = dial();

    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, "x\r\n.\nMAIL FROM:<evil@x>\r\n.\r\n");
    expect(t, "554 5.6.0");
    assert_int_equal(in.counters[COUNT_BARE], 1);
    assert_int_equal(stored(alice), 0);
    hang_up(t);
}

/* A key that only the gpg role seals to. */
static void test_gpg(void **state)
{
    struct talker *t = dial();

    fake_gpg.gone = 1;
    say(t, FROM TO("odd") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "451 4.3.0");
    fake_gpg.gone = 0;
    /* Under way when it dies; the other recipient of the message has it already, and once only. */
    for (int i = 0; i < 2; i++) {
        say(t, FROM TO("alice") TO("odd") TO("bob") "DATA\r\n");
        expect(t, "354 ");
        say(t, BODY);
        run_ms(20);
        assert_non_null(fake_gpg.done);
        assert_true(budget_taken(in.places) > 0);
        fake_gpg.done(fake_gpg.arg, ERR_GONE);
        expect(t, "451 4.3.0");
        assert_int_equal(budget_taken(in.places), 0);
        assert_int_equal(stored(alice), 1);
        assert_int_equal(stored(bob), 1);
        assert_int_equal(stored(odd), 0);
    }
    hang_up(t);
}

/* A role that hangs, as a process stuck in the kernel would: 451 in the end, nothing held, and the retry makes no
 * double. */
static void test_stall(void **state)
{
    struct talker *t = dial();
    int pair[2];

    in.stall_ms = 300;
    say(t, FROM TO("alice") TO("odd") TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "451 4.3.0");
    assert_null(fake_gpg.done); /* cancelled */
    assert_int_equal(budget_taken(in.places), 0);
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 0);
    assert_int_equal(ipc_pair(pair), OK);
    vault_client_channel(in.depositor.vault, pair[1]); /* nobody reads at the other end */
    send_to_alice(t, "451 4.3.0");
    assert_int_equal(budget_taken(in.places), 0);
    close(pair[0]);
    connect_vault();
    say(t, FROM TO("alice") TO("bob") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    expect(t, "250 2.0.0");
    assert_int_equal(stored(alice), 1);
    assert_int_equal(stored(bob), 1);
    hang_up(t);
}

static void test_xclient(void **state)
{
    static char text[65536];
    struct talker *t = dial_from("192.0.2.7"), *no = dial();

    say(no, "XCLIENT ADDR=198.51.100.9\r\n");
    expect(no, "550 5.7.0");
    expect(t, "220 ");
    say(t, "XCLIENT ADDR=IPv6:2001:db8::5 HELO=far.example.net PROTO=ESMTP\r\n");
    expect(t, "220 ");
    send_to_alice(t, "250 2.0.0");
    open_last(alice, text);
    assert_non_null(strstr(text, "Received: from far.example.net ([IPv6:2001:db8::5])\r\n"));
    hang_up(t);
    hang_up(no);
    run_ms(20);
}

/* Behind a proxy stands a stranger: once the proxy has named it, what comes is the stranger's word. */
static void test_xclient_once(void **state)
{
    struct talker *t = dial_from("192.0.2.7");

    expect(t, "220 ");
    say(t, "XCLIENT HELO=far.example.net\r\n"); /* may come in parts; the address is the last */
    expect(t, "220 ");
    say(t, "XCLIENT ADDR=198.51.100.9\r\n");
    expect(t, "220 ");
    say(t, "XCLIENT ADDR=203.0.113.77\r\n");
    expect(t, "550 5.7.0");
    say(t, "EHLO c\r\n");
    run_ms(20);
    assert_null(strstr(t->text, "XCLIENT"));
    assert_true(smtp_session_peer(in.sessions)->ss_family == AF_INET &&
                ((const struct sockaddr_in *)smtp_session_peer(in.sessions))->sin_addr.s_addr ==
                    inet_addr("198.51.100.9"));
    hang_up(t);
}

/* RFC 5321 section 4.5.1: somebody reads what is sent to the postmaster, alias or not. */
static void test_postmaster(void **state)
{
    static const char *const names[] = {"Postmaster", "POSTMASTER@mx.example.org", "postmaster@EXAMPLE.org"};
    char line[100];
    struct talker *t = dial();

    for (size_t i = 0; i < 3; i++) { /* nobody has the alias: the oldest account */
        snprintf(line, sizeof(line), FROM "RCPT TO:<%s>\r\nBDAT 14 LAST\r\nSubject: a%02zu\r\n", names[i], i);
        say(t, line);
        expect(t, "250 2.0.0 Accepted");
        assert_int_equal(stored(alice), i + 1);
    }
    add_alias("postmaster@example.org", bob, ADDRESS_ALIAS);
    for (size_t i = 0; i < 3; i++) {
        snprintf(line, sizeof(line), FROM "RCPT TO:<%s>\r\nBDAT 14 LAST\r\nSubject: b%02zu\r\n", names[i], i);
        say(t, line);
        expect(t, "250 2.0.0 Accepted");
        assert_int_equal(stored(bob), i + 1);
    }
    assert_int_equal(stored(alice), 3);
    say(t, FROM "RCPT TO:<postmaster@example.net>\r\n"); /* no relaying, whoever it is */
    expect(t, "550 5.7.1");
    say(t, "RCPT TO:<postmaster+x@mx.example.org>\r\n");
    expect(t, "550 5.7.1");
    hang_up(t);
}

/* Nothing between the lines, and nothing at all. */
static void test_empty(void **state)
{
    static char text[65536];
    struct talker *t = dial();
    size_t n, original;

    say(t, FROM TO("alice") "BDAT 0\r\nBDAT 0 LAST\r\n");
    expect(t, "250 2.0.0 Accepted");
    n = open_last(alice, text);
    assert_int_equal(header_unprotect((uint8_t *)text, n, &original), OK);
    assert_int_equal(original, 0);
    say(t, "MAIL FROM:<y@example.net>\r\n" TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, ".\r\n");
    expect(t, "250 2.0.0 Accepted");
    assert_int_equal(stored(alice), 2);
    hang_up(t);
}

/* Says a line and gives the id that its reply has in brackets. */
static void refusal_id(struct talker *t, const char *line, const char *want, char id[TRANSACTION_ID_LEN + 1])
{
    char before[8] = "";
    const char *at;

    t->len = 0;
    say(t, line);
    while (!t->len || t->text[t->len - 1] != '\n')
        loop_run(b.loop);
    at = strstr(t->text, " [");
    assert_memory_equal(t->text, want, strlen(want));
    assert_non_null(at);
    assert_int_equal(strcspn(at + 2, "]"), TRANSACTION_ID_LEN);
    assert_int_equal(strspn(at + 2, "0123456789abcdef"), TRANSACTION_ID_LEN);
    snprintf(id, TRANSACTION_ID_LEN + 1, "%s", at + 2);
    expect(t, before);
}

/* Each refusal about mail ends with the transaction's id, which the next one does not have. */
static void test_ids(void **state)
{
    struct talker *t = dial();
    char id[TRANSACTION_ID_LEN + 1], other[TRANSACTION_ID_LEN + 1], text[64];

    say(t, FROM);
    expect(t, "250 2.1.0");
    refusal_id(t, TO("nobody"), "550 5.1.1 No such user here [", id);
    refusal_id(t, "RCPT TO:<x@example.net>\r\n", "550 5.7.1 Relaying is not permitted [", other);
    assert_string_equal(id, other);
    say(t, TO("alice") "DATA\r\n");
    expect(t, "354 ");
    say(t, BODY);
    snprintf(text, sizeof(text), "250 2.0.0 Accepted as %s\r\n", id);
    expect(t, text);
    say(t, FROM);
    expect(t, "250 2.1.0");
    refusal_id(t, TO("nobody"), "550 5.1.1", other);
    assert_string_not_equal(id, other);
    say(t, "RSET\r\n");
    expect(t, "250 2.0.0");
    refusal_id(t, "MAIL FROM:<x\r\n", "501 5.1.7", id);
    assert_string_not_equal(id, other);
    refusal_id(t, "MAIL FROM:<x\r\n", "501 5.1.7", other);
    assert_string_not_equal(id, other);
    say(t, FROM TO("alice") "DATA\r\n");
    expect(t, "354 ");
    refusal_id(t, "a\nb\r\n.\r\n", "554 5.6.0", id);
    assert_string_not_equal(id, other);
    refusal_id(t, "MAIL FROM:<x\r\n", "501 5.1.7", other);
    assert_string_not_equal(id, other);
    hang_up(t);
}

static void test_received(void **state)
{
    struct smtp_envelope env = {.helo = "weird_name", .sender = "", .esmtp = true, .tls = true, .smtputf8 = true};
    struct sockaddr_storage ss = {.ss_family = AF_INET6};
    char out[TRANSACTION_RECEIVED_MAX];

    struct received r = {.peer = &ss,
                         .domain = "mx.example.org",
                         .id = "abc",
                         .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
                         .now = 1792000000};

    transaction_received_make(&r, &env, out);
    assert_string_equal(out,
                        "Received: from [IPv6:::] ([IPv6:::])\r\n"
                        "\tby mx.example.org (Letterlock) with UTF8SMTPS\r\n"
                        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid abc;\r\n\tWed, 14 Oct 2026 17:46:40 +0000\r\n");
    /* Of our own people nothing is said but that they logged in. */
    env.authenticated = true;
    r.peer = NULL;
    r.tls = NULL;
    transaction_received_make(&r, &env, out);
    assert_string_equal(out, "Received: by mx.example.org (Letterlock) with UTF8SMTPSA\r\n\tid abc;\r\n"
                             "\tWed, 14 Oct 2026 17:46:40 +0000\r\n");
    env.smtputf8 = env.tls = false;
    transaction_received_make(&r, &env, out);
    assert_non_null(strstr(out, "with ESMTPA\r\n"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_accept),
        TEST(test_many),
        TEST(test_recipients),
        TEST(test_overrun),
        TEST(test_store_unknown),
        TEST(test_quota_reserved),
        TEST(test_store_fails),
        TEST(test_vault_returns),
        TEST(test_loop),
        TEST(test_long_loop),
        TEST(test_bare),
        TEST(test_gpg),
        TEST(test_stall),
        TEST(test_xclient),
        TEST(test_xclient_once),
        TEST(test_postmaster),
        TEST(test_empty),
        TEST(test_ids),
        cmocka_unit_test(test_received),
    };
    int err = cmocka_run_group_tests(tests, NULL, NULL);

    test_key_free(&key);
    test_key_free(&odd_key);
    return err;
}
