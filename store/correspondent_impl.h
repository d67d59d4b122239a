/* Correspondents' records, inside the store. */
#ifndef STORE_CORRESPONDENT_IMPL_H
#define STORE_CORRESPONDENT_IMPL_H

#include "store/correspondent.h"
#include "store/schema.h"
#include "store/write.h"

struct slice key_correspondent(struct schema_keybuf *kb, const struct record_keys *k, uint64_t account, uint8_t kind,
                               const char *address);
/* ret_seen: of the record, also of one that does not open; zeros: there is none. */
int schema_get_correspondent(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                             const char *address, struct correspondent *ret, uint8_t ret_seen[CORRESPONDENT_SEEN]);
int schema_unpack_correspondent(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                                struct correspondent *ret);
int schema_put_correspondent(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint8_t kind,
                             const struct correspondent *c);
int schema_get_correspondents(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                              struct correspondents *ret); /* zeros, if there is no record */
int schema_put_correspondents(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                              const struct correspondents *v);

/* Of w->account. by_hand: the administrator asks. One that is there so already is no error. ERR_NOT_FOUND: no such
 * account; ERR_CONFLICT: another record is there than was seen; ERR_DENIED: it would make the record forget a key,
 * or is not what may be asked of this kind; ERR_FULL: there are too many; ERR_QUOTA: its certificate is too much;
 * ERR_LIMIT: a notice too many. */
int correspondent_put(struct store_write *w, uint8_t kind, bool by_hand, const struct correspondent *c,
                      const uint8_t seen[CORRESPONDENT_SEEN]);
/* One that is not there is no error. */
int correspondent_del(struct store_write *w, uint8_t kind, const char *address);

#endif
