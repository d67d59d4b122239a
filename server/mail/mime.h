/* Fields made of tokens and parameters: Content-Type (RFC 2045 section 5.1) and Authentication-Results (RFC 8601). */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

/* Content-Type, RFC 2045 section 5.1. ok: every parser reads it alike and something can be appended. */
struct mime_type {
    bool ok;
    bool has_hp; /* an hp or protected-headers parameter of the sender's */
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

#endif
