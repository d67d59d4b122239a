/* What every function on the write side gets: the open group and the account it works on. The rule they all keep:
 * whatever can be refused is refused before the first put. So a failure with .wrote unset leaves the group as it was,
 * and a failure with .wrote set means that the group must be aborted. */
#ifndef STORE_WRITE_H
#define STORE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/format/parcel.h"
#include "store/keyword.h"
#include "store/schema.h"
#include "store/usage.h"

struct store_write {
    struct engine_txn *t;
    const struct record_keys *keys;
    uint64_t account;
    uint64_t now; /* seconds since 1970 */
    bool wrote;
    uint64_t entries_max; /* of an account; 0: no limit */
    struct keyword_ledger keywords;
    struct usage_ledger usage;
    uint8_t outer[PARCEL_OUTER_MAX + 1024]; /* scratch for records that are opened and sealed again */
};

/* Around a request: what it gathers in its ledgers is written at the end. */
void write_begin(struct store_write *w);
int write_end(struct store_write *w);

/* engine_put and engine_del in the account's partition. Deleting what is not there is OK. */
int write_put(struct store_write *w, struct slice key, struct slice value);
int write_del(struct store_write *w, struct slice key);
int write_del_instance(struct store_write *w, struct slice key); /* in the instance's */

/* How far one step of a long erasure goes. */
enum { ERASE_MESSAGES = 64, ERASE_KEYS = 2048 };

#endif
