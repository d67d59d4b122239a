/* Bringing a store up to date: steps that end in the commit that writes their number, wherever they are cut short; and
 * a vault on a store that is not up to date, which does nothing else. */
#include "tests/support/vault_support.h"

#include "store/account.h"
#include "store/upgrade.h"

enum { ROWS = 5 };

/* Two rows of the store a commit, which doing twice does not harm. */
static int step_rows(struct store_write *w, uint64_t *at, bool *ret_more)
{
    static const uint8_t done = 1;
    struct schema_keybuf kb;
    for (unsigned n = 0; n < 2 && *at < ROWS; n++, ++*at) {
        w->wrote = true;
        int err = engine_put(w->t, PART_ACCOUNT_FIRST, key_u64(&kb, 'u', *at), slice_of(&done, 1));
        if (err != OK)
            return err;
    }
    *ret_more = *at < ROWS;
    return OK;
}

static int step_at_once(struct store_write *w, uint64_t *at, bool *ret_more)
{
    *ret_more = false;
    return *at == 0 ? OK : ERR_CONFLICT;
}

static const struct upgrade_step steps[] = {{"rows", step_rows}, {"nothing", step_at_once}};

static int rows_of(struct bench *b)
{
    struct engine_txn *t;
    struct schema_keybuf kb;
    struct slice value;
    int n = 0;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    for (uint64_t i = 0; i < ROWS; i++)
        n += engine_get(t, PART_ACCOUNT_FIRST, key_u64(&kb, 'u', i), &value) == OK;
    engine_group_abort(t);
    return n;
}

static uint32_t step_of(struct bench *b, uint32_t newest)
{
    struct engine_txn *t;
    struct schema_version v;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_version(t, newest, &v), OK);
    engine_group_abort(t);
    return v.step;
}

static void set_step(struct bench *b, uint32_t step)
{
    struct engine_txn *t;
    struct schema_version v;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_version(t, UINT32_MAX, &v), OK);
    v.step = step;
    assert_int_equal(schema_put_version(t, b->keys, &v), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static struct upgrade_state commit(struct bench *b, uint64_t *at, bool dies)
{
    struct store_write w = {.keys = b->keys, .now = test_now};
    struct upgrade_state s;
    assert_int_equal(engine_group_begin(b->engine, &w.t), OK);
    write_begin(&w);
    assert_int_equal(upgrade_run(&w, steps, 2, at, &s), OK);
    assert_int_equal(write_end(&w), OK);
    if (dies)
        engine_group_abort(w.t);
    else
        assert_int_equal(engine_group_commit(w.t), OK);
    return s;
}

/* Dies before and after each commit in turn; the next one begins the step at work anew. */
static void test_cut_short_anywhere(void **state)
{
    for (unsigned dies = 0; dies < 10; dies++) {
        struct bench b;
        struct upgrade_state s = {.more = true};
        uint64_t at = 0;
        bench_mem(&b, false);
        set_step(&b, 0);
        for (unsigned commits = 0; s.more; commits++) {
            const bool undone = commits == dies / 2 && dies % 2 == 0;
            s = commit(&b, &at, undone);
            assert_true(undone || step_of(&b, 2) == s.done);
            /* The number says no more than is so. */
            assert_true(step_of(&b, 2) == 0 || rows_of(&b) == ROWS);
            if (commits == dies / 2) {
                at = 0;
                s.more = true;
            }
            assert_true(commits < 12);
        }
        assert_int_equal(step_of(&b, 2), 2);
        assert_int_equal(rows_of(&b), ROWS);
        s = commit(&b, &at, false);
        assert_true(!s.more && s.done == 2 && s.what[0] == '\0');
        bench_close(&b);
    }
}

static void test_a_newer_step_is_refused(void **state)
{
    struct bench b;
    uint64_t at = 0;
    struct upgrade_state s;
    bench_mem(&b, false);
    set_step(&b, 3);
    struct store_write w = {.keys = b.keys};
    assert_int_equal(engine_group_begin(b.engine, &w.t), OK);
    assert_int_equal(upgrade_run(&w, steps, 2, &at, &s), ERR_VERSION);
    engine_group_abort(w.t);
    assert_int_equal(store_check(b.engine, b.keys, true), ERR_VERSION);
    bench_close(&b);
}

static void test_nothing_else_is_done_meanwhile(void **state)
{
    static const struct vault_request add = {.type = VAULT_DOMAIN_ADD, .name.text = {(const uint8_t *)"b.example", 9}};
    static const struct vault_request upgrade = {.type = VAULT_UPGRADE}, stat = {.type = VAULT_STAT};
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    assert_int_equal(vault_take_up(b.vault), OK);
    assert_false(b.vault->outdated);
    set_step(&b, SCHEMA_STEP - 1);
    assert_int_equal(store_check(b.engine, b.keys, false), ERR_UPGRADE);
    assert_int_equal(store_check(b.engine, b.keys, true), OK);
    assert_int_equal(vault_take_up(b.vault), OK);
    assert_true(b.vault->outdated);
    assert_int_equal(request(&b, &add, -1), ERR_UPGRADE);
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_RESTORED}, -1), ERR_UPGRADE);
    assert_int_equal(request(&b, &stat, -1), OK);
    assert_int_equal(request(&b, &upgrade, -1), OK);
    assert_true(b.r.upgraded.done == SCHEMA_STEP && b.r.upgraded.steps == SCHEMA_STEP && !b.r.upgraded.more);
    assert_true(b.r.upgraded.what.len > 0);
    assert_int_equal(request(&b, &add, -1), OK);
    assert_int_equal(store_check(b.engine, b.keys, false), OK);
    assert_int_equal(request(&b, &upgrade, -1), OK);
    assert_true(b.r.upgraded.done == SCHEMA_STEP && b.r.upgraded.what.len == 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_short_anywhere),
        cmocka_unit_test(test_a_newer_step_is_refused),
        cmocka_unit_test(test_nothing_else_is_done_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
