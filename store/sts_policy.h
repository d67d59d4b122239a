/* MTA-STS policies of domains elsewhere (RFC 8461): records 'p' of the queue's partition, sealed under RECORD_QUEUE.
 * `relay` keeps each that it fetches, so that a restart does not take away what protects against those on the way
 * (section 5.1). */
#ifndef STORE_STS_POLICY_H
#define STORE_STS_POLICY_H

#include "store/queue.h"

enum {
    STS_POLICIES_MAX = 100000,   /* records; past them no more are made */
    STS_POLICY_ID_MAX = 32,      /* octets: section 3.1 */
    STS_POLICY_TEXT_MAX = 1024,  /* a longer one is not kept */
    STS_POLICY_RECORD_MAX = 2048 /* octets, sealed */
};

struct sts_policy {
    uint64_t fetched, expires; /* seconds since 1970 */
    char domain[DOMAIN_CAP];
    char id[STS_POLICY_ID_MAX + 1];
    uint32_t len;
    uint8_t text[STS_POLICY_TEXT_MAX]; /* as its page had it: to be read with bounds again */
};

/* Its place. k has RECORD_QUEUE, here and below. */
void sts_policy_hash(const struct record_keys *k, const char *domain, uint8_t out[RECORD_HASH_SIZE]);
/* Sealed for its place. out: STS_POLICY_RECORD_MAX. ERR_LIMIT: it could not have been read. */
int sts_policy_seal(const struct record_keys *k, const struct sts_policy *p, uint8_t hash[RECORD_HASH_SIZE],
                    uint8_t *out, size_t *ret_len);
/* ERR_CRYPTO, ERR_FORMAT, ERR_VERSION; ERR_DENIED: k has not the key. */
int sts_policy_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                    struct sts_policy *ret);

#endif
