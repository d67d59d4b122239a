/* IMAP sessions whole: what a client says and what it is answered, with a real vault behind. */
#include <errno.h>

#include "tests/support/access_bench.h"

static int up(void **state)
{
    bench_up();
    return 0;
}
static int down(void **state)
{
    bench_down();
    return 0;
}

static void test_before_login(void **state)
{
    struct client_end c;
    client_open(&c);
    HAS(c.text, "* OK [CAPABILITY IMAP4rev1 ");
    HAS(c.text, "AUTH=PLAIN");
    HAS(say(&c, "NOOP"), "t OK");
    HAS(say(&c, "SELECT INBOX"), "t BAD Log in first");
    HAS(say(&c, "FROB"), "t BAD Unknown");
    HAS(say(&c, "UID NOOP"), "t BAD Unknown");
    HAS(say(&c, "STARTTLS"), "t NO");
    HAS(say(&c, "LOGIN a"), "t BAD");
    HAS(say(&c, "AUTHENTICATE CRAM-MD5"), "t NO [CANNOT]");
    /* alice, right password, by SASL-IR and by continuation; a cancelled one before */
    send_bytes(&c, "x AUTHENTICATE PLAIN\r\n", 22);
    wait_for(&c, "+ \r\n");
    send_bytes(&c, "*\r\n", 3);
    HAS(wait_for(&c, "x BAD"), "x BAD Cancelled");
    HAS(say(&c, "AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGFiY2QtZWZnaC1pamtsLW1ub3AtcXJzdC11dnd4LXl6"),
        "t OK [CAPABILITY");
    HAS(say(&c, "LOGIN a b"), "t BAD");
    HAS(say(&c, "LOGOUT"), "* BYE");
    client_close(&c);
}

static void test_no_auth_without_tls(void **state)
{
    struct client_end c;
    acc.config.imap_plain_auth_loopback = false;
    client_open(&c);
    HAS(c.text, "LOGINDISABLED");
    LACKS(c.text, "AUTH=PLAIN");
    HAS(say(&c, "LOGIN alice@example.org " PASSWORD), "t NO [PRIVACYREQUIRED]");
    HAS(say(&c, "AUTHENTICATE PLAIN AGEAYg=="), "t NO [PRIVACYREQUIRED]");
    client_close(&c);
}

static void test_wrong_logins(void **state)
{
    struct client_end c;
    client_open(&c);
    const char *one = strdup(say(&c, "LOGIN alice@example.org wrong"));
    HAS(one, "t NO [AUTHENTICATIONFAILED]");
    assert_string_equal(say(&c, "LOGIN nobody@example.org wrong"), one); /* nothing tells them apart */
    HAS(say(&c, "LOGIN \"\" x"), "* BYE");
    wait_for(&c, NULL);
    assert_true(c.closed);
    assert_int_equal(acc.login_failures, 3);
    free((char *)one);
    client_close(&c);
}

static void test_pipelined(void **state)
{
    struct client_end c;
    static const char all[] =
        "a LOGIN alice@example.org " PASSWORD "\r\nb SELECT INBOX\r\nc FETCH 1:* FLAGS\r\nd NOOP\r\nz LOGOUT\r\n";
    deliver(MAILBOX_INBOX, 0, 100);
    client_open(&c);
    send_bytes(&c, all, sizeof(all) - 1);
    wait_for(&c, "\nz OK");
    char *last = c.text;
    for (const char *tag = "abcdz"; *tag; tag++) {
        char want[] = {'\n', *tag, ' ', 'O', 'K', 0};
        last = strstr(last, want);
        assert_non_null(last);
    }
    client_close(&c);
}

/* What stands behind IDLE in the same packet is read, whichever turn its IDLE came in. */
static void test_pipelined_idle(void **state)
{
    struct client_end c;
    char all[400] = "";
    client_in(&c);
    for (unsigned i = 0; i + 1 < IMAP_COMMANDS_A_TURN; i++)
        strcat(all, "n NOOP\r\n");
    strcat(all, "i IDLE\r\nDONE\r\nz NOOP\r\n");
    send_bytes(&c, all, strlen(all));
    wait_for(&c, "\nz OK");
    HAS(c.text, "+ idling\r\ni OK");
    client_close(&c);
}

static void test_mailboxes(void **state)
{
    struct client_end c;
    client_in(&c);
    HAS(say(&c, "LIST \"\" \"\""), "* LIST (\\Noselect) \"/\" \"\"\r\n");
    const char *t = say(&c, "LIST \"\" *");
    HAS(t, "\"/\" INBOX\r\n");
    HAS(t, "\\Sent");
    HAS(say(&c, "CREATE a/b"), "t OK");
    t = say(&c, "LIST \"\" a*");
    HAS(t, "* LIST (\\HasChildren) \"/\" a\r\n");
    HAS(t, "* LIST (\\HasNoChildren) \"/\" a/b\r\n");
    LACKS(say(&c, "LIST \"\" %%"), "a/b");
    HAS(say(&c, "LIST a/ %%"), " a/b\r\n");
    HAS(say(&c, "CREATE a"), "t NO [ALREADYEXISTS]");
    HAS(say(&c, "CREATE &ZeVnLIqe-"), "t OK");
    HAS(say(&c, "LIST \"\" &ZeVnLIqe-"), "\"/\" &ZeVnLIqe-\r\n");
    HAS(say(&c, "CREATE \"\xc3\xa4\""), "t BAD");
    HAS(say(&c, "CREATE keep (USE (\\Archive))"), "t ");
    HAS(say(&c, "CREATE x (USE (\\Frob))"), "t NO [USEATTR]");
    HAS(say(&c, "RENAME a/b c"), "t OK");
    HAS(say(&c, "RENAME nix d"), "t NO [NONEXISTENT]");
    HAS(say(&c, "SUBSCRIBE c"), "t OK");
    HAS(say(&c, "LSUB \"\" *"), "* LSUB (\\HasNoChildren) \"/\" c\r\n");
    HAS(say(&c, "LIST (SUBSCRIBED) \"\" c RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))"),
        "* STATUS c (MESSAGES 0 UIDNEXT 1)\r\n");
    HAS(say(&c, "UNSUBSCRIBE c"), "t OK");
    LACKS(say(&c, "LSUB \"\" c"), "* LSUB");
    HAS(say(&c, "LIST (SPECIAL-USE) \"\" *"), "\\Drafts");
    LACKS(say(&c, "LIST (SPECIAL-USE) \"\" *"), "INBOX");
    HAS(say(&c, "LIST (FROB) \"\" *"), "t BAD");
    HAS(say(&c, "LIST \"\" (INBOX c) RETURN (SPECIAL-USE)"), "\"/\" c\r\n");
    HAS(say(&c, "DELETE INBOX"), "t NO");
    HAS(say(&c, "DELETE c"), "t OK");
    HAS(say(&c, "DELETE c"), "t NO [NONEXISTENT]");
    HAS(say(&c, "STATUS c (MESSAGES)"), "t NO [NONEXISTENT]");
    HAS(say(&c, "STATUS inbox (MESSAGES FROB)"), "t BAD");
    HAS(say(&c, "NAMESPACE"), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    HAS(say(&c, "ID NIL"), "* ID (");
    HAS(say(&c, "ENABLE CONDSTORE"), "* ENABLED\r\n");
    client_close(&c);
}

static void test_select(void **state)
{
    struct client_end c;
    for (int i = 0; i < 3; i++)
        deliver(MAILBOX_INBOX, i == 1 ? FLAG_SEEN : 0, 100);
    client_in(&c);
    const char *t = say(&c, "SELECT inbox");
    HAS(t, "* 3 EXISTS\r\n");
    HAS(t, "* 0 RECENT\r\n");
    HAS(t, "[UIDNEXT 4]");
    HAS(t, "[PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)]");
    HAS(t, "t OK [READ-WRITE]");
    assert_null(acc.sessions->sel->map); /* SELECT reads nothing that grows with the mailbox */
    HAS(say(&c, "FETCH 1:* (UID FLAGS)"), "* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n");
    HAS(say(&c, "FETCH 4 FLAGS"), "t BAD");
    HAS(say(&c, "UID FETCH 4 FLAGS"), "t OK");
    HAS(say(&c, "UID FETCH 4:* FLAGS"), "* 3 FETCH (UID 3 FLAGS ()");
    HAS(say(&c, "EXAMINE INBOX"), "t OK [READ-ONLY]");
    HAS(say(&c, "STORE 1 FLAGS \\Seen"), "t NO");
    HAS(say(&c, "EXPUNGE"), "t NO");
    say(&c, "FETCH 1 BODY[]");
    HAS(say(&c, "FETCH 1 FLAGS"), "FLAGS ()");
    HAS(say(&c, "SELECT nix"), "t NO [NONEXISTENT]");
    HAS(say(&c, "FETCH 1 FLAGS"), "t BAD Select a mailbox first");
    client_close(&c);
}

static void test_store_expunge(void **state)
{
    struct client_end c, d;
    for (int i = 0; i < 6; i++)
        deliver(MAILBOX_INBOX, 0, 100);
    client_in(&c);
    client_in(&d);
    say(&c, "SELECT INBOX");
    say(&d, "SELECT INBOX");
    const char *t = say(&c, "STORE 1,3 +FLAGS (\\Deleted $Later)");
    HAS(t, "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Later)\r\n");
    HAS(t, "* 1 FETCH (FLAGS (\\Deleted $Later))\r\n");
    HAS(t, "* 3 FETCH (FLAGS (\\Deleted $Later))\r\n");
    assert_null(strstr(strstr(t, "* 3 FETCH") + 5, "FETCH")); /* told once */
    LACKS(say(&c, "STORE 2 FLAGS.SILENT \\Seen"), "FETCH");
    HAS(say(&c, "UID STORE 2 -FLAGS \\Seen"), "* 2 FETCH (UID 2 FLAGS ())");
    HAS(say(&c, "STORE 1 +FLAGS \\Recent"), "t BAD");
    /* not known whether it was done: no answer but NO; what was done is told by itself */
    engine_fail_unknown(bench.fail, false, 0);
    HAS(say(&c, "STORE 2 +FLAGS \\Answered"), "t NO [UNAVAILABLE]");
    HAS(say(&c, "FETCH 2 FLAGS"), "* 2 FETCH (FLAGS ())");
    engine_fail_unknown(bench.fail, true, 0);
    HAS(say(&c, "STORE 2 +FLAGS.SILENT \\Answered"), "* 2 FETCH (UID 2 FLAGS (\\Answered))\r\nt NO [UNAVAILABLE]");
    say(&c, "STORE 2 -FLAGS \\Answered");
    /* the other session hears of it, with the keyword's name first */
    t = say(&d, "NOOP");
    HAS(t, "* FLAGS (");
    HAS(t, "* 1 FETCH (UID 1 FLAGS (\\Deleted $Later))");
    t = say(&c, "EXPUNGE");
    HAS(t, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n");
    HAS(say(&c, "FETCH 1:* UID"), "* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 4)\r\n");
    /* no EXPUNGE while FETCH, STORE or SEARCH (RFC 3501 7.4.1): the numbers of the other session stay */
    t = say(&d, "FETCH 1:* UID");
    HAS(t, "* 3 FETCH (UID 3)"); /* UID needs no look into the store */
    LACKS(t, "EXPUNGE");
    t = say(&d, "FETCH 1:* FLAGS");
    LACKS(t, "* 1 FETCH");
    HAS(t, "* 4 FETCH (FLAGS ())");
    HAS(t, "t NO [EXPUNGEISSUED]");
    LACKS(say(&d, "SEARCH ALL"), "EXPUNGE");
    deliver(MAILBOX_INBOX, 0, 100);
    t = say(&d, "NOOP");
    HAS(t, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n* 5 EXISTS\r\n");
    HAS(say(&d, "FETCH 1:* UID"), "* 5 FETCH (UID 7)");
    HAS(say(&c, "NOOP"), "* 5 EXISTS\r\n");
    /* UID EXPUNGE takes only what it names; CLOSE takes the rest in silence */
    say(&c, "STORE 1:2 +FLAGS.SILENT \\Deleted");
    t = say(&c, "UID EXPUNGE 4");
    HAS(t, "* 2 EXPUNGE");
    LACKS(t, "* 1 EXPUNGE");
    LACKS(say(&c, "CLOSE"), "EXPUNGE");
    HAS(say(&c, "STATUS INBOX (MESSAGES DELETED)"), "(MESSAGES 3 DELETED 0)");
    HAS(say(&d, "UID SEARCH ALL"), "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\n");
    client_close(&c);
    client_close(&d);
}

static void test_copy_move(void **state)
{
    struct client_end c;
    for (int i = 0; i < 5; i++)
        deliver(MAILBOX_INBOX, 0, 100);
    client_in(&c);
    say(&c, "SELECT INBOX");
    HAS(say(&c, "COPY 1 nix"), "t NO [TRYCREATE]");
    say(&c, "CREATE to");
    HAS(say(&c, "COPY 2:3,5 to"), "t OK [COPYUID ");
    HAS(c.text, " 2:3,5 1:3] Done\r\n");
    const char *t = say(&c, "UID MOVE 1,4 to");
    const char *code = strstr(t, "* OK [COPYUID "), *gone = strstr(t, "* 4 EXPUNGE\r\n* 1 EXPUNGE");
    assert_true(code && gone && code < gone);
    HAS(t, " 1,4 4:5] ");
    HAS(say(&c, "STATUS to (MESSAGES)"), "MESSAGES 5");
    HAS(say(&c, "UID MOVE 100 to"), "t OK Done");
    HAS(say(&c, "COPY 9 to"), "t BAD");
    client_close(&c);
}

static void test_search(void **state)
{
    struct client_end c;
    for (int i = 0; i < 5; i++)
        deliver(MAILBOX_INBOX, i == 2 ? FLAG_SEEN | FLAG_FLAGGED : 0, 100 + 1000 * (size_t)i);
    client_in(&c);
    say(&c, "SELECT INBOX");
    static const struct {
        const char *keys, *answer;
    } table[] = {
        {"ALL", " 1 2 3 4 5"},
        {"SEEN", " 3"},
        {"UNSEEN", " 1 2 4 5"},
        {"NOT SEEN", " 1 2 4 5"},
        {"OR SEEN 1", " 1 3"},
        {"NEW", ""},
        {"OLD", " 1 2 3 4 5"},
        {"SUBJECT [...]", " 1 2 3 4 5"},
        {"SUBJECT x", ""},
        {"HEADER Subject \"\"", " 1 2 3 4 5"},
        {"HEADER X-None \"\"", ""},
        {"BODY anything", ""},
        {"NOT BODY anything", " 1 2 3 4 5"},
        {"TEXT sealed-by", " 1 2 3 4 5"},
        {"FROM alice", ""},
        {"ON 9-Sep-2001", " 1 2 3 4 5"},
        {"BEFORE 9-Sep-2001", ""},
        {"SINCE 9-Sep-2001", " 1 2 3 4 5"},
        {"SENTON 21-Nov-2026", " 1 2 3 4 5"},
        {"SENTBEFORE 21-Nov-2026", ""},
        {"SENTSINCE 22-Nov-2026", ""},
        {"LARGER 1000000", ""},
        {"SMALLER 1000000 FLAGGED", " 3"},
        {"UID 2:3 (NOT FLAGGED)", " 2"},
        {"2:* NOT 4", " 2 3 5"},
        /* as imapflow, node-imap and imap_tools ask */
        {"UID 1:*", " 1 2 3 4 5"},
        {"UID *", " 5"},
        {"UID 6:*", " 5"},
        {"UID *:4,1", " 1 4 5"},
        {"NOT UID 2:*", " 1"},
        {"OR UID * UID 1", " 1 5"},
        {"UNSEEN (UID 3:* UNDELETED)", " 4 5"},
        {"CHARSET UTF-8 KEYWORD x", ""},
        {"UNKEYWORD x 1", " 1"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char want[64];
        snprintf(want, sizeof(want), "* SEARCH%s\r\nt OK", table[i].answer);
        if (!strstr(say(&c, "SEARCH %s", table[i].keys), want))
            print_error("%s\n", table[i].keys);
        HAS(c.text, want);
        HAS(say(&c, "UID SEARCH %s", table[i].keys), want);
    }
    static const char *const bad[] = {
        "",         "FROB",    "OR SEEN",        "NOT", "SUBJECT",   "SINCE 31-Feb-2020", "6",
        "LARGER x", "()",      "KEYWORD \\Seen", "UID", "UID \"1\"", "UID (1)",           "UID 0:*",
        "UID 1:",   "UID ALL", "SUBJECT *"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        HAS(say(&c, "SEARCH%s%s", *bad[i] ? " " : "", bad[i]), "t BAD");
    HAS(say(&c, "SEARCH CHARSET KOI8-R ALL"), "t NO [BADCHARSET");
    engine_fail_overrun(bench.fail, VIEW_TRIES - 1); /* each number once, however often it was looked */
    HAS(say(&c, "SEARCH LARGER 1"), "* SEARCH 1 2 3 4 5\r\nt OK");
    engine_fail_overrun(bench.fail, VIEW_TRIES);
    HAS(say(&c, "SEARCH LARGER 1"), "t NO [UNAVAILABLE]");
    engine_fail_overrun(bench.fail, VIEW_TRIES - 1);
    HAS(say(&c, "FETCH 1:5 UID"), "* 5 FETCH (UID 5)\r\nt OK");
    engine_fail_overrun(bench.fail, VIEW_TRIES);
    HAS(say(&c, "STATUS INBOX (MESSAGES)"), "t NO [UNAVAILABLE]");
    client_close(&c);
}

static void test_append(void **state)
{
    struct client_end c;
    client_in(&c);
    say(&c, "SELECT INBOX");
    send_bytes(&c, "x APPEND nix {5}\r\n", 18);
    HAS(wait_for(&c, "\nx "), "x NO [TRYCREATE]");
    HAS(say(&c, "APPEND INBOX (\\Seen $k) \" 1-Feb-2003 04:05:06 +0000\" {13+}\r\nA: b\r\n\r\nhi\r\n\r\n"), "t ");
    c.len = 0;
    const char *t = say(&c, "APPEND INBOX (\\Seen $k) \" 1-Feb-2003 04:05:06 +0000\" {12+}\r\nA: b\r\n\r\nhi\r\n");
    HAS(t, "t OK [APPENDUID ");
    assert_int_equal(sealed_mail_len, 12);
    assert_string_equal(sealed_for, "alice@example.org");
    HAS(say(&c, "FETCH * (FLAGS INTERNALDATE)"), "FLAGS (\\Seen $k) INTERNALDATE \" 1-Feb-2003 04:05:06 +0000\"");
    HAS(say(&c, "APPEND INBOX {6+}\r\na\nb\r\nc"), "t NO [CANNOT]");
    HAS(say(&c, "APPEND INBOX {3+}\r\nab\r"), "t NO [CANNOT]");
    HAS(say(&c, "APPEND INBOX {0+}\r\n"), "t NO [CANNOT]");
    seal_status = ERR_NO_KEY;
    HAS(say(&c, "APPEND INBOX {2+}\r\n\r\n"), "t NO [UNAVAILABLE]");
    seal_status = OK;
    HAS(say(&c, "APPEND INBOX {99999999}"), "t NO [TOOBIG]");
    HAS(say(&c, "NOOP"), "t OK");
    bench_limits(10, 10);
    HAS(say(&c, "APPEND INBOX {11}"), "t NO [UNAVAILABLE]");
    assert_int_equal(budget_taken(acc.places), 0);
    /* a client that goes away in the middle gives its memory back */
    bench_limits(1 << 20, 1 << 20);
    struct client_end d;
    client_in(&d);
    send_bytes(&d, "x APPEND INBOX {1000+}\r\n", 24);
    say(&c, "NOOP");
    say(&c, "NOOP");
    assert_int_equal(budget_taken(acc.places), 0); /* announced, it takes nothing */
    send_bytes(&d, "half", 4);
    say(&c, "NOOP");
    say(&c, "NOOP");
    assert_int_equal(budget_taken(acc.places), 1000);
    client_close(&d);
    say(&c, "NOOP");
    say(&c, "NOOP");
    assert_int_equal(budget_taken(acc.places), 0);
    client_close(&c);
}

/* Memory is charged as octets come. What finds none is read to its end and refused, and holds nothing meanwhile. */
static void test_append_without_room(void **state)
{
    static char body[200000], text[64];
    struct client_end c, d, e;
    client_in(&c);
    client_in(&d);
    bench_limits(150000, 150000);
    for (size_t i = 0; i < sizeof(body); i += 100)
        memcpy(body + i, "x: y\r\n", 6), memset(body + i + 6, 'z', 92), memcpy(body + i + 98, "\r\n", 2);
    HAS(say(&c, "APPEND INBOX {%zu}", sizeof(body)), "t NO [UNAVAILABLE]"); /* it can never be there */
    send_bytes(&d, text, (size_t)sprintf(text, "x APPEND INBOX {%d+}\r\n", 120000));
    send_bytes(&d, body, 100000);
    say(&c, "NOOP");
    say(&c, "NOOP");
    say(&c, "NOOP");
    assert_in_range(budget_taken(acc.places), 100000, 120000);
    c.len = 0;
    send_bytes(&c, text, (size_t)sprintf(text, "t APPEND INBOX {%d+}\r\n", 140000));
    send_bytes(&c, body, 130000);
    client_in(&e);
    client_close(&e);
    assert_in_range(budget_taken(acc.places), 100000, 120000);
    send_bytes(&c, body, 10000);
    send_bytes(&c, "\r\n", 2);
    HAS(wait_for(&c, "\nt "), "t NO [UNAVAILABLE]");
    send_bytes(&d, body, 20000);
    send_bytes(&d, "\r\n", 2);
    HAS(wait_for(&d, "\nx "), "x OK");
    assert_int_equal(budget_taken(acc.places), 0);
    client_close(&c);
    client_close(&d);
}

/* Of one account, from wherever its sessions come. */
static void test_account_shares(void **state)
{
    struct client_end c[4];
    acc.config.imap_sessions_account = 3;
    for (int i = 0; i < 3; i++)
        client_in(&c[i]);
    client_open(&c[3]);
    HAS(say(&c[3], "LOGIN alice@example.org " PASSWORD), "t NO [LIMIT]");
    HAS(say(&c[3], "NOOP"), "t OK");
    client_close(&c[0]);
    say(&c[1], "NOOP");
    say(&c[1], "NOOP");
    HAS(say(&c[3], "LOGIN alice@example.org " PASSWORD), "t OK");
    for (int i = 1; i < 4; i++)
        client_close(&c[i]);
}

/* While its message is sealed, a command lets nothing behind it be read; a client that goes takes its seal along. */
static void test_append_waits(void **state)
{
    static const char two[] = "x APPEND INBOX {2+}\r\n\r\n\r\ny NOOP\r\n";
    struct client_end c, d;
    client_in(&c);
    client_in(&d);
    seal_later = true;
    c.len = 0;
    send_bytes(&c, two, sizeof(two) - 1);
    say(&d, "NOOP");
    say(&d, "NOOP");
    assert_non_null(held.done);
    assert_int_equal(c.len, 0);
    seal_finish();
    wait_for(&c, "\ny OK");
    assert_int_equal(strncmp(c.text, "x OK [APPENDUID ", 16), 0);
    /* the seal fails */
    send_bytes(&c, two, sizeof(two) - 1);
    say(&d, "NOOP");
    say(&d, "NOOP");
    seal_status = ERR_NO_KEY;
    c.len = 0;
    seal_finish();
    HAS(wait_for(&c, "\ny OK"), "x NO [UNAVAILABLE]");
    /* the client goes */
    send_bytes(&c, two, sizeof(two) - 1);
    say(&d, "NOOP");
    say(&d, "NOOP");
    assert_non_null(held.done);
    client_close(&c);
    say(&d, "NOOP");
    say(&d, "NOOP");
    assert_null(held.done);
    assert_int_equal(budget_taken(acc.places), 0);
    client_close(&d);
}

static void test_idle(void **state)
{
    struct client_end c, d;
    client_in(&c);
    client_in(&d);
    say(&c, "SELECT INBOX");
    say(&d, "SELECT INBOX");
    send_bytes(&c, "i IDLE\r\n", 8);
    wait_for(&c, "+ idling\r\n");
    deliver(MAILBOX_INBOX, 0, 100);
    wait_for(&c, "* 1 EXISTS\r\n");
    HAS(say(&d, "STORE 1 FLAGS \\Flagged"), "t BAD"); /* not yet told of the message */
    HAS(say(&d, "NOOP"), "* 1 EXISTS");
    say(&d, "STORE 1 FLAGS \\Flagged");
    wait_for(&c, "* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\n");
    say(&d, "STORE 1 +FLAGS \\Deleted");
    say(&d, "EXPUNGE");
    wait_for(&c, "* 1 EXPUNGE\r\n");
    assert_null(acc.sessions->next->parser.arena);
    /* a new vault: whoever idles is told at once, without a notice of its own */
    c.len = 0;
    deliver(MAILBOX_INBOX, 0, 100);
    imap_notice(&acc, 0, 0, 0, 0);
    assert_true(conn_out_len(acc.sessions->next->conn) > 0);
    wait_for(&c, "* 1 EXISTS\r\n");
    send_bytes(&c, "DONE\r\n", 6);
    wait_for(&c, "\ni OK");
    say(&c, "NOOP");
    send_bytes(&c, "i IDLE\r\n", 8);
    wait_for(&c, "+ idling\r\n");
    send_bytes(&c, "NOPE\r\n", 6);
    wait_for(&c, "\ni BAD");
    /* a mailbox that goes away under a session */
    say(&c, "CREATE gone");
    say(&c, "SELECT gone");
    say(&d, "DELETE gone");
    send_bytes(&c, "x NOOP\r\n", 8);
    wait_for(&c, "* BYE");
    client_close(&c);
    client_close(&d);
}

static void test_bad_commands_end(void **state)
{
    struct client_end c;
    client_open(&c);
    for (int i = 0; i < IMAP_BAD_COMMANDS_MAX; i++)
        send_bytes(&c, "x\r\n", 3);
    wait_for(&c, NULL);
    HAS(c.text, "* BYE Too many bad commands");
    client_close(&c);
    /* in a row: a client that does anything else in between stays */
    client_in(&c);
    say(&c, "SELECT INBOX");
    for (int i = 0; i < 2 * IMAP_BAD_COMMANDS_MAX; i++) {
        HAS(say(&c, "FROB"), "t BAD");
        if (i % (IMAP_BAD_COMMANDS_MAX - 1) == 0)
            HAS(say(&c, "UID SEARCH UID 1:*"), "* SEARCH\r\nt OK");
    }
    client_close(&c);
    client_in(&c);
    for (int i = 0; i + 1 < IMAP_BAD_COMMANDS_MAX; i++)
        HAS(say(&c, "FROB"), "t BAD");
    HAS(say(&c, "SELECT nix"), "t NO");
    for (int i = 0; i + 1 < IMAP_BAD_COMMANDS_MAX; i++)
        HAS(say(&c, "FROB"), "t BAD");
    send_bytes(&c, "u FROB\r\n", 8);
    wait_for(&c, NULL);
    HAS(c.text, "* BYE Too many bad commands");
    client_close(&c);
    client_open(&c);
    send_bytes(&c, "x STARTTLS\r\ny LOGIN a b\r\n", 26);
    acc.tls = NULL;
    wait_for(&c, "\ny ");
    client_close(&c);
    assert_true(sizeof(struct imap_session) <= 640);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, up, down)
        T(test_before_login),   T(test_no_auth_without_tls),
        T(test_wrong_logins),   T(test_pipelined),
        T(test_pipelined_idle), T(test_mailboxes),
        T(test_select),         T(test_store_expunge),
        T(test_copy_move),      T(test_search),
        T(test_append),         T(test_append_without_room),
        T(test_account_shares), T(test_append_waits),
        T(test_idle),           T(test_bad_commands_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
