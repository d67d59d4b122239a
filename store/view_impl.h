/* The inside of a view. */
#ifndef STORE_VIEW_IMPL_H
#define STORE_VIEW_IMPL_H

#include "store/schema.h"
#include "store/view.h"

enum { APPROVED_SLOTS = 1024 /* deliveries to addresses that were seen check no signature */ };

/* A chunk that was opened last: what stands under its name and its message's salt never changes. */
struct view_opened {
    bool there;
    uint64_t account, message;
    uint8_t salt[OUTER_SEAL_SALT];
    uint32_t n;
    size_t len;
    uint8_t octets[ENGINE_BLOB_CHUNK];
};

struct view {
    struct engine *engine;
    const struct record_keys *keys;
    struct record_keys *own_keys;
    bool owned;
    struct engine_txn *txn; /* the open snapshot */
    uint64_t overruns;
    uint8_t approved[APPROVED_SLOTS][32]; /* hashes of addresses with their approvals; a slot has one */
    struct view_opened head, body;
};

/* What view_run is made of. view_end: OK, or ERR_OVERRUN. */
int view_begin(struct view *v);
int view_end(struct view *v);

/* Where a listing of records that stand by a hash goes on: behind this one; NULL: at the first. */
struct slice view_after_hash(struct schema_keybuf *kb, char letter, const uint8_t *hash);

/* view_address_approved, which says the account's own address too: the approval names it. */
int view_address_primary(struct view *v, const struct schema_address *a, char ret_primary[ADDRESS_MAX]);

#endif
