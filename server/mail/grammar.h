/* The grammars that the outer header is held to (RFC 5322, 6532), shared by the code that makes it and the vault's gate
 * that checks it. The grammar_ functions are strict and answer 1 or 0; the _read functions take what real mail holds
 * and give back canonical pieces. A value is what follows "Name: ", without the final CRLF, folding included. */
#ifndef MAIL_GRAMMAR_H
#define MAIL_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRAMMAR_ADDRESS_MAX = 512, GRAMMAR_ID_MAX = 900, GRAMMAR_LINE_MAX = 998 };

bool grammar_is_atext(uint8_t c); /* octets above 127 count: UTF-8 is checked on the whole value (RFC 6532) */
/* Valid UTF-8 without controls but TAB; CRLF only before white space, no line of white space alone; lines of at most
 * line_max octets, the first having `first` octets in front of the value. */
bool grammar_text(const uint8_t *s, size_t len, size_t first, size_t line_max);
bool grammar_utf8(const uint8_t *s, size_t len);
bool grammar_addr_spec(const uint8_t *s, size_t len);      /* one address without white space or comments */
bool grammar_addresses_bare(const uint8_t *s, size_t len); /* addr-spec, "," and a blank or fold, addr-spec... */
bool grammar_addresses(const uint8_t *s,
                       size_t len);             /* address-list of RFC 5322 3.4, display names, groups, comments */
bool grammar_id(const uint8_t *s, size_t len);  /* "<" id ">" */
bool grammar_ids(const uint8_t *s, size_t len); /* one or more, a blank or fold between */
bool grammar_date(const uint8_t *s, size_t len);
bool grammar_date_utc(const uint8_t *s, size_t len); /* exactly "Tue, 01 Jan 2030 00:00:00 +0000" */
bool grammar_domain(const uint8_t *s, size_t len);

/* Each address of a list, in canonical form; names, comments, groups and routes are dropped and so is what is no
 * address. fn returns 0 to go on. */
void addresses_read(const uint8_t *s, size_t len, int (*fn)(void *arg, const char *address, size_t len), void *arg);
/* Each well-formed id with its <>, whatever stands between. */
void ids_read(const uint8_t *s, size_t len, int (*fn)(void *arg, const uint8_t *id, size_t len), void *arg);
/* RFC 5322 3.3 and 4.3. Seconds since 1970; ERR_FORMAT. */
int date_read(const uint8_t *s, size_t len, uint64_t *ret);
/* 31 characters and NUL. */
void date_write(uint64_t t, char out[40]);
/* The octets of a CFWS run at the start of s; comments nest. (size_t)-1: a comment never ends. */
size_t cfws_len(const uint8_t *s, size_t len);

#endif
