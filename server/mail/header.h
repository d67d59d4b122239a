/* A header block taken apart into its fields (RFC 5322 section 2.2), as real mail has them. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HEADER_MAX = 256 * 1024, /* longest header block taken apart; longer mail is refused with ERR_LIMIT */
    HEADER_FIELDS_MAX = 1000,
    HEADER_PLAIN_MAX = 4096, /* octets of a plain field */
    HEADER_LINE_MAX = 998,   /* octets of a line that is written here (RFC 5322 section 2.1.1) */
};

/* One field of a header block, unfolded boundaries in the original. */
struct header_field {
    size_t offset, len;  /* whole field with folding and final CRLF */
    size_t name_len;     /* name is at offset */
    size_t value_offset; /* after ":" */
};
struct header_view { /* allocated by nobody: fields is the caller's */
    struct header_field *fields;
    size_t count;
    size_t header_len; /* up to and including the empty line if there is one */
    size_t body_offset;
    int malformed; /* the block holds a line that is no field: from there on it counts as body */
};
/* msg: at least the header block, contiguous. total_len: of the whole message. */
int header_parse(const uint8_t *msg, size_t len, struct header_field *fields, size_t cap, struct header_view *ret);
const struct header_field *header_find(const struct header_view *v, const uint8_t *msg, const char *name, size_t nth);

/* Strict: a value (what follows "Name: ", without the final CRLF, folds included) is UTF-8 without controls but TAB;
 * CRLF only before white space, no line of white space alone; lines of at most line_max octets, the first having
 * `first` octets in front of the value. */
bool header_value_valid(const uint8_t *s, size_t len, size_t first, size_t line_max);

/* What every parser takes for one field and nothing else: short, lines ended by CRLF, no NUL. */
bool header_field_is_plain(const uint8_t *s, size_t len);
/* A Content- field: it belongs to the part then. */
bool header_describes_content(const struct header_field *f, const uint8_t *msg);

#endif
