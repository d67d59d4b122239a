/* The inside of a view. */
#ifndef STORE_VIEW_IMPL_H
#define STORE_VIEW_IMPL_H

#include "store/view.h"

struct view {
    struct engine *engine;
    const struct record_keys *keys;
    struct record_keys *own_keys;
    bool owned;
    struct engine_txn *txn; /* the open snapshot */
};

#endif
