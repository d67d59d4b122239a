#include "store/schema_table.h"
#include "tests/support/vault_recount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

uint32_t key_part32(struct slice key, size_t at)
{
    const uint8_t *p = key.data + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t key_part64(struct slice key, size_t at)
{
    return (uint64_t)key_part32(key, at) << 32 | key_part32(key, at + 4);
}

static int recount_box_seen(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    struct schema_job job = {.job = 0};
    assert_true(r->nboxes < RECOUNT_BOXES);
    r->boxes[r->nboxes].id = key_part32(key, 1);
    r->boxes[r->nboxes].doomed = key.data[0] == 'Z';
    if (key.data[0] == 'Z')
        assert_int_equal(schema_unpack_job(r->keys, r->account, key, value, &job), OK);
    if (job.job == JOB_MOVE)
        return 0; /* a mailbox that stays */
    r->nboxes++;
    return 0;
}

static int recount_entry(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    struct schema_entry e;
    uint32_t uid = key_part32(key, 5);
    assert_int_equal(schema_unpack_entry(r->keys, r->account, key, value, &e), OK);
    assert_true(e.message > 0 && e.message < RECOUNT_MESSAGES);
    r->references[e.message]++;
    r->exists++;
    r->unseen += !(e.flags & FLAG_SEEN);
    r->deleted += (e.flags & FLAG_DELETED) != 0;
    r->last_uid = uid;
    if (!(e.flags & FLAG_SEEN) && r->first_unseen == 0)
        r->first_unseen = uid;
    for (unsigned i = 0; i < KEYWORDS_MAX; i++)
        r->carried[i] += schema_keyset_has(&e.keywords, i);
    if (e.modseq > r->highest)
        r->highest = e.modseq;
    struct schema_keybuf k;
    struct slice found;
    assert_int_equal(engine_get(r->t, r->account, key_u32_u64_u32(&k, 'w', r->box, e.modseq, uid), &found), OK);
    struct schema_message m;
    assert_int_equal(schema_get_message(r->t, r->keys, r->account, e.message, &m, NULL), OK);
    r->bytes += schema_message_size(&m);
    struct schema_facts facts, is = schema_message_facts(&m);
    assert_int_equal(schema_entry_facts(r->keys, r->account, r->box, uid, &e, &facts), OK);
    assert_true(facts.size == is.size && facts.internaldate == is.internaldate);
    struct schema_block block;
    assert_int_equal(schema_get_block(r->t, r->keys, r->account, r->box, uid / BLOCK_UIDS, &block), OK);
    uint32_t i = uid % BLOCK_UIDS;
    if (r->blocks != NULL) { /* what is doomed keeps its blocks as they were */
#define BIT(map) ((block.map[i / 8] >> (i % 8)) & 1)
        assert_int_equal(BIT(here), 1);
        assert_int_equal(BIT(seen), (e.flags & FLAG_SEEN) != 0);
        assert_int_equal(BIT(answered), (e.flags & FLAG_ANSWERED) != 0);
        assert_int_equal(BIT(flagged), (e.flags & FLAG_FLAGGED) != 0);
        assert_int_equal(BIT(deleted_bits), (e.flags & FLAG_DELETED) != 0);
        assert_int_equal(BIT(draft), (e.flags & FLAG_DRAFT) != 0);
#undef BIT
    }
    return 0;
}

static int recount_block(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    struct schema_block b, *sum = r->blocks;
    assert_int_equal(schema_unpack_block(r->keys, r->account, key, value, &b), OK);
    uint32_t here = 0, unseen = 0, deleted = 0;
    for (unsigned i = 0; i < BLOCK_UIDS; i++) {
        bool is = b.here[i / 8] >> (i % 8) & 1;
        here += is;
        unseen += is && !(b.seen[i / 8] >> (i % 8) & 1);
        deleted += b.deleted_bits[i / 8] >> (i % 8) & 1;
        if (!is)
            assert_false(
                (b.seen[i / 8] | b.answered[i / 8] | b.flagged[i / 8] | b.deleted_bits[i / 8] | b.draft[i / 8]) >>
                    (i % 8) &
                1);
    }
    assert_true(here > 0); /* empty blocks are not kept */
    assert_int_equal(b.count, here);
    assert_int_equal(b.unseen, unseen);
    assert_int_equal(b.deleted, deleted);
    sum->count = (uint16_t)(sum->count + here);
    sum->unseen = (uint16_t)(sum->unseen + unseen);
    sum->deleted = (uint16_t)(sum->deleted + deleted);
    return 0;
}

int recount_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    (*(uint32_t *)arg)++;
    return 0;
}

static int recount_tombstone(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    struct schema_tombstones gone;
    assert_int_equal(schema_unpack_tombstones(r->keys, r->account, key, value, &gone), OK);
    assert_true(gone.modseq == key_part64(key, 5) && gone.modseq <= r->last_modseq);
    assert_true(gone.n > 0);
    for (uint32_t i = 0; i < gone.n; i++) {
        uint32_t first = gone.v[i].first, last = gone.v[i].last;
        assert_true(first <= last && last - first < VAULT_SET_MAX);
        r->gone += last - first + 1;
        for (uint32_t uid = first; uid <= last; uid++) {
            struct schema_entry e;
            assert_int_equal(schema_get_entry(r->t, r->keys, r->account, r->box, uid, &e), ERR_NOT_FOUND);
        }
    }
    return 0;
}

static int scan32(struct recount *r, char letter, uint32_t v, int (*fn)(void *, struct slice, struct slice), void *arg)
{
    struct schema_keybuf from, to;
    return engine_scan(r->t, r->account, key_u32(&from, letter, v), key_u32(&to, letter, v + 1), 0, fn, arg);
}

static int scan_letter(struct recount *r, char letter, int (*fn)(void *, struct slice, struct slice), void *arg)
{
    struct schema_keybuf from, to;
    return engine_scan(r->t, r->account, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, fn, arg);
}

static void recount_box(struct recount *r, uint32_t id, bool doomed)
{
    struct schema_mailbox box;
    struct schema_block sum = {0};
    static struct schema_mailbox_name name;
    r->box = id;
    r->exists = r->unseen = r->deleted = r->last_uid = r->first_unseen = r->index = r->gone = 0;
    r->bytes = r->highest = 0;
    r->blocks = doomed ? NULL : &sum;
    assert_int_equal(scan32(r, 'u', id, recount_entry, r), OK);
    assert_int_equal(scan32(r, 'w', id, recount_one, &r->index), OK);
    assert_int_equal(r->index, r->exists);
    if (doomed) {
        assert_int_equal(schema_get_mailbox(r->t, r->keys, r->account, id, &box), ERR_NOT_FOUND);
        assert_int_equal(schema_get_mailbox_name(r->t, r->keys, r->account, id, &name), ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(schema_get_mailbox(r->t, r->keys, r->account, id, &box), OK);
    assert_int_equal(schema_get_mailbox_name(r->t, r->keys, r->account, id, &name), OK);
    assert_int_equal(mailbox_name_check(name.name), OK);
    assert_int_equal(box.id, id);
    assert_int_equal(box.exists, r->exists);
    assert_int_equal(box.unseen, r->unseen);
    assert_int_equal(box.deleted, r->deleted);
    assert_int_equal(box.bytes, r->bytes);
    assert_true(box.uidnext > r->last_uid);
    assert_true(box.highestmodseq >= r->highest);
    if (r->first_unseen != 0)
        assert_true(box.first_unseen_hint <= r->first_unseen);
    assert_int_equal(scan32(r, 'k', id, recount_block, r), OK);
    assert_int_equal(sum.count, (uint16_t)r->exists);
    assert_int_equal(sum.unseen, (uint16_t)r->unseen);
    assert_int_equal(sum.deleted, (uint16_t)r->deleted);
    r->last_modseq = box.highestmodseq;
    assert_int_equal(scan32(r, 'x', id, recount_tombstone, r), OK);
    if (box.tombstones_from == 1)
        assert_int_equal(r->gone + r->exists, box.uidnext - 1); /* every UID is here or known to be gone, once */
}

/* Each chunk opens, there is no more of them than the record says, and they are not longer than is charged. */
static void recount_content(struct recount *r, const struct schema_message *m)
{
    static uint8_t octets[ENGINE_BLOB_CHUNK];
    struct content_layout l;
    struct sealed_blob head;
    struct slice s;
    uint64_t stored = 0;
    uint32_t chunks;
    size_t len;
    content_layout(m, &l);
    content_head(r->account, m, &head);
    for (uint32_t n = 0; n < sealed_blob_chunks(head.len); n++) {
        assert_int_equal(sealed_blob_open(r->t, r->keys, &head, n, octets, &len), OK);
        assert_int_equal(engine_blob_get(r->t, r->account, BLOB_HEAD, m->id, n, &s), OK);
        stored += s.len;
    }
    for (uint32_t n = 0; n < content_chunks(&l); n++) {
        assert_int_equal(content_open(r->t, r->keys, r->account, m, n, octets), OK);
        assert_int_equal(engine_blob_get(r->t, r->account, BLOB_PACKETS, m->id, n, &s), OK);
        stored += s.len;
    }
    assert_int_equal(engine_blob_get(r->t, r->account, BLOB_HEAD, m->id, sealed_blob_chunks(head.len), &s),
                     ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(r->t, r->account, BLOB_PACKETS, m->id, content_chunks(&l), &s), ERR_NOT_FOUND);
    assert_true(content_most(m, &chunks) >= stored);
    assert_true(chunks + 2 >= sealed_blob_chunks(head.len) + content_chunks(&l));
}

static int recount_message(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    struct schema_message m;
    uint64_t id = key_part64(key, 1);
    (void)value;
    assert_int_equal(schema_get_message(r->t, r->keys, r->account, id, &m, NULL), OK);
    assert_int_equal(m.references, r->references[id]);
    assert_true(m.references > 0);
    r->references[id] = 0;
    r->usage.messages++;
    recount_content(r, &m);
    return 0;
}

/* Each value stands as its kind says, and nothing stands under a letter that is reserved or none. */
static void form_right(uint64_t part, struct slice key, struct slice value)
{
    const struct schema_kind *kind = schema_kind_find(part, (char)key.data[0]);
    assert_non_null(kind);
    assert_int_not_equal(kind->form, FORM_RESERVED);
    if (kind->form == FORM_EMPTY)
        assert_int_equal(value.len, 0);
    if (kind->form == FORM_TAGGED)
        assert_true(value.len > RECORD_TAG_SIZE);
    if (kind->form == FORM_SEALED)
        assert_true(value.len > RECORD_OVERHEAD && (value.len - RECORD_OVERHEAD) % kind->step == 0);
}

static int recount_instance(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    form_right(PART_INSTANCE, key, value);
    return 0;
}

static int recount_letter(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    form_right(r->account, key, value);
    if (strchr("Bkuxw", key.data[0]) != NULL) { /* nothing of a mailbox that is not there */
        bool known = false;
        for (uint32_t i = 0; i < r->nboxes; i++)
            known |= r->boxes[i].id == key_part32(key, 1);
        assert_true(known);
    }
    return 0;
}

static void say_faults(const struct check_found *found)
{
    for (unsigned i = 0; i < found->n; i++)
        print_message("%s\n", found->line[i]);
}

struct checking {
    struct check_found *found;
    uint64_t part;
};

static int check_part(void *arg, struct view *v)
{
    const struct checking *c = arg;
    struct check_walk walk = {.len = 0};
    int more;
    while ((more = view_check(v, c->part, 3, &walk, NULL, c->found)) == 1)
        ;
    return more;
}

static int check_all_blobs(void *arg, struct view *v)
{
    struct check_found *found = arg;
    struct blob_at at;
    bool begun = false;
    int more;
    while ((more = view_check_blobs(v, 3, &at, &begun, found)) == 1)
        ;
    return more;
}

void store_check_all(struct engine *e, const struct record_keys *keys, uint64_t account, struct check_found *found)
{
    struct view *v;
    struct checking c = {found, PART_INSTANCE};
    found->faults = found->n = 0;
    assert_int_equal(view_over(e, keys, &v), OK);
    assert_int_equal(view_run(v, check_part, &c), OK);
    c.part = account;
    assert_int_equal(view_run(v, check_part, &c), OK);
    assert_int_equal(view_run(v, check_all_blobs, found), OK);
    view_close(v);
}

static int recount_queue(void *arg, struct slice key, struct slice value)
{
    ((uint32_t *)arg)[key.data[0]]++;
    return 0;
}

void store_recount(struct engine *e, const struct record_keys *keys, uint64_t account)
{
    static struct check_found found;
    store_check_all(e, keys, account, &found);
    say_faults(&found);
    assert_int_equal(found.faults, 0);
    static struct recount r;
    memset(&r, 0, sizeof(r));
    r.keys = keys;
    r.account = account;
    r.references = calloc(RECOUNT_MESSAGES, sizeof(*r.references));
    assert_non_null(r.references);
    assert_int_equal(engine_read_begin(e, &r.t), OK);
    struct schema_account a;
    assert_int_equal(schema_get_account(r.t, keys, account, &a), OK);
    static struct key_set set;
    static struct schema_key certificates[PGP_KEYS_MAX];
    set.v = certificates;
    assert_int_equal(schema_get_keys(r.t, keys, account, certificates, &set.n), OK);
    assert_int_equal(schema_check_approval(r.t, keys, &a, &set), OK);
    assert_int_equal(scan_letter(&r, 'b', recount_box_seen, &r), OK);
    assert_int_equal(scan_letter(&r, 'Z', recount_box_seen, &r), OK);
    for (uint32_t i = 0; i < r.nboxes; i++)
        recount_box(&r, r.boxes[i].id, r.boxes[i].doomed);
    assert_int_equal(scan_letter(&r, 'm', recount_message, &r), OK);
    for (uint64_t id = 0; id < RECOUNT_MESSAGES; id++)
        assert_int_equal(r.references[id], 0); /* an entry without its message */
    struct schema_usage usage;
    assert_int_equal(schema_get_usage(r.t, keys, account, &usage), OK);
    for (uint64_t id = 1; id < usage.number_next && id < RECOUNT_MESSAGES; id++) {
        struct schema_message m;
        struct slice s;
        if (schema_get_message(r.t, keys, account, id, &m, NULL) == OK)
            continue;
        assert_int_equal(engine_blob_get(r.t, account, BLOB_PACKETS, id, 0, &s), ERR_NOT_FOUND);
        assert_int_equal(engine_blob_get(r.t, account, BLOB_HEAD, id, 0, &s), ERR_NOT_FOUND);
    }
    static struct schema_keywords keywords;
    assert_int_equal(schema_get_keywords(r.t, keys, account, &keywords), OK);
    for (unsigned i = 0; i < KEYWORDS_MAX; i++) {
        bool named = i < keywords.n && keywords.v[i].text[0];
        assert_int_equal(named ? keywords.v[i].entries : 0, r.carried[i]);
        assert_int_equal(named, r.carried[i] > 0);
    }
    assert_int_equal(usage.messages, r.usage.messages);
    struct usage_walk walk = {.left = 0}; /* what is charged is what is given back */
    int more;
    while ((more = usage_walk(r.t, keys, account, 7, &walk)) == 1)
        ;
    assert_int_equal(more, OK);
    assert_int_equal(usage.messages, walk.sum.messages);
    assert_int_equal(usage.entries, walk.sum.entries);
    assert_int_equal(usage.bytes, walk.sum.bytes);
    uint32_t ids = 0, days = 0, queued[256] = {0};
    assert_int_equal(scan_letter(&r, 'D', recount_one, &ids), OK);
    assert_int_equal(scan_letter(&r, 'e', recount_one, &days), OK);
    assert_int_equal(ids, days);
    struct schema_keybuf first;
    assert_int_equal(engine_scan(r.t, account, key_simple(&first, '\0'), slice_of("", 0), 0, recount_letter, &r), OK);
    assert_int_equal(engine_scan(r.t, PART_INSTANCE, key_simple(&first, '\0'), slice_of("", 0), 0, recount_instance,
                                 &r),
                     OK);
    assert_int_equal(engine_scan(r.t, PART_QUEUE, key_simple(&first, '\0'), slice_of("", 0), 0, recount_queue, queued),
                     OK);
    assert_true(queued['Q'] == queued['M'] && queued['T'] >= queued['Q']);
    (void)engine_read_end(r.t);
    free(r.references);
}
