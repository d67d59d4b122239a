/* What the schema's files share: how a value stands in the store, and the check that a store's bytes are what we would
 * have written. */
#ifndef STORE_SCHEMA_IMPL_H
#define STORE_SCHEMA_IMPL_H

#include <stdbool.h>
#include <string.h>

#include "store/schema.h"

/* Whether a text that a caller filled has its NUL. */
static inline bool text_ends(const char *s, size_t cap)
{
    return memchr(s, '\0', cap) != NULL;
}

enum { PLACE_MAX = 8 + ENGINE_KEY_MAX, TAGGED_MAX = 784 /* a block of UIDs, the longest */ };

/* Opens a value whose place is (part, key) into plain (cap bytes), without its padding. ERR_CRYPTO, ERR_VERSION;
 * ERR_FORMAT: longer than such a value can be; ERR_DENIED: we have not the key of its use. */
int sealed_open(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, uint8_t *plain,
                size_t cap, size_t *ret_len);
/* Opens it, reads its fields into ret, and wipes plain. ret is of use if that is OK; fields' errors too. */
int sealed_unpack(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, uint8_t *plain,
                  size_t cap, int (*fields)(const uint8_t *plain, size_t len, void *ret), void *ret);
/* Of the record there; ERR_NOT_FOUND and the engine's errors too. */
int sealed_get(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, uint8_t *plain,
               size_t cap, size_t *ret_len);
/* Pads and seals what p holds and puts it. p that overflowed: ERR_LIMIT. p's bytes are wiped. */
int sealed_put(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, struct pack *p);

/* The same into out, which has cap octets, for whoever sends it to the vault. */
int sealed_make(const struct record_keys *k, uint64_t part, struct slice key, struct pack *p, uint8_t *out, size_t cap,
                size_t *ret_len);

/* Of what stands clear: the value's fields, inside of value, without its tag. ERR_CRYPTO: the tag is not of this value
 * at this place; ERR_FORMAT, ERR_DENIED as above. */
int tagged_open(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, struct unpack *ret);
int tagged_get(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, struct unpack *ret);
int tagged_put(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key,
               const struct pack *p);

struct unpack key_fields(struct slice key); /* what a key holds behind its letter */

/* Sealed values whose fields may become others begin with the number of their list of fields. ERR_VERSION: a newer one
 * than this; ERR_FORMAT: none. */
int fields_version(struct unpack *u, uint8_t newest);

#endif
