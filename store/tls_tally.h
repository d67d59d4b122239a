/* How TLS went with the mail servers of domains elsewhere (RFC 8460): records 't' of the queue's partition, one a
 * period and domain, sealed under RECORD_QUEUE. All processes of `relay` add to them; the first of them makes reports
 * of those whose period is over, and notes here which reports are sent. */
#ifndef STORE_TLS_TALLY_H
#define STORE_TLS_TALLY_H

#include "store/queue.h"

enum {
    TLS_TALLIES_MAX = 100000,        /* records; past them no more are made */
    TLS_TALLY_POLICIES_MAX = 6,      /* of one record */
    TLS_TALLY_DETAILS_MAX = 16,      /* of all its policies */
    TLS_TALLY_TEXT_MAX = 640,        /* octets of a policy's lines */
    TLS_TALLY_KINDS = 3,             /* enum tls_report_kind (server/mailauth/tls_report.h), from 1 on */
    TLS_TALLY_RESULTS = 12,          /* enum tls_report_result, below it */
    TLS_TALLY_REASONS = 4,           /* enum tally_reason (server/relay/tally_sum.h), below it */
    TLS_TALLY_TARGETS = 4,           /* reports of one record */
    TLS_TALLY_RECORD_MAX = 14 * 1024 /* octets, sealed */
};

struct tls_tally_policy {
    uint8_t kind;
    char domain[DOMAIN_CAP];
    char text[TLS_TALLY_TEXT_MAX + 1]; /* its lines, each ended by LF */
    uint64_t good, bad;                /* sessions */
};
struct tls_tally_address {
    uint8_t len; /* 4, 16; 0: not known */
    uint8_t octets[16];
};
struct tls_tally_detail {
    uint8_t policy; /* its number */
    uint8_t result, reason;
    struct tls_tally_address sending, receiving;
    char mx[DOMAIN_CAP];
    uint64_t sessions;
};
struct tls_tally {
    uint64_t begin, end; /* of the period, seconds since 1970 */
    char domain[DOMAIN_CAP];
    uint32_t tries;    /* at its reports */
    uint64_t next_try; /* seconds since 1970; 0: none yet */
    uint8_t sent;      /* a bit for each target whose report is sent, or given up */
    uint32_t npolicies, ndetails;
    struct tls_tally_policy policies[TLS_TALLY_POLICIES_MAX];
    struct tls_tally_detail details[TLS_TALLY_DETAILS_MAX];
};

/* Its place. k has RECORD_QUEUE, here and below. */
void tls_tally_hash(const struct record_keys *k, const struct tls_tally *t, uint8_t out[RECORD_HASH_SIZE]);
/* Sealed for its place. out: TLS_TALLY_RECORD_MAX. ERR_LIMIT: it could not have been read. */
int tls_tally_seal(const struct record_keys *k, const struct tls_tally *t, uint8_t hash[RECORD_HASH_SIZE], uint8_t *out,
                   size_t *ret_len);
/* ERR_CRYPTO, ERR_FORMAT, ERR_VERSION; ERR_DENIED: k has not the key. */
int tls_tally_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                   struct tls_tally *ret);

#endif
