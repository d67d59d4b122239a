/* The read side: listings and walks, what has changed since, and that each question needs a snapshot. */
#include "store/schema_impl.h"
#include "tests/support/view_sample.h"

struct list {
    char text[300];
    unsigned n, stop;
};

static int note(struct list *l, const char *fmt, unsigned a, const char *s)
{
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof(l->text) - n, fmt, a, s);
    return ++l->n == l->stop ? 99 : 0;
}

static int on_key(void *l, const struct schema_key *k)
{
    return note(l, "%u%s ", k->state, "");
}
static int on_box(void *l, const struct schema_mailbox_name *n, const struct schema_mailbox *b)
{
    return note(l, "%u %s, ", b->id, n->name);
}
static int on_account(void *l, uint64_t a, const char *s)
{
    return note(l, "%u %s, ", (unsigned)a, s);
}
static int on_domain(void *l, const char *s)
{
    return note(l, "%.0u%s ", 0, s);
}
static int on_password(void *l, const struct schema_app_password *p)
{
    return note(l, "%u %s", p->number, p->label);
}
static int on_address(void *l, const struct schema_address *a)
{
    return ((struct list *)l)->n++, 0;
}
static int on_id(void *l, uint64_t id)
{
    return note(l, "%u%s ", (unsigned)id, "");
}
static int on_expunged(void *l, uint64_t modseq, uint32_t first, uint32_t last)
{
    char text[32];
    snprintf(text, sizeof(text), "-%u ", last);
    return note(l, "%u%s", first, text);
}
static int on_changed(void *l, uint64_t modseq, uint32_t uid)
{
    char text[32];
    snprintf(text, sizeof(text), ":%u ", uid);
    return note(l, "%u%s", (unsigned)modseq, text);
}
static int on_entry(void *l, uint32_t uid, const struct schema_entry *en)
{
    return note(l, "%u%s ", uid, "");
}
static int on_block(void *l, uint32_t n, const struct schema_block *b)
{
    return note(l, "%u%s ", n, "");
}

static void test_listings(void **st)
{
    struct list l = {0};
    assert_int_equal(view_keys_each(sample_view, A, on_key, &l), OK);
    assert_string_equal(l.text, "1 2 ");
    l = (struct list){0};
    assert_int_equal(view_mailboxes_each(sample_view, A, on_box, &l), OK);
    assert_string_equal(l.text, "1 INBOX, 2 INBOX/Work, 300 Sent, ");
    l = (struct list){.stop = 2};
    assert_int_equal(view_mailboxes_each(sample_view, A, on_box, &l), 99);
    l = (struct list){0};
    assert_int_equal(view_mailboxes_each(sample_view, B, on_box, &l), OK);
    assert_string_equal(l.text, "");
    assert_int_equal(view_accounts_each(sample_view, on_account, &l), OK);
    assert_string_equal(l.text, "16 anna@example.org, 17 bert@example.net, ");
    l = (struct list){0};
    assert_int_equal(view_domains_each(sample_view, on_domain, &l), OK);
    assert_true(strstr(l.text, "example.org ") && strstr(l.text, "example.net ") && strlen(l.text) == 24);
    l = (struct list){0};
    assert_int_equal(view_addresses_each(sample_view, on_address, &l), OK);
    assert_int_equal(l.n, 6);
    l = (struct list){0};
    assert_int_equal(view_app_passwords_each(sample_view, A, on_password, &l), OK);
    assert_string_equal(l.text, "1 phone");
}

static void expect_entries(uint32_t from, uint32_t to, const char *want)
{
    struct list l = {0};
    assert_int_equal(view_entries_each(sample_view, A, 1, from, to, on_entry, &l), OK);
    assert_string_equal(l.text, want);
}

struct walk {
    uint64_t seen[8];
    unsigned n, max;
};

static int on_walked_account(void *arg, uint64_t account, const char *address)
{
    struct walk *w = arg;
    w->seen[w->n++] = account;
    return w->n == w->max;
}

static int on_message(void *arg, const struct schema_message *m)
{
    assert_true(m->outer.len == 0 && m->outer_len == 5 && m->nfprs == 1 && m->fprs[0][0] == (uint8_t)m->id);
    return on_walked_account(arg, m->id, NULL);
}

/* Slices: each goes on after the last one seen. */
static void test_walks(void **st)
{
    static const uint64_t ids[] = {1, 255, 256, 1ull << 32, UINT64_MAX};
    struct engine_txn *t;
    assert_int_equal(view_end(sample_view), OK);
    assert_int_equal(engine_group_begin(sample_engine, &t), OK);
    for (size_t i = 0; i < 5; i++) {
        struct schema_message m = {.id = ids[i],
                                   .kind = MESSAGE_CLIENT,
                                   .outer_len = 5,
                                   .outer = slice_of("outer", 5),
                                   .nfprs = 1,
                                   .fprs = {{(uint8_t)ids[i]}}};
        assert_int_equal(schema_put_message(t, sample_keys, A, &m), OK);
    }
    struct schema_keybuf kb;
    assert_int_equal(engine_put(t, A, key_u64(&kb, 'l', 3), slice_of("before", 6)), OK);
    assert_int_equal(engine_put(t, A, key_u64(&kb, 'n', 3), slice_of("behind", 6)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(sample_view), OK);
    uint64_t after = 0;
    for (size_t i = 0; i < 5; i++) {
        struct walk w = {.max = 1};
        assert_int_equal(view_messages_after(sample_view, A, after, on_message, &w), 1);
        assert_true(w.seen[0] == ids[i]);
        after = w.seen[0];
    }
    struct walk all = {.max = 8}, none = {.max = 1};
    assert_int_equal(view_messages_after(sample_view, A, after, on_message, &none), OK);
    assert_int_equal(view_messages_after(sample_view, B, 0, on_message, &none), OK);
    assert_int_equal(view_messages_after(sample_view, A, 0, on_message, &all), OK);
    assert_true(all.n == 5 && none.n == 0);
    struct walk accounts = {.max = 8};
    assert_int_equal(view_accounts_after(sample_view, 0, on_walked_account, &accounts), OK);
    assert_true(accounts.n == 2 && accounts.seen[0] == A && accounts.seen[1] == B);
    accounts.n = 0;
    assert_int_equal(view_accounts_after(sample_view, A, on_walked_account, &accounts), OK);
    assert_true(accounts.n == 1 && accounts.seen[0] == B);
    assert_int_equal(view_accounts_after(sample_view, B, on_walked_account, &none), OK);
    assert_int_equal(view_accounts_after(sample_view, UINT64_MAX, on_walked_account, &none), OK);
    assert_int_equal(none.n, 0);
}

static void test_entries_and_blocks(void **st)
{
    expect_entries(1, 15, "1 8 15 ");
    expect_entries(2, 14, "8 ");
    expect_entries(8, 8, "8 ");
    expect_entries(9, 8, "");
    expect_entries(2990, UINT32_MAX, "2990 2997 4294967295 ");
    expect_entries(UINT32_MAX, UINT32_MAX, "4294967295 ");
    expect_entries(0, 0, "");
    struct list l = {0};
    assert_int_equal(view_blocks_each(sample_view, A, 1, 0, on_block, &l), OK);
    assert_string_equal(l.text, "0 1 2 ");
    struct list rest = {0};
    assert_int_equal(view_blocks_each(sample_view, A, 1, 2, on_block, &rest), OK);
    assert_string_equal(rest.text, "2 ");
}

static void test_without_snapshot(void **st)
{
    struct view *w;
    struct schema_address a;
    struct list l = {0};
    struct view_user user;
    uint32_t id;
    uint8_t out[8], hash[RECORD_HASH_SIZE] = {0};
    assert_int_equal(view_begin(sample_view), ERR_CONFLICT); /* they do not nest */
    assert_int_equal(view_over(sample_engine, sample_keys, &w), OK);
    assert_int_equal(view_end(w), ERR_CONFLICT);
    assert_int_equal(view_route(w, "anna@example.org", 16, &a), ERR_CONFLICT);
    assert_int_equal(view_login(w, "a@b", 3, "x", 1, 1, &user), ERR_CONFLICT);
    assert_int_equal(view_keys_each(w, A, on_key, &l), ERR_CONFLICT);
    assert_int_equal(view_mailbox_find(w, A, "INBOX", &id), ERR_CONFLICT);
    assert_int_equal(view_entries_each(w, A, 1, 1, 2, on_entry, &l), ERR_CONFLICT);
    assert_int_equal(view_messages_after(w, A, 0, on_message, &l), ERR_CONFLICT);
    assert_int_equal(view_accounts_after(w, 0, on_account, &l), ERR_CONFLICT);
    assert_int_equal(view_packets(w, A, &sample_hidden, 0, out, 8), ERR_CONFLICT);
    assert_int_equal(view_address(w, "anna@example.org", &a), ERR_CONFLICT);
    assert_int_equal(view_account_erasing(w, A), ERR_CONFLICT);
    assert_int_equal(view_password_lives(w, A, hash), ERR_CONFLICT);
    assert_int_equal(view_expunged_since(w, A, 1, 0, on_expunged, &l), ERR_CONFLICT);
    assert_int_equal(view_changed_since(w, A, 1, 0, UINT32_MAX, on_changed, &l), ERR_CONFLICT);
    assert_int_equal(view_message_ids_after(w, A, 0, on_id, &l), ERR_CONFLICT);
    assert_int_equal(view_account_numbers_each(w, on_id, &l), ERR_CONFLICT);
    view_close(w);
}

static void put_raw(struct engine_txn *t, uint64_t part, struct slice key, const char *value, size_t len)
{
    assert_int_equal(engine_put(t, part, key, slice_of(value, len)), OK);
}

static void put_sealed(struct engine_txn *t, struct slice key, const char *value, size_t len)
{
    uint8_t plain[64];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_raw(&p, value, len);
    assert_int_equal(sealed_put(t, sample_keys, A, key, &p), OK);
}

/* What became of a mailbox since a MODSEQ: another mailbox's, and what was told already, is not in it. */
static void test_since(void **st)
{
    struct engine_txn *t;
    struct schema_keybuf k;
    assert_int_equal(view_end(sample_view), OK);
    assert_int_equal(engine_group_begin(sample_engine, &t), OK);
    put_sealed(t, key_u32_u64(&k, 'x', 1, 5), "\0\0\0\1\0\0\0\1\0\0\0\1", 12);
    put_sealed(t, key_u32_u64(&k, 'x', 1, 300), "\0\0\0\2\0\0\0\3\0\0\0\5\0\0\1\0\0\0\1\2", 20);
    put_sealed(t, key_u32_u64(&k, 'x', 1, UINT64_MAX), "\0\0\0\1\0\0\0\7\0\0\0\7", 12);
    put_sealed(t, key_u32_u64(&k, 'x', 2, 6), "\0\0\0\1\0\0\0\x9\0\0\0\x9", 12);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 5, 20), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 300, 8), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 300, 9), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 2, 7, 1), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(sample_view), OK);
    static const struct {
        uint32_t mailbox;
        uint64_t modseq;
        uint32_t uid;
        const char *expunged, *changed;
    } table[] = {
        {1, 0, UINT32_MAX, "1-1 3-5 256-258 7-7 ", "5:20 300:8 300:9 "},
        {1, 5, UINT32_MAX, "3-5 256-258 7-7 ", "300:8 300:9 "},
        {1, 300, UINT32_MAX, "7-7 ", ""},
        {1, 300, 8, "7-7 ", "300:9 "},
        {1, 5, 19, "3-5 256-258 7-7 ", "5:20 300:8 300:9 "},
        {1, UINT64_MAX - 1, UINT32_MAX, "7-7 ", ""},
        {1, UINT64_MAX, UINT32_MAX, "", ""},
        {2, 5, UINT32_MAX, "9-9 ", "7:1 "},
        {300, 0, UINT32_MAX, "", ""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct list x = {0}, w = {0};
        assert_int_equal(view_expunged_since(sample_view, A, table[i].mailbox, table[i].modseq, on_expunged, &x), OK);
        assert_string_equal(x.text, table[i].expunged);
        assert_int_equal(view_changed_since(sample_view, A, table[i].mailbox, table[i].modseq, table[i].uid, on_changed,
                                            &w),
                         OK);
        assert_string_equal(w.text, table[i].changed);
    }
    struct list first = {.stop = 2};
    assert_int_equal(view_expunged_since(sample_view, A, 1, 0, on_expunged, &first), 99);
    assert_int_equal(view_end(sample_view), OK);
    /* Damaged: ranges that are fewer or more than it says, none, backwards, of no UID; and keys that are none. */
    static const struct {
        const char *value;
        size_t len;
    } bad[] = {
        {"\0\0\0\2\0\0\0\x9\0\0\0\x9", 12}, {"\0\0\0\1\0\0\0\x9\0\0\0\x9\0", 13}, {"\0\0\0\0", 4},
        {"\0\0\0\1\0\0\0\x9\0\0\0\x8", 12}, {"\0\0\0\1\0\0\0\0\0\0\0\x8", 12},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct list none = {0};
        assert_int_equal(engine_group_begin(sample_engine, &t), OK);
        put_sealed(t, key_u32_u64(&k, 'x', 2, 6), bad[i].value, bad[i].len);
        assert_int_equal(engine_group_commit(t), OK);
        assert_int_equal(view_begin(sample_view), OK);
        assert_int_equal(view_expunged_since(sample_view, A, 2, 0, on_expunged, &none), ERR_FORMAT);
        assert_string_equal(none.text, "");
        assert_int_equal(view_end(sample_view), OK);
    }
    assert_int_equal(engine_group_begin(sample_engine, &t), OK);
    put_raw(t, A, key_u32_u64(&k, 'x', 2, 6), "\2amaged", 7);
    put_raw(t, A, key_u32_u64(&k, 'w', 2, 8), "", 0);
    put_raw(t, A, key_u32(&k, 'm', 8), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(sample_view), OK);
    struct list l = {0};
    assert_int_equal(view_expunged_since(sample_view, A, 2, 0, on_expunged, &l), ERR_CRYPTO);
    assert_int_equal(view_changed_since(sample_view, A, 2, 0, UINT32_MAX, on_changed, &l), ERR_FORMAT);
    assert_int_equal(view_message_ids_after(sample_view, A, 0, on_id, &l), ERR_FORMAT);
}

static void test_single(void **st)
{
    struct engine_txn *t;
    struct schema_keybuf k;
    struct schema_address a;
    struct schema_usage u;
    struct schema_mailbox box;
    static struct schema_keywords keywords;
    struct schema_block b;
    struct schema_entry en;
    struct list l = {0};
    uint8_t hash[RECORD_HASH_SIZE];
    assert_int_equal(view_end(sample_view), OK);
    assert_int_equal(engine_group_begin(sample_engine, &t), OK);
    put_raw(t, PART_INSTANCE, key_u64(&k, 'Z', 40), "", 0);
    put_raw(t, 40, key_u64(&k, 'm', 1), "damaged", 7);
    put_raw(t, 40, key_u64(&k, 'm', 300), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(sample_view), OK);
    assert_int_equal(view_address(sample_view, "anna@example.org", &a), OK);
    assert_int_equal(a.account, A);
    assert_int_equal(view_address(sample_view, "anna+list@example.org", &a), ERR_NOT_FOUND);
    assert_int_equal(view_address(sample_view, "whoever@example.net", &a), ERR_NOT_FOUND);
    assert_int_equal(view_usage(sample_view, A, &u), OK);
    assert_int_equal(u.messages, 0);
    assert_int_equal(view_account_erasing(sample_view, 40), OK);
    assert_int_equal(view_account_erasing(sample_view, A), ERR_NOT_FOUND);
    assert_int_equal(view_account_numbers_each(sample_view, on_id, &l), OK);
    assert_string_equal(l.text, "16 17 40 ");
    l = (struct list){0};
    assert_int_equal(view_message_ids_after(sample_view, 40, 0, on_id, &l), OK);
    assert_int_equal(view_message_ids_after(sample_view, 40, 1, on_id, &l), OK);
    assert_string_equal(l.text, "1 300 300 ");
    assert_int_equal(app_password_hash(sample_keys, A, sample_password, strlen(sample_password), hash), OK);
    assert_int_equal(view_password_lives(sample_view, A, hash), OK);
    assert_int_equal(view_password_lives(sample_view, B, hash), ERR_NOT_FOUND);
    assert_int_equal(view_mailbox(sample_view, A, 300, &box), OK);
    assert_int_equal(box.id, 300);
    assert_int_equal(view_mailbox(sample_view, A, 3, &box), ERR_NOT_FOUND);
    assert_int_equal(view_keywords(sample_view, A, &keywords), OK);
    assert_int_equal(keywords.n, 0);
    assert_int_equal(view_block(sample_view, A, 2, 9, &b), OK);
    assert_int_equal(b.count, 1);
    assert_int_equal(view_block(sample_view, A, 2, 8, &b), OK);
    assert_int_equal(b.count, 0);
    assert_int_equal(view_entry(sample_view, A, 1, 8, &en), OK);
    assert_int_equal(en.message, 8);
    assert_int_equal(view_entry(sample_view, A, 1, 9, &en), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_listings),         TEST(test_walks), TEST(test_entries_and_blocks),
        TEST(test_without_snapshot), TEST(test_since), TEST(test_single),
    };
    return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
