/* The command engine: grammar, every split, literals, refused lines and what may be taken for a command after them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/proto/imap.h"

/* Events as text, so that runs can be compared whole. */
struct trace {
    char text[200000];
    size_t len;
    bool refuse_append;
};

static void say(struct trace *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->len += (size_t)n;
    assert_true(t->len < sizeof(t->text));
}

static void say_tree(struct trace *t, const struct imap_node *n)
{
    for (; n; n = n->next) {
        if (n->type == IMAP_LIST) {
            say(t, "(");
            say_tree(t, n->child);
            say(t, ")");
        } else {
            say(t, "%s%c<%.*s>", n->glued ? "+" : "", "aql"[n->type], (int)n -> text.len, (const char *)n->text.data);
        }
    }
}

static void handle(struct imap_parser *p, struct trace *t, enum imap_event ev, const struct imap_command *c,
                   struct slice span)
{
    static bool in_data;
    if (ev != IMAP_APPEND_DATA && in_data) {
        say(t, "]\n");
        in_data = false;
    }
    switch (ev) {
    case IMAP_COMMAND:
        say(t, "CMD %s %s%s ", c->tag, c->uid ? "UID " : "", c->name);
        say_tree(t, c->args);
        say(t, "\n");
        if (strcmp(c->name, "IDLE") == 0)
            imap_expect_line(p);
        break;
    case IMAP_LINE: say(t, "LINE %.*s\n", (int)span.len, (const char *)span.data); break;
    case IMAP_CONTINUE: say(t, "CONT\n"); break;
    case IMAP_APPEND: {
        bool fatal;
        say(t, "%s%s %s ", c->uid ? "UID " : "", c->name, c->tag);
        say_tree(t, c->args);
        say(t, " %llu %d\n", (unsigned long long)c->literal, c->literal_sync);
        if (t->refuse_append)
            imap_append_refuse(p, 1000, &fatal);
        else
            imap_append_accept(p);
        break;
    }
    case IMAP_APPEND_DATA:
        if (!in_data)
            say(t, "[");
        in_data = true;
        say(t, "%.*s", (int)span.len, (const char *)span.data);
        break;
    case IMAP_APPEND_END: say(t, "END %s\n", c->tag); break;
    case IMAP_BAD: say(t, "BAD %s %s\n", c->tag[0] ? c->tag : "*", c->why); break;
    case IMAP_FATAL: say(t, "FATAL %s\n", c->why); break;
    default: break;
    }
}

static void run(struct trace *t, const char *in, size_t len, size_t cut1, size_t cut2)
{
    struct imap_parser p;
    imap_parser_init(&p);
    t->len = 0;
    t->text[0] = 0;
    size_t ends[3] = {cut1, cut2, len}, at = 0;
    for (int i = 0; i < 3; i++) {
        while (at < ends[i]) {
            /* a copy of its own, so that reading past the piece shows under the sanitizer */
            size_t n = ends[i] - at, used = 0;
            uint8_t *piece = malloc(n);
            memcpy(piece, in + at, n);
            const struct imap_command *c = NULL;
            struct slice span = {0};
            enum imap_event ev = imap_next(&p, piece, n, &used, &c, &span);
            assert_true(used <= n && (used > 0 || ev != IMAP_MORE));
            handle(&p, t, ev, c, span);
            free(piece);
            at += used;
            if (ev == IMAP_FATAL)
                at = len;
        }
    }
    handle(&p, t, IMAP_MORE, NULL, (struct slice){0});
    imap_parser_free(&p);
}

static const struct {
    const char *in, *out;
    bool refuse_append;
} table[] = {
    {"a NOOP\r\n", "CMD a NOOP \n"},
    {"a noop\r\nb.1 Check\r\n", "CMD a NOOP \nCMD b.1 CHECK \n"},
    {"a UID fetch 1:* (FLAGS)\r\n", "CMD a UID FETCH a<1:*>(a<FLAGS>)\n"},
    {"a UID\r\n", "BAD a Syntax error\n"},
    {"a LOGIN \"x \\\" \\\\\" {3}\r\nab\"\r\n", "CONT\nCMD a LOGIN q<x \" \\>l<ab\">\n"},
    {"a LOGIN {1+}\r\nx {0+}\r\n\r\n", "CMD a LOGIN l<x>l<>\n"},
    {"a LOGIN {4+}\r\n\r\n\r\n {1+}\r\ny\r\nb NOOP\r\n", "CMD a LOGIN l<\r\n\r\n>l<y>\nCMD b NOOP \n"},
    {"a X ()\r\n", "CMD a X ()\n"},
    {"a X (() (a (b)))\r\n", "CMD a X (()(a<a>(a<b>)))\n"},
    {"a FETCH 1 BODY[HEADER.FIELDS (A \"b c\")]<0.10>\r\n",
     "CMD a FETCH a<1>a<BODY[HEADER.FIELDS>(a<A>q<b c>)+a<]<0.10>>\n"},
    {"a FETCH 1 (BODY[HEADER.FIELDS ({1}\r\nA)] UID)\r\n",
     "CONT\nCMD a FETCH a<1>(a<BODY[HEADER.FIELDS>(l<A>)+a<]>a<UID>)\n"},
    /* what is not the grammar */
    {"\r\n", "BAD * Syntax error\n"},
    {"a\r\n", "BAD * Syntax error\n"},
    {" a NOOP\r\n", "BAD * Syntax error\n"},
    {"+ NOOP\r\n", "BAD * Syntax error\n"},
    {"a  NOOP\r\n", "BAD a Syntax error\n"},
    {"a NOOP \r\n", "BAD a Syntax error\n"},
    {"a X  y\r\n", "BAD a Syntax error\n"},
    {"a X (y\r\n", "BAD a Syntax error\n"},
    {"a X y)\r\n", "BAD a Syntax error\n"},
    {"a X (y )\r\n", "BAD a Syntax error\n"},
    {"a X \"y\r\n", "BAD a Syntax error\n"},
    {"a X \"\\y\"\r\n", "BAD a Syntax error\n"},
    {"a X \"y\"z\r\n", "BAD a Syntax error\n"},
    {"a X y\"z\"\r\n", "BAD a Syntax error\n"},
    {"a X (a)(b)\r\n", "BAD a Syntax error\n"},
    {"a X \xc3\xa4\r\n", "BAD a Syntax error\n"},
    {"a NO{3}OP\r\n", "BAD a Syntax error\n"},
    /* what is HTTP ends the session; a tag may be any word */
    {"GET / HTTP/1.1\r\na NOOP\r\n", "FATAL This is not HTTP\n"},
    {"POST /x\r\na NOOP\r\n", "FATAL This is not HTTP\n"},
    {"OPTIONS * HTTP/1.1\r\na NOOP\r\n", "FATAL This is not HTTP\n"},
    {"CONNECT x:143 HTTP/1.1\r\na NOOP\r\n", "FATAL This is not HTTP\n"},
    {"PROPFIND /dav HTTP/1.1\r\na NOOP\r\n", "FATAL This is not HTTP\n"},
    {"PUT / {3+}\r\na\r\n\r\nb NOOP\r\n", "FATAL This is not HTTP\n"},
    {"PUT /\n HTTP/1.1\r\nb NOOP\r\n", "FATAL This is not HTTP\n"},
    {"a X (( {9+}\r\n HTTP/1.1\r\nb NOOP\r\n", "BAD a Syntax error\nCMD b NOOP \n"},
    {"GET NOOP\r\nget /\r\nGETX /\r\n", "CMD GET NOOP \nBAD get Syntax error\nBAD GETX Syntax error\n"},
    {"a IDLE\r\nGET / HTTP/1.1\r\n", "CMD a IDLE \nLINE GET / HTTP/1.1\n"},
    {"a LOGIN {1+}\r\nx {14+}\r\nGET / HTTP/1.1\r\n", "CMD a LOGIN l<x>l<GET / HTTP/1.1>\n"},
    /* line rules (bare CR, bare LF), and nothing of a refused line becomes a command */
    {"a NOOP\nb NOOP\r\nc NOOP\r\n", "BAD a Bare CR, bare LF or NUL in a command\nCMD c NOOP \n"},
    {"a NOOP\rb NOOP\r\nc NOOP\r\n", "BAD a Bare CR, bare LF or NUL in a command\nCMD c NOOP \n"},
    {"a NOOP\r\r\nc NOOP\r\n", "BAD a Bare CR, bare LF or NUL in a command\nCMD c NOOP \n"},
    {"a X\n {19+}\r\nb DELETE INBOX\r\nx\r\n x\r\nc NOOP\r\n",
     "BAD a Bare CR, bare LF or NUL in a command\nCMD c NOOP \n"},
    {"a X (( {14+}\r\nb DELETE \"x\"\r\n\r\nc NOOP\r\n", "BAD a Syntax error\nCMD c NOOP \n"},
    {"a X \"q {9+}\r\nb NOOP\r\n\"\r\nc NOOP\r\n", "BAD a Syntax error\nCMD c NOOP \n"},
    /* a synchronising literal where none may be: refused before its octets come */
    {"a X y{3}\r\nc NOOP\r\n", "BAD a Syntax error\nCMD c NOOP \n"},
    {"a X \"{3}\r\nc NOOP\r\n", "BAD a Syntax error\nCMD c NOOP \n"},
    {"a X {99999}\r\nc NOOP\r\n", "BAD a [TOOBIG] Literal too long\nCMD c NOOP \n"},
    {"a X {9999999999}\r\nc NOOP\r\n", "BAD a [TOOBIG] Literal too long\nCMD c NOOP \n"},
    {"a X {9999999999+}\r\nc NOOP\r\n", "FATAL [TOOBIG] Literal too long\n"},
    {"a X {99999999999999999999999}\r\nc NOOP\r\n", "BAD a Syntax error\nCMD c NOOP \n"},
    {"a X {}\r\n", "BAD a Syntax error\n"},
    {"a X {-1}\r\n", "BAD a Syntax error\n"},
    {"a X {3-}\r\n", "BAD a Syntax error\n"},
    /* continuation lines */
    {"a IDLE\r\nDONE\r\nb NOOP\r\n", "CMD a IDLE \nLINE DONE\nCMD b NOOP \n"},
    {"a IDLE\r\n{3+}\r\nb NOOP\r\n", "CMD a IDLE \nLINE {3+}\nCMD b NOOP \n"},
    {"a IDLE\r\nDO\nNE\r\nb NOOP\r\n", "CMD a IDLE \nBAD a Bare CR, bare LF or NUL in a command\nCMD b NOOP \n"},
    /* APPEND */
    {"a APPEND INBOX {5}\r\nhello\r\nb NOOP\r\n", "APPEND a a<INBOX> 5 1\n[hello]\nEND a\nCMD b NOOP \n"},
    {"a append INBOX (\\Seen) \" 1-Jan-2020 00:00:00 +0000\" {5+}\r\na\r\nbc\r\nb NOOP\r\n",
     "APPEND a a<INBOX>(a<\\Seen>)q< 1-Jan-2020 00:00:00 +0000> 5 0\n[a\r\nbc]\nEND a\nCMD b NOOP \n"},
    {"a APPEND {5}\r\nINBOX {2}\r\nhi\r\n", "CONT\nAPPEND a l<INBOX> 2 1\n[hi]\nEND a\n"},
    {"a APPEND {5+}\r\nINBOX {0+}\r\n\r\n", "APPEND a l<INBOX> 0 0\nEND a\n"},
    {"a APPEND INBOX {2}\r\nhi {2}\r\nc NOOP\r\n",
     "APPEND a a<INBOX> 2 1\n[hi]\nBAD a Unexpected text after the message\nCMD c NOOP \n"},
    {"a APPEND INBOX {2+}\r\nhi {10+}\r\nb LOGOUT\r\n\r\nc NOOP\r\n",
     "APPEND a a<INBOX> 2 0\n[hi]\nBAD a Unexpected text after the message\nCMD c NOOP \n"},
    {"a APPEND INBOX\r\n", "CMD a APPEND a<INBOX>\n"},
    {"a APPEND ((( {2}\r\nc NOOP\r\n", "BAD a Syntax error before the message\nCMD c NOOP \n"},
    {"a APPEND ((( {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a Syntax error before the message\nCMD c NOOP \n"},
    /* REPLACE (RFC 8508): its message is the literal behind number and mailbox */
    {"a REPLACE 4 Drafts {5}\r\nhello\r\nb NOOP\r\n", "REPLACE a a<4>a<Drafts> 5 1\n[hello]\nEND a\nCMD b NOOP \n"},
    {"a UID replace 4 Drafts (\\Seen) \" 1-Jan-2020 00:00:00 +0000\" {2+}\r\nhi\r\n",
     "UID REPLACE a a<4>a<Drafts>(a<\\Seen>)q< 1-Jan-2020 00:00:00 +0000> 2 0\n[hi]\nEND a\n"},
    {"a REPLACE * {6}\r\nDrafts {2}\r\nhi\r\n", "CONT\nREPLACE a a<*>l<Drafts> 2 1\n[hi]\nEND a\n"},
    {"a UID REPLACE 4294967295 {2+}\r\n\r\n () {2+}\r\nhi\r\n",
     "UID REPLACE a a<4294967295>l<\r\n>() 2 0\n[hi]\nEND a\n"},
    {"a REPLACE 4 \"a {2}\" {2+}\r\nhi\r\n", "REPLACE a a<4>q<a {2}> 2 0\n[hi]\nEND a\n"},
    {"a REPLACE 1:* X {2+}\r\nhi\r\n", "REPLACE a a<1:*>a<X> 2 0\n[hi]\nEND a\n"}, /* the command says no */
    {"a REPLACE 4 {6}\r\nDrafts\r\n", "CONT\nCMD a REPLACE a<4>l<Drafts>\n"},
    {"a REPLACE {1}\r\n4 {1}\r\nX {2}\r\nhi\r\n", "CONT\nCONT\nCONT\nCMD a REPLACE l<4>l<X>l<hi>\n"},
    {"a REPLACE \"4\" {1}\r\nX {2}\r\nhi\r\n", "CONT\nCONT\nCMD a REPLACE q<4>l<X>l<hi>\n"},
    {"a REPLACE (4) X {2}\r\nhi\r\n", "CONT\nCMD a REPLACE (a<4>)a<X>l<hi>\n"},
    {"a REPLACE 4 X ({2}\r\nc NOOP\r\n", "BAD a Syntax error before the message\nCMD c NOOP \n"},
    {"a REPLACE 4 X ((( {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a Syntax error before the message\nCMD c NOOP \n"},
    {"a REPLACE 4 X {2+}\r\nhi {10+}\r\nb LOGOUT\r\n\r\nc NOOP\r\n",
     "REPLACE a a<4>a<X> 2 0\n[hi]\nBAD a Unexpected text after the message\nCMD c NOOP \n"},
    {"a UID APPEND X {2}\r\nhi\r\n", "CONT\nCMD a UID APPEND a<X>l<hi>\n"},
    {"a UID UID REPLACE 4 X {2}\r\nhi\r\n", "CONT\nCMD a UID UID a<REPLACE>a<4>a<X>l<hi>\n"},
    {"a UID  REPLACE 4 X {2}\r\nhi\r\n", "CONT\nBAD a Syntax error\n"},
    {"a UID {2}\r\nhi\r\n", "CONT\nBAD a Syntax error\n"},
    {"a REPLACE {99999}\r\nc NOOP\r\n", "BAD a [TOOBIG] Literal too long\nCMD c NOOP \n"},
    {"a REPLACE 4 {99999}\r\nc NOOP\r\n", "BAD a [TOOBIG] Literal too long\nCMD c NOOP \n"},
    {"a UID REPLACE 4 X {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "UID REPLACE a a<4>a<X> 8 0\nCMD c NOOP \n", true},
    {"a APPEND X {5}\r\nc NOOP\r\n", "APPEND a a<X> 5 1\nCMD c NOOP \n", true},
    {"a APPEND X {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "APPEND a a<X> 8 0\nCMD c NOOP \n", true},
};

static struct trace whole, cut;

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        size_t len = strlen(table[i].in);
        whole.refuse_append = cut.refuse_append = table[i].refuse_append;
        run(&whole, table[i].in, len, len, len);
        if (strcmp(whole.text, table[i].out) != 0)
            print_error("input: %s\n", table[i].in);
        assert_string_equal(whole.text, table[i].out);
        for (size_t a = 0; a <= len; a++) {
            for (size_t b = a; b <= len; b++) {
                run(&cut, table[i].in, len, a, b);
                assert_string_equal(cut.text, whole.text);
            }
        }
    }
    whole.refuse_append = cut.refuse_append = false;
}

/* The octets before the NUL may have come in a piece of their own. */
static void test_nul(void **state)
{
    static const char in[] = "a X y\0z\r\nb X {3+}\r\n\0\0\0\r\nc X {10+}\r\n HTTP/1.1\0\r\nd NOOP\r\n";
    for (size_t a = 0; a < sizeof(in); a++) {
        run(&whole, in, sizeof(in) - 1, a, sizeof(in) - 1);
        assert_string_equal(whole.text, "BAD a Bare CR, bare LF or NUL in a command\n"
                                        "BAD b Bare CR, bare LF or NUL in a command\n"
                                        "BAD c Bare CR, bare LF or NUL in a command\nCMD d NOOP \n");
    }
}

static void test_long_lines(void **state)
{
    static char in[300000];
    /* exactly the limit passes, one octet more does not */
    for (int over = 0; over < 2; over++) {
        size_t body = (size_t)IMAP_COMMAND_MAX - 4 + (size_t)over;
        memcpy(in, "a X ", 4);
        memset(in + 4, 'y', body);
        memcpy(in + 4 + body, "\r\nc NOOP\r\n", 10);
        run(&whole, in, 4 + body + 10, 100, 200);
        if (over)
            assert_string_equal(whole.text, "BAD a Command too long\nCMD c NOOP \n");
        else
            assert_true(whole.len > body && strstr(whole.text, "CMD c NOOP"));
    }
    /* literals that together pass the limit are refused, and dropped */
    size_t len = 0;
    len += (size_t)sprintf(in + len, "a X");
    for (int i = 0; i < 5; i++) {
        len += (size_t)sprintf(in + len, " {16000+}\r\n");
        memset(in + len, '\n', 16000);
        len += 16000;
    }
    len += (size_t)sprintf(in + len, "\r\nc NOOP\r\n");
    run(&whole, in, len, 17000, 70000);
    assert_string_equal(whole.text, "BAD a [TOOBIG] Literal too long\nCMD c NOOP \n");
}

static void test_nesting(void **state)
{
    char in[256];
    for (int depth = IMAP_NEST_MAX - 1; depth <= IMAP_NEST_MAX + 1; depth++) {
        size_t n = (size_t)sprintf(in, "a X ");
        memset(in + n, '(', (size_t)depth);
        memset(in + n + depth, ')', (size_t)depth);
        n += 2 * (size_t)depth;
        n += (size_t)sprintf(in + n, "\r\n");
        run(&whole, in, n, n, n);
        assert_int_equal(strncmp(whole.text, "CMD", 3) == 0, depth <= IMAP_NEST_MAX);
    }
    static char many[65536];
    size_t n = (size_t)sprintf(many, "a X");
    while (n < 65000)
        n += (size_t)sprintf(many + n, " (");
    n += (size_t)sprintf(many + n, "\r\n");
    run(&whole, many, n, n, n);
    assert_int_equal(strncmp(whole.text, "BAD a", 5), 0);
}

static void test_memory_given_back(void **state)
{
    struct imap_parser p;
    const struct imap_command *c;
    struct slice span;
    size_t used;
    imap_parser_init(&p);
    assert_int_equal(imap_next(&p, (const uint8_t *)"a X (y)\r\n", 9, &used, &c, &span), IMAP_COMMAND);
    assert_non_null(p.raw.data);
    imap_parser_free(&p);
    assert_null(p.raw.data);
    assert_null(p.arena);
    assert_int_equal(imap_next(&p, (const uint8_t *)"b NOOP\r\n", 8, &used, &c, &span), IMAP_COMMAND);
    assert_string_equal(c->tag, "b");
    imap_parser_free(&p);
    assert_true(sizeof(p) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_memory_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
