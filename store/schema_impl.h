/* What the schema's files share: values that are sealed under the store key, and the check that a store's bytes are
 * what we would have written. */
#ifndef STORE_SCHEMA_IMPL_H
#define STORE_SCHEMA_IMPL_H

#include "store/schema.h"

enum { PLACE_MAX = 8 + ENGINE_KEY_MAX };

/* Opens a value whose place is (part, key) into plain (cap bytes). ERR_CRYPTO, ERR_VERSION; ERR_FORMAT: longer than
 * such a value can be. */
int sealed_open(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, uint8_t *plain,
                size_t cap, size_t *ret_len);
/* Seals what p holds and puts it. p that overflowed: ERR_LIMIT. p's bytes are wiped. */
int sealed_put(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, struct pack *p);

/* Puts what p holds. ERR_LIMIT as above. */
int plain_put(struct engine_txn *t, uint64_t part, struct slice key, const struct pack *p);

#endif
