/* SEARCH (RFC 3501 section 6.4.4; grammar: section 9, search and search-key): parsing and matching. Matching recurses
 * and runs for every message, so depth and number of keys are bounded. */
#include "server/proto/imap_search.h"

#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/proto/imap_out.h"

enum arg {
    ARG_NONE,
    ARG_FLAG,
    ARG_UNFLAG,
    ARG_KEYWORD,
    ARG_UNKEYWORD,
    ARG_DATE,
    ARG_NUMBER,
    ARG_FIELD,
    ARG_HEADER,
    ARG_TEXT,
    ARG_BODY,
    ARG_UID,
    ARG_NOT,
    ARG_OR,
    ARG_KEY,
    ARG_FALSE
};

static const struct {
    const char *word;
    enum arg arg;
    enum imap_search_op op;
    uint64_t value;
    const char *field;
} keys[] = {
    {"ALL", ARG_NONE, SEARCH_ALL, 0, NULL},
    /* Flags (section 2.3.2); each has its opposite. */
    {"ANSWERED", ARG_FLAG, 0, IMAP_ANSWERED, NULL},
    {"UNANSWERED", ARG_UNFLAG, 0, IMAP_ANSWERED, NULL},
    {"DELETED", ARG_FLAG, 0, IMAP_DELETED, NULL},
    {"UNDELETED", ARG_UNFLAG, 0, IMAP_DELETED, NULL},
    {"DRAFT", ARG_FLAG, 0, IMAP_DRAFT, NULL},
    {"UNDRAFT", ARG_UNFLAG, 0, IMAP_DRAFT, NULL},
    {"FLAGGED", ARG_FLAG, 0, IMAP_FLAGGED, NULL},
    {"UNFLAGGED", ARG_UNFLAG, 0, IMAP_FLAGGED, NULL},
    {"SEEN", ARG_FLAG, 0, IMAP_SEEN, NULL},
    {"UNSEEN", ARG_UNFLAG, 0, IMAP_SEEN, NULL},
    {"KEYWORD", ARG_KEYWORD, 0, 0, NULL},
    {"UNKEYWORD", ARG_UNKEYWORD, 0, 0, NULL},
    /* No message is ever \Recent, as in RFC 9051 (appendix E): RECENT and NEW match nothing, OLD matches everything. */
    {"RECENT", ARG_FALSE, 0, 0, NULL},
    {"NEW", ARG_FALSE, 0, 0, NULL},
    {"OLD", ARG_NONE, SEARCH_ALL, 0, NULL},
    /* The internal date's day, then the day of the Date field; neither time nor zone counts. */
    {"BEFORE", ARG_DATE, SEARCH_BEFORE, 0, NULL},
    {"ON", ARG_DATE, SEARCH_ON, 0, NULL},
    {"SINCE", ARG_DATE, SEARCH_SINCE, 0, NULL},
    {"SENTBEFORE", ARG_DATE, SEARCH_SENTBEFORE, 0, NULL},
    {"SENTON", ARG_DATE, SEARCH_SENTON, 0, NULL},
    {"SENTSINCE", ARG_DATE, SEARCH_SENTSINCE, 0, NULL},
    /* RFC822.SIZE, which is larger or smaller, never equal. */
    {"LARGER", ARG_NUMBER, SEARCH_LARGER, 0, NULL},
    {"SMALLER", ARG_NUMBER, SEARCH_SMALLER, 0, NULL},
    /* Substrings, in any case. */
    {"FROM", ARG_FIELD, 0, 0, "From"},
    {"TO", ARG_FIELD, 0, 0, "To"},
    {"CC", ARG_FIELD, 0, 0, "Cc"},
    {"BCC", ARG_FIELD, 0, 0, "Bcc"},
    {"SUBJECT", ARG_FIELD, 0, 0, "Subject"},
    {"HEADER", ARG_HEADER, 0, 0, NULL},
    {"TEXT", ARG_TEXT, 0, 0, NULL},
    {"BODY", ARG_BODY, 0, 0, NULL}, /* the body is ciphertext: no text can be found in it */
    {"UID", ARG_UID, 0, 0, NULL},
    {"NOT", ARG_NOT, 0, 0, NULL},
    {"OR", ARG_OR, 0, 0, NULL},
    /* An extension of ours: docs/openpgp.md. */
    {"X-LETTERLOCK-KEY", ARG_KEY, SEARCH_ENCRYPTED_TO, 0, NULL},
};

struct parser {
    struct arena *a;
    const struct imap_node *n;
    unsigned keys, texts;
};

static int parse_key(struct parser *p, unsigned depth, struct imap_search **ret);

static struct imap_search *make(struct parser *p, enum imap_search_op op)
{
    struct imap_search *s = p->keys++ < SEARCH_KEYS_MAX ? arena_alloc(p->a, sizeof(*s)) : NULL;
    if (s)
        s->op = op;
    return s;
}

/* Wraps s into NOT when negated. */
static int give(struct parser *p, struct imap_search *s, bool negated, struct imap_search **ret)
{
    if (s && negated) {
        struct imap_search *negation = make(p, SEARCH_NOT);
        if (negation)
            negation->child = s;
        s = negation;
    }
    if (!s)
        return ERR_LIMIT;
    *ret = s;
    return OK;
}

static int take_string(struct parser *p, struct slice *ret)
{
    if (!imap_is_astring(p->n))
        return ERR_FORMAT;
    *ret = p->n->text;
    p->n = p->n->next;
    return OK;
}

/* search-key *(SP search-key), the whole command's or in parentheses: all must match. */
static int parse_list(struct parser *p, const struct imap_node *first, unsigned depth, struct imap_search **ret)
{
    struct imap_search *and = make(p, SEARCH_AND), **tail;
    const struct imap_node *outside = p->n;
    if (!and)
        return ERR_LIMIT;
    if (!first || depth > SEARCH_DEPTH_MAX)
        return first ? ERR_LIMIT : ERR_FORMAT;
    tail = &and->child;
    for (p->n = first; p->n; tail = &(*tail)->next) {
        int err = parse_key(p, depth + 1, tail);
        if (err)
            return err;
    }
    p->n = outside;
    *ret = and;
    return OK;
}

/* sequence-set, whose "*" no astring may hold */
static int parse_set(struct parser *p, const struct imap_node *n, enum imap_search_op op, struct imap_search **ret)
{
    struct imap_search *k = make(p, op);
    if (!k)
        return ERR_LIMIT;
    int err = n && n->type == IMAP_ATOM && !n->glued ? imap_set_parse(p->a, n->text, &k->set) : ERR_FORMAT;
    if (!err)
        *ret = k;
    return err;
}

/* "NOT" SP search-key; "OR" SP search-key SP search-key */
static int parse_children(struct parser *p, unsigned depth, enum imap_search_op op, struct imap_search **ret)
{
    struct imap_search *s = make(p, op);
    if (!s || depth > SEARCH_DEPTH_MAX)
        return ERR_LIMIT;
    int err = parse_key(p, depth + 1, &s->child);
    if (!err && op == SEARCH_OR)
        err = parse_key(p, depth + 1, &s->child->next);
    if (!err)
        *ret = s;
    return err;
}

static int lower(struct parser *p, struct slice *text)
{
    uint8_t *copy = arena_alloc(p->a, text->len + 1);
    if (!copy)
        return ERR_LIMIT;
    for (size_t i = 0; i < text->len; i++)
        copy[i] = (uint8_t)(text->data[i] + (text->data[i] >= 'A' && text->data[i] <= 'Z' ? 32 : 0));
    *text = slice_of(copy, text->len);
    return OK;
}

/* "FROM" SP astring and the like; "HEADER" SP header-fld-name SP astring; "TEXT" / "BODY" SP astring */
static int parse_text(struct parser *p, unsigned k, struct imap_search **ret)
{
    struct imap_search *s = make(p, keys[k].arg == ARG_BODY ? SEARCH_NONE : SEARCH_HEADER);
    struct slice name = slice_str(keys[k].field ? keys[k].field : "");
    if (!s)
        return ERR_LIMIT;
    int err = OK;
    if (keys[k].arg == ARG_HEADER && ((err = take_string(p, &name)) != OK || name.len == 0))
        return err ? err : ERR_FORMAT;
    if ((err = take_string(p, &s->text)) != OK)
        return err;
    if (s->op == SEARCH_HEADER && p->texts++ == SEARCH_TEXTS_MAX) /* each runs over the header of every message */
        return ERR_LIMIT;
    if ((err = lower(p, &s->text)) != OK)
        return err;
    if (keys[k].arg == ARG_BODY && s->text.len == 0) /* the empty string is in every body */
        s->op = SEARCH_ALL;
    if (!(s->name = arena_strndup(p->a, name.data, name.len)))
        return ERR_LIMIT;
    *ret = s;
    return OK;
}

/* "KEYWORD" / "UNKEYWORD" SP flag-keyword */
static int parse_keyword(struct parser *p, unsigned k, struct imap_search **ret)
{
    struct imap_search *s = make(p, SEARCH_KEYWORD);
    struct slice name;
    if (!s)
        return ERR_LIMIT;
    if (take_string(p, &name) || !imap_keyword_ok(name))
        return ERR_FORMAT;
    if (!(s->name = arena_strndup(p->a, name.data, name.len)))
        return ERR_LIMIT;
    return give(p, s, keys[k].arg == ARG_UNKEYWORD, ret);
}

/* "BEFORE" SP date and the like; "LARGER" / "SMALLER" SP number */
static int parse_value(struct parser *p, unsigned k, struct imap_search **ret)
{
    struct imap_search *s = make(p, keys[k].op);
    struct slice text;
    if (!s)
        return ERR_LIMIT;
    int err = take_string(p, &text);
    if (!err)
        err = keys[k].arg == ARG_DATE ? imap_date(text, &s->day) : imap_number(text, INT64_MAX, &s->value);
    if (!err)
        *ret = s;
    return err;
}

/* A key id, or a fingerprint of version 4 or 6: 16, 40 or 64 hexadecimal digits. */
static int parse_fingerprint(struct parser *p, unsigned k, struct imap_search **ret)
{
    struct imap_search *s = make(p, keys[k].op);
    struct slice text;
    if (!s)
        return ERR_LIMIT;
    if (take_string(p, &text) || (text.len != 16 && text.len != 40 && text.len != 64))
        return ERR_FORMAT;
    uint8_t *bin = arena_alloc(p->a, text.len / 2);
    if (!bin)
        return ERR_LIMIT;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit_hex(text.data[i]), low = digit_hex(text.data[i + 1]);
        if (high < 0 || low < 0)
            return ERR_FORMAT;
        bin[i / 2] = (uint8_t)(high << 4 | low);
    }
    s->text = slice_of(bin, text.len / 2);
    *ret = s;
    return OK;
}

static int parse_word(struct parser *p, unsigned k, unsigned depth, struct imap_search **ret)
{
    struct imap_search *s;
    const struct imap_node *n = p->n;
    switch (keys[k].arg) {
    case ARG_FLAG:
    case ARG_UNFLAG:
        s = make(p, SEARCH_FLAGS);
        if (s)
            s->value = keys[k].value;
        return give(p, s, keys[k].arg == ARG_UNFLAG, ret);
    case ARG_KEYWORD:
    case ARG_UNKEYWORD: return parse_keyword(p, k, ret);
    case ARG_DATE:
    case ARG_NUMBER: return parse_value(p, k, ret);
    case ARG_FIELD:
    case ARG_HEADER:
    case ARG_TEXT:
    case ARG_BODY: return parse_text(p, k, ret);
    case ARG_UID: p->n = n ? n->next : NULL; return parse_set(p, n, SEARCH_UID, ret);
    case ARG_NOT: return parse_children(p, depth, SEARCH_NOT, ret);
    case ARG_OR: return parse_children(p, depth, SEARCH_OR, ret);
    case ARG_KEY: return parse_fingerprint(p, k, ret);
    default: return give(p, make(p, keys[k].arg == ARG_FALSE ? SEARCH_NONE : keys[k].op), false, ret);
    }
}

/* search-key; p->n is its first node */
static int parse_key(struct parser *p, unsigned depth, struct imap_search **ret)
{
    const struct imap_node *n = p->n;
    if (!n || n->glued || (n->type != IMAP_ATOM && n->type != IMAP_LIST))
        return ERR_FORMAT;
    p->n = n->next;
    if (n->type == IMAP_LIST)
        return parse_list(p, n->child, depth + 1, ret);
    uint8_t c = n->text.data[0];
    if ((c >= '0' && c <= '9') || c == '*') /* sequence-set */
        return parse_set(p, n, SEARCH_SEQ, ret);
    for (unsigned k = 0; k < sizeof(keys) / sizeof(*keys); k++)
        if (imap_word_is(n->text, keys[k].word))
            return parse_word(p, k, depth, ret);
    return ERR_FORMAT;
}

int imap_search_parse(struct arena *a, const struct imap_node *n, struct imap_search **ret)
{
    struct parser p = {a, n, 0, 0};
    /* ["CHARSET" SP astring]; US-ASCII must be taken, another may be refused with BADCHARSET (section 6.4.4). */
    if (n && n->type == IMAP_ATOM && imap_word_is(n->text, "CHARSET")) {
        n = n->next;
        if (!imap_is_astring(n))
            return ERR_FORMAT;
        if (!imap_word_is(n->text, "UTF-8") && !imap_word_is(n->text, "US-ASCII"))
            return ERR_UNSUPPORTED;
        p.n = n->next;
    }
    return parse_list(&p, p.n, 0, ret);
}

unsigned imap_search_needs(const struct imap_search *s)
{
    unsigned needs = 0;
    for (; s; s = s->next) {
        if (s->op == SEARCH_HEADER || (s->op >= SEARCH_SENTBEFORE && s->op <= SEARCH_SENTSINCE))
            needs |= SEARCH_NEEDS_OUTER | SEARCH_NEEDS_ENTRY;
        else if (s->op == SEARCH_ENCRYPTED_TO)
            needs |= SEARCH_NEEDS_FPRS | SEARCH_NEEDS_ENTRY;
        else if ((s->op >= SEARCH_BEFORE && s->op <= SEARCH_SINCE) || s->op == SEARCH_LARGER || s->op == SEARCH_SMALLER)
            needs |= SEARCH_NEEDS_FACTS | SEARCH_NEEDS_ENTRY;
        else if (s->op == SEARCH_KEYWORD)
            needs |= SEARCH_NEEDS_KEYWORDS | SEARCH_NEEDS_ENTRY;
        else if (s->op == SEARCH_AND || s->op == SEARCH_OR || s->op == SEARCH_NOT)
            needs |= imap_search_needs(s->child);
        else if (s->op >= SEARCH_FLAGS)
            needs |= SEARCH_NEEDS_ENTRY;
    }
    return needs;
}

unsigned imap_search_keys(const struct imap_search *s)
{
    unsigned n = 0;
    for (; s; s = s->next)
        n += 1 + imap_search_keys(s->child);
    return n;
}

int imap_search_each(struct imap_search *s, enum imap_search_op op, int (*fn)(void *arg, struct imap_search *s),
                     void *arg)
{
    int err = OK;
    for (; !err && s; s = s->next) {
        if (s->op == op)
            err = fn(arg, s);
        if (!err && s->child)
            err = imap_search_each(s->child, op, fn, arg);
    }
    return err;
}

bool imap_search_is_flag(const struct imap_search *s, uint64_t *ret_flag, bool *ret_on)
{
    bool on = true;
    for (; s->op == SEARCH_NOT || (s->op == SEARCH_AND && s->child && !s->child->next); s = s->child)
        on = s->op == SEARCH_NOT ? !on : on;
    if (s->op != SEARCH_FLAGS)
        return false;
    *ret_flag = s->value;
    *ret_on = on;
    return true;
}

int imap_search_resolve(struct imap_search *s, uint32_t max_seq, uint32_t max_uid)
{
    for (; s; s = s->next) {
        int err = s->child ? imap_search_resolve(s->child, max_seq, max_uid) : OK;
        if (err)
            return err;
        if (s->op == SEARCH_UID)
            imap_set_resolve(&s->set, max_uid);
        if (s->op != SEARCH_SEQ)
            continue;
        imap_set_resolve(&s->set, max_seq);
        if (s->set.n && s->set.r[s->set.n - 1].last > max_seq) /* RFC 3501 section 9, seq-number: answered BAD */
            return ERR_NOT_FOUND;
    }
    return OK;
}

/* SENTBEFORE, SENTON, SENTSINCE. A message without a readable Date matches none. */
static bool match_sent(const struct imap_search *s, const struct imap_search_message *m)
{
    int32_t day;
    if (!imap_words_day(m->words, &day))
        return false;
    return s->op == SEARCH_SENTBEFORE ? day < s->day : s->op == SEARCH_SENTON ? day == s->day : day >= s->day;
}

/* The first 20 octets of a fingerprint are kept. A key id is the last 8 octets of a version 4 fingerprint and the first
 * 8 of a version 6 one (RFC 9580 sections 5.5.4.2, 5.5.4.3). */
static bool is_key(struct slice text, const uint8_t fpr[20])
{
    if (text.len == 8)
        return memcmp(fpr + 12, text.data, 8) == 0 || memcmp(fpr, text.data, 8) == 0;
    return memcmp(fpr, text.data, 20) == 0;
}

static bool match_key(const struct imap_search *s, const struct imap_search_message *m)
{
    for (size_t i = 0; i < m->nfprs; i++) {
        if (is_key(s->text, m->fprs[i]))
            return true;
        for (size_t k = 0; k < s->nfprs; k++)
            if (memcmp(s->fprs[k], m->fprs[i], 20) == 0)
                return true;
    }
    return false;
}

bool imap_search_match(const struct imap_search *s, const struct imap_search_message *m)
{
    const struct imap_search *c;
    switch (s->op) {
    case SEARCH_AND:
        for (c = s->child; c && imap_search_match(c, m); c = c->next)
            ;
        return !c;
    case SEARCH_OR: return imap_search_match(s->child, m) || imap_search_match(s->child->next, m);
    case SEARCH_NOT: return !imap_search_match(s->child, m);
    case SEARCH_ALL: return true;
    case SEARCH_NONE: return false;
    case SEARCH_SEQ: return imap_set_has(&s->set, m->seq);
    case SEARCH_UID: return imap_set_has(&s->set, m->uid);
    case SEARCH_FLAGS: return (m->flags & s->value) == s->value;
    case SEARCH_KEYWORD: return m->keyword && m->keyword(m->arg, s);
    case SEARCH_BEFORE: return date_day_of(m->internaldate) < s->day;
    case SEARCH_ON: return date_day_of(m->internaldate) == s->day;
    case SEARCH_SINCE: return date_day_of(m->internaldate) >= s->day;
    case SEARCH_LARGER: return m->size > s->value;
    case SEARCH_SMALLER: return m->size < s->value;
    case SEARCH_HEADER: return imap_words_have(m->words, s->name, s->text);
    case SEARCH_ENCRYPTED_TO: return match_key(s, m);
    default: return match_sent(s, m);
    }
}
