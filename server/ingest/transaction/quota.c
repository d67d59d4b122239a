/* Reservations by account, in a table of chains. See quota.h. */
#include "server/ingest/transaction/quota.h"

#include <stdlib.h>

enum { BUCKETS = 1024 };

struct transaction_reservation {
    struct transaction_reservation *next, **at;
    uint64_t account, bytes;
    uint32_t holders;
};

static struct transaction_reservation *buckets[BUCKETS];

static struct transaction_reservation *find(uint64_t account)
{
    struct transaction_reservation *r = buckets[account % BUCKETS];

    while (r && r->account != account)
        r = r->next;
    return r;
}

struct transaction_reservation *transaction_quota_reserve(uint64_t account, uint64_t bytes)
{
    struct transaction_reservation *r = find(account), **bucket = &buckets[account % BUCKETS];

    if (!r) {
        r = calloc(1, sizeof(*r));
        if (!r)
            return NULL;
        r->account = account;
        r->at = bucket;
        r->next = *bucket;
        if (r->next)
            r->next->at = &r->next;
        *bucket = r;
    }
    r->bytes += bytes;
    r->holders++;
    return r;
}

void transaction_quota_give(struct transaction_reservation *r, uint64_t bytes)
{
    if (!r)
        return;
    r->bytes -= bytes;
    if (--r->holders > 0)
        return;
    *r->at = r->next;
    if (r->next)
        r->next->at = r->at;
    free(r);
}

uint64_t transaction_quota_reserved(uint64_t account)
{
    const struct transaction_reservation *r = find(account);

    return r ? r->bytes : 0;
}
