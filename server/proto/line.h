/* The one reader of protocol lines, and the owner of their rules: a line ends in CRLF and nowhere else, a CR or an LF
 * by itself is an error, and a line has a maximum. It never scans a byte twice and never copies. */
#ifndef PROTO_LINE_H
#define PROTO_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

enum { LINE_HEAD = 8 };

struct line_reader {
    size_t max;                        /* octets of a line without its CRLF */
    size_t scanned;                    /* octets from the line's start that hold neither CR nor LF */
    bool skipping;                     /* the rest of a refused line is being dropped */
    uint8_t head[LINE_HEAD], head_len; /* how the line that line_next refused last began */
};

void line_init(struct line_reader *r, size_t max);

/* Scans data, which begins where the line begins and grows from call to call; consumes nothing.
 * OK: *ret_len octets, then CRLF. ERR_AGAIN: no end yet. ERR_FORMAT: a bare CR or LF. ERR_LIMIT: longer than max.
 * Each result comes at the same octet however the input was cut. After OK the reader is ready for the next line. */
int line_scan(struct line_reader *r, const uint8_t *data, size_t len, size_t *ret_len);

/* The same on a buffer. OK: *ret_line points into in, without its CRLF; the caller calls line_consume when it is done
 * with it. ERR_FORMAT and ERR_LIMIT come once a line, as soon as it breaks the rule; what is left of it, up to and
 * including the next CRLF, is dropped by the following calls, so that no part of a refused line is ever taken for a
 * command. */
int line_next(struct line_reader *r, struct buf *in, struct slice *ret_line);
void line_consume(struct buf *in, struct slice line);

/* Drops input to the end of the current line: for a caller that refuses a line it has seen only a part of. */
void line_skip(struct line_reader *r);

#endif
