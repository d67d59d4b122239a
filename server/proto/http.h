/* HTTP requests that arrive where mail is spoken: a page can have a browser send one anywhere, with commands in its
 * body (cross-protocol attacks). */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a line, or the beginning of a long one, is a request-line (RFC 9112 section 3): it begins with a method that
 * is registered, or ends in a version. No command of SMTP is one; an IMAP command could have such a tag. */
bool http_is_request(const uint8_t *line, size_t len);

#endif
