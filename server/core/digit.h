/* The value of one digit as text has it. */
#ifndef CORE_DIGIT_H
#define CORE_DIGIT_H

#include <stdint.h>

/* Each returns -1 for a character that is no such digit. */
int digit_hex(uint8_t c);    /* in either case */
int digit_base64(uint8_t c); /* RFC 4648 section 4 */

#endif
