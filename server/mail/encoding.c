#include "server/mail/encoding.h"

#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/token.h"

bool encoding_is_quoted(struct slice s)
{
    return s.len > 2 && s.data[0] == '=' && digit_hex(s.data[1]) >= 0 && digit_hex(s.data[2]) >= 0;
}

/* What stands at in[0], a "=": octets of it; 0: it quotes nothing. *ret_n: octets it means, at most one. */
static size_t read_quoted(struct slice in, uint8_t *ret, size_t *ret_n)
{
    *ret_n = 0;
    if (in.len >= 2 && in.data[1] == '\n') /* rule 3: soft line break */
        return 2;
    if (in.len >= 3 && in.data[1] == '\r' && in.data[2] == '\n')
        return 3;
    if (!encoding_is_quoted(in)) /* rule 1 */
        return 0;
    *ret = (uint8_t)(digit_hex(in.data[1]) << 4 | digit_hex(in.data[2]));
    *ret_n = 1;
    return 3;
}

static int quoted_printable(struct slice in, bool strict, uint8_t *out, size_t *ret_len)
{
    size_t n = 0, more, used;
    for (size_t i = 0; i < in.len; i += used) {
        used = in.data[i] == '=' ? read_quoted(slice_of(in.data + i, in.len - i), &out[n], &more) : 0;
        if (used) {
            n += more;
            continue;
        }
        if (strict && in.data[i] == '=')
            return ERR_FORMAT;
        out[n++] = in.data[i];
        used = 1;
    }
    *ret_len = n;
    return OK;
}

int encoding_decode_quoted_printable(struct slice in, uint8_t *out, size_t *ret_len)
{
    return quoted_printable(in, true, out, ret_len);
}

size_t encoding_read_quoted_printable(struct slice in, uint8_t *out)
{
    size_t n = 0;
    (void)quoted_printable(in, false, out, &n);
    return n;
}

/* A group of base64 that has ended before its fourth digit. Returns octets written. */
static size_t end_group(uint32_t bits, size_t digits, uint8_t *out)
{
    if (digits < 2)
        return 0;
    out[0] = (uint8_t)(bits >> (digits == 2 ? 4 : 10));
    if (digits == 3)
        out[1] = (uint8_t)(bits >> 2);
    return digits - 1;
}

size_t encoding_read_base64(struct slice in, uint8_t *out)
{
    uint32_t bits = 0;
    size_t n = 0, digits = 0;
    for (size_t i = 0; i < in.len; i++) {
        int v = digit_base64(in.data[i]);
        if (v < 0 && in.data[i] != '=')
            continue;
        if (v < 0) {
            n += end_group(bits, digits, out + n);
            digits = 0;
            continue;
        }
        bits = bits << 6 | (uint32_t)v;
        if (++digits < 4)
            continue;
        for (int k = 16; k >= 0; k -= 8)
            out[n++] = (uint8_t)(bits >> k);
        digits = 0;
    }
    return n + end_group(bits, digits, out + n);
}

/* Groups of four digits with nothing between them. Returns how many octets of text they are. */
static size_t read_groups(struct slice in, uint8_t *out)
{
    size_t i = 0;
    for (; in.len - i >= 4; i += 4, out += 3) {
        const uint8_t *s = in.data + i;
        int a = digit_base64(s[0]), b = digit_base64(s[1]), c = digit_base64(s[2]), d = digit_base64(s[3]);
        if ((a | b | c | d) < 0)
            break;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    return i;
}

int encoding_decode_base64(struct slice in, uint8_t *out, size_t *ret_len)
{
    uint32_t bits = 0;
    size_t n = 0, count = 0, pads = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (count % 4 == 0 && !pads) {
            size_t used = read_groups(slice_of(in.data + i, in.len - i), out + n);
            n += used / 4 * 3;
            i += used;
            if (i == in.len)
                break;
        }
        uint8_t c = in.data[i];
        if (token_is_space(c))
            continue;
        int v = digit_base64(c);
        if (c == '=')
            pads++;
        else if (v < 0 || pads)
            return ERR_FORMAT;
        bits = bits << 6 | (v < 0 ? 0 : (uint32_t)v);
        if (++count % 4 == 0) {
            for (size_t k = 0; k < 3 - pads; k++)
                out[n++] = (uint8_t)(bits >> (16 - 8 * k));
            bits = 0;
        } else if (pads && count % 4 < 3) {
            return ERR_FORMAT;
        }
    }
    if (count % 4)
        return ERR_FORMAT;
    *ret_len = n;
    return OK;
}

/* RFC 2047 section 2; what stands behind a "*" in the charset is a language (RFC 2231 section 5). */
size_t encoding_word(struct slice s, struct encoded_word *ret)
{
    enum { CHARSET_MAX = 40 };
    const uint8_t *p = s.data;
    size_t i = 2;
    if (s.len < 8 || p[0] != '=' || p[1] != '?')
        return 0;
    while (i < s.len && p[i] != '?' && p[i] != '*' && i - 2 < CHARSET_MAX)
        i++;
    struct encoded_word w = {.charset = slice_of(p + 2, i - 2)};
    while (i < s.len && p[i] != '?')
        i++;
    if (i + 3 >= s.len || p[i + 2] != '?')
        return 0;
    uint8_t encoding = p[i + 1] | 32;
    size_t start = i + 3;
    for (i = start; i + 1 < s.len && !(p[i] == '?' && p[i + 1] == '='); i++)
        if (p[i] <= ' ')
            return 0;
    if (i + 1 >= s.len || (encoding != 'q' && encoding != 'b'))
        return 0;
    w.text = slice_of(p + start, i - start);
    w.base64 = encoding == 'b';
    *ret = w;
    return i + 2;
}

/* Section 4.2. */
static size_t decode_q(struct slice t, uint8_t *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < t.len && n < cap; i++) {
        bool coded =
            t.data[i] == '=' && i + 2 < t.len && digit_hex(t.data[i + 1]) >= 0 && digit_hex(t.data[i + 2]) >= 0;
        out[n++] = coded              ? (uint8_t)(digit_hex(t.data[i + 1]) << 4 | digit_hex(t.data[i + 2]))
                   : t.data[i] == '_' ? ' '
                                      : t.data[i];
        i += coded ? 2 : 0;
    }
    return n;
}

/* Section 4.1. */
static size_t decode_b(struct slice t, uint8_t *out, size_t cap)
{
    uint32_t bits = 0;
    unsigned left = 0;
    size_t n = 0;
    for (size_t i = 0; i < t.len && n < cap && digit_base64(t.data[i]) >= 0; i++) {
        bits = (bits << 6 | (uint32_t)digit_base64(t.data[i])) & 0xfff;
        left += 6;
        if (left >= 8) {
            left -= 8;
            out[n++] = (uint8_t)(bits >> left);
        }
    }
    return n;
}

size_t encoding_word_decode(const struct encoded_word *w, uint8_t *out, size_t cap)
{
    return w->base64 ? decode_b(w->text, out, cap) : decode_q(w->text, out, cap);
}
