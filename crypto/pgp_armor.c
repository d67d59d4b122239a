/* ASCII armour (RFC 9580 section 6): finds, decodes and writes it. */
#include "crypto/pgp_armor.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_crc24.h"
#include "server/core/digit.h"
#include "server/core/error.h"

enum { CHECKSUM_MAX = 8 }; /* characters of its line; five when it is whole */

struct text {
    const uint8_t *p;
    size_t len;
};

/* The line at *pos without its end and trailing white space; moves *pos past it. False at the end. */
static bool next_line(const uint8_t *text, size_t len, size_t *pos, struct text *ret)
{
    if (*pos >= len)
        return false;
    const uint8_t *start = text + *pos, *nl = memchr(start, '\n', len - *pos);
    size_t n = nl ? (size_t)(nl - start) : len - *pos;
    *pos += n + (nl ? 1 : 0);
    while (n && (start[n - 1] == '\r' || start[n - 1] == ' ' || start[n - 1] == '\t'))
        n--;
    *ret = (struct text){start, n};
    return true;
}

static bool is_rule(const struct text *line, const char *word, const char *label)
{
    size_t w = strlen(word), l = strlen(label);
    return line->len == 5 + w + 5 + l + 5 && memcmp(line->p, "-----", 5) == 0 && memcmp(line->p + 5, word, w) == 0 &&
           memcmp(line->p + 5 + w, " PGP ", 5) == 0 && memcmp(line->p + 10 + w, label, l) == 0 &&
           memcmp(line->p + 10 + w + l, "-----", 5) == 0;
}

/* Section 6.2.2: "Key: Value". */
static bool is_header(const struct text *line)
{
    const uint8_t *colon = memchr(line->p, ':', line->len);
    return colon && colon != line->p && memchr(line->p, ' ', (size_t)(colon - line->p)) == NULL;
}

/* Radix-64 that runs over lines. */
struct decoder {
    uint8_t *out;
    size_t cap, len;
    uint32_t bits;
    unsigned count; /* sextets in bits */
    unsigned pads;
};

static int decode_char(struct decoder *d, uint8_t c)
{
    if (c == '=') {
        if (d->count + d->pads < 2 || ++d->pads + d->count > 4)
            return ERR_FORMAT;
        return OK;
    }
    int v = digit_base64(c);
    if (v < 0 || d->pads)
        return ERR_FORMAT;
    d->bits = d->bits << 6 | (uint32_t)v;
    if (++d->count < 4)
        return OK;
    if (d->cap - d->len < 3)
        return ERR_LIMIT;
    d->out[d->len++] = (uint8_t)(d->bits >> 16);
    d->out[d->len++] = (uint8_t)(d->bits >> 8);
    d->out[d->len++] = (uint8_t)d->bits;
    d->count = 0;
    d->bits = 0;
    return OK;
}

static int decode_end(struct decoder *d)
{
    if (d->count == 0)
        return d->pads ? ERR_FORMAT : OK;
    /* Missing padding is generosity too far; bits beyond the last octet must be zero. */
    if (d->count + d->pads != 4 || d->count == 1)
        return ERR_FORMAT;
    uint32_t v = d->bits << (6 * d->pads);
    size_t n = 3 - d->pads;
    if (d->cap - d->len < n)
        return ERR_LIMIT;
    if (v & (d->pads == 1 ? 0xffu : 0xffffu))
        return ERR_FORMAT;
    d->out[d->len++] = (uint8_t)(v >> 16);
    if (n == 2)
        d->out[d->len++] = (uint8_t)(v >> 8);
    return OK;
}

/* Section 6.1: what the checksum says is ignored, be it malformed. A line too long for one is not: it may be text. */
static bool is_checksum(const struct text *line)
{
    return line->p[0] == '=' && line->len <= CHECKSUM_MAX;
}

static int decode_body(const uint8_t *text, size_t len, size_t *pos, const char *label, struct decoder *d)
{
    struct text line;
    bool had_checksum = false;
    while (next_line(text, len, pos, &line)) {
        if (line.len >= 5 && memcmp(line.p, "-----", 5) == 0)
            return is_rule(&line, "END", label) ? decode_end(d) : ERR_FORMAT;
        if (!line.len)
            continue;
        if (had_checksum)
            return ERR_FORMAT;
        if ((d->count + d->pads) % 4 == 0 && is_checksum(&line)) {
            had_checksum = true;
            continue;
        }
        for (size_t i = 0; i < line.len; i++) {
            int err = decode_char(d, line.p[i]);
            if (err)
                return err;
        }
    }
    return ERR_FORMAT; /* no END line */
}

int pgp_armor_decode(const uint8_t *text, size_t len, const char *label, uint8_t *out, size_t cap, size_t *ret_len,
                     size_t *ret_begin, size_t *ret_end)
{
    struct text line;
    size_t pos = 0, begin = 0;
    do {
        begin = pos;
        if (!next_line(text, len, &pos, &line))
            return ERR_NOT_FOUND;
    } while (!is_rule(&line, "BEGIN", label));
    do { /* headers up to an empty line */
        if (!next_line(text, len, &pos, &line))
            return ERR_FORMAT;
        if (line.len && !is_header(&line))
            return ERR_FORMAT;
    } while (line.len);
    struct decoder d = {.out = out, .cap = cap};
    int err = decode_body(text, len, &pos, label, &d);
    if (err)
        return err;
    *ret_len = d.len;
    *ret_begin = begin;
    *ret_end = pos;
    return OK;
}

void pgp_armor_plain(const uint8_t *text, size_t len, uint8_t *out, size_t *ret_len)
{
    bool utf8 = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3);
    bool little = len >= 2 && text[0] == 0xff && text[1] == 0xfe, big = len >= 2 && text[0] == 0xfe && text[1] == 0xff;
    size_t n = 0, low = big ? 1 : 0;
    if (little || big) {
        for (size_t i = 2; len - i >= 2; i += 2)
            out[n++] = text[i + 1 - low] || text[i + low] >= 0x80 ? '?' : text[i + low];
    } else {
        n = utf8 ? len - 3 : len;
        memcpy(out, text + len - n, n);
    }
    *ret_len = n;
}

static size_t encode_line(const uint8_t *in, size_t len, char *out)
{
    const size_t n = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL); /* with a NUL */
    sodium_bin2base64(out, n, in, len, sodium_base64_VARIANT_ORIGINAL);
    out[n - 1] = '\n';
    return n;
}

int pgp_armor_encode(const uint8_t *data, size_t len, const char *label, bool checksum, char *out, size_t cap,
                     size_t *ret_len)
{
    enum { LINE = 48 /* octets: 64 characters */, LABEL_MAX = 32 };
    const size_t lines = (len + LINE - 1) / LINE;
    const size_t rest = 2 * LABEL_MAX + sizeof("-----BEGIN PGP -----\n\n=ABCD\n-----END PGP -----\n");
    if (strlen(label) > LABEL_MAX || cap < rest || lines > (cap - rest) / (64 + 1))
        return ERR_LIMIT;
    size_t n = (size_t)sprintf(out, "-----BEGIN PGP %s-----\n\n", label);
    for (size_t at = 0; at < len; at += LINE)
        n += encode_line(data + at, len - at < LINE ? len - at : LINE, out + n);
    if (checksum && pgp_crc24_wanted(len)) {
        const uint32_t crc = pgp_crc24(PGP_CRC24_BEGIN, data, len);
        out[n++] = '=';
        n += encode_line((uint8_t[]){(uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc}, 3, out + n);
    }
    n += (size_t)sprintf(out + n, "-----END PGP %s-----\n", label);
    *ret_len = n;
    return OK;
}
