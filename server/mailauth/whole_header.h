/* A message's header in one piece, for a message that is at hand in several: taken apart once, for all who read it. */
#ifndef MAILAUTH_WHOLE_HEADER_H
#define MAILAUTH_WHOLE_HEADER_H

#include <stddef.h>
#include <sys/uio.h>

#include "server/core/buf.h"
#include "server/mail/header.h"

struct whole_header {
    struct header_view view;
    struct header_field *fields;
    struct buf copy; /* of a header that came in pieces; wiped */
};

/* ERR_FORMAT: none that is taken apart; ERR_MEMORY. To be freed, whatever comes; lives no longer than the message. */
int whole_header_read(struct whole_header *h, const struct iovec *mail, size_t n);
void whole_header_free(struct whole_header *h);

#endif
