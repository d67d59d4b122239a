/* Between the files of header protection. */
#ifndef CRYPTO_HEADER_INTERNAL_H
#define CRYPTO_HEADER_INTERNAL_H

#include <stdbool.h>

#include "crypto/header_protection.h"

/* Appends the outer header block by policy to out (a buf of OUTER_MAX). */
int header_outer(const struct protect_params *p, const uint8_t *msg, const struct header_view *v, bool foreign,
                 struct buf *out);

/* Content-Type, RFC 2045 section 5.1. ok: every parser reads it alike and something can be appended. */
struct content_type {
    bool ok;
    bool has_hp; /* an hp or protected-headers parameter of the sender's */
    bool ends_in_semicolon;
    bool is_pgp_signed; /* multipart/signed of RFC 3156 section 5 */
    size_t end;         /* offset in the value after its last octet that is no white space */
};
void content_type_scan(const uint8_t *value, size_t len, struct content_type *ret);
/* Appends the value without hp and protected-headers to out, ending in no semicolon. Only for what was scanned as ok.
 */
int content_type_without_hp(const uint8_t *value, size_t len, struct buf *out);

/* What every parser takes for one field and nothing else. */
bool header_field_is_plain(const uint8_t *s, size_t len);

/* The mail as second part of a multipart/mixed, whose first says what the outer header hides. head ends in a NUL. */
struct header_display {
    char type[96];   /* the field that goes on top, without its end */
    struct buf head; /* goes before the body; the caller frees it when header_display_make returned OK */
    char tail[64];   /* goes behind the body */
};
/* charset: for a mail whose type cannot be read. ERR_NOT_FOUND: nothing is hidden; ERR_LIMIT, ERR_MEMORY. */
int header_display_make(const struct protect_params *p, const struct header_view *v, const uint8_t *msg,
                        const char *charset, struct header_display *ret);
/* A Content- field: it belongs to the part then. */
bool header_describes_content(const struct header_field *f, const uint8_t *msg);

/* An Authentication-Results value that names our own authserv-id, or one that cannot be read (RFC 8601 section 2.2). */
bool auth_results_is_ours(const uint8_t *value, size_t len, const char *domain);

#endif
