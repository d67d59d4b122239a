/* The table of steps, and one commit's share of the next one. */
#include "store/upgrade.h"

#include "server/core/error.h"

/* Step 1 shows that the way is there: nothing of the store changes but the number. */
static int step_nothing(struct store_write *w, uint64_t *at, bool *ret_more)
{
    (void)w;
    (void)at;
    *ret_more = false;
    return OK;
}

const struct upgrade_step upgrade_steps[SCHEMA_STEP] = {
    {"the number of the step is written, and nothing else changes", step_nothing},
};

int upgrade_run(struct store_write *w, const struct upgrade_step *steps, uint32_t nsteps, uint64_t *at,
                struct upgrade_state *ret)
{
    struct schema_version v;
    bool more = false;
    int err = schema_get_version(w->t, nsteps, &v);
    if (err != OK)
        return err;
    struct upgrade_state state = {.done = v.step, .steps = nsteps, .what = ""};
    if (v.step < nsteps) {
        state.what = steps[v.step].what;
        err = steps[v.step].run(w, at, &more);
        if (err == OK && !more) {
            v.step = ++state.done;
            w->wrote = true;
            engine_step(w->t); /* of another partition; without it the step is done once more */
            err = schema_put_version(w->t, w->keys, &v);
            *at = 0;
        }
        state.more = more || state.done < nsteps;
    }
    if (err == OK)
        *ret = state;
    return err;
}
