/* Messages on the write side: record, blobs, usage, delivery ids. A message belongs to its account and is referred to
 * by mailbox entries; the last reference takes its bytes along. */
#ifndef STORE_MESSAGE_H
#define STORE_MESSAGE_H

#include "store/write.h"

/* Writes blobs and record of a new message with one reference and charges them; whether there is room, the caller has
 * seen. m: everything but id and references filled in, after content_draw; m->outer points at the outer header. */
int message_create(struct store_write *w, struct schema_message *m, struct slice packets, struct slice capsule);
/* What the account's usage loses with one reference of the message: its charge, or 0 while others refer to it. */
int message_frees(struct store_write *w, uint64_t message, uint64_t *ret);
int message_ref(struct store_write *w, uint64_t message);
int message_unref(struct store_write *w, uint64_t message);

/* Delivery ids: a delivery tried again finds its first result, until its sender has shown that it read the answer, for
 * DELIVERY_DAYS days at most. */
enum { DELIVERY_DAYS = 7 };
int delivery_put(struct store_write *w, const uint8_t id[RECORD_HASH_SIZE], const struct schema_delivery *d);
int delivery_forget(struct store_write *w, const uint8_t id[RECORD_HASH_SIZE]); /* ERR_NOT_FOUND */
/* Removes at most max ids that are too old; *ret_n says how many. */
int delivery_expire(struct store_write *w, uint32_t max, uint32_t *ret_n);

#endif
