/* What follows a restore: larger UIDVALIDITYs, message ids that were given out by nobody. */
#include "store/account.h"

#include "server/core/error.h"
#include "store/signin_impl.h"

enum {
    RESTORED_ACCOUNTS = 64 /* of one commit */,
    RESTORED_IDS_SHIFT = 24 /* more messages a second than any account gets */
};

struct id_list {
    size_t n, max;
    uint64_t *v;
};

static int id_one(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct id_list *l = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    l->v[l->n++] = key.len == 5 ? unpack_u32(&u) : unpack_u64(&u); /* 'b' mailbox4, 'N' account8 */
    return unpack_done(&u) ? l->n == l->max : ERR_FORMAT;
}

static uint32_t larger_uidvalidity(uint32_t old, uint32_t last, uint64_t now)
{
    uint64_t next = (uint64_t)(old > last ? old : last) + 1;
    if (now > next && now <= UINT32_MAX)
        next = now;
    return next <= UINT32_MAX ? (uint32_t)next : 0;
}

static int account_restored(struct store_write *w)
{
    static uint64_t ids[MAILBOXES_MAX + 1];
    struct id_list boxes = {.v = ids, .max = MAILBOXES_MAX + 1};
    struct schema_account account;
    struct schema_mailbox box;
    struct schema_keybuf from, to;
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err == OK)
        err = engine_scan(w->t, w->account, key_simple(&from, 'b'), key_simple(&to, 'b' + 1), 0, id_one, &boxes);
    if (err > 0)
        return ERR_LIMIT;
    for (size_t i = 0; err == OK && i < boxes.n; i++) {
        if ((err = schema_get_mailbox(w->t, w->keys, w->account, (uint32_t)ids[i], &box)) != OK)
            break;
        box.uidvalidity = larger_uidvalidity(box.uidvalidity, account.uidvalidity_last, w->now);
        if (box.uidvalidity == 0)
            return ERR_LIMIT;
        account.uidvalidity_last = box.uidvalidity;
        w->wrote = true;
        err = schema_put_mailbox(w->t, w->keys, w->account, &box);
    }
    if (err == OK)
        err = signin_restored(w);
    /* Message ids given out since the backup stay theirs: clients of POP3 know messages by them. */
    if (err == OK && w->now <= UINT32_MAX)
        err = usage_skip_numbers(w, w->now << RESTORED_IDS_SHIFT);
    if (err == OK)
        err = usage_end(w);
    w->wrote = true;
    return err == OK ? schema_put_account(w->t, w->keys, w->account, &account) : err;
}

int restored_mark(struct store_write *w, uint64_t next)
{
    struct schema_keybuf k;
    w->wrote = true;
    return next == 0 ? write_del_instance(w, key_simple(&k, 'R')) : schema_put_restored(w->t, w->keys, next);
}

int restored_next(struct store_write *w, uint64_t *ret)
{
    return schema_get_restored(w->t, w->keys, ret);
}

int restored_accounts(struct store_write *w, uint64_t from, uint64_t *ret_next)
{
    uint64_t ids[RESTORED_ACCOUNTS];
    struct id_list accounts = {.v = ids, .max = RESTORED_ACCOUNTS};
    struct schema_keybuf start, end;
    int full =
        engine_scan(w->t, PART_INSTANCE, key_u64(&start, 'N', from), key_simple(&end, 'N' + 1), 0, id_one, &accounts);
    int err = full < 0 ? full : OK;
    for (size_t i = 0; err == OK && i < accounts.n; i++) {
        engine_step(w->t); /* each account is right alone */
        w->account = ids[i];
        err = account_restored(w);
    }
    if (err == OK)
        *ret_next = full > 0 ? ids[accounts.n - 1] + 1 : 0;
    return err;
}
