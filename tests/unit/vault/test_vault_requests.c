/* Each request's meaning, through decoder, group and reply; then the hostile ones. */
#include "tests/unit/vault/support.h"

#include <fcntl.h>
#include <sys/mman.h>

static const uint32_t ALL_UIDS[2] = { 1, UINT32_MAX };

static void recount_all(struct bench *b)
{
    store_recount(b->engine, b->keys, b->account);
}

static struct where deliver_ok(struct bench *b, uint32_t mailbox, uint64_t flags, size_t len)
{
    int fd = parcel_of(OUTER, 1, len);
    struct letter l = { .mailbox = mailbox, .flags = flags, .internaldate = 1700000000 };
    assert_int_equal(deliver_call(b, &l, fd), OK);
    close(fd);
    return where_of(b);
}

static struct schema_mailbox box_of(struct bench *b, uint32_t id)
{
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, b->account, id, &box), OK);
    (void)engine_read_end(t);
    return box;
}

static uint32_t find(struct bench *b, const char *name)
{
    struct engine_txn *t;
    struct store_write w = { .keys = b->keys, .account = b->account };
    uint32_t id = 0;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    w.t = t;
    int r = mailbox_find(&w, name, &id);
    (void)engine_read_end(t);
    return r == OK ? id : 0;
}

static void test_account(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(account_add_call(&b, "alice@example.org", 0, 0, 1), ERR_NOT_FOUND);
    assert_int_equal(domain_add_call(&b, "Example.ORG"), OK);
    assert_int_equal(domain_add_call(&b, "example.org"), ERR_EXISTS);
    assert_int_equal(domain_add_call(&b, "no domain"), ERR_FORMAT);
    assert_int_equal(account_add_call(&b, "alice@example.org", 0, 0, 1), OK);
    assert_true(b.account >= PART_ACCOUNT_FIRST);
    assert_int_equal(account_add_call(&b, "ALICE@example.org", 0, 0, 1), ERR_EXISTS);
    assert_int_equal(account_add_call(&b, "@example.org", 0, 0, 1), ERR_FORMAT);
    static const char *const names[] = { "INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive" };
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(find(&b, names[i]), i + 1);
    recount_all(&b);
    /* addresses */
    PACK(p);
    pack_str(&p, "al@example.org");
    pack_u8(&p, ADDRESS_ALIAS);
    pack_u64(&p, b.account);
    assert_int_equal(call(&b, VAULT_ADDRESS_ADD, &p, -1), OK);
    assert_int_equal(call(&b, VAULT_ADDRESS_ADD, &p, -1), ERR_EXISTS);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_str(&p, "@example.org");
    pack_u8(&p, ADDRESS_CATCH_ALL);
    pack_u64(&p, b.account);
    assert_int_equal(call(&b, VAULT_ADDRESS_ADD, &p, -1), OK);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_str(&p, "alice@example.org");
    assert_int_equal(call(&b, VAULT_ADDRESS_REMOVE, &p, -1), ERR_DENIED);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_str(&p, "example.org");
    assert_int_equal(call(&b, VAULT_DOMAIN_REMOVE, &p, -1), ERR_STATE);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_str(&p, "@example.org");
    assert_int_equal(call(&b, VAULT_ADDRESS_REMOVE, &p, -1), OK);
    assert_int_equal(call(&b, VAULT_ADDRESS_REMOVE, &p, -1), ERR_NOT_FOUND);
    /* removal: gone for readers at once, then for good */
    deliver_ok(&b, MAILBOX_INBOX, 0, 40000);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_u64(&p, b.account);
    assert_int_equal(call(&b, VAULT_ACCOUNT_REMOVE, &p, -1), OK);
    assert_int_equal(call(&b, VAULT_ACCOUNT_REMOVE, &p, -1), ERR_NOT_FOUND);
    while (vault_chores(b.vault))
        ;
    struct engine_txn *t;
    struct schema_keybuf k;
    struct slice s;
    uint32_t left = 0;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, b.account, key_simple(&k, '\0'), slice_of("", 0), 0, recount_one, &left), OK);
    assert_int_equal(left, 0);
    assert_int_equal(engine_blob_get(t, b.account, 1, 0, &s), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(t, b.account, KEY_BLOB | 1, 0, &s), ERR_NOT_FOUND);
    (void)engine_read_end(t);
    pack_init(&p, out_buf, sizeof out_buf);
    pack_str(&p, "example.org");
    assert_int_equal(call(&b, VAULT_DOMAIN_REMOVE, &p, -1), OK);
    bench_close(&b);
}

static void test_keys_and_passwords(void **state)
{
    struct bench b;
    uint8_t packed[PGP_VERDICT_SIZE], cert[64] = {5}, fpr[20];
    int fd, one;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(parcel_make_plain(cert, sizeof cert, &fd), OK);
    for (uint8_t tag = 1; tag <= 17; tag++) { /* 1 is there already: replaced */
        struct pgp_verdict v = verdict_of(tag);
        pgp_verdict_pack(&v, packed);
        PACK(p);
        pack_u64(&p, b.account);
        pack_raw(&p, packed, sizeof packed);
        pack_u32(&p, sizeof cert);
        assert_int_equal(call(&b, VAULT_KEY_ADD, &p, fd), tag <= 16 ? OK : ERR_LIMIT);
    }
    PACK(p);
    pack_u64(&p, b.account);
    pack_raw(&p, packed, sizeof packed);
    pack_u32(&p, sizeof cert - 1); /* not its length */
    assert_int_equal(call(&b, VAULT_KEY_ADD, &p, fd), ERR_REFUSED);
    close(fd);
    for (uint8_t tag = 1; tag <= 16; tag++) {
        memset(fpr, tag, sizeof fpr);
        pack_init(&p, out_buf, sizeof out_buf);
        pack_u64(&p, b.account);
        pack_bytes(&p, fpr, sizeof fpr);
        assert_int_equal(call(&b, VAULT_KEY_RETIRE, &p, -1), tag < 16 ? OK : ERR_STATE);
    }
    /* the gate follows: key 1 is retired now */
    one = parcel_of(OUTER, 1, 100);
    struct letter l = { .mailbox = MAILBOX_INBOX };
    assert_int_equal(deliver_call(&b, &l, one), ERR_REFUSED);
    assert_true(b.text[0] != '\0');
    close(one);
    one = parcel_of(OUTER, 16, 100);
    assert_int_equal(deliver_call(&b, &l, one), OK);
    close(one);
    /* app passwords */
    uint8_t hash[16] = {1}, key[32] = {2};
    for (int i = 0; i < 2; i++) {
        pack_init(&p, out_buf, sizeof out_buf);
        pack_u64(&p, b.account);
        pack_raw(&p, hash, 16);
        pack_u8(&p, SCOPE_IMAP);
        pack_raw(&p, key, 32);
        pack_raw(&p, key, 32);
        pack_str(&p, "telephone");
        assert_int_equal(call(&b, VAULT_APP_PASSWORD_ADD, &p, -1), i ? ERR_EXISTS : OK);
    }
    pack_init(&p, out_buf, sizeof out_buf);
    pack_u64(&p, b.account);
    pack_u32(&p, 1);
    assert_int_equal(call(&b, VAULT_APP_PASSWORD_REVOKE, &p, -1), OK);
    assert_int_equal(call(&b, VAULT_APP_PASSWORD_REVOKE, &p, -1), ERR_NOT_FOUND);
    recount_all(&b);
    bench_close(&b);
}

static void test_deliver(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 50000);
    struct letter l = { .mailbox = MAILBOX_INBOX, .id = 9, .flags = FLAG_FLAGGED, .keyword = "$Forwarded" };
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    struct where first = where_of(&b), again;
    assert_int_equal(first.duplicate, 0);
    assert_int_equal(first.uid, 1);
    assert_int_equal(b.notices, 1);
    assert_int_equal(b.notice[0].mailbox, MAILBOX_INBOX);
    assert_int_equal(b.notice[0].exists, 1);
    assert_int_equal(b.notice[0].modseq, first.modseq);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    again = where_of(&b);
    assert_int_equal(again.duplicate, 1);
    again.duplicate = 0;
    assert_memory_equal(&again.uidvalidity, &first.uidvalidity, 8);
    assert_int_equal(again.message, first.message);
    assert_int_equal(again.modseq, first.modseq);
    assert_int_equal(b.notices, 0);
    recount_all(&b);
    /* a retry in the very same group */
    PACK(p);
    l.id = 10;
    pack_deliver(&p, b.account, &l);
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
    vault_run(b.vault);
    assert_int_equal(hear(&b, NULL), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    assert_int_equal(hear(&b, NULL), OK);
    assert_int_equal(where_of(&b).duplicate, 1);
    /* after a week the id is forgotten */
    test_now += 9 * 86400;
    while (vault_chores(b.vault))
        ;
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    l.id = 0;
    l.mailbox = 99;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_NOT_FOUND);
    l.mailbox = 1;
    l.policy = 1;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_STATE);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* What waits is one group, up to its bounds; every client hears of what changed, after all replies. */
static void test_groups(void **state)
{
    struct bench b;
    uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    int pair[2];
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], false), OK);
    int small = parcel_of(OUTER, 1, 10), large = parcel_of(OUTER, 1, 3 << 20), huge = parcel_of(OUTER, 1, 12 << 20);
    struct { int parcel; unsigned n, groups; } cases[] = {
        { small, 1, 1 }, { small, GROUP_REQUESTS, 1 }, { small, GROUP_REQUESTS + 1, 2 }, { large, 2, 1 },
            { large, 5, 3 },
        { huge, 1, 1 }, { huge, 3, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t before = b.vault->count.groups;
        struct letter l = { .mailbox = 1 };
        PACK(p);
        pack_deliver(&p, b.account, &l);
        b.notices = 0;
        unsigned heard = 0;
        for (unsigned k = 0; k < cases[i].n; k++)
            assert_int_equal(ask(&b, VAULT_DELIVER, &p, cases[i].parcel), OK);
        vault_run(b.vault);
        assert_int_equal(b.vault->count.groups - before, cases[i].groups);
        while (hear(&b, NULL) == OK)
            heard++;
        assert_int_equal(heard, cases[i].n);
        assert_int_equal(b.notices, cases[i].groups); /* one row a mailbox and group */
        assert_int_equal(b.notice[b.notices - 1].exists, box_of(&b, 1).exists);
        for (unsigned k = 0; k < cases[i].groups; k++) {
            assert_int_equal(ipc_recv_blocking(pair[1], buf, &m, 0), OK);
            assert_int_equal(m.type, VAULT_NOTICE);
        }
        assert_int_equal(ipc_recv_blocking(pair[1], buf, &m, 0), ERR_TIMEOUT);
    }
    close(small);
    close(large);
    close(huge);
    close(pair[1]);
    recount_all(&b);
    bench_close(&b);
}

static void test_gate(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    struct letter l = { .mailbox = MAILBOX_INBOX };
    int fd = parcel_of("Subject: hello\r\n", 1, 10); /* readable header */
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    assert_true(b.text[0] != '\0');
    close(fd);
    fd = parcel_of(OUTER, 2, 10); /* somebody else's key */
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    fd = parcel_of(OUTER, 1, 10); /* the right one as the wrong kind */
    l.kind = MESSAGE_CLIENT;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    fd = parcel_of(OUTER_CLIENT, 1, 10);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    l.kind = MESSAGE_SERVER_SEALED;
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    /* packets or capsule that are no message */
    static const char *const junk[] = { "hello world, this is readable", "-----BEGIN PGP MESSAGE-----", "" };
    uint8_t good[2000];
    size_t n = packets_make(good, 1, 50);
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < 3; i++) {
            struct parcel_writer *w;
            assert_int_equal(parcel_create(&w), OK);
            parcel_put_outer(w, OUTER, strlen(OUTER));
            parcel_put_capsule(w, part ? good : (const uint8_t *)junk[i], part ? n : strlen(junk[i]));
            parcel_put_packets(w, part ? (const uint8_t *)junk[i] : good, part ? strlen(junk[i]) : n);
            assert_int_equal(parcel_seal(w, &fd), OK);
            assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
            close(fd);
        }
    assert_int_equal(b.vault->count.refused, 10);
    recount_all(&b);
    bench_close(&b);
}

static void test_quota(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    uint64_t one = 0;
    {
        uint8_t tmp[20000];
        one = render_size(RENDER_VERSION, strlen(OUTER), packets_make(tmp, 1, 10000));
    }
    assert_int_equal(account_add_call(&b, "q@example.org", 0, 2 * one, 1), OK);
    deliver_ok(&b, 1, 0, 10000);
    deliver_ok(&b, 1, 0, 10000);
    struct letter l = { .mailbox = 1 };
    int fd = parcel_of(OUTER, 1, 0);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_QUOTA);
    assert_int_equal(expunge_call(&b, 1, 0, (uint32_t[]){ 1, 1 }, 1), OK);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

static void test_flags(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 5; i++)
        deliver_ok(&b, 1, 0, 10);
    uint64_t before = box_of(&b, 1).highestmodseq;
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){ 4, 9, 1, 2 }, 2), OK);
    uint64_t modseq = unpack_u64(&b.body);
    assert_int_equal(modseq, before + 1);
    assert_int_equal(unpack_u32(&b.body), 4);
    assert_int_equal(unpack_u32(&b.body), 1);
    assert_int_equal(unpack_u64(&b.body), FLAG_SEEN);
    assert_int_equal(unpack_u64(&b.body), modseq);
    assert_int_equal(box_of(&b, 1).unseen, 1);
    assert_int_equal(box_of(&b, 1).first_unseen_hint, 3);
    recount_all(&b);
    /* nothing changes: no new modseq, no notice */
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), OK);
    assert_int_equal(unpack_u64(&b.body), modseq);
    assert_int_equal(unpack_u32(&b.body), 0);
    assert_int_equal(b.notices, 0);
    /* UNCHANGEDSINCE splits the set */
    assert_int_equal(flags_call(&b, 1, 2, FLAG_SEEN, NULL, before, ALL_UIDS, 1), OK);
    unpack_u64(&b.body);
    assert_int_equal(unpack_u32(&b.body), 0); /* 3 is not seen anyway */
    assert_int_equal(unpack_u32(&b.body), 4);
    assert_int_equal(unpack_u32(&b.body), 1);
    assert_int_equal(unpack_u32(&b.body), 2);
    assert_int_equal(unpack_u32(&b.body), 4);
    assert_int_equal(unpack_u32(&b.body), 5);
    assert_true(unpack_done(&b.body));
    /* keywords: added once, whatever their case; taken away without being made; at most 32 */
    char keyword[16];
    for (int i = 0; i < KEYWORDS_MAX; i++) {
        snprintf(keyword, sizeof keyword, "k%d", i);
        assert_int_equal(flags_call(&b, 1, 1, 0, keyword, UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), OK);
    }
    assert_int_equal(flags_call(&b, 1, 1, 0, "K7", UINT64_MAX, (uint32_t[]){ 2, 2 }, 1), OK);
    assert_int_equal(flags_call(&b, 1, 1, 0, "more", UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), ERR_LIMIT);
    assert_int_equal(flags_call(&b, 1, 2, 0, "more", UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), OK);
    assert_int_equal(flags_call(&b, 1, 1, 0, "no space", UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), ERR_FORMAT);
    assert_int_equal(flags_call(&b, 1, 1, 0, "", UINT64_MAX, (uint32_t[]){ 1, 1 }, 1), ERR_FORMAT);
    /* copy takes keywords along as far as there is room */
    assert_int_equal(flags_call(&b, 4, 1, 0, "other", UINT64_MAX, ALL_UIDS, 1), OK);
    deliver_ok(&b, 4, 0, 10);
    assert_int_equal(flags_call(&b, 4, 1, 0, "other", UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(copy_call(&b, 1, 4, 0, (uint32_t[]){ 1, 1 }, 1), OK);
    recount_all(&b);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(flags_call(&b, 77, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), ERR_NOT_FOUND);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, (uint32_t[]){ 0, 4 }, 1), ERR_FORMAT);
    assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, (uint32_t[]){ 5, 4 }, 1), ERR_FORMAT);
    recount_all(&b);
    bench_close(&b);
}

static void test_copy_move_expunge(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    for (int i = 0; i < 6; i++)
        deliver_ok(&b, 1, i % 2 ? FLAG_SEEN : 0, 20000);
    assert_int_equal(copy_call(&b, 1, 5, 0, (uint32_t[]){ 2, 3, 6, 6 }, 2), OK);
    assert_int_equal(unpack_u32(&b.body), box_of(&b, 5).uidvalidity);
    unpack_u64(&b.body);
    assert_int_equal(unpack_u32(&b.body), 3);
    recount_all(&b);
    assert_int_equal(copy_call(&b, 1, 5, 1, (uint32_t[]){ 1, 4 }, 1), OK);
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
    assert_int_equal(flags_call(&b, 5, 1, FLAG_DELETED, NULL, UINT64_MAX, (uint32_t[]){ 8, 10 }, 1), OK);
    assert_int_equal(expunge_call(&b, 5, 1, ALL_UIDS, 1), OK);
    unpack_u64(&b.body);
    assert_int_equal(unpack_u32(&b.body), 3);
    assert_int_equal(box_of(&b, 5).exists, 11);
    recount_all(&b);
    assert_int_equal(expunge_call(&b, 5, 0, ALL_UIDS, 1), OK);
    assert_int_equal(expunge_call(&b, 1, 0, ALL_UIDS, 1), OK);
    recount_all(&b);
    struct schema_usage usage;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_usage(t, b.account, &usage), OK);
    (void)engine_read_end(t);
    assert_int_equal(usage.bytes, 0);
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
    struct letter l = { .mailbox = 1 };
    PACK(p);
    pack_deliver(&p, b.account, &l);
    for (uint32_t i = 0; i < VAULT_SET_MAX + 300; i++) {
        assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
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
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, UINT64_MAX, (uint32_t[]){ 1, VAULT_SET_MAX }, 1), OK);
    assert_int_equal(flags_call(&b, 1, 1, FLAG_SEEN, NULL, 1, (uint32_t[]){ 1, VAULT_SET_MAX }, 1), OK);
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
    struct letter l = { .mailbox = 1 };
    PACK(p);
    pack_deliver(&p, b.account, &l);
    for (uint32_t i = 0; i < VAULT_SET_MAX + 10; i++) {
        assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
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
    uint32_t to = find(&b, "old/mail");
    assert_true(to != 0 && find(&b, "old") != 0 && find(&b, "INBOX") == 1);
    assert_int_equal(box_of(&b, 1).exists, 10);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 1, "again", -1), ERR_STATE);
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
                                 recount_one, &n), OK);
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
    struct letter l = { .mailbox = 2 };
    for (uint32_t uid = 1; uid <= 6000; uid++) {
        PACK(p);
        pack_deliver(&p, b.account, &l);
        assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
        pack_init(&p, out_buf, sizeof out_buf);
        pack_u64(&p, b.account);
        pack_u32(&p, 2);
        pack_u8(&p, 0);
        pack_ranges(&p, (uint32_t[]){ uid, uid }, 1);
        assert_int_equal(ask(&b, VAULT_EXPUNGE, &p, -1), OK);
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
    uint32_t id, other;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(create_call(&b, "a/b/c", &id), OK);
    assert_true(find(&b, "a") && find(&b, "a/b") && find(&b, "a/b/c") == id);
    assert_int_equal(create_call(&b, "a/b/c", NULL), ERR_EXISTS);
    assert_int_equal(create_call(&b, "x/", &other), OK); /* the separator at the end is an intent */
    assert_int_equal(find(&b, "x"), other);
    assert_int_equal(create_call(&b, "inbox", NULL), ERR_EXISTS);
    assert_int_equal(create_call(&b, "iNbOx/deep", NULL), OK);
    assert_true(find(&b, "INBOX/deep") != 0);
    static const char *const bad[] = { "", "/", "/a", "a//b", "a//", "\x01", "a\x7f", "a\xc2\x80", "\xff", "\xc0\xaf",
                                       "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                       "a*", "%", "\xe2\x82" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(create_call(&b, bad[i], NULL), ERR_FORMAT);
    assert_int_equal(create_call(&b, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\x8c", NULL), OK);
    char name[MAILBOX_NAME_MAX + 8];
    memset(name, 'n', sizeof name);
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
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find(&b, "a"), "a/b/d", -1), ERR_STATE);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find(&b, "a"), "x", -1), ERR_EXISTS);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find(&b, "a"), "p/q", -1), OK);
    assert_int_equal(find(&b, "p/q/b/c"), id);
    assert_int_equal(find(&b, "a"), 0);
    assert_int_equal(find(&b, "a/b"), 0);
    /* a child would be too deep */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, find(&b, "1"), "long/down", -1), ERR_LIMIT);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 4711, "nothing", -1), ERR_NOT_FOUND);
    /* delete: UIDVALIDITY grows across delete and re-create, even within one second */
    uint32_t validity = box_of(&b, id).uidvalidity, children = find(&b, "p/q/b");
    deliver_ok(&b, id, 0, 100);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, children, NULL, -1), ERR_STATE);
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
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, other, NULL, 1), OK);
    assert_int_equal(b.notices, 1);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, other, NULL, 1), OK);
    assert_int_equal(b.notices, 0);
    /* a restore: all larger, all different */
    PACK(p);
    uint32_t last = box_of(&b, other).uidvalidity, inbox = box_of(&b, 1).uidvalidity;
    assert_int_equal(call(&b, VAULT_RESTORED, &p, -1), OK);
    assert_true(box_of(&b, other).uidvalidity > last && box_of(&b, 1).uidvalidity > inbox);
    recount_all(&b);
    /* message ids are POP3's UIDLs: one that was given out after the backup must not come again for another message */
    uint64_t ids[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = deliver_ok(&b, 1, 0, 10).message;
        test_now++;
        pack_init(&p, out_buf, sizeof out_buf);
        assert_int_equal(call(&b, VAULT_RESTORED, &p, -1), OK);
    }
    assert_true(ids[0] > 1000000 && ids[1] > ids[0] + 1000000);
    bench_close(&b);
}

/* A doomed mailbox with more messages than one step takes. */
static void test_delete_steps(void **state)
{
    struct bench b;
    uint32_t id;
    bench_mem(&b, false);
    bench_account(&b);
    assert_int_equal(create_call(&b, "big", &id), OK);
    for (int i = 0; i < 2 * ERASE_MESSAGES + 7; i++)
        deliver_ok(&b, id, 0, 5);
    assert_int_equal(copy_call(&b, id, 1, 0, (uint32_t[]){ 3, 5 }, 1), OK); /* some are held elsewhere */
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, id, NULL, -1), OK);
    int steps = 0;
    do {
        recount_all(&b);
        steps++;
    } while (vault_chores(b.vault));
    assert_true(steps >= 4);
    recount_all(&b);
    struct engine_txn *t;
    struct schema_usage usage;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_usage(t, b.account, &usage), OK);
    (void)engine_read_end(t);
    assert_int_equal(usage.messages, 3);
    bench_close(&b);
}

/* What is counted as delivered is what was synced: not twice when a group runs again, not at all when it fails. */
static void test_counters(void **state)
{
    struct bench b;
    bench_mem(&b, true);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = { .mailbox = 1 };
    unsigned failures = 0, stored = 0;
    for (uint64_t nth = 1; nth < 64; nth++) {
        uint64_t id;
        for (int i = 0; i < 4; i++) {
            PACK(p);
            l.id++;
            pack_deliver(&p, b.account, &l);
            assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
        }
        engine_fail_at(b.fail, nth, ERR_FULL);
        vault_run(b.vault);
        engine_fail_at(b.fail, 0, OK);
        for (int i = 0; i < 4; i++) {
            int r = hear(&b, &id);
            assert_true(r == OK || r == ERR_FULL);
            bool fresh = r == OK && !unpack_u8(&b.body);
            stored += fresh;
            failures += r != OK;
        }
        assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
        assert_int_equal(b.vault->count.delivered, stored);
    }
    assert_true(failures >= 8 && stored > 200); /* the group's beginning and its commit fail all four */
    recount_all(&b);
    close(fd);
    bench_close(&b);
}

/* ---- hostile ---- */

static void test_hostile_bytes(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = { .mailbox = 1, .keyword = "k" };
    PACK(p);
    pack_deliver(&p, b.account, &l);
    size_t len = p.len;
    /* every truncation, one byte more, and no descriptor */
    for (size_t n = 0; n < len; n++) {
        p.len = n;
        assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), ERR_FORMAT);
    }
    p.len = len + 1;
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), ERR_FORMAT);
    p.len = len;
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, -1), ERR_FORMAT);
    assert_int_equal(b.vault->nwaiting, 0);
    for (uint32_t type = 0; type < 300; type++) /* unknown types, and garbage for known ones */
        for (size_t n = 0; n < 64; n += 3) {
            memset(out_buf, 0xff, n);
            p.len = n;
            if (type == VAULT_STAT || type == VAULT_RESTORED || type == VAULT_BACKUP ||
                n == 12) /* some are just two numbers */
                continue;
            assert_int_equal(ask(&b, type, &p, fd), ERR_FORMAT);
        }
    /* counts that promise more than there is */
    pack_init(&p, out_buf, sizeof out_buf);
    pack_u64(&p, b.account);
    pack_u32(&p, 1);
    pack_u8(&p, 0);
    pack_u32(&p, UINT32_MAX);
    assert_int_equal(ask(&b, VAULT_EXPUNGE, &p, -1), ERR_FORMAT);
    p.len -= 4;
    pack_u32(&p, VAULT_RANGES_MAX + 1);
    memset(out_buf + p.len, 0, 8 * (VAULT_RANGES_MAX + 1));
    p.len += 8 * (VAULT_RANGES_MAX + 1);
    assert_int_equal(ask(&b, VAULT_EXPUNGE, &p, -1), ERR_FORMAT);
    /* a date after the year 9999, which no client's date can say */
    struct letter late = { .mailbox = 1, .internaldate = UINT64_C(253402300800) };
    pack_init(&p, out_buf, sizeof out_buf);
    pack_deliver(&p, b.account, &late);
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), ERR_FORMAT);
    late.internaldate--;
    pack_init(&p, out_buf, sizeof out_buf);
    pack_deliver(&p, b.account, &late);
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
    /* a NUL inside a name */
    pack_init(&p, out_buf, sizeof out_buf);
    pack_u64(&p, b.account);
    pack_bytes(&p, "a\0b", 3);
    pack_u8(&p, 0);
    assert_int_equal(ask(&b, VAULT_MAILBOX_CREATE, &p, -1), ERR_FORMAT);
    close(fd);
    vault_run(b.vault);
    recount_all(&b);
    bench_close(&b);
}

static void test_wrong_account(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    deliver_ok(&b, 1, 0, 10);
    static const uint64_t accounts[] = { 0, 1, 15, 17, 4711, UINT64_MAX };
    int fd = parcel_of(OUTER, 1, 10);
    uint64_t mine = b.account;
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
        struct letter l = { .mailbox = 1 };
        b.account = accounts[i];
        assert_int_equal(deliver_call(&b, &l, fd), ERR_NOT_FOUND);
        assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(copy_call(&b, 1, 2, 1, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(expunge_call(&b, 1, 0, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(create_call(&b, "x", NULL), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, 2, NULL, -1), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 2, "y", -1), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 2, NULL, 1), ERR_NOT_FOUND);
        PACK(p);
        pack_u64(&p, b.account);
        assert_int_equal(call(&b, VAULT_ACCOUNT_REMOVE, &p, -1), ERR_NOT_FOUND);
    }
    close(fd);
    b.account = mine;
    recount_all(&b);
    bench_close(&b);
}

static void test_unsealed_parcel(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    struct letter l = { .mailbox = 1 };
    int sealed = parcel_of(OUTER, 1, 100);
    static uint8_t bytes[4096];
    ssize_t n = pread(sealed, bytes, sizeof bytes, 0);
    assert_true(n > 0);
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    /* may still be written to */
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    fd = memfd_create("x", 0); /* never sealable */
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    close(fd);
    assert_int_equal(deliver_call(&b, &l, sealed), OK);
    /* larger than any message may be */
    b.vault->message_max = 0;
    close(sealed);
    sealed = parcel_of(OUTER, 1, 600 * 1024);
    assert_int_equal(deliver_call(&b, &l, sealed), ERR_LIMIT);
    close(sealed);
    bench_close(&b);
}

static void test_not_admin(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    b.client->admin = false;
    for (uint32_t type = VAULT_ACCOUNT_ADD; type <= VAULT_RESTORED; type++) {
        PACK(p);
        pack_u64(&p, b.account);
        int fd = memfd_create("x", 0);
        assert_int_equal(call(&b, type, &p, fd), ERR_DENIED);
        close(fd);
    }
    b.client->admin = true;
    recount_all(&b);
    bench_close(&b);
}

static void test_stat_and_backup(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    PACK(p);
    assert_int_equal(call(&b, VAULT_STAT, &p, -1), OK);
    uint32_t n = unpack_u32(&b.body);
    assert_true(n > 5);
    for (uint32_t i = 0; i < n; i++) {
        char name[64];
        unpack_str(&b.body, name, sizeof name);
        unpack_u64(&b.body);
    }
    assert_true(unpack_done(&b.body));
    int fd = memfd_create("x", 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(call(&b, VAULT_BACKUP, &p, fd), ERR_REFUSED); /* not empty */
    close(fd);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account), cmocka_unit_test(test_keys_and_passwords), cmocka_unit_test(test_deliver),
        cmocka_unit_test(test_groups), cmocka_unit_test(test_gate), cmocka_unit_test(test_quota),
            cmocka_unit_test(test_flags),
        cmocka_unit_test(test_copy_move_expunge), cmocka_unit_test(test_large_sets),
            cmocka_unit_test(test_tombstones_bounded),
            cmocka_unit_test(test_inbox_rename_steps),
        cmocka_unit_test(test_mailboxes), cmocka_unit_test(test_delete_steps), cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_wrong_account), cmocka_unit_test(test_unsealed_parcel), cmocka_unit_test(test_not_admin),
        cmocka_unit_test(test_stat_and_backup), cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
