/* The entries of mailboxes: UIDs, MODSEQs, flags, tombstones, and the counts and bitmaps that go with them. */
#include "store/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "store/message.h"

enum {
    TOMBSTONES_KEPT = 4096, /* records a mailbox, looked after every so many changes: */
    RANGES_KEPT = 32768,    /* in them together */
    TOMBSTONES_EVERY = 512,
    TOMBSTONES_TRIM = 1024, /* at most so many at once */
};

static bool bit_get(const uint8_t *map, uint32_t i)
{
    return map[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *map, uint32_t i, bool on)
{
    if (on)
        map[i / 8] |= (uint8_t)(1u << (i % 8));
    else
        map[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

int mailbox_edit_begin(struct mailbox_edit *e, struct store_write *w, uint32_t mailbox)
{
    struct schema_mailbox box;
    int err = schema_get_mailbox(w->t, w->keys, w->account, mailbox, &box);
    if (err != OK)
        return err;
    e->w = w;
    e->box = box;
    e->modseq = box.highestmodseq + 1;
    e->changed = e->block_loaded = e->block_dirty = false;
    e->gone.n = 0;
    return OK;
}

static int block_flush(struct mailbox_edit *e)
{
    if (!e->block_dirty)
        return OK;
    e->block_dirty = false;
    usage_charge(e->w, ((e->block.count > 0) - e->block_there) * CHARGE_BLOCK);
    e->block_there = e->block.count > 0;
    return schema_put_block(e->w->t, e->w->keys, e->w->account, e->box.id, e->block_no, &e->block);
}

static int block_load(struct mailbox_edit *e, uint32_t uid)
{
    uint32_t no = uid / BLOCK_UIDS;
    if (e->block_loaded && e->block_no == no)
        return OK;
    int err = block_flush(e);
    if (err != OK)
        return err;
    e->block_loaded = false;
    err = schema_get_block(e->w->t, e->w->keys, e->w->account, e->box.id, no, &e->block);
    if (err != OK)
        return err;
    e->block_no = no;
    e->block_loaded = true;
    e->block_there = e->block.count > 0;
    return OK;
}

static void block_mark(struct mailbox_edit *e, uint32_t uid, bool here, uint64_t flags)
{
    uint32_t i = uid % BLOCK_UIDS;
    bit_set(e->block.here, i, here);
    bit_set(e->block.seen, i, here && (flags & FLAG_SEEN));
    bit_set(e->block.answered, i, here && (flags & FLAG_ANSWERED));
    bit_set(e->block.flagged, i, here && (flags & FLAG_FLAGGED));
    bit_set(e->block.deleted_bits, i, here && (flags & FLAG_DELETED));
    bit_set(e->block.draft, i, here && (flags & FLAG_DRAFT));
    e->block_dirty = true;
}

/* Block and mailbox count the same things; by is 1 or -1. */
static void count(struct mailbox_edit *e, uint64_t flags, int by)
{
    if (!(flags & FLAG_SEEN)) {
        e->block.unseen = (uint16_t)(e->block.unseen + by);
        e->box.unseen += (uint32_t)by;
    }
    if (flags & FLAG_DELETED) {
        e->block.deleted = (uint16_t)(e->block.deleted + by);
        e->box.deleted += (uint32_t)by;
    }
}

/* uid, which was the first unseen one, is so no more: go on to the next in its block, or to the block's end. */
static void hint_advance(struct mailbox_edit *e, uint32_t uid)
{
    uint32_t i = uid % BLOCK_UIDS + 1;
    while (i < BLOCK_UIDS && (!bit_get(e->block.here, i) || bit_get(e->block.seen, i)))
        i++;
    uint64_t next = (uint64_t)(uid / BLOCK_UIDS) * BLOCK_UIDS + i;
    e->box.first_unseen_hint = next < e->box.uidnext ? (uint32_t)next : e->box.uidnext;
}

static int index_put(struct mailbox_edit *e, uint64_t modseq, uint32_t uid)
{
    struct schema_keybuf k;
    return write_put(e->w, key_u32_u64_u32(&k, 'w', e->box.id, modseq, uid), slice_of("", 0));
}

static int index_del(struct mailbox_edit *e, uint64_t modseq, uint32_t uid)
{
    struct schema_keybuf k;
    return write_del(e->w, key_u32_u64_u32(&k, 'w', e->box.id, modseq, uid));
}

int mailbox_edit_add(struct mailbox_edit *e, const struct schema_entry *entry, const struct schema_facts *facts,
                     uint32_t *ret_uid)
{
    if (e->box.uidnext == UINT32_MAX)
        return ERR_LIMIT;
    uint32_t uid = e->box.uidnext;
    int err = block_load(e, uid);
    if (err != OK)
        return err;
    e->w->wrote = e->changed = true;
    struct schema_entry new = *entry;
    new.modseq = e->modseq;
    schema_entry_set_facts(e->w->keys, e->w->account, e->box.id, uid, facts, &new);
    if ((err = schema_put_entry(e->w->t, e->w->keys, e->w->account, e->box.id, uid, &new)) != OK ||
        (err = index_put(e, new.modseq, uid)) != OK)
        return err;
    if (!(new.flags &FLAG_SEEN) && e->box.unseen == 0)
        e->box.first_unseen_hint = uid;
    block_mark(e, uid, true, new.flags);
    keyword_count(e->w, &new.keywords, 1);
    usage_entry(e->w, 1);
    e->block.count++;
    count(e, new.flags, 1);
    e->box.exists++;
    e->box.bytes += facts->size;
    e->box.uidnext++;
    *ret_uid = uid;
    return OK;
}

int mailbox_edit_flags(struct mailbox_edit *e, uint32_t uid, struct schema_entry *entry, uint64_t flags,
                       const struct schema_keyset *keywords)
{
    int err = block_load(e, uid);
    if (err != OK)
        return err;
    e->w->wrote = e->changed = true;
    struct schema_entry new = *entry;
    new.flags = flags;
    new.keywords = *keywords;
    new.modseq = e->modseq;
    if ((err = index_del(e, entry->modseq, uid)) != OK || (err = index_put(e, new.modseq, uid)) != OK ||
        (err = schema_put_entry(e->w->t, e->w->keys, e->w->account, e->box.id, uid, &new)) != OK)
        return err;
    count(e, entry->flags, -1);
    count(e, flags, 1);
    block_mark(e, uid, true, flags);
    if (memcmp(&entry->keywords, keywords, sizeof(*keywords)) != 0) {
        keyword_count(e->w, &entry->keywords, -1);
        keyword_count(e->w, keywords, 1);
    }
    if (!(flags & FLAG_SEEN) && uid < e->box.first_unseen_hint)
        e->box.first_unseen_hint = uid;
    else if ((flags & FLAG_SEEN) && uid == e->box.first_unseen_hint)
        hint_advance(e, uid);
    *entry = new;
    return OK;
}

static int tombstones_flush(struct mailbox_edit *e)
{
    if (e->gone.n == 0)
        return OK;
    usage_charge(e->w, CHARGE_TOMBSTONES + (int64_t)e->gone.n * CHARGE_RANGE);
    e->gone.modseq = e->modseq;
    e->w->wrote = true;
    int err = schema_put_tombstones(e->w->t, e->w->keys, e->w->account, e->box.id, &e->gone);
    e->gone.n = 0;
    return err;
}

struct trim_scan {
    const struct store_write *w;
    uint32_t n, ranges;
    struct {
        uint64_t modseq;
        uint32_t ranges;
    } oldest[TOMBSTONES_TRIM];
    uint32_t nold;
};

static int trim_one(void *arg, struct slice key, struct slice value)
{
    struct trim_scan *s = arg;
    struct schema_tombstones gone;
    int err = schema_unpack_tombstones(s->w->keys, s->w->account, key, value, &gone);
    if (err != OK)
        return err;
    s->ranges += gone.n;
    if (s->n++ < TOMBSTONES_KEPT && s->ranges <= RANGES_KEPT)
        return 0;
    s->oldest[s->nold].modseq = gone.modseq;
    s->oldest[s->nold++].ranges = gone.n;
    return s->nold == TOMBSTONES_TRIM;
}

/* RFC 7162 section 5: a server need not remember every expunge. Now and then the oldest go; who asks for older ones is
 * told that they are not known any more. */
static int tombstones_trim(struct mailbox_edit *e)
{
    struct trim_scan s = {.w = e->w};
    struct schema_keybuf from, to, k;
    int err = engine_scan(e->w->t, e->w->account, key_u32(&from, 'x', e->box.id), key_u32(&to, 'x', e->box.id + 1),
                          ENGINE_REVERSE, trim_one, &s);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < s.nold; i++) {
        if ((err = write_del(e->w, key_u32_u64(&k, 'x', e->box.id, s.oldest[i].modseq))) != OK)
            return err;
        usage_charge(e->w, -(int64_t)(CHARGE_TOMBSTONES + s.oldest[i].ranges * CHARGE_RANGE));
        if (s.oldest[i].modseq > e->box.tombstones_from)
            e->box.tombstones_from = s.oldest[i].modseq;
    }
    return OK;
}

static int tombstone_add(struct mailbox_edit *e, uint32_t uid)
{
    struct schema_tombstones *gone = &e->gone;
    if (gone->n > 0 && gone->v[gone->n - 1].last + 1 == uid) {
        gone->v[gone->n - 1].last = uid;
        return OK;
    }
    if (gone->n == TOMBSTONES_MAX) { /* one record holds no more: the rest goes under the next modseq */
        int err = tombstones_flush(e);
        if (err != OK)
            return err;
        e->modseq++;
    }
    gone->v[gone->n].first = gone->v[gone->n].last = uid;
    gone->n++;
    return OK;
}

int mailbox_edit_remove(struct mailbox_edit *e, uint32_t uid, const struct schema_entry *entry)
{
    struct schema_facts facts;
    int err = schema_entry_facts(e->w->keys, e->w->account, e->box.id, uid, entry, &facts);
    if (err == OK)
        err = block_load(e, uid);
    if (err != OK)
        return err;
    if (e->block.count == 0 || e->box.exists == 0 || e->box.bytes < facts.size)
        return ERR_FORMAT;
    e->changed = true;
    struct schema_keybuf k;
    if ((err = write_del(e->w, key_u32_u32(&k, 'u', e->box.id, uid))) != OK ||
        (err = index_del(e, entry->modseq, uid)) != OK || (err = tombstone_add(e, uid)) != OK)
        return err;
    block_mark(e, uid, false, 0);
    keyword_count(e->w, &entry->keywords, -1);
    usage_entry(e->w, -1);
    e->block.count--;
    count(e, entry->flags, -1);
    e->box.exists--;
    e->box.bytes -= facts.size;
    if (uid == e->box.first_unseen_hint)
        hint_advance(e, uid);
    return OK;
}

int mailbox_edit_end(struct mailbox_edit *e)
{
    if (!e->changed)
        return OK;
    int err = block_flush(e);
    if (err == OK)
        err = tombstones_flush(e);
    if (err == OK && e->box.highestmodseq / TOMBSTONES_EVERY != e->modseq / TOMBSTONES_EVERY)
        err = tombstones_trim(e);
    if (err != OK)
        return err;
    e->box.highestmodseq = e->modseq;
    return schema_put_mailbox(e->w->t, e->w->keys, e->w->account, &e->box);
}

/* ---- sets ---- */

static int range_order(const void *a, const void *b)
{
    uint32_t x = ((const struct uid_range *)a)->first, y = ((const struct uid_range *)b)->first;
    return (x > y) - (x < y);
}

int mailbox_ranges_tidy(struct uid_range *ranges, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        if (ranges[i].first == 0 || ranges[i].last < ranges[i].first)
            return ERR_FORMAT;
    if (*n == 0)
        return OK;
    qsort(ranges, *n, sizeof(*ranges), range_order);
    size_t out = 0;
    for (size_t i = 1; i < *n; i++) {
        if (ranges[i].first <= ranges[out].last) {
            if (ranges[i].last > ranges[out].last)
                ranges[out].last = ranges[i].last;
        } else {
            ranges[++out] = ranges[i];
        }
    }
    *n = out + 1;
    return OK;
}

struct set_scan {
    const struct store_write *w;
    struct mailbox_set *to;
};

static int set_one(void *arg, struct slice key, struct slice value)
{
    const struct store_write *w = ((struct set_scan *)arg)->w;
    struct mailbox_set *s = ((struct set_scan *)arg)->to;
    if (s->n == VAULT_SET_MAX)
        return ERR_LIMIT;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    unpack_u32(&u);
    s->v[s->n].uid = unpack_u32(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    int err = schema_unpack_entry(w->keys, w->account, key, value, &s->v[s->n].entry);
    if (err != OK)
        return err;
    s->n++;
    return OK;
}

int mailbox_set_find(struct store_write *w, uint32_t mailbox, const struct uid_range *ranges, size_t n,
                     struct mailbox_set *ret)
{
    struct set_scan scan = {w, ret};
    struct schema_keybuf from, to;
    ret->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct slice end = ranges[i].last < UINT32_MAX ? key_u32_u32(&to, 'u', mailbox, ranges[i].last + 1)
                                                       : key_u32(&to, 'u', mailbox + 1);
        int err =
            engine_scan(w->t, w->account, key_u32_u32(&from, 'u', mailbox, ranges[i].first), end, 0, set_one, &scan);
        if (err != OK)
            return err;
    }
    return OK;
}

/* ---- copy and move ---- */

static int copy_one(struct mailbox_edit *from, struct mailbox_edit *to, bool move, uint32_t uid,
                    const struct schema_entry *entry, uint32_t *ret_uid)
{
    struct schema_facts facts;
    int err = schema_entry_facts(from->w->keys, from->w->account, from->box.id, uid, entry, &facts);
    if (err == OK && !move)
        err = message_ref(from->w, entry->message);
    if (err == OK)
        err = mailbox_edit_add(to, entry, &facts, ret_uid);
    return err == OK && move ? mailbox_edit_remove(from, uid, entry) : err;
}

static int copy_room(struct store_write *w, uint32_t to, uint32_t n)
{
    static struct schema_mailbox_name name;
    int err = usage_room_here(w, (uint64_t)n * CHARGE_ENTRY, n, 0);
    if (err != ERR_QUOTA || schema_get_mailbox_name(w->t, w->keys, w->account, to, &name) != OK ||
        !(name.use & USE_TRASH))
        return err;
    return usage_room_here(w, (uint64_t)n * CHARGE_ENTRY, n, USAGE_TRASH_OVER);
}

int mailbox_copy(struct store_write *w, uint32_t from, uint32_t to, bool move, const struct mailbox_set *set,
                 uint32_t *new_uids, uint32_t *ret_uidvalidity, uint64_t *ret_modseq)
{
    struct mailbox_edit source, target;
    struct mailbox_edit *t = from == to ? &source : &target; /* one mailbox, one edit */
    int err = mailbox_edit_begin(&source, w, from);
    if (err == OK && t == &target)
        err = mailbox_edit_begin(&target, w, to);
    if (err != OK)
        return err;
    if (set->n > UINT32_MAX - t->box.uidnext)
        return ERR_LIMIT;
    if (!move && (err = copy_room(w, to, set->n)) != OK)
        return err;
    for (uint32_t i = 0; i < set->n; i++)
        if ((err = copy_one(&source, t, move, set->v[i].uid, &set->v[i].entry, &new_uids[i])) != OK)
            return err;
    err = mailbox_edit_end(&source);
    if (err == OK && t == &target)
        err = mailbox_edit_end(&target);
    if (err != OK)
        return err;
    *ret_uidvalidity = t->box.uidvalidity;
    *ret_modseq = source.changed ? source.modseq : source.box.highestmodseq;
    return OK;
}
