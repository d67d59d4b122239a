/* A header block taken apart into its fields (RFC 5322 section 2.2), as real mail has them: values are not judged, and
 * whether a CR stands before a line's LF is the sender's affair. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    HEADER_MAX = 256 * 1024, /* longest header block taken apart; longer mail is refused with ERR_LIMIT */
    HEADER_FIELDS_MAX = 1000,
    HEADER_STRAYS_MAX = 64,  /* stray lines that are stepped over */
    HEADER_PLAIN_MAX = 4096, /* octets of a plain field */
    HEADER_LINE_MAX = 998,   /* octets of a line that is written here (RFC 5322 section 2.1.1) */
};

/* Offsets count from where the block begins. */
struct header_field {
    size_t offset, len;  /* whole field with folding and final CRLF */
    size_t name_len;     /* name is at offset; 0: a stray line, which is no field */
    size_t value_offset; /* after ":" */
    bool blank;          /* white space before ":" (section 4.5): some parsers see no field */
};

/* One line of a block with those folded behind it, at *pos, which moves behind them. */
enum header_line {
    HEADER_END,   /* no octets are left */
    HEADER_FIELD, /* *ret is filled in */
    HEADER_EMPTY, /* the empty line: the body follows */
    HEADER_OTHER  /* a line that is no field */
};
enum header_line header_next(const uint8_t *s, size_t len, size_t *pos, struct header_field *ret);

bool header_field_is(const uint8_t *s, const struct header_field *f, const char *name);
/* What follows the colon, with folding and final CRLF. */
struct slice header_field_value(const uint8_t *s, const struct header_field *f);

/* All fields of a message's header. Nobody allocates it: fields and octets are the caller's and must live as long.
 * A line that is no field is a stray one (an mbox's "From " line, a byte order mark, a line that lost its colon) where
 * a field that text hardly begins with (From, Subject, Content-Type...) stands behind it, as most readers have it; else
 * the body begins there, without the empty line of RFC 5322 section 2.1. */
struct header_view {
    const uint8_t *s; /* the message, as far as it is at hand */
    size_t len;
    struct header_field *fields;
    size_t count;
    size_t header_len; /* up to and including the empty line if there is one: the body begins there */
    size_t strays;     /* stray lines that were looked at */
    bool malformed;    /* no empty line: from a line that is no field on it counts as body */
    bool ends;         /* the block's end is at hand; without an empty line a mail may end in its header */
};
/* ERR_LIMIT. */
int header_parse(const uint8_t *s, size_t len, struct header_field *fields, size_t cap, struct header_view *ret);
/* The first of that name, or NULL. */
const struct header_field *header_find(const struct header_view *v, const char *name);

/* Strict: a value (what follows "Name: ", without the final CRLF, folds included) is UTF-8 without controls but TAB;
 * CRLF only before white space, no line of white space alone; lines of at most line_max octets, the first having
 * `first` octets in front of the value. */
bool header_value_valid(const uint8_t *s, size_t len, size_t first, size_t line_max);
/* What every parser takes for one field and nothing else: short, lines ended by CRLF, no NUL. */
bool header_field_is_plain(const uint8_t *s, const struct header_field *f);
/* A Content- field: it belongs to the part then. */
bool header_field_is_content(const uint8_t *s, const struct header_field *f);

#endif
