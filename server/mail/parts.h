/* The parts of a message (RFC 2046 section 5.1), as real mail has them. */
#ifndef MAIL_PARTS_H
#define MAIL_PARTS_H

#include "server/mail/header.h"
#include "server/mail/mime.h"
#include "server/mail/transfer.h"

enum { PART_BOUNDARY_MAX = 200 /* RFC 2046 section 5.1.1 says 70 */ };

/* A message, or a part of one. */
struct part {
    struct header_view header;
    struct slice type, subtype; /* as they stand there; empty: it says nothing that can be read */
    struct slice content_type;  /* the field's value, for further parameters; empty likewise */
    enum transfer transfer;     /* as it says; NONE where it says nothing */
    struct slice body;          /* as it stands */
    uint8_t boundary[PART_BOUNDARY_MAX];
    size_t boundary_len; /* 0: there is none */
};
/* fields has HEADER_FIELDS_MAX, and may be used for a part within once this part's header is of no use any more.
 * ERR_LIMIT: as of header_parse. */
int part_read(struct slice s, struct header_field *fields, struct part *ret);
bool part_is(const struct part *p, const char *type, const char *subtype); /* subtype NULL: any */

/* Each part within it, in their order; what is cut off at its end is one as well. fn gives OK to go on. */
typedef int part_fn(void *arg, struct slice part);
int part_each(const struct part *p, part_fn *fn, void *arg);

/* The body without its encoding; out has body.len octets, and may be where it stands. strict: ERR_FORMAT for what is in
 * no encoding that is known, and for what no encoder writes. Else both are taken as readers take them. */
int part_decode(const struct part *p, bool strict, uint8_t *out, size_t *ret_len);

#endif
