/* Fields made of tokens and parameters: Content-Type (RFC 2045 section 5.1) and its kin, Authentication-Results (RFC
 * 8601). */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/mail/token.h"
#include "server/mail/transfer.h"

/* Reads a value piece by piece. Strictly: where readers disagree there is nothing to read. That is at comments, blanks
 * around "=", empty parameters, values that are no token, and folds inside quotes. */
struct mime_reader {
    struct token_cursor c;
    bool strict;
};
struct mime_parameter {
    struct slice name, value; /* the value as it stands, quotes included */
};
enum mime_next { MIME_END, MIME_PARAMETER, MIME_MALFORMED };

struct mime_reader mime_read(struct slice value, bool strict);
bool mime_read_token(struct mime_reader *r, struct slice *ret); /* a disposition, an encoding */
bool mime_read_type(struct mime_reader *r, struct slice *ret_type, struct slice *ret_subtype);
enum mime_next mime_read_parameter(struct mime_reader *r, struct mime_parameter *ret);

bool mime_is(struct slice s, const char *word); /* in any case */
/* What a parameter's value means, without its quotes: octets written to out, or (size_t)-1 when there are more than
 * cap. */
size_t mime_unquote(struct slice value, uint8_t *out, size_t cap);

/* A Content-Type as far as header protection must understand it. */
struct mime_type {
    bool ok;     /* every parser reads it alike and something can be appended */
    bool has_hp; /* an hp or protected-headers parameter of the sender's (RFC 9788 section 2.1) */
    bool ends_in_semicolon;
    bool is_pgp_signed; /* multipart/signed of RFC 3156 section 5 */
    size_t end;         /* offset in the value after its last octet that is no white space */
};
void mime_type_scan(struct slice value, struct mime_type *ret);
/* Appends the value without hp and protected-headers to out, ending in no semicolon. Only for what was scanned as ok.
 */
int mime_type_without_hp(struct slice value, struct buf *out);

/* An Authentication-Results value that names our own authserv-id, or one that cannot be read (RFC 8601 section 2.2). */
bool mime_auth_results_is_ours(struct slice value, const char *domain);

/* The value of a Content-Transfer-Encoding (RFC 2045 section 6.1). */
enum transfer mime_read_transfer(struct slice value);

#endif
