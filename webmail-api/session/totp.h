/* The second factor that authenticator apps have: six digits of the time (TOTP, RFC 6238) under a secret that both
 * sides keep, over liboath, which opens no file and needs no preparation. And the codes on paper for whoever lost the
 * device. Pure but for what is random. */
#ifndef SESSION_TOTP_H
#define SESSION_TOTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    TOTP_KEY_SIZE = 20, /* RFC 4226 section 4, R6 */
    TOTP_DIGITS = 6,
    TOTP_SECONDS = 30, /* seconds */
    TOTP_URI_MAX = 1024,
};

/* SHA-1, six digits and 30 s are what every app has; many read another algorithm's URI and then use SHA-1 all the
 * same. */
void totp_secret_make(uint8_t ret[TOTP_KEY_SIZE]);
/* otpauth://totp/... as apps scan it from a picture: it has the secret. issuer: whose account, address: which one;
 * UTF-8. ERR_LIMIT: it does not fit; ERR_MEMORY. */
int totp_uri(const uint8_t secret[TOTP_KEY_SIZE], const char *issuer, const char *address, char out[TOTP_URI_MAX]);

/* Of the step that now (seconds since 1970) is in, of the one before or of the one behind it (RFC 6238 section 5.2).
 * last: the step of the last code that was good, 0: none; no code of it or from before is good again, so each code is
 * good once. ret_step: what to keep as last before the answer is given, by one writer and only if what is kept by then
 * is smaller: of two requests at the same time one alone is good. ERR_FORMAT: not six digits; ERR_DENIED. In time that
 * does not tell which it was. */
int totp_verify(const uint8_t secret[TOTP_KEY_SIZE], uint64_t now, uint64_t last, struct slice code,
                uint64_t *ret_step);

/* ---- recovery codes ---- */

enum { RECOVERY_CODE_MAX = 16 /* of "xxxx-xxxx-xxxx" with a NUL: 60 random bits */ };

/* Shown once; wiped by the caller. */
void recovery_code_make(char ret[RECOVERY_CODE_MAX]);
/* What people type, as recovery_code_make wrote it, to be hashed: capitals or not, with blanks and hyphens of their
 * own; O is 0, I and L are 1, as in Crockford's base 32, which has no U. ERR_FORMAT: it is no code. */
int recovery_code_read(struct slice typed, char ret[RECOVERY_CODE_MAX]);

#endif
