/* Links in HTML, by a scan that takes it for whatever a browser might: text between tags, and the value of any
 * attribute of any tag. Comments are not shown. */
#include <string.h>

#include "server/core/digit.h"
#include "server/core/utf8.h"
#include "server/mail/links_impl.h"

enum { REFERENCE_MAX = 16 /* characters of a name */, REPLACEMENT = 0xfffd };

/* ---- character references (HTML, section 13.5): those that can stand in a link ---- */

static const struct {
    const char *name;
    uint32_t c;
    bool bare; /* also without ";" */
} names[] = {
    {"amp", '&', true},       {"lt", '<', true},      {"gt", '>', true},         {"quot", '"', true},
    {"shy", 0xad, true},      {"nbsp", 0xa0, true},   {"colon", ':', false},     {"sol", '/', false},
    {"period", '.', false},   {"commat", '@', false}, {"bsol", '\\', false},     {"num", '#', false},
    {"quest", '?', false},    {"percnt", '%', false}, {"lowbar", '_', false},    {"Tab", '\t', false},
    {"NewLine", '\n', false}, {"lsqb", '[', false},   {"lbrack", '[', false},    {"rsqb", ']', false},
    {"rbrack", ']', false},   {"apos", '\'', false},  {"equals", '=', false},    {"semi", ';', false},
    {"comma", ',', false},    {"plus", '+', false},   {"hyphen", 0x2010, false}, {"dash", 0x2010, false},
};

static size_t read_name(struct slice s, uint32_t *ret)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const size_t n = strlen(names[i].name);
        const bool ends = s.len > n + 1 && s.data[n + 1] == ';';
        if (s.len > n && memcmp(s.data + 1, names[i].name, n) == 0 && (ends || names[i].bare)) {
            *ret = names[i].c;
            return n + 1 + ends;
        }
    }
    return 0;
}

static size_t read_number(struct slice s, uint32_t *ret)
{
    const unsigned base = s.len > 2 && (s.data[2] | 32) == 'x' ? 16 : 10;
    const size_t first = base == 16 ? 3 : 2;
    uint32_t c = 0;
    size_t i = first;

    for (; i < s.len; i++) {
        const int digit = digit_hex(s.data[i]);
        if (digit < 0 || (unsigned)digit >= base)
            break;
        c = c > 0x10ffff ? c : c * base + (unsigned)digit;
    }
    if (i == first)
        return 0;
    *ret = c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? REPLACEMENT : c;
    return i + (i < s.len && s.data[i] == ';');
}

/* In place: what stands for a character is never shorter than the character. Returns octets. */
static size_t decode(uint8_t *s, size_t len)
{
    size_t n = 0, used;

    if (!memchr(s, '&', len))
        return len;
    for (size_t i = 0; i < len; i += used) {
        const struct slice rest = slice_of(s + i, len - i);
        char c[4];
        uint32_t what;
        used = s[i] != '&' || rest.len < 3 ? 0 : s[i + 1] == '#' ? read_number(rest, &what) : read_name(rest, &what);
        if (used) {
            const size_t octets = utf8_encode(what, c);
            memcpy(s + n, c, octets);
            n += octets;
        } else {
            s[n++] = s[i];
            used = 1;
        }
    }
    return n;
}

/* ---- tags ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The URL Standard, section 4.4: controls and blanks around it, and tabs and line ends in it, are no part of it. */
static size_t tidy(uint8_t *s, size_t len)
{
    size_t n = 0, first = 0;

    while (first < len && s[first] <= ' ')
        first++;
    for (size_t i = first; i < len; i++)
        if (s[i] != '\t' && s[i] != '\n' && s[i] != '\r')
            s[n++] = s[i];
    while (n && s[n - 1] <= ' ')
        n--;
    return n;
}

static void take_value(uint8_t *s, size_t len, struct links *ret)
{
    len = tidy(s, decode(s, len));
    if (len)
        links_of_attribute(slice_of(s, len), ret);
}

/* One attribute at i, which moves behind it. */
static size_t read_attribute(uint8_t *s, size_t len, size_t i, struct links *ret)
{
    size_t end;

    while (i < len && !is_space(s[i]) && s[i] != '/' && s[i] != '>' && s[i] != '=')
        i++;
    while (i < len && is_space(s[i]))
        i++;
    if (i == len || s[i] != '=')
        return i;
    for (i++; i < len && is_space(s[i]);)
        i++;
    if (i == len || s[i] == '>')
        return i;
    if (s[i] == '"' || s[i] == '\'') {
        const uint8_t *quote = memchr(s + i + 1, s[i], len - i - 1);
        end = quote ? (size_t)(quote - s) : len;
        take_value(s + i + 1, end - i - 1, ret);
        return end < len ? end + 1 : len;
    }
    for (end = i; end < len && !is_space(s[end]) && s[end] != '>';)
        end++;
    take_value(s + i, end - i, ret);
    return end;
}

/* Behind "<", a letter; returns where the tag has ended. */
static size_t read_tag(uint8_t *s, size_t len, size_t i, struct links *ret)
{
    while (i < len && !is_space(s[i]) && s[i] != '/' && s[i] != '>')
        i++;
    while (i < len && s[i] != '>') {
        if (is_space(s[i]) || s[i] == '/' || s[i] == '=')
            i++;
        else
            i = read_attribute(s, len, i, ret);
    }
    return i < len ? i + 1 : len;
}

/* "<!-- ... -->", and "<! ... >" as well as "<? ... >", which browsers take for comments. */
static size_t skip_comment(const uint8_t *s, size_t len, size_t i)
{
    const bool dashes = len - i >= 3 && s[i + 1] == '-' && s[i + 2] == '-';
    const uint8_t *end;

    if (dashes && len - i > 3 && s[i + 3] == '>') /* section 13.2.6: "<!-->" is a whole one */
        return i + 4;
    end = dashes ? memmem(s + i + 3, len - i - 3, "-->", 3) : memchr(s + i, '>', len - i);
    return end ? (size_t)(end - s) + (dashes ? 3 : 1) : len;
}

static bool opens_tag(const uint8_t *s, size_t len, size_t i)
{
    return i < len && (s[i] | 32) >= 'a' && (s[i] | 32) <= 'z';
}

void links_of_html(uint8_t *s, size_t len, struct links *ret)
{
    size_t at = 0;

    while (at < len && ret->tried < LINKS_TRIED_MAX) {
        const uint8_t *open = memchr(s + at, '<', len - at);
        const size_t end = open ? (size_t)(open - s) : len;
        links_of_plain(slice_of(s + at, decode(s + at, end - at)), ret);
        at = end + 1;
        if (at >= len)
            return;
        if (s[at] == '!' || s[at] == '?')
            at = skip_comment(s, len, at);
        else if (opens_tag(s, len, at) || (s[at] == '/' && opens_tag(s, len, at + 1)))
            at = read_tag(s, len, at, ret);
    }
}
