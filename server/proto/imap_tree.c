/* A command's arguments as a small tree. The grammar here is the common frame of all commands (spaces, parentheses,
 * strings); what an atom may be is the business of each argument's parser. */
#include <string.h>

#include "server/core/error.h"
#include "server/proto/imap.h"

struct tree {
    struct arena *a;
    const uint8_t *p, *end;
};

static int parse_items(struct tree *t, unsigned depth, struct imap_node **ret);

static bool atom_octet(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '"';
}

static int parse_atom(struct tree *t, struct imap_node *n)
{
    const uint8_t *start = t->p;
    while (t->p < t->end && atom_octet(*t->p))
        t->p++;
    if (t->p == start)
        return ERR_FORMAT;
    n->type = IMAP_ATOM;
    n->text = slice_of(start, (size_t)(t->p - start));
    return OK;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; only \" and \\ are escapes (RFC 3501 section 9). Octets above 0x7f pass; their
 * meaning is checked where they are used. */
static int parse_quoted(struct tree *t, struct imap_node *n)
{
    const uint8_t *start = ++t->p;
    size_t escapes = 0;
    for (; t->p < t->end && *t->p != '"'; t->p++) {
        if (*t->p == '\r' || *t->p == '\n')
            return ERR_FORMAT;
        if (*t->p != '\\')
            continue;
        escapes++;
        if (++t->p == t->end || (*t->p != '"' && *t->p != '\\'))
            return ERR_FORMAT;
    }
    if (t->p == t->end)
        return ERR_FORMAT;
    n->type = IMAP_QUOTED;
    n->text = slice_of(start, (size_t)(t->p - start));
    t->p++;
    if (!escapes)
        return OK;
    uint8_t *out = arena_alloc(t->a, n->text.len);
    if (!out)
        return ERR_LIMIT;
    size_t len = 0;
    for (size_t i = 0; i < n->text.len; i++) {
        if (start[i] == '\\')
            i++;
        out[len++] = start[i];
    }
    n->text = slice_of(out, len);
    return OK;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8 */
static int parse_literal(struct tree *t, struct imap_node *n)
{
    size_t len = 0, digits = 0;
    for (t->p++; t->p < t->end && *t->p >= '0' && *t->p <= '9' && digits < 18; t->p++, digits++)
        len = len * 10 + (size_t)(*t->p - '0');
    if (t->p < t->end && *t->p == '+')
        t->p++;
    if (!digits || t->end - t->p < 3 || memcmp(t->p, "}\r\n", 3) != 0)
        return ERR_FORMAT;
    t->p += 3;
    if (len > (size_t)(t->end - t->p))
        return ERR_FORMAT;
    n->type = IMAP_LITERAL;
    n->text = slice_of(t->p, len);
    t->p += len;
    return OK;
}

static int parse_item(struct tree *t, unsigned depth, struct imap_node **ret)
{
    struct imap_node *n = arena_alloc(t->a, sizeof(*n));
    if (!n)
        return ERR_LIMIT;
    int err;
    if (*t->p == '"') {
        err = parse_quoted(t, n);
    } else if (*t->p == '{') {
        err = parse_literal(t, n);
    } else if (*t->p == '(') {
        if (depth >= IMAP_NEST_MAX)
            return ERR_LIMIT;
        t->p++;
        n->type = IMAP_LIST;
        if (t->p < t->end && *t->p == ')')
            err = OK;
        else
            err = parse_items(t, depth + 1, &n->child);
        if (!err && (t->p == t->end || *t->p++ != ')'))
            err = ERR_FORMAT;
    } else {
        err = parse_atom(t, n);
    }
    if (!err)
        *ret = n;
    return err;
}

/* item *(SP item), where "]..." may follow a list without the space. */
static int parse_items(struct tree *t, unsigned depth, struct imap_node **ret)
{
    struct imap_node *first = NULL, *last = NULL;
    for (;;) {
        struct imap_node *n;
        if (t->p == t->end)
            return ERR_FORMAT;
        bool glued = last && *t->p == ']';
        int err = parse_item(t, depth, &n);
        if (err)
            return err;
        n->glued = glued && last->type == IMAP_LIST;
        if (last)
            last->next = n;
        else
            first = n;
        last = n;
        if (t->p == t->end || *t->p == ')')
            break;
        if (n->type == IMAP_LIST && *t->p == ']')
            continue;
        if (*t->p++ != ' ' || (t->p < t->end && *t->p == ']'))
            return ERR_FORMAT;
    }
    *ret = first;
    return OK;
}

int imap_tree(struct arena *a, const uint8_t *raw, size_t len, struct imap_node **ret)
{
    struct tree t = {a, raw, raw + len};
    struct imap_node *first;
    int err = parse_items(&t, 0, &first);
    if (err)
        return err;
    if (t.p != t.end) /* a ")" too many */
        return ERR_FORMAT;
    *ret = first;
    return OK;
}

bool imap_word_is(struct slice s, const char *word)
{
    size_t i = 0;
    for (; i < s.len && word[i]; i++) {
        uint8_t c = s.data[i];
        if (c >= 'a' && c <= 'z')
            c -= 32;
        if (c != (uint8_t)word[i])
            return false;
    }
    return i == s.len && !word[i];
}

bool imap_is_astring(const struct imap_node *n)
{
    if (!n || n->type == IMAP_LIST || n->glued)
        return false;
    if (n->type != IMAP_ATOM)
        return true;
    /* ASTRING-CHAR = ATOM-CHAR / resp-specials (RFC 3501 section 9): no list-wildcards, no backslash */
    for (size_t i = 0; i < n->text.len; i++)
        if (strchr("%*\\", n->text.data[i]))
            return false;
    return true;
}
