/* Feedback reports (ARF, RFC 5965), by which others say what their people complain about. Without I/O. */
#ifndef MAILAUTH_ARF_H
#define MAILAUTH_ARF_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/wire.h"

enum {
    ARF_LOOK_MAX = 128 * 1024, /* octets of a report's beginning that are looked at */
    ARF_PARTS_MAX = 16,
    ARF_ID_MAX = 127
};

struct arf_report {
    bool complaint; /* abuse, fraud or virus; not that it is no spam after all, nor reports of authentication */
    /* CFBL-Feedback-ID (RFC 9477) of the message that it is about, without white space; "": it has none that is read */
    char id[ARF_ID_MAX + 1];
};

/* s: a message, or its first octets. The third part may be the message, or its header alone, in any encoding that MIME
 * has. Who says all of it is anybody. ERR_NOT_FOUND: another kind of mail; ERR_FORMAT: it says that it is a report and
 * is none, or two; ERR_MEMORY. */
int arf_read(struct slice s, struct arf_report *ret);

#endif
