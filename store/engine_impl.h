/* What engines share inside: the heads of their structs, and hooks for their own tests. Callers use engine.h alone. */
#ifndef STORE_ENGINE_IMPL_H
#define STORE_ENGINE_IMPL_H

#include "store/engine.h"

struct engine {
    const struct engine_ops *ops;
    bool unknown;       /* what became of the last group */
    bool one_partition; /* tests: a step writes into one partition alone */
};

struct blob_fetch {
    struct engine *e;
};

struct engine_txn {
    struct engine *e;
    bool group;
    int failed; /* the first error of a group that must not be committed any more */
    bool wrote; /* this step, into part */
    uint64_t part;
};

/* Tests only: without the pin, pages that readers can see are used again. Shows that the churn test can fail. */
void engine_lmdb_pin_off(struct engine *writer);

#endif
