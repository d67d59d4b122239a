/* Who has written to an account is noted in the commit that stores the mail, and what a mail shows of its sender stays
 * with its record. */
#include "tests/support/vault_support.h"

#include <sodium.h>

#include "crypto/outer_seal.h"
#include "store/contact_impl.h"
#include "store/sending.h"

enum { WEEK = 7 * 86400 };

static struct bench b;
static uint8_t ids;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(outer_seal_init(), OK);
    test_now = 1700000000;
    bench_mem(&b, true);
    bench_account(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_close(&b);
    return 0;
}

static int deliver(const char *from, bool proven, uint8_t id, int parcel)
{
    struct vault_request q = letter_request(b.account, &(struct letter){.mailbox = MAILBOX_INBOX, .id = id});
    contact_who(b.keys, b.account, from, proven, q.deliver.contact);
    q.deliver.nfeatures = MESSAGE_FEATURES_MAX;
    for (unsigned i = 0; i < MESSAGE_FEATURES_MAX; i++)
        q.deliver.features[i] = UINT64_MAX - i;
    return request(&b, &q, parcel);
}

static int arrives(const char *from, bool proven)
{
    return deliver(from, proven, ++ids, parcel_of(OUTER, 1, 100));
}

static bool known(const char *from, bool proven)
{
    uint8_t who[CONTACT_WHO];
    struct engine_txn *t;
    contact_who(b.keys, b.account, from, proven, who);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    const int err = contact_find(t, b.keys, b.account, who);
    engine_read_end(t);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    return err == OK;
}

static void test_noted_with_the_mail(void **state)
{
    assert_false(known("a@there.example", false));
    assert_int_equal(arrives("a@there.example", false), OK);
    assert_true(known("a@there.example", false));
    assert_false(known("b@there.example", false));
    assert_false(known("a@there.example", true)); /* whoever proves the name is somebody else */
    assert_int_equal(arrives("a@there.example", true), OK);
    assert_true(known("a@there.example", true));
}

/* What is not stored was not there. */
static void test_nothing_without_the_mail(void **state)
{
    assert_int_equal(deliver("a@there.example", false, 200, parcel_of("Subject: clear\r\n", 1, 100)), ERR_REFUSED);
    assert_false(known("a@there.example", false));
    assert_int_equal(deliver("a@there.example", false, 201, parcel_of(OUTER, 1, 100)), OK);
    assert_int_equal(deliver("b@there.example", false, 201, parcel_of(OUTER, 1, 100)), OK); /* the same delivery */
    assert_true(where_of(&b).duplicate);
    assert_false(known("b@there.example", false));
}

static void test_nobody(void **state)
{
    struct vault_request q = letter_request(b.account, &(struct letter){.mailbox = MAILBOX_INBOX, .id = ++ids});
    struct schema_keybuf kb;
    struct engine_txn *t;
    struct slice value;
    assert_int_equal(request(&b, &q, parcel_of(OUTER, 1, 100)), OK);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    for (uint32_t i = 0; i < SENDING_BUCKETS; i++)
        assert_int_equal(engine_get(t, b.account, key_u32(&kb, 'f', i), &value), ERR_NOT_FOUND);
    engine_read_end(t);
}

static void note_many(uint32_t n)
{
    struct store_write w = {.keys = b.keys, .account = b.account, .now = test_now};
    char name[40];
    uint8_t who[CONTACT_WHO];
    assert_int_equal(engine_group_begin(b.engine, &w.t), OK);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "flood%u@there.example", i);
        contact_who(b.keys, b.account, name, false, who);
        assert_int_equal(contact_note(&w, who), OK);
    }
    assert_int_equal(engine_group_commit(w.t), OK);
}

/* Anybody may invent as many names as they like: those who have written in several weeks stay. */
static void test_a_flood_of_names(void **state)
{
    assert_int_equal(arrives("friend@there.example", true), OK);
    assert_int_equal(arrives("once@there.example", true), OK);
    test_now += WEEK;
    assert_int_equal(arrives("friend@there.example", true), OK);
    note_many(3 * SENDING_BUCKETS * SENDING_BUCKET_MAX);
    assert_true(known("friend@there.example", true));
    assert_false(known("once@there.example", true));
    struct engine_txn *t;
    struct schema_keybuf kb, end;
    struct slice value;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    for (uint32_t i = 0; i < SENDING_BUCKETS; i++)
        assert_int_equal(engine_get(t, b.account, key_u32(&kb, 'f', i), &value), OK);
    assert_int_equal(engine_get(t, b.account, key_u32(&end, 'f', SENDING_BUCKETS), &value), ERR_NOT_FOUND);
    engine_read_end(t);
}

static void check_features(uint64_t message)
{
    struct schema_message m;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_message(t, b.keys, b.account, message, &m, NULL), OK);
    engine_read_end(t);
    assert_int_equal(m.nfeatures, MESSAGE_FEATURES_MAX);
    for (unsigned i = 0; i < MESSAGE_FEATURES_MAX; i++)
        assert_true(m.features[i] == UINT64_MAX - i);
}

static void test_features_stay_with_the_message(void **state)
{
    assert_int_equal(arrives("a@there.example", false), OK);
    const struct where w = where_of(&b);
    const uint32_t set[] = {w.uid, w.uid};
    check_features(w.message);
    assert_int_equal(copy_call(&b, MAILBOX_INBOX, 2, false, set, 1), OK);
    check_features(w.message);
    assert_int_equal(copy_call(&b, MAILBOX_INBOX, 3, true, set, 1), OK);
    check_features(w.message);
}

/* Whoever has two accounts' records cannot tell that one wrote to both. */
static void test_accounts_differ(void **state)
{
    uint8_t here[CONTACT_WHO], there[CONTACT_WHO], whom[SENDING_WHOM];
    contact_who(b.keys, 16, "a@there.example", true, here);
    contact_who(b.keys, 17, "a@there.example", true, there);
    sending_whom(b.keys, 16, "a@there.example", whom);
    assert_memory_not_equal(here, there, CONTACT_WHO);
    assert_memory_not_equal(here, whom, CONTACT_WHO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_noted_with_the_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_without_the_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_of_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_features_stay_with_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accounts_differ, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
