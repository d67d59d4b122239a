/* Quota counts what grows, exactly: whatever was done, what an account is charged is what its records say.
 * test_vault_model.c does the same at random. */
#include "tests/support/vault_requests.h"

enum { SET = 1000 };

static void put_usage(struct bench *b, const struct schema_usage *u)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(schema_put_usage(t, b->keys, b->account, u), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static void deliver_many(struct bench *b, uint32_t n)
{
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = {.mailbox = 1};
    for (uint32_t i = 0; i < n; i++) {
        const struct vault_request q = letter_request(b->account, &l);
        ask_for(b, &q, fd);
        if (i % 100 == 99 || i + 1 == n)
            vault_run(b->vault);
        while (b->vault->nwaiting == 0 && hear(b, NULL) != ERR_TIMEOUT)
            ;
    }
    close(fd);
}

/* A figure that is less than what goes, or none at all, is a damaged store. */
static void test_figures_that_cannot_be(void **state)
{
    struct bench b;
    struct engine_txn *t;
    struct schema_keybuf k;
    bench_mem(&b, false);
    bench_account(&b);
    deliver_many(&b, 1);
    const struct schema_usage was = usage_of(&b);
    put_usage(&b, &(struct schema_usage){.bytes = 300, .messages = 1, .entries = 1});
    assert_int_equal(expunge_call(&b, 1, false, ALL_UIDS, 1), ERR_FORMAT);
    put_usage(&b, &(struct schema_usage){.bytes = was.bytes, .messages = 0, .entries = 1});
    assert_int_equal(expunge_call(&b, 1, false, ALL_UIDS, 1), ERR_FORMAT);
    put_usage(&b, &(struct schema_usage){.bytes = was.bytes, .messages = 1, .entries = 0});
    assert_int_equal(expunge_call(&b, 1, false, ALL_UIDS, 1), ERR_FORMAT);
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_del(t, b.account, key_simple(&k, 'q')), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(expunge_call(&b, 1, false, ALL_UIDS, 1), ERR_FORMAT);
    assert_int_equal(box_of(&b, 1).exists, 1);
    put_usage(&b, &was);
    assert_int_equal(expunge_call(&b, 1, false, ALL_UIDS, 1), OK);
    recount_all(&b);
    bench_close(&b);
}

/* COPY makes entries: they cost, until nothing more goes in. */
static void test_copy_doubling(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    quota_set(&b, 1 << 20);
    deliver_ok(&b, 1, 0, 10);
    unsigned rounds = 0;
    int err;
    do {
        uint32_t exists = box_of(&b, 1).exists, all[] = {1, exists < SET ? exists : SET};
        err = copy_call(&b, 1, 1, false, all, 1);
        assert_true(++rounds < 100);
    } while (err == OK);
    assert_int_equal(err, ERR_QUOTA);
    struct schema_usage u = usage_of(&b);
    assert_true(u.bytes <= 1 << 20);
    assert_in_range(u.entries, SET, (1 << 20) / CHARGE_ENTRY);
    recount_all(&b);
    /* taking away always works, and gives back */
    quota_set(&b, 1);
    for (uint32_t first = 1; box_of(&b, 1).exists > 0; first += 2 * SET) {
        uint64_t before = usage_of(&b).bytes;
        uint32_t ranges[2 * SET];
        for (uint32_t i = 0; i < SET; i++) /* every other one: the most tombstones */
            ranges[2 * i] = ranges[2 * i + 1] = first + 2 * i;
        assert_int_equal(expunge_call(&b, 1, false, ranges, SET), OK);
        assert_true(usage_of(&b).bytes < before);
        assert_int_equal(expunge_call(&b, 1, false, (uint32_t[]){first, first + 2 * SET - 1}, 1), OK);
    }
    recount_all(&b);
    bench_close(&b);
}

/* The limit on entries holds without a quota. */
static void test_entries(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    b.vault->entries_max = 10;
    deliver_many(&b, 6);
    assert_int_equal(copy_call(&b, 1, 1, false, (uint32_t[]){1, 5}, 1), ERR_QUOTA);
    assert_int_equal(usage_of(&b).entries, 6);
    assert_int_equal(copy_call(&b, 1, 1, false, (uint32_t[]){1, 4}, 1), OK);
    struct letter l = {.mailbox = 1};
    int fd = parcel_of(OUTER, 1, 10);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_QUOTA);
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), OK);
    assert_int_equal(copy_call(&b, 1, 1, true, (uint32_t[]){2, 4}, 1), OK);
    assert_int_equal(expunge_call(&b, 1, false, (uint32_t[]){5, 5}, 1), OK);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(usage_of(&b).entries, 10);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* Mailboxes, subscriptions, keywords and delivery ids cost, and give it back. */
static void test_what_else_grows(void **state)
{
    struct bench b;
    uint32_t id;
    bench_mem(&b, false);
    bench_account(&b);
    uint64_t before = usage_of(&b).bytes, used;
    quota_set(&b, before + CHARGE_MAILBOX + CHARGE_SUBSCRIPTION);
    assert_int_equal(create_call(&b, "a/b", NULL), ERR_QUOTA); /* two */
    assert_int_equal(create_call(&b, "a", &id), OK);
    assert_int_equal(usage_of(&b).bytes, before + CHARGE_MAILBOX);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, id, "b/c", -1), ERR_QUOTA);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, id, "b", -1), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "b", 1), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, id, "a", -1), OK); /* and its subscription */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "a", 1), OK);
    assert_int_equal(create_call(&b, "b", NULL), ERR_QUOTA);
    recount_all(&b);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "a", 0), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), OK);
    assert_int_equal(usage_of(&b).bytes, before + CHARGE_MAILBOX); /* until it is erased */
    assert_int_equal(create_call(&b, "b", NULL), ERR_QUOTA);
    recount_all(&b);
    while (vault_chores(b.vault))
        ;
    assert_int_equal(usage_of(&b).bytes, before);
    assert_int_equal(create_call(&b, "b", NULL), OK);
    recount_all(&b);
    quota_set(&b, 0);
    deliver_ok(&b, 1, 0, 10);
    used = usage_of(&b).bytes;
    assert_int_equal(flags_call(&b, 1, VAULT_FLAGS_ADD, 0, "$Label", UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(usage_of(&b).bytes, used + CHARGE_KEYWORD);
    assert_int_equal(flags_call(&b, 1, VAULT_FLAGS_REMOVE, 0, "$Label", UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(usage_of(&b).bytes, used);
    struct letter l = {.mailbox = 1, .id = 7};
    int fd = parcel_of(OUTER, 1, 10);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    used = usage_of(&b).bytes;
    test_now += 9 * 86400;
    while (vault_chores(b.vault))
        ;
    assert_int_equal(usage_of(&b).bytes, used - CHARGE_DELIVERY);
    recount_all(&b);
    bench_close(&b);
}

/* A client without MOVE deletes by a COPY to the Trash: there is room for that, but not without end. */
static void test_copy_to_trash(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    uint32_t trash = find_mailbox(&b, "Trash"), sent = find_mailbox(&b, "Sent"), copies = 0;
    deliver_many(&b, 100);
    quota_set(&b, usage_of(&b).bytes);
    assert_int_equal(copy_call(&b, 1, sent, false, (uint32_t[]){1, 1}, 1), ERR_QUOTA);
    assert_int_equal(copy_call(&b, 1, trash, false, (uint32_t[]){1, 50}, 1), OK);
    assert_int_equal(expunge_call(&b, 1, false, (uint32_t[]){1, 50}, 1), OK);
    assert_int_equal(expunge_call(&b, trash, false, ALL_UIDS, 1), OK);
    quota_set(&b, usage_of(&b).bytes);
    while (copy_call(&b, 1, trash, false, (uint32_t[]){51, 100}, 1) == OK)
        copies += 50;
    assert_in_range(copies, 900, 1024);
    recount_all(&b);
    bench_close(&b);
}

/* Mailboxes that are made and deleted faster than they can be erased do not pile up without end. */
static void test_mailbox_churn(void **state)
{
    struct bench b;
    uint32_t id, n = 0;
    int err;
    bench_mem(&b, false);
    bench_account(&b);
    uint64_t before = usage_of(&b).bytes;
    do {
        assert_int_equal(create_call(&b, "churn", &id), OK);
        err = mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1);
        assert_true(++n < 10000);
    } while (err == OK);
    assert_int_equal(err, ERR_CONFLICT);
    assert_int_equal(n, MAILBOXES_MAX + 1);
    assert_true(vault_chores(b.vault));
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), OK);
    while (vault_chores(b.vault))
        ;
    assert_int_equal(usage_of(&b).bytes, before);
    recount_all(&b);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_that_cannot_be),
        cmocka_unit_test(test_copy_doubling),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_what_else_grows),
        cmocka_unit_test(test_mailbox_churn),
        cmocka_unit_test(test_copy_to_trash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
