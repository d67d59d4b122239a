/* The lexical tokens of header fields (RFC 5322 section 3.2, with UTF-8 as in RFC 6532), which dates, addresses and
 * MIME fields are made of. */
#ifndef MAIL_TOKEN_H
#define MAIL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

static inline bool token_is_blank(uint8_t c) /* WSP */
{
    return c == ' ' || c == '\t';
}
static inline bool token_is_space(uint8_t c) /* WSP, CR, LF */
{
    return token_is_blank(c) || c == '\r' || c == '\n';
}
bool token_is_atext(uint8_t c); /* octets above 127 count: UTF-8 is checked on the whole value */

struct slice token_trim(struct slice s); /* without white space and line ends around it */

/* A place in a value. */
struct token_cursor {
    const uint8_t *s;
    size_t len, i;
};
/* Steps over CFWS; comments nest. false: a comment never ends. */
bool token_skip_cfws(struct token_cursor *c);
/* Steps over ch if it is next. */
bool token_take(struct token_cursor *c, char ch);

/* Each gives the octets of the token at s, 0: there is none. */
size_t token_dot_atom(const uint8_t *s, size_t len);
size_t token_quoted(const uint8_t *s, size_t len, bool fold); /* fold: CRLF is allowed (header_value_valid saw to it) */
/* One lexical unit as real mail has them: a comment, a quoted string, or an octet. An unclosed one reaches to the end.
 * len is not 0. */
size_t token_unit(const uint8_t *s, size_t len);

#endif
