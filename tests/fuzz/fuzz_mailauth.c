/* Engines that ask DNS, with hostile answers. The first line is the sender, the second what the peer calls itself; each
 * question is answered by the next of the other lines, again and again: as it stands (TXT), with its words as names
 * (MX, PTR), with the peer's address or another (A, AAAA); "!": it cannot be told, an empty one: there is nothing.
 * Whatever is said, each engine ends, has asked no more than it may, and has found texts that are whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/spf.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

enum { LINES_MAX = 64, WORDS_MAX = 16, SPF_ASKED_MAX = 1 + 10 + 10 * 10 + 1 + 11 };

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    take_lines(data, size);
    judge_spf(false);
    judge_spf(true);
    free(text);
    return 0;
}
