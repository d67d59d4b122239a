/* Address lists as real mail has them. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/address.h"
#include "server/mail/token.h"

/* The octets of a literal at s, up to its "]"; 0: there is none. It is looked for once: else many would cost a search
 * each. */
static size_t literal_len(const uint8_t *s, size_t len, bool *no_literals)
{
    const uint8_t *end = *no_literals ? NULL : memchr(s, ']', len);
    *no_literals = !end;
    return end ? (size_t)(end - s) + 1 : 0;
}

/* Where the element at r->i ends: at one of ",;:" outside of "<>", comments, quotes and literals. *ret_open and
 * *ret_close: places of its "<" and ">", else len. */
static size_t element_end(struct address_reader *r, size_t *ret_open, size_t *ret_close)
{
    const uint8_t *s = r->s;
    size_t open = r->len, close = r->len, i = r->i, n;
    for (size_t u; i < r->len; i += u) {
        bool inside = open < r->len && close == r->len;
        u = token_unit(s + i, r->len - i);
        if (s[i] == '<' && open == r->len)
            open = i;
        else if (s[i] == '>' && inside)
            close = i;
        else if (s[i] == '[' && (!inside || s[i - 1] == '@')) /* dtext may be any of these (section 3.4.1) */
            u = (n = literal_len(s + i, r->len - i, &r->no_literals)) ? n : u;
        else if ((s[i] == ',' || s[i] == ';' || s[i] == ':') && !inside)
            break;
    }
    *ret_open = open;
    *ret_close = close;
    return i < r->len ? i : r->len;
}

/* addr-spec, with obs-route in front ("<@a,@b:c@d>", section 4.4). The last "@" parts local part and domain. */
static void split_spec(struct slice spec, struct address_item *ret)
{
    struct token_cursor c = {spec.data, spec.len, 0};
    const uint8_t *s = spec.data, *colon;
    ret->spec = spec;
    bool no_literals = false;
    if (token_skip_cfws(&c) && c.i < c.len && s[c.i] == '@' && (colon = memchr(s, ':', spec.len))) {
        ret->route = slice_of(s, (size_t)(colon - s));
        spec = slice_of(colon + 1, spec.len - ret->route.len - 1);
        s = spec.data;
    }
    size_t at = spec.len, n;
    for (size_t i = 0, u; i < spec.len; i += u) {
        u = token_unit(s + i, spec.len - i);
        if (s[i] == '@')
            at = i;
        else if (s[i] == '[' && i && s[i - 1] == '@')
            u = (n = literal_len(s + i, spec.len - i, &no_literals)) ? n : u;
    }
    ret->local = slice_of(s, at);
    if (at < spec.len)
        ret->domain = slice_of(s + at + 1, spec.len - at - 1);
}

/* Steps over white space, comments and empty elements to the next; true at the end of a group, stepped over as well. */
static bool skip_to_element(struct address_reader *r)
{
    struct token_cursor c = {r->s, r->len, r->i};
    for (;;) {
        if (!token_skip_cfws(&c)) /* a comment never ends */
            c.i = c.len;
        r->i = c.i;
        if (token_take(&c, ','))
            continue;
        if (!token_take(&c, ';'))
            return false;
        r->i = c.i;
        if (r->in_group) {
            r->in_group = false;
            return true;
        }
    }
}

/* Comments may stand behind the ">", and junk there is passed over; but a second address makes two, of which readers
 * show one or the other. */
static bool names_another(struct slice rest)
{
    struct token_cursor c = {rest.data, rest.len, 0};
    return rest.len && token_skip_cfws(&c) && memchr(rest.data + c.i, '@', rest.len - c.i);
}

bool address_read(struct address_reader *r, struct address_item *ret)
{
    struct address_item item = {.kind = ADDRESS_MAILBOX};
    size_t open, close;
    if (skip_to_element(r)) {
        item.kind = ADDRESS_GROUP_END;
        *ret = item;
        return true;
    }
    if (r->i == r->len)
        return false;
    size_t start = r->i, end = element_end(r, &open, &close);
    r->i = end;
    if (end < r->len && r->s[end] == ':') { /* a group's name ends here (section 3.4) */
        item.kind = ADDRESS_GROUP;
        item.name = slice_of(r->s + start, end - start);
        r->in_group = true;
        r->i++;
    } else if (open < r->len && !(close < end && names_another(slice_of(r->s + close + 1, end - close - 1)))) {
        item.name = slice_of(r->s + start, open - start);
        split_spec(slice_of(r->s + open + 1, (close < r->len ? close : end) - open - 1), &item);
    } else {
        split_spec(slice_of(r->s + start, end - start), &item);
    }
    *ret = item;
    return true;
}

/* The quoted string at c without its quotes, quoted pairs and folds, behind n octets of out; returns how many then. */
static size_t quoted_text(struct token_cursor *c, uint8_t *out, size_t n, size_t cap)
{
    size_t end = c->i + token_unit(c->s + c->i, c->len - c->i);
    for (c->i++; c->i < end && c->s[c->i] != '"'; c->i++) {
        if (c->s[c->i] == '\r' || c->s[c->i] == '\n')
            continue;
        if (c->s[c->i] == '\\' && c->i + 1 < end)
            c->i++;
        if (n < cap)
            out[n++] = c->s[c->i];
    }
    c->i = end;
    return n;
}

size_t address_text(struct slice piece, uint8_t *out, size_t cap)
{
    struct token_cursor c = {piece.data, piece.len, 0};
    size_t n = 0;
    bool gap = false;
    while (c.i < c.len) {
        uint8_t ch = c.s[c.i];
        if (ch == '(' || token_is_space(ch)) {
            if (!token_skip_cfws(&c))
                break;
            gap = n > 0;
            continue;
        }
        if (gap && n < cap)
            out[n++] = ' ';
        gap = false;
        if (ch == '"') {
            n = quoted_text(&c, out, n, cap);
            continue;
        }
        if (n < cap)
            out[n++] = ch;
        c.i++;
    }
    return n;
}

/* local-part of sections 3.4.1 and 4.4: words with dots between, around which white space and comments may stand; two
 * words without a dot are no address, and joined they would be another one. Its meaning in out, which has
 * ADDRESS_SPEC_MAX. */
static bool local_meaning(struct slice local, uint8_t *out, size_t *ret_len)
{
    const uint8_t *s = local.data;
    size_t n = 0;
    bool any = false, word = false, atom = false; /* a word was last; it may go on */
    for (size_t i = 0, u; i < local.len; i += u) {
        u = token_unit(s + i, local.len - i);
        if (token_is_space(s[i]) || s[i] == '(') {
            atom = false;
            continue;
        }
        bool quoted = s[i] == '"', dot = s[i] == '.';
        if (!dot && word && (quoted || !atom))
            return false;
        if (quoted ? u < 2 || s[i + u - 1] != '"' : !dot && !token_is_atext(s[i]))
            return false;
        if (n + u > ADDRESS_SPEC_MAX)
            return false;
        size_t m = address_local_plain(s + i, u, out + n);
        for (size_t k = 0; k < m; k++)
            if (out[n + k] < 0x20 || out[n + k] == 0x7f)
                return false;
        n += m;
        any = true;
        word = !dot;
        atom = !dot && !quoted;
    }
    *ret_len = n;
    return any;
}

/* A domain without the white space and comments around its dots and in its literal (sections 3.4.1 and 4.4). */
static bool domain_meaning(struct slice domain, char *out, size_t cap, size_t *ret_len)
{
    const uint8_t *s = domain.data;
    size_t n = 0;
    bool word = false, atom = false, literal = false;
    for (size_t i = 0, u; i < domain.len; i += u) {
        u = literal ? 1 : token_unit(s + i, domain.len - i);
        if (token_is_space(s[i]) || (s[i] == '(' && !literal)) {
            atom = literal;
            continue;
        }
        if (s[i] != '.' && word && !atom)
            return false;
        if (n + u > cap)
            return false;
        memcpy(out + n, s + i, u);
        literal = s[i] == '[' ? !n : literal && s[i] != ']';
        n += u;
        word = s[i] != '.';
        atom = literal || (word && s[i] != ']');
    }
    *ret_len = n;
    return true;
}

/* The item's addr-spec in canonical form; octets, 0: it is none. */
static size_t canonical(const struct address_item *item, char out[2 * ADDRESS_SPEC_MAX + 2])
{
    uint8_t plain[ADDRESS_SPEC_MAX];
    char domain[ADDRESS_SPEC_MAX];
    size_t n, d;
    if (!item->domain.data || !local_meaning(item->local, plain, &n) ||
        !domain_meaning(item->domain, domain, sizeof(domain), &d))
        return 0;
    n = address_local_write(plain, n, out);
    if (n + 1 + d > ADDRESS_SPEC_MAX)
        return 0;
    out[n++] = '@';
    memcpy(out + n, domain, d);
    return address_spec_valid((const uint8_t *)out, n + d) ? n + d : 0;
}

size_t address_canonical(const struct address_item *item, char out[ADDRESS_CANONICAL_MAX])
{
    char spec[2 * ADDRESS_SPEC_MAX + 2];
    size_t n = canonical(item, spec);
    if (!n)
        return 0;
    memcpy(out, spec, n);
    out[n] = '\0';
    return n;
}

size_t address_spec_read(struct slice spec, char out[ADDRESS_CANONICAL_MAX])
{
    struct address_item item = {.kind = ADDRESS_MAILBOX};
    split_spec(spec, &item);
    return item.route.data ? 0 : address_canonical(&item, out);
}

void address_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const struct address_item *item), void *arg)
{
    struct address_reader r = {.s = s, .len = len};
    struct address_item item;
    uint8_t c;
    while (address_read(&r, &item)) {
        bool says = item.kind == ADDRESS_MAILBOX && (address_text(item.spec, &c, 1) || address_text(item.name, &c, 1));
        if (says && fn(arg, &item))
            return;
    }
}

size_t address_unreadable(const struct address_item *item, char out[ADDRESS_UNREADABLE_MAX])
{
    static const char end[] = "\" <" ADDRESS_UNREADABLE ">";
    const char *s = (const char *)item->spec.data;
    size_t n = 1, len = item->spec.len;
    bool gap = false;
    out[0] = '"';
    for (size_t i = 0, u; i < len && n + 8 + sizeof(end) < ADDRESS_UNREADABLE_MAX; i += u) {
        uint32_t c;
        u = utf8_decode(s + i, len - i, &c);
        if (!u) {
            u = 1;
            c = '?';
        }
        if (c == ' ' || utf8_is_control(c)) {
            gap = n > 1;
            continue;
        }
        if (gap)
            out[n++] = ' ';
        gap = false;
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        n += utf8_encode(c, out + n);
    }
    bool empty = n == 1;
    n = empty ? 0 : n;
    const char *tail = empty ? ADDRESS_UNREADABLE : end;
    memcpy(out + n, tail, strlen(tail));
    return n + strlen(tail);
}
