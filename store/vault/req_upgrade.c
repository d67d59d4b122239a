/* Bringing the store up to date, a commit a request, so that whoever asks sees how far it is. */
#include "server/core/error.h"
#include "store/upgrade.h"
#include "store/vault/vault.h"

static int step_upgrade(struct vault *v, struct store_write *w, void *arg)
{
    return upgrade_run(w, upgrade_steps, SCHEMA_STEP, &v->upgrade_at, arg);
}

static int step_look(struct vault *v, struct store_write *w, void *arg)
{
    int err = schema_check(w->t, w->keys);
    v->outdated = err == ERR_UPGRADE;
    return v->outdated ? OK : err;
}

int vault_take_up(struct vault *v)
{
    int err = vault_step(v, step_look, NULL);
    if (err == OK && !v->outdated)
        err = vault_restored(v);
    return err == ERR_NOT_FOUND ? OK : err;
}

int run_upgrade(struct vault *v, struct store_write *none, struct request *q, struct vault_reply *r,
                const char **ret_text)
{
    struct upgrade_state s;
    int err = vault_step(v, step_upgrade, &s);
    if (err != OK) {
        v->upgrade_at = 0; /* what was not committed is not done */
        return err;
    }
    r->upgraded.done = s.done;
    r->upgraded.steps = s.steps;
    r->upgraded.more = s.more;
    r->upgraded.what = slice_str(s.what);
    return v->outdated && !s.more ? vault_take_up(v) : OK;
}
