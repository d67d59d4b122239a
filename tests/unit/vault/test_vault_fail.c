/* Every place where a write can fail is failed in turn, for every kind of request: all of it happens, or nothing does,
 * and what is counted is what is there. */
#include "tests/support/vault_one_of_each.h"

static const struct {
    const char *name;
    int (*run)(struct setting *s);
    bool gone;  /* the account is not there afterwards */
    bool steps; /* in commits of its own: what a failure leaves behind is gone, or done, when the vault has gone on */
} kinds[] = {
    {"key-publish", key_publish},
    {"key-withdraw", key_withdraw},
    {"upload-add", upload_new},
    {"upload-confirm", upload_word},
    {"deliver", deliver_plain},
    {"delivered-seen", delivered_seen},
    {"replace", replace_here},
    {"replace-elsewhere", replace_shared},
    {"key-notice", key_notice},
    {"flags", flags_add},
    {"copy", copy},
    {"copy-first", copy_first},
    {"copy-more", copy_more},
    {"copy-last", copy_last},
    {"copy-begun", copy_begun},
    {"copy-undone", copy_undone},
    {"move", move},
    {"move-self", move_self},
    {"expunge", expunge},
    {"expunge-deleted", expunge_deleted},
    {"create", box_create},
    {"rename", box_rename},
    {"inbox-rename", inbox_rename},
    {"subscribe", subscribe},
    {"delete", box_delete},
    {"account-add", account_new, .steps = true},
    {"account-set", account_change},
    {"alias-add", alias_add},
    {"alias-remove", alias_remove},
    {"domain-add", domain_new},
    {"domain-remove", domain_gone},
    {"key-add", key_add},
    {"key-replace", key_add},
    {"key-retire", key_retire},
    {"key-current", key_current},
    {"key-enc-revoked", key_enc_revoked},
    {"key-revoked", key_revoked},
    {"password-add", password_new},
    {"password-revoke", password_gone},
    {"account-hold", account_held},
    {"account-release", account_released},
    {"complaint", complaint},
    {"dmarc-report", dmarc_report},
    {"suppress-put", suppress_put},
    {"suppress-del", suppress_del},
    {"correspondent-put", key_seen},
    {"correspondent-put-anew", key_seen},
    {"correspondent-del", key_forgotten},
    {"sts-put", sts_put},
    {"sts-del", sts_del},
    {"tally-put", tally_put},
    {"tally-del", tally_del},
    {"invite-put", invite_new},
    {"invite-del", invite_gone},
    {"invite-put-anew", invite_new},
    {"signin-set", signin_first},
    {"wrapped-put", wrapped_new},
    {"wrapped-del", wrapped_gone},
    {"session-add", session_new},
    {"factor-put", factor_new},
    {"factor-used", factor_spent},
    {"factor-del", factor_gone},
    {"session-used", session_seen},
    {"session-del", session_gone},
    {"session-add-anew", session_new},
    {"signin-set-anew", signin_other},
    {"restored", restored, .steps = true},
    {"account-remove", account_gone, .gone = true, .steps = true},
};

/* What a vault does after its start. */
static void go_on(struct bench *b)
{
    int err = vault_restored(b->vault);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    assert_int_equal(vault_restored(b->vault), ERR_NOT_FOUND);
    while (vault_chores(b->vault))
        ;
    uint64_t id;
    b->notices = 0;
    assert_int_equal(hear(b, &id), ERR_TIMEOUT); /* notices alone */
    b->notices = 0;
}

/* All kinds one after another in one store; each first fails at 1, 2, 3 ... until it does not meet the failure any
 * more. */
static void fail_everywhere(int err)
{
    struct setting s;
    uint64_t failures = 0;
    setting_make(&s);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        bool is_restored = kinds[k].run == restored;
        numbers_differ = kinds[k].steps;
        for (uint64_t nth = 1;; nth++) {
            if (kinds[k].steps)
                go_on(&s.b);
            struct state before = state_of(&s.b);
            engine_fail_at(s.b.fail, nth, err);
            int r = kinds[k].run(&s);
            engine_fail_at(s.b.fail, 0, OK);
            if (r == OK)
                break;
            failures++;
            if (r != err)
                fail_msg("%s failed at %u with %d", kinds[k].name, (unsigned)nth, r);
            if (kinds[k].steps)
                go_on(&s.b);
            struct state after = state_of(&s.b);
            if (!is_restored && memcmp(&before, &after, sizeof(before)) != 0)
                fail_msg("%s left something behind when call %u failed", kinds[k].name, (unsigned)nth);
            assert_int_equal(s.b.notices, 0);
            assert_true(nth < 5000);
        }
        if (!kinds[k].gone)
            store_recount(s.b.engine, s.b.keys, s.b.account);
        if (strcmp(kinds[k].name, "account-set") == 0) /* the policy is another one now: back */
            assert_int_equal(account_only(&s, VAULT_ACCOUNT_SET), OK);
    }
    /* the steps of erasure: a step that fails is just done again */
    bool more = true;
    for (uint64_t nth = 1; more; nth++) {
        engine_fail_at(s.b.fail, nth % 97 + 1, err);
        (void)vault_chores(s.b.vault);
        engine_fail_at(s.b.fail, 0, OK);
        if (nth % 5 == 0)
            more = vault_chores(s.b.vault);
    }
    struct engine_txn *t;
    struct schema_keybuf key;
    uint32_t left = 0;
    assert_int_equal(engine_read_begin(s.b.engine, &t), OK);
    assert_int_equal(engine_scan(t, s.b.account, key_simple(&key, '\0'), slice_of("", 0), 0, recount_one, &left), OK);
    (void)engine_read_end(t);
    assert_int_equal(left, 0);
    print_message("%llu failures\n", (unsigned long long)failures);
    assert_true(failures > 150);
    setting_end(&s);
}

static void test_full(void **state)
{
    fail_everywhere(ERR_FULL);
}
static void test_io(void **state)
{
    fail_everywhere(ERR_IO);
}

/* One request of a group fails after a write: it alone is answered so, the others are done. */
static void test_only_the_one_at_fault(void **state)
{
    struct setting s;
    setting_make(&s);
    uint64_t first = 0, calls = 0;
    for (uint64_t nth = 2; nth < 60; nth++) {
        uint64_t ids[4];
        for (uint8_t i = 0; i < 4; i++) {
            struct letter l = {.mailbox = 1, .id = (uint8_t)nth};
            struct vault_request q = letter_request(s.b.account, &l);
            q.deliver.delivery[1] = i; /* each its own */
            ask_for(&s.b, &q, s.parcel);
            ids[i] = s.b.ids;
        }
        if (first == 0)
            first = ids[0];
        uint64_t spoiled = s.b.vault->count.spoiled;
        engine_fail_at(s.b.fail, nth, ERR_FULL);
        vault_run(s.b.vault);
        bool met = s.b.vault->count.spoiled > spoiled || s.b.vault->count.commit_failed > 0;
        engine_fail_at(s.b.fail, 0, OK);
        for (int i = 0; i < 4; i++) {
            uint64_t id;
            int err = hear(&s.b, &id);
            assert_int_equal(id, ids[i]);
            if (s.b.vault->count.commit_failed > 0)
                assert_true(err == OK || err == ERR_FULL);
            else
                assert_int_equal(err, OK); /* the failure does not come again when they run alone */
        }
        uint64_t none;
        assert_int_equal(hear(&s.b, &none), ERR_TIMEOUT);
        s.b.vault->count.commit_failed = 0;
        calls += met;
        store_recount(s.b.engine, s.b.keys, s.b.account);
    }
    assert_true(calls > 20);
    setting_end(&s);
}

/* A commit that fails takes back what the gate remembers of keys. */
static void test_gate_forgets(void **state)
{
    struct setting s;
    setting_make(&s);
    int two = parcel_of(OUTER, 2, 10);
    struct letter l = {.mailbox = 1};
    const struct vault_request add = {.type = VAULT_KEY_ADD,
                                      .account = s.b.account,
                                      .key = {.verdict = verdict_of(2), .cert_len = 300}};
    const struct vault_request deliver = letter_request(s.b.account, &l);
    ask_for(&s.b, &add, s.cert);
    ask_for(&s.b, &deliver, two); /* passes the gate by the new key */
    /* find the commit: the last counted call */
    uint64_t nth = 1;
    for (;; nth++) {
        engine_fail_at(s.b.fail, nth, ERR_IO);
        uint64_t failed = s.b.vault->count.commit_failed;
        vault_run(s.b.vault);
        engine_fail_at(s.b.fail, 0, OK);
        int a = hear(&s.b, NULL), b = hear(&s.b, NULL);
        if (s.b.vault->count.commit_failed > failed && a == ERR_IO && b == ERR_IO)
            break;
        assert_true(nth < 200);
        /* undo what was done: retire the key again by making a new setting */
        setting_end(&s);
        setting_make(&s);
        ask_for(&s.b, &add, s.cert);
        ask_for(&s.b, &deliver, two);
    }
    /* another key gets the same keys_version */
    assert_int_equal(cert_add(&s, verdict_of(3)), OK);
    assert_int_equal(deliver_call(&s.b, &l, two), ERR_REFUSED);
    close(two);
    setting_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_io),
        cmocka_unit_test(test_only_the_one_at_fault),
        cmocka_unit_test(test_gate_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
