/* Messages as clients are served them: version 1 as PGP/MIME (RFC 3156 section 4), the others as one inline armour
 * block. Each fixes every octet; a change needs a new version beside it, because what a client was served must never
 * change. */
#include "server/format/render.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "crypto/pgp_crc24.h"
#include "server/core/digit.h"
#include "server/core/error.h"

enum { BOUNDARY_LEN = 29, LINE_BYTES = 48, LINE_CHARS = 64, LINE_OUT = LINE_CHARS + 2, CRC_LEN = 7 };

static const char top[] = "MIME-Version: 1.0\r\n"
                          "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n"
                          "\tboundary=\"";
static const char top_end[] = "\"\r\n\r\n";
static const char part1_mime[] = "Content-Type: application/pgp-encrypted\r\n"
                                 "Content-Description: PGP/MIME version identification\r\n\r\n";
static const char part1_body[] = "Version: 1\r\n";
static const char part2_mime[] = "Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n"
                                 "Content-Description: OpenPGP encrypted message\r\n"
                                 "Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n";
/* Inline: what stands where PGP/MIME has its type and boundary. 7bit and no format: the block's lines are what they
 * are, and the text in it is not flowed. A charset other than UTF-8 is said twice: some clients take that of the type,
 * neomutt that of the armour (RFC 9580 section 6.2.2.4). */
static const char inline_top[] = "MIME-Version: 1.0\r\n"
                                 "Content-Type: text/plain; charset=";
static const char inline_top_end[] = "\r\n"
                                     "Content-Transfer-Encoding: 7bit\r\n\r\n";
/* Version RENDER_INLINE + n serves text of charsets[n]; only ever added to at the end. */
static const char *const charsets[] = {"utf-8",        "iso-8859-1",   "iso-8859-15", "iso-8859-2",
                                       "windows-1252", "windows-1251", "koi8-r"};
enum { CHARSETS = sizeof(charsets) / sizeof(*charsets) };
static const char begin[] = "-----BEGIN PGP MESSAGE-----\r\n\r\n";
static const char begin_charset[] = "-----BEGIN PGP MESSAGE-----\r\nCharset: %s\r\n\r\n";
static const char end[] = "-----END PGP MESSAGE-----\r\n";

/* One run of the rendered message. text NULL: made when asked for. */
struct segment {
    const char *text;
    uint64_t len;
};
enum {
    SEG_OUTER,
    SEG_TOP,
    SEG_TOP_BOUNDARY,
    SEG_TOP_END,
    SEG_OPEN1,
    SEG_PART1_MIME,
    SEG_PART1_BODY,
    SEG_OPEN2,
    SEG_PART2_MIME,
    SEG_BEGIN,
    SEG_ARMOUR,
    SEG_CRC,
    SEG_END,
    SEG_CLOSE,
    SEGMENTS
};

static uint64_t armour_len(uint64_t n)
{
    uint64_t rest = n % LINE_BYTES;
    return n / LINE_BYTES * LINE_OUT + (rest ? (rest + 2) / 3 * 4 + 2 : 0);
}

bool render_known(uint8_t version)
{
    return version >= RENDER_VERSION && version < RENDER_INLINE + CHARSETS;
}

int render_inline_version(const char *charset, uint8_t *ret)
{
    /* RFC 9580 section 6.2.2.4: text is UTF-8 where nothing else is said; ASCII is part of it. */
    static const char *const utf8[] = {"", "us-ascii", "ascii", "utf8"};
    for (size_t i = 0; i < sizeof(utf8) / sizeof(*utf8); i++)
        if (!strcmp(charset, utf8[i]))
            charset = charsets[0];
    for (uint8_t i = 0; i < CHARSETS; i++)
        if (!strcmp(charset, charsets[i])) {
            *ret = (uint8_t)(RENDER_INLINE + i);
            return OK;
        }
    return ERR_UNSUPPORTED;
}

void render_boundary(uint8_t version, uint64_t message, char out[64])
{
    snprintf(out, 64, "=_letterlock-%016llx",
             (unsigned long long)message); /* "=_" occurs in no base64 (RFC 2045 6.7) */
}

struct frame {
    char first[64], open[64], close[64], boundary[64], begin[64];
    struct segment seg[SEGMENTS];
};

#define TEXT(s)          \
    {                    \
        s, sizeof(s) - 1 \
    }

static void frame_mime(struct frame *f, uint64_t message)
{
    char b[64];
    render_boundary(RENDER_VERSION, message, b);
    memcpy(f->boundary, b, sizeof(b));
    snprintf(f->first, sizeof(f->first), "--%.29s\r\n", b);
    snprintf(f->open, sizeof(f->open), "\r\n--%.29s\r\n", b);
    snprintf(f->close, sizeof(f->close), "\r\n--%.29s--\r\n", b);
    const struct segment seg[SEGMENTS] = {
        [SEG_TOP] = TEXT(top),
        [SEG_TOP_BOUNDARY] = {f->boundary, BOUNDARY_LEN},
        [SEG_TOP_END] = TEXT(top_end),
        [SEG_OPEN1] = {f->first, BOUNDARY_LEN + 4},
        [SEG_PART1_MIME] = TEXT(part1_mime),
        [SEG_PART1_BODY] = TEXT(part1_body),
        [SEG_OPEN2] = {f->open, BOUNDARY_LEN + 6},
        [SEG_PART2_MIME] = TEXT(part2_mime),
        [SEG_BEGIN] = TEXT(begin),
        [SEG_CLOSE] = {f->close, BOUNDARY_LEN + 8},
    };
    memcpy(f->seg, seg, sizeof(seg));
}

static void frame_inline(struct frame *f, uint8_t version)
{
    const char *charset = charsets[version - RENDER_INLINE];
    const struct segment seg[SEGMENTS] = {
        [SEG_TOP] = TEXT(inline_top),
        [SEG_TOP_BOUNDARY] = {charset, strlen(charset)},
        [SEG_TOP_END] = TEXT(inline_top_end),
    };
    memcpy(f->seg, seg, sizeof(seg));
    if (version == RENDER_INLINE)
        f->seg[SEG_BEGIN] = (struct segment)TEXT(begin);
    else
        f->seg[SEG_BEGIN] =
            (struct segment){f->begin, (uint64_t)snprintf(f->begin, sizeof(f->begin), begin_charset, charset)};
}

/* version: a known one. */
static void frame_make(struct frame *f, uint8_t version, uint64_t message, const uint8_t *outer, size_t outer_len,
                       uint64_t packets_len)
{
    if (version >= RENDER_INLINE)
        frame_inline(f, version);
    else
        frame_mime(f, message);
    f->seg[SEG_OUTER] = (struct segment){(const char *)outer, outer_len};
    f->seg[SEG_ARMOUR] = (struct segment){NULL, armour_len(packets_len)};
    f->seg[SEG_CRC] = (struct segment){NULL, pgp_crc24_wanted(packets_len) ? CRC_LEN : 0};
    f->seg[SEG_END] = (struct segment)TEXT(end);
}

#undef TEXT

static uint64_t seg_start(const struct frame *f, unsigned n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += f->seg[i].len;
    return sum;
}

void render_layout(uint8_t version, uint64_t message, size_t outer_len, uint64_t packets_len, struct render_layout *ret)
{
    struct frame f;
    *ret = (struct render_layout){0};
    if (!render_known(version))
        return;
    frame_make(&f, version, message, NULL, outer_len, packets_len);
    uint32_t lines = (uint32_t)((packets_len + LINE_BYTES - 1) / LINE_BYTES + 3 + pgp_crc24_wanted(packets_len));
    bool single = version >= RENDER_INLINE;
    *ret = (struct render_layout){
        .size = seg_start(&f, SEGMENTS),
        .header_len = seg_start(&f, SEG_OPEN1),
        .single = single,
        .part1_mime = seg_start(&f, single ? SEG_TOP : SEG_PART1_MIME),
        .part1_body = seg_start(&f, single ? SEG_BEGIN : SEG_PART1_BODY),
        .part1_end = seg_start(&f, single ? SEGMENTS : SEG_OPEN2),
        .part1_lines = single ? lines + (version > RENDER_INLINE) : 1,
        .part2_mime = seg_start(&f, SEG_PART2_MIME),
        .part2_body = seg_start(&f, SEG_BEGIN),
        .part2_end = seg_start(&f, SEG_CLOSE),
        .part2_lines = lines,
    };
}

uint64_t render_size(uint8_t version, size_t outer_len, uint64_t packets_len)
{
    struct render_layout l;
    render_layout(version, 0, outer_len, packets_len, &l);
    return l.size;
}

/* A full line: two digits at a time from a table, since FETCH spends its time here. */
static void armour_full_line(const uint8_t *in, uint8_t *out)
{
    static uint8_t pair[4096][2];
    if (!pair[0][0])
        for (unsigned i = 0; i < 4096; i++) {
            pair[i][0] = (uint8_t)digit_base64_digits[i >> 6];
            pair[i][1] = (uint8_t)digit_base64_digits[i & 63];
        }
    for (size_t i = 0; i < LINE_BYTES; i += 3, in += 3, out += 4) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        memcpy(out, pair[v >> 12], 2);
        memcpy(out + 2, pair[v & 4095], 2);
    }
    memcpy(out, "\r\n", 2);
}

/* One line of armour with its CRLF; bytes is at most LINE_BYTES. */
static size_t armour_line(const uint8_t *in, size_t bytes, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i += 3, n += 4)
        digit_base64_write(in + i, bytes - i < 3 ? bytes - i : 3, out + n);
    out[n++] = '\r';
    out[n++] = '\n';
    return n;
}

/* Packets from an offset on are at hand: the checksum takes what it has not had, so that nobody reads them for it. */
static void crc_take(struct render_crc *c, uint64_t from, const uint8_t *in, size_t n)
{
    if (from > c->at || c->at - from >= n)
        return;
    size_t had = (size_t)(c->at - from);
    c->crc = pgp_crc24(c->at ? c->crc : PGP_CRC24_BEGIN, in + had, n - had);
    c->at = from + n;
}

static int crc_line(const struct render_source *s, uint8_t out[LINE_OUT])
{
    uint8_t in[12288];
    struct render_crc none = {0}, *c = s->crc ? s->crc : &none;
    uint64_t begun = c->at;
    while (c->at < s->packets_len) {
        if (s->crc && c->at - begun >= RENDER_CRC_MAX)
            return ERR_AGAIN;
        size_t n = s->packets_len - c->at < sizeof(in) ? (size_t)(s->packets_len - c->at) : sizeof(in);
        int err = s->read(s->arg, c->at, in, n);
        if (err != OK)
            return err;
        crc_take(c, c->at, in, n);
    }
    uint8_t octets[3] = {(uint8_t)(c->crc >> 16), (uint8_t)(c->crc >> 8), (uint8_t)c->crc};
    out[0] = '=';
    armour_line(octets, 3, out + 1);
    return OK;
}

/* Octets [offset, offset+len) of the armour's lines, which must be there. */
static int armour_range(const struct render_source *s, uint64_t offset, size_t len, uint8_t *out)
{
    enum { LINES = 256 };
    uint8_t in[LINES * LINE_BYTES], line[LINE_OUT];
    uint64_t row = offset / LINE_OUT;
    size_t skip = offset % LINE_OUT;
    while (len) {
        uint64_t from = row * LINE_BYTES;
        size_t rows = (skip + len + LINE_OUT - 1) / LINE_OUT < LINES ? (skip + len + LINE_OUT - 1) / LINE_OUT : LINES;
        size_t bytes = s->packets_len - from < rows * LINE_BYTES ? (size_t)(s->packets_len - from) : rows * LINE_BYTES;
        int err = s->read(s->arg, from, in, bytes);
        if (err != OK)
            return err;
        if (s->crc && pgp_crc24_wanted(s->packets_len))
            crc_take(s->crc, from, in, bytes);
        size_t i = 0;
        for (; skip == 0 && bytes - i >= LINE_BYTES && len >= LINE_OUT;
             i += LINE_BYTES, out += LINE_OUT, len -= LINE_OUT)
            armour_full_line(in + i, out);
        for (; i < bytes && len; i += LINE_BYTES) {
            size_t n = armour_line(in + i, bytes - i < LINE_BYTES ? bytes - i : LINE_BYTES, line);
            size_t take = n - skip < len ? n - skip : len;
            memcpy(out, line + skip, take);
            out += take;
            len -= take;
            skip = 0;
        }
        row += rows;
    }
    return OK;
}

int render_range(const struct render_source *s, uint64_t offset, size_t len, uint8_t *out, size_t *ret_len)
{
    struct frame f;
    if (!render_known(s->version))
        return ERR_VERSION;
    frame_make(&f, s->version, s->message, s->outer, s->outer_len, s->packets_len);
    size_t done = 0;
    uint64_t start = 0;
    for (unsigned i = 0; i < SEGMENTS && done < len; start += f.seg[i++].len) {
        uint64_t pos = offset + done;
        if (pos < start || pos - start >= f.seg[i].len)
            continue;
        uint64_t in = pos - start, there = f.seg[i].len - in;
        size_t n = there < len - done ? (size_t)there : len - done;
        uint8_t crc[LINE_OUT];
        int err = i == SEG_ARMOUR ? armour_range(s, in, n, out + done) : i == SEG_CRC ? crc_line(s, crc) : OK;
        if (err == ERR_AGAIN && done)
            break;
        if (err != OK)
            return err;
        if (i == SEG_CRC) {
            memcpy(out + done, crc + in, n);
        } else if (i != SEG_ARMOUR) {
            memcpy(out + done, f.seg[i].text + in, n);
        }
        done += n;
    }
    *ret_len = done;
    return OK;
}
