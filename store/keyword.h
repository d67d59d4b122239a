/* Keywords on the write side: an account's table of names, and how many entries carry each. What a request does to them
 * is gathered, and written at its end: a new name when an entry carries it, an old one away when none does any more. */
#ifndef STORE_KEYWORD_H
#define STORE_KEYWORD_H

#include "store/schema.h"

struct store_write;

struct keyword_ledger {
    bool loaded, changed;
    struct schema_keywords table;
    int32_t delta[KEYWORDS_MAX];
};

void keyword_begin(struct store_write *w); /* a request */
/* A keyword's number (RFC 9051 section 2.3.2: an atom, compared without case). add: one that is not there gets a free
 * number. ERR_NOT_FOUND; ERR_LIMIT: all numbers are in use; ERR_FORMAT. */
int keyword_find(struct store_write *w, const char *keyword, bool add, unsigned *ret);
void keyword_count(struct store_write *w, const struct schema_keyset *set, int by); /* by: 1 or -1 */
int keyword_end(struct store_write *w);

#endif
