/* Notices of a key's end where one account cannot be read: the others' come all the same, once. */
#include "tests/support/ingest_bench.h"

/* Puts other octets into a record of the account's. *ret: what stood there, on the heap. */
static void record_swap(uint64_t account, char letter, struct slice with, struct slice *ret)
{
    struct engine_txn *t;
    struct schema_keybuf k;
    struct slice old;
    uint8_t *copy;

    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_get(t, account, key_simple(&k, letter), &old), OK);
    copy = malloc(old.len);
    assert_non_null(copy);
    memcpy(copy, old.data, old.len);
    *ret = slice_of(copy, old.len);
    assert_int_equal(engine_put(t, account, key_simple(&k, letter), with), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static uint32_t in_inbox(uint64_t account)
{
    struct engine_txn *t;
    struct schema_mailbox box;

    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, b.keys, account, MAILBOX_INBOX, &box), OK);
    (void)engine_read_end(t);
    return box.exists;
}

static void test_a_damaged_account_keeps_nobody_waiting(void **state)
{
    struct test_key soon = key;
    char address[64];
    uint64_t ids[3];
    struct slice whole, damaged;

    soon.verdict.enc_expires = (uint32_t)time(NULL) + 86400;
    for (int i = 0; i < 3; i++) {
        snprintf(address, sizeof(address), "soon%d@example.org", i);
        ids[i] = add_account(address, 0, &soon);
    }
    record_swap(ids[1], 'A', slice_of("damaged", 7), &whole);
    engine_fail_overrun(b.fail, VIEW_TRIES - 1); /* the walk looks again */
    assert_int_equal(ingest_start_notices(&in), OK);
    run_ms(3500);
    notices_account_changed(in.notices, ids[1]);
    notices_set_days(in.notices, in.config.key_notice_days);
    run_ms(2500);
    notices_destroy(in.notices);
    in.notices = NULL;
    assert_int_equal(in_inbox(ids[0]), 1);
    assert_int_equal(in_inbox(ids[1]), 0);
    assert_int_equal(in_inbox(ids[2]), 1);
    assert_int_equal(in_inbox(alice), 0);
    record_swap(ids[1], 'A', whole, &damaged); /* nothing else was wrong: the check of the whole store says so */
    assert_memory_equal(damaged.data, "damaged", 7);
    free((void *)(uintptr_t)whole.data);
    free((void *)(uintptr_t)damaged.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_damaged_account_keeps_nobody_waiting, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
