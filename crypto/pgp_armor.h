/* ASCII armour (RFC 9580 section 6). Decoding is strict about the alphabet and generous about white space and headers,
 * of which any key will do (section 6.2.2).
 * Text before and after the block is left to the caller, who is told where the block begins and ends. */
#ifndef CRYPTO_PGP_ARMOR_H
#define CRYPTO_PGP_ARMOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Finds the first "-----BEGIN PGP <label>-----" block in text. On OK, *ret_begin and *ret_end delimit it (END line's
 * end of line included) and the decoded bytes are in out (cap bytes; 3/4 of the text is enough). A CRC24 is
 * ignored (section 6.1). ERR_NOT_FOUND, ERR_FORMAT, ERR_LIMIT (cap). */
int pgp_armor_decode(const uint8_t *text, size_t len, const char *label, uint8_t *out, size_t cap, size_t *ret_len,
                     size_t *ret_begin, size_t *ret_end);

/* A block of that label, with a NUL. checksum: one where GnuPG needs it (crypto/pgp_crc24.h), which is not allowed with
 * keys of version 6. ERR_LIMIT: cap; label has at most 32 octets. */
int pgp_armor_encode(const uint8_t *data, size_t len, const char *label, bool checksum, char *out, size_t cap,
                     size_t *ret_len);

/* Text that begins with a byte order mark, as editors and shells of Windows write it: UTF-8's goes, UTF-16 becomes
 * ASCII, with "?" for what is not. out has room for len octets; *ret_len is at most len. Other text is copied. */
void pgp_armor_plain(const uint8_t *text, size_t len, uint8_t *out, size_t *ret_len);

#endif
