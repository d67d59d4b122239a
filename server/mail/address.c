/* The strict checks come first, then the reading of what real mail has. */
#include "server/mail/address.h"

#include <string.h>

#include "server/core/utf8.h"
#include "server/mail/token.h"

/* Wider than RFC 5321's: no more than a header needs. */
static size_t scan_domain(const uint8_t *s, size_t len)
{
    size_t i = 0;
    if (len && s[0] == '[') { /* domain-literal without folding */
        for (i = 1; i < len && s[i] > ' ' && s[i] < 0x7f && !strchr("[]\\", s[i]); i++)
            ;
        return i > 1 && i < len && s[i] == ']' ? i + 1 : 0;
    }
    for (bool label = false; i < len; i++) {
        bool ok = token_is_atext(s[i]) && (s[i] >= 0x80 || !strchr("!#$%&'*+/=?^`{|}~", s[i]));
        if (!ok && !(s[i] == '.' && label))
            break;
        label = s[i] != '.';
    }
    return i && s[i - 1] != '.' && i <= 255 ? i : 0;
}

bool address_domain_valid(const uint8_t *s, size_t len)
{
    return len && scan_domain(s, len) == len;
}

static size_t scan_addr_spec(const uint8_t *s, size_t len)
{
    size_t n = token_quoted(s, len, false);
    if (!n)
        n = token_dot_atom(s, len);
    if (!n || n >= len || s[n] != '@')
        return 0;
    size_t d = scan_domain(s + n + 1, len - n - 1);
    return d && n + 1 + d <= ADDRESS_SPEC_MAX ? n + 1 + d : 0;
}

bool address_spec_valid(const uint8_t *s, size_t len)
{
    return len && scan_addr_spec(s, len) == len && utf8_valid(s, len);
}

/* " " or CRLF " ": the only white space that canonical lists hold. */
static size_t scan_gap(const uint8_t *s, size_t len)
{
    if (len >= 1 && s[0] == ' ')
        return 1;
    return len >= 3 && !memcmp(s, "\r\n ", 3) ? 3 : 0;
}

bool address_bare_list_valid(const uint8_t *s, size_t len)
{
    for (size_t i = 0;;) {
        size_t n = scan_addr_spec(s + i, len - i);
        if (!n)
            return false;
        i += n;
        if (i == len)
            return true;
        if (s[i++] != ',')
            return false;
        n = scan_gap(s + i, len - i);
        if (!n)
            return false;
        i += n;
    }
}

/* word of a phrase: quoted string or atom; a dot is let through (section 4.1 obs-phrase: "John Q. Public" is
 * everywhere), but not at the phrase's start. */
static size_t scan_word(const uint8_t *s, size_t len, bool first)
{
    size_t n = token_quoted(s, len, true);
    if (n)
        return n;
    while (n < len && (token_is_atext(s[n]) || (s[n] == '.' && (n || !first))))
        n++;
    return n;
}

/* mailbox, or a group's display-name with its ":" (section 3.4). */
static bool scan_address(struct token_cursor *c, bool *ret_group)
{
    *ret_group = false;
    if (!token_skip_cfws(c))
        return false;
    size_t n = scan_addr_spec(c->s + c->i, c->len - c->i);
    if (n) {
        c->i += n;
        return token_skip_cfws(c);
    }
    bool first = true;
    while ((n = scan_word(c->s + c->i, c->len - c->i, first))) {
        first = false;
        c->i += n;
        if (!token_skip_cfws(c))
            return false;
    }
    if (!first && token_take(c, ':')) {
        *ret_group = true;
        return token_skip_cfws(c);
    }
    if (!token_take(c, '<'))
        return false;
    n = scan_addr_spec(c->s + c->i, c->len - c->i);
    c->i += n;
    return n && token_take(c, '>') && token_skip_cfws(c);
}

bool address_list_valid(const uint8_t *s, size_t len)
{
    struct token_cursor c = {s, len, 0};
    bool in_group = false;
    for (;;) {
        bool group;
        if (!scan_address(&c, &group) || (group && in_group))
            return false;
        in_group = in_group || group;
        if (group && !(c.i < len && s[c.i] == ';')) /* its first member comes next */
            continue;
        if (in_group && token_take(&c, ';')) {
            in_group = false;
            if (!token_skip_cfws(&c))
                return false;
        }
        if (c.i == len)
            return !in_group;
        if (!token_take(&c, ','))
            return false;
    }
}

struct canon {
    char out[ADDRESS_SPEC_MAX];
    size_t len;
    bool failed;
};

static void canon_put(struct canon *c, char ch)
{
    if (c->len == sizeof(c->out))
        c->failed = true;
    else
        c->out[c->len++] = ch;
}

/* local-part of sections 3.4.1 and 4.4: words and dots with white space and comments between, to a dot-atom or one
 * quoted string. */
static void canon_local(struct canon *c, const uint8_t *s, size_t len)
{
    char plain[ADDRESS_SPEC_MAX];
    size_t n = 0;
    bool quote = false, gap = false;
    for (size_t i = 0, u; i < len; i += u) {
        u = token_unit(s + i, len - i);
        if (token_is_space(s[i]) || s[i] == '(') {
            gap = n > 0;
            continue;
        }
        if (gap && s[i] != '.' && plain[n - 1] != '.') { /* two words side by side are no address */
            c->failed = true;
            return;
        }
        gap = false;
        size_t from = i, to = i + u;
        if (s[i] == '"') {
            if (u < 2 || s[i + u - 1] != '"') {
                c->failed = true;
                return;
            }
            from++, to--;
            quote = quote || from == to;
        } else if (s[i] != '.' && !token_is_atext(s[i])) {
            c->failed = true;
            return;
        }
        for (; from < to; from++) {
            if (s[i] == '"' && s[from] == '\\' && from + 1 < to)
                from++;
            if (s[from] < 0x20 || s[from] == 0x7f || n == sizeof(plain)) {
                c->failed = true;
                return;
            }
            plain[n++] = (char)s[from];
        }
    }
    for (size_t i = 0; i < n; i++)
        quote =
            quote || !(token_is_atext((uint8_t)plain[i]) || (plain[i] == '.' && i && i + 1 < n && plain[i - 1] != '.'));
    if (quote)
        canon_put(c, '"');
    for (size_t i = 0; i < n; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            canon_put(c, '\\');
        canon_put(c, plain[i]);
    }
    if (quote)
        canon_put(c, '"');
}

static void canon_domain(struct canon *c, const uint8_t *s, size_t len)
{
    for (size_t i = 0, u; i < len; i += u) {
        u = token_unit(s + i, len - i);
        if (s[i] == '(' || token_is_space(s[i]))
            continue;
        for (size_t j = 0; j < u; j++)
            canon_put(c, (char)s[i + j]);
    }
}

/* One addr-spec, with obs-route in front ("<@a,@b:c@d>", section 4.4). */
static bool address_one(const uint8_t *s, size_t len, struct canon *c)
{
    size_t at = len;
    struct token_cursor lead = {s, len, 0};
    if (token_skip_cfws(&lead) && lead.i < len && s[lead.i] == '@') {
        const uint8_t *colon = memchr(s, ':', len);
        if (!colon)
            return false;
        len -= (size_t)(colon + 1 - s);
        s = colon + 1;
        at = len;
    }
    for (size_t i = 0, u; i < len; i += u) {
        u = token_unit(s + i, len - i);
        if (s[i] == '@')
            at = i;
    }
    if (at == len)
        return false;
    c->len = 0;
    c->failed = false;
    canon_local(c, s, at);
    canon_put(c, '@');
    canon_domain(c, s + at + 1, len - at - 1);
    return !c->failed && address_spec_valid((const uint8_t *)c->out, c->len);
}

void address_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const char *address, size_t len), void *arg)
{
    struct canon c;
    size_t start = 0, open = len, close = len; /* of the element at hand; places of its < and > */
    bool literals = true; /* "[" is looked for its "]" only until there is none: else many would cost a search each */
    for (size_t i = 0, u; i <= len; i += u) {
        u = i < len ? token_unit(s + i, len - i) : 1;
        bool inside = open < len && close == len;
        if (i < len && s[i] == '<' && open == len)
            open = i;
        else if (i < len && s[i] == '>' && inside)
            close = i;
        else if (i < len && s[i] == '[' && !inside && literals) { /* a literal's colons */
            const uint8_t *e = memchr(s + i, ']', len - i);
            u = e ? (size_t)(e - (s + i)) + 1 : 1;
            literals = e != NULL;
        } else if (i < len && s[i] == ':' && !inside) /* a group's name ends here */
            start = i + 1, open = close = len;
        else if (i == len || ((s[i] == ',' || s[i] == ';') && !inside)) {
            size_t from = open < len ? open + 1 : start;
            size_t to = open < len ? close : i;
            if (from < to && address_one(s + from, to - from, &c) && fn(arg, c.out, c.len))
                return;
            start = i + 1;
            open = close = len;
        }
    }
}
