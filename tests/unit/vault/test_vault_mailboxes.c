/* Requests on mailboxes and on the messages in them, through decoder, group and reply, with the long ones done in
 * steps. */
#include "tests/support/vault_requests.h"

static void test_flags(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 5; i++)
        deliver_ok(&b, 1, 0, 10);
    uint64_t before = box_of(&b, 1).highestmodseq;
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){4, 9, 1, 2}, 2), OK);
    uint64_t modseq = b.r.flags.modseq;
    assert_int_equal(modseq, before + 1);
    assert_int_equal(b.r.flags.nchanged, 4);
    assert_int_equal(b.r.flags.changed[0].uid, 1);
    assert_int_equal(b.r.flags.changed[0].flags, FLAG_SEEN);
    assert_int_equal(b.r.flags.changed[0].modseq, modseq);
    assert_int_equal(box_of(&b, 1).unseen, 1);
    assert_int_equal(box_of(&b, 1).first_unseen_hint, 3);
    recount_all(&b);
    /* nothing changes: no new modseq, no notice */
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(b.r.flags.modseq, modseq);
    assert_int_equal(b.r.flags.nchanged, 0);
    assert_int_equal(b.notices, 0);
    /* UNCHANGEDSINCE splits the set */
    assert_int_equal(flags_call(&b, 1, 2, FLAG_SEEN, NULL, before, ALL_UIDS, 1), OK);
    static const uint32_t since[] = {1, 2, 4, 5};
    assert_int_equal(b.r.flags.nchanged, 0); /* 3 is not seen anyway */
    assert_int_equal(b.r.flags.nfailed, 4);
    assert_memory_equal(b.r.flags.failed, since, sizeof(since));
    recount_all(&b);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(flags_call(&b, 77, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), ERR_NOT_FOUND);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, (uint32_t[]){0, 4}, 1), ERR_FORMAT);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, (uint32_t[]){5, 4}, 1), ERR_FORMAT);
    recount_all(&b);
    bench_close(&b);
}

static uint32_t keywords_of(struct bench *b, char *ret_first)
{
    static struct schema_keywords k;
    struct engine_txn *t;
    uint32_t n = 0;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_keywords(t, b->keys, b->account, &k), OK);
    (void)engine_read_end(t);
    for (unsigned i = 0; i < k.n; i++) {
        if (k.v[i].text[0] && n++ == 0 && ret_first)
            strcpy(ret_first, k.v[i].text);
    }
    return n;
}

/* Keywords are the account's; what no message carries is given back; past the limit the keyword is dropped alone. */
static void test_keywords(void **state)
{
    struct bench b;
    char keyword[16], first[KEYWORD_LEN_MAX + 1];
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 4; i++)
        deliver_ok(&b, 1, 0, 100);
    for (int i = 0; i < KEYWORDS_MAX; i++) {
        snprintf(keyword, sizeof(keyword), "k%d", i);
        assert_int_equal(flags_call(&b, 1, 1, 0, keyword, UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    }
    assert_int_equal(keywords_of(&b, NULL), KEYWORDS_MAX);
    recount_all(&b);
    /* whatever its case */
    assert_int_equal(flags_call(&b, 1, 1, 0, "K7", UINT64_MAX, (uint32_t[]){2, 2}, 1), OK);
    assert_int_equal(b.r.flags.nchanged, 1);
    /* no number is free: \Seen is set all the same, and mail is taken */
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, "more", UINT64_MAX, (uint32_t[]){3, 3}, 1), OK);
    assert_int_equal(b.r.flags.nchanged, 1);
    assert_int_equal(box_of(&b, 1).unseen, 3);
    struct letter l = {.mailbox = 1, .flags = FLAG_SEEN, .keyword = "more"};
    int fd = parcel_of(OUTER, 1, 100);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(box_of(&b, 1).exists, 5);
    assert_int_equal(flags_call(&b, 1, 2, 0, "more", UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(flags_call(&b, 1, 1, 0, "no space", UINT64_MAX, (uint32_t[]){1, 1}, 1), ERR_FORMAT);
    assert_int_equal(flags_call(&b, 1, 1, 0, "", UINT64_MAX, (uint32_t[]){1, 1}, 1), ERR_FORMAT);
    recount_all(&b);
    /* one is given back, and its number goes to the next; one that two carry stays */
    assert_int_equal(flags_call(&b, 1, 2, 0, "k7", UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(flags_call(&b, 1, 2, 0, "k0", UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(keywords_of(&b, first), KEYWORDS_MAX - 1);
    assert_string_equal(first, "k1");
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(keywords_of(&b, first), KEYWORDS_MAX);
    assert_string_equal(first, "more");
    recount_all(&b);
    /* they go along with copies, and go with the last of them: expunged, moved, erased, set to others */
    assert_int_equal(copy_call(&b, 1, 4, 0, (uint32_t[]){1, 2, 6, 6}, 2), OK);
    assert_int_equal(copy_call(&b, 4, 5, 1, ALL_UIDS, 1), OK);
    recount_all(&b);
    assert_int_equal(expunge_call(&b, 1, 0, ALL_UIDS, 1), OK);
    assert_int_equal(keywords_of(&b, NULL), KEYWORDS_MAX);
    assert_int_equal(flags_call(&b, 5, 0, 0, "alone", UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(keywords_of(&b, NULL), 2); /* K7 and more: for "alone" there was no room */
    assert_int_equal(flags_call(&b, 5, 0, 0, "alone", UINT64_MAX, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(keywords_of(&b, NULL), 3);
    recount_all(&b);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, 5, NULL, -1), OK);
    recount_all(&b);
    while (vault_chores(b.vault))
        ;
    assert_int_equal(keywords_of(&b, NULL), 0);
    recount_all(&b);
    /* a move within one mailbox, and a message in another's place */
    deliver_ok(&b, 1, 0, 100);
    uint32_t uid = box_of(&b, 1).uidnext - 1;
    assert_int_equal(flags_call(&b, 1, 1, 0, "kept", UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(copy_call(&b, 1, 1, 1, ALL_UIDS, 1), OK);
    assert_int_equal(keywords_of(&b, first), 1);
    l.keyword = "kept";
    assert_int_equal(replace_call(&b, 1, uid + 1, &l, fd), OK);
    assert_int_equal(keywords_of(&b, first), 1);
    l.keyword = NULL;
    assert_int_equal(replace_call(&b, 1, uid + 2, &l, fd), OK);
    assert_int_equal(keywords_of(&b, first), 0);
    recount_all(&b);
    close(fd);
    bench_close(&b);
}

static void test_copy_move_expunge(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 6; i++)
        deliver_ok(&b, 1, i % 2 ? FLAG_SEEN : 0, 20000);
    assert_int_equal(copy_call(&b, 1, 5, 0, (uint32_t[]){2, 3, 6, 6}, 2), OK);
    assert_int_equal(b.r.copied.uidvalidity, box_of(&b, 5).uidvalidity);
    assert_int_equal(b.r.copied.n, 3);
    recount_all(&b);
    assert_int_equal(copy_call(&b, 1, 5, 1, (uint32_t[]){1, 4}, 1), OK);
    assert_int_equal(b.notices, 2);
    recount_all(&b);
    assert_int_equal(box_of(&b, 1).exists, 2);
    assert_int_equal(box_of(&b, 5).exists, 7);
    /* onto itself: new UIDs */
    assert_int_equal(copy_call(&b, 5, 5, 1, ALL_UIDS, 1), OK);
    assert_int_equal(box_of(&b, 5).exists, 7);
    assert_int_equal(box_of(&b, 5).uidnext, 15);
    recount_all(&b);
    assert_int_equal(copy_call(&b, 5, 5, 0, ALL_UIDS, 1), OK);
    assert_int_equal(box_of(&b, 5).exists, 14);
    recount_all(&b);
    assert_int_equal(copy_call(&b, 5, 99, 0, ALL_UIDS, 1), ERR_NOT_FOUND);
    assert_int_equal(copy_call(&b, 99, 5, 1, ALL_UIDS, 1), ERR_NOT_FOUND);
    assert_int_equal(copy_call(&b, 5, 4, 0, NULL, 0), OK);
    /* expunge of what is deleted alone */
    assert_int_equal(flags_call(&b, 5, 1, FLAG_DELETED, NULL, UINT64_MAX, (uint32_t[]){8, 10}, 1), OK);
    assert_int_equal(expunge_call(&b, 5, 1, ALL_UIDS, 1), OK);
    assert_int_equal(b.r.expunged.n, 3);
    assert_int_equal(box_of(&b, 5).exists, 11);
    recount_all(&b);
    assert_int_equal(expunge_call(&b, 5, 0, ALL_UIDS, 1), OK);
    assert_int_equal(expunge_call(&b, 1, 0, ALL_UIDS, 1), OK);
    recount_all(&b);
    struct schema_usage usage = usage_of(&b);
    recount_all(&b); /* of messages nothing is charged any more */
    assert_int_equal(usage.entries, 0);
    assert_int_equal(usage.messages, 0);
    bench_close(&b);
}

/* More tombstones than one record holds; more messages than one request may meet. */
static void test_large_sets(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 1);
    struct letter l = {.mailbox = 1};
    const struct vault_request deliver = letter_request(b.account, &l);
    for (uint32_t i = 0; i < VAULT_SET_MAX + 300; i++) {
        ask_for(&b, &deliver, fd);
        if (i % 100 == 99) {
            vault_run(b.vault);
            while (hear(&b, NULL) == OK)
                ;
        }
    }
    close(fd);
    vault_run(b.vault);
    while (hear(&b, NULL) == OK)
        ;
    assert_int_equal(box_of(&b, 1).exists, VAULT_SET_MAX + 300);
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, ALL_UIDS, 1), ERR_LIMIT);
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){1, VAULT_SET_MAX}, 1), OK);
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, 1, (uint32_t[]){1, VAULT_SET_MAX}, 1), OK);
    recount_all(&b);
    static uint32_t odd[2 * 1100];
    for (uint32_t i = 0; i < 1100; i++)
        odd[2 * i] = odd[2 * i + 1] = 2 * (1099 - i) + 1; /* backwards on purpose */
    uint64_t before = box_of(&b, 1).highestmodseq;
    assert_int_equal(expunge_call(&b, 1, 0, odd, 1100), OK);
    assert_int_equal(box_of(&b, 1).highestmodseq, before + 2);
    recount_all(&b);
    /* INBOX is renamed in steps */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 1, "old/mail", -1), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 1, "once/more", -1), OK);
    bench_close(&b);
}

static void test_inbox_rename_steps(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 1);
    struct letter l = {.mailbox = 1};
    const struct vault_request deliver = letter_request(b.account, &l);
    for (uint32_t i = 0; i < VAULT_SET_MAX + 10; i++) {
        ask_for(&b, &deliver, fd);
        if (i % 100 == 99) {
            vault_run(b.vault);
            while (hear(&b, NULL) == OK)
                ;
        }
    }
    vault_run(b.vault);
    while (hear(&b, NULL) == OK)
        ;
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 1, "old/mail", -1), OK);
    uint32_t to = find_mailbox(&b, "old/mail");
    assert_true(to != 0 && find_mailbox(&b, "old") != 0 && find_mailbox(&b, "INBOX") == 1);
    assert_int_equal(box_of(&b, 1).exists, 10);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 1, "again", -1), ERR_CONFLICT);
    /* what comes meanwhile stays in INBOX */
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    while (vault_chores(b.vault))
        ;
    assert_int_equal(box_of(&b, 1).exists, 1);
    assert_int_equal(box_of(&b, to).exists, VAULT_SET_MAX + 10);
    recount_all(&b);
    bench_close(&b);
}

static int tombstone_count(struct bench *b, uint32_t mailbox)
{
    struct engine_txn *t;
    struct schema_keybuf from, to;
    uint32_t n = 0;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, b->account, key_u32(&from, 'x', mailbox), key_u32(&to, 'x', mailbox + 1), 0,
                                 recount_one, &n),
                     OK);
    (void)engine_read_end(t);
    return (int)n;
}

/* Tombstones are not kept for ever, and the mailbox says from where on it knows. */
static void test_tombstones_bounded(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 1), most = 0;
    struct letter l = {.mailbox = 2};
    for (uint32_t uid = 1; uid <= 6000; uid++) {
        const struct vault_request deliver = letter_request(b.account, &l);
        const struct vault_request expunge = {.type = VAULT_EXPUNGE,
                                              .account = b.account,
                                              .mailbox = 2,
                                              .expunge.set = set_of((uint32_t[]){uid, uid}, 1)};
        ask_for(&b, &deliver, fd);
        ask_for(&b, &expunge, -1);
        if (uid % 100 == 0) {
            vault_run(b.vault);
            while (hear(&b, NULL) == OK)
                ;
            int n = tombstone_count(&b, 2);
            most = n > most ? n : most;
        }
    }
    close(fd);
    assert_true(most > 4000 && most < 4800);
    struct schema_mailbox box = box_of(&b, 2);
    assert_int_equal(box.exists, 0);
    assert_true(box.tombstones_from > 1000 && box.tombstones_from < box.highestmodseq - 4096);
    recount_all(&b);
    bench_close(&b);
}

static void test_mailboxes(void **state)
{
    struct bench b;
    uint32_t id = 0, other = 0;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(create_call(&b, "a/b/c", &id), OK);
    assert_true(find_mailbox(&b, "a") && find_mailbox(&b, "a/b") && find_mailbox(&b, "a/b/c") == id);
    assert_int_equal(create_call(&b, "a/b/c", NULL), ERR_EXISTS);
    assert_int_equal(create_call(&b, "x/", &other), OK); /* the separator at the end is an intent */
    assert_int_equal(find_mailbox(&b, "x"), other);
    assert_int_equal(create_call(&b, "inbox", NULL), ERR_EXISTS);
    assert_int_equal(create_call(&b, "iNbOx/deep", NULL), OK);
    assert_true(find_mailbox(&b, "INBOX/deep") != 0);
    static const char *const bad[] = {"",      "/",         "/a",      "a//b",     "a//",          "\x01",
                                      "a\x7f", "a\xc2\x80", "\xff",    "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "a*",    "%",         "\xe2\x82"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(create_call(&b, bad[i], NULL), ERR_FORMAT);
    assert_int_equal(create_call(&b, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\x8c", NULL), OK);
    char name[MAILBOX_NAME_MAX + 8];
    memset(name, 'n', sizeof(name));
    name[MAILBOX_NAME_MAX - 1] = '\0';
    assert_int_equal(create_call(&b, name, NULL), OK);
    name[MAILBOX_NAME_MAX - 1] = 'n';
    name[MAILBOX_NAME_MAX] = '\0';
    assert_int_equal(create_call(&b, name, NULL), ERR_LIMIT);
    strcpy(name, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16");
    assert_int_equal(create_call(&b, name, NULL), OK);
    strcat(name, "/17");
    assert_int_equal(create_call(&b, name, NULL), ERR_LIMIT);
    recount_all(&b);
    /* rename */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find_mailbox(&b, "a"), "a/b/d", -1), ERR_CONFLICT);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find_mailbox(&b, "a"), "x", -1), ERR_EXISTS);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find_mailbox(&b, "a"), "p/q", -1), OK);
    assert_int_equal(find_mailbox(&b, "p/q/b/c"), id);
    assert_int_equal(find_mailbox(&b, "a"), 0);
    assert_int_equal(find_mailbox(&b, "a/b"), 0);
    /* a child would be too deep */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find_mailbox(&b, "1"), "long/down", -1), ERR_LIMIT);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 4711, "nothing", -1), ERR_NOT_FOUND);
    /* delete: UIDVALIDITY grows across delete and re-create, even within one second */
    uint32_t validity = box_of(&b, id).uidvalidity, children = find_mailbox(&b, "p/q/b");
    deliver_ok(&b, id, 0, 100);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, children, NULL, -1), ERR_CONFLICT);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, MAILBOX_INBOX, NULL, -1), ERR_DENIED);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), OK);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), ERR_NOT_FOUND);
    recount_all(&b);
    assert_int_equal(create_call(&b, "p/q/b/c", &other), OK);
    assert_true(other != id);
    assert_true(box_of(&b, other).uidvalidity > validity);
    while (vault_chores(b.vault))
        ;
    recount_all(&b);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "p/q/b/c", 1), OK);
    assert_int_equal(b.notices, 1);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "p/q/b/c", 1), OK);
    assert_int_equal(b.notices, 0);
    /* a restore: all larger, all different */
    static const struct vault_request restored = {.type = VAULT_RESTORED};
    uint32_t last = box_of(&b, other).uidvalidity, inbox = box_of(&b, 1).uidvalidity;
    assert_int_equal(request(&b, &restored, -1), OK);
    assert_true(box_of(&b, other).uidvalidity > last && box_of(&b, 1).uidvalidity > inbox);
    recount_all(&b);
    /* message ids are POP3's UIDLs: one that was given out after the backup must not come again for another message */
    uint64_t ids[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = deliver_ok(&b, 1, 0, 10).message;
        test_now++;
        assert_int_equal(request(&b, &restored, -1), OK);
    }
    assert_true(ids[0] > 1000000 && ids[1] > ids[0] + 1000000);
    bench_close(&b);
}

/* A doomed mailbox with more messages than one step takes. */
static void test_delete_steps(void **state)
{
    struct bench b;
    uint32_t id = 0;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(create_call(&b, "big", &id), OK);
    for (int i = 0; i < 2 * ERASE_MESSAGES + 7; i++)
        deliver_ok(&b, id, 0, 5);
    assert_int_equal(copy_call(&b, id, 1, 0, (uint32_t[]){3, 5}, 1), OK); /* some are held elsewhere */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), OK);
    int steps = 0;
    do {
        recount_all(&b);
        steps++;
    } while (vault_chores(b.vault));
    assert_true(steps >= 4);
    recount_all(&b);
    assert_int_equal(usage_of(&b).messages, 3);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_copy_move_expunge),
        cmocka_unit_test(test_large_sets),
        cmocka_unit_test(test_tombstones_bounded),
        cmocka_unit_test(test_inbox_rename_steps),
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_delete_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
