/* IMAP's argument parsers and response writers, and what must hold of them: sets keep their members, names and dates
 * come back as they were, what is written can be read. The first octet chooses. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/proto/imap_args.h"
#include "server/proto/imap_fetch.h"
#include "server/proto/imap_out.h"
#include "server/proto/imap_search.h"
#include "server/proto/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void sets(struct arena *a, struct slice s)
{
    struct imap_set set;
    if (imap_set_parse(a, s, &set))
        return;
    imap_set_resolve(&set, s.len ? s.data[0] : 0);
    for (size_t i = 0; i < set.n; i++) {
        must(set.r[i].first >= 1 && set.r[i].first <= set.r[i].last);
        must(i == 0 || (uint64_t)set.r[i - 1].last + 1 < set.r[i].first);
        must(imap_set_has(&set, set.r[i].first) && imap_set_has(&set, set.r[i].last));
    }
}

static void names(struct slice s)
{
    char utf8[512], wire[2048], back[512];
    if (imap_utf7_decode(s, utf8, sizeof(utf8)))
        return;
    must(utf8_valid(utf8, strlen(utf8)));
    must(imap_utf7_encode(utf8, wire, sizeof(wire)) == OK);
    must(strlen(wire) == s.len && memcmp(wire, s.data, s.len) == 0); /* one name, one spelling */
    must(imap_utf7_decode(slice_str(wire), back, sizeof(back)) == OK && strcmp(back, utf8) == 0);
    imap_list_match(utf8, wire);
    must(imap_list_match("*", utf8));
}

static void dates(struct slice s)
{
    int64_t t, back;
    int32_t day;
    char text[IMAP_DATE_TIME_LEN + 1];
    imap_date(s, &day);
    if (imap_date_time(s, &t))
        return;
    imap_date_time_write(t, text);
    must(imap_date_time(slice_str(text), &back) == OK && back == t);
}

static bool keyword(void *arg, const struct imap_search *s)
{
    must(s->op == SEARCH_KEYWORD && s->value == 0);
    return strlen(s->name) > 2;
}

static int fingerprint(void *arg, struct imap_search *s)
{
    must(s->text.len == 8 || s->text.len == 20 || s->text.len == 32);
    must(s->nfprs == 0);
    ++*(unsigned *)arg;
    return OK;
}

static struct imap_words words;

static void search(struct arena *a, struct imap_node *n)
{
    struct imap_search *q;
    if (imap_search_parse(a, n, &q) || imap_search_resolve(q, 1000, 2000))
        return;
    static const char outer[] = "Date: 1 Jan 2020 00:00:00 +0000\r\nSubject: =?utf-8?q?a=20b?=\r\n c\r\nTo: x\r\n";
    struct imap_search_message m = {
        .seq = 5, .uid = 9, .flags = 33, .size = 1000, .internaldate = 1577836800, .words = &words, .keyword = keyword};
    imap_words_begin(&words, slice_str(outer));
    static const uint8_t ours[2][20] = {{1}, {2}}, primary[1][20] = {{2}};
    unsigned seen = 0, needs = imap_search_needs(q);
    m.fprs = ours;
    m.nfprs = 2;
    must(imap_search_each(q, SEARCH_ENCRYPTED_TO, fingerprint, &seen) == OK);
    must((seen > 0) == ((needs & SEARCH_NEEDS_FPRS) != 0) && seen <= imap_search_keys(q));
    imap_search_match(q, &m);
    if (q->op == SEARCH_AND && q->child->op == SEARCH_ENCRYPTED_TO && !q->child->next) {
        q->child->fprs = primary; /* it alone, and a fingerprint that the message has */
        q->child->nfprs = 1;
        must(imap_search_match(q, &m));
    }
}

static void trees(struct arena *a, struct slice s)
{
    struct imap_node *n;
    struct imap_flags f;
    struct imap_fetch_item *items;
    struct buf b;
    if (imap_tree(a, s.data, s.len, &n))
        return;
    imap_flags_parse(a, n, &f);
    search(a, n);
    if (imap_fetch_parse(a, n, &items))
        return;
    buf_init(&b, 1 << 20, false);
    for (; items; items = items->next) {
        struct imap_node *again;
        struct imap_fetch_item *same = NULL;
        buf_clear(&b);
        must(imap_fetch_name(items, &b) == OK);
        if (items->partial) /* the answer names the offset alone */
            continue;
        must(imap_tree(a, b.data, b.len, &again) == OK &&
             imap_fetch_parse(a, again, &same) == OK); /* what is written can be read */
        must(same->kind == items->kind && same->text == items->text && same->nparts == items->nparts);
    }
    buf_free(&b);
}

static void writers(struct arena *a, struct slice s)
{
    struct buf b;
    struct imap_node *n;
    buf_init(&b, 1 << 20, false);
    must(imap_out_astring(&b, s) == OK);
    if (!memchr(s.data, 0, s.len)) {
        must(imap_tree(a, b.data, b.len, &n) == OK && !n->next && n->text.len == s.len);
        must(memcmp(n->text.data, s.data, s.len) == 0);
    }
    buf_clear(&b);
    must(imap_out_envelope(&b, s) == OK);
    if (!memchr(s.data, 0, s.len)) /* an envelope is a list of ten */
        must(b.data[0] == '(' && b.data[b.len - 1] == ')');
    buf_clear(&b);
    must(imap_out_part(&b, s, 1, 2, true) == OK && imap_out_multipart_end(&b, s, true) == OK);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sasl_plain plain;
    if (size < 1 || size > 20000)
        return 0;
    struct slice s = slice_of(data + 1, size - 1);
    struct arena *a = arena_create(IMAP_ARENA_MAX, true);
    must(a != NULL);
    switch (data[0] % 7) {
    case 0: sets(a, s); break;
    case 1: names(s); break;
    case 2: dates(s); break;
    case 3: trees(a, s); break;
    case 4: writers(a, s); break;
    case 5: sasl_plain_decode(s, &plain); break;
    default:
        imap_words_begin(&words, s);
        imap_words_have(&words, "", slice_of(s.data, s.len > 3 ? 3 : s.len));
        must(words.len <= 2 * s.len && words.work <= 1040 * (uint64_t)(s.len + 4));
        break;
    }
    arena_destroy(a);
    return 0;
}
