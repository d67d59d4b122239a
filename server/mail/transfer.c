#include "server/mail/transfer.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/token.h"

enum { LINE = 76, OCTETS = LINE / 4 * 3 /* of a line of base64 */, ROOM = 4096 };

/* What is written, gathered. The first error stands. */
struct out {
    transfer_sink *sink;
    void *arg;
    uint8_t data[ROOM];
    size_t len, column;
    int err;
};

static void flush(struct out *o)
{
    if (o->err == OK && o->len)
        o->err = o->sink(o->arg, o->data, o->len);
    o->len = 0;
}

static void put(struct out *o, const void *s, size_t len)
{
    if (o->len + len > ROOM)
        flush(o);
    memcpy(o->data + o->len, s, len);
    o->len += len;
    o->column += len;
}

static void end_line(struct out *o)
{
    put(o, "\r\n", 2);
    o->column = 0;
}

/* ---- quoted-printable ---- */

/* A token of octets that belong together, before a soft line break if the line has no room for it and the "=". */
static void put_token(struct out *o, const void *s, size_t len)
{
    if (o->column + len > LINE - 1) {
        put(o, "=", 1);
        end_line(o);
    }
    put(o, s, len);
}

static void put_quoted(struct out *o, uint8_t c)
{
    char token[4];

    snprintf(token, sizeof(token), "=%02X", c);
    put_token(o, token, 3);
}

/* Blanks at a line's end would be lost (rule 3). A line must not begin as a boundary, an mbox's "From " or a dot. */
static bool stands(const struct out *o, const uint8_t *line, size_t len, size_t i)
{
    const uint8_t c = line[i];

    if (token_is_blank(c))
        return i + 1 < len;
    if (o->column == 0 || o->column >= LINE - 1)
        return c > 32 && c < 127 && c != '=' && c != '-' && c != '.' && c != 'F';
    return c > 32 && c < 127 && c != '=';
}

/* encoded: "=" begins what is encoded already; a last "=" is a soft line break. */
static void quote_line(struct out *o, const uint8_t *line, size_t len, bool encoded)
{
    for (size_t i = 0; i < len; i++) {
        if (encoded && encoding_is_quoted(slice_of(line + i, len - i))) {
            put_token(o, line + i, 3);
            i += 2;
        } else if (encoded && line[i] == '=' && i + 1 == len) {
            put(o, "=", 1);
        } else if (encoded && (line[i] == '=' || token_is_blank(line[i]))) {
            put_token(o, line + i, 1); /* readers drop blanks at an end, and show a "=" that no encoder wrote */
        } else if (stands(o, line, len, i)) {
            put_token(o, line + i, 1);
        } else {
            put_quoted(o, line[i]);
        }
    }
}

static void quote(struct out *o, struct slice body, bool encoded)
{
    size_t at = 0;

    while (at < body.len) {
        const uint8_t *s = body.data + at, *nl = memmem(s, body.len - at, "\r\n", 2);
        const size_t len = nl ? (size_t)(nl - s) : body.len - at;

        quote_line(o, s, len, encoded);
        if (nl)
            end_line(o);
        at += len + (nl ? 2 : 0);
    }
}

/* ---- base64 ---- */

static void encode(struct out *o, struct slice body)
{
    char line[LINE + 1];

    for (size_t at = 0; at < body.len; at += OCTETS) {
        const size_t n = body.len - at < OCTETS ? body.len - at : OCTETS;
        sodium_bin2base64(line, sizeof(line), body.data + at, n, sodium_base64_VARIANT_ORIGINAL);
        put(o, line, strlen(line));
        if (at + n < body.len)
            end_line(o);
    }
    sodium_memzero(line, sizeof(line));
}

static void wrap(struct out *o, struct slice body)
{
    for (size_t i = 0; i < body.len; i++) {
        if (token_is_space(body.data[i]))
            continue;
        if (o->column == LINE)
            end_line(o);
        put(o, body.data + i, 1);
    }
}

int transfer_encode(enum transfer from, enum transfer to, struct slice body, transfer_sink *sink, void *arg)
{
    struct out o = {.sink = sink, .arg = arg};

    if (to == TRANSFER_QUOTED_PRINTABLE)
        quote(&o, body, from == TRANSFER_QUOTED_PRINTABLE);
    else if (from == TRANSFER_BASE64)
        wrap(&o, body);
    else
        encode(&o, body);
    flush(&o);
    sodium_memzero(o.data, sizeof(o.data));
    return o.err;
}
