/* Where an account's messages grow, something follows in LMDB's tree that does not, and with which the newest would
 * share a page: LMDB then halves that page by the count of its values, again and again, and what it leaves behind stays
 * half empty (docs/performance.md). So a fence ends each such place, and begins the first: a value of more than a
 * quarter of a page, so that LMDB never joins its page to another, which from the start begins a page of its own. */
#ifndef STORE_FENCE_H
#define STORE_FENCE_H

#include <stdbool.h>

#include "store/schema.h"

enum { FENCES = 3 /* among an account's blobs; one more is record 'n' */ };
#define FENCE_ID_LAST (BLOB_ID_MAX - 1)
#define MESSAGE_ID_MAX (BLOB_ID_MAX - 2) /* ids of messages and certificates are below it, and above 0 */

struct fence {
    enum blob_kind kind;
    uint64_t id;
};
extern const struct fence fences[FENCES];
/* Whether a blob can be nothing else. */
bool fence_has(enum blob_kind kind, uint64_t id);

/* All of a new account that has its other records. The engine's errors. */
int fence_put(struct engine_txn *t, const struct record_keys *k, uint64_t account);
/* ERR_CRYPTO, ERR_FORMAT: another one, or changed; ERR_NOT_FOUND; the engine's errors. */
int fence_check(struct engine_txn *t, const struct record_keys *k, uint64_t account);

#endif
