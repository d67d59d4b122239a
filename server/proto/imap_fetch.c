/* FETCH's items (RFC 3501 section 6.4.5; grammar: section 9, fetch and fetch-att), from the argument tree to a list. */
#include "server/proto/imap_fetch.h"

#include <string.h>

#include "server/core/error.h"
#include "server/proto/imap_args.h"
#include "server/proto/imap_out.h"

static const struct {
    const char *word;
    enum imap_fetch_kind kind;
} simple[] = {
    {"UID", FETCH_UID},
    {"FLAGS", FETCH_FLAGS},
    {"INTERNALDATE", FETCH_INTERNALDATE},
    {"RFC822.SIZE", FETCH_RFC822_SIZE},
    {"ENVELOPE", FETCH_ENVELOPE},
    {"BODY", FETCH_BODY},
    {"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
    /* As BODY[], BODY.PEEK[HEADER] and BODY[TEXT], answered under their own names. */
    {"RFC822", FETCH_RFC822},
    {"RFC822.HEADER", FETCH_RFC822_HEADER},
    {"RFC822.TEXT", FETCH_RFC822_TEXT},
};

static const struct {
    const char *word;
    enum imap_section_text text;
} texts[] = {
    {"HEADER", SECTION_HEADER},
    {"HEADER.FIELDS", SECTION_HEADER_FIELDS},
    {"HEADER.FIELDS.NOT", SECTION_HEADER_FIELDS_NOT},
    {"TEXT", SECTION_TEXT},
    {"MIME", SECTION_MIME},
};

/* section-spec = section-msgtext / (section-part ["." section-text]); section-part = nz-number *("." nz-number) */
static int parse_section(struct slice s, struct imap_fetch_item *it)
{
    size_t i = 0;
    while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9') {
        size_t start = i;
        uint64_t v;
        while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9')
            i++;
        if (it->nparts == SECTION_PARTS_MAX)
            return ERR_LIMIT;
        if (imap_number(slice_of(s.data + start, i - start), UINT32_MAX, &v) || v == 0)
            return ERR_FORMAT;
        it->parts[it->nparts++] = (uint32_t)v;
        if (i == s.len)
            return OK;
        if (s.data[i++] != '.' || i == s.len)
            return ERR_FORMAT;
    }
    if (i == s.len)
        return OK;
    for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++) {
        if (!imap_word_is(slice_of(s.data + i, s.len - i), texts[k].word))
            continue;
        it->text = texts[k].text;
        return it->text == SECTION_MIME && !it->nparts ? ERR_FORMAT : OK; /* "MIME" only behind section-part */
    }
    return ERR_FORMAT;
}

/* "<" number "." nz-number ">" or nothing */
static int parse_partial(struct slice s, struct imap_fetch_item *it)
{
    if (s.len == 0)
        return OK;
    const uint8_t *dot = memchr(s.data, '.', s.len);
    if (s.data[0] != '<' || s.data[s.len - 1] != '>' || !dot)
        return ERR_FORMAT;
    size_t at = (size_t)(dot - s.data);
    if (imap_number(slice_of(s.data + 1, at - 1), INT64_MAX, &it->offset) ||
        imap_number(slice_of(dot + 1, s.len - at - 2), INT64_MAX, &it->count) || it->count == 0)
        return ERR_FORMAT;
    it->partial = true;
    return OK;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static int check_fields(const struct imap_node *list)
{
    if (!list || list->type != IMAP_LIST || !list->child)
        return ERR_FORMAT;
    for (const struct imap_node *f = list->child; f; f = f->next) {
        if (!imap_is_astring(f) || f->text.len == 0 || f->text.len > 128)
            return ERR_FORMAT;
        for (size_t i = 0; i < f->text.len; i++)
            if (f->text.data[i] <= 0x20 || f->text.data[i] >= 0x7f || f->text.data[i] == ':')
                return ERR_FORMAT;
    }
    return OK;
}

/* "BODY" [".PEEK"] "[" section-spec "]" ["<" number "." nz-number ">"]. With a header-list these are three nodes, the
 * last of them glued. *n moves to the item's last node. */
static int parse_body(const struct imap_node **n, struct imap_fetch_item *it)
{
    struct slice s = (*n)->text;
    const uint8_t *open = memchr(s.data, '[', s.len);
    struct slice word = slice_of(s.data, (size_t)(open - s.data));
    it->kind = FETCH_SECTION;
    if (imap_word_is(word, "BODY.PEEK"))
        it->peek = true;
    else if (!imap_word_is(word, "BODY"))
        return ERR_FORMAT;
    s = slice_of(open + 1, s.len - word.len - 1);
    const uint8_t *close = memchr(s.data, ']', s.len);
    struct slice section = close ? slice_of(s.data, (size_t)(close - s.data)) : s;
    int err = parse_section(section, it);
    if (err)
        return err;
    bool fields = it->text == SECTION_HEADER_FIELDS || it->text == SECTION_HEADER_FIELDS_NOT;
    if (fields == (close != NULL))
        return ERR_FORMAT;
    if (!fields)
        return parse_partial(slice_of(close + 1, s.len - section.len - 1), it);
    const struct imap_node *list = (*n)->next;
    if ((err = check_fields(list)) != OK)
        return err;
    if (!list->next || !list->next->glued || list->next->type != IMAP_ATOM)
        return ERR_FORMAT;
    it->fields = list->child;
    *n = list->next;
    return parse_partial(slice_of(list->next->text.data + 1, list->next->text.len - 1), it);
}

static int parse_att(const struct imap_node **n, struct imap_fetch_item *it)
{
    if ((*n)->type != IMAP_ATOM || (*n)->glued)
        return ERR_FORMAT;
    if (memchr((*n)->text.data, '[', (*n)->text.len))
        return parse_body(n, it);
    for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++) {
        if (imap_word_is((*n)->text, simple[i].word)) {
            it->kind = simple[i].kind;
            return OK;
        }
    }
    return ERR_FORMAT;
}

/* The macros stand alone, not in a list (section 6.4.5). */
static unsigned macro(const struct imap_node *n)
{
    static const char *const words[] = {"FAST", "ALL", "FULL"};
    for (unsigned i = 0; i < 3; i++)
        if (n->type == IMAP_ATOM && !n->next && imap_word_is(n->text, words[i]))
            return i + 3; /* FLAGS INTERNALDATE RFC822.SIZE; then ENVELOPE; then BODY */
    return 0;
}

int imap_fetch_parse(struct arena *a, const struct imap_node *n, struct imap_fetch_item **ret)
{
    struct imap_fetch_item *first = NULL, **tail = &first;
    unsigned count = 0, m;
    if (!n)
        return ERR_FORMAT;
    if ((m = macro(n)) != 0) {
        for (unsigned i = 0; i < m; i++, tail = &(*tail)->next) {
            if (!(*tail = arena_alloc(a, sizeof(**tail))))
                return ERR_LIMIT;
            (*tail)->kind = FETCH_FLAGS + i;
        }
        *ret = first;
        return OK;
    }
    bool list = n->type == IMAP_LIST;
    if (list) {
        if (n->next)
            return ERR_FORMAT;
        n = n->child;
    }
    for (; n; n = n->next) {
        if (++count > (list ? FETCH_ITEMS_MAX : 1))
            return list ? ERR_LIMIT : ERR_FORMAT;
        struct imap_fetch_item *it = arena_alloc(a, sizeof(*it));
        if (!it)
            return ERR_LIMIT;
        int err = parse_att(&n, it);
        if (err)
            return err;
        *tail = it;
        tail = &it->next;
    }
    if (!first)
        return ERR_FORMAT;
    *ret = first;
    return OK;
}

/* BODY[...], RFC822 and RFC822.TEXT set \Seen; BODY.PEEK and RFC822.HEADER do not (section 6.4.5). */
bool imap_fetch_sees(const struct imap_fetch_item *it)
{
    return it->kind == FETCH_RFC822 || it->kind == FETCH_RFC822_TEXT || (it->kind == FETCH_SECTION && !it->peek);
}

/* "BODY" section ["<" number ">"] of msg-att-static: the answer names only the origin octet (section 7.4.2). */
static int section_name(const struct imap_fetch_item *it, struct buf *out)
{
    int err = buf_puts(out, "BODY[");
    for (unsigned i = 0; !err && i < it->nparts; i++)
        err = buf_printf(out, i ? ".%u" : "%u", it->parts[i]);
    for (size_t i = 0; !err && it->text != SECTION_ALL && i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i].text == it->text)
            err = buf_printf(out, "%s%s", it->nparts ? "." : "", texts[i].word);
    for (const struct imap_node *f = it->fields; !err && f; f = f->next) {
        err = buf_puts(out, f == it->fields ? " (" : " ");
        if (!err)
            err = imap_out_astring(out, f->text);
        if (!err && !f->next)
            err = buf_puts(out, ")");
    }
    if (!err)
        err = buf_puts(out, "]");
    if (!err && it->partial)
        err = buf_printf(out, "<%llu>", (unsigned long long)it->offset);
    return err;
}

int imap_fetch_name(const struct imap_fetch_item *it, struct buf *out)
{
    if (it->kind == FETCH_SECTION)
        return section_name(it, out);
    for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
        if (simple[i].kind == it->kind)
            return buf_puts(out, simple[i].word);
    return ERR_FORMAT;
}
