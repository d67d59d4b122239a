/* The parsers of single arguments, and the pieces responses are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/proto/imap_args.h"
#include "server/proto/imap_fetch.h"
#include "server/proto/imap_out.h"
#include "server/proto/imap_search.h"
#include "server/proto/sasl.h"

static struct arena *a;

static int setup(void **state)
{
    a = arena_create(IMAP_ARENA_MAX, true);
    return a ? 0 : -1;
}
static int teardown(void **state)
{
    arena_destroy(a);
    return 0;
}

static struct imap_node *tree(const char *text)
{
    struct imap_node *n = NULL;
    assert_int_equal(imap_tree(a, (const uint8_t *)text, strlen(text), &n), OK);
    return n;
}

static void test_sets(void **state)
{
    static const struct {
        const char *in;
        uint32_t max;
        const char *out;
    } table[] = {
        {"1", 9, "1:1"},
        {"*", 9, "9:9"},
        {"*", 0, ""},
        {"1:*", 0, ""},
        {"3:1", 9, "1:3"},
        {"*:4", 9, "4:9"},
        {"5:*", 3, "3:5"},
        {"7", 0, "7:7"},
        {"1,2,3", 9, "1:3"},
        {"5,1:3,2:4", 9, "1:5"},
        {"1,3,2:2,9", 9, "1:3,9:9"},
        {"4294967295,1", 9, "1:1,4294967295:4294967295"},
        {"1:4294967295,4294967295:4294967295", 9, "1:4294967295"},
        {"", 0, NULL},
        {"0", 0, NULL},
        {"01", 0, NULL},
        {"1,", 0, NULL},
        {",1", 0, NULL},
        {"1,,2", 0, NULL},
        {"1:", 0, NULL},
        {":1", 0, NULL},
        {"1:2:3", 0, NULL},
        {"4294967296", 0, NULL},
        {"99999999999999999999999", 0, NULL},
        {"-1", 0, NULL},
        {"1:0", 0, NULL},
        {"$", 0, NULL},
        {"1 2", 0, NULL},
        {"**", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct imap_set s;
        char out[200] = "";
        int err = imap_set_parse(a, slice_str(table[i].in), &s);
        if ((err == OK) != (table[i].out != NULL))
            print_error("set %s: %d\n", table[i].in, err);
        assert_int_equal(err == OK, table[i].out != NULL);
        if (err)
            continue;
        imap_set_resolve(&s, table[i].max);
        for (size_t k = 0; k < s.n; k++)
            sprintf(out + strlen(out), "%s%u:%u", k ? "," : "", s.r[k].first, s.r[k].last);
        assert_string_equal(out, table[i].out);
        for (uint32_t v = 0; v < 12; v++) {
            bool in = false;
            for (size_t k = 0; k < s.n; k++)
                in = in || (s.r[k].first <= v && v <= s.r[k].last);
            assert_int_equal(imap_set_has(&s, v), in);
        }
    }
}

#define NONE INT64_MAX
static void test_dates(void **state)
{
    static const struct {
        const char *in;
        int64_t t;
    } times[] = {
        {" 1-Jan-1970 00:00:00 +0000", 0},
        {"17-Jul-1996 02:44:25 -0700", 837596665},
        {"29-Feb-2000 23:59:60 +0000", 951868799},
        {"31-Dec-9999 23:59:59 +0000", 253402300799},
        {" 1-jan-1970 01:00:00 +0100", 0},
        {"1-Jan-1970 00:00:00 +0000", 0},
        {"1-Jan-1970 00:00:00 +0001", -60},
        {"01-Jan-0001 00:00:00 +0000", DATE_FIRST},
        {"01-Jan-0001 00:00:00 +0001", NONE},
        {"31-Dec-9999 23:59:59 -0001", NONE},
        {"29-Feb-1900 00:00:00 +0000", NONE},
        {"31-Apr-2000 00:00:00 +0000", NONE},
        {"00-Jan-2000 00:00:00 +0000", NONE},
        {" 1-Jan-1970 00:00:00 +0001", -60},
        {"01-Jan-2000 24:00:00 +0000", NONE},
        {"01-Jan-2000 00:60:00 +0000", NONE},
        {"01-Jan-2000 00:00:00 +0060", NONE},
        {"01-Foo-2000 00:00:00 +0000", NONE},
        {"01-Jan-2000 00:00:00 +000", NONE},
        {"01-Jan-2000 00:00:00 UTC  ", NONE},
        {"", NONE},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        int64_t t = 77;
        int err = imap_date_time(slice_str(times[i].in), &t);
        assert_int_equal(err == OK, times[i].t != NONE);
        assert_true(err ? t == 77 : t == times[i].t);
    }
    char text[IMAP_DATE_TIME_LEN + 1];
    for (int64_t t = DATE_FIRST; t < (int64_t)DATE_LAST; t += 86399 * 997 + 13) { /* there and back */
        int64_t back;
        imap_date_time_write(t, text);
        assert_int_equal(imap_date_time(slice_str(text), &back), OK);
        assert_true(back == t);
    }
    imap_date_time_write(INT64_MAX, text);
    assert_string_equal(text, "31-Dec-9999 23:59:59 +0000");
    imap_date_time_write(INT64_MIN, text);
    assert_string_equal(text, " 1-Jan-0001 00:00:00 +0000");
    int32_t day;
    assert_int_equal(imap_date(slice_str("1-Feb-1994"), &day), OK);
    assert_int_equal(day, 8797);
    assert_int_equal(imap_date(slice_str("01-Feb-1994"), &day), OK);
    assert_int_not_equal(imap_date(slice_str("30-Feb-1994"), &day), OK);
    assert_int_not_equal(imap_date(slice_str("1-Feb-94"), &day), OK);
}

static void test_names(void **state)
{
    static const struct {
        const char *wire, *utf8;
    } pairs[] = {
        {"INBOX", "INBOX"},
        {"&-", "&"},
        {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
         "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
        {"&AOQ-", "\xc3\xa4"},
        {"a&AOQA9gD8-b&-", "a\xc3\xa4\xc3\xb6\xc3\xbc"
                           "b&"},
        {"&2D3eAA-", "\xf0\x9f\x98\x80"},
        {"", ""},
    };
    static const char *const bad[] = {
        "&",
        "&A",
        "&AO-",
        "&AOQ",
        "&AOR-",
        "&AGE-" /* a in disguise */,
        "&AOQ-&APY-" /* two where one would do */,
        "&2D0-",
        "&3gA-",
        "&AAA-",
        "&AAo-",
        "\xc3\xa4",
        "a\tb",
        "a\x7f",
        "&AOQ=-",
        "& -",
        "&AIA-",
    };
    char out[600];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        assert_int_equal(imap_utf7_decode(slice_str(pairs[i].wire), out, sizeof(out)), OK);
        assert_string_equal(out, pairs[i].utf8);
        assert_int_equal(imap_utf7_encode(pairs[i].utf8, out, sizeof(out)), OK);
        assert_string_equal(out, pairs[i].wire);
        assert_int_equal(imap_utf7_decode(slice_str(pairs[i].wire), out, strlen(pairs[i].utf8) + 1), OK);
        if (pairs[i].utf8[0])
            assert_int_equal(imap_utf7_decode(slice_str(pairs[i].wire), out, strlen(pairs[i].utf8)), ERR_LIMIT);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (imap_utf7_decode(slice_str(bad[i]), out, sizeof(out)) == OK)
            print_error("accepted: %s\n", bad[i]);
        assert_int_equal(imap_utf7_decode(slice_str(bad[i]), out, sizeof(out)), ERR_FORMAT);
    }
    assert_int_equal(imap_utf7_encode("\xed\xa0\x80", out, sizeof(out)), ERR_FORMAT); /* a surrogate */
    assert_int_equal(imap_utf7_encode("\xc0\xaf", out, sizeof(out)), ERR_FORMAT);     /* overlong */
    assert_int_equal(imap_utf7_encode("\xc3", out, sizeof(out)), ERR_FORMAT);
    static const struct {
        const char *pattern, *name;
        bool match;
    } lists[] = {
        {"*", "a/b", 1},
        {"%", "a/b", 0},
        {"%/%", "a/b", 1},
        {"%", "a", 1},
        {"inbox", "INBOX", 1},
        {"in%", "INBOX", 1},
        {"inbox/*", "INBOX/x", 1},
        {"A", "a", 0},
        {"a*c", "abc", 1},
        {"a*c", "ab", 0},
        {"", "", 1},
        {"", "a", 0},
        {"*%*", "a/b", 1},
        {"a%b*c%", "a1b/2c3", 1},
        {"inbox/X", "INBOX/x", 0},
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        assert_int_equal(imap_list_match(lists[i].pattern, lists[i].name), lists[i].match);
    char long_pattern[400], long_name[500]; /* no pattern takes longer than its length says */
    memset(long_pattern, '*', 399);
    long_pattern[399] = 0;
    memset(long_name, 'a', 499);
    long_name[499] = 0;
    long_pattern[398] = 'b';
    assert_false(imap_list_match(long_pattern, long_name));
}

static void test_flags(void **state)
{
    struct imap_flags f;
    assert_int_equal(imap_flags_parse(a, tree("(\\seen \\DELETED $Junk $JUNK foo)"), &f), OK);
    assert_int_equal(f.system, IMAP_SEEN | IMAP_DELETED);
    assert_int_equal(f.nkeywords, 2);
    assert_int_equal(imap_flags_parse(a, tree("\\Draft x"), &f), OK);
    assert_int_equal(imap_flags_parse(a, tree("()"), &f), OK);
    assert_int_equal(f.system, 0);
    static const char *const bad[] = {"\\Recent", "(\\Frob)", "\\", "(a (b))", "\"x\"", "a]", "*", "(a) b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(imap_flags_parse(a, tree(bad[i]), &f), ERR_FORMAT);
    /* past a limit the keyword goes, not what stands beside it */
    char many[2000] = "";
    for (int i = 0; i <= IMAP_KEYWORDS_MAX; i++)
        sprintf(many + strlen(many), "k%d ", i);
    strcat(many, "\\Seen");
    assert_int_equal(imap_flags_parse(a, tree(many), &f), OK);
    assert_int_equal(f.nkeywords, IMAP_KEYWORDS_MAX);
    assert_string_equal(f.keywords[IMAP_KEYWORDS_MAX - 1], "k127");
    assert_int_equal(f.system, IMAP_SEEN);
    memset(many, 'k', 66);
    strcpy(many + 66, " \\Seen \\Draft short");
    assert_int_equal(imap_flags_parse(a, tree(many), &f), OK);
    assert_int_equal(f.nkeywords, 1);
    assert_int_equal(f.system, IMAP_SEEN | IMAP_DRAFT);
    many[65] = ']';
    assert_int_equal(imap_flags_parse(a, tree(many), &f), ERR_FORMAT);
}

static void test_fetch(void **state)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        {"ALL", "FLAGS,INTERNALDATE,RFC822.SIZE,ENVELOPE,"},
        {"fast", "FLAGS,INTERNALDATE,RFC822.SIZE,"},
        {"FULL", "FLAGS,INTERNALDATE,RFC822.SIZE,ENVELOPE,BODY,"},
        {"(UID flags)", "UID,FLAGS,"},
        {"BODY[]", "BODY[],"},
        {"BODY.PEEK[]<0.5>", "BODY[]<0>,"},
        {"BODY[1.2.TEXT]", "BODY[1.2.TEXT],"},
        {"BODY[2.MIME]", "BODY[2.MIME],"},
        {"(BODY[HEADER.FIELDS (a \"b\")] UID)", "BODY[HEADER.FIELDS (a b)],UID,"},
        {"BODY[HEADER.FIELDS.NOT (\"a(b\")]<1.2>", "BODY[HEADER.FIELDS.NOT (\"a(b\")]<1>,"},
        {"BODY[1.HEADER.FIELDS (a)]", "BODY[1.HEADER.FIELDS (a)],"},
        {"", NULL},
        {"()", NULL},
        {"FROB", NULL},
        {"(ALL)", NULL},
        {"ALL FLAGS", NULL},
        {"UID FLAGS", NULL},
        {"BODY[", NULL},
        {"BODY[]x", NULL},
        {"BODY]", NULL},
        {"BODY[0]", NULL},
        {"BODY[1.]", NULL},
        {"BODY[.1]", NULL},
        {"BODY[MIME]", NULL},
        {"BODY[1.FROB]", NULL},
        {"BODY[]<1>", NULL},
        {"BODY[]<1.0>", NULL},
        {"BODY[]<.1>", NULL},
        {"BODY[]<1.1", NULL},
        {"BODY[HEADER.FIELDS]", NULL},
        {"BODY[HEADER.FIELDS ()]", NULL},
        {"BODY[HEADER.FIELDS (a)", NULL},
        {"BODY[HEADER.FIELDS (a:)]", NULL},
        {"BODY[HEADER (a)]", NULL},
        {"BODY[1.1.1.1.1.1.1.1.1]", NULL},
        {"RFC822.PEEK[]", NULL},
        {"BODY[4294967296]", NULL},
        {"BODY[]<99999999999999999999.1>", NULL},
        {"BODY[HEADER.FIELDS (a b", NULL},
        {"BINARY[]", NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct imap_fetch_item *items = NULL;
        struct imap_node *n = NULL;
        struct buf b;
        int err = imap_tree(a, (const uint8_t *)table[i].in, strlen(table[i].in), &n);
        if (!err)
            err = imap_fetch_parse(a, n, &items);
        if ((err == OK) != (table[i].out != NULL))
            print_error("fetch %s: %d\n", table[i].in, err);
        assert_int_equal(err == OK, table[i].out != NULL);
        buf_init(&b, 4096, false);
        for (; !err && items; items = items->next) {
            assert_int_equal(imap_fetch_name(items, &b), OK);
            buf_puts(&b, ",");
        }
        if (!err) {
            buf_append(&b, "", 1);
            assert_string_equal((char *)b.data, table[i].out);
        }
        buf_free(&b);
    }
    char many[2000] = "(";
    for (int i = 0; i < FETCH_ITEMS_MAX + 1; i++)
        strcat(many, i ? " UID" : "UID");
    strcat(many, ")");
    struct imap_fetch_item *items;
    assert_int_equal(imap_fetch_parse(a, tree(many), &items), ERR_LIMIT);
}

static int count_one(void *arg, struct imap_search *s)
{
    return ++*(unsigned *)arg == 3 ? ERR_LIMIT : OK;
}

static void test_search_by_key(void **state)
{
    static const uint8_t fprs[2][20] = {{0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0xef},
                                        {1}};
    static const uint8_t further[1][20] = {{1}};
    static const struct {
        const char *keys;
        bool match;
    } table[] = {
        {"X-LETTERLOCK-KEY abcd0102030405060708090a0b0c0d0e0f1011ef", true},
        {"X-LETTERLOCK-KEY \"ABCD0102030405060708090A0B0C0D0E0F1011EF\"", true},
        {"X-LETTERLOCK-KEY abcd0102030405060708090a0b0c0d0e0f1011ee", false},
        {"X-LETTERLOCK-KEY abcd0102030405060708090a0b0c0d0e0f1011ef0000000000000000000000ff", true}, /* 20 are kept */
        {"X-LETTERLOCK-KEY 0b0c0d0e0f1011ef", true}, /* key id, version 4 */
        {"X-LETTERLOCK-KEY abcd010203040506", true}, /* version 6 */
        {"X-LETTERLOCK-KEY 0102030405060708", false},
        {"NOT X-LETTERLOCK-KEY 0b0c0d0e0f1011ef", false},
        {"OR X-LETTERLOCK-KEY 0000000000000000 X-LETTERLOCK-KEY 0b0c0d0e0f1011ef", true},
        {"X-LETTERLOCK-KEY 0b0c0d0e0f1011ef SEEN", false},
    };
    struct imap_search_message m = {.seq = 1, .uid = 1, .fprs = fprs, .nfprs = 2};
    struct imap_search *s;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(imap_search_parse(a, tree(table[i].keys), &s), OK);
        assert_int_equal(imap_search_needs(s), SEARCH_NEEDS_FPRS | SEARCH_NEEDS_ENTRY);
        assert_int_equal(imap_search_match(s, &m), table[i].match);
    }
    assert_int_equal(imap_search_parse(a, tree("X-LETTERLOCK-KEY ffffffffffffffff"), &s), OK);
    assert_false(imap_search_match(s, &m));
    s->child->fprs = further;
    s->child->nfprs = 1;
    assert_true(imap_search_match(s, &m));
    m.nfprs = 0;
    assert_false(imap_search_match(s, &m));
    unsigned n = 0;
    assert_int_equal(imap_search_parse(a,
                                       tree("(NOT X-LETTERLOCK-KEY ffffffffffffffff) OR SEEN (X-LETTERLOCK-KEY "
                                            "ffffffffffffffff X-LETTERLOCK-KEY ffffffffffffffff) SEEN"),
                                       &s),
                     OK);
    assert_int_equal(imap_search_each(s, SEARCH_ENCRYPTED_TO, count_one, &n), ERR_LIMIT);
    assert_int_equal(n, 3);
    assert_int_equal(imap_search_each(s, SEARCH_FLAGS, count_one, &n), OK);
    assert_int_equal(n, 5);
}

static void test_search_limits(void **state)
{
    struct imap_search *s;
    static char text[30000];
    for (int i = 0; i < 60; i++)
        strcat(text, "NOT ");
    strcat(text, "ALL");
    assert_int_equal(imap_search_parse(a, tree(text), &s), ERR_LIMIT); /* it recurses: a depth */
    strcpy(text, "ALL");
    for (int i = 0; i < SEARCH_KEYS_MAX; i++)
        strcat(text, " ALL");
    assert_int_equal(imap_search_parse(a, tree(text), &s), ERR_LIMIT); /* it runs for every message: a count */
    assert_int_equal(imap_search_parse(a, NULL, &s), ERR_FORMAT);
    for (int n = SEARCH_TEXTS_MAX; n <= SEARCH_TEXTS_MAX + 1; n++) {
        strcpy(text, "SUBJECT x");
        for (int i = 1; i < n; i++)
            strcat(text, i % 2 ? " TEXT x" : " HEADER y x");
        assert_int_equal(imap_search_parse(a, tree(text), &s), n > SEARCH_TEXTS_MAX ? ERR_LIMIT : OK);
    }
}

static void test_envelope(void **state)
{
    static const struct {
        const char *header, *out;
    } table[] = {
        {"From: a@b.c\r\n",
         "(NIL NIL ((NIL NIL \"a\" \"b.c\")) ((NIL NIL \"a\" \"b.c\")) ((NIL NIL \"a\" \"b.c\")) NIL NIL NIL NIL NIL)"},
        {"To: \"X, Y\" <x@y>, z@w (note (deep)), Plain Name <p@q>\r\nSubject: a\r\n b\r\n",
         "(NIL \"a b\" NIL NIL NIL ((\"X, Y\" NIL \"x\" \"y\")(NIL NIL \"z\" \"w\")(\"Plain Name\" NIL \"p\" \"q\")) "
         "NIL NIL NIL NIL)"},
        {"Cc: team: a@b, c@d;, e@f\r\n", "(NIL NIL NIL NIL NIL NIL ((NIL NIL \"team\" NIL)(NIL NIL \"a\" \"b\")(NIL "
                                         "NIL \"c\" \"d\")(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\")) NIL NIL NIL)"},
        {"To: undisclosed-recipients:;\r\n",
         "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"},
        {"To: \r\nCc: ,,\r\nBcc: open: x@y",
         "(NIL NIL NIL NIL NIL NIL NIL ((NIL NIL \"open\" NIL)(NIL NIL \"x\" \"y\")(NIL NIL NIL NIL)) NIL NIL)"},
        {"To: <@r1,@r2:a@b>\r\n", "(NIL NIL NIL NIL NIL ((NIL \"@r1,@r2\" \"a\" \"b\")) NIL NIL NIL NIL)"},
        {"To: \"q\\\"q\"@h, <unclosed@x\r\nMessage-ID: <i>\r\n",
         "(NIL NIL NIL NIL NIL ((NIL NIL \"q\\\"q\" \"h\")(NIL NIL \"unclosed\" \"x\")) NIL NIL NIL \"<i>\")"},
        {"Subject: \xc3\xa4\r\n", "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"To: undisclosed, <>, <local>, @host\r\n", /* a host that is NIL would begin or end a group */
         "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed\" \"\")(NIL NIL \"\" \"\")(NIL NIL \"local\" \"\")(NIL NIL \"\" "
         "\"host\")) NIL NIL NIL NIL)"},
        {"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"To: (never closed\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct buf b;
        buf_init(&b, 4096, false);
        assert_int_equal(imap_out_envelope(&b, slice_str(table[i].header)), OK);
        buf_append(&b, "", 1);
        assert_string_equal((char *)b.data, table[i].out);
        buf_free(&b);
        for (size_t max = 0; max < strlen(table[i].out); max += 7) { /* a full buffer is an error, never an overflow */
            buf_init(&b, max, false);
            assert_int_equal(imap_out_envelope(&b, slice_str(table[i].header)), ERR_LIMIT);
            buf_free(&b);
        }
    }
}

static void test_parts(void **state)
{
    static const struct {
        const char *header, *part, *end;
    } table[] = {
        {"", "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 6 NIL NIL NIL NIL)", " \"plain\" NIL NIL NIL NIL)"},
        {"Content-Type: a/b; c=d; e=\"f g\"\r\nContent-ID: <i@j>\r\nContent-Description: k\r\n"
         "Content-Transfer-Encoding: base64\r\nContent-Disposition: inline; filename=\"l\"\r\n\r\n",
         "(\"a\" \"b\" (\"c\" \"d\" \"e\" \"f g\") \"<i@j>\" \"k\" \"base64\" 5 NIL (\"inline\" (\"filename\" \"l\")) "
         "NIL "
         "NIL)",
         " \"b\" (\"c\" \"d\" \"e\" \"f g\") NIL NIL NIL)"},
        {"Content-Type: nothing\r\nContent-Disposition: ;\r\n",
         "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 6 NIL NIL NIL NIL)", " \"plain\" NIL NIL NIL NIL)"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct buf b;
        buf_init(&b, 4096, false);
        assert_int_equal(imap_out_part(&b, slice_str(table[i].header), 5, 6, true), OK);
        buf_append(&b, "", 1);
        assert_string_equal((char *)b.data, table[i].part);
        buf_clear(&b);
        assert_int_equal(imap_out_multipart_end(&b, slice_str(table[i].header), true), OK);
        buf_append(&b, "", 1);
        assert_string_equal((char *)b.data, table[i].end);
        buf_free(&b);
    }
}

static void test_strings(void **state)
{
    static const struct {
        const char *in, *string, *astring;
    } table[] = {
        {"abc", "\"abc\"", "abc"},
        {"", "\"\"", "\"\""},
        {"a b", "\"a b\"", "\"a b\""},
        {"a\"\\", "\"a\\\"\\\\\"", "\"a\\\"\\\\\""},
        {"a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
        {"nil", "\"nil\"", "\"nil\""},
        {"a]", "\"a]\"", "\"a]\""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct buf b;
        buf_init(&b, 4096, false);
        imap_out_string(&b, slice_str(table[i].in));
        buf_puts(&b, "|");
        imap_out_astring(&b, slice_str(table[i].in));
        buf_append(&b, "", 1);
        char want[100];
        snprintf(want, sizeof(want), "%s|%s", table[i].string, table[i].astring);
        assert_string_equal((char *)b.data, want);
        buf_free(&b);
    }
}

static void test_sasl(void **state)
{
    static const struct {
        const char *in;
        int err;
        const char *user, *password;
    } table[] = {
        {"AHVzZXIAcGFzcw==", OK, "user", "pass"},
        {"dXNlcgB1c2VyAHBhc3M=", OK, "user", "pass"},
        {"cm9vdAB1c2VyAHBhc3M=", ERR_DENIED, 0, 0},
        {"", ERR_FORMAT, 0, 0},
        {"=", ERR_FORMAT, 0, 0},
        {"AHVzZXI=", ERR_FORMAT, 0, 0},
        {"AABw", ERR_FORMAT, 0, 0} /* no user */,
        {"AHUA", ERR_FORMAT, 0, 0} /* no password */,
        {"AHVzZXIAcGFzcw=", ERR_FORMAT, 0, 0},
        {"AHVzZXIAcGFzcx==", ERR_FORMAT, 0, 0} /* stray bits */,
        {"AHVzZXIAcGFz\ncw==", ERR_FORMAT, 0, 0},
        {"AHUAcABx", ERR_FORMAT, 0, 0} /* a NUL in the password */,
        {"AHU=AHAA", ERR_FORMAT, 0, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct sasl_plain p;
        assert_int_equal(sasl_plain_decode(slice_str(table[i].in), &p), table[i].err);
        if (table[i].err)
            continue;
        assert_string_equal(p.user, table[i].user);
        assert_string_equal(p.password, table[i].password);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        T(test_sets),          T(test_dates),    T(test_names), T(test_flags),   T(test_fetch), T(test_search_limits),
        T(test_search_by_key), T(test_envelope), T(test_parts), T(test_strings), T(test_sasl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
