/* The ledger of usage, and the recount. */
#include "store/usage.h"

#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "store/mailbox.h"
#include "store/write.h"

enum { RECOUNT_STEP = 4096 };

void usage_begin(struct store_write *w)
{
    struct usage_ledger *l = &w->usage;
    l->loaded = l->changed = false;
    l->bytes = l->messages = l->entries = l->counted = 0;
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
    int err = l->loaded ? OK : schema_get_usage(w->t, w->account, &l->was);
    l->loaded = l->loaded || err == OK;
    return err;
}

int usage_begin_empty(struct store_write *w)
{
    usage_begin(w);
    w->usage.account = w->account;
    w->usage.was = (struct schema_usage){.form = USAGE_EXACT};
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

static uint64_t of_blob(uint64_t len)
{
    return len + (len + ENGINE_BLOB_CHUNK - 1) / ENGINE_BLOB_CHUNK * CHARGE_CHUNK;
}

uint64_t usage_of_message(const struct schema_message *m)
{
    return CHARGE_MESSAGE + m->outer_len + of_blob(m->packets_len) + of_blob(m->capsule_len);
}

int usage_message(struct store_write *w, const struct schema_message *m, int by)
{
    int err = load(w);
    if (err != OK)
        return err;
    int64_t bytes = by * (int64_t)usage_of_message(m);
    w->usage.messages += by;
    if (w->usage.was.form == USAGE_COUNTING && m->id <= w->usage.was.cursor)
        w->usage.counted += bytes;
    usage_charge(w, bytes);
    return OK;
}

/* An older version's figure counted less: taking away what it never counted ends at nothing. */
static int add(uint64_t *v, int64_t by, bool exact)
{
    uint64_t less = by < 0 ? (uint64_t)-by : 0;
    if (less > *v && exact)
        return ERR_FORMAT;
    *v = by >= 0 ? *v + (uint64_t)by : less > *v ? 0 : *v - less;
    return OK;
}

static int sum(const struct usage_ledger *l, struct schema_usage *ret)
{
    struct schema_usage u = l->was;
    bool exact = u.form == USAGE_EXACT;
    if (add(&u.bytes, l->bytes, exact) != OK || add(&u.messages, l->messages, true) != OK ||
        (exact && add(&u.entries, l->entries, true) != OK) ||
        (u.form == USAGE_COUNTING && add(&u.counted, l->counted, true) != OK))
        return ERR_FORMAT;
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
    err = schema_put_usage(w->t, w->account, &u);
    usage_begin(w);
    return err;
}

/* ---- counting from the records ---- */

static int walk_message(struct usage_walk *walk, struct slice key, struct slice value)
{
    struct schema_message m;
    int err = schema_unpack_message(key, value, &m);
    if (err != OK)
        return err;
    walk->sum.messages++;
    walk->sum.bytes += usage_of_message(&m);
    return OK;
}

static int walk_tombstones(struct usage_walk *walk, struct slice value)
{
    struct unpack u;
    unpack_init(&u, value.data, value.len);
    walk->sum.bytes += CHARGE_TOMBSTONES + (uint64_t)unpack_u32(&u) * CHARGE_RANGE;
    return u.failed ? ERR_FORMAT : OK;
}

static int walk_mailbox(struct usage_walk *walk, struct slice value)
{
    struct schema_mailbox box;
    int err = schema_unpack_mailbox(value, &box);
    if (err != OK)
        return err;
    walk->sum.bytes += CHARGE_MAILBOX;
    walk->exists += box.exists;
    return OK;
}

static int walk_record(struct usage_walk *walk, struct slice key, struct slice value)
{
    switch (key.data[0]) {
    case 'b': return walk_mailbox(walk, value);
    case 'm': return walk_message(walk, key, value);
    case 'x': return walk_tombstones(walk, value);
    case 'u': walk->sum.entries++, walk->sum.bytes += CHARGE_ENTRY; return OK;
    case 'k': walk->sum.bytes += CHARGE_BLOCK; return OK;
    case 'D': walk->sum.bytes += CHARGE_DELIVERY; return OK;
    case 'F': walk->sum.bytes += CHARGE_KEYWORD; return OK;
    case 's': walk->sum.bytes += CHARGE_SUBSCRIPTION; return OK;
    case 'Z': walk->sum.bytes += value.len > 0 && value.data[0] == JOB_ERASE ? CHARGE_MAILBOX : 0; return OK;
    default: return OK;
    }
}

static int walk_one(void *arg, struct slice key, struct slice value)
{
    struct usage_walk *walk = arg;
    int err = walk_record(walk, key, value);
    if (err != OK)
        return err;
    memcpy(walk->last, key.data, key.len);
    walk->len = key.len;
    return --walk->left == 0;
}

int usage_walk(struct engine_txn *t, uint64_t account, struct slice to, uint32_t max, struct usage_walk *walk)
{
    struct schema_keybuf from = {{0}};
    memcpy(from.b, walk->last, walk->len); /* and the NUL behind it: the next key */
    walk->left = max;
    return engine_scan(t, account, slice_of(from.b, walk->len + 1), to, 0, walk_one, walk);
}

/* ---- the recount of what an older version counted ---- */

/* Everything but the messages, in one step: in number it is the mailboxes', blocks' and recent deliveries'. Entries are
 * as many as the mailboxes say; none is of a mailbox that is being erased, which goes before. */
static int count_rest(struct store_write *w, struct schema_usage *u)
{
    static const char ranges[][2] = {{'\0', 'm'}, {'n', 'u'}, {'x', 'y'}};
    struct usage_walk walk = {.exists = 0};
    struct schema_keybuf to;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        walk.last[0] = (uint8_t)ranges[i][0];
        walk.len = i > 0;
        int err = usage_walk(w->t, w->account, key_simple(&to, ranges[i][1]), UINT32_MAX, &walk);
        if (err != OK)
            return err;
    }
    u->entries = walk.exists;
    u->bytes = u->counted + walk.sum.bytes + walk.exists * CHARGE_ENTRY;
    u->form = USAGE_EXACT;
    return OK;
}

/* A message that comes has a number beyond the cursor, and one that goes is taken off if the cursor has passed it. */
int usage_recount_step(struct store_write *w, bool *ret_more)
{
    struct usage_walk walk = {.exists = 0};
    struct schema_keybuf to, from;
    int err = load(w);
    struct schema_usage *u = &w->usage.was;
    if (err != OK || u->form == USAGE_EXACT)
        return err;
    if (u->form == USAGE_OLD)
        u->cursor = u->counted = 0;
    u->form = USAGE_COUNTING;
    struct slice at = key_u64(&from, 'm', u->cursor);
    memcpy(walk.last, at.data, at.len);
    walk.len = at.len;
    int more = usage_walk(w->t, w->account, key_simple(&to, 'n'), RECOUNT_STEP, &walk);
    if (more < 0)
        return more;
    struct unpack last;
    unpack_init(&last, walk.last + 1, walk.len - 1);
    u->cursor = unpack_u64(&last);
    u->counted += walk.sum.bytes;
    err = more ? OK : count_rest(w, u);
    w->usage.changed = *ret_more = true;
    return err;
}
