/* Bytes promised to accounts by transactions under way in this process, so that many at once cannot all be told that
 * there is room. The vault has the last word. */
#ifndef INGEST_QUOTA_H
#define INGEST_QUOTA_H

#include <stdint.h>

struct transaction_reservation;
struct transaction_reservation *transaction_quota_reserve(uint64_t account, uint64_t bytes); /* NULL: no memory */
void transaction_quota_give(struct transaction_reservation *r, uint64_t bytes);              /* NULL is allowed */
uint64_t transaction_quota_reserved(uint64_t account);

#endif
