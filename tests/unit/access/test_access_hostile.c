/* Clients that are logged in and mean harm, or only do what nobody expects: one session's command must not hold up the
 * others, and no answer may hide what happened. */
#include <errno.h>
#include <time.h>

#include "tests/support/access_bench.h"

enum { OTHERS_WAIT_MS = 1500 };

static struct client_end a, b;

static int up(void **state)
{
    bench_up();
    client_in(&a);
    client_in(&b);
    return 0;
}

static int down(void **state)
{
    client_close(&a);
    client_close(&b);
    bench_down();
    return 0;
}

static void has(const char *text, const char *what)
{
    if (!strstr(text, what))
        print_error("no \"%s\" in: %.1500s\n", what, text);
    assert_non_null(strstr(text, what));
}

static void lacks(const char *text, const char *what)
{
    if (strstr(text, what))
        print_error("\"%s\" in: %.1500s\n", what, text);
    assert_null(strstr(text, what));
}

/* INBOX gets count messages: a few delivered, the others copied. */
static void fill(unsigned count)
{
    unsigned n = count < 16 ? count : 16;
    for (unsigned i = 0; i < n; i++)
        deliver(MAILBOX_INBOX, 0, 100);
    say(&a, "SELECT INBOX");
    while (n < count) {
        unsigned more = count - n < n ? count - n : n;
        has(say(&a, "COPY 1:%u INBOX", more), "t OK");
        n += more;
    }
    char exists[40];
    snprintf(exists, sizeof(exists), "* %u EXISTS", count);
    has(say(&a, "SELECT INBOX"), exists);
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* a's command is under way: b must be answered soon. */
static void others_are_served(const char *command, size_t len)
{
    a.len = 0;
    send_bytes(&a, command, len);
    uint64_t begun = now_ms();
    has(say(&b, "NOOP"), "t OK");
    uint64_t ms = now_ms() - begun;
    if (ms > OTHERS_WAIT_MS)
        print_error("waited %u ms\n", (unsigned)ms);
    assert_true(ms <= OTHERS_WAIT_MS);
}

static void test_search_with_many_keys(void **state)
{
    char text[65000];
    size_t n = (size_t)sprintf(text, "t SEARCH");
    fill(1000);
    for (unsigned i = 0; i < 990; i++)
        n += (size_t)sprintf(text + n, " NOT TEXT absent%u", i);
    n += (size_t)sprintf(text + n, " 1:3\r\n");
    others_are_served(text, n);
    has(wait_for(&a, "\nt "), "* SEARCH 1 2 3\r\nt OK");
}

static void test_pipelined_lists(void **state)
{
    static char text[64000];
    size_t n = 0;
    for (unsigned i = 0; i < 150; i++)
        has(say(&a, "CREATE box%u", i), "t OK");
    while (n < sizeof(text) - 100)
        n += (size_t)sprintf(text + n, "x LIST \"\" y\r\n");
    n += (size_t)sprintf(text + n, "t NOOP\r\n");
    others_are_served(text, n);
}

/* Every pattern is tried on every name, octet by octet. */
static void test_list_with_long_patterns(void **state)
{
    static char text[20000];
    char name[400];
    memset(name, 'a', sizeof(name));
    for (unsigned i = 0; i < 100; i++)
        has(say(&a, "CREATE %.390s%u", name, i), "t OK");
    size_t n = (size_t)sprintf(text, "t LIST \"\" (");
    for (unsigned i = 0; i < 16; i++) {
        n += (size_t)sprintf(text + n, "%s", i ? " " : "");
        for (unsigned k = 0; k < 250; k++)
            n += (size_t)sprintf(text + n, "%%a");
        n += (size_t)sprintf(text + n, "b");
    }
    n += (size_t)sprintf(text + n, ")\r\n");
    others_are_served(text, n);
    has(wait_for(&a, "\nt "), "t ");
    has(say(&a, "LIST \"\" (%%a%%9 INBOX)"), "a99\r\n");
}

/* More names than one turn tells, to a client that reads slowly: each comes once, in order, and no tree is kept
 * meanwhile. A second session of the account is answered as well. */
static void test_list_of_many_names(void **state)
{
    char name[480], *p;
    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < 900; i++)
        has(say(&a, "CREATE %03u%.440s", i, name), "t OK");
    a.slow = 16384;
    a.len = 0;
    send_bytes(&a, "t LIST \"\" *\r\n", 13);
    has(say(&b, "LIST \"\" 5%%"), "t OK");
    wait_for(&a, "\nt OK");
    p = a.text;
    for (unsigned i = 0; i < 900; i++) {
        char want[40];
        snprintf(want, sizeof(want), "\"/\" %03unnn", i);
        p = strstr(p, want);
        assert_non_null(p);
        assert_null(strstr(p + 1, want));
    }
    a.slow = 0;
}

static void test_fetch_of_many_fields(void **state)
{
    static char text[65000];
    size_t n = (size_t)sprintf(text, "t FETCH 1:* (");
    fill(600);
    for (unsigned i = 0; i < 60; i++) {
        n += (size_t)sprintf(text + n, "%sBODY.PEEK[HEADER.FIELDS (", i ? " " : "");
        for (unsigned k = 0; k < 240; k++)
            n += (size_t)sprintf(text + n, "%sq%02u", k ? " " : "", k % 100);
        n += (size_t)sprintf(text + n, ")]<0.1>");
    }
    n += (size_t)sprintf(text + n, ")\r\n");
    assert_true(n < 64 * 1024);
    others_are_served(text, n);
}

/* 1024 lines with every keyword that a command may name are more than a turn's memory. */
static void test_store_with_long_keywords(void **state)
{
    char text[16384];
    size_t n = 0;
    fill(1100);
    for (unsigned i = 0; i < 128; i++)
        n += (size_t)sprintf(text + n, "%skeyword-%03u-%050u", i ? " " : "", i, i);
    const char *r = say(&a, "STORE 1:* +FLAGS (%s)", text);
    assert_non_null(strstr(r, "\nt OK"));
    unsigned lines = 0;
    for (const char *p = r; (p = strstr(p, " FETCH (")); p++)
        lines++;
    assert_int_equal(lines, 1100);
    assert_non_null(strstr(say(&a, "FETCH 1100 FLAGS"), "keyword-127-"));
}

/* What another session changed must not vanish under our own silent change of the same message. */
static void test_silent_store_over_another(void **state)
{
    fill(3);
    say(&b, "SELECT INBOX");
    has(say(&b, "STORE 2 +FLAGS (\\Flagged)"), "\\Flagged");
    char all[4000];
    int n = snprintf(all, sizeof(all), "%s", say(&a, "STORE 1:3 +FLAGS.SILENT (\\Answered)"));
    snprintf(all + n, sizeof(all) - (size_t)n, "%s", say(&a, "NOOP"));
    has(all, "* 2 FETCH (UID 2 FLAGS (\\Answered \\Flagged))");
    lacks(say(&a, "STORE 1 +FLAGS.SILENT (\\Draft)"), "FETCH"); /* nobody else: nothing to tell */
}

static void test_delete_of_the_selected(void **state)
{
    has(say(&a, "CREATE box"), "t OK");
    has(say(&a, "SELECT box"), "t OK");
    const char *r = say(&a, "DELETE box");
    has(r, "t OK");
    lacks(r, "BYE");
    has(say(&a, "CHECK"), "t BAD"); /* nothing is selected any more */
    has(say(&a, "SELECT INBOX"), "t OK");
}

/* More EXPUNGE lines than fit into one turn are told piece by piece. */
static void test_large_expunge(void **state)
{
    fill(3000);
    has(say(&a, "STORE 1:* +FLAGS.SILENT (\\Deleted)"), "t OK");
    buf_free(&acc.staging);
    buf_init(&acc.staging, 24 * 1024, false);
    const char *r = say(&a, "EXPUNGE");
    lacks(r, "BYE");
    assert_non_null(strstr(r, "\nt OK"));
    unsigned lines = 0, exists = 3000, seq;
    for (const char *p = r; (p = strstr(p, "* ")); p++) {
        assert_int_equal(sscanf(p, "* %u EXPUNGE", &seq), 1);
        assert_true(seq >= 1 && seq <= exists);
        exists--;
        lines++;
    }
    assert_int_equal(lines, 3000);
    has(say(&a, "STATUS INBOX (MESSAGES)"), "MESSAGES 0");
}

/* The same for MOVE, whose COPYUIDs come before its EXPUNGEs. */
static void test_large_move(void **state)
{
    fill(3000);
    has(say(&a, "CREATE box"), "t OK");
    buf_free(&acc.staging);
    buf_init(&acc.staging, 24 * 1024, false);
    const char *r = say(&a, "MOVE 1:* box");
    lacks(r, "BYE");
    assert_non_null(strstr(r, "\nt OK"));
    unsigned lines = 0, told = 0;
    for (const char *p = r; (p = strstr(p, "* ")); p++) {
        unsigned v, f, l, x, y;
        if (sscanf(p, "* OK [COPYUID %u %u:%u %u:%u]", &v, &f, &l, &x, &y) == 5) {
            assert_int_equal(l - f, y - x);
            assert_int_equal(f, told + 1);
            told = l;
        } else {
            lines += strstr(p, "EXPUNGE") != NULL;
            assert_true(lines <= told);
        }
    }
    assert_int_equal(lines, 3000);
    assert_int_equal(told, 3000);
    has(say(&a, "STATUS box (MESSAGES)"), "MESSAGES 3000");
}

/* Many sessions at once do not get round the slowing of failed logins. */
static void test_parallel_logins(void **state)
{
    struct client_end c[12];
    acc.login_failures = 0;
    for (unsigned i = 0; i < 12; i++) {
        client_open(&c[i]);
        c[i].until = NULL;
        send_bytes(&c[i], "t LOGIN nobody@example.org wrong\r\n", 34);
    }
    timer_set(a.limit, 900);
    a.until = NULL;
    assert_int_equal(loop_run(bench.loop), OK);
    assert_true(acc.login_failures >= 3 && acc.login_failures <= 6);
    for (unsigned i = 0; i < 12; i++)
        client_close(&c[i]);
}

/* A UID that is gone is passed over (RFC 3501 section 6.4.8); a sequence number of one is not. */
static void test_fetch_of_the_gone(void **state)
{
    fill(3);
    say(&b, "SELECT INBOX");
    say(&b, "FETCH 1 FLAGS");
    say(&a, "STORE 2 +FLAGS (\\Deleted)");
    say(&a, "EXPUNGE");
    const char *r = say(&b, "FETCH 1:3 FLAGS");
    has(r, "t NO [EXPUNGEISSUED]");
    lacks(r, "EXPUNGE\r\n");
    r = say(&b, "UID FETCH 1:3 FLAGS");
    has(r, "* 2 EXPUNGE");
    has(r, "t OK");
}

static void test_first_unseen(void **state)
{
    lacks(say(&a, "SELECT INBOX"), "UNSEEN");
    fill(1500);
    has(say(&a, "SELECT INBOX"), "* OK [UNSEEN 1] ");
    say(&a, "STORE 2 +FLAGS.SILENT (\\Deleted)");
    say(&a, "EXPUNGE");
    say(&a, "STORE 1:1200 +FLAGS.SILENT (\\Seen)");
    has(say(&a, "EXAMINE INBOX"), "* OK [UNSEEN 1201] ");
    has(say(&a, "SEARCH UNSEEN 1:1202"), "* SEARCH 1201 1202\r\n");
    say(&a, "SELECT INBOX");
    say(&a, "STORE 1:* +FLAGS.SILENT (\\Seen)");
    lacks(say(&a, "SELECT INBOX"), "UNSEEN");
    has(say(&a, "SEARCH UNSEEN"), "* SEARCH\r\n");
}

static void unheard(void *arg, int status, struct unpack *body)
{
}

/* The vault has as many questions as it may have: whoever asks is told so, nothing is lost, and reading goes on. */
static void test_vault_full(void **state)
{
    static const char *const changes[] = {"STORE 1 +FLAGS (\\Flagged)",
                                          "COPY 1 Sent",
                                          "MOVE 1 Sent",
                                          "EXPUNGE",
                                          "CREATE new",
                                          "DELETE Sent",
                                          "RENAME Sent Went",
                                          "UNSUBSCRIBE Sent",
                                          "APPEND INBOX {2+}\r\n\r\n",
                                          "REPLACE 1 INBOX {2+}\r\n\r\n",
                                          "CLOSE"};
    struct vault_client *asked = acc.vault;
    static const struct vault_request expunge = {.type = VAULT_EXPUNGE, .account = 16};
    fill(2);
    say(&a, "SELECT INBOX");
    say(&a, "STORE 2 +FLAGS (\\Deleted)");
    acc.vault = acc.depositor.vault = vault_client_create(bench.loop, imap_notice, &acc);
    while (vault_client_request(acc.vault, &expunge, -1, unheard, NULL, NULL) == OK)
        ;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
        has(say(&a, "%s", changes[i]), "t NO [UNAVAILABLE]");
    const char *r = say(&a, "FETCH 1 (FLAGS BODY[])");
    has(r, "FLAGS () BODY[] {");
    has(r, "t OK");
    vault_client_destroy(acc.vault);
    acc.vault = acc.depositor.vault = asked;
    assert_int_equal(budget_taken(acc.places), 0);
    has(say(&a, "STORE 1 +FLAGS (\\Flagged)"), "FLAGS (\\Flagged)");
    has(say(&a, "EXPUNGE"), "* 2 EXPUNGE");
    has(say(&a, "NOOP"), "t OK");
}

#define T(t) cmocka_unit_test_setup_teardown(t, up, down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_search_with_many_keys),
        T(test_pipelined_lists),
        T(test_fetch_of_many_fields),
        T(test_list_with_long_patterns),
        T(test_list_of_many_names),
        T(test_store_with_long_keywords),
        T(test_silent_store_over_another),
        T(test_delete_of_the_selected),
        T(test_large_move),
        T(test_parallel_logins),
        T(test_large_expunge),
        T(test_fetch_of_the_gone),
        T(test_first_unseen),
        T(test_vault_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
