/* The records of mailboxes: entries, what is kept of them to be fast, and what is gone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/schema_impl.h"

struct place {
    uint32_t mailbox, uid; /* or block */
    uint64_t modseq;
};

static struct place place_in(struct slice key, bool modseq)
{
    struct place p = {0};
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    (void)unpack_u8(&u);
    p.mailbox = unpack_u32(&u);
    if (modseq)
        p.modseq = unpack_u64(&u);
    p.uid = unpack_u32(&u);
    return p;
}

/* The mailbox's numbers; false: it is not there, which is said unless it is being erased. */
static bool turn_to_box(struct check *c, uint32_t mailbox)
{
    struct schema_keybuf kb;
    if (c->box_id == mailbox)
        return c->box_there;
    c->box_id = mailbox;
    check_found_there(c, schema_get_mailbox(c->t, c->k, c->part, mailbox, &c->box), &c->box_there);
    if (!c->box_there && !c->err && !check_has(c, c->part, key_u32(&kb, 'Z', mailbox)))
        check_fault(c, "there is no mailbox %" PRIu32, mailbox);
    return c->box_there;
}

static bool bit(const uint8_t *map, uint32_t i)
{
    return map[i / 8] >> i % 8 & 1;
}

/* What the block says of a UID. */
static uint64_t flags_in(const struct schema_block *b, uint32_t i)
{
    return (bit(b->seen, i) ? FLAG_SEEN : 0) | (bit(b->answered, i) ? FLAG_ANSWERED : 0) |
           (bit(b->flagged, i) ? FLAG_FLAGGED : 0) | (bit(b->deleted_bits, i) ? FLAG_DELETED : 0) |
           (bit(b->draft, i) ? FLAG_DRAFT : 0);
}

static bool turn_to_block(struct check *c, uint32_t mailbox, uint32_t number)
{
    if (c->block_no == number && c->block_box == mailbox)
        return true;
    int err = schema_get_block(c->t, c->k, c->part, mailbox, number, &c->block);
    if (err) {
        c->block_no = UINT32_MAX;
        if (err != ERR_CRYPTO && err != ERR_FORMAT) /* said of the block itself */
            c->err = err;
        return false;
    }
    c->block_no = number;
    c->block_box = mailbox;
    return true;
}

static void see_keywords(struct check *c, const struct schema_entry *e)
{
    for (unsigned i = 0; i < KEYWORDS_MAX; i++) {
        if (!schema_keyset_has(&e->keywords, i))
            continue;
        c->walk->carry[i]++;
        if (i >= c->keywords.n || c->keywords.v[i].text[0] == '\0')
            check_fault(c, "it carries keyword %u, which there is not", i);
    }
}

/* Of the message that the entry names. */
static void see_facts(struct check *c, struct place p, const struct schema_entry *e)
{
    struct schema_message m;
    struct schema_facts said, is;
    int err = schema_get_message(c->t, c->k, c->part, e->message, &m, NULL);
    if (err == ERR_NOT_FOUND) {
        check_fault(c, "it names message %" PRIu64 ", which is not there", e->message);
    } else if (!err) {
        is = schema_message_facts(&m);
        if (schema_entry_facts(c->k, c->part, p.mailbox, p.uid, e, &said) || said.size != is.size ||
            said.internaldate != is.internaldate)
            check_fault(c, "it has another size or date than its message");
    } else if (err != ERR_CRYPTO && err != ERR_FORMAT && err != ERR_VERSION) { /* said of the message itself */
        c->err = err;
    }
}

static void see_message(struct check *c, uint64_t message)
{
    struct check_refs *r = c->refs;
    if (!r)
        return;
    if (c->walk->nrefs == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        uint64_t *more = reallocarray(r->message, cap, sizeof(*more));
        if (!more) {
            c->err = ERR_MEMORY;
            return;
        }
        r->message = more;
        r->cap = cap;
    }
    r->message[c->walk->nrefs++] = message;
}

/* 'u' */
void check_entry(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb;
    struct schema_entry e;
    struct place p = place_in(key, false);
    if (!check_opened(c, schema_unpack_entry(c->k, c->part, key, value, &e)) || !c->whole)
        return;
    see_facts(c, p, &e);
    see_message(c, e.message);
    see_keywords(c, &e);
    if (!turn_to_box(c, p.mailbox))
        return;
    if (p.uid == 0 || p.uid >= c->box.uidnext || e.modseq > c->box.highestmodseq)
        check_fault(c, "its UID or its modseq was not given out yet");
    if (!check_has(c, c->part, key_u32_u64_u32(&kb, 'w', p.mailbox, e.modseq, p.uid)))
        check_fault(c, "the index of changes lacks it");
    uint32_t i = p.uid % BLOCK_UIDS;
    if (!turn_to_block(c, p.mailbox, p.uid / BLOCK_UIDS))
        return;
    if (!bit(c->block.here, i))
        check_fault(c, "its block does not have it");
    else if (flags_in(&c->block, i) != e.flags)
        check_fault(c, "its block has other flags");
    if (!(e.flags & FLAG_SEEN) && p.uid < c->box.first_unseen_hint)
        check_fault(c, "it is unseen, and its mailbox says that nothing is below UID %" PRIu32,
                    c->box.first_unseen_hint);
}

static int count_one(void *arg, struct slice key, struct slice value)
{
    ++*(uint32_t *)arg;
    (void)key;
    (void)value;
    return 0;
}

/* 'k': each of its bits is held against the entry when that is looked at, so their number is enough here. */
void check_block(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf from, to;
    struct schema_block b;
    struct place p = place_in(key, false);
    uint32_t entries = 0;
    if (!check_opened(c, schema_unpack_block(c->k, c->part, key, value, &b)) || !c->whole || !turn_to_box(c, p.mailbox))
        return;
    uint64_t first = (uint64_t)p.uid * BLOCK_UIDS;
    if (first >= c->box.uidnext) {
        check_fault(c, "its UIDs were not given out yet");
        return;
    }
    struct slice end = first + BLOCK_UIDS > UINT32_MAX ? key_u32(&to, 'u', p.mailbox + 1)
                                                       : key_u32_u32(&to, 'u', p.mailbox, (uint32_t)first + BLOCK_UIDS);
    int err =
        engine_scan(c->t, c->part, key_u32_u32(&from, 'u', p.mailbox, (uint32_t)first), end, 0, count_one, &entries);
    if (err)
        c->err = err;
    else if (entries != b.count)
        check_fault(c, "it counts %u, there are %" PRIu32, b.count, entries);
}

/* 'w' */
void check_change(struct check *c, struct slice key, struct slice value)
{
    struct schema_entry e;
    struct place p = place_in(key, true);
    (void)value;
    if (!c->whole || !turn_to_box(c, p.mailbox))
        return;
    int err = schema_get_entry(c->t, c->k, c->part, p.mailbox, p.uid, &e);
    if (err == ERR_NOT_FOUND || (!err && e.modseq != p.modseq))
        check_fault(c, err ? "there is no such entry" : "the entry has another modseq");
    else if (err && err != ERR_CRYPTO && err != ERR_FORMAT) /* said of the entry itself */
        c->err = err;
}

/* 'x' */
void check_tombstones(struct check *c, struct slice key, struct slice value)
{
    static struct schema_tombstones gone;
    struct schema_keybuf from, to;
    struct place p = place_in(key, true);
    uint32_t here = 0;
    if (!check_opened(c, schema_unpack_tombstones(c->k, c->part, key, value, &gone)) || !c->whole ||
        !turn_to_box(c, p.mailbox))
        return;
    if (gone.modseq > c->box.highestmodseq)
        check_fault(c, "its modseq was not given out yet");
    for (uint32_t i = 0; i < gone.n && !c->err; i++) {
        if (gone.v[i].last >= c->box.uidnext || (i && gone.v[i].first <= gone.v[i - 1].last)) {
            check_fault(c, "it has UIDs that were not given out yet, or twice");
            return;
        }
        c->err = engine_scan(c->t, c->part, key_u32_u32(&from, 'u', p.mailbox, gone.v[i].first),
                             key_u32_u32(&to, 'u', p.mailbox, gone.v[i].last + 1), 0, count_one, &here);
    }
    if (here && !c->err)
        check_fault(c, "%" PRIu32 " entries are there that it says are gone", here);
}

/* 'B' */
void check_box_name(struct check *c, struct slice key, struct slice value)
{
    struct schema_mailbox_name name;
    if (check_opened(c, schema_unpack_mailbox_name(c->k, c->part, key, value, &name)) && c->whole &&
        turn_to_box(c, place_in(key, false).mailbox) && c->box.id >= c->account.mailbox_next)
        check_fault(c, "its number was not given out yet");
}

struct sum {
    struct check *c;
    uint32_t count, unseen, deleted;
};

static int add_block(void *arg, struct slice key, struct slice value)
{
    struct sum *s = arg;
    struct schema_block b;
    int err = schema_unpack_block(s->c->k, s->c->part, key, value, &b);
    if (err)
        return err;
    s->count += b.count;
    s->unseen += b.unseen;
    s->deleted += b.deleted;
    return 0;
}

/* 'b' */
void check_box(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf kb, from, to;
    struct schema_mailbox box;
    struct sum s = {.c = c};
    uint32_t mailbox = place_in(key, false).mailbox;
    if (!check_opened(c, schema_unpack_mailbox(c->k, c->part, key, value, &box)) || !c->whole)
        return;
    if (box.id != mailbox || box.uidvalidity > c->account.uidvalidity_last)
        check_fault(c, "its number or UIDVALIDITY was not given out yet");
    if (!check_has(c, c->part, key_u32(&kb, 'B', mailbox)))
        check_fault(c, "it has no name");
    struct slice prefix = key_u32(&from, 'k', mailbox);
    int err = engine_scan(c->t, c->part, prefix, key_after(&to, prefix), 0, add_block, &s);
    if (err == ERR_CRYPTO || err == ERR_FORMAT)
        return; /* said of the block itself */
    if (err)
        c->err = err;
    else if (s.count != box.exists || s.unseen != box.unseen || s.deleted != box.deleted)
        check_fault(c, "it counts %" PRIu32 ", its blocks %" PRIu32 "; unseen %" PRIu32 " and %" PRIu32, box.exists,
                    s.count, box.unseen, s.unseen);
}
