/* Looking for text in a header value: folds out, encoded words decoded, ASCII letters in any case. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/proto/imap_search.h"

enum { VALUE_MAX = 16384 };

static int b64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int imap_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct sink {
    uint8_t b[VALUE_MAX];
    size_t len;
    bool latin1;
};

static void put(struct sink *o, uint8_t c)
{
    if (o->latin1 && c >= 0x80) {
        if (o->len + 2 <= sizeof(o->b))
            o->len += utf8_encode(c, (char *)o->b + o->len);
        return;
    }
    if (c >= 'A' && c <= 'Z')
        c += 32;
    if (o->len < sizeof(o->b))
        o->b[o->len++] = c;
}

static void decode_q(struct sink *o, struct slice t)
{
    for (size_t i = 0; i < t.len; i++) {
        int hi, lo;
        if (t.data[i] == '_') {
            put(o, ' ');
        } else if (t.data[i] == '=' && i + 2 < t.len && (hi = imap_hex_digit(t.data[i + 1])) >= 0 &&
                   (lo = imap_hex_digit(t.data[i + 2])) >= 0) {
            put(o, (uint8_t)(hi << 4 | lo));
            i += 2;
        } else {
            put(o, t.data[i]);
        }
    }
}

static void decode_b(struct sink *o, struct slice t)
{
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < t.len; i++) {
        int d = b64_digit(t.data[i]);
        if (d < 0)
            break;
        bits = (bits << 6 | (uint32_t)d) & 0xfff;
        n += 6;
        if (n >= 8) {
            n -= 8;
            put(o, (uint8_t)(bits >> n));
        }
    }
}

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 section 2). Octets used, 0: none here, or a
 * charset we do not know. */
static size_t encoded_word(struct sink *o, struct slice v)
{
    size_t i = 2, start = 2;
    if (v.len < 8 || v.data[0] != '=' || v.data[1] != '?')
        return 0;
    while (i < v.len && v.data[i] != '?' && v.data[i] != '*' && i - start < 40)
        i++;
    struct slice charset = slice_of(v.data + start, i - start);
    while (i < v.len && v.data[i] != '?')
        i++;
    if (i + 3 >= v.len || v.data[i + 2] != '?')
        return 0;
    uint8_t enc = v.data[i + 1] | 0x20;
    start = i + 3;
    for (i = start; i + 1 < v.len && !(v.data[i] == '?' && v.data[i + 1] == '='); i++)
        if (v.data[i] <= ' ')
            return 0;
    if (i + 1 >= v.len || (enc != 'q' && enc != 'b'))
        return 0;
    bool latin1 = imap_word_is(charset, "ISO-8859-1") || imap_word_is(charset, "WINDOWS-1252");
    if (!latin1 && !imap_word_is(charset, "UTF-8") && !imap_word_is(charset, "US-ASCII"))
        return 0;
    o->latin1 = latin1;
    struct slice text = slice_of(v.data + start, i - start);
    if (enc == 'q')
        decode_q(o, text);
    else
        decode_b(o, text);
    o->latin1 = false;
    return i + 2;
}

static void decode(struct sink *o, struct slice v)
{
    size_t after_word = SIZE_MAX; /* where blanks between two encoded words began (RFC 2047 section 6.2: not shown) */
    o->len = 0;
    o->latin1 = false;
    for (size_t i = 0; i < v.len;) {
        uint8_t c = v.data[i];
        size_t mark = o->len;
        if (c == '=' && after_word != SIZE_MAX)
            o->len = after_word;
        size_t n = c == '=' ? encoded_word(o, slice_of(v.data + i, v.len - i)) : 0;
        if (n) {
            i += n;
            after_word = o->len;
            continue;
        }
        o->len = mark;
        i++;
        if (c != '\r' && c != '\n')
            put(o, c);
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            after_word = SIZE_MAX;
    }
}

bool imap_header_contains(struct slice value, struct slice needle)
{
    struct sink text, want = {.len = 0};
    if (needle.len == 0)
        return true;
    if (needle.len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < needle.len; i++)
        put(&want, needle.data[i]);
    decode(&text, value);
    return memmem(text.b, text.len, want.b, want.len) != NULL;
}
