/* Between the files of header protection. */
#ifndef FORMAT_PROTECTION_IMPL_H
#define FORMAT_PROTECTION_IMPL_H

#include <stdbool.h>

#include "server/format/protection.h"
#include "server/mail/mime.h"

/* Appends the outer header block by policy to out (a buf of OUTER_MAX, and OUTER_AUTOCRYPT_MAX if it is outgoing). */
int header_outer(const struct protect_params *p, const struct header_view *v, bool foreign, struct buf *out);

/* The mail as second part of a multipart/mixed, whose first says what the outer header hides. head ends in a NUL. */
struct header_display {
    char type[96];   /* the field that goes on top, without its end */
    struct buf head; /* goes before the body; the caller frees it when header_display_make returned OK */
    char tail[64];   /* goes behind the body */
};
/* charset: for a mail whose type cannot be read. ERR_NOT_FOUND: nothing is hidden; ERR_LIMIT, ERR_MEMORY. */
int header_display_make(const struct protect_params *p, const struct header_view *v, const char *charset,
                        struct header_display *ret);

#endif
