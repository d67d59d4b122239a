#include "server/mail/text.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/core/utf8.h"
#include "server/mail/text_impl.h"
#include "server/mail/token.h"

GMimeParserOptions *text_options(void)
{
    static const char *const fallback[] = {"utf-8", "windows-1252", NULL};
    static GMimeParserOptions *options;
    if (!options) {
        g_mime_init();
        options = g_mime_parser_options_new();
        g_mime_parser_options_set_fallback_charsets(options, (const char **)(uintptr_t)fallback);
    }
    return options;
}

size_t text_to_utf8(const char *charset, const char *s, size_t len, char *out, size_t cap)
{
    bool utf8 = charset && (!strcasecmp(charset, "utf-8") || !strcasecmp(charset, "utf8"));
    bool plain = !charset || !*charset || utf8 || !strcasecmp(charset, "us-ascii");
    size_t good = plain && !utf8 ? utf8_prefix(s, strnlen(s, len)) : len;
    if (utf8 || (plain && len - good < 4)) { /* a last character may be cut off */
        len = good < cap ? good : cap;
        memcpy(out, s, len);
        return len;
    }
    iconv_t cd = (iconv_t)-1;
    text_options(); /* GMime knows no charsets before */
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

size_t text_to_line(const char *s, size_t len, bool html, size_t max, char *out)
{
    size_t chars = 0, o = 0;
    const char *skip = NULL;
    bool gap = false;
    for (size_t i = 0, n; i < len && chars < max; i += n) {
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
        if (utf8_is_control(c) || c == ' ' || c == 0xa0 /* no-break space */) {
            gap = true;
            continue;
        }
        if (gap && o) {
            out[o++] = ' ';
            chars++;
        }
        gap = false;
        if (chars < max) {
            o += utf8_encode(c, out + o);
            chars++;
        }
    }
    return o;
}

static void wipe_text(char *text)
{
    if (text)
        secmem_wipe(text, strlen(text));
    g_free(text);
}

/* Controls become blanks. escape: what would end a quoted string is escaped. */
static int put_decoded(const char *text, bool escape, struct buf *out)
{
    int err = OK;
    size_t len = strlen(text), n;
    for (size_t i = 0; i < len && err == OK; i += n) {
        uint32_t c;
        n = utf8_decode(text + i, len - i, &c);
        if (n && escape && (c == '"' || c == '\\'))
            err = buf_append(out, "\\", 1);
        if (err != OK)
            break;
        if (!n)
            err = buf_puts(out, "\xef\xbf\xbd");
        else
            err = utf8_is_control(c) ? buf_puts(out, " ") : buf_append(out, text + i, n);
        n = n ? n : 1;
    }
    return err;
}

int text_put_field(const char *value, struct buf *out)
{
    char *text = g_mime_utils_header_decode_text(text_options(), value);
    int err = text ? put_decoded(text, false, out) : ERR_MEMORY;
    wipe_text(text);
    return err;
}

/* GMime's own quoting lets a name with a quotation mark in it through as it is. */
static int put_name(const char *name, const char *end, struct buf *out)
{
    bool quote = strpbrk(name, "()<>[]:;@\\,\"") != NULL;
    int err = quote ? buf_puts(out, "\"") : OK;
    if (err == OK)
        err = put_decoded(name, quote, out);
    if (err == OK && quote)
        err = buf_puts(out, "\"");
    return err == OK ? buf_puts(out, end) : err;
}

/* GMime 3.2 loses the memory of a domain literal that a comment follows, as long as the sender likes: the comments of
 * such a list are opened. What is changed is a copy. */
void text_open_comments(char *list, size_t len)
{
    const char *literal = memchr(list, '[', len), *end = list + len;
    bool follows = false;
    for (const char *c = literal; c && !follows && (c = memchr(c, ']', (size_t)(end - c)));) {
        do
            c++;
        while (c < end && token_is_space((uint8_t)*c));
        follows = c < end && *c == '(';
    }
    for (char *c = list + (follows ? literal - list : (ptrdiff_t)len); c < end; c++)
        if (*c == '(')
            *c = ' ';
}

static int put_address_list(InternetAddressList *list, int depth, struct buf *out)
{
    int err = OK, n = internet_address_list_length(list);
    for (int i = 0; i < n && err == OK; i++) {
        InternetAddress *a = internet_address_list_get_address(list, i);
        bool mailbox = INTERNET_ADDRESS_IS_MAILBOX(a);
        const char *name = internet_address_get_name(a),
                   *email = mailbox ? internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a)) : NULL;
        bool named = name && *name;
        err = i ? buf_puts(out, ", ") : OK;
        if (err == OK && named)
            err = put_name(name, mailbox ? " <" : ": ", out);
        if (err == OK && mailbox)
            err = put_decoded(email ? email : "", false, out);
        else if (err == OK && depth < 3 && INTERNET_ADDRESS_IS_GROUP(a))
            err = put_address_list(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), depth + 1, out);
        if (err == OK && named)
            err = buf_puts(out, mailbox ? ">" : ";");
    }
    return err;
}

int text_put_addresses(const char *value, struct buf *out)
{
    char *copy = g_strdup(value);
    text_open_comments(copy, strlen(copy));
    InternetAddressList *list = internet_address_list_parse(text_options(), copy);
    wipe_text(copy);
    if (!list) { /* no addresses: one name */
        char *text = g_mime_utils_header_decode_text(text_options(), value);
        int err = text ? put_name(text, "", out) : ERR_MEMORY;
        wipe_text(text);
        return err;
    }
    int err = put_address_list(list, 0, out);
    g_object_unref(list);
    return err;
}
