/* Addresses in header fields (RFC 5322 section 3.4, with UTF-8 as in RFC 6532). */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDRESS_SPEC_MAX = 512 /* octets of an addr-spec */ };

/* Strict, on values whose folds were checked by header_value_valid. */
bool address_domain_valid(const uint8_t *s, size_t len);
bool address_spec_valid(const uint8_t *s, size_t len);      /* one addr-spec without white space or comments */
bool address_bare_list_valid(const uint8_t *s, size_t len); /* addr-spec, "," and a blank or fold, addr-spec... */
bool address_list_valid(const uint8_t *s, size_t len);      /* display names, groups, comments */

/* Each address of a list as real mail has them (section 4.4 included), in canonical form; names, comments, groups and
 * routes are dropped and so is what is no address. fn returns 0 to go on. */
void address_each(const uint8_t *s, size_t len, int (*fn)(void *arg, const char *address, size_t len), void *arg);

#endif
