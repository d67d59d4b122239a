#include "server/mail/encoding.h"

#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/token.h"

bool encoding_is_quoted(struct slice s)
{
    return s.len > 2 && s.data[0] == '=' && digit_hex(s.data[1]) >= 0 && digit_hex(s.data[2]) >= 0;
}

int encoding_decode_quoted_printable(struct slice in, uint8_t *out, size_t *ret_len)
{
    const uint8_t *s = in.data;
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        size_t left = in.len - i - 1;
        if (s[i] != '=') {
            out[n++] = s[i];
        } else if (left >= 1 && s[i + 1] == '\n') { /* rule 3: soft line break */
            i += 1;
        } else if (left >= 2 && s[i + 1] == '\r' && s[i + 2] == '\n') {
            i += 2;
        } else if (encoding_is_quoted(slice_of(s + i, left + 1))) { /* rule 1 */
            out[n++] = (uint8_t)(digit_hex(s[i + 1]) << 4 | digit_hex(s[i + 2]));
            i += 2;
        } else {
            return ERR_FORMAT;
        }
    }
    *ret_len = n;
    return OK;
}

int encoding_decode_base64(struct slice in, uint8_t *out, size_t *ret_len)
{
    uint32_t bits = 0;
    size_t n = 0, count = 0, pads = 0;
    for (size_t i = 0; i < in.len; i++) {
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
