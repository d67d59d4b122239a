/* Whether an account may send: asked with each message that comes to the queue, and told by the administrator. */
#include <stdlib.h>

#include "server/base/event.h"
#include "server/core/error.h"
#include "store/suppression.h"
#include "store/vault/vault.h"

static int count_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return 0;
}

int count_of(struct engine_txn *t, char letter, uint64_t *ret)
{
    struct schema_keybuf from, to;
    *ret = 0;
    return engine_scan(t, PART_QUEUE, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, count_one,
                       ret);
}

int held_count(struct engine_txn *t, uint64_t *ret_held, uint64_t *ret_suppressed)
{
    int err = count_of(t, 'H', ret_held);
    return err == OK ? count_of(t, 'S', ret_suppressed) : err;
}

void held_stored(struct vault *v, const struct request *q)
{
    v->queue.held += (uint64_t)(int64_t)q->held;
    v->queue.suppressed += (uint64_t)(int64_t)q->suppressed;
    v->queue.policies += (uint64_t)(int64_t)q->policies;
    v->queue.tallies += (uint64_t)(int64_t)q->tallies;
    if (q->held > 0)
        log_event(account_held, q->held_account, (enum event_HOLD)q->held_why);
    else if (q->held < 0)
        log_event(account_released, q->held_account);
    if (q->complaints > 0) {
        v->count.complaints++;
        log_event(complaint, q->a.account, q->complaints);
    }
}

static void is_held(struct request *q, uint64_t account, enum hold_why why)
{
    q->held = 1;
    q->held_account = account;
    q->held_why = (uint8_t)why;
}

int queue_charge(struct vault *v, struct store_write *w, struct request *q, enum sending_verdict *ret)
{
    const struct vault_queue_add *a = &q->a.queue_add;
    const uint8_t *whom[VAULT_QUEUE_ROWS_MAX];
    const struct sending_charge charge = {
        .account = a->account, .message = a->counts, .forwarded = a->forwarded, .n = a->n, .whom = whom};
    enum hold_why now;
    *ret = SENDING_TAKEN;
    if (a->account == 0)
        return OK;
    for (uint32_t i = 0; i < a->n; i++)
        whom[i] = a->v[i].whom;
    int err = sending_charge(w, &v->queue.limits, &charge, ret, &now);
    if (err == OK && *ret == SENDING_HELD && now)
        is_held(q, a->account, now);
    return err;
}

int run_account_hold(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    bool changed = false;
    int err = q->a.hold ? sending_hold(w, &changed) : sending_release(w, &changed);
    (void)r;
    if (err == ERR_NOT_FOUND && !q->a.hold)
        return OK;
    if (err == ERR_NOT_FOUND)
        *ret_text = "no such account";
    if (err != OK || !changed)
        return err;
    is_held(q, q->a.account, HOLD_BY_HAND);
    if (!q->a.hold) {
        q->held = -1;
        v->queue.changes[v->queue.nchanges++] = VAULT_RELEASED;
    }
    return OK;
}

/* What is said of an account that is gone says nothing. */
int run_complaint(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                  const char **ret_text)
{
    bool held = false;
    int err = sending_complaint(w, &v->queue.limits, q->a.complaint, &q->complaints, &held);
    r->duplicate = q->complaints == 0;
    if (err == OK && held)
        is_held(q, q->a.account, HOLD_COMPLAINTS);
    return err;
}

/* ---- addresses that bounced for good ---- */

int run_suppress_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    struct schema_keybuf kb;
    struct slice there, key = key_hash(&kb, 'S', q->a.suppress.hash);
    (void)r;
    int err = engine_get(w->t, PART_QUEUE, key, &there);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND && v->queue.suppressed >= SUPPRESSED_MAX) {
        *ret_text = "too many addresses are suppressed: letterlock suppression list, remove";
        return ERR_FULL;
    }
    q->suppressed = err == ERR_NOT_FOUND;
    return write_put(w, key, q->a.suppress.record);
}

int run_suppress_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    struct schema_keybuf kb;
    struct slice there, key = key_hash(&kb, 'S', q->a.suppress.hash);
    (void)v;
    (void)r;
    (void)ret_text;
    int err = engine_get(w->t, PART_QUEUE, key, &there);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    q->suppressed = -1;
    return write_del(w, key);
}
