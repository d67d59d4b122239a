/* What an account holds of the store, and what it may hold. Every record that a reader can make is charged with a fixed
 * price, or one that follows from what the record says of itself, so that the same is given back when it goes. Prices
 * are near what LMDB takes for it (docs/store-format.md, "Usage"). A request gathers its charges in a ledger and writes
 * the sum once, at its end. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/schema.h"

struct store_write;

enum {
    CHARGE_ENTRY = 256,   /* 'u' with all its keywords, 'w' */
    CHARGE_BLOCK = 1024,  /* 'k' */
    CHARGE_MESSAGE = 512, /* 'm' beside its outer header */
    CHARGE_CHUNK = 64,    /* of its head and body, beside their octets, padding included */
    CHARGE_MAILBOX = 1024 /* 'B' and 'b', or the 'Z' of one that is being erased */,
    CHARGE_SUBSCRIPTION = 640,
    CHARGE_KEYWORD = 256,
    CHARGE_TOMBSTONES = 64, /* 'x', and: */
    CHARGE_RANGE = 8,
    CHARGE_DELIVERY = 192 /* 'D', 'e' */
};
/* Clients that know no MOVE delete by a COPY to the Trash and EXPUNGE: the quota lets about 1,000 more of them pass. */
enum { USAGE_TRASH_OVER = 1024 * CHARGE_ENTRY };
/* Taking an entry away gives back more than the tombstone it leaves costs: EXPUNGE never needs room. */
_Static_assert((int)CHARGE_ENTRY > (int)CHARGE_TOMBSTONES + (int)CHARGE_RANGE, "a tombstone costs less than its entry");

struct usage_ledger {
    bool loaded, changed;
    uint64_t account; /* whose it is */
    struct schema_usage was;
    int64_t bytes, messages, entries;
    uint64_t numbers; /* taken */
};

void usage_begin(struct store_write *w); /* a request, or what it does in another account */
void usage_charge(struct store_write *w, int64_t bytes);
void usage_entry(struct store_write *w, int by); /* by: 1 or -1 */
uint64_t usage_of_message(const struct schema_message *m);
void usage_message(struct store_write *w, const struct schema_message *m, int by);
/* A number that no message and no certificate of the account has had. ERR_LIMIT: they are used up. */
int usage_take_number(struct store_write *w, uint64_t *ret);
/* None below this one is given any more. */
int usage_skip_numbers(struct store_write *w, uint64_t next);
/* Whether so much more is allowed: ERR_QUOTA. */
int usage_room(struct store_write *w, const struct schema_account *account, uint64_t bytes, uint32_t entries);
/* Of w->account, as it is stored; so many octets over its quota are let pass. */
int usage_room_here(struct store_write *w, uint64_t bytes, uint32_t entries, uint64_t over);
int usage_begin_empty(struct store_write *w); /* an account that is being made */
/* ERR_FORMAT: more was taken away than is there, a damaged store. */
int usage_end(struct store_write *w);

/* Counts on from walk->last what records are charged, at most max of them. 1: there are more. */
int usage_walk(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t max,
               struct usage_walk *walk);

#endif
