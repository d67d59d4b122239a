/* Every value of the store there and back; what is absent, too large or of another version; the order of keys. */
#include "tests/support/schema_records.h"

/* What was read is what was written: records_got. */
static void check_of_accounts(char letter)
{
    switch (letter) {
    case 'A':
        assert_memory_equal(&records_got.account.id, &records_account.id, 24);
        assert_string_equal(records_got.account.address, records_account.address);
        assert_string_equal(records_got.account.forward, records_account.forward);
        assert_int_equal(records_got.account.forward_how, FORWARD_ONLY);
        assert_true(records_got.account.policy == 2 && records_got.account.trial_key == 1 &&
                    records_got.account.seal_v2 == SEAL_V2_NEVER && records_got.account.encrypt == ENCRYPT_ALWAYS &&
                    records_got.account.keys_version == 7 && records_got.account.uidvalidity_last == 0xfffffffe &&
                    records_got.account.mailbox_next == 9 && records_got.account.auth_iterations == 4096);
        assert_memory_equal(records_got.account.auth_salt, records_account.auth_salt, 16);
        assert_memory_equal(records_got.account.pseudonym_key, records_account.pseudonym_key, 32);
        break;
    case 'a':
        assert_true(records_got.address.account == A && records_got.address.kind == ADDRESS_ALIAS);
        assert_string_equal(records_got.address.address, records_address.address);
        break;
    case 'd': assert_int_equal(records_got.text.added, 123); break;
    case 'N':
        assert_int_equal(records_got.text.account, A);
        assert_string_equal(records_got.text.text, records_account.address);
        break;
    case 'q': assert_memory_equal(&records_got.usage, &records_usage, sizeof(records_usage)); break;
    }
}

static void check_of_mailboxes(char letter)
{
    switch (letter) {
    case 'b':
        assert_memory_equal(&records_got.mailbox, &records_mailbox, 7 * sizeof(uint32_t));
        assert_memory_equal(&records_got.mailbox.highestmodseq, &records_mailbox.highestmodseq, 4 * sizeof(uint64_t));
        break;
    case 'B': assert_memory_equal(&records_got.name, &records_mailbox_name, sizeof(records_mailbox_name)); break;
    case 'F':
        assert_int_equal(records_got.keywords.n, 512);
        assert_string_equal(records_got.keywords.v[510].text, "");
        assert_string_equal(records_got.keywords.v[511].text, "$Forwarded");
        assert_int_equal(records_got.keywords.v[511].entries, 7);
        break;
    case 'x':
        assert_int_equal(records_got.tombstones.modseq, records_tombstones.modseq);
        assert_int_equal(records_got.tombstones.n, TOMBSTONES_MAX);
        assert_memory_equal(records_got.tombstones.v, records_tombstones.v, sizeof(records_tombstones.v));
        break;
    case 'Z':
        assert_true(records_got.job.job == JOB_MOVE && records_got.job.mailbox == 5 && records_got.job.to == 6 &&
                    records_got.job.uid_end == UINT32_MAX);
        break;
    case 'Y':
        assert_true(records_got.copy.number == UINT64_MAX && records_got.copy.to == 5 && records_got.copy.first == 7 &&
                    records_got.copy.last == 7);
        break;
    case 'R': assert_int_equal(records_got.number, 18); break;
    case 'I': assert_int_equal(records_got.number, PART_ACCOUNT_FIRST); break;
    }
}

static void check_of_messages(char letter)
{
    switch (letter) {
    case 's': assert_string_equal(records_got.name.name, "Lists/C"); break;
    case 'k': assert_memory_equal(&records_got.block, &records_block, sizeof(records_block)); break;
    case 'u': assert_memory_equal(&records_got.entry, &records_entry, sizeof(records_entry)); break;
    case 'm':
        assert_true(records_got.message.packets_len == records_message.packets_len &&
                    records_got.message.keys_used == records_message.keys_used &&
                    records_got.message.nfprs == MESSAGE_FPRS_MAX && records_got.message.references == 2 &&
                    records_got.message.expiry_hour == 400000 && records_got.message.internaldate == -5 &&
                    records_got.message.head_len == records_message.head_len &&
                    records_got.message.padding == records_message.padding &&
                    records_got.message.nfeatures == MESSAGE_FEATURES_MAX &&
                    records_got.message.features[0] == UINT64_MAX && records_got.message.features[1] == 1);
        assert_memory_equal(records_got.message.salt, records_message.salt, OUTER_SEAL_SALT);
        assert_memory_equal(records_got.message.fprs, records_message.fprs, sizeof(records_message.fprs));
        assert_int_equal(records_got.message.outer.len, sizeof(records_outer));
        assert_memory_equal(records_got.message.outer.data, records_outer, sizeof(records_outer));
        break;
    case 'K':
        assert_memory_equal(&records_got.key.verdict.primary_fpr, records_key.verdict.primary_fpr, 32);
        assert_true(records_got.key.blob == records_key.blob && records_got.key.ended == 45 &&
                    records_got.key.state == KEY_ENC_REVOKED && records_got.key.noticed == records_key.noticed &&
                    records_got.key.nformer == KEY_FORMER_MAX);
        assert_memory_equal(records_got.key.former, records_key.former, sizeof(records_key.former));
        break;
    case 'P':
        assert_string_equal(records_got.password.label, records_password.label);
        assert_int_equal(records_got.password.number, 3);
        break;
    }
}

static void check_of_keyserver(char letter)
{
    switch (letter) {
    case 'p':
        assert_true(records_got.published.since == 1 && records_got.published.why == PUBLISH_KEY &&
                    records_got.published.len == PUBLISHED_FRONT + PUBLISHED_CHUNK + 100);
        break;
    case 'l': assert_int_equal(records_got.change.why, PUBLISH_WISH); break;
    case 'h': assert_int_equal(records_got.head.changes, 1); break;
    case 'u':
        assert_string_equal(records_got.upload.address, "anna@example.org");
        assert_true(records_got.upload.account == A && records_got.upload.until == 1 + UPLOAD_LIFE &&
                    records_got.upload.len == PUBLISHED_CHUNK + 100);
        break;
    case 'n': assert_true(records_got.uploads.n == 1 && records_got.uploads.octets == PUBLISHED_CHUNK + 100); break;
    }
}

static void check_of_signing_in(char letter)
{
    switch (letter) {
    case 'O':
        assert_true(records_got.signin.since == 1 && records_got.signin.changed == 2 &&
                    records_got.signin.version == 3 && records_got.signin.serial == 4 &&
                    records_got.signin.number_next == 8 && records_got.signin.profile == 1);
        assert_true(records_got.signin.record[0] == 5 && records_got.signin.password_key[0] == 6 &&
                    records_got.signin.phrase_key[0] == 7);
        break;
    case 'W':
        assert_true(records_got.wrapped.kind == WRAPPED_PASSWORD && records_got.wrapped.since == 5 &&
                    records_got.wrapped.len == 9000);
        break;
    case 'o':
        assert_true(records_got.session.number == 5 && records_got.session.version == 3 &&
                    records_got.session.since == 1 && records_got.session.used == 2 && records_got.session.until == 3);
        assert_int_equal(strlen(records_got.session.label), LABEL_MAX - 1);
        break;
    case 'E':
        assert_true(records_got.factor.kind == FACTOR_PASSKEY && records_got.factor.passkey.counter == 7 &&
                    records_got.factor.passkey.key_len == PASSKEY_KEY_MAX);
        break;
    case 'J':
        assert_true(records_got.invitation.account == A && records_got.invitation.until == 3 &&
                    records_got.invitation.uses == 2 && records_got.invitation.reset);
        break;
    }
}

static void test_round_trips(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_keybuf kb;
    for (unsigned i = 0; i < RECORDS; i++) {
        memset(&records_got, 0, sizeof(records_got));
        assert_int_equal(records[i].read(t, records[i].part, record_key(t, &records[i], &kb)), OK);
        if (records[i].part == PART_KEYSERVER) {
            check_of_keyserver(records[i].letter);
            continue;
        }
        check_of_accounts(records[i].letter);
        check_of_mailboxes(records[i].letter);
        check_of_messages(records[i].letter);
        check_of_signing_in(records[i].letter);
    }
    static uint8_t cert_got[CERT_LEN];
    size_t len;
    assert_int_equal(schema_get_cert(t, records_keys, A, &records_key, cert_got, &len), OK);
    assert_int_equal(len, CERT_LEN);
    assert_memory_equal(records_cert, cert_got, CERT_LEN);
    /* A message without its outer header opened. */
    assert_int_equal(schema_get_message(t, records_keys, A, 77, &records_got.message, NULL), OK);
    assert_true(records_got.message.outer.len == 0 && records_got.message.outer_len == sizeof(records_outer));
    struct slice v;
    assert_int_equal(engine_get(t, A, key_u32_u32(&kb, 'k', 5, 1), &v), OK);
    assert_true(v.len <= 780 + RECORD_TAG_SIZE); /* rewritten at each delivery */
    engine_group_abort(t);
}

static void test_absent(void **st)
{
    struct engine_txn *t = records_snapshot();
    assert_int_equal(schema_get_account(t, records_keys, B, &records_got.account), ERR_NOT_FOUND);
    assert_int_equal(schema_get_address(t, records_keys, "nobody@example.org", &records_got.address), ERR_NOT_FOUND);
    assert_int_equal(schema_get_mailbox(t, records_keys, A, 6, &records_got.mailbox), ERR_NOT_FOUND);
    assert_int_equal(schema_get_mailbox_name(t, records_keys, A, 6, &records_got.name), ERR_NOT_FOUND);
    assert_int_equal(schema_get_entry(t, records_keys, A, 5, 1, &records_got.entry), ERR_NOT_FOUND);
    assert_int_equal(schema_get_message(t, records_keys, A, 78, &records_got.message, NULL), ERR_NOT_FOUND);
    assert_int_equal(schema_get_usage(t, records_keys, B, &records_got.usage), ERR_NOT_FOUND);
    memset(&records_got, 1, sizeof(records_got));
    assert_int_equal(schema_get_block(t, records_keys, A, 5, 2, &records_got.block), OK);
    assert_true(records_got.block.count == 0 &&
                sodium_is_zero((const uint8_t *)&records_got.block, sizeof(records_got.block)));
    engine_read_end(t);
    t = records_group();
    struct schema_block none = {0};
    assert_int_equal(schema_put_block(t, records_keys, A, 5, 1, &none), OK); /* goes away */
    assert_int_equal(schema_put_block(t, records_keys, A, 5, 1, &none), OK);
    struct slice v;
    struct schema_keybuf kb;
    assert_int_equal(engine_get(t, A, key_u32_u32(&kb, 'k', 5, 1), &v), ERR_NOT_FOUND);
    engine_group_abort(t);
}

static void test_too_large_is_not_written(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_message m = records_message;
    m.nfprs = MESSAGE_FPRS_MAX + 1;
    assert_int_equal(schema_put_message(t, records_keys, A, &m), ERR_LIMIT);
    m = records_message;
    m.outer.len--;
    assert_int_equal(schema_put_message(t, records_keys, A, &m), ERR_LIMIT);
    struct schema_keyword w = {.entries = 1, .text = "w"};
    assert_int_equal(schema_put_keyword(t, records_keys, A, KEYWORDS_MAX, &w), ERR_LIMIT);
    struct schema_entry en = records_entry;
    en.flags |= 1ull << 40;
    assert_int_equal(schema_put_entry(t, records_keys, A, 5, 1, &en), ERR_LIMIT);
    struct schema_app_password p = records_password;
    memset(p.label, 'x', sizeof(p.label));
    assert_int_equal(schema_put_app_password(t, records_keys, A, records_password_hash, &p), ERR_LIMIT);
    struct schema_key k = records_key;
    k.nformer = KEY_FORMER_MAX + 1;
    assert_int_equal(schema_put_key(t, records_keys, A, &k), ERR_LIMIT);
    k = records_key;
    k.blob = BLOB_ID_MAX;
    assert_int_equal(schema_put_key(t, records_keys, A, &k), ERR_LIMIT);
    assert_int_equal(schema_put_cert(t, records_keys, A, BLOB_ID_MAX, slice_of(records_cert, 10)), ERR_LIMIT);
    assert_int_equal(schema_put_cert(t, records_keys, A, 0, slice_of(records_cert, 0)), ERR_LIMIT);
    engine_group_abort(t);
}

/* Size and date of an entry: whose place is another's cannot read them, and what stands tells neither, nor that two
 * entries have the same. */
static void test_facts_are_hidden(void **st)
{
    static const struct schema_facts f = {123456, 1764450000};
    static const struct {
        uint64_t account;
        uint32_t mailbox, uid;
    } places[] = {{A, 5, 9}, {B, 5, 9}, {A, 6, 9}, {A, 5, 10}};
    enum { PLACES = sizeof(places) / sizeof(places[0]) };
    uint8_t clear[RECORD_BLOCK_SIZE];
    struct schema_entry v[PLACES];
    struct schema_facts got;
    struct pack p;
    pack_init(&p, clear, sizeof(clear));
    pack_u64(&p, f.size);
    pack_u64(&p, (uint64_t)f.internaldate);
    for (unsigned i = 0; i < PLACES; i++) {
        v[i] = records_entry;
        schema_entry_set_facts(records_keys, places[i].account, places[i].mailbox, places[i].uid, &f, &v[i]);
        for (unsigned at = 0; at < RECORD_BLOCK_SIZE - 3; at++)
            for (unsigned from = 0; from < RECORD_BLOCK_SIZE - 3; from++)
                assert_memory_not_equal(v[i].facts + at, clear + from, 4);
        for (unsigned other = 0; other < i; other++) {
            assert_memory_not_equal(v[i].facts, v[other].facts, RECORD_BLOCK_SIZE);
            assert_int_equal(schema_entry_facts(records_keys, places[other].account, places[other].mailbox,
                                                places[other].uid, &v[i], &got),
                             ERR_FORMAT);
        }
        assert_int_equal(schema_entry_facts(records_keys, places[i].account, places[i].mailbox, places[i].uid, &v[i],
                                            &got),
                         OK);
        assert_true(got.size == f.size && got.internaldate == f.internaldate);
    }
}

static void test_facts_at_the_ends(void **st)
{
    static const struct schema_facts ends[] = {{0, 0}, {SCHEMA_RENDERED_MAX, INT64_MIN}, {1, -1}, {2, INT64_MAX}};
    static const struct schema_facts beyond = {SCHEMA_RENDERED_MAX + 1, 0};
    struct schema_entry v = records_entry;
    struct schema_facts got;
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        schema_entry_set_facts(records_keys, A, 5, 1, &ends[i], &v);
        assert_int_equal(schema_entry_facts(records_keys, A, 5, 1, &v, &got), OK);
        assert_true(got.size == ends[i].size && got.internaldate == ends[i].internaldate);
    }
    schema_entry_set_facts(records_keys, A, 5, 1, &beyond, &v);
    assert_int_equal(schema_entry_facts(records_keys, A, 5, 1, &v, &got), ERR_FORMAT);
}

/* The largest message that its record may name is no larger as it is served than an entry may say. */
static void test_no_message_is_larger(void **st)
{
    struct schema_message m = records_message;
    m.packets_len = SCHEMA_PACKETS_MAX;
    m.outer_len = SCHEMA_OUTER_MAX;
    assert_true(schema_message_size(&m) <= SCHEMA_RENDERED_MAX);
}

/* Tombstones that are yet to come: a session would load its map for ever. */
static void test_mailbox_of_the_future(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_mailbox box = records_mailbox, got;
    box.highestmodseq = box.tombstones_from;
    assert_int_equal(schema_put_mailbox(t, records_keys, A, &box), OK);
    assert_int_equal(schema_get_mailbox(t, records_keys, A, box.id, &got), OK);
    box.tombstones_from++;
    assert_int_equal(schema_put_mailbox(t, records_keys, A, &box), OK);
    assert_int_equal(schema_get_mailbox(t, records_keys, A, box.id, &got), ERR_FORMAT);
    engine_group_abort(t);
}

static void test_certificates(void **st)
{
    static uint8_t buf[CERT_LEN], chunk[2][ENGINE_BLOB_CHUNK];
    struct engine_txn *t = records_group();
    struct slice c0, c1, last;
    size_t len;
    assert_int_equal(engine_blob_get(t, A, BLOB_CERTIFICATE, records_key.blob, 0, &c0), OK);
    memcpy(chunk[0], c0.data, c0.len);
    assert_int_equal(engine_blob_get(t, A, BLOB_CERTIFICATE, records_key.blob, 1, &c1), OK);
    memcpy(chunk[1], c1.data, c1.len);
    engine_blob_put(t, A, BLOB_CERTIFICATE, records_key.blob, 0,
                    slice_of(chunk[1], ENGINE_BLOB_CHUNK)); /* chunks change places */
    engine_blob_put(t, A, BLOB_CERTIFICATE, records_key.blob, 1, slice_of(chunk[0], ENGINE_BLOB_CHUNK));
    assert_int_equal(schema_get_cert(t, records_keys, A, &records_key, buf, &len), ERR_CRYPTO);
    engine_blob_put(t, A, BLOB_CERTIFICATE, records_key.blob, 0, slice_of(chunk[0], ENGINE_BLOB_CHUNK));
    engine_blob_put(t, A, BLOB_CERTIFICATE, records_key.blob, 1, slice_of(chunk[1], ENGINE_BLOB_CHUNK));
    assert_int_equal(schema_get_cert(t, records_keys, A, &records_key, buf, &len), OK);
    struct schema_key k = records_key;
    k.cert_len = 2 * (ENGINE_BLOB_CHUNK - RECORD_OVERHEAD); /* shorter, at a chunk's end */
    assert_int_equal(schema_get_cert(t, records_keys, A, &k, buf, &len), ERR_CRYPTO);
    k.cert_len = CERT_LEN - 1;
    assert_int_not_equal(schema_get_cert(t, records_keys, A, &k, buf, &len), OK);
    assert_int_equal(engine_blob_get(t, A, BLOB_CERTIFICATE, records_key.blob, 2, &last), OK);
    engine_blob_put(t, A, BLOB_CERTIFICATE, records_key.blob, 2, slice_of("short", 5));
    assert_int_equal(schema_get_cert(t, records_keys, A, &records_key, buf, &len), ERR_FORMAT);
    assert_int_equal(engine_blob_del(t, A, BLOB_CERTIFICATE, records_key.blob), OK);
    assert_int_equal(schema_get_cert(t, records_keys, A, &records_key, buf, &len), ERR_FORMAT);
    engine_group_abort(t);
}

static int version_of(struct engine_txn *t, struct schema_version *ret)
{
    return schema_get_version(t, SCHEMA_STEP, ret);
}

static void test_versions_and_init(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_keybuf kb;
    struct schema_version was, is;
    uint8_t v[64] = {0, 0, 0, SCHEMA_VERSION + 1, 'w', 'h', 'a', 't'};
    uint64_t id;
    assert_int_equal(version_of(t, &was), OK);
    assert_false(sodium_is_zero(was.uuid, 16));
    assert_int_equal(was.step, SCHEMA_STEP);
    assert_int_equal(schema_check(t, records_keys), OK);
    assert_int_equal(schema_check(t, records_other_keys), ERR_CRYPTO);
    assert_int_equal(schema_init(t, records_keys, 1), ERR_EXISTS);
    assert_int_equal(schema_take_account_id(t, records_keys, &id), OK);
    assert_int_equal(id, PART_ACCOUNT_FIRST);
    assert_int_equal(schema_take_account_id(t, records_keys, &id), OK);
    assert_int_equal(id, PART_ACCOUNT_FIRST + 1);
    for (size_t len = 4; len < sizeof(v); len++) { /* a newer one is refused whatever follows its number */
        engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(v, len));
        assert_int_equal(version_of(t, &is), ERR_VERSION);
        assert_int_equal(schema_check(t, records_keys), ERR_VERSION);
        assert_int_equal(schema_init(t, records_keys, 1), ERR_EXISTS);
        /* schema 1 had 28 octets */
        uint8_t one[64] = {0, 0, 0, 1};
        engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(one, len));
        assert_int_equal(schema_check(t, records_keys), len == 28 ? ERR_OLD : ERR_FORMAT);
        one[3] = 0;
        engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(one, len));
        assert_int_equal(schema_check(t, records_keys), ERR_FORMAT);
    }
    engine_del(t, PART_INSTANCE, key_simple(&kb, 'V'));
    assert_int_equal(version_of(t, &is), ERR_NOT_FOUND);
    engine_group_abort(t);
}

/* Who changes any octet of 'V' alone is seen to have: another schema, step or uuid cannot be had without the key. */
static void test_the_version_is_vouched_for(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_keybuf kb;
    struct schema_version v;
    struct slice value;
    uint8_t kept[64], other[64];
    assert_int_equal(engine_get(t, PART_INSTANCE, key_simple(&kb, 'V'), &value), OK);
    size_t len = value.len;
    assert_int_equal(len, 32);
    memcpy(kept, value.data, len);
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(other, kept, len);
            other[i] ^= (uint8_t)(1 << bit);
            engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(other, len));
            int err = schema_check(t, records_keys);
            assert_true(err == ERR_FORMAT || err == ERR_VERSION);
        }
    engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(kept, len));
    assert_int_equal(schema_check(t, records_keys), OK);
    /* whoever has the key can say that it is older, and then it is to be upgraded */
    assert_int_equal(schema_get_version(t, SCHEMA_STEP, &v), OK);
    v.step = SCHEMA_STEP - 1;
    assert_int_equal(schema_put_version(t, records_keys, &v), OK);
    assert_int_equal(schema_check(t, records_keys), ERR_UPGRADE);
    assert_int_equal(schema_check_key(t, records_keys), OK);
    assert_int_equal(schema_check(t, records_other_keys), ERR_CRYPTO);
    engine_group_abort(t);
}

static void expect_order(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.data, b.data, n);
    assert_true(c < 0 || (c == 0 && a.len < b.len));
}

static void test_key_order(void **st)
{
    struct schema_keybuf a, b;
    static const uint64_t v[] = {0, 1, 255, 256, 65535, 65536, UINT32_MAX - 1, UINT32_MAX};
    for (unsigned i = 0; i + 1 < 8; i++) {
        uint32_t x = (uint32_t)v[i], y = (uint32_t)v[i + 1];
        expect_order(key_u32(&a, 'u', x), key_u32(&b, 'u', y));
        expect_order(key_u64(&a, 'u', v[i]), key_u64(&b, 'u', v[i + 1] << 20));
        expect_order(key_u32_u32(&a, 'u', x, UINT32_MAX), key_u32_u32(&b, 'u', y, 0));
        expect_order(key_u32_u64(&a, 'u', x, UINT64_MAX), key_u32_u64(&b, 'u', y, 0));
        expect_order(key_u32_u64_u32(&a, 'u', 1, v[i], UINT32_MAX), key_u32_u64_u32(&b, 'u', 1, v[i + 1], 0));
        expect_order(key_u32_u32(&a, 'u', x, UINT32_MAX), key_after(&b, key_u32(&b, 'u', x)));
    }
    assert_int_equal(key_after(&a, slice_of("\xff\xff", 2)).len, 0);
    struct slice k = key_after(&a, slice_of("a\xff\xff", 3));
    assert_true(k.len == 1 && k.data[0] == 'b');
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, records_each_setup, records_each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trips),
        TEST(test_absent),
        TEST(test_too_large_is_not_written),
        TEST(test_facts_are_hidden),
        TEST(test_facts_at_the_ends),
        TEST(test_no_message_is_larger),
        TEST(test_mailbox_of_the_future),
        TEST(test_certificates),
        TEST(test_versions_and_init),
        TEST(test_the_version_is_vouched_for),
        cmocka_unit_test(test_key_order),
    };
    return cmocka_run_group_tests(tests, records_setup, records_teardown);
}
