/* The checksum of ASCII armour (RFC 9580 section 6.1). */
#ifndef CRYPTO_PGP_CRC24_H
#define CRYPTO_PGP_CRC24_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGP_CRC24_BEGIN UINT32_C(0xb704ce) /* the sum of no octets */

/* crc: that of the octets before. */
uint32_t pgp_crc24(uint32_t crc, const uint8_t *in, size_t n);

/* Section 6.1 wants no checksum. But GnuPG up to 2.2 finds the end of the armour only by a "=": without padding and
 * without checksum it reads "-----END" as base64 and reports a manipulated message, or no key. So armour of n octets
 * has one where it has no padding. */
static inline bool pgp_crc24_wanted(uint64_t n)
{
    return n && n % 3 == 0;
}

#endif
