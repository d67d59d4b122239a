/* Line rules of SMTP (RFC 5321 sections 2.3.8 and 4.1.1.4) and IMAP (RFC 3501 section 2.2): only CRLF ends a line.
 * Every server that took something else for an end has been talked into seeing a message boundary where the sender
 * wrote none. */
#include "server/proto/line.h"

#include <string.h>

#include "server/core/error.h"

void line_init(struct line_reader *r, size_t max)
{
    *r = (struct line_reader){.max = max};
}

void line_skip(struct line_reader *r)
{
    r->skipping = true;
    r->scanned = 0;
}

/* The first CR or LF in p[0..len), or NULL. */
static const uint8_t *find_end(const uint8_t *p, size_t len)
{
    const uint8_t *cr = memchr(p, '\r', len);
    const uint8_t *lf = memchr(p, '\n', cr ? (size_t)(cr - p) : len);

    return lf ? lf : cr;
}

int line_scan(struct line_reader *r, const uint8_t *data, size_t len, size_t *ret_len)
{
    size_t at = len;
    const uint8_t *end = NULL;

    if (r->scanned < len) {
        end = find_end(data + r->scanned, len - r->scanned);
        if (end)
            at = (size_t)(end - data);
    }
    r->scanned = at;
    if (at > r->max)
        return ERR_LIMIT;
    if (!end)
        return ERR_AGAIN;
    if (*end == '\n')
        return ERR_FORMAT;
    if (at + 1 == len)
        return ERR_AGAIN;
    if (end[1] != '\n')
        return ERR_FORMAT;
    r->scanned = 0;
    *ret_len = at;
    return OK;
}

/* Drops up to and including the next CRLF; keeps a last CR whose LF may come. */
static int skip(struct line_reader *r, struct buf *in)
{
    size_t pos = 0;

    while (pos < in->len) {
        const uint8_t *cr = memchr(in->data + pos, '\r', in->len - pos);
        if (!cr) {
            pos = in->len;
            break;
        }
        pos = (size_t)(cr - in->data);
        if (pos + 1 == in->len)
            break;
        if (cr[1] == '\n') {
            buf_consume(in, pos + 2);
            r->skipping = false;
            return OK;
        }
        pos++;
    }
    buf_consume(in, pos);
    return ERR_AGAIN;
}

int line_next(struct line_reader *r, struct buf *in, struct slice *ret_line)
{
    size_t len;
    int err;

    if (r->skipping && (err = skip(r, in)) != OK)
        return err;
    err = line_scan(r, in->data, in->len, &len);
    if (err == ERR_FORMAT || err == ERR_LIMIT) {
        /* A CR that broke the rule may yet begin the CRLF that ends the line: "\r\r\n". An LF may not. */
        size_t drop = r->scanned;
        r->head_len = (uint8_t)(drop < LINE_HEAD ? drop : LINE_HEAD);
        memcpy(r->head, in->data, r->head_len);
        if (err == ERR_FORMAT)
            drop++;
        if (drop > in->len)
            drop = in->len;
        buf_consume(in, drop);
        line_skip(r);
        return err;
    }
    if (err != OK)
        return err;
    *ret_line = slice_of(in->data, len);
    return OK;
}

void line_consume(struct buf *in, struct slice line)
{
    buf_consume(in, line.len + 2);
}
