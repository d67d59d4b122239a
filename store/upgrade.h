/* What becomes of a store that an older version of the same schema wrote: steps, each with a number, done one after
 * another by `letterlock upgrade` in the vault. 'V' has the number of the last one done. */
#ifndef STORE_UPGRADE_H
#define STORE_UPGRADE_H

#include "store/write.h"

struct upgrade_step {
    const char *what; /* in words for people */
    /* One commit's share of it. *at: how far it is, the step's own; 0 at first, and again after a vault that died, so
     * what is done twice must do no harm. *ret_more: it is to be called again. */
    int (*run)(struct store_write *w, uint64_t *at, bool *ret_more);
};

struct upgrade_state {
    uint32_t done, steps; /* the last one done; the newest there is */
    bool more;
    const char *what; /* of the step at work, or just ended; "": there was nothing to do */
};

/* Row i is step i + 1; the last one is SCHEMA_STEP. New rows come last, and none ever goes. */
extern const struct upgrade_step upgrade_steps[SCHEMA_STEP];

/* The next commit's share. The step's number is written by the commit that ends it. */
int upgrade_run(struct store_write *w, const struct upgrade_step *steps, uint32_t nsteps, uint64_t *at,
                struct upgrade_state *ret);

#endif
