/* Numbers, sequence sets and flags (RFC 3501 section 9: number, sequence-set, flag). */
#include "server/proto/imap_args.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

int imap_number(struct slice s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.len == 0)
        return ERR_FORMAT;
    if (s.len > 20)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)s.data[i] - '0';
        if (d > 9)
            return ERR_FORMAT;
        if (v > (max - d) / 10 || max < d)
            return ERR_LIMIT;
        v = v * 10 + d;
    }
    *ret = v;
    return OK;
}

/* seq-number = nz-number / "*"; digit-nz comes first, so that 01 is no number */
static int seq_number(const uint8_t **p, const uint8_t *end, uint32_t *ret)
{
    if (*p < end && **p == '*') {
        ++*p;
        *ret = IMAP_STAR;
        return OK;
    }
    const uint8_t *start = *p;
    while (*p < end && **p >= '0' && **p <= '9')
        ++*p;
    uint64_t v;
    int err = imap_number(slice_of(start, (size_t)(*p - start)), UINT32_MAX, &v);
    if (err || v == 0 || *start == '0')
        return ERR_FORMAT;
    *ret = (uint32_t)v;
    return OK;
}

/* sequence-set = (seq-number / seq-range) *("," ...) */
int imap_set_parse(struct arena *a, struct slice s, struct imap_set *ret)
{
    struct imap_set set = {NULL, 1};
    for (size_t i = 0; i < s.len; i++)
        set.n += s.data[i] == ',';
    set.r = arena_alloc(a, set.n * sizeof(*set.r));
    if (!set.r)
        return ERR_LIMIT;
    const uint8_t *p = s.data, *end = s.data + s.len;
    for (size_t i = 0; i < set.n; i++) {
        if (i && *p++ != ',')
            return ERR_FORMAT;
        int err = seq_number(&p, end, &set.r[i].first);
        if (err)
            return err;
        set.r[i].last = set.r[i].first;
        if (p < end && *p == ':') {
            p++;
            if ((err = seq_number(&p, end, &set.r[i].last)) != OK)
                return err;
        }
        if (p == end && i + 1 < set.n)
            return ERR_FORMAT;
    }
    if (p != end)
        return ERR_FORMAT;
    *ret = set;
    return OK;
}

static int by_first(const void *x, const void *y)
{
    const struct imap_range *a = x, *b = y;
    return a->first < b->first ? -1 : a->first > b->first;
}

void imap_set_resolve(struct imap_set *s, uint32_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct imap_range r = s->r[i];
        if ((r.first == IMAP_STAR || r.last == IMAP_STAR) && max == 0)
            continue;
        if (r.first == IMAP_STAR)
            r.first = max;
        if (r.last == IMAP_STAR)
            r.last = max;
        if (r.first > r.last) /* 2:4 and 4:2 are the same (section 9, seq-range) */
            r = (struct imap_range){r.last, r.first};
        s->r[n++] = r;
    }
    s->n = n;
    if (n == 0)
        return;
    qsort(s->r, n, sizeof(*s->r), by_first);
    size_t m = 0;
    for (size_t i = 1; i < n; i++) {
        if (s->r[m].last == UINT32_MAX || s->r[i].first <= s->r[m].last + 1) {
            if (s->r[i].last > s->r[m].last)
                s->r[m].last = s->r[i].last;
        } else {
            s->r[++m] = s->r[i];
        }
    }
    s->n = m + 1;
}

bool imap_set_has(const struct imap_set *s, uint32_t v)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->r[mid].last < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->r[lo].first <= v;
}

/* RFC 3501 section 2.3.2 */
static const char *const flag_names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};

const char *imap_flag_name(unsigned bit_index)
{
    return bit_index < sizeof(flag_names) / sizeof(*flag_names) ? flag_names[bit_index] : NULL;
}

/* flag-keyword = atom; atom-specials are "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]" (section 9) */
bool imap_keyword_ok(struct slice s)
{
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= 0x20 || s.data[i] >= 0x7f || strchr("(){%*\"\\]", s.data[i]))
            return false;
    return true;
}

static bool same_word(const char *a, struct slice b)
{
    return strlen(a) == b.len && strncasecmp(a, (const char *)b.data, b.len) == 0;
}

static int add_flag(struct arena *a, const struct imap_node *n, struct imap_flags *f)
{
    if (n->type != IMAP_ATOM || n->glued)
        return ERR_FORMAT;
    if (n->text.data[0] == '\\') {
        for (unsigned i = 0; imap_flag_name(i); i++) {
            if (same_word(flag_names[i], n->text)) {
                f->system |= UINT64_C(1) << i;
                return OK;
            }
        }
        return ERR_FORMAT; /* a client cannot set \Recent (section 2.3.2); flag-extension is for later standards */
    }
    if (!imap_keyword_ok(n->text))
        return ERR_FORMAT;
    for (unsigned i = 0; i < f->nkeywords; i++)
        if (same_word(f->keywords[i], n->text))
            return OK;
    if (f->nkeywords == IMAP_KEYWORDS_MAX || n->text.len > IMAP_KEYWORD_LEN_MAX)
        return OK; /* a server keeps what it can (section 2.3.2): mail and \Seen go before */
    char *copy = arena_strndup(a, n->text.data, n->text.len);
    if (!copy)
        return ERR_LIMIT;
    f->keywords[f->nkeywords++] = copy;
    return OK;
}

int imap_flags_parse(struct arena *a, const struct imap_node *n, struct imap_flags *ret)
{
    struct imap_flags f = {0};
    if (!n)
        return ERR_FORMAT;
    if (n->type == IMAP_LIST) {
        if (n->next)
            return ERR_FORMAT;
        n = n->child;
    }
    for (; n; n = n->next) {
        int err = add_flag(a, n, &f);
        if (err)
            return err;
    }
    *ret = f;
    return OK;
}
