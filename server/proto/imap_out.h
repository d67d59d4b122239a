/* Pieces of IMAP responses written into a capped buffer. Each returns OK, ERR_LIMIT or ERR_MEMORY. */
#ifndef PROTO_IMAP_OUT_H
#define PROTO_IMAP_OUT_H

#include "server/core/buf.h"
#include "server/core/wire.h"

/* Quoted where it can be, else a literal; s.data NULL: NIL. Octets above 0x7f force a literal. */
int imap_out_string(struct buf *out, struct slice s);
int imap_out_astring(struct buf *out, struct slice s); /* an atom where it can be */

/* A mail header block: one field after another. *pos starts at 0; false at the end. name and value point into
 * header; the value's folds are still in it. */
struct imap_field {
    struct slice name, value, whole; /* whole: with its CRLF */
};
bool imap_field_next(struct slice header, size_t *pos, struct imap_field *ret);
/* The values of fields, for each name that of the first; data NULL: there is none. */
void imap_fields_find(struct slice header, const char *const *names, size_t n, struct slice *ret_values);
bool imap_field_is(const struct imap_field *f, const char *name);

/* ENVELOPE (RFC 3501 section 7.4.2) of a header block. */
int imap_out_envelope(struct buf *out, struct slice header);

/* One part of a BODY or BODYSTRUCTURE from its MIME header and its size; extended: BODYSTRUCTURE. Multiparts: the
 * caller writes "(" and the children, then imap_out_multipart_end. */
int imap_out_part(struct buf *out, struct slice mime_header, uint64_t size, uint64_t lines, bool extended);
int imap_out_multipart_end(struct buf *out, struct slice mime_header, bool extended);

#endif
