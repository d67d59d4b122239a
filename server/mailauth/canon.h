/* What DKIM hashes: header fields and bodies in one of their canonical forms (RFC 6376 section 3.4). */
#ifndef MAILAUTH_CANON_H
#define MAILAUTH_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes canonical octets as they come. */
typedef void canon_sink(void *arg, const uint8_t *data, size_t len);

enum canon { CANON_SIMPLE, CANON_RELAXED };

/* Section 3.4.2, relaxed. name: before the colon; value: behind it, folds and final CRLF may be in it. end: with the
 * final CRLF, which the signature's own field does not have (section 3.7). */
void canon_field(const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len, bool end,
                 canon_sink *sink, void *arg);

/* Sections 3.4.3 and 3.4.4, of a body that comes in pieces. Zeroed but for its form at the beginning. */
struct canon_body {
    enum canon form;
    bool cr, space, text; /* a CR before what comes; blanks (relaxed); octets in the line */
    bool any;             /* octets in the body */
    uint64_t empty;       /* empty lines that count if something follows */
};
void canon_body_feed(struct canon_body *b, const uint8_t *data, size_t len, canon_sink *sink, void *arg);
void canon_body_end(struct canon_body *b, canon_sink *sink, void *arg);

#endif
