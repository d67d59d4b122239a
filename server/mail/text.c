/* Charsets, RFC 2047 words, and the first line of text out of plain text or HTML. */
#include <gmime/gmime.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/mail/text.h"
#include "server/core/utf8.h"

/* Octets of UTF-8 without NUL at the start of s. */
static size_t utf8_prefix(const char *s, size_t len)
{
    size_t i = 0;
    uint32_t c;
    for (size_t n; i < len && (n = utf8_decode(s + i, len - i, &c)) && c; i += n)
        ;
    return i;
}

size_t text_to_utf8(const char *charset, const char *s, size_t len, char *out, size_t cap)
{
    bool utf8 = charset && (!strcasecmp(charset, "utf-8") || !strcasecmp(charset, "utf8"));
    bool plain = !charset || !*charset || utf8 || !strcasecmp(charset, "us-ascii");
    size_t good = plain && !utf8 ? utf8_prefix(s, len) : len;
    if (utf8 || (plain && len - good < 4)) { /* a last character may be cut off */
        len = good < cap ? good : cap;
        memcpy(out, s, len);
        return len;
    }
    iconv_t cd = (iconv_t)-1;
    if (!plain)
        cd = g_mime_iconv_open("utf-8", charset);
    if (cd == (iconv_t)-1)
        cd = g_mime_iconv_open("utf-8", "windows-1252");
    if (cd == (iconv_t)-1)
        return 0;
    char *in = (char *)(uintptr_t)s, *to = out;
    size_t left = len, room = cap;
    iconv(cd, NULL, NULL, NULL, NULL);
    while (left && room > 3) {
        if (iconv(cd, &in, &left, &to, &room) != (size_t)-1)
            break;
        if (room <= 3 || !left)
            break;
        memcpy(to, "\xef\xbf\xbd", 3);
        to += 3;
        room -= 3;
        in++;
        left--;
    }
    g_mime_iconv_close(cd);
    return cap - room;
}

/* A tag or comment at s ("<..."): its octets; an unclosed one takes all. *skip gets the element whose content is no
 * text. */
static size_t html_tag(const char *s, size_t len, const char **skip)
{
    static const char *const silent[] = {"style", "script", "title", "head"};
    const char *end;
    if (len >= 4 && !memcmp(s, "<!--", 4)) {
        end = memmem(s + 4, len - 4, "-->", 3);
        return end ? (size_t)(end - s) + 3 : len;
    }
    for (size_t i = 0; i < sizeof(silent) / sizeof(*silent); i++) {
        size_t n = strlen(silent[i]);
        bool close = len > 2 && s[1] == '/';
        if (len > n + 2 && !strncasecmp(s + 1 + close, silent[i], n) && strchr(" \t\r\n>/", s[1 + close + n])) {
            if (!close && !*skip)
                *skip = silent[i];
            else if (close && *skip && !strcmp(*skip, silent[i]))
                *skip = NULL;
        }
    }
    end = memchr(s, '>', len);
    return end ? (size_t)(end - s) + 1 : len;
}

/* A character reference at s ("&..."): its octets and its character; 0: none. */
static size_t html_reference(const char *s, size_t len, uint32_t *ret)
{
    static const struct {
        const char *name;
        uint32_t c;
    } names[] = {{"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},
                 {"apos", '\''},    {"nbsp", ' '},     {"auml", 0xe4},     {"ouml", 0xf6},
                 {"uuml", 0xfc},    {"szlig", 0xdf},   {"eacute", 0xe9},   {"copy", 0xa9},
                 {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"zwnj", ' '}};
    const char *semi = memchr(s, ';', len < 12 ? len : 12);
    if (!semi)
        return 0;
    size_t n = (size_t)(semi - s) - 1;
    char text[12];
    memcpy(text, s + 1, n);
    text[n] = '\0';
    if (text[0] == '#') {
        bool hex = (text[1] | 32) == 'x';
        unsigned long v = strtoul(text + 1 + hex, NULL, hex ? 16 : 10);
        if (v < 0x20 || v > 0x10ffff || (v >= 0x7f && v < 0xa0) || (v >= 0xd800 && v < 0xe000))
            v = ' ';
        *ret = (uint32_t)v;
        return n + 2;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(text, names[i].name)) {
            *ret = names[i].c;
            return n + 2;
        }
    return 0;
}

size_t preview_text(const char *s, size_t len, bool html, char *out)
{
    size_t chars = 0, o = 0;
    const char *skip = NULL;
    bool gap = false;
    for (size_t i = 0, n; i < len && chars < PREVIEW_CHARS; i += n) {
        uint32_t c = (uint8_t)s[i];
        n = 1;
        if (html && s[i] == '<') {
            n = html_tag(s + i, len - i, &skip);
            c = ' ';
        } else if (html && s[i] == '&' && html_reference(s + i, len - i, &c)) {
            n = html_reference(s + i, len - i, &c);
        } else if (c >= 0x80) {
            n = utf8_decode(s + i, len - i, &c);
            c = n ? c : 0xfffd;
            n = n ? n : 1;
        }
        if (skip)
            continue;
        if (c <= 0x20 || c == 0x7f || (c >= 0x80 && c <= 0xa0)) {
            gap = true;
            continue;
        }
        if (gap && o) {
            out[o++] = ' ';
            chars++;
        }
        gap = false;
        if (chars < PREVIEW_CHARS) {
            o += utf8_encode(c, out + o);
            chars++;
        }
    }
    return o;
}
