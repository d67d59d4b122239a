/* What letterlock audit says of records that a vault could have written, each sealed or tagged as it should be, and
 * that do not fit one another: each is named. That all that a vault does write fits, every recount says. */
#include "store/fence.h"
#include "store/schema_table.h"
#include "tests/support/vault_requests.h"

static struct bench b;
static struct engine_txn *t;
static struct check_found found;

/* INBOX (1): UIDs 2, 3 with a keyword, 4; 1 is expunged; a mailbox that is subscribed to; a copy of 2 elsewhere. */
static void fill(void)
{
    uint32_t box;
    static const uint32_t first[] = {1, 1}, second[] = {2, 2}, third[] = {3, 3};
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 20000);
    for (uint8_t i = 1; i <= 4; i++) {
        struct letter l = {.mailbox = 1, .id = i};
        assert_int_equal(deliver_call(&b, &l, fd), OK);
    }
    close(fd);
    assert_int_equal(expunge_call(&b, 1, false, first, 1), OK);
    assert_int_equal(flags_call(&b, 1, VAULT_FLAGS_ADD, FLAG_FLAGGED, "kw", VAULT_UNCHANGEDSINCE_NONE, third, 1), OK);
    assert_int_equal(create_call(&b, "Box", &box), OK);
    assert_int_equal(copy_call(&b, 1, box, false, second, 1), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "Box", 1), OK);
}

#define GET(what, ...) assert_int_equal(schema_get_##what(t, b.keys, b.account, __VA_ARGS__), OK)
#define PUT(what, ...) assert_int_equal(schema_put_##what(t, b.keys, b.account, __VA_ARGS__), OK)

static void del(struct slice key)
{
    assert_int_equal(engine_del(t, b.account, key), OK);
}

static void put_empty(uint64_t part, struct slice key)
{
    assert_int_equal(engine_put(t, part, key, slice_of("", 0)), OK);
}

static struct schema_entry entry(uint32_t uid)
{
    struct schema_entry e;
    GET(entry, 1, uid, &e);
    return e;
}

static void other_flags(void)
{
    struct schema_entry e = entry(2);
    e.flags |= FLAG_SEEN;
    PUT(entry, 1, 2, &e);
}

static void other_modseq(void)
{
    struct schema_entry e = entry(2);
    e.modseq++;
    PUT(entry, 1, 2, &e);
}

static void other_message(void)
{
    struct schema_entry e = entry(2);
    e.message = 4711;
    PUT(entry, 1, 2, &e);
}

static void other_facts(struct schema_facts facts)
{
    struct schema_entry e = entry(2);
    schema_entry_set_facts(b.keys, b.account, 1, 2, &facts, &e);
    PUT(entry, 1, 2, &e);
}

static struct schema_facts facts(void)
{
    struct schema_entry e = entry(2);
    struct schema_facts f;
    assert_int_equal(schema_entry_facts(b.keys, b.account, 1, 2, &e, &f), OK);
    return f;
}

static void other_size(void)
{
    struct schema_facts f = facts();
    f.size++;
    other_facts(f);
}

static void other_date(void)
{
    struct schema_facts f = facts();
    f.internaldate--;
    other_facts(f);
}

/* Copied from another place, as a vault that is not ours might. */
static void facts_of_another(void)
{
    struct schema_entry e = entry(2), from = entry(3);
    memcpy(e.facts, from.facts, sizeof(e.facts));
    PUT(entry, 1, 2, &e);
}

static void other_keyword(void)
{
    struct schema_entry e = entry(2);
    e.keywords.w[1] = 1;
    PUT(entry, 1, 2, &e);
}

static void entry_gone(void)
{
    struct schema_keybuf k;
    del(key_u32_u32(&k, 'u', 1, 3));
}

static void change_gone(void)
{
    struct schema_keybuf k;
    del(key_u32_u64_u32(&k, 'w', 1, entry(3).modseq, 3));
}

static void change_of_none(void)
{
    struct schema_keybuf k;
    put_empty(b.account, key_u32_u64_u32(&k, 'w', 1, 2, 77));
}

static void block_gone(void)
{
    struct schema_keybuf k;
    del(key_u32_u32(&k, 'k', 1, 0));
}

static void block_counts(void)
{
    struct schema_block block;
    GET(block, 1, 0, &block);
    block.here[1] |= 1;
    block.count++;
    block.unseen++;
    PUT(block, 1, 0, &block);
}

static void box_counts(void)
{
    struct schema_mailbox box;
    GET(mailbox, 1, &box);
    box.exists++;
    PUT(mailbox, &box);
}

static void box_next(void)
{
    struct schema_mailbox box;
    GET(mailbox, 1, &box);
    box.uidnext = 4;
    PUT(mailbox, &box);
}

static void box_hint(void)
{
    struct schema_mailbox box;
    GET(mailbox, 1, &box);
    box.first_unseen_hint = 4;
    PUT(mailbox, &box);
}

static void box_validity(void)
{
    struct schema_mailbox box;
    GET(mailbox, 1, &box);
    box.uidvalidity = UINT32_MAX;
    PUT(mailbox, &box);
}

static void box_gone(void)
{
    struct schema_keybuf k;
    del(key_u32(&k, 'b', 1));
}

static void name_gone(void)
{
    struct schema_keybuf k;
    del(key_u32(&k, 'B', 1));
}

static void here_and_gone(void)
{
    struct schema_tombstones gone = {.modseq = 2, .n = 1};
    gone.v[0].first = gone.v[0].last = 3;
    PUT(tombstones, 1, &gone);
}

static void gone_too_early(void)
{
    struct schema_tombstones gone = {.modseq = 2, .n = 1};
    gone.v[0].first = gone.v[0].last = 99;
    PUT(tombstones, 1, &gone);
}

static void message_gone(void)
{
    struct schema_keybuf k;
    del(key_u64(&k, 'm', entry(4).message));
}

static void number_given_twice(void)
{
    struct schema_usage usage;
    assert_int_equal(schema_get_usage(t, b.keys, b.account, &usage), OK);
    usage.number_next = 2;
    assert_int_equal(schema_put_usage(t, b.keys, b.account, &usage), OK);
}

static void expires_unseen(void)
{
    struct schema_keybuf k;
    put_empty(b.account, key_u32_u64(&k, 'X', 77, entry(2).message));
}

static void day_of_none(void)
{
    static const uint8_t id[RECORD_HASH_SIZE] = {9, 9};
    struct schema_keybuf k;
    put_empty(b.account, key_u32_hash(&k, 'e', 3, id));
}

static void day_gone(void)
{
    static const uint8_t id[RECORD_HASH_SIZE] = {8, 8};
    const struct schema_delivery d = {.time = 1, .message = 1, .mailbox = 1, .uidvalidity = 1, .uid = 1, .modseq = 1};
    PUT(delivery, id, &d);
}

static void job_of_none(void)
{
    const struct schema_job job = {.job = JOB_MOVE, .mailbox = 88, .to = 1, .uid_end = 2};
    PUT(job, &job);
}

static void erased_and_there(void)
{
    const struct schema_job job = {.job = JOB_ERASE, .mailbox = 1};
    PUT(job, &job);
}

static void copy_too_far(void)
{
    const struct schema_copy copy = {.number = 5, .to = 1, .first = 3, .last = 1000};
    PUT(copy, &copy);
}

static void certificate_gone(void)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    size_t n;
    GET(keys, keys, &n);
    assert_int_equal(engine_blob_del(t, b.account, BLOB_CERTIFICATE, keys[0].blob), OK);
}

static void blob_of_none(void)
{
    assert_int_equal(engine_blob_put(t, b.account, BLOB_PACKETS, 4711, 0, slice_of("x", 1)), OK);
}

static void certificate_of_none(void)
{
    assert_int_equal(engine_blob_put(t, b.account, BLOB_CERTIFICATE, 4711, 0, slice_of("x", 1)), OK);
}

static void blob_too_long(void)
{
    assert_int_equal(engine_blob_put(t, b.account, BLOB_PACKETS, entry(2).message, 99, slice_of("x", 1)), OK);
}

static void blob_of_nobody(void)
{
    assert_int_equal(engine_blob_put(t, 99, BLOB_HEAD, 1, 1, slice_of("x", 1)), OK);
}

static void fence_gone(void)
{
    struct schema_keybuf k;
    del(key_simple(&k, 'n'));
}

static void fence_of_blobs_gone(void)
{
    assert_int_equal(engine_blob_del(t, b.account, fences[1].kind, fences[1].id), OK);
}

static void fence_changed(void)
{
    static const uint8_t zeros[1220];
    assert_int_equal(engine_blob_put(t, b.account, fences[0].kind, fences[0].id, 0, slice_of(zeros, sizeof(zeros))),
                     OK);
}

static void fence_too_long(void)
{
    assert_int_equal(engine_blob_put(t, b.account, fences[2].kind, fences[2].id, 1, slice_of("x", 1)), OK);
}

static void reserved(void)
{
    put_empty(b.account, slice_of("H1", 2));
}

static void unknown(void)
{
    put_empty(b.account, slice_of("!", 1));
}

static void key_too_long(void)
{
    put_empty(b.account, slice_of("q0", 2));
}

static void index_with_a_value(void)
{
    struct schema_keybuf k;
    assert_int_equal(engine_put(t, b.account, key_u32_u64_u32(&k, 'w', 1, entry(3).modseq, 3), slice_of("v", 1)), OK);
}

static void unlisted(void)
{
    struct schema_keybuf k;
    assert_int_equal(engine_del(t, PART_INSTANCE, key_u64(&k, 'N', b.account)), OK);
}

static void doomed_and_listed(void)
{
    struct schema_keybuf k;
    put_empty(PART_INSTANCE, key_u64(&k, 'Z', b.account));
}

static void address_gone(void)
{
    struct schema_keybuf k;
    struct schema_account a;
    assert_int_equal(schema_get_account(t, b.keys, b.account, &a), OK);
    assert_int_equal(engine_del(t, PART_INSTANCE, key_address(&k, b.keys, a.address)), OK);
}

static void next_account_gone(void)
{
    struct schema_keybuf k;
    assert_int_equal(engine_del(t, PART_INSTANCE, key_simple(&k, 'I')), OK);
}

static void account_too_high(void)
{
    put_empty(b.account + 1000, slice_of("A", 1));
}

static const struct {
    void (*damage)(void);
    const char *says;
} damages[] = {
    {other_flags, "its block has other flags"},
    {other_modseq, "index of changes lacks it"},
    {other_message, "names message 4711, which is not there"},
    {other_size, "another size or date than its message"},
    {other_date, "another size or date than its message"},
    {facts_of_another, "another size or date than its message"},
    {other_keyword, "carries keyword 64, which there is not"},
    {entry_gone, "there is no such entry"},
    {change_gone, "index of changes lacks it"},
    {change_of_none, "there is no such entry"},
    {block_gone, "its block does not have it"},
    {block_counts, "it counts 4, there are 3"},
    {box_counts, "it counts 4, its blocks 3"},
    {box_next, "not given out yet"},
    {box_hint, "nothing is below UID 4"},
    {box_validity, "UIDVALIDITY was not given out yet"},
    {box_gone, "there is no mailbox 1"},
    {name_gone, "it has no name"},
    {here_and_gone, "1 entries are there that it says are gone"},
    {gone_too_early, "UIDs that were not given out yet"},
    {message_gone, "which is not there"},
    {number_given_twice, "its number was not given out yet"},
    {expires_unseen, "expires in another hour"},
    {day_of_none, "what it names is not there"},
    {day_gone, "the index by days lacks it"},
    {job_of_none, "its mailbox is not there"},
    {erased_and_there, "its mailbox is still there"},
    {copy_too_far, "UIDs that were not given out yet"},
    {certificate_gone, "its certificate is"},
    {blob_of_none, "body 4711 chunk 0: no message has it"},
    {certificate_of_none, "no certificate's record has it"},
    {blob_too_long, "its message is shorter"},
    {blob_of_nobody, "account 99: head 1 chunk 1: no message has it"},
    {fence_gone, "it has no fence"},
    {fence_gone, "no fence is there"},
    {fence_of_blobs_gone, "fence behind the messages n: what it names is not there"},
    {fence_changed, "fence behind the messages n: it was changed"},
    {fence_too_long, "no fence is there"},
    {reserved, "nothing writes such records yet"},
    {unknown, "no record has this letter here"},
    {key_too_long, "its key has another length"},
    {index_with_a_value, "should have none"},
    {unlisted, "the list of accounts lacks it"},
    {doomed_and_listed, "the list of accounts has it too"},
    {address_gone, "what it names is not there"},
    {account_too_high, "was not given out yet"},
    {next_account_gone, "nothing says which account comes next"},
};

static bool is_said(const char *what)
{
    for (unsigned i = 0; i < found.n; i++)
        if (strstr(found.line[i], what))
            return true;
    return false;
}

static void test_each_is_named(void **st)
{
    for (unsigned i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        fill();
        recount_all(&b); /* which finds nothing */
        assert_int_equal(engine_group_begin(b.engine, &t), OK);
        damages[i].damage();
        assert_int_equal(engine_group_commit(t), OK);
        store_check_all(b.engine, b.keys, b.account, &found);
        if (!is_said(damages[i].says))
            fail_msg("%u: \"%s\" is not said, of %u: %s", i, damages[i].says, found.n, found.n ? found.line[0] : "");
        bench_close(&b);
    }
}

/* A value that is not its own: moved from another place, or noise. */
static void test_moved_values(void **st)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    struct schema_keybuf from, to;
    struct slice v;
    fill();
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_get(t, b.account, key_u32_u32(&from, 'u', 1, 3), &v), OK);
    memcpy(value, v.data, v.len);
    assert_int_equal(engine_put(t, b.account, key_u32_u32(&to, 'u', 1, 4), slice_of(value, v.len)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    store_check_all(b.engine, b.keys, b.account, &found);
    assert_true(is_said("it was changed, or belongs to another place"));
    bench_close(&b);
}

/* What is left of an account that there is not, and one that is gone altogether. */
static void test_orphans(void **st)
{
    struct schema_keybuf k;
    fill();
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    del(key_simple(&k, 'A'));
    assert_int_equal(engine_group_commit(t), OK);
    store_check_all(b.engine, b.keys, b.account, &found);
    assert_true(is_said("there is no such account"));
    store_check_all(b.engine, b.keys, b.account + 1, &found);
    assert_false(is_said("there is no such account"));
    bench_close(&b);
}

/* More faults than there are lines: they are counted. */
static void test_many(void **st)
{
    struct schema_keybuf k;
    fill();
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    for (uint32_t i = 0; i < 100; i++)
        put_empty(b.account, key_u32_u64_u32(&k, 'w', 1, 2, 100 + i));
    assert_int_equal(engine_group_commit(t), OK);
    store_check_all(b.engine, b.keys, b.account, &found);
    assert_true(found.faults == 100 && found.n == CHECK_LINES);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_named),
        cmocka_unit_test(test_moved_values),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
