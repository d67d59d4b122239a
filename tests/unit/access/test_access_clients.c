/* What clients of others ask and send: each was answered wrongly once. */
#include <errno.h>

#include "tests/support/access_bench.h"

static struct client_end c, d;

static int up(void **state)
{
    bench_up();
    client_in(&c);
    client_in(&d);
    return 0;
}

static int down(void **state)
{
    client_close(&c);
    client_close(&d);
    bench_down();
    return 0;
}

/* RFC 3501 section 9, seq-number: "*" of an empty mailbox is beyond it; a UID that is not there is nothing. */
static void test_star_of_nothing(void **state)
{
    static const char *const bad[] = {"FETCH * FLAGS", "FETCH 1:* FLAGS",          "STORE * +FLAGS (\\Seen)",
                                      "COPY * INBOX",  "STORE *,* FLAGS (\\Seen)", "MOVE *:1 INBOX"};
    say(&c, "SELECT INBOX");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        HAS(say(&c, "%s", bad[i]), "t BAD No message");
        HAS(say(&c, "UID %s", bad[i]), "t OK");
    }
    HAS(say(&c, "SEARCH 1:*"), "* SEARCH\r\nt OK"); /* the RFC names COPY, FETCH and STORE there */
}

static void test_append_dates(void **state)
{
    static const struct {
        const char *given, *told;
    } table[] = {
        {" 1-Jan-2001 00:00:00 +0000", " 1-Jan-2001 00:00:00 +0000"},
        {"1-Jan-2001 00:00:00 +0000", " 1-Jan-2001 00:00:00 +0000"}, /* the blank left out */
        {"01-Jan-2001 00:00:00 +0000", " 1-Jan-2001 00:00:00 +0000"},
        {"9-Feb-2003 04:05:06 -0330", " 9-Feb-2003 07:35:06 +0000"},
        {" 1-Jan-1970 00:00:00 +0100", "31-Dec-1969 23:00:00 +0000"},
        {"31-Dec-1969 23:59:59 +0000", "31-Dec-1969 23:59:59 +0000"},
        {"1-Jan-1904 00:00:00 +0000", " 1-Jan-1904 00:00:00 +0000"}, /* a Macintosh without a clock */
        {"29-Feb-1600 12:00:00 +0000", "29-Feb-1600 12:00:00 +0000"},
        {"1-Jan-0001 00:00:00 +0000", " 1-Jan-0001 00:00:00 +0000"},
        {"31-Dec-9999 23:59:59 +0000", "31-Dec-9999 23:59:59 +0000"},
        {"  1-Jan-2001 00:00:00 +0000", NULL},
        {" 11-Jan-2001 00:00:00 +0000", NULL},
        {"-Jan-2001 00:00:00 +0000", NULL},
        {"1-Jan-2001 0:00:00 +0000", NULL},
        {"1-Jan-01 00:00:00 +0000", NULL},
        {"1-Jan-2001 00:00:00", NULL},
        {"1-Jan-0001 00:00:00 +0100", NULL},
        {"31-Dec-9999 23:59:59 -0100", NULL},
        {"29-Feb-1900 12:00:00 +0000", NULL},
    };
    say(&c, "SELECT INBOX");
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *t = say(&c, "APPEND INBOX \"%s\" {12+}\r\nA: b\r\n\r\nhi\r\n", table[i].given);
        check(t, table[i].told ? "t OK [APPENDUID" : "t BAD", true, (int)i);
        char want[64] = "t OK";
        if (table[i].told)
            snprintf(want, sizeof(want), "INTERNALDATE \"%s\")", table[i].told);
        check(say(&c, "FETCH * INTERNALDATE"), want, true, (int)i);
    }
    HAS(say(&c, "SEARCH BEFORE 1-Jan-1970"), "* SEARCH 5 6 7 8 9\r\n");
    HAS(say(&c, "SEARCH ON 31-Dec-1969"), "* SEARCH 5 6\r\n");
    HAS(say(&c, "SEARCH SINCE 1-Jan-1904 BEFORE 31-Dec-1969"), "* SEARCH 7\r\n");
}

/* A name in bad modified UTF-7 (RFC 3501 section 5.1.3) is well-formed and no mailbox's: NO, and the session goes
 * on. */
static void test_names_that_cannot_be(void **state)
{
    static const char *const names[] = {"R&D", "&", "a&b", "&AGE-", "&AOQ-&AOQ-", "\"Q & A\"", "&2D0-", "R&D/x"};
    static const char *const commands[] = {
        "CREATE %s",      "DELETE %s",   "SELECT %s",       "EXAMINE %s", "STATUS %s (MESSAGES)", "SUBSCRIBE %s",
        "UNSUBSCRIBE %s", "RENAME %s x", "RENAME INBOX %s", "COPY 1 %s",  "UID MOVE 1 %s"};
    deliver(MAILBOX_INBOX, 0, 100);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char text[200];
        for (size_t k = 0; k < sizeof(commands) / sizeof(*commands); k++) {
            say(&c, "SELECT INBOX");
            snprintf(text, sizeof(text), commands[k], names[i]);
            if (!strstr(say(&c, "%s", text), "t NO ["))
                print_error("%s\n", text);
            HAS(c.text, "t NO [");
        }
        HAS(say(&c, "APPEND %s {12}", names[i]), "t NO [CANNOT]");
        HAS(say(&c, "APPEND %s {12+}\r\nA: b\r\n\r\nhi\r\n", names[i]), "t NO [CANNOT]");
        LACKS(say(&c, "LIST \"\" %s", names[i]), "* LIST");
        HAS(c.text, "t OK");
        LACKS(say(&c, "LSUB %s *", names[i]), "* LSUB");
        HAS(c.text, "t OK");
    }
    HAS(say(&c, "LIST \"\" (R&D INBOX)"), " INBOX\r\nt OK"); /* the other pattern counts */
    HAS(say(&c, "SELECT \"\xc3\xa4\""), "t BAD");
    HAS(say(&c, "STATUS R&D FROB"), "t BAD"); /* what is malformed besides is BAD as before */
    HAS(say(&c, "CREATE R&-D"), "t OK");
}

/* RFC 5530 section 3: what a sequence set names is not all there any more. COPY does nothing then (RFC 3501 section
 * 6.4.7); STORE does the others (RFC 2180 section 4.2). */
static void test_copy_of_the_gone(void **state)
{
    static const char *const commands[] = {"COPY 1:3 to", "COPY 2 to", "COPY 3,2 to", "MOVE 1:3 to"};
    say(&c, "CREATE to");
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        for (unsigned k = 0; k < 3; k++)
            deliver(MAILBOX_INBOX, 0, 100);
        say(&c, "SELECT INBOX");
        say(&d, "SELECT INBOX");
        HAS(say(&c, "FETCH 1:3 UID"), "* 3 FETCH");
        say(&d, "STORE 2 +FLAGS.SILENT (\\Deleted)");
        HAS(say(&d, "EXPUNGE"), "* 2 EXPUNGE");
        HAS(say(&c, "%s", commands[i]), "t NO [EXPUNGEISSUED]");
        HAS(c.text, "* 2 EXPUNGE"); /* and it is told */
        HAS(say(&c, "STATUS to (MESSAGES)"), "(MESSAGES 0)");
        HAS(say(&c, "COPY 1:2 to"), "t OK [COPYUID");
        say(&d, "NOOP");
        say(&d, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
        say(&d, "EXPUNGE");
        say(&c, "SELECT to");
        say(&c, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
        say(&c, "EXPUNGE");
    }
    /* of UIDs those that are there (section 6.4.8) */
    for (unsigned k = 0; k < 3; k++)
        deliver(MAILBOX_INBOX, 0, 100);
    HAS(say(&c, "SELECT INBOX"), "* 3 EXISTS");
    HAS(say(&c, "UID COPY 1:* to"), "t OK [COPYUID");
    HAS(say(&d, "SELECT INBOX"), "* 3 EXISTS");
    say(&d, "STORE 2 +FLAGS.SILENT (\\Deleted)");
    say(&d, "EXPUNGE");
    LACKS(say(&c, "STORE 1:3 +FLAGS (\\Flagged)"), "EXPUNGE\r\n");
    HAS(c.text, "* 3 FETCH (FLAGS (\\Flagged))\r\nt NO [EXPUNGEISSUED]");
    HAS(say(&c, "UID COPY 1:* to"), "t OK [COPYUID");
}

/* A message that comes sealed may be as large as one that is served; one that comes open, as large as any other. */
static void test_large_uploads(void **state)
{
    static char text[400000];
    acc.config.message_max = 100000;
    bench_limits(1 << 20, 1 << 20);
    size_t head = (size_t)sprintf(text, "x APPEND INBOX {130000+}\r\n");
    for (size_t i = 0; i < 130000; i++)
        text[head + i] = "0123456789\r\n"[i % 12];
    memcpy(text + head + 129996, "45\r\n\r\n", 6);
    for (unsigned sealed = 0; sealed < 2; sealed++) {
        seal_foreign = sealed;
        c.len = 0;
        send_bytes(&c, text, head + 130000 + 2);
        HAS(wait_for(&c, "\nx "), sealed ? "x OK [APPENDUID" : "x NO [TOOBIG]");
        assert_int_equal(budget_taken(acc.places), 0);
    }
    send_bytes(&c, "y APPEND INBOX {130000}\r\n", 25);
    wait_for(&c, "+ OK\r\n");
    HAS(say(&d, "APPEND INBOX {900000}"), "t NO [TOOBIG]");
    client_close(&c);
    client_in(&c);
}

/* RFC 3501 sections 6.3.4, 6.3.6, 6.3.7 and 6.3.9. */
static void test_subscriptions(void **state)
{
    static const char *const names[] = {"a/b", "a/b/c", "z", "&AOQ-", "top"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        HAS(say(&c, "CREATE %s", names[i]), "t OK");
        HAS(say(&c, "SUBSCRIBE %s", names[i]), "t OK");
    }
    HAS(say(&c, "SUBSCRIBE nix"), "t NO [NONEXISTENT]");
    HAS(say(&c, "SUBSCRIBE inbox"), "t OK");
    /* "%" ends at a level; what is subscribed to below it is told of */
    const char *t = say(&c, "LSUB \"\" %%");
    HAS(t, "* LSUB (\\Noselect \\HasChildren) \"/\" a\r\n");
    HAS(t, "* LSUB (\\HasNoChildren) \"/\" z\r\n");
    HAS(t, "* LSUB (\\HasNoChildren) \"/\" INBOX\r\n");
    LACKS(t, "a/b");
    t = say(&c, "LSUB \"\" *");
    HAS(t, "\"/\" a/b\r\n");
    HAS(t, "\"/\" a/b/c\r\n");
    LACKS(t, "\"/\" a\r\n"); /* all below it are there */
    t = say(&c, "LSUB a/ %%");
    HAS(t, "* LSUB (\\HasChildren) \"/\" a/b\r\n");
    LACKS(say(&c, "LSUB \"\" a"), "* LSUB"); /* no wildcard, and not subscribed to */
    HAS(say(&c, "LSUB \"\" %%/%%"), "* LSUB (\\HasChildren) \"/\" a/b\r\nt OK");
    /* DELETE keeps the subscription, and it can be taken back */
    HAS(say(&c, "DELETE z"), "t OK");
    HAS(say(&c, "LSUB \"\" z"), "* LSUB (\\HasNoChildren) \"/\" z\r\n");
    HAS(say(&c, "LIST (SUBSCRIBED) \"\" z RETURN (STATUS (MESSAGES))"),
        "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" z\r\nt OK");
    LACKS(say(&c, "LIST \"\" z"), "* LIST");
    LACKS(say(&c, "LIST \"\" z RETURN (SUBSCRIBED)"), "* LIST");
    HAS(say(&c, "CREATE z"), "t OK");
    HAS(say(&c, "LIST (SUBSCRIBED) \"\" z"), "* LIST (\\HasNoChildren \\Subscribed) \"/\" z\r\n");
    HAS(say(&c, "DELETE z"), "t OK");
    HAS(say(&c, "UNSUBSCRIBE z"), "t OK");
    HAS(say(&c, "UNSUBSCRIBE z"), "t OK");
    HAS(say(&c, "UNSUBSCRIBE never/was"), "t OK");
    LACKS(say(&c, "LSUB \"\" z"), "* LSUB");
    /* a level that is gone with what was below it */
    HAS(say(&c, "DELETE a/b/c"), "t OK");
    HAS(say(&c, "DELETE a/b"), "t OK");
    HAS(say(&c, "DELETE a"), "t OK");
    HAS(say(&c, "LSUB \"\" %%"), "* LSUB (\\Noselect \\HasNoChildren) \"/\" a\r\n");
    HAS(say(&c, "UNSUBSCRIBE a/b/c"), "t OK");
    HAS(say(&c, "LSUB \"\" *"), "\"/\" a/b\r\n");
    LACKS(c.text, "a/b/c");
    /* it moves with the name */
    HAS(say(&c, "RENAME top x/bottom"), "t OK");
    LACKS(say(&c, "LSUB \"\" top"), "* LSUB");
    HAS(say(&c, "LSUB \"\" x/*"), "* LSUB (\\HasNoChildren) \"/\" x/bottom\r\n");
    HAS(say(&c, "LSUB \"\" &AOQ-"), "&AOQ-\r\n");
}

/* RFC 5258, with RFC 6154's SPECIAL-USE. */
static void test_list_extended(void **state)
{
    static const char *const bad[] = {"(RECURSIVEMATCH) \"\" *",
                                      "(RECURSIVEMATCH REMOTE) \"\" *",
                                      "(FROB) \"\" *",
                                      "\"\" () RETURN (CHILDREN)",
                                      "\"\" * RETURN (FROB)",
                                      "\"\" * RETURN (RECURSIVEMATCH)",
                                      "\"\" * RETURN",
                                      "\"\" * RETURN CHILDREN",
                                      "\"\" * (CHILDREN)",
                                      "(SUBSCRIBED) \"\"",
                                      "(SUBSCRIBED)"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        check(say(&c, "LIST %s", bad[i]), "t BAD", true, (int)i);
    HAS(say(&c, "LSUB (SUBSCRIBED) \"\" *"), "t BAD");
    HAS(say(&c, "LSUB \"\" (a b)"), "t BAD");
    static const char *const names[] = {"Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable/Broccoli", "Vegetable/Corn"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        HAS(say(&c, "CREATE %s", names[i]), "t OK");
    static const char *const subscribed[] = {"INBOX", "Fruit/Banana", "Vegetable", "Vegetable/Broccoli"};
    for (size_t i = 0; i < sizeof(subscribed) / sizeof(*subscribed); i++)
        HAS(say(&c, "SUBSCRIBE %s", subscribed[i]), "t OK");
    const char *t = say(&c, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %%");
    HAS(t, "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n");
    HAS(t, "* LIST (\\HasChildren) \"/\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");
    HAS(t, "* LIST (\\HasChildren \\Subscribed) \"/\" Vegetable (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");
    LACKS(t, "Tofu");
    /* the children are listed themselves: Fruit would say nothing new */
    t = say(&c, "LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *");
    LACKS(t, "Fruit (");
    HAS(t, "Fruit/Banana\r\n");
    HAS(t, "Vegetable (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");
    HAS(say(&c, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" Fruit"), "Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\nt OK");
    LACKS(say(&c, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" Tofu"), "* LIST");
    LACKS(say(&c, "LIST (SUBSCRIBED) \"\" %%"), "Fruit");
    LACKS(say(&c, "LIST (SUBSCRIBED) \"\" *"), "CHILDINFO");
    /* several patterns, each name once */
    t = say(&c, "LIST () \"\" (Fruit* %%ruit/A* Tofu)");
    HAS(t, "Fruit/Apple\r\n");
    HAS(t, "Fruit/Banana\r\n");
    HAS(t, "Tofu\r\n");
    assert_null(strstr(strstr(t, "Fruit/Apple") + 1, "Fruit/Apple"));
    LACKS(t, "\\Subscribed");
    HAS(say(&c, "LIST (REMOTE) \"\" Tofu RETURN (CHILDREN SUBSCRIBED)"), "* LIST (\\HasNoChildren) \"/\" Tofu\r\n");
    HAS(say(&c, "LIST \"\" \"\" RETURN (CHILDREN)"), "t OK"); /* no question about the delimiter */
    LACKS(c.text, "* LIST");
    /* what is gone */
    HAS(say(&c, "DELETE Fruit/Banana"), "t OK");
    HAS(say(&c, "DELETE Fruit/Apple"), "t OK");
    HAS(say(&c, "DELETE Fruit"), "t OK");
    HAS(say(&c, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" F%%"),
        "* LIST (\\NonExistent \\HasNoChildren) \"/\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\nt OK");
    HAS(say(&c, "LIST (SUBSCRIBED) \"\" F*"),
        "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" Fruit/Banana\r\n");
    /* uses */
    HAS(say(&c, "CREATE Old/Archive (USE (\\Archive))"), "t OK");
    HAS(say(&c, "LIST (SPECIAL-USE RECURSIVEMATCH) \"\" O%%"),
        "* LIST (\\HasChildren) \"/\" Old (\"CHILDINFO\" (\"SPECIAL-USE\"))\r\nt OK");
    LACKS(say(&c, "LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) \"\" O%%"), "* LIST");
    say(&c, "SUBSCRIBE Old/Archive");
    HAS(say(&c, "LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) \"\" O%%"),
        "Old (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))\r\nt OK");
}

static unsigned count(const struct client_end *e, const char *what)
{
    const char *at = e->text, *end = e->text + e->len;
    unsigned n = 0;
    for (; (at = memmem(at, (size_t)(end - at), what, strlen(what))); at++)
        n++;
    return n;
}

/* However many flags others change, they are all told, before the answer. */
static void test_many_changes_are_told(void **state)
{
    enum { MANY = 22528 };
    unsigned n = 16;
    for (unsigned i = 0; i < n; i++)
        deliver(MAILBOX_INBOX, 0, 100);
    say(&d, "SELECT INBOX");
    for (unsigned more; n < MANY; n += more) {
        more = n <= MANY - n ? n : MANY - n;
        HAS(say(&d, "COPY 1:%u INBOX", more), "t OK");
    }
    say(&c, "SELECT INBOX");
    HAS(say(&d, "STORE 1:* +FLAGS.SILENT (\\Flagged)"), "t OK");
    const char *t = say(&c, "NOOP");
    assert_int_equal(count(&c, " FETCH (UID "), MANY);
    assert_int_equal(count(&c, "\\Flagged"), MANY);
    HAS(t, "* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\n");
    HAS(t, "* 22528 FETCH (UID 22528 FLAGS (\\Flagged))\r\nt OK");
    LACKS(say(&c, "NOOP"), "FETCH");
    /* a command that is refused before its message, with more to tell than a turn takes */
    say(&d, "STORE 1:* -FLAGS.SILENT (\\Flagged)");
    t = say(&c, "APPEND nix {12+}\r\nA: b\r\n\r\nhi\r\n");
    assert_int_equal(count(&c, " FETCH (UID "), MANY);
    HAS(t, "t NO [TRYCREATE]");
    /* IDLE tells them as they come; a change of one's own in between does not hide those of others */
    send_bytes(&c, "i IDLE\r\n", 8);
    wait_for(&c, "+ idling\r\n");
    c.len = 0;
    HAS(say(&d, "STORE 1:* +FLAGS.SILENT (\\Seen)"), "t OK");
    HAS(wait_for(&c, "* 22528 FETCH"), "* 22528 FETCH (UID 22528 FLAGS (\\Seen))\r\n");
    assert_int_equal(count(&c, "FLAGS (\\Seen)"), MANY);
    send_bytes(&c, "DONE\r\n", 6);
    wait_for(&c, "\ni OK");
    say(&d, "STORE 1:* +FLAGS.SILENT (\\Answered)");
    t = say(&c, "STORE 5 +FLAGS (\\Draft)");
    assert_int_equal(count(&c, "\\Answered"), MANY); /* its own is in its answer */
    LACKS(say(&c, "NOOP"), "FETCH");
    /* mail that goes in the middle */
    say(&d, "STORE 1:* FLAGS.SILENT ()");
    say(&d, "STORE 7 +FLAGS.SILENT (\\Deleted)");
    say(&d, "EXPUNGE");
    deliver(MAILBOX_INBOX, 0, 100);
    t = say(&c, "NOOP");
    HAS(t, "* 7 EXPUNGE\r\n");
    HAS(t, "* 22528 EXISTS\r\n");
    assert_in_range(count(&c, " FETCH (UID "), MANY - 1, MANY); /* perhaps the new one too */
    HAS(t, "* 22527 FETCH (UID 22528 FLAGS ())\r\n");
}

/* Keywords are the account's, as many as clients use; one that is dropped takes nothing along. */
static void test_keywords(void **state)
{
    char many[9000] = "", one[80];
    deliver(MAILBOX_INBOX, 0, 100);
    deliver(MAILBOX_INBOX, 0, 100);
    say(&c, "SELECT INBOX");
    say(&d, "SELECT Sent");
    for (unsigned i = 0; i < 120; i++)
        sprintf(many + strlen(many), "%s$Label-%u", i ? " " : "", i);
    HAS(say(&c, "STORE 1 +FLAGS (%s)", many), "$Label-119))\r\nt OK");
    HAS(say(&c, "SEARCH KEYWORD $label-77"), "* SEARCH 1\r\n");
    HAS(say(&c, "SEARCH UNKEYWORD $Label-119"), "* SEARCH 2\r\n");
    /* an APPEND's go with it, another mailbox has the same ones, and its session hears of them */
    HAS(say(&c, "APPEND Sent (\\Seen $Label-3 NonJunk) {12+}\r\nA: b\r\n\r\nhi\r\n"), "t OK");
    const char *t = say(&d, "NOOP");
    HAS(t, "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Label-0 ");
    HAS(t, " NonJunk \\*)] Kept\r\n");
    HAS(say(&d, "FETCH 1 FLAGS"), "(FLAGS (\\Seen $Label-3 NonJunk))");
    HAS(say(&c, "COPY 1 Sent"), "t OK");
    say(&d, "NOOP");
    HAS(say(&d, "FETCH 2 FLAGS"), "$Label-0 $Label-1 $Label-2 $Label-3 $Label-4 ");
    /* what nobody uses any more is not told of either */
    say(&d, "STORE 2 FLAGS ($Label-5)");
    t = say(&c, "STORE 1 FLAGS (\\Flagged)");
    HAS(t, "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Label-3 $Label-5 NonJunk)\r\n");
    HAS(t, "* 1 FETCH (FLAGS (\\Flagged))\r\nt OK");
    HAS(say(&c, "SELECT INBOX"),
        "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Label-3 $Label-5 NonJunk)\r\n");
    /* all numbers in use: the keyword goes, \Seen stays; and \* is not promised */
    for (unsigned k = 0; k < 6; k++) {
        many[0] = 0;
        for (unsigned i = 0; i < 100; i++)
            sprintf(many + strlen(many), "k%u ", 100 * k + i);
        HAS(say(&c, "STORE 1 +FLAGS.SILENT (%s\\Answered)", many), "t OK");
    }
    HAS(say(&c, "STORE 2 +FLAGS (brand-new \\Seen)"), "* 2 FETCH (FLAGS (\\Seen))\r\nt OK");
    HAS(say(&c, "APPEND INBOX (\\Seen brand-new) {12+}\r\nA: b\r\n\r\nhi\r\n"), "t OK [APPENDUID");
    HAS(say(&c, "FETCH 3 FLAGS"), "(FLAGS (\\Seen))");
    LACKS(say(&c, "SELECT INBOX"), "\\*");
    say(&c, "STORE 1 FLAGS ()");
    HAS(say(&c, "STORE 2 +FLAGS (brand-new)"), "* 2 FETCH (FLAGS (\\Seen brand-new))\r\nt OK");
    HAS(say(&c, "SELECT INBOX"), " \\*)] Kept\r\n");
    /* one that is too long */
    memset(one, 'x', 70);
    one[70] = 0;
    HAS(say(&c, "STORE 2 FLAGS (\\Flagged %s)", one), "* 2 FETCH (FLAGS (\\Flagged))\r\nt OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, up, down)
        T(test_star_of_nothing),  T(test_append_dates),          T(test_names_that_cannot_be),
        T(test_copy_of_the_gone), T(test_large_uploads),         T(test_subscriptions),
        T(test_list_extended),    T(test_many_changes_are_told), T(test_keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
