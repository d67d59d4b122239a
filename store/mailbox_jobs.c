/* The work that deleting or emptying a mailbox leaves, a bounded step at a time. */
#include "store/mailbox_impl.h"

#include <string.h>

#include "server/core/error.h"
#include "store/message.h"

int mailbox_job_put(struct store_write *w, uint32_t mailbox, enum mailbox_job job, uint32_t to, uint32_t uid_end)
{
    const struct schema_job v = {.job = (uint8_t)job, .mailbox = mailbox, .to = to, .uid_end = uid_end};
    w->wrote = true;
    return schema_put_job(w->t, w->keys, w->account, &v);
}

int mailbox_job_move(struct store_write *w, uint32_t from, uint32_t to, uint32_t uid_end, bool *ret_done)
{
    static struct mailbox_set set;
    static uint32_t uids[VAULT_SET_MAX];
    struct uid_range all = {1, uid_end - 1};
    uint32_t validity;
    uint64_t modseq;
    bool done = true;
    int err = uid_end > 1 ? mailbox_set_find(w, from, &all, 1, &set) : (set.n = 0, OK);
    if (err == ERR_LIMIT) { /* the set is full: these first */
        done = false;
        err = OK;
    }
    if (err == OK && set.n > 0)
        err = mailbox_copy(w, from, to, true, &set, uids, &validity, &modseq);
    if (err == OK)
        *ret_done = done;
    return err;
}

struct job_scan {
    const struct store_write *w;
    struct schema_job found;
};

static int job_one(void *arg, struct slice key, struct slice value)
{
    struct job_scan *s = arg;
    int err = schema_unpack_job(s->w->keys, s->w->account, key, value, &s->found);
    return err == OK ? 1 : err;
}

struct erase_scan {
    const struct store_write *w;
    uint32_t n;
    uint32_t uids[ERASE_MESSAGES];
    struct schema_entry entries[ERASE_MESSAGES];
};

static int erase_entry(void *arg, struct slice key, struct slice value)
{
    struct erase_scan *s = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    unpack_u32(&u);
    s->uids[s->n] = unpack_u32(&u);
    int err = schema_unpack_entry(s->w->keys, s->w->account, key, value, &s->entries[s->n]);
    if (err != OK || !unpack_done(&u))
        return err == OK ? ERR_FORMAT : err;
    return ++s->n == ERASE_MESSAGES;
}

struct keys_scan {
    const struct store_write *w;
    uint32_t n, ranges; /* ranges: of tombstones */
    struct {
        uint8_t len, b[ENGINE_KEY_MAX];
    } v[ERASE_KEYS];
};

static int erase_key(void *arg, struct slice key, struct slice value)
{
    struct keys_scan *s = arg;
    struct schema_tombstones gone = {.n = 0};
    int err = key.data[0] != 'x' ? OK : schema_unpack_tombstones(s->w->keys, s->w->account, key, value, &gone);
    if (err != OK)
        return err;
    s->ranges += gone.n;
    s->v[s->n].len = (uint8_t)key.len;
    memcpy(s->v[s->n].b, key.data, key.len);
    return ++s->n == ERASE_KEYS;
}

static int erase_keys(struct store_write *w, char letter, uint32_t mailbox, uint32_t *n)
{
    static struct keys_scan s;
    struct schema_keybuf from, to;
    s.w = w;
    s.n = s.ranges = 0;
    int err = engine_scan(w->t, w->account, key_u32(&from, letter, mailbox), key_u32(&to, letter, mailbox + 1), 0,
                          erase_key, &s);
    for (uint32_t i = 0; err >= 0 && i < s.n; i++)
        err = write_del(w, slice_of(s.v[i].b, s.v[i].len));
    *n += s.n;
    usage_charge(w, letter == 'k'   ? -(int64_t)s.n * CHARGE_BLOCK
                    : letter == 'x' ? -(int64_t)s.n * CHARGE_TOMBSTONES - (int64_t)s.ranges * CHARGE_RANGE
                                    : 0);
    return err < 0 ? err : OK;
}

static int erase_step(struct store_write *w, uint32_t mailbox)
{
    static struct erase_scan s;
    struct schema_keybuf from, to, k;
    s.w = w;
    s.n = 0;
    int err =
        engine_scan(w->t, w->account, key_u32(&from, 'u', mailbox), key_u32(&to, 'u', mailbox + 1), 0, erase_entry, &s);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < s.n; i++) {
        keyword_count(w, &s.entries[i].keywords, -1);
        usage_entry(w, -1);
        if ((err = message_unref(w, s.entries[i].message)) != OK ||
            (err = write_del(w, key_u32_u32(&k, 'u', mailbox, s.uids[i]))) != OK ||
            (err = write_del(w, key_u32_u64_u32(&k, 'w', mailbox, s.entries[i].modseq, s.uids[i]))) != OK)
            return err;
    }
    if (s.n > 0)
        return OK;
    uint32_t n = 0;
    if ((err = erase_keys(w, 'k', mailbox, &n)) != OK || (err = erase_keys(w, 'x', mailbox, &n)) != OK ||
        (err = erase_keys(w, 'w', mailbox, &n)) != OK)
        return err;
    if (n > 0)
        return OK;
    usage_charge(w, -CHARGE_MAILBOX);
    return write_del(w, key_u32(&k, 'Z', mailbox));
}

int mailbox_job_step(struct store_write *w, struct mailbox_job_step *ret)
{
    struct job_scan s = {.w = w};
    struct schema_keybuf from, to;
    int err = engine_scan(w->t, w->account, key_simple(&from, 'Z'), key_simple(&to, 'Z' + 1), 0, job_one, &s);
    if (err <= 0)
        return err == OK ? ERR_NOT_FOUND : err;
    const struct schema_job job = s.found;
    *ret = (struct mailbox_job_step){0, 0};
    if (job.job == JOB_ERASE)
        return erase_step(w, job.mailbox);
    bool done;
    err = mailbox_job_move(w, job.mailbox, job.to, job.uid_end, &done);
    if (err == ERR_NOT_FOUND && !w->wrote) { /* the target was deleted meanwhile: what is left stays where it is */
        err = OK;
        done = true;
    }
    if (err != OK)
        return err;
    *ret = (struct mailbox_job_step){job.mailbox, job.to};
    return done ? write_del(w, key_u32(&from, 'Z', job.mailbox)) : OK;
}
