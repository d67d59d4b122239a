/* What transactions under way have been promised, by account, so that many at once cannot all be told there is room. */
#include <stdlib.h>

#include "server/ingest/ingest.h"

enum { BUCKETS = 1024 };

struct reservation {
    struct reservation *next, **at;
    uint64_t account, bytes;
    uint32_t holders;
};

static struct reservation *buckets[BUCKETS];

static struct reservation *find(uint64_t account)
{
    struct reservation *r = buckets[account % BUCKETS];

    while (r && r->account != account)
        r = r->next;
    return r;
}

struct reservation *quota_reserve(uint64_t account, uint64_t bytes)
{
    struct reservation *r = find(account), **bucket = &buckets[account % BUCKETS];

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

void quota_give(struct reservation *r, uint64_t bytes)
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

uint64_t quota_reserved(uint64_t account)
{
    const struct reservation *r = find(account);

    return r ? r->bytes : 0;
}
