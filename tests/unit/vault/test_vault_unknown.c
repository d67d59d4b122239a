/* Commits whose end is not known: nobody is told more than is known, no group begins before, and asking again is
 * harmless. */
#include "tests/support/vault_one_of_each.h"

static bool is_same(const struct state *a, struct bench *b)
{
    struct state now = state_of(b);
    return memcmp(a, &now, sizeof(now)) == 0;
}

/* Whether it was applied or not, the client reads that it is not known; if it was, others are told of it, and only
 * then. */
static void test_unknown(void **state)
{
    static int (*const run[])(struct setting *) = {deliver_plain, replace_here, key_notice, flags_add,  copy,
                                                   move,          expunge,      box_create, box_rename, inbox_rename};
    enum { N = sizeof(run) / sizeof(run[0]) };
    unsigned notices[N];
    struct setting s;
    setting_make(&s);
    for (size_t k = 0; k < N; k++) {
        struct state before = state_of(&s.b);
        engine_fail_unknown(s.b.fail, false, 0);
        assert_int_equal(run[k](&s), ERR_UNKNOWN);
        assert_int_equal(s.b.notices, 0);
        assert_true(is_same(&before, &s.b));
        assert_int_equal(run[k](&s), OK);
        notices[k] = s.b.notices;
        assert_true(notices[k] > 0);
    }
    setting_end(&s);
    setting_make(&s);
    for (size_t k = 0; k < N; k++) {
        struct state before = state_of(&s.b);
        engine_fail_unknown(s.b.fail, true, 0);
        assert_int_equal(run[k](&s), ERR_UNKNOWN);
        assert_int_equal(s.b.notices, notices[k]);
        assert_false(is_same(&before, &s.b));
        store_recount(s.b.engine, s.b.keys, s.b.account);
    }
    assert_int_equal(deliver_plain(&s), OK); /* tried again: it is there already */
    assert_int_equal(where_of(&s.b).duplicate, 1);
    assert_int_equal(s.b.vault->count.commit_unknown, N);
    assert_int_equal(s.b.vault->count.commit_failed, 0);
    setting_end(&s);
}

/* No group begins, and nobody is told, before it is known. */
static void test_unknown_for_long(void **state)
{
    struct setting s;
    setting_make(&s);
    engine_fail_unknown(s.b.fail, true, 3); /* asked at once, and by each group that wants to begin */
    assert_int_equal(deliver_plain(&s), ERR_UNKNOWN);
    assert_int_equal(s.b.notices, 0);
    struct state after = state_of(&s.b);
    assert_int_equal(deliver_plain(&s), ERR_TIMEOUT);
    assert_false(vault_chores(s.b.vault));
    assert_int_equal(s.b.notices, 0);
    assert_true(is_same(&after, &s.b));
    assert_int_equal(deliver_plain(&s), OK);
    assert_int_equal(where_of(&s.b).duplicate, 1);
    assert_true(s.b.notices > 0);
    engine_fail_unknown(s.b.fail, false, 2);
    assert_int_equal(replace_here(&s), ERR_UNKNOWN);
    assert_int_equal(flags_add(&s), ERR_TIMEOUT);
    s.b.notices = 0;
    assert_int_equal(replace_here(&s), OK); /* and not a duplicate of what never was */
    assert_int_equal(where_of(&s.b).duplicate, 0);
    store_recount(s.b.engine, s.b.keys, s.b.account);
    setting_end(&s);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* Others are told although nobody asks anything more. */
static void test_unknown_and_silence(void **state)
{
    struct setting s;
    uint64_t none;
    setting_make(&s);
    engine_fail_unknown(s.b.fail, true, 1);
    assert_int_equal(deliver_plain(&s), ERR_UNKNOWN);
    assert_int_equal(s.b.notices, 0);
    struct timer *t = timer_create_in(s.b.loop, stop, s.b.loop);
    timer_set(t, s.b.vault->turn_ms);
    assert_int_equal(loop_run(s.b.loop), OK);
    timer_destroy(t);
    assert_int_equal(hear(&s.b, &none), ERR_TIMEOUT);
    assert_true(s.b.notices > 0);
    setting_end(&s);
}

/* A refusal may rest on a request of the same group, which perhaps never was. */
static void test_unknown_to_all_of_a_group(void **state)
{
    struct setting s;
    setting_make(&s);
    for (int i = 0; i < 2; i++) {
        const struct vault_request q = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str("twice.example")};
        ask_for(&s.b, &q, -1);
    }
    engine_fail_unknown(s.b.fail, false, 0);
    vault_run(s.b.vault);
    assert_int_equal(hear(&s.b, NULL), ERR_UNKNOWN);
    assert_int_equal(hear(&s.b, NULL), ERR_UNKNOWN);
    assert_int_equal(domain_add_call(&s.b, "twice.example"), OK);
    setting_end(&s);
}

/* A step of a long erasure is just done again. */
static void test_unknown_step(void **state)
{
    struct setting s;
    uint32_t left = 0;
    setting_make(&s);
    assert_int_equal(box_delete(&s), OK);
    for (int i = 0; i < 50; i++) {
        engine_fail_unknown(s.b.fail, i % 2, i % 3);
        (void)vault_chores(s.b.vault);
    }
    while (vault_chores(s.b.vault))
        ;
    struct engine_txn *t;
    struct schema_keybuf from, to;
    assert_int_equal(engine_read_begin(s.b.engine, &t), OK);
    assert_int_equal(engine_scan(t, s.b.account, key_u32(&from, 'u', s.deep), key_u32(&to, 'u', s.deep + 1), 0,
                                 recount_one, &left),
                     OK);
    (void)engine_read_end(t);
    assert_int_equal(left, 0);
    store_recount(s.b.engine, s.b.keys, s.b.account);
    setting_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_unknown_for_long),
        cmocka_unit_test(test_unknown_and_silence),
        cmocka_unit_test(test_unknown_to_all_of_a_group),
        cmocka_unit_test(test_unknown_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
