/* Every place where a write can fail is failed in turn, for every kind of request: all of it happens, or nothing does,
 * and what is counted is what is there. */
#include "tests/support/vault_recount.h"

#include <sodium.h>

static bool numbers_differ; /* the number of an account that was not made is not given out again */

static int hash_one(void *arg, struct slice key, struct slice value)
{
    if (numbers_differ && key.len == 1 && key.data[0] == 'I')
        return 0;
    crypto_generichash_state *st = arg;
    uint64_t len[2] = {key.len, value.len};
    crypto_generichash_update(st, (const uint8_t *)len, sizeof(len));
    crypto_generichash_update(st, key.data, key.len);
    crypto_generichash_update(st, value.data, value.len);
    return 0;
}

static int hash_part(void *arg, uint64_t part)
{
    void **a = arg;
    struct schema_keybuf k;
    return engine_scan(a[1], part, key_simple(&k, '\0'), slice_of("", 0), 0, hash_one, a[0]);
}

struct state {
    uint8_t hash[32];
};

static struct state state_of(struct bench *b)
{
    struct state s;
    struct engine_txn *t;
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof(s.hash));
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    void *a[2] = {&st, t};
    assert_int_equal(engine_partitions(t, hash_part, a), OK);
    (void)engine_read_end(t);
    crypto_generichash_final(&st, s.hash, sizeof(s.hash));
    return s;
}

/* ---- one of each ---- */

struct setting {
    struct bench b;
    int parcel, cert;
    uint32_t deep;
};

static int cert_add(struct setting *s, struct pgp_verdict v)
{
    const struct vault_request q = {.type = VAULT_KEY_ADD,
                                    .account = s->b.account,
                                    .key = {.verdict = v, .cert_len = 300}};
    return request(&s->b, &q, s->cert);
}

static void setting_make(struct setting *s)
{
    struct pgp_verdict expired = verdict_of(1);
    uint8_t cert[300];
    expired.enc_expires = (uint32_t)test_now;
    bench_mem(&s->b, true);
    bench_account(&s->b);
    s->parcel = parcel_of(OUTER, 1, 33000);
    memset(cert, 2, sizeof(cert));
    assert_int_equal(parcel_make_plain(cert, sizeof(cert), &s->cert), OK);
    assert_int_equal(cert_add(s, expired), OK); /* which may be told */
    for (int i = 0; i < 4; i++) {
        struct letter l = {.mailbox = 1,
                           .flags = i == 2 ? FLAG_DELETED : 0,
                           .id = (uint8_t)(100 + i),
                           .keyword = i ? NULL : "first"};
        assert_int_equal(deliver_call(&s->b, &l, s->parcel), OK);
    }
    assert_int_equal(create_call(&s->b, "deep/er", &s->deep), OK);
    assert_int_equal(copy_call(&s->b, 1, s->deep, 0, (uint32_t[]){1, 2}, 1), OK);
    store_recount(s->b.engine, s->b.keys, s->b.account);
}

static void setting_end(struct setting *s)
{
    close(s->parcel);
    close(s->cert);
    bench_close(&s->b);
}

static int key_add(struct setting *s)
{
    return cert_add(s, verdict_of(2));
}

static int key_state(struct setting *s, enum vault_msg type, int fd)
{
    uint8_t fpr[20];
    const struct vault_request q = {.type = type,
                                    .account = s->b.account,
                                    .key = {.fpr = slice_of(fpr, sizeof(fpr)), .cert_len = 300}};
    memset(fpr, 2, sizeof(fpr));
    return request(&s->b, &q, fd);
}
static int key_retire(struct setting *s)
{
    return key_state(s, VAULT_KEY_RETIRE, -1);
}
static int key_current(struct setting *s)
{
    return key_state(s, VAULT_KEY_CURRENT, -1);
}
static int key_enc_revoked(struct setting *s)
{
    return key_state(s, VAULT_KEY_ENC_REVOKED, -1);
}
static int key_revoked(struct setting *s)
{
    return key_state(s, VAULT_KEY_REVOKED, s->cert);
}

static int key_notice(struct setting *s)
{
    uint8_t fpr[20];
    struct engine_txn *t;
    struct schema_account a;
    struct letter l = {.mailbox = 1, .keyword = "told"};
    memset(fpr, 1, sizeof(fpr));
    assert_int_equal(engine_read_begin(s->b.engine, &t), OK);
    assert_int_equal(schema_get_account(t, s->b.keys, s->b.account, &a), OK);
    (void)engine_read_end(t);
    struct vault_request q = letter_request(s->b.account, &l);
    q.type = VAULT_KEY_NOTICE;
    q.deliver.notice.fpr = slice_of(fpr, sizeof(fpr));
    q.deliver.notice.events = KEY_EVENT_EXPIRED;
    q.deliver.notice.keys_version = a.keys_version;
    return request(&s->b, &q, s->parcel);
}

static int account_only(struct setting *s, enum vault_msg type)
{
    const struct vault_request q = {.type = type, .account = s->b.account, .new = {.policy = 1, .quota = 5000000}};
    return request(&s->b, &q, -1);
}

static int name_only(struct setting *s, enum vault_msg type, const char *name)
{
    const struct vault_request q = {.type = type, .account = s->b.account, .name = {slice_str(name), ADDRESS_ALIAS}};
    return request(&s->b, &q, -1);
}

static int password(struct setting *s, enum vault_msg type)
{
    const struct vault_request q = {.type = type,
                                    .account = s->b.account,
                                    .password = {.hash = {3},
                                                 .scope = SCOPE_SMTP,
                                                 .stored_key = {3},
                                                 .server_key = {3},
                                                 .label = slice_str("l"),
                                                 .number = 1}};
    return request(&s->b, &q, -1);
}

static int deliver_plain(struct setting *s)
{
    struct letter l = {.mailbox = 1, .id = 7, .keyword = "new"};
    return deliver_call(&s->b, &l, s->parcel);
}

static int replace_uid(struct setting *s, uint32_t uid, uint32_t to, uint8_t id)
{
    struct letter l = {.mailbox = to, .id = id, .keyword = "newest"};
    return replace_call(&s->b, 1, uid, &l, s->parcel);
}

static int replace_here(struct setting *s)
{
    return replace_uid(s, 5, 1, 8);
}
static int replace_shared(struct setting *s)
{
    return replace_uid(s, 1, 4, 0);
} /* another mailbox has it too */
static int flags_add(struct setting *s)
{
    return flags_call(&s->b, 1, 1, FLAG_SEEN, "newer", UINT64_MAX, (uint32_t[]){1, 3}, 1);
}
static int copy(struct setting *s)
{
    return copy_call(&s->b, 1, 5, 0, (uint32_t[]){1, 3}, 1);
}
static int move(struct setting *s)
{
    return copy_call(&s->b, 1, 5, 1, (uint32_t[]){1, 3}, 1);
}
static int move_self(struct setting *s)
{
    return copy_call(&s->b, 1, 1, 1, (uint32_t[]){1, 3}, 1);
}
static int expunge(struct setting *s)
{
    return expunge_call(&s->b, 1, 0, (uint32_t[]){1, 4}, 1);
}
static int expunge_deleted(struct setting *s)
{
    return expunge_call(&s->b, 1, 1, (uint32_t[]){1, 4}, 1);
}
static int box_create(struct setting *s)
{
    return create_call(&s->b, "one/two/three", NULL);
}
static int box_delete(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_DELETE, s->deep, NULL, -1);
}
static int box_rename(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_RENAME, s->deep - 1, "new/place", -1);
}
static int inbox_rename(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_RENAME, 1, "saved", -1);
}
static int subscribe(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_SUBSCRIBE, 0, "Drafts", 0);
}
static int account_new(struct setting *s)
{
    uint64_t mine = s->b.account;
    int err = account_add_call(&s->b, "bob@example.org", 0, 0, 2);
    s->b.account = mine;
    return err;
}
static int account_gone(struct setting *s)
{
    return account_only(s, VAULT_ACCOUNT_REMOVE);
}
static int account_change(struct setting *s)
{
    return account_only(s, VAULT_ACCOUNT_SET);
}
static int alias_add(struct setting *s)
{
    return name_only(s, VAULT_ADDRESS_ADD, "al@example.org");
}
static int alias_remove(struct setting *s)
{
    return name_only(s, VAULT_ADDRESS_REMOVE, "al@example.org");
}
static int domain_new(struct setting *s)
{
    return name_only(s, VAULT_DOMAIN_ADD, "example.net");
}
static int domain_gone(struct setting *s)
{
    return name_only(s, VAULT_DOMAIN_REMOVE, "example.net");
}
static int password_new(struct setting *s)
{
    return password(s, VAULT_APP_PASSWORD_ADD);
}
static int password_gone(struct setting *s)
{
    return password(s, VAULT_APP_PASSWORD_REVOKE);
}
static int restored(struct setting *s)
{
    return request(&s->b, &(struct vault_request){.type = VAULT_RESTORED}, -1);
}

static const struct {
    const char *name;
    int (*run)(struct setting *s);
    bool gone;  /* the account is not there afterwards */
    bool steps; /* in commits of its own: what a failure leaves behind is gone, or done, when the vault has gone on */
} kinds[] = {
    {"deliver", deliver_plain},
    {"replace", replace_here},
    {"replace-elsewhere", replace_shared},
    {"key-notice", key_notice},
    {"flags", flags_add},
    {"copy", copy},
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

/* ---- commits whose end is not known ---- */

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
        const struct vault_request q = {.type = VAULT_MAILBOX_CREATE,
                                        .account = s.b.account,
                                        .box.name = slice_str("twice")};
        ask_for(&s.b, &q, -1);
    }
    engine_fail_unknown(s.b.fail, false, 0);
    vault_run(s.b.vault);
    assert_int_equal(hear(&s.b, NULL), ERR_UNKNOWN);
    assert_int_equal(hear(&s.b, NULL), ERR_UNKNOWN);
    assert_int_equal(create_call(&s.b, "twice", NULL), OK);
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
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_io),
        cmocka_unit_test(test_only_the_one_at_fault),
        cmocka_unit_test(test_gate_forgets),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_unknown_for_long),
        cmocka_unit_test(test_unknown_and_silence),
        cmocka_unit_test(test_unknown_to_all_of_a_group),
        cmocka_unit_test(test_unknown_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
