/* Values that are numbers alone: usage, mailboxes, blocks of UIDs, entries. Reading is strict: a value that we would
 * not have written is a damaged store. */
#include "store/schema_impl.h"

#include <string.h>

#include "server/core/error.h"

enum {
    USAGE_VERSION = 1,
    MAILBOX_VERSION = 1,
    USAGE_SIZE = 1 + 4 * 8,
    MAILBOX_SIZE = 1 + 7 * 4 + 4 * 8,
    BLOCK_SIZE = 3 * 2 + 6 * BLOCK_BITMAP,
    ENTRY_SIZE = 3 * 8 + RECORD_BLOCK_SIZE + 1 + KEYWORD_WORDS * 8
};

_Static_assert((int)BLOCK_SIZE <= (int)TAGGED_MAX, "a block");

int schema_get_usage(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_usage *ret)
{
    struct schema_keybuf kb;
    struct schema_usage v;
    struct slice key = key_simple(&kb, 'q');
    uint8_t plain[USAGE_SIZE];
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, account, key, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, USAGE_VERSION);
    v.bytes = unpack_u64(&u);
    v.messages = unpack_u64(&u);
    v.entries = unpack_u64(&u);
    v.number_next = unpack_u64(&u);
    if (!err && !unpack_done(&u))
        err = ERR_FORMAT;
    if (!err)
        *ret = v;
    return err;
}

int schema_put_usage(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_usage *v)
{
    struct schema_keybuf kb;
    uint8_t buf[USAGE_SIZE];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u8(&p, USAGE_VERSION);
    pack_u64(&p, v->bytes);
    pack_u64(&p, v->messages);
    pack_u64(&p, v->entries);
    pack_u64(&p, v->number_next);
    return sealed_put(t, k, account, key_simple(&kb, 'q'), &p);
}

/* The mailbox that a key of letter and u32 names. */
static int key_mailbox(struct slice key, uint32_t *ret)
{
    struct unpack u = key_fields(key);
    *ret = unpack_u32(&u);
    return unpack_done(&u) ? OK : ERR_FORMAT;
}

static int mailbox_fields(const uint8_t *plain, size_t len, struct schema_mailbox *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, MAILBOX_VERSION);
    if (err)
        return err;
    ret->id = unpack_u32(&u);
    ret->uidvalidity = unpack_u32(&u);
    ret->uidnext = unpack_u32(&u);
    ret->exists = unpack_u32(&u);
    ret->unseen = unpack_u32(&u);
    ret->deleted = unpack_u32(&u);
    ret->first_unseen_hint = unpack_u32(&u);
    ret->highestmodseq = unpack_u64(&u);
    ret->bytes = unpack_u64(&u);
    ret->created = unpack_u64(&u);
    ret->tombstones_from = unpack_u64(&u);
    return unpack_done(&u) && ret->unseen <= ret->exists && ret->deleted <= ret->exists &&
                   ret->tombstones_from <= ret->highestmodseq
               ? OK
               : ERR_FORMAT;
}

int schema_unpack_mailbox(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct schema_mailbox *ret)
{
    struct schema_mailbox m;
    uint8_t plain[MAILBOX_SIZE];
    uint32_t mailbox;
    size_t len;
    int err = key_mailbox(key, &mailbox);
    if (!err)
        err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (!err)
        err = mailbox_fields(plain, len, &m);
    if (!err && m.id != mailbox)
        err = ERR_FORMAT;
    if (!err)
        *ret = m;
    return err;
}

int schema_get_mailbox(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                       struct schema_mailbox *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u32(&kb, 'b', mailbox), value;
    int err = engine_get(t, account, key, &value);
    return err ? err : schema_unpack_mailbox(k, account, key, value, ret);
}

int schema_put_mailbox(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_mailbox *v)
{
    struct schema_keybuf kb;
    uint8_t buf[MAILBOX_SIZE];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u8(&p, MAILBOX_VERSION);
    pack_u32(&p, v->id);
    pack_u32(&p, v->uidvalidity);
    pack_u32(&p, v->uidnext);
    pack_u32(&p, v->exists);
    pack_u32(&p, v->unseen);
    pack_u32(&p, v->deleted);
    pack_u32(&p, v->first_unseen_hint);
    pack_u64(&p, v->highestmodseq);
    pack_u64(&p, v->bytes);
    pack_u64(&p, v->created);
    pack_u64(&p, v->tombstones_from);
    return sealed_put(t, k, account, key_u32(&kb, 'b', v->id), &p);
}

static void unpack_bits(struct unpack *u, uint8_t out[BLOCK_BITMAP])
{
    struct slice s = unpack_raw(u, BLOCK_BITMAP);
    if (s.len == BLOCK_BITMAP)
        memcpy(out, s.data, BLOCK_BITMAP);
}

static unsigned bits_in(const uint8_t map[BLOCK_BITMAP], const uint8_t mask[BLOCK_BITMAP])
{
    unsigned n = 0;
    for (size_t i = 0; i < BLOCK_BITMAP; i += 8) {
        uint64_t a, b;
        memcpy(&a, map + i, 8);
        memcpy(&b, mask + i, 8);
        n += (unsigned)__builtin_popcountll(a & b);
    }
    return n;
}

/* The counts must be those of the bitmaps: SELECT and STATUS believe them. */
static bool block_right(const struct schema_block *b)
{
    unsigned here = bits_in(b->here, b->here), seen = bits_in(b->seen, b->here);
    return b->count == here && b->unseen == here - seen && b->deleted == bits_in(b->deleted_bits, b->here);
}

int schema_unpack_block(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        struct schema_block *ret)
{
    struct schema_block b;
    struct unpack u;
    int err = tagged_open(k, account, key, value, &u);
    if (err)
        return err;
    b.count = unpack_u16(&u);
    b.unseen = unpack_u16(&u);
    b.deleted = unpack_u16(&u);
    unpack_bits(&u, b.here);
    unpack_bits(&u, b.seen);
    unpack_bits(&u, b.answered);
    unpack_bits(&u, b.flagged);
    unpack_bits(&u, b.deleted_bits);
    unpack_bits(&u, b.draft);
    if (!unpack_done(&u) || !block_right(&b))
        return ERR_FORMAT;
    *ret = b;
    return OK;
}

int schema_get_block(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t block, struct schema_block *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u32_u32(&kb, 'k', mailbox, block), value;
    int err = engine_get(t, account, key, &value);
    if (!err)
        return schema_unpack_block(k, account, key, value, ret);
    if (err != ERR_NOT_FOUND)
        return err;
    memset(ret, 0, sizeof(*ret));
    return OK;
}

int schema_put_block(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t block, const struct schema_block *v)
{
    struct schema_keybuf kb;
    struct slice key = key_u32_u32(&kb, 'k', mailbox, block);
    uint8_t buf[BLOCK_SIZE];
    struct pack p;
    if (!v->count) {
        int err = engine_del(t, account, key);
        return err == ERR_NOT_FOUND ? OK : err;
    }
    pack_init(&p, buf, sizeof(buf));
    pack_u16(&p, v->count);
    pack_u16(&p, v->unseen);
    pack_u16(&p, v->deleted);
    pack_raw(&p, v->here, BLOCK_BITMAP);
    pack_raw(&p, v->seen, BLOCK_BITMAP);
    pack_raw(&p, v->answered, BLOCK_BITMAP);
    pack_raw(&p, v->flagged, BLOCK_BITMAP);
    pack_raw(&p, v->deleted_bits, BLOCK_BITMAP);
    pack_raw(&p, v->draft, BLOCK_BITMAP);
    return tagged_put(t, k, account, key, &p);
}

/* Those up to the last that is not 0, which are all that is written. */
static unsigned words(const struct schema_keyset *s)
{
    unsigned n = KEYWORD_WORDS;
    while (n && s->w[n - 1] == 0)
        n--;
    return n;
}

int schema_unpack_entry(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        struct schema_entry *ret)
{
    struct schema_entry e;
    struct unpack u;
    int err = tagged_open(k, account, key, value, &u);
    if (err)
        return err;
    e.message = unpack_u64(&u);
    e.flags = unpack_u64(&u);
    e.modseq = unpack_u64(&u);
    struct slice facts = unpack_raw(&u, RECORD_BLOCK_SIZE);
    unsigned n = unpack_u8(&u);
    e.keywords = (struct schema_keyset){0};
    for (unsigned i = 0; i < n && i < KEYWORD_WORDS; i++)
        e.keywords.w[i] = unpack_u64(&u);
    if (!unpack_done(&u) || (e.flags & ~(uint64_t)FLAGS_SYSTEM) || n > KEYWORD_WORDS || (n && e.keywords.w[n - 1] == 0))
        return ERR_FORMAT;
    memcpy(e.facts, facts.data, sizeof(e.facts));
    *ret = e;
    return OK;
}

int schema_get_entry(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t uid, struct schema_entry *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u32_u32(&kb, 'u', mailbox, uid), value;
    int err = engine_get(t, account, key, &value);
    return err ? err : schema_unpack_entry(k, account, key, value, ret);
}

int schema_put_entry(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t uid, const struct schema_entry *v)
{
    struct schema_keybuf kb;
    uint8_t buf[ENTRY_SIZE];
    struct pack p;
    unsigned n = words(&v->keywords);
    if (v->flags & ~(uint64_t)FLAGS_SYSTEM)
        return ERR_LIMIT;
    pack_init(&p, buf, sizeof(buf));
    pack_u64(&p, v->message);
    pack_u64(&p, v->flags);
    pack_u64(&p, v->modseq);
    pack_raw(&p, v->facts, sizeof(v->facts));
    pack_u8(&p, (uint8_t)n);
    for (unsigned i = 0; i < n; i++)
        pack_u64(&p, v->keywords.w[i]);
    return tagged_put(t, k, account, key_u32_u32(&kb, 'u', mailbox, uid), &p);
}

static struct record_place facts_place(uint64_t account, uint32_t mailbox, uint32_t uid)
{
    struct record_place place = {.block = uid % RECORD_UNIT_BLOCKS};
    struct pack p;
    pack_init(&p, place.unit, sizeof(place.unit));
    pack_u64(&p, account);
    pack_u32(&p, mailbox);
    pack_u32(&p, uid / RECORD_UNIT_BLOCKS);
    return place;
}

int schema_entry_facts(const struct record_keys *k, uint64_t account, uint32_t mailbox, uint32_t uid,
                       const struct schema_entry *v, struct schema_facts *ret)
{
    const struct record_place place = facts_place(account, mailbox, uid);
    uint8_t plain[RECORD_BLOCK_SIZE];
    struct unpack u;
    if (!record_keys_have(k, RECORD_ENTRY))
        return ERR_DENIED;
    record_block_show(k, &place, v->facts, plain);
    unpack_init(&u, plain, sizeof(plain));
    struct schema_facts f = {.size = unpack_u64(&u), .internaldate = (int64_t)unpack_u64(&u)};
    if (f.size > SCHEMA_RENDERED_MAX)
        return ERR_FORMAT;
    *ret = f;
    return OK;
}

void schema_entry_set_facts(const struct record_keys *k, uint64_t account, uint32_t mailbox, uint32_t uid,
                            const struct schema_facts *facts, struct schema_entry *v)
{
    const struct record_place place = facts_place(account, mailbox, uid);
    uint8_t plain[RECORD_BLOCK_SIZE];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u64(&p, facts->size);
    pack_u64(&p, (uint64_t)facts->internaldate);
    record_block_hide(k, &place, plain, v->facts);
}
