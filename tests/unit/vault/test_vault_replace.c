/* VAULT_REPLACE: a new message comes and an old one goes in one commit, or nothing happens. */
#include "tests/support/vault_requests.h"

static bool here(struct bench *b, uint32_t mailbox, uint32_t uid)
{
    struct engine_txn *t;
    struct schema_entry e;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    int err = schema_get_entry(t, b->keys, b->account, mailbox, uid, &e);
    (void)engine_read_end(t);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    return err == OK;
}

static void test_one_mailbox(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 4; i++)
        deliver_ok(&b, 1, i == 1 ? FLAG_SEEN | FLAG_DELETED : 0, 100);
    struct letter l = {.mailbox = 1, .flags = FLAG_FLAGGED, .keyword = "$Kept", .internaldate = 1234567890};
    uint64_t modseq = box_of(&b, 1).highestmodseq;
    int fd = parcel_of(OUTER, 1, 20000);
    assert_int_equal(replace_call(&b, 1, 2, &l, fd), OK);
    struct where w = where_of(&b);
    struct schema_mailbox box = box_of(&b, 1);
    assert_int_equal(w.uid, 5);
    assert_int_equal(w.uidvalidity, box.uidvalidity);
    assert_int_equal(w.modseq, modseq + 1); /* one change */
    assert_int_equal(box.highestmodseq, modseq + 1);
    assert_int_equal(box.exists, 4);
    assert_int_equal(box.deleted, 0);
    assert_false(here(&b, 1, 2));
    assert_int_equal(b.notices, 1);
    assert_int_equal(b.notice[0].exists, 4);
    recount_all(&b);
    /* what is gone cannot be replaced again, and nothing comes of it */
    assert_int_equal(replace_call(&b, 1, 2, &l, fd), ERR_NOT_FOUND);
    assert_int_equal(replace_call(&b, 1, 77, &l, fd), ERR_NOT_FOUND);
    assert_int_equal(replace_call(&b, 99, 1, &l, fd), ERR_NOT_FOUND);
    assert_int_equal(b.notices, 0);
    assert_int_equal(box_of(&b, 1).highestmodseq, modseq + 1);
    /* its own successor, over a block's edge */
    for (uint32_t uid = 5; uid < 1030; uid++) {
        assert_int_equal(replace_call(&b, 1, uid, &l, fd), OK);
        assert_int_equal(where_of(&b).uid, uid + 1);
    }
    assert_int_equal(box_of(&b, 1).exists, 4);
    assert_int_equal(usage_of(&b).messages, 4);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

static void test_two_mailboxes(void **state)
{
    struct bench b;
    uint32_t to = 0;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(create_call(&b, "Sealed anew", &to), OK);
    assert_int_equal(find_mailbox(&b, "Sealed anew"), to);
    deliver_ok(&b, 1, 0, 100);
    deliver_ok(&b, 1, 0, 100);
    struct letter l = {.mailbox = to};
    int fd = parcel_of(OUTER, 1, 300);
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), OK);
    assert_int_equal(where_of(&b).uid, 1);
    assert_int_equal(b.notices, 2); /* both mailboxes' readers hear of it */
    assert_true(b.notice[0].mailbox != b.notice[1].mailbox);
    assert_false(here(&b, 1, 1));
    assert_true(here(&b, to, 1));
    assert_int_equal(box_of(&b, 1).exists, 1);
    recount_all(&b);
    /* a target that is not there leaves the old message where it is */
    l.mailbox = 99;
    assert_int_equal(replace_call(&b, 1, 2, &l, fd), ERR_NOT_FOUND);
    assert_true(here(&b, 1, 2));
    /* a mailbox that was deleted holds nothing that can be replaced, even before its messages are erased */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, to, NULL, -1), OK);
    l.mailbox = 1;
    assert_int_equal(replace_call(&b, to, 1, &l, fd), ERR_NOT_FOUND);
    close(fd);
    while (vault_chores(b.vault))
        ;
    recount_all(&b);
    bench_close(&b);
}

/* A retry finds its first result: the second replacement neither comes nor takes another message along. */
static void test_again(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    deliver_ok(&b, 1, 0, 100);
    struct letter l = {.mailbox = 1, .id = 33};
    int fd = parcel_of(OUTER, 1, 300);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(replace_call(&b, 1, 1, &l, fd), OK);
        struct where w = where_of(&b);
        assert_int_equal(w.duplicate, i > 0);
        assert_int_equal(w.uid, 2);
        assert_int_equal(box_of(&b, 1).exists, 1);
    }
    /* two in one group want the same message: the second finds it gone */
    for (uint8_t id = 40; id < 42; id++) {
        l.id = id;
        struct vault_request q = letter_request(b.account, &l);
        q.type = VAULT_REPLACE;
        q.deliver.replaced.mailbox = 1;
        q.deliver.replaced.uid = 2;
        ask_for(&b, &q, fd);
    }
    vault_run(b.vault);
    assert_int_equal(hear(&b, NULL), OK);
    assert_int_equal(hear(&b, NULL), ERR_NOT_FOUND);
    assert_int_equal(box_of(&b, 1).exists, 1);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

enum { ROOM = 199 }; /* for the tombstones of two changes, not for another size */

/* RFC 8508 section 3.4: only the net consumption counts. */
static void test_quota(void **state)
{
    struct bench b;
    uint32_t to = 0;
    bench_mem(&b, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    assert_int_equal(account_add_call(&b, "q@example.org", 0, 0, 1), OK);
    assert_int_equal(create_call(&b, "copies", &to), OK);
    deliver_ok(&b, 1, 0, 10000);
    deliver_ok(&b, 1, 0, 10000);
    quota_set(&b, usage_of(&b).bytes + ROOM);
    struct letter l = {.mailbox = 1};
    int same = parcel_of(OUTER, 1, 10000), more = parcel_of(OUTER, 1, 12200), less = parcel_of(OUTER, 1, 9000);
    assert_int_equal(deliver_call(&b, &l, less), ERR_QUOTA);
    assert_int_equal(replace_call(&b, 1, 1, &l, more), ERR_QUOTA);
    assert_true(here(&b, 1, 1));
    recount_all(&b);
    assert_int_equal(replace_call(&b, 1, 1, &l, same), OK);
    assert_int_equal(replace_call(&b, 1, 2, &l, less), OK);
    assert_int_equal(replace_call(&b, 1, 4, &l, same), OK);
    /* while another mailbox has the old message too, nothing is freed */
    assert_int_equal(copy_call(&b, 1, to, 0, (uint32_t[]){5, 5}, 1), ERR_QUOTA); /* an entry counts too */
    quota_set(&b, usage_of(&b).bytes + CHARGE_ENTRY);
    assert_int_equal(copy_call(&b, 1, to, 0, (uint32_t[]){5, 5}, 1), OK);
    assert_int_equal(replace_call(&b, 1, 5, &l, less), ERR_QUOTA);
    assert_int_equal(replace_call(&b, to, 1, &l, less), ERR_QUOTA);
    recount_all(&b);
    /* an account whose quota was lowered may still replace by what is no larger */
    quota_set(&b, 5000);
    assert_int_equal(replace_call(&b, 1, 3, &l, more), ERR_QUOTA);
    assert_int_equal(replace_call(&b, 1, 3, &l, same), OK);
    close(same);
    close(more);
    close(less);
    recount_all(&b);
    bench_close(&b);
}

static void test_refused(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    deliver_ok(&b, 1, 0, 100);
    struct letter l = {.mailbox = 1};
    int fd = parcel_of(OUTER, 2, 300); /* a stranger's key: the gate says no */
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), ERR_REFUSED);
    close(fd);
    fd = parcel_of(OUTER, 1, 300);
    l.policy = 1;
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), ERR_CONFLICT);
    l.policy = 0;
    l.keyword = "not(a)keyword";
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), ERR_FORMAT);
    l.keyword = NULL;
    assert_true(here(&b, 1, 1));
    assert_int_equal(box_of(&b, 1).exists, 1);
    /* malformed: no UID, too short at every octet, octets left over, no descriptor */
    struct vault_request q = letter_request(b.account, &l);
    q.type = VAULT_REPLACE;
    q.deliver.replaced.mailbox = q.deliver.replaced.uid = 1;
    PACK(p);
    vault_request_pack(&p, &q);
    size_t len = p.len;
    memset(out_buf + 4, 0, 4); /* the UID */
    assert_int_equal(ask(&b, VAULT_REPLACE, &p, fd), ERR_FORMAT);
    out_buf[7] = 1;
    assert_int_equal(ask(&b, VAULT_REPLACE, &p, -1), ERR_FORMAT);
    for (p.len = 0; p.len < len; p.len++)
        assert_int_equal(ask(&b, VAULT_REPLACE, &p, fd), ERR_FORMAT);
    pack_u8(&p, 0);
    assert_int_equal(ask(&b, VAULT_REPLACE, &p, fd), ERR_FORMAT);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_mailbox), cmocka_unit_test(test_two_mailboxes), cmocka_unit_test(test_again),
        cmocka_unit_test(test_quota),       cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
