/* base64url without padding (RFC 4648 section 5, RFC 7515 section 2), as JSON and tokens have octets. In time that
 * does not depend on which octets they are: keys pass here. */
#ifndef CORE_BASE64URL_H
#define CORE_BASE64URL_H

#include "server/core/wire.h"

/* Characters for n octets. */
#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)

/* Writes BASE64URL_LEN(in.len) characters and a NUL. */
void base64url_write(struct slice in, char *out);
/* Octets, cap at most; -1: too many, or another character, a padding, or bits left over that are not zero: each value
 * has one text. out may be written to when it fails. */
long base64url_read(struct slice in, uint8_t *out, size_t cap);

#endif
