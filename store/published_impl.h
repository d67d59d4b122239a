/* The records of the directory: the inside of the store, and the vault. */
#ifndef STORE_PUBLISHED_IMPL_H
#define STORE_PUBLISHED_IMPL_H

#include "store/published.h"
#include "store/schema.h"

/* Most certificates stand with their entry: one look-up and not two. More would not fit beside another in a page. */
enum { PUBLISHED_FRONT = 1500, PUBLISHED_CHUNK = 3800 /* sealed, what a page holds */ };

struct published_head {
    uint64_t changes;
    uint8_t hash[PUBLISHED_HASH_SIZE]; /* of the last one */
};

/* Places. A WKD hash or a key's name leads to hashes of addresses, of which it is the front. */
void published_hash(const struct record_keys *k, const char *address, uint8_t out[RECORD_HASH_SIZE]);
struct slice key_published_wkd(struct schema_keybuf *kb, const struct record_keys *k, const char *domain,
                               const char hash[WKD_HASH_LEN]);
struct slice key_published_key(struct schema_keybuf *kb, const struct record_keys *k, const uint8_t *name, size_t len);

/* By the hash of its address. ret is also written when it fails. ERR_NOT_FOUND, ERR_FORMAT, ERR_CRYPTO, ERR_DENIED. */
int schema_get_published(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                         struct published *ret);
int schema_get_published_head(struct engine_txn *t, const struct record_keys *k, struct published_head *ret);
int schema_put_published(struct engine_txn *t, const struct record_keys *k, const struct published *p);
int schema_put_published_head(struct engine_txn *t, const struct record_keys *k, const struct published_head *h);
int schema_put_published_change(struct engine_txn *t, const struct record_keys *k, const struct published_change *c);
int schema_unpack_published_change(const struct record_keys *k, struct slice key, struct slice value,
                                   struct published_change *ret);

/* Every key of an index that leads to it, one after the other. ERR_FORMAT: it is no certificate. */
int published_indexes(const struct record_keys *k, const struct published *p, int (*fn)(void *arg, struct slice key),
                      void *arg);

/* The certificate of an address becomes another, or none (empty). cert: as pgp_published_read takes it, each user id of
 * this address. What is so already stays, and is not logged. ERR_REFUSED: the certificate; ERR_LIMIT. w->account:
 * PART_KEYSERVER. */
struct store_write;
int published_set(struct store_write *w, const char *address, struct slice cert, uint8_t why);

#endif
