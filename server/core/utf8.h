/* UTF-8 (RFC 3629). Everything that reads or writes it uses this. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at s: its octets, and the character in *ret. 0: there is none, or it is malformed. */
size_t utf8_decode(const void *s, size_t len, uint32_t *ret);
/* Writes a character up to U+10FFFF; returns its octets. */
size_t utf8_encode(uint32_t c, char out[4]);

/* C0, DEL and C1: terminals obey them, in UTF-8 too. */
bool utf8_is_control(uint32_t c);
/* Octets of well-formed UTF-8 at the start of s. */
size_t utf8_prefix(const void *s, size_t len);
/* Well-formed and without C1 controls. Which C0 controls may stand in a text is the affair of its grammar. */
bool utf8_valid(const void *s, size_t len);
/* The same, and without C0 controls and DEL. */
bool utf8_printable(const void *s, size_t len);
/* For logs and terminals: every control, every octet that is no UTF-8, and what turns the order of text around or is
 * not seen, becomes "?". */
void utf8_tame(char *s, size_t len);

#endif
