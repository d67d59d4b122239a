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
    TOTP_SECRET_SIZE = 20, /* RFC 4226 section 4, R6 */
    TOTP_DIGITS = 6,
    TOTP_STEP = 30, /* seconds */
    TOTP_URI_MAX = 1024,
};

/* SHA-1, six digits and 30 s are what every app has; many read another algorithm's URI and then use SHA-1 all the
 * same. */
void totp_secret_make(uint8_t ret[TOTP_SECRET_SIZE]);
/* otpauth://totp/... as apps scan it from a picture: it has the secret. issuer: whose account, address: which one;
 * UTF-8. ERR_LIMIT: it does not fit; ERR_MEMORY. */
int totp_uri(const uint8_t secret[TOTP_SECRET_SIZE], const char *issuer, const char *address, char out[TOTP_URI_MAX]);

/* Of the step that now (seconds since 1970) is in, of the one before or of the one behind it (RFC 6238 section 5.2).
 * last: the step of the last code that was good, 0: none; no code of it or from before is good again, so each code is
 * good once. ret_step: what to keep as last before the answer is given, by one writer and only if what is kept by then
 * is smaller: of two requests at the same time one alone is good. ERR_FORMAT: not six digits; ERR_DENIED. In time that
 * does not tell which it was. */
int totp_verify(const uint8_t secret[TOTP_SECRET_SIZE], uint64_t now, uint64_t last, struct slice code,
                uint64_t *ret_step);

/* ---- recovery codes ---- */

enum {
    RECOVERY_CODES = 10,
    RECOVERY_CODE_MAX = 16,  /* of its text "xxxx-xxxx-xxxx" with a NUL: 60 random bits */
    RECOVERY_HASH_SIZE = 16, /* keyed BLAKE2b */
    RECOVERY_KEY_SIZE = 32,
};

/* What is kept of a set. One made anew takes its place. */
struct recovery_codes {
    uint16_t left; /* a bit for each that is still good */
    uint8_t hash[RECOVERY_CODES][RECOVERY_HASH_SIZE];
};

/* key: the same for ever, of the account alone. The texts are shown once and wiped by the caller. */
void recovery_codes_make(const uint8_t key[RECOVERY_KEY_SIZE], char ret_text[RECOVERY_CODES][RECOVERY_CODE_MAX],
                         struct recovery_codes *ret);
/* As people type it: capitals or not, with blanks and hyphens of their own; O is 0, I and L are 1, as in Crockford's
 * base 32, which has no U. A good code is taken out of c, which is to be kept before the answer is given, by one writer
 * and only if the code was still there. ERR_FORMAT: it is no code; ERR_DENIED: it is none of them, or was used. In time
 * that does not tell which it was. */
int recovery_codes_use(struct recovery_codes *c, const uint8_t key[RECOVERY_KEY_SIZE], struct slice typed);

#endif
