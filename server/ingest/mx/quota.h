/* Bytes promised to accounts by transactions under way in this process, so that many at once cannot all be told that
 * there is room. The vault has the last word. */
#ifndef INGEST_MX_QUOTA_H
#define INGEST_MX_QUOTA_H

#include <stdint.h>

struct mx_reservation;
struct mx_reservation *mx_quota_reserve(uint64_t account, uint64_t bytes); /* NULL: no memory */
void mx_quota_give(struct mx_reservation *r, uint64_t bytes);              /* NULL is allowed */
uint64_t mx_quota_reserved(uint64_t account);

#endif
