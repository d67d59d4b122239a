/* How an address stands in the log: as a keyed hash under a salt of its line. Without the store key nobody can tell
 * whose it is, and with it only by guessing; two lines about one address have nothing in common, so lines cannot be
 * joined to a graph of who writes to whom. `letterlock trace` finds an address by trying it on each line. */
#ifndef FORMAT_LOG_NAME_H
#define FORMAT_LOG_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/record.h"

enum { LOG_NAME_SALT_SIZE = 16, LOG_NAME_MAX = 512 };

/* What an address is to the mail. A sender and a recipient that are one hash to different values, in one line too. */
enum log_name_side { LOG_NAME_SENDER, LOG_NAME_RECIPIENT };

/* An address by the names that people call it. It is in the one spelling of accounts (address_normalize); what is no
 * address stays as it was given, without brackets and ASCII's case, and cut to LOG_NAME_MAX octets. The null sender is
 * "". */
struct log_name {
    char text[LOG_NAME_MAX];
    size_t len;
    char base[LOG_NAME_MAX]; /* without its detail ("+...") */
    size_t base_len;         /* 0: it has none */
    size_t domain;           /* where "@domain" begins in text; len: there is none */
};
/* given: an address, "<address>", "<>", or "@domain". */
void log_name_spell(const char *given, size_t len, struct log_name *ret);

void log_name_hash(const struct record_keys *k, const uint8_t salt[LOG_NAME_SALT_SIZE], enum log_name_side side,
                   const char *text, size_t len, uint8_t out[RECORD_HASH_SIZE]);

#endif
