#include "server/core/utf8.h"

#include <string.h>

/* RFC 3629 section 4. */
size_t utf8_decode(const void *text, size_t len, uint32_t *ret)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *s = text;
    if (!len)
        return 0;
    if (s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (!n || n > len)
        return 0;
    uint32_t c = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) /* overlong, beyond Unicode, a surrogate */
        return 0;
    *ret = c;
    return n;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(0xf00u >> n | c);
    return n;
}

bool utf8_is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Octets of ASCII at the start of s, as far as whole words of it go: most text is that alone. */
static size_t ascii_run(const uint8_t *s, size_t len)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, s + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

size_t utf8_prefix(const void *text, size_t len)
{
    const uint8_t *s = text;
    uint32_t c;
    size_t i = ascii_run(s, len);
    for (size_t n; i < len && (n = utf8_decode(s + i, len - i, &c)); i += n)
        if (c >= 0x80)
            n += ascii_run(s + i + n, len - i - n);
    return i;
}

bool utf8_valid(const void *text, size_t len)
{
    const uint8_t *s = text;
    uint32_t c;
    for (size_t i = ascii_run(s, len), n; i < len; i += n) {
        n = utf8_decode(s + i, len - i, &c);
        if (!n || (c >= 0x80 && utf8_is_control(c)))
            return false;
        if (c >= 0x80)
            n += ascii_run(s + i + n, len - i - n);
    }
    return true;
}

bool utf8_printable(const void *text, size_t len)
{
    const uint8_t *s = text;
    uint32_t c;
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_decode(s + i, len - i, &c);
        if (!n || utf8_is_control(c))
            return false;
    }
    return true;
}

/* What makes text be shown in another order than it stands in, or not at all (Unicode's Bidi_Control, separators of
 * lines and paragraphs, widths of zero, tags). Names may have joiners. */
static bool misleads(uint32_t c)
{
    static const uint32_t ranges[][2] = {{0x61c, 0x61c},   {0x200b, 0x200b}, {0x200e, 0x200f},  {0x2028, 0x202e},
                                         {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

void utf8_tame(char *s, size_t len)
{
    uint32_t c;
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_decode(s + i, len - i, &c);
        if (n && !utf8_is_control(c) && !misleads(c))
            continue;
        n = n ? n : 1;
        memset(s + i, '?', n);
    }
}
