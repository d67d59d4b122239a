#include "server/mail/text.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/core/utf8.h"
#include "server/mail/address.h"
#include "server/mail/text_impl.h"
#include "server/mail/token.h"

enum { NAME_MAX_OCTETS = 1024 };

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

static char *trim(char *text)
{
    size_t len = text ? strlen(text) : 0;
    struct slice s = token_trim(slice_of((const uint8_t *)text, len));
    if (text) {
        memmove(text, s.data, s.len);
        memset(text + s.len, 0, len - s.len);
    }
    return text;
}

/* What a piece says, RFC 2047 decoded; the caller wipes and frees it. */
static char *decoded(struct slice piece, bool comment)
{
    char raw[NAME_MAX_OCTETS], utf8[3 * NAME_MAX_OCTETS + 1];
    size_t n = 0;
    if (comment) /* its own comments and quotes are text */
        for (size_t i = 0; i < piece.len && n < NAME_MAX_OCTETS; i++)
            raw[n++] = (char)piece.data[i];
    else
        n = address_text(piece, (uint8_t *)raw, NAME_MAX_OCTETS);
    for (size_t i = 0; i < n; i++)
        if (!raw[i] || raw[i] == '\r' || raw[i] == '\n')
            raw[i] = ' ';
    const char *charset = utf8_valid(raw, n) ? "utf-8" : "windows-1252";
    utf8[text_to_utf8(charset, raw, n, utf8, sizeof(utf8) - 1)] = '\0';
    char *text = trim(g_mime_utils_header_decode_phrase(text_options(), utf8));
    secmem_wipe(raw, sizeof(raw));
    secmem_wipe(utf8, sizeof(utf8));
    return text;
}

/* The name in front of the address, or the comment behind it: "a@b (Anna)". */
static char *name_of(const struct address_item *item)
{
    const uint8_t *s = item->spec.data;
    struct slice comment = {0};
    if (item->name.data)
        return decoded(item->name, false);
    for (size_t i = 0, u; i < item->spec.len; i += u) {
        u = token_unit(s + i, item->spec.len - i);
        if (s[i] == '(' && u > 1)
            comment = slice_of(s + i + 1, u - 2);
    }
    return decoded(comment, true);
}

struct mailboxes {
    text_mailbox_fn *fn;
    void *arg;
};

static int tell(void *arg, const struct address_item *item)
{
    const struct mailboxes *m = arg;
    char spec[ADDRESS_CANONICAL_MAX];
    bool is = address_canonical(item, spec);
    char *name = is || !item->spec.len ? name_of(item) : decoded(item->spec, true);
    m->fn(m->arg, name ? name : "", is ? spec : ADDRESS_UNREADABLE);
    wipe_text(name);
    secmem_wipe(spec, sizeof(spec));
    return 0;
}

void text_mailboxes(struct slice list, text_mailbox_fn *fn, void *arg)
{
    address_each(list.data, list.len, tell, &(struct mailboxes){fn, arg});
}

/* A group's name or a mailbox. */
static int put_item(const struct address_item *item, struct buf *out)
{
    char spec[ADDRESS_CANONICAL_MAX];
    bool group = item->kind == ADDRESS_GROUP, is = !group && address_canonical(item, spec);
    char *name = is || item->name.data ? name_of(item) : NULL;
    bool named = name && *name;
    int err = named || group ? put_name(named ? name : "", group ? ": " : is ? " <" : " ", out) : OK;
    if (err == OK && is)
        err = put_decoded(spec, false, out);
    else if (err == OK && !group) {
        wipe_text(name);
        name = g_strdup_printf(named ? "<%.*s>" : "%.*s", (int)item->spec.len, (const char *)item->spec.data);
        err = put_name(name, "", out);
    }
    wipe_text(name);
    secmem_wipe(spec, sizeof(spec));
    return err == OK && is && named ? buf_puts(out, ">") : err;
}

int text_put_addresses(const char *value, struct buf *out)
{
    struct address_reader r = {.s = (const uint8_t *)value, .len = strlen(value)};
    struct address_item item;
    bool first = true, none = true;
    int err = OK;
    for (; err == OK && address_read(&r, &item); none = false) {
        if (item.kind == ADDRESS_GROUP_END) {
            err = buf_puts(out, ";");
            continue;
        }
        err = first ? OK : buf_puts(out, ", ");
        if (err == OK)
            err = put_item(&item, out);
        first = item.kind == ADDRESS_GROUP;
    }
    if (err == OK && r.in_group)
        err = buf_puts(out, ";");
    if (err != OK || !none)
        return err;
    char *text = g_mime_utils_header_decode_text(text_options(), value); /* one name */
    err = text ? put_name(text, "", out) : ERR_MEMORY;
    wipe_text(text);
    return err;
}
