#include "server/mail/token.h"

#include <string.h>

struct slice token_trim(struct slice s)
{
    while (s.len && token_is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && token_is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* RFC 5322 section 3.2.3, RFC 6532 section 3.2. */
bool token_is_atext(uint8_t c)
{
    if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
        return true;
    return c && strchr("!#$%&'*+-/=?^_`{|}~", c);
}

/* CFWS of section 3.2.2; line ends count as white space wherever they stand. */
bool token_skip_cfws(struct token_cursor *c)
{
    size_t depth = 0, i = c->i;
    for (; i < c->len; i++) {
        uint8_t ch = c->s[i];
        if (ch == '(')
            depth++;
        else if (ch == ')' && depth)
            depth--;
        else if (ch == '\\' && depth)
            i++;
        else if (!depth && !token_is_space(ch))
            break;
    }
    if (depth)
        return false;
    c->i = i < c->len ? i : c->len;
    return true;
}

bool token_take(struct token_cursor *c, char ch)
{
    if (c->i == c->len || c->s[c->i] != (uint8_t)ch)
        return false;
    c->i++;
    return true;
}

size_t token_dot_atom(const uint8_t *s, size_t len)
{
    size_t i = 0;
    for (;;) {
        size_t start = i;
        while (i < len && token_is_atext(s[i]))
            i++;
        if (i == start)
            return 0;
        if (i == len || s[i] != '.')
            return i;
        i++;
    }
}

/* Section 3.2.4. */
size_t token_quoted(const uint8_t *s, size_t len, bool fold)
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

size_t token_unit(const uint8_t *s, size_t len)
{
    size_t depth = 0;
    if (s[0] != '(' && s[0] != '"')
        return 1;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\\')
            i++;
        else if (s[0] == '"' ? i && s[i] == '"' : s[i] == ')' && !--depth)
            return i + 1;
        else if (s[i] == '(')
            depth++;
    }
    return len;
}
