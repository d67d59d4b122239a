/* The ledger of usage, and counting it from the records. */
#include "store/usage.h"

#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "store/content.h"
#include "store/fence.h"
#include "store/write.h"

void usage_begin(struct store_write *w)
{
    struct usage_ledger *l = &w->usage;
    l->loaded = l->changed = false;
    l->bytes = l->messages = l->entries = 0;
    l->numbers = 0;
}

/* One account after the other: what was gathered for the last one must have been written. */
static void turn_to(struct store_write *w)
{
    if (w->usage.account == w->account)
        return;
    bug_if(w->usage.changed);
    usage_begin(w);
    w->usage.account = w->account;
}

static int load(struct store_write *w)
{
    struct usage_ledger *l = &w->usage;
    turn_to(w);
    int err = l->loaded ? OK : schema_get_usage(w->t, w->keys, w->account, &l->was);
    l->loaded = l->loaded || err == OK;
    return err == ERR_NOT_FOUND ? ERR_FORMAT : err; /* every account has it */
}

int usage_begin_empty(struct store_write *w)
{
    usage_begin(w);
    w->usage.account = w->account;
    w->usage.was = (struct schema_usage){.number_next = 1};
    w->usage.loaded = w->usage.changed = true;
    return OK;
}

void usage_charge(struct store_write *w, int64_t bytes)
{
    turn_to(w);
    w->usage.bytes += bytes;
    w->usage.changed = true;
}

void usage_entry(struct store_write *w, int by)
{
    usage_charge(w, by * CHARGE_ENTRY);
    w->usage.entries += by;
}

uint64_t usage_of_message(const struct schema_message *m)
{
    uint32_t chunks;
    uint64_t stored = content_most(m, &chunks);
    return CHARGE_MESSAGE + m->outer_len + stored + chunks * (uint64_t)CHARGE_CHUNK;
}

void usage_message(struct store_write *w, const struct schema_message *m, int by)
{
    usage_charge(w, by * (int64_t)usage_of_message(m));
    w->usage.messages += by;
}

int usage_take_number(struct store_write *w, uint64_t *ret)
{
    int err = load(w);
    if (err != OK)
        return err;
    uint64_t number = w->usage.was.number_next + w->usage.numbers;
    if (number >= MESSAGE_ID_MAX)
        return ERR_LIMIT;
    w->usage.numbers++;
    w->usage.changed = true;
    *ret = number;
    return OK;
}

int usage_skip_numbers(struct store_write *w, uint64_t next)
{
    int err = load(w);
    if (err == OK && next > w->usage.was.number_next + w->usage.numbers) {
        w->usage.numbers = next - w->usage.was.number_next;
        w->usage.changed = true;
    }
    return err;
}

static int add(uint64_t *v, int64_t by)
{
    if (by < 0 && (uint64_t)-by > *v)
        return ERR_FORMAT;
    *v += (uint64_t)by;
    return OK;
}

static int sum(const struct usage_ledger *l, struct schema_usage *ret)
{
    struct schema_usage u = l->was;
    if (add(&u.bytes, l->bytes) != OK || add(&u.messages, l->messages) != OK || add(&u.entries, l->entries) != OK)
        return ERR_FORMAT;
    u.number_next += l->numbers;
    *ret = u;
    return OK;
}

int usage_room(struct store_write *w, const struct schema_account *account, uint64_t bytes, uint32_t entries)
{
    struct schema_usage u;
    int err = load(w);
    if (err == OK)
        err = sum(&w->usage, &u);
    if (err != OK)
        return err;
    if (entries > 0 && w->entries_max > 0 && u.entries + entries > w->entries_max)
        return ERR_QUOTA;
    uint64_t quota = account->quota_bytes;
    return quota > 0 && bytes > 0 && (u.bytes > quota || bytes > quota - u.bytes) ? ERR_QUOTA : OK;
}

int usage_room_here(struct store_write *w, uint64_t bytes, uint32_t entries, uint64_t over)
{
    struct schema_account account;
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err == OK && account.quota_bytes > 0)
        account.quota_bytes += over;
    if (err == OK)
        err = usage_room(w, &account, bytes, entries);
    explicit_bzero(&account, sizeof(account));
    return err;
}

int usage_end(struct store_write *w)
{
    struct schema_usage u;
    if (!w->usage.changed)
        return OK;
    int err = load(w);
    if (err == OK)
        err = sum(&w->usage, &u);
    if (err != OK)
        return err;
    w->wrote = true;
    err = schema_put_usage(w->t, w->keys, w->account, &u);
    usage_begin(w);
    return err;
}

/* ---- counting from the records ---- */

struct counting {
    const struct record_keys *keys;
    uint64_t account;
    struct usage_walk *walk;
};

static int count_message(struct counting *c, struct slice key, struct slice value)
{
    struct schema_message m;
    int err = schema_unpack_message(c->keys, c->account, key, value, &m);
    if (err != OK)
        return err;
    c->walk->sum.messages++;
    c->walk->sum.bytes += usage_of_message(&m);
    return OK;
}

static int count_tombstones(struct counting *c, struct slice key, struct slice value)
{
    struct schema_tombstones gone;
    int err = schema_unpack_tombstones(c->keys, c->account, key, value, &gone);
    if (err == OK)
        c->walk->sum.bytes += CHARGE_TOMBSTONES + (uint64_t)gone.n * CHARGE_RANGE;
    return err;
}

/* A mailbox that is being erased is charged until it is gone; one that is emptied has its 'b'. */
static int count_job(struct counting *c, struct slice key, struct slice value)
{
    struct schema_job job;
    int err = schema_unpack_job(c->keys, c->account, key, value, &job);
    if (err == OK)
        c->walk->sum.bytes += job.job == JOB_ERASE ? CHARGE_MAILBOX : 0;
    return err;
}

static int count_record(struct counting *c, struct slice key, struct slice value)
{
    struct schema_usage *sum = &c->walk->sum;
    switch (key.data[0]) {
    case 'm': return count_message(c, key, value);
    case 'x': return count_tombstones(c, key, value);
    case 'Z': return count_job(c, key, value);
    case 'u': sum->entries++, sum->bytes += CHARGE_ENTRY; return OK;
    case 'b': sum->bytes += CHARGE_MAILBOX; return OK;
    case 'k': sum->bytes += CHARGE_BLOCK; return OK;
    case 'D': sum->bytes += CHARGE_DELIVERY; return OK;
    case 'F': sum->bytes += CHARGE_KEYWORD; return OK;
    case 's': sum->bytes += CHARGE_SUBSCRIPTION; return OK;
    default: return OK;
    }
}

static int count_one(void *arg, struct slice key, struct slice value)
{
    struct counting *c = arg;
    int err = count_record(c, key, value);
    if (err != OK)
        return err;
    memcpy(c->walk->last, key.data, key.len);
    c->walk->len = key.len;
    return --c->walk->left == 0;
}

int usage_walk(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t max,
               struct usage_walk *walk)
{
    struct counting c = {k, account, walk};
    struct schema_keybuf from = {{0}};
    memcpy(from.b, walk->last, walk->len); /* and the NUL behind it: the next key */
    walk->left = max;
    return engine_scan(t, account, slice_of(from.b, walk->len + 1), slice_of("", 0), 0, count_one, &c);
}
