/* Work that goes on step by step beside the requests, a group of its own each time: accounts and mailboxes being
 * erased, delivery ids that are too old. */
#include "server/core/error.h"
#include "server/base/event.h"
#include "store/account.h"
#include "store/message.h"
#include "store/upload.h"
#include "store/vault/vault.h"

enum { ACCOUNTS_A_ROUND = 16, EXPIRE_STEP = 256, DAY = 86400 };

struct round {
    uint32_t n;
    uint64_t accounts[ACCOUNTS_A_ROUND];
};

static int round_one(void *arg, struct slice key, struct slice value)
{
    struct round *r = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    r->accounts[r->n] = unpack_u64(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    return ++r->n == ACCOUNTS_A_ROUND;
}

/* A step of taking back a copy whose next piece cannot come any more. */
static int undo_step(struct vault *v, struct store_write *w, struct mailbox_job_step *ret)
{
    uint64_t number = 0;
    *ret = (struct mailbox_job_step){0, 0};
    int err = mailbox_copy_next(w, 0, &number);
    while (err == OK && vault_copy_lives(v, NULL, w->account, number))
        err = number < UINT64_MAX ? mailbox_copy_next(w, number + 1, &number) : ERR_NOT_FOUND;
    return err == OK ? mailbox_copy_undo(w, number, &ret->to) : err;
}

/* One step for one account; *more: it did something, so there may be more. */
static int account_step(struct vault *v, struct store_write *w, uint64_t account, bool *more)
{
    struct mailbox_job_step step;
    uint32_t expired;
    w->account = account;
    int err = mailbox_job_step(w, &step);
    if (err == ERR_NOT_FOUND && !w->wrote)
        err = undo_step(v, w, &step);
    if (err == ERR_NOT_FOUND && !w->wrote) {
        err = delivery_expire(w, EXPIRE_STEP, &expired);
        *more = err == OK && expired > 0;
        return err;
    }
    if (err != OK)
        return err;
    *more = true;
    for (int i = 0; i < 2; i++) {
        uint32_t mailbox = i ? step.to : step.from;
        struct schema_mailbox box;
        if (mailbox == 0)
            continue;
        if ((err = schema_get_mailbox(w->t, w->keys, account, mailbox, &box)) == OK)
            vault_changed(v, account, mailbox, box.highestmodseq, box.exists);
        else if (err != ERR_NOT_FOUND)
            return err;
    }
    return OK;
}

/* What this round does, in one group. */
static int round_run(struct vault *v, struct store_write *w, void *arg)
{
    struct round round = {0};
    struct schema_keybuf from, to;
    bool *more = arg;
    bool was_open = false;
    int err = account_erase_step(w, &was_open);
    if (err == OK && was_open)
        vault_changed(v, w->account, 0, 0, 0);
    if (err != ERR_NOT_FOUND) {
        *more = err == OK;
        return err;
    }
    if (v->hot_account != 0) {
        err = account_step(v, w, v->hot_account, more);
        if (err == OK && *more)
            return OK;
        v->hot_account = 0; /* done, or damaged: the round comes by again */
        if (err != OK)
            return err;
    }
    err = engine_scan(w->t, PART_INSTANCE, key_u64(&from, 'N', v->chore_cursor), key_simple(&to, 'N' + 1), 0, round_one,
                      &round);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < round.n && !*more; i++) { /* a step that wrote ends the round, so that groups stay small */
        err = account_step(v, w, round.accounts[i], more);
        if (err != OK) {
            v->chore_cursor = round.accounts[i] + 1; /* one damaged account must not stop the others */
            return err;
        }
        v->chore_cursor = *more ? round.accounts[i] : round.accounts[i] + 1;
    }
    if (round.n < ACCOUNTS_A_ROUND && !*more) {
        v->chore_cursor = PART_ACCOUNT_FIRST;
        v->sweep = false;
    }
    return OK;
}

/* What others report, once a day. */
static int reports_step(struct vault *v, struct store_write *w, bool *ret_more)
{
    const uint64_t today = w->now / DAY;
    if (v->dmarc_swept == today)
        return OK;
    int err = dmarc_days_sweep(w, &v->dmarc_at, ret_more);
    if (err == OK && !*ret_more) {
        v->dmarc_swept = today;
        v->dmarc_at.len = 0;
    }
    return err;
}

static int sweep_run(struct vault *v, struct store_write *w, void *arg)
{
    bool more = false;
    uint32_t n = 0;
    w->account = PART_KEYSERVER;
    int err = upload_sweep(w, &n);
    if (err == OK)
        err = reports_step(v, w, &more);
    *(bool *)arg = n == UPLOAD_SWEEP || more;
    return err;
}

bool vault_chores(struct vault *v)
{
    bool more = false, waits = false;
    int swept = vault_step(v, sweep_run, &waits), err = vault_step(v, round_run, &more);
    if (err == OK)
        err = swept;
    if (err != OK)
        log_event(vault_chore_failed, err);
    return err == OK && (more || waits || v->sweep);
}
