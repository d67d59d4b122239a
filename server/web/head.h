/* A request's head as libmicrohttpd left it in the connection's memory. Pure.
 *
 * That library takes lines that end in a bare LF, folded lines, blanks before a colon and more than one blank in the
 * request line; none of it shows in what it hands over. But it writes only NULs into the octets that came: where a
 * line ended (two for CRLF, one for LF), at the colon, and behind method and target. So the octets themselves are held
 * here against the grammar of RFC 9112 sections 2 to 5, and what has it in any other form is refused. NULs that
 * came may look like a colon or a line's end, so whoever asks compares the fields with the library's, by their places.
 * What cannot be told is a NUL before a LF, which looks as a CR would: such a line's end is taken, as RFC 9112 section
 * 2.2 lets a bare LF be; nobody passes a NUL on. */
#ifndef WEB_HEAD_H
#define WEB_HEAD_H

#include "server/http/request.h"

struct head_block {
    char *data; /* from the method on */
    size_t len; /* behind the empty line */
    size_t target_at, target_len;
};

/* Writes NULs behind the last visible octet of values, which is all that changes. fields has room for HTTP_FIELDS_MAX,
 * and ret->target is left to the caller. 0, 400, 431 (too many fields), 505. */
unsigned head_read(const struct head_block *b, struct http_field *fields, struct http_head *ret);

#endif
