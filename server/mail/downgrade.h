/* A message made fit for a server that takes less: 8-bit bodies for one without 8BITMIME (RFC 6152), and lines of more
 * than 998 octets for any (RFC 5321 section 4.5.3.1.6), become quoted-printable or base64 part by part (RFC 2045
 * section 6). What a signature covers (multipart/signed) is left as it is, and so are encrypted parts: they are ASCII
 * already. */
#ifndef MAIL_DOWNGRADE_H
#define MAIL_DOWNGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/secmem.h"

enum {
    DOWNGRADE_LINE_MAX = 998, /* octets without CRLF */
    DOWNGRADE_DEPTH_MAX = 32, /* parts in parts */
    DOWNGRADE_PARTS_MAX = 10000,
};

struct mail_shape {
    bool body_8bit;   /* octets over 127 in the body */
    bool header_8bit; /* octets over 127 in the message's header */
    bool bare;        /* a NUL, or a CR or LF alone: nothing that SMTP carries */
    uint64_t longest; /* octets of the longest line, without CRLF */
};
void mail_shape(const struct iovec *mail, size_t n, struct mail_shape *ret);
/* out: empty before; wiped memory, twice the message's octets at most, and as many while it works. to_7bit: or the long
 * lines alone. What needs no change comes out as it is. ERR_UNSUPPORTED: it cannot be done without breaking a signature
 * or a part whose encoding nobody knows, or a header has octets over 127; ERR_LIMIT: parts are nested too deep or are
 * too many; ERR_MEMORY. */
int mail_downgrade(const struct iovec *mail, size_t n, bool to_7bit, struct secmem_msg *out);

#endif
