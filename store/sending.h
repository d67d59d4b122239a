/* What each account has sent, and to whom: so that one in a stranger's hands is stopped before its mail costs all
 * others the good name of this server. The vault counts, since it is one over all processes; past a limit it holds the
 * account until somebody releases it (records 'H' of the queue's partition). */
#ifndef STORE_SENDING_H
#define STORE_SENDING_H

#include "store/records.h"

enum {
    SENDING_HOURS = 25, /* the hour at hand and 24 before it: never less than a day */
    SENDING_WHOM = 8,   /* octets of a hash that stands for a recipient */
    /* Recipients that an account is known to have written to, in buckets by their hashes. In a full one the one that
     * was not written to for longest goes. */
    SENDING_BUCKETS = 128,
    SENDING_BUCKET_MAX = 128,
};

struct sending_sum {
    uint32_t messages, recipients, first /* recipients that it had not written to before */;
};
struct schema_sent {
    uint64_t hour;                       /* since 1970, of v[0]; v[i] is i hours before */
    struct sending_sum v[SENDING_HOURS]; /* of each hour */
};

/* Strangers can fill the counts of an account that forwards. So what is forwarded may take this part of its limits, and
 * past it waits in the mailbox: nobody is kept from sending by mail that others wrote. */
enum { SENDING_FORWARD_PART = 2 };

enum hold_why { HOLD_BY_HAND = 1, HOLD_MESSAGES, HOLD_RECIPIENTS, HOLD_FIRST, HOLD_COMPLAINTS };
struct schema_hold {
    uint64_t since; /* seconds since 1970 */
    uint8_t why;    /* enum hold_why */
};

/* A recipient as the account's counts know it, by whoever has RECORD_ADDRESS. Never zeros, which are nobody. */
void sending_whom(const struct record_keys *k, uint64_t account, const char *address, uint8_t out[SENDING_WHOM]);

/* Of a day up to now. */
void sending_total(const struct schema_sent *s, uint64_t now, struct sending_sum *ret);

/* What becomes of a message that an account wants to send. */
enum sending_verdict {
    SENDING_TAKEN,  /* it is counted */
    SENDING_HELD,   /* the account is held, or is from now on: *ret_now says so; or it has forwarded its part */
    SENDING_DOMAIN, /* its domain has sent what it may */
};

#endif
