/* Each request's meaning, through decoder, group and reply: accounts, keys, deliveries and what bounds them; then the
 * hostile ones. */
#include "tests/support/vault_requests.h"

static int name_call(struct bench *b, enum vault_msg type, const char *name, uint8_t kind)
{
    const struct vault_request q = {.type = type, .account = b->account, .name = {slice_str(name), kind}};
    return request(b, &q, -1);
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
    static const char *const names[] = {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"};
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(find_mailbox(&b, names[i]), i + 1);
    recount_all(&b);
    /* addresses */
    assert_int_equal(name_call(&b, VAULT_ADDRESS_ADD, "al@example.org", ADDRESS_ALIAS), OK);
    assert_int_equal(name_call(&b, VAULT_ADDRESS_ADD, "al@example.org", ADDRESS_ALIAS), ERR_EXISTS);
    assert_int_equal(name_call(&b, VAULT_ADDRESS_ADD, "@example.org", ADDRESS_CATCH_ALL), OK);
    assert_int_equal(name_call(&b, VAULT_ADDRESS_REMOVE, "alice@example.org", 0), ERR_DENIED);
    assert_int_equal(name_call(&b, VAULT_DOMAIN_REMOVE, "example.org", 0), ERR_CONFLICT);
    assert_int_equal(name_call(&b, VAULT_ADDRESS_REMOVE, "@example.org", 0), OK);
    assert_int_equal(name_call(&b, VAULT_ADDRESS_REMOVE, "@example.org", 0), ERR_NOT_FOUND);
    /* removal: gone for readers at once, then for good */
    deliver_ok(&b, MAILBOX_INBOX, 0, 40000);
    const struct vault_request remove = {.type = VAULT_ACCOUNT_REMOVE, .account = b.account};
    assert_int_equal(request(&b, &remove, -1), OK);
    assert_int_equal(request(&b, &remove, -1), ERR_NOT_FOUND);
    while (vault_chores(b.vault))
        ;
    struct engine_txn *t;
    struct schema_keybuf k;
    struct slice s;
    uint32_t left = 0;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, b.account, key_simple(&k, '\0'), slice_of("", 0), 0, recount_one, &left), OK);
    assert_int_equal(left, 0);
    assert_int_equal(engine_blob_get(t, b.account, BLOB_PACKETS, 1, 0, &s), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(t, b.account, BLOB_CERTIFICATE, 1, 0, &s), ERR_NOT_FOUND);
    (void)engine_read_end(t);
    assert_int_equal(name_call(&b, VAULT_DOMAIN_REMOVE, "example.org", 0), OK);
    bench_close(&b);
}

static void test_keys_and_passwords(void **state)
{
    struct bench b;
    uint8_t cert[64] = {5}, fpr[20];
    int one;
    bench_mem(&b, false);
    bench_account(&b);
    struct vault_request add = {.type = VAULT_KEY_ADD, .account = b.account, .key.cert_len = sizeof(cert)};
    for (uint8_t tag = 1; tag <= 17; tag++) { /* 1 is there already: replaced */
        add.key.verdict = verdict_of(tag);
        assert_int_equal(request_cert(&b, &add, cert, sizeof(cert)), tag <= 16 ? OK : ERR_LIMIT);
    }
    add.key.cert_len = sizeof(cert) - 1; /* not its length */
    assert_int_equal(request_cert(&b, &add, cert, sizeof(cert)), ERR_REFUSED);
    const struct vault_request retire = {.type = VAULT_KEY_RETIRE,
                                         .account = b.account,
                                         .key.fpr = slice_of(fpr, sizeof(fpr))};
    for (uint8_t tag = 1; tag <= 16; tag++) {
        memset(fpr, tag, sizeof(fpr));
        assert_int_equal(request(&b, &retire, -1), tag < 16 ? OK : ERR_CONFLICT);
    }
    /* the gate follows: key 1 is retired now */
    one = parcel_of(OUTER, 1, 100);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    assert_int_equal(deliver_call(&b, &l, one), ERR_REFUSED);
    assert_true(b.text[0] != '\0');
    close(one);
    one = parcel_of(OUTER, 16, 100);
    assert_int_equal(deliver_call(&b, &l, one), OK);
    close(one);
    /* app passwords */
    const struct vault_request password = {.type = VAULT_APP_PASSWORD_ADD,
                                           .account = b.account,
                                           .password = {.hash = {1},
                                                        .scope = SCOPE_IMAP,
                                                        .stored_key = {2},
                                                        .server_key = {2},
                                                        .label = slice_str("telephone")}};
    const struct vault_request revoke = {.type = VAULT_APP_PASSWORD_REVOKE, .account = b.account, .password.number = 1};
    assert_int_equal(request(&b, &password, -1), OK);
    assert_int_equal(request(&b, &password, -1), ERR_EXISTS);
    assert_int_equal(request(&b, &revoke, -1), OK);
    assert_int_equal(request(&b, &revoke, -1), ERR_NOT_FOUND);
    assert_int_equal(request(&b, &password, -1), OK);
    assert_int_equal(b.r.number, 2); /* no number comes again */
    recount_all(&b);
    bench_close(&b);
}

static void test_deliver(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 50000);
    struct letter l = {.mailbox = MAILBOX_INBOX, .id = 9, .flags = FLAG_FLAGGED, .keyword = "$Forwarded"};
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
    l.id = 10;
    const struct vault_request deliver = letter_request(b.account, &l);
    ask_for(&b, &deliver, fd);
    ask_for(&b, &deliver, fd);
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
    assert_int_equal(deliver_call(&b, &l, fd), ERR_CONFLICT);
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
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_ACCESS), OK);
    int small = parcel_of(OUTER, 1, 10), large = parcel_of(OUTER, 1, 3 << 20), huge = parcel_of(OUTER, 1, 12 << 20);
    struct {
        int parcel;
        unsigned n, groups;
    } cases[] = {
        {small, 1, 1},
        {small, GROUP_REQUESTS, 1},
        {small, GROUP_REQUESTS + 1, 2},
        {large, 2, 1},
        {large, 5, 3},
        {huge, 1, 1},
        {huge, 3, 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = b.vault->count.groups;
        struct letter l = {.mailbox = 1};
        const struct vault_request deliver = letter_request(b.account, &l);
        b.notices = 0;
        unsigned heard = 0;
        for (unsigned k = 0; k < cases[i].n; k++)
            ask_for(&b, &deliver, cases[i].parcel);
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

static void test_quota(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    assert_int_equal(account_add_call(&b, "q@example.org", 0, 0, 1), OK);
    deliver_ok(&b, 1, 0, 10000);
    deliver_ok(&b, 1, 0, 10000);
    quota_set(&b, usage_of(&b).bytes);
    struct letter l = {.mailbox = 1};
    int fd = parcel_of(OUTER, 1, 0);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_QUOTA);
    assert_int_equal(expunge_call(&b, 1, 0, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* What is counted as delivered is what was synced: not twice when a group runs again, not at all when it fails. */
static void test_counters(void **state)
{
    struct bench b;
    bench_mem(&b, true);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 10);
    struct letter l = {.mailbox = 1};
    unsigned failures = 0, stored = 0;
    for (uint64_t nth = 1; nth < 64; nth++) {
        uint64_t id;
        for (int i = 0; i < 4; i++) {
            l.id++;
            const struct vault_request deliver = letter_request(b.account, &l);
            ask_for(&b, &deliver, fd);
        }
        engine_fail_at(b.fail, nth, ERR_FULL);
        vault_run(b.vault);
        engine_fail_at(b.fail, 0, OK);
        for (int i = 0; i < 4; i++) {
            int err = hear(&b, &id);
            assert_true(err == OK || err == ERR_FULL);
            bool fresh = err == OK && !where_of(&b).duplicate;
            stored += fresh;
            failures += err != OK;
        }
        assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
        assert_int_equal(b.vault->count.delivered, stored);
    }
    assert_true(failures >= 8 && stored > 200); /* the group's beginning and its commit fail all four */
    recount_all(&b);
    close(fd);
    bench_close(&b);
}

/* ---- deliveries whose senders have read the answer ---- */

static int count_one(void *arg, struct slice key, struct slice value)
{
    ++*(unsigned *)arg;
    return 0;
}

static unsigned ids_of(struct bench *b)
{
    unsigned n = 0;
    for (const char *letter = "De"; *letter; letter++) {
        struct engine_txn *t;
        struct schema_keybuf from, to;
        assert_int_equal(engine_read_begin(b->engine, &t), OK);
        assert_int_equal(engine_scan(t, b->account, key_simple(&from, (uint8_t)*letter),
                                     key_simple(&to, (uint8_t)(*letter + 1)), 0, count_one, &n),
                         OK);
        (void)engine_read_end(t);
    }
    return n;
}

static void seen_ask(struct bench *b, uint64_t account, uint8_t id)
{
    const struct vault_seen_row row = {account, {id}};
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {1, &row}};
    ask_for(b, &q, -1);
}

static void test_delivered_seen(void **state)
{
    struct bench b;
    struct letter l = {.mailbox = MAILBOX_INBOX, .id = 9};
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 100);
    const struct vault_request deliver = letter_request(b.account, &l);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(ids_of(&b), 2);
    uint64_t groups = b.vault->count.groups;
    /* it rides: nothing runs for its sake, and what came before it in the same group is alike and another mail */
    ask_for(&b, &deliver, fd);
    seen_ask(&b, b.account, 9);
    assert_int_equal(b.vault->count.groups, groups);
    vault_run(b.vault);
    assert_int_equal(b.vault->count.groups, groups + 1);
    assert_int_equal(hear(&b, NULL), OK);
    assert_true(unpack_done(&b.body));
    assert_int_equal(hear(&b, NULL), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    assert_int_equal(b.vault->count.seen, 1);
    assert_int_equal(ids_of(&b), 2);
    assert_int_equal(deliver_call(&b, &l, fd), OK); /* the second one's id is there */
    assert_int_equal(where_of(&b).duplicate, 1);
    /* by itself; again; of others; of nobody */
    seen_ask(&b, b.account, 9);
    seen_ask(&b, b.account, 9);
    seen_ask(&b, b.account, 10);
    seen_ask(&b, b.account + 1000, 9);
    vault_run(b.vault);
    for (int i = 0; i < 4; i++)
        assert_int_equal(hear(&b, NULL), OK);
    assert_int_equal(ids_of(&b), 0);
    assert_int_equal(b.vault->count.seen, 2);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    recount_all(&b);
    close(fd);
    bench_close(&b);
}

/* One row of another partition, and the other rows do nothing either. */
static void test_seen_is_of_accounts_alone(void **state)
{
    struct bench b;
    struct vault_seen_row rows[2] = {{.delivery = {9}}, {.delivery = {9}}};
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {2, rows}};
    struct letter l = {.mailbox = MAILBOX_INBOX, .id = 9};
    bench_mem(&b, false);
    bench_account(&b);
    int fd = parcel_of(OUTER, 1, 100);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    rows[0].account = rows[1].account = b.account;
    PACK(p);
    vault_request_pack(&p, &q);
    memset(p.data + p.len - RECORD_HASH_SIZE - 8, 0, 8); /* PART_INSTANCE */
    assert_int_equal(ask(&b, VAULT_DELIVERED_SEEN, &p, -1), ERR_FORMAT);
    vault_run(b.vault);
    assert_int_equal(ids_of(&b), 2);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(ids_of(&b), 0);
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
    struct letter l = {.mailbox = 1, .keyword = "k"};
    struct vault_request q = letter_request(b.account, &l);
    PACK(p);
    vault_request_pack(&p, &q);
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
            if (type == VAULT_STAT || type == VAULT_RESTORED || type == VAULT_BACKUP || type == VAULT_UPGRADE ||
                n == 12) /* some are just two numbers */
                continue;
            if (type == VAULT_ACCOUNT_SET && n == 18) /* an account, and to keep all that it has */
                continue;
            if (type == VAULT_UPLOAD_CONFIRM && n == 42) /* a token */
                continue;
            assert_int_equal(ask(&b, type, &p, fd), ERR_FORMAT);
        }
    /* counts that promise more than there is */
    pack_init(&p, out_buf, sizeof(out_buf));
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
    q.deliver.internaldate = INT64_C(253402300799);
    pack_init(&p, out_buf, sizeof(out_buf));
    vault_request_pack(&p, &q);
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), OK);
    pack_init(&p, out_buf + 14, 8);
    pack_u64(&p, UINT64_C(253402300800));
    p = (struct pack){.data = out_buf, .len = len, .cap = sizeof(out_buf)};
    assert_int_equal(ask(&b, VAULT_DELIVER, &p, fd), ERR_FORMAT);
    /* a NUL inside a name */
    pack_init(&p, out_buf, sizeof(out_buf));
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
    static const uint64_t accounts[] = {17, 4711, BLOB_PART_MAX - 1};
    int fd = parcel_of(OUTER, 1, 10);
    uint64_t mine = b.account;
    for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
        struct letter l = {.mailbox = 1};
        b.account = accounts[i];
        assert_int_equal(deliver_call(&b, &l, fd), ERR_NOT_FOUND);
        assert_int_equal(flags_call(&b, 1, 0, 0, NULL, UINT64_MAX, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(copy_call(&b, 1, 2, 1, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(expunge_call(&b, 1, 0, ALL_UIDS, 1), ERR_NOT_FOUND);
        assert_int_equal(create_call(&b, "x", NULL), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, 2, NULL, -1), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_RENAME, 2, "y", -1), ERR_NOT_FOUND);
        assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_SUBSCRIBE, 0, "Sent", 1), ERR_NOT_FOUND);
        const struct vault_request remove = {.type = VAULT_ACCOUNT_REMOVE, .account = b.account};
        assert_int_equal(request(&b, &remove, -1), ERR_NOT_FOUND);
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
    struct letter l = {.mailbox = 1};
    int sealed = parcel_of(OUTER, 1, 100);
    static uint8_t bytes[4096];
    ssize_t n = pread(sealed, bytes, sizeof(bytes), 0);
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
    b.client->who = VAULT_MAY_ACCESS | VAULT_MAY_INGEST;
    for (uint32_t type = VAULT_ACCOUNT_ADD; type <= VAULT_KEY_ENC_REVOKED; type++) {
        PACK(p);
        pack_u64(&p, b.account);
        int fd = memfd_create("x", 0);
        assert_int_equal(call(&b, type, &p, fd), ERR_DENIED);
        close(fd);
    }
    b.client->who = ~0u;
    recount_all(&b);
    bench_close(&b);
}

static void test_stat_and_backup(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_STAT}, -1), OK);
    assert_true(b.r.stats.n > 5);
    int fd = memfd_create("x", 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_BACKUP}, fd), ERR_REFUSED); /* not empty */
    close(fd);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account),        cmocka_unit_test(test_keys_and_passwords),
        cmocka_unit_test(test_deliver),        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_quota),          cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_wrong_account),  cmocka_unit_test(test_unsealed_parcel),
        cmocka_unit_test(test_not_admin),      cmocka_unit_test(test_stat_and_backup),
        cmocka_unit_test(test_delivered_seen), cmocka_unit_test(test_seen_is_of_accounts_alone),
        cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
