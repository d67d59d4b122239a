/* Mailbox names: modified UTF-7 on the wire, UTF-8 inside; and LIST's wildcards. */
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/proto/imap_args.h"

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct out {
    char *p;
    size_t len, cap;
    bool full;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->cap)
        o->p[o->len++] = c;
    else
        o->full = true;
}

static void put_utf8(struct out *o, uint32_t c)
{
    char text[4];
    size_t n = utf8_encode(c, text);
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
}

/* The base64 part between "&" and "-": UTF-16BE. Only what could not stand for itself may be in it. */
static int decode_shifted(const uint8_t *p, size_t len, struct out *o)
{
    uint32_t bits = 0, high = 0;
    unsigned nbits = 0;
    for (size_t i = 0; i < len; i++) {
        const char *at = p[i] ? strchr(b64, p[i]) : NULL;
        if (!at)
            return ERR_FORMAT;
        bits = (bits << 6 | (uint32_t)(at - b64)) & 0x3fffff;
        nbits += 6;
        if (nbits < 16)
            continue;
        nbits -= 16;
        uint32_t u = bits >> nbits & 0xffff;
        if (high) {
            if (u < 0xdc00 || u > 0xdfff)
                return ERR_FORMAT;
            put_utf8(o, 0x10000 + ((high - 0xd800) << 10) + (u - 0xdc00));
            high = 0;
        } else if (u >= 0xd800 && u < 0xdc00) {
            high = u;
        } else if ((u >= 0xdc00 && u < 0xe000) || u < 0x80 || utf8_is_control(u)) {
            return ERR_FORMAT;
        } else {
            put_utf8(o, u);
        }
    }
    if (high || nbits >= 6 || (bits & ((1u << nbits) - 1)))
        return ERR_FORMAT;
    return OK;
}

int imap_utf7_decode(struct slice s, char *out, size_t cap)
{
    char text[1024];
    struct out o = {text, 0, cap < sizeof(text) ? cap : sizeof(text), false};
    bool shifted_before = false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c < 0x20 || c > 0x7e)
            return ERR_FORMAT;
        if (c != '&') {
            put(&o, (char)c);
            shifted_before = false;
            continue;
        }
        const uint8_t *end = memchr(s.data + i + 1, '-', s.len - i - 1);
        if (!end)
            return ERR_FORMAT;
        size_t len = (size_t)(end - (s.data + i + 1));
        if (len == 0) {
            put(&o, '&');
            shifted_before = false;
        } else {
            if (shifted_before) /* "&...-&...-" has a shorter spelling (RFC 3501 section 5.1.3) */
                return ERR_FORMAT;
            int err = decode_shifted(s.data + i + 1, len, &o);
            if (err)
                return err;
            shifted_before = true;
        }
        i += len + 1;
    }
    if (o.full)
        return ERR_LIMIT;
    text[o.len] = 0;
    memcpy(out, text, o.len + 1);
    return OK;
}

static void put_bits(struct out *o, uint32_t *bits, unsigned *nbits, uint32_t u)
{
    *bits = *bits << 16 | u;
    *nbits += 16;
    while (*nbits >= 6) {
        *nbits -= 6;
        put(o, b64[*bits >> *nbits & 0x3f]);
    }
    *bits &= (1u << *nbits) - 1;
}

int imap_utf7_encode(const char *utf8, char *out, size_t cap)
{
    char text[4096];
    struct out o = {text, 0, cap < sizeof(text) ? cap : sizeof(text), false};
    size_t len = strlen(utf8);
    uint32_t c, bits = 0;
    unsigned nbits = 0;
    bool shifted = false;
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_decode(utf8 + i, len - i, &c);
        if (!n || utf8_is_control(c))
            return ERR_FORMAT;
        if (c >= 0x80) {
            if (!shifted)
                put(&o, '&');
            shifted = true;
            if (c >= 0x10000) {
                put_bits(&o, &bits, &nbits, 0xd800 + ((c - 0x10000) >> 10));
                put_bits(&o, &bits, &nbits, 0xdc00 + ((c - 0x10000) & 0x3ff));
            } else {
                put_bits(&o, &bits, &nbits, c);
            }
            continue;
        }
        if (shifted) {
            if (nbits)
                put(&o, b64[bits << (6 - nbits) & 0x3f]);
            put(&o, '-');
            bits = nbits = 0;
            shifted = false;
        }
        put(&o, (char)c);
        if (c == '&')
            put(&o, '-');
    }
    if (shifted) {
        if (nbits)
            put(&o, b64[bits << (6 - nbits) & 0x3f]);
        put(&o, '-');
    }
    if (o.full)
        return ERR_LIMIT;
    text[o.len] = 0;
    memcpy(out, text, o.len + 1);
    return OK;
}

static bool same(char a, char b, bool fold)
{
    if (fold && a >= 'a' && a <= 'z')
        a -= 32;
    if (fold && b >= 'a' && b <= 'z')
        b -= 32;
    return a == b;
}

/* One row of matches a pattern octet: row[j] says whether the pattern so far matches name[0..j). */
bool imap_list_match(const char *pattern, const char *name)
{
    enum { NAME_MAX_OCTETS = 1024 };
    bool row[NAME_MAX_OCTETS + 1];
    size_t len = strlen(name);
    bool inbox = strncasecmp(name, "INBOX", 5) == 0 && (name[5] == 0 || name[5] == '/');
    if (len > NAME_MAX_OCTETS)
        return false;
    memset(row, 0, sizeof(row));
    row[0] = true;
    for (const char *p = pattern; *p; p++) {
        if (*p == '*' || *p == '%') {
            for (size_t j = 1; j <= len; j++)
                row[j] = row[j] || (row[j - 1] && (*p == '*' || name[j - 1] != '/'));
            continue;
        }
        bool any = false;
        for (size_t j = len; j > 0; j--)
            any |= row[j] = row[j - 1] && same(*p, name[j - 1], inbox && j <= 5);
        row[0] = false;
        if (!any)
            return false;
    }
    return row[len];
}
