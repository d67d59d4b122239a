/* What of a client's header goes on: its software, host, address and time zone do not, nor do blind recipients. Body
 * and * all other fields stay octet for octet. docs/operating.md has the table. */
#ifndef INGEST_CLEAN_H
#define INGEST_CLEAN_H

#include "server/core/wire.h"
#include "server/mail/header.h"
#include "server/mail/message_id.h"

/* A header as a client gave it, taken apart strictly: where parsers could differ it is refused. */
struct clean_header {
    const uint8_t *s;
    size_t len; /* with the empty line, if there is one */
    struct header_field *fields;
    size_t n;
    bool empty_line;
};
/* s: the message, as far as HEADER_MAX goes. fields has HEADER_FIELDS_MAX. ERR_LIMIT: too long, or too many fields;
 * ERR_FORMAT: a line that is no field, or a NUL. */
int submission_header_read(const uint8_t *s, size_t len, struct header_field *fields, struct clean_header *ret);

/* The id of the message as the client gave it, without "<>": octets, 0: there is none that can be read. */
size_t submission_header_id(const struct clean_header *h, char out[MESSAGE_ID_MAX]);

/* TLS-Required: No (RFC 8689 section 5): it is to arrive, encrypted or not. */
bool submission_tls_optional(const struct clean_header *h);

struct clean_params {
    int64_t now;
    const char *id;         /* the message's id, with "<>", if the client's cannot stay; NULL: it stays */
    const uint8_t *key;     /* by which pseudonyms are turned back (server/format/protection.h), 32 octets */
    const char *own_domain; /* of pseudonyms */
    struct slice more;      /* an Autocrypt field of ours, with CRLF; none: the client's stays */
};
/* out: submission_clean_max octets. Returns how many are written. */
size_t submission_clean_max(const struct clean_header *h, const struct clean_params *p);
size_t submission_clean(const struct clean_header *h, const struct clean_params *p, uint8_t *out);

#endif
