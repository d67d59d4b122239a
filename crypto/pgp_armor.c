/* ASCII armour (RFC 9580 section 6): finds, decodes and writes it. */
#include "crypto/pgp_armor.h"

#include <stdbool.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"

enum { LINE_OCTETS = 48 }; /* 64 characters */

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

/* Section 6.1.1: generator 0x864cfb, start 0xb704ce. The table is made anew: it costs less than a kilobyte of data. */
static uint32_t crc24(const uint8_t *p, size_t len)
{
    uint32_t table[256], crc = 0xb704ce;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i << 16;
        for (int bit = 0; bit < 8; bit++)
            v = v << 1 ^ (v & 0x800000 ? 0x864cfb : 0);
        table[i] = v & 0xffffff;
    }
    while (len--)
        crc = (crc << 8 & 0xffffff) ^ table[(crc >> 16 ^ *p++) & 0xff];
    return crc;
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

/* Section 6.1: an optional line of "=" and four characters. */
static int check_crc(const struct text *line, const struct decoder *d)
{
    uint32_t crc = 0;
    if (line->len != 5)
        return ERR_FORMAT;
    for (size_t i = 1; i < 5; i++) {
        int v = digit_base64(line->p[i]);
        if (v < 0)
            return ERR_FORMAT;
        crc = crc << 6 | (uint32_t)v;
    }
    return crc == crc24(d->out, d->len) ? OK : ERR_FORMAT;
}

static int decode_body(const uint8_t *text, size_t len, size_t *pos, const char *label, struct decoder *d)
{
    struct text line;
    bool had_crc = false, ended = false;
    while (next_line(text, len, pos, &line)) {
        if (line.len >= 5 && memcmp(line.p, "-----", 5) == 0) {
            if (!is_rule(&line, "END", label))
                return ERR_FORMAT;
            return ended ? OK : decode_end(d);
        }
        if (!line.len)
            continue;
        if (had_crc)
            return ERR_FORMAT;
        /* A checksum line cannot be data: "=" at its start would pad nothing, except as lone padding of a broken line,
         * which is not accepted. */
        if (line.p[0] == '=') {
            int err = decode_end(d);
            if (!err)
                err = check_crc(&line, d);
            if (err)
                return err;
            had_crc = ended = true;
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
