/* The value of one digit as text has it. */
#ifndef CORE_DIGIT_H
#define CORE_DIGIT_H

#include <stddef.h>
#include <stdint.h>

/* Each returns -1 for a character that is no such digit. */
int digit_hex(uint8_t c); /* in either case */
extern const uint8_t digit_base64_values[256];
static inline int digit_base64(uint8_t c) /* RFC 4648 section 4 */
{
    return digit_base64_values[c] - 1;
}

extern const char digit_base64_digits[65]; /* the same, written */
/* Four of them, padded with "=", for n octets: 1, 2 or 3. */
void digit_base64_write(const uint8_t *in, size_t n, uint8_t out[4]);

#endif
