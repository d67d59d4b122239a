/* Keys that sign what goes out (DKIM): records 'D' of the queue's partition, sealed under RECORD_DKIM. A record is
 * written once, by the command line: whether its key signs follows from the times in the records of its domain, so
 * nothing is written when one key takes over from another. */
#ifndef STORE_DKIM_H
#define STORE_DKIM_H

#include "store/queue.h"

enum {
    DKIM_RECORD_DER_MAX = 2048,
    DKIM_RECORD_SELECTOR_CAP = 64,
    DKIM_RECORD_RSA = 1, /* enum dkim_algorithm (server/mailauth/dkim.h) */
    DKIM_RECORD_ED25519 = 2,
    DKIM_GRACE = 7 * 86400, /* so long a signature of a retired key may be looked at: mail waits on its way */
};

struct dkim_record {
    uint8_t algorithm;
    uint64_t made, use_from; /* seconds since 1970 */
    char domain[DOMAIN_CAP], selector[DKIM_RECORD_SELECTOR_CAP];
    size_t der_len;
    uint8_t der[DKIM_RECORD_DER_MAX]; /* the private key, PKCS #8 */
};

/* Its place, which domain and selector say. k has RECORD_DKIM, here and below. */
void dkim_record_hash(const struct record_keys *k, const char *domain, const char *selector,
                      uint8_t out[RECORD_HASH_SIZE]);
/* Sealed for its place. out: QUEUE_DKIM_MAX. ERR_LIMIT: it could not have been read. */
int dkim_record_seal(const struct record_keys *k, const struct dkim_record *r, uint8_t hash[RECORD_HASH_SIZE],
                     uint8_t *out, size_t *ret_len);
/* ret holds a private key: whoever has it wipes it. ERR_CRYPTO, ERR_FORMAT, ERR_VERSION; ERR_DENIED: k has not the key.
 */
int dkim_record_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                     struct dkim_record *ret);

/* For qsort: by domain, algorithm, and when they are used. */
int dkim_record_order(const void *a, const void *b);

/* A key waits until verifiers can see it; signs until the next one of its domain and algorithm does; is not used any
 * more but still looked up; is of no use to anybody. */
enum dkim_state { DKIM_PUBLISHED, DKIM_IN_USE, DKIM_RETIRED, DKIM_OVER };
struct dkim_due {
    enum dkim_state state;
    uint64_t until; /* UINT64_MAX: it stays so */
};
/* next: the one behind it in dkim_record_order, or NULL. */
struct dkim_due dkim_due(const struct dkim_record *r, const struct dkim_record *next, uint64_t now);

#endif
