/* Engines that ask DNS, with hostile answers. The first line is the sender, and the author as a field has him; the
 * second what the peer calls itself, its words the names of signatures. Each question is answered by the next of the
 * other lines, again and again: as it stands (TXT), with its words as names (MX, PTR), with the peer's address or
 * another (A, AAAA); "!": it cannot be told, an empty one: there is nothing. Whatever is said, each engine ends, has
 * asked no more than it may, and has found texts that are whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/author.h"
#include "server/mailauth/dmarc.h"
#include "server/mailauth/iprev.h"
#include "server/mailauth/spf.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

enum {
    LINES_MAX = 64,
    WORDS_MAX = 16,
    SPF_ASKED_MAX = 1 + 10 + 10 * 10 + 1 + 11,
    /* Walks of the author and of ten identifiers, and whether he exists. */
    DMARC_ASKED_MAX = DMARC_WALK_MAX * (1 + DMARC_WALKS_MAX) + 1,
};

static const uint8_t peer[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1}, other[16] = {0x20, 1, 0x0d, 0xb8, [15] = 2};

static char *text;
static struct slice lines[LINES_MAX];
static size_t nlines, turn;
static unsigned asked;

/* Lines of text, each ended by a NUL. */
static void take_lines(const uint8_t *data, size_t size)
{
    text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    nlines = 0;
    turn = 2;
    for (char *at = text, *end = text + size; at <= end && nlines < LINES_MAX;) {
        char *nl = memchr(at, '\n', (size_t)(end - at));
        char *stop = nl ? nl : end;
        lines[nlines++] = slice_of(at, (size_t)(stop - at));
        *stop = '\0';
        at = stop + 1;
    }
}

static const char *line(size_t i)
{
    return i < nlines ? (const char *)lines[i].data : "";
}

static size_t put_words(char *words, struct records_value *v)
{
    size_t n = 0;
    char *rest = words;

    for (char *word; n < WORDS_MAX && (word = strsep(&rest, " ")); n++)
        v[n] = (struct records_value){.name = word};
    return n;
}

static void answer(struct records *r, const struct records_question *q)
{
    static char words[4096];
    struct records_value v[WORDS_MAX];
    struct records_answer a = {.v = v, .exists = true};
    struct slice s = nlines > 2 ? lines[turn] : slice_of("", 0);

    turn = turn + 1 < nlines ? turn + 1 : 2;
    asked++;
    CHECK(records_name_valid(q->name));
    if (s.len == 1 && s.data[0] == '!')
        a.err = ERR_TIMEOUT;
    else if (s.len && (q->type == RECORDS_A || q->type == RECORDS_AAAA)) {
        v[0] = (struct records_value){.data = slice_of(s.len % 2 ? other : peer, q->type == RECORDS_A ? 4 : 16)};
        a.n = 1;
    } else if (s.len && q->type == RECORDS_TXT) {
        v[0] = (struct records_value){.data = s};
        a.n = 1;
    } else if (s.len && s.len < sizeof(words)) {
        memcpy(words, s.data, s.len + 1);
        a.n = put_words(words, v);
    }
    records_put(r, q, &a);
}

static void check_printable(const char *s, size_t cap)
{
    CHECK(strnlen(s, cap) < cap);
    for (; *s; s++)
        CHECK(*s >= 0x20 && *s <= 0x7e);
}

static void answer_all(struct records *r)
{
    const struct records_question *q;

    CHECK(records_open(r));
    while ((q = records_take(r)))
        answer(r, q);
    CHECK(!records_open(r));
}

static void judge_spf(bool six)
{
    struct spf_question q = {
        .address = peer, .six = six, .helo = line(1), .sender = line(0), .receiver = "mx.example", .now = 1};
    struct records *r = records_create();
    struct spf_verdict v;
    int err;

    CHECK(r);
    asked = 0;
    while ((err = spf_check(&q, r, &v)) == ERR_AGAIN)
        answer_all(r);
    CHECK(err == OK && asked <= SPF_ASKED_MAX);
    CHECK(v.result != AUTH_POLICY && (!*v.explanation || v.result == AUTH_FAIL));
    check_printable(v.domain, sizeof(v.domain));
    check_printable(v.explanation, sizeof(v.explanation));
    records_destroy(r);
}

/* Whoever passes wrote as a domain that stands in the field, or in it as people write it beyond ASCII. */
static void check_author(const struct author_verdict *v, struct slice value)
{
    bool ascii = true;

    check_printable(v->domain, sizeof(v->domain));
    CHECK((v->fault == AUTHOR_OK) == (*v->domain != '\0') && (v->fault == AUTHOR_OK) == (v->mailboxes > 0));
    for (size_t i = 0; i < value.len; i++)
        ascii &= value.data[i] && value.data[i] < 0x80;
    if (ascii && v->fault == AUTHOR_OK) {
        char wanted[RECORDS_NAME_CAP + 1] = "@";
        strcat(wanted, v->domain);
        CHECK(strcasestr((const char *)value.data, wanted));
    }
}

static void judge_dmarc(const struct author_verdict *author)
{
    static char words[4096];
    struct dmarc_identifier dkim[WORDS_MAX];
    struct dmarc_question q = {author, {line(0), AUTH_PASS}, dkim, 0};
    struct records_value v[WORDS_MAX];
    struct records *r = records_create();
    struct dmarc_verdict d;
    int err;

    CHECK(r);
    if (nlines > 1 && lines[1].len < sizeof(words)) {
        memcpy(words, lines[1].data, lines[1].len + 1);
        q.dkim_n = put_words(words, v);
    }
    for (size_t i = 0; i < q.dkim_n; i++)
        dkim[i] = (struct dmarc_identifier){v[i].name, i % 4 == 3 ? AUTH_TEMPERROR : AUTH_PASS};
    asked = 0;
    while ((err = dmarc_check(&q, r, &d)) == ERR_AGAIN)
        answer_all(r);
    CHECK(err == OK && asked <= DMARC_ASKED_MAX);
    CHECK((d.result == AUTH_PASS) == (d.spf_aligned || d.dkim_aligned));
    CHECK(d.result != AUTH_PASS || (author->fault == AUTHOR_OK && *d.published));
    CHECK(spf_is_below(d.author, d.organization) && (!*d.published || spf_is_below(d.author, d.published)));
    records_destroy(r);
}

static void judge_names(bool six)
{
    struct iprev_address a = iprev_address_of(peer, six);
    struct records *r = records_create();
    struct iprev_verdict v;
    struct helo_verdict h;

    CHECK(r);
    asked = 0;
    while (iprev_check(a, r, &v) == ERR_AGAIN)
        answer_all(r);
    while (helo_check(a, line(1), "mx.example", r, &h) == ERR_AGAIN)
        answer_all(r);
    CHECK(asked <= 1 + IPREV_NAMES_MAX + 1 && (v.result != AUTH_PASS || *v.name));
    check_printable(v.name, sizeof(v.name));
    records_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct author_verdict author;

    take_lines(data, size);
    judge_spf(false);
    judge_spf(true);
    author_read_value(lines[0], &author);
    check_author(&author, lines[0]);
    judge_dmarc(&author);
    judge_names(false);
    judge_names(true);
    free(text);
    return 0;
}
