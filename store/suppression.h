/* Addresses elsewhere that bounced for good: records 'S' of the queue's partition, sealed under RECORD_QUEUE. `relay`
 * writes one when an address's own server says that there is none such; submission refuses mail to it until the record
 * is over, since who goes on writing to nobody is taken for a spammer. */
#ifndef STORE_SUPPRESSION_H
#define STORE_SUPPRESSION_H

#include "store/queue.h"

enum {
    SUPPRESSED_DAYS = 30,
    SUPPRESSED_MAX = 100000,     /* records; past them no more are made */
    SUPPRESSED_RECORD_MAX = 1024 /* octets, sealed */
};

struct suppressed {
    uint64_t since, until; /* seconds since 1970 */
    char address[ADDRESS_MAX];
    char reply[QUEUE_REPLY_MAX + 1]; /* what was said; "": by hand */
};

/* In the spelling by which it is found: that of addresses here, if it could be one, else with its domain in ASCII.
 * ERR_FORMAT: mail cannot be sent to such a thing. */
int suppression_spell(const char *address, char out[ADDRESS_MAX]);
/* Its place. address: as spelt. k has RECORD_QUEUE, here and below. */
void suppression_hash(const struct record_keys *k, const char *address, uint8_t out[RECORD_HASH_SIZE]);
/* Sealed for its place. out: SUPPRESSED_RECORD_MAX. ERR_LIMIT: it could not have been read. */
int suppression_seal(const struct record_keys *k, const struct suppressed *s, uint8_t hash[RECORD_HASH_SIZE],
                     uint8_t *out, size_t *ret_len);
/* ERR_CRYPTO, ERR_FORMAT, ERR_VERSION; ERR_DENIED: k has not the key. */
int suppression_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                     struct suppressed *ret);

#endif
