/* Strict grammars of header values: texts, addresses, ids (RFC 5322 section 3, with UTF-8 as in RFC 6532). */
#include "server/mail/grammar.h"

#include <string.h>

bool grammar_is_atext(uint8_t c)
{
    if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
        return true;
    return c && strchr("!#$%&'*+-/=?^_`{|}~", c);
}

static bool is_wsp(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* RFC 3629 section 4: length of the sequence at s, 0 if it is none. */
static size_t utf8_len(const uint8_t *s, size_t len)
{
    uint8_t c = s[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (!n || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] > 0x8f))
        return 0;
    if (c == 0xc2 && s[1] < 0xa0) /* C1 controls: terminals obey some of them */
        return 0;
    return n;
}

bool grammar_utf8(const uint8_t *s, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_len(s + i, len - i);
        if (!n)
            return false;
    }
    return true;
}

bool grammar_text(const uint8_t *s, size_t len, size_t first, size_t line_max)
{
    size_t line = first;
    bool blank = false; /* inside a folded line that holds white space only so far */
    for (size_t i = 0, n; i < len; i += n) {
        if (s[i] == '\r') { /* FWS of RFC 5322 3.2.2; not obs-FWS, whose empty lines look like the end of a header */
            if (blank || len - i < 3 || s[i + 1] != '\n' || !is_wsp(s[i + 2]))
                return false;
            line = 0;
            blank = true;
            n = 2;
            continue;
        }
        n = utf8_len(s + i, len - i);
        if (!n || (s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
        if (!is_wsp(s[i]))
            blank = false;
        line += n;
        if (line > line_max)
            return false;
    }
    return !blank;
}

static size_t scan_dot_atom(const uint8_t *s, size_t len)
{
    size_t i = 0;
    for (;;) {
        size_t start = i;
        while (i < len && grammar_is_atext(s[i]))
            i++;
        if (i == start)
            return 0;
        if (i == len || s[i] != '.')
            return i;
        i++;
    }
}

/* fold: CRLF is allowed (its place was checked by grammar_text). */
static size_t scan_quoted(const uint8_t *s, size_t len, bool fold)
{
    if (!len || s[0] != '"')
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (s[i] == '"')
            return i + 1;
        if (s[i] == '\\' && (++i == len || s[i] == '\r' || s[i] == '\n'))
            return 0;
        if ((s[i] < 0x20 || s[i] == 0x7f) && !(fold && (s[i] == '\r' || s[i] == '\n' || s[i] == '\t')))
            return 0;
    }
    return 0;
}

static size_t scan_domain(const uint8_t *s, size_t len)
{
    size_t i = 0;
    if (len && s[0] == '[') { /* domain-literal without folding */
        for (i = 1; i < len && s[i] > ' ' && s[i] < 0x7f && !strchr("[]\\", s[i]); i++)
            ;
        return i > 1 && i < len && s[i] == ']' ? i + 1 : 0;
    }
    for (bool label = false; i < len; i++) {
        bool ok = grammar_is_atext(s[i]) &&
                  (s[i] >= 0x80 || s[i] == '-' || s[i] == '_' || !strchr("!#$%&'*+/=?^`{|}~", s[i]));
        if (!ok && !(s[i] == '.' && label))
            break;
        label = s[i] != '.';
    }
    return i && s[i - 1] != '.' && i <= 255 ? i : 0;
}

bool grammar_domain(const uint8_t *s, size_t len)
{
    return len && scan_domain(s, len) == len;
}

static size_t scan_addr_spec(const uint8_t *s, size_t len)
{
    size_t n = scan_quoted(s, len, false);
    if (!n)
        n = scan_dot_atom(s, len);
    if (!n || n >= len || s[n] != '@')
        return 0;
    size_t d = scan_domain(s + n + 1, len - n - 1);
    return d && n + 1 + d <= GRAMMAR_ADDRESS_MAX ? n + 1 + d : 0;
}

bool grammar_addr_spec(const uint8_t *s, size_t len)
{
    return len && scan_addr_spec(s, len) == len && grammar_utf8(s, len);
}

/* " " or CRLF " ": the only white space that canonical lists hold. */
static size_t scan_gap(const uint8_t *s, size_t len)
{
    if (len >= 1 && s[0] == ' ')
        return 1;
    return len >= 3 && !memcmp(s, "\r\n ", 3) ? 3 : 0;
}

bool grammar_addresses_bare(const uint8_t *s, size_t len)
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

size_t cfws_len(const uint8_t *s, size_t len)
{
    size_t depth = 0, i = 0;
    for (; i < len; i++) {
        if (s[i] == '(')
            depth++;
        else if (s[i] == ')' && depth)
            depth--;
        else if (s[i] == '\\' && depth)
            i++;
        else if (!depth && !is_wsp(s[i]) && s[i] != '\r' && s[i] != '\n')
            break;
    }
    return depth ? (size_t)-1 : i < len ? i : len;
}

struct cursor {
    const uint8_t *s;
    size_t len, i;
};

static bool skip_cfws(struct cursor *c)
{
    size_t n = cfws_len(c->s + c->i, c->len - c->i);
    if (n == (size_t)-1)
        return false;
    c->i += n;
    return true;
}

static bool at(const struct cursor *c, char ch)
{
    return c->i < c->len && c->s[c->i] == ch;
}

/* mailbox / group of RFC 5322 3.4; a dot in a phrase is let through (section 4.1 obs-phrase: "John Q. Public" is
 * everywhere). */
static bool scan_address(struct cursor *c, bool *ret_group)
{
    *ret_group = false;
    if (!skip_cfws(c))
        return false;
    size_t n = scan_addr_spec(c->s + c->i, c->len - c->i);
    if (n) {
        c->i += n;
        return skip_cfws(c);
    }
    size_t words = 0;
    for (;; words++) {
        if (!skip_cfws(c))
            return false;
        size_t rest = c->len - c->i;
        n = scan_quoted(c->s + c->i, rest, true);
        for (size_t j = 0; !n && j <= rest; j++)
            if (j == rest || !(grammar_is_atext(c->s[c->i + j]) || (c->s[c->i + j] == '.' && (words || j)))) {
                n = j;
                break;
            }
        if (!n)
            break;
        c->i += n;
    }
    if (at(c, ':') && words) {
        c->i++;
        *ret_group = true;
        return skip_cfws(c);
    }
    if (!at(c, '<'))
        return false;
    c->i++;
    n = scan_addr_spec(c->s + c->i, c->len - c->i);
    c->i += n;
    if (!n || !at(c, '>'))
        return false;
    c->i++;
    return skip_cfws(c);
}

bool grammar_addresses(const uint8_t *s, size_t len)
{
    struct cursor c = {s, len, 0};
    bool in_group = false;
    for (;;) {
        bool group;
        if (!scan_address(&c, &group) || (group && in_group))
            return false;
        if (group) {
            in_group = true;
            if (!at(&c, ';'))
                continue;
        }
        if (in_group && at(&c, ';')) {
            c.i++;
            in_group = false;
            if (!skip_cfws(&c))
                return false;
        }
        if (c.i == c.len)
            return !in_group;
        if (!at(&c, ','))
            return false;
        c.i++;
    }
}

/* Wider than msg-id of RFC 5322 3.6.4 where real ids are; nothing that quotes, comments or breaks a line. */
bool grammar_id(const uint8_t *s, size_t len)
{
    if (len < 5 || len > GRAMMAR_ID_MAX || s[0] != '<' || s[len - 1] != '>')
        return false;
    size_t ats = 0;
    for (size_t i = 1; i < len - 1; i++) {
        if (s[i] <= ' ' || s[i] == 0x7f || strchr("<>()\"\\", s[i]))
            return false;
        ats += s[i] == '@';
    }
    return ats && s[1] != '@' && s[len - 2] != '@' && grammar_utf8(s, len);
}

bool grammar_ids(const uint8_t *s, size_t len)
{
    for (size_t i = 0;;) {
        const uint8_t *end = i < len ? memchr(s + i, '>', len - i) : NULL;
        if (!end || !grammar_id(s + i, (size_t)(end - s) + 1 - i))
            return false;
        i = (size_t)(end - s) + 1;
        if (i == len)
            return true;
        size_t start = i;
        while (i < len && (is_wsp(s[i]) || s[i] == '\r' || s[i] == '\n')) /* their order was checked by grammar_text */
            i++;
        if (i == start)
            return false;
    }
}
