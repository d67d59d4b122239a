/* Every value of the store there and back, then damaged at each bit, cut, lengthened, replaced by noise and moved to
 * another's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/error.h"
#include "store/schema.h"

enum { A = 16, B = 17, CERT_LEN = 40000 };

static struct engine *e;
static struct record_keys *keys, *other_keys;
static uint8_t cert[CERT_LEN];

static struct engine_txn *group(void)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(e, &t), OK);
    return t;
}

static struct engine_txn *snapshot(void)
{
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(e, &t), OK);
    return t;
}

/* ---- one of each ---- */

static const struct schema_account account = {.id = A,
                                              .created = 1700000000,
                                              .quota_bytes = 1ull << 40,
                                              .policy = 2,
                                              .trial_key = 1,
                                              .keys_version = 7,
                                              .uidvalidity_last = 0xfffffffe,
                                              .mailbox_next = 9,
                                              .message_next = UINT64_MAX,
                                              .auth_salt = {1, 2, 3},
                                              .auth_iterations = 4096,
                                              .pseudonym_key = {9, 8, 7},
                                              .address = "anna@example.org"};
static const struct schema_address address = {.account = A, .kind = ADDRESS_ALIAS, .address = "post@example.org"};
static const struct schema_usage usage = {.bytes = UINT64_MAX, .messages = 3};
static const struct schema_mailbox mailbox = {.id = 5,
                                              .uidvalidity = 6,
                                              .uidnext = 7,
                                              .exists = 8,
                                              .unseen = 8,
                                              .deleted = 1,
                                              .first_unseen_hint = 2,
                                              .highestmodseq = UINT64_MAX,
                                              .bytes = 10,
                                              .created = 11,
                                              .tombstones_from = 12};
static const struct schema_entry entry = {.message = 3,
                                          .flags = FLAG_SEEN | FLAG_DELETED | FLAG_KEYWORD(31),
                                          .modseq = 99,
                                          .size = 1ull << 33,
                                          .internaldate = 5};
static struct schema_mailbox_name mailbox_name;
static struct schema_block block;
static struct schema_message message;
static struct schema_key key;
static struct schema_app_password password;
static uint8_t password_hash[RECORD_HASH_SIZE] = {0x5a};
static uint8_t outer[SCHEMA_OUTER_MAX];

static void fill_values(void)
{
    memset(mailbox_name.name, 'n', sizeof mailbox_name.name - 1);
    mailbox_name.use = USE_ARCHIVE;
    mailbox_name.subscribed = 1;
    mailbox_name.nkeywords = KEYWORDS_MAX;
    for (unsigned i = 0; i < KEYWORDS_MAX; i++)
        memset(mailbox_name.keywords[i], 'a' + (int)i % 26, KEYWORD_LEN_MAX);
    block.count = 3, block.unseen = 2, block.deleted = 1;
    block.here[0] = 0x83, block.seen[0] = 0x01, block.deleted_bits[0] = 0x80, block.flagged[127] = 0xff,
    block.draft[5] = 1, block.answered[9] = 2;
    memset(outer, 'x', sizeof outer);
    message = (struct schema_message){.id = 77,
                                      .references = 2,
                                      .kind = MESSAGE_FOREIGN,
                                      .render_version = 1,
                                      .packets_len = 1ull << 35,
                                      .capsule_len = 500,
                                      .outer_len = sizeof outer,
                                      .size = 12345,
                                      .received = 55,
                                      .thread = {1},
                                      .own_id = {2},
                                      .expiry_hour = 400000,
                                      .keys_used = 0x80000001,
                                      .nfprs = 4,
                                      .outer = slice_of(outer, sizeof outer)};
    memset(message.fprs, 0xab, sizeof message.fprs);
    randombytes_buf(cert, sizeof cert);
    key = (struct schema_key){
        .state = KEY_CURRENT, .added = 44, .retired = 0, .blob = KEY_BLOB | 3, .cert_len = CERT_LEN};
    key.verdict = (struct pgp_verdict){.primary_fpr = {0xaa, 0xbb},
                                       .primary_fpr_len = 20,
                                       .primary_algo = 22,
                                       .created = 9,
                                       .enc_fpr = {0xcc},
                                       .enc_fpr_len = 20,
                                       .enc_algo = 18,
                                       .native = true,
                                       .prefs = {.aes256 = true}};
    password = (struct schema_app_password){
        .scope = SCOPE_IMAP | SCOPE_SMTP, .created = 8, .number = 3, .stored_key = {4}, .server_key = {5}};
    memset(password.label, 'l', LABEL_MAX - 1);
}

static void write_all(struct engine_txn *t)
{
    assert_int_equal(schema_put_account(t, keys, A, &account), OK);
    assert_int_equal(schema_put_address(t, keys, &address), OK);
    assert_int_equal(schema_put_domain(t, keys, "example.org", 123), OK);
    assert_int_equal(schema_put_listed(t, keys, A, account.address), OK);
    assert_int_equal(schema_put_usage(t, A, &usage), OK);
    assert_int_equal(schema_put_mailbox(t, A, &mailbox), OK);
    assert_int_equal(schema_put_mailbox_name(t, keys, A, 5, &mailbox_name), OK);
    assert_int_equal(schema_put_block(t, A, 5, 1, &block), OK);
    assert_int_equal(schema_put_entry(t, A, 5, 1025, &entry), OK);
    assert_int_equal(schema_put_message(t, keys, A, &message), OK);
    assert_int_equal(schema_put_key(t, A, &key), OK);
    assert_int_equal(schema_put_cert(t, keys, A, key.blob, slice_of(cert, sizeof cert)), OK);
    assert_int_equal(schema_put_app_password(t, keys, A, password_hash, &password), OK);
}

/* ---- reading each of them, as a table: damage goes through all ---- */

static union {
    struct schema_account account;
    struct schema_address address;
    struct schema_usage usage;
    struct schema_mailbox mailbox;
    struct schema_mailbox_name name;
    struct schema_block block;
    struct schema_entry entry;
    struct schema_message message;
    struct schema_key key;
    struct schema_app_password password;
    struct { uint64_t account, added; char text[ADDRESS_MAX]; } text;
} got;
static uint8_t outer_got[SCHEMA_OUTER_MAX];

static struct slice value_at(struct engine_txn *t, uint64_t part, struct slice k)
{
    struct slice v;
    assert_int_equal(engine_get(t, part, k, &v), OK);
    return v;
}

typedef int read_fn(struct engine_txn *t, uint64_t part, struct slice k);

static int read_account(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_account(t, keys, part, &got.account);
}
static int read_address(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_address(t, keys, address.address, &got.address);
}
static int read_domain(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_domain(t, keys, "example.org", &got.text.added);
}
static int read_listed(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_listed(keys, k, value_at(t, part, k), &got.text.account, got.text.text);
}
static int read_usage(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_usage(t, part, &got.usage);
}
static int read_mailbox(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_mailbox(t, part, 5, &got.mailbox);
}
static int read_name(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_mailbox_name(t, keys, part, 5, &got.name);
}
static int read_block(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_block(t, part, 5, 1, &got.block);
}
static int read_entry(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_entry(t, part, 5, 1025, &got.entry);
}
static int read_message(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_message(t, keys, part, 77, &got.message, outer_got);
}
static int read_key(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_key(value_at(t, part, k), &got.key);
}
static int read_password(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_app_password(keys, part, k, value_at(t, part, k), &got.password);
}
static int read_version(struct engine_txn *t, uint64_t part, struct slice k) { return schema_check_version(t, NULL); }
static int read_check(struct engine_txn *t, uint64_t part, struct slice k) { return schema_check_key(t, keys); }

enum { SEALED = 1 /* no bit may change unnoticed */, PARTLY = 2 };

static const struct record {
    const char *name;
    char letter;
    uint64_t part;
    read_fn *read;
    unsigned sealed;
} records[] = {
    {"account", 'A', A, read_account, SEALED},
    {"address", 'a', 0, read_address, SEALED},
    {"domain", 'd', 0, read_domain, SEALED},
    {"listed", 'N', 0, read_listed, SEALED},
    {"usage", 'q', A, read_usage, 0},
    {"mailbox", 'b', A, read_mailbox, 0},
    {"mailbox name", 'B', A, read_name, SEALED},
    {"block", 'k', A, read_block, 0},
    {"entry", 'u', A, read_entry, 0},
    {"message", 'm', A, read_message, PARTLY},
    {"key", 'K', A, read_key, 0},
    {"app password", 'P', A, read_password, PARTLY},
    {"version", 'V', 0, read_version, 0},
    {"key check", 'C', 0, read_check, SEALED},
};
enum { RECORDS = sizeof records / sizeof *records };

static int first_key(void *arg, struct slice k, struct slice value)
{
    struct schema_keybuf *kb = arg;
    memcpy(kb->b, k.data, k.len);
    return (int)k.len;
}

static struct slice record_key(struct engine_txn *t, const struct record *r, struct schema_keybuf *kb)
{
    struct schema_keybuf end;
    uint8_t letter = (uint8_t)r->letter;
    int len = engine_scan(t, r->part, slice_of(&letter, 1), key_after(&end, slice_of(&letter, 1)), 0, first_key, kb);
    assert_true(len > 0);
    return slice_of(kb->b, (size_t)len);
}

static void store_make(void)
{
    assert_int_equal(engine_mem_create(&e), OK);
    struct engine_txn *t = group();
    assert_int_equal(schema_init(t, keys, 1700000000), OK);
    write_all(t);
    assert_int_equal(engine_group_commit(t), OK);
}

static int each_setup(void **st)
{
    store_make();
    return 0;
}

static int each_teardown(void **st)
{
    engine_close(e);
    return 0;
}

/* ---- tests ---- */

static void test_round_trips(void **st)
{
    struct engine_txn *t = snapshot();
    struct schema_keybuf kb;
    for (unsigned i = 0; i < RECORDS; i++) {
        memset(&got, 0, sizeof got);
        assert_int_equal(records[i].read(t, records[i].part, record_key(t, &records[i], &kb)), OK);
        switch (records[i].letter) {
        case 'A':
            assert_memory_equal(&got.account.id, &account.id, 24);
            assert_string_equal(got.account.address, account.address);
            assert_true(got.account.policy == 2 && got.account.trial_key == 1 && got.account.keys_version == 7 &&
                        got.account.uidvalidity_last == 0xfffffffe && got.account.mailbox_next == 9 &&
                        got.account.message_next == UINT64_MAX && got.account.auth_iterations == 4096);
            assert_memory_equal(got.account.auth_salt, account.auth_salt, 16);
            assert_memory_equal(got.account.pseudonym_key, account.pseudonym_key, 32);
            break;
        case 'a': assert_true(got.address.account == A && got.address.kind == ADDRESS_ALIAS);
                  assert_string_equal(got.address.address, address.address); break;
        case 'd': assert_int_equal(got.text.added, 123); break;
        case 'N': assert_int_equal(got.text.account, A); assert_string_equal(got.text.text, account.address); break;
        case 'q': assert_memory_equal(&got.usage, &usage, sizeof usage); break;
        case 'b': assert_memory_equal(&got.mailbox, &mailbox, 7 * sizeof(uint32_t));
                  assert_memory_equal(&got.mailbox.highestmodseq, &mailbox.highestmodseq, 4 * sizeof(uint64_t)); break;
        case 'B': assert_memory_equal(&got.name, &mailbox_name, sizeof mailbox_name); break;
        case 'k': assert_memory_equal(&got.block, &block, sizeof block); break;
        case 'u': assert_memory_equal(&got.entry, &entry, sizeof entry); break;
        case 'm':
            assert_true(got.message.packets_len == message.packets_len && got.message.keys_used == message.keys_used &&
                        got.message.nfprs == 4 && got.message.references == 2 && got.message.expiry_hour == 400000);
            assert_memory_equal(got.message.fprs, message.fprs, sizeof message.fprs);
            assert_int_equal(got.message.outer.len, sizeof outer);
            assert_memory_equal(got.message.outer.data, outer, sizeof outer);
            break;
        case 'K':
            assert_memory_equal(&got.key.verdict.primary_fpr, key.verdict.primary_fpr, 32);
            assert_int_equal(got.key.blob, key.blob);
            break;
        case 'P':
            assert_string_equal(got.password.label, password.label);
            assert_int_equal(got.password.number, 3);
            break;
        }
    }
    static uint8_t cert_got[CERT_LEN];
    size_t len;
    assert_int_equal(schema_get_cert(t, keys, A, &key, cert_got, &len), OK);
    assert_int_equal(len, CERT_LEN);
    assert_memory_equal(cert, cert_got, CERT_LEN);
    /* A message without its outer header opened. */
    assert_int_equal(schema_get_message(t, keys, A, 77, &got.message, NULL), OK);
    assert_true(got.message.outer.len == 0 && got.message.outer_len == sizeof outer);
    struct slice v;
    assert_int_equal(engine_get(t, A, key_u32_u32(&kb, 'k', 5, 1), &v), OK);
    assert_true(v.len <= 780); /* rewritten at each delivery */
    engine_read_end(t);
}

static void test_absent(void **st)
{
    struct engine_txn *t = snapshot();
    assert_int_equal(schema_get_account(t, keys, B, &got.account), ERR_NOT_FOUND);
    assert_int_equal(schema_get_address(t, keys, "nobody@example.org", &got.address), ERR_NOT_FOUND);
    assert_int_equal(schema_get_mailbox(t, A, 6, &got.mailbox), ERR_NOT_FOUND);
    assert_int_equal(schema_get_mailbox_name(t, keys, A, 6, &got.name), ERR_NOT_FOUND);
    assert_int_equal(schema_get_entry(t, A, 5, 1, &got.entry), ERR_NOT_FOUND);
    assert_int_equal(schema_get_message(t, keys, A, 78, &got.message, NULL), ERR_NOT_FOUND);
    assert_int_equal(schema_get_usage(t, B, &got.usage), OK);
    assert_true(got.usage.bytes == 0 && got.usage.messages == 0);
    memset(&got, 1, sizeof got);
    assert_int_equal(schema_get_block(t, A, 5, 2, &got.block), OK);
    assert_true(got.block.count == 0 && sodium_is_zero((const uint8_t *)&got.block, sizeof got.block));
    engine_read_end(t);
    t = group();
    struct schema_block none = {0};
    assert_int_equal(schema_put_block(t, A, 5, 1, &none), OK); /* goes away */
    assert_int_equal(schema_put_block(t, A, 5, 1, &none), OK);
    struct slice v;
    struct schema_keybuf kb;
    assert_int_equal(engine_get(t, A, key_u32_u32(&kb, 'k', 5, 1), &v), ERR_NOT_FOUND);
    engine_group_abort(t);
}

static void test_too_large_is_not_written(void **st)
{
    struct engine_txn *t = group();
    struct schema_message m = message;
    m.nfprs = 5;
    assert_int_equal(schema_put_message(t, keys, A, &m), ERR_LIMIT);
    m = message;
    m.outer.len--;
    assert_int_equal(schema_put_message(t, keys, A, &m), ERR_LIMIT);
    struct schema_mailbox_name n = mailbox_name;
    n.nkeywords = KEYWORDS_MAX + 1;
    assert_int_equal(schema_put_mailbox_name(t, keys, A, 5, &n), ERR_LIMIT);
    struct schema_entry en = entry;
    en.flags |= 1ull << 40;
    assert_int_equal(schema_put_entry(t, A, 5, 1, &en), ERR_LIMIT);
    struct schema_app_password p = password;
    memset(p.label, 'x', sizeof p.label);
    assert_int_equal(schema_put_app_password(t, keys, A, password_hash, &p), ERR_LIMIT);
    assert_int_equal(schema_put_cert(t, keys, A, 3, slice_of(cert, 10)), ERR_LIMIT);
    assert_int_equal(schema_put_cert(t, keys, A, KEY_BLOB, slice_of(cert, 0)), ERR_LIMIT);
    engine_group_abort(t);
}

static void expect_damage(const struct record *r, int err, const char *what, size_t where)
{
    bool right = err == ERR_FORMAT || err == ERR_CRYPTO || err == ERR_VERSION || (err == OK && r->sealed != SEALED);
    if (!right)
        fail_msg("%s, %s at %zu: %d", r->name, what, where, err);
}

/* Every bit of every value (of long ones: every seventh octet's), every shorter length, one octet more. */
static void test_damage(void **st)
{
    static uint8_t good[ENGINE_VALUE_MAX], bad[ENGINE_VALUE_MAX + 1];
    struct schema_keybuf kb;
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *r = &records[i];
        struct engine_txn *t = group();
        struct slice k = record_key(t, r, &kb), v = value_at(t, r->part, k);
        size_t len = v.len, step = len > 2000 ? 7 : 1;
        unsigned accepted = 0;
        memcpy(good, v.data, len);
        for (size_t o = 0; o < len; o += o < 300 ? 1 : step)
            for (unsigned bit = 0; bit < 8; bit++) {
                memcpy(bad, good, len);
                bad[o] ^= (uint8_t)(1u << bit);
                assert_int_equal(engine_put(t, r->part, k, slice_of(bad, len)), OK);
                int err = r->read(t, r->part, k);
                expect_damage(r, err, "bit flipped", o);
                accepted += err == OK;
            }
        for (size_t cut = 0; cut < len; cut += cut < 1000 ? 1 : 37) {
            assert_int_equal(engine_put(t, r->part, k, slice_of(good, cut)), OK);
            if (r->read(t, r->part, k) == OK)
                fail_msg("%s cut to %zu of %zu", r->name, cut, len);
        }
        memcpy(bad, good, len);
        bad[len] = 0;
        if (len < ENGINE_VALUE_MAX) {
            assert_int_equal(engine_put(t, r->part, k, slice_of(bad, len + 1)), OK);
            if (r->read(t, r->part, k) == OK)
                fail_msg("%s with an octet more", r->name);
        }
        for (unsigned n = 0; n < 300; n++) {
            size_t noise = randombytes_uniform(n < 200 ? 900 : ENGINE_VALUE_MAX);
            randombytes_buf(bad, noise);
            assert_int_equal(engine_put(t, r->part, k, slice_of(bad, noise)), OK);
            int err = r->read(t, r->part, k);
            assert_true(err != OK || !r->sealed);
        }
        if (r->sealed == SEALED)
            assert_int_equal(accepted, 0);
        engine_group_abort(t);
    }
}

static void test_outer_header_and_label_are_sealed(void **st)
{
    static const char letters[] = {'m', 'P'};
    struct schema_keybuf kb;
    static uint8_t bad[ENGINE_VALUE_MAX];
    for (unsigned i = 0; i < 2; i++) {
        struct engine_txn *t = group();
        const struct record *r = records;
        while (r->letter != letters[i])
            r++;
        struct slice k = record_key(t, r, &kb), v = value_at(t, r->part, k);
        memcpy(bad, v.data, v.len);
        bad[v.len - 20] ^= 1;
        assert_int_equal(engine_put(t, r->part, k, slice_of(bad, v.len)), OK);
        assert_int_equal(r->read(t, r->part, k), ERR_CRYPTO);
        engine_group_abort(t);
    }
}

static void copy_value(struct engine_txn *t, uint64_t from_part, struct slice from, uint64_t to_part, struct slice to)
{
    static uint8_t tmp[ENGINE_VALUE_MAX];
    struct slice v = value_at(t, from_part, from);
    memcpy(tmp, v.data, v.len);
    assert_int_equal(engine_put(t, to_part, to, slice_of(tmp, v.len)), OK);
}

static void test_moved_records_do_not_open(void **st)
{
    struct engine_txn *t = group();
    struct schema_keybuf k1, k2;
    copy_value(t, A, key_simple(&k1, 'A'), B, key_simple(&k1, 'A'));
    assert_int_equal(schema_get_account(t, keys, B, &got.account), ERR_CRYPTO);
    copy_value(t, 0, key_address(&k1, keys, address.address), 0, key_address(&k2, keys, "eve@example.org"));
    assert_int_equal(schema_get_address(t, keys, "eve@example.org", &got.address), ERR_CRYPTO);
    copy_value(t, 0, key_domain(&k1, keys, "example.org"), 0, key_domain(&k2, keys, "example.net"));
    assert_int_equal(schema_get_domain(t, keys, "example.net", &got.text.added), ERR_CRYPTO);
    copy_value(t, A, key_u32(&k1, 'B', 5), A, key_u32(&k2, 'B', 1));
    assert_int_equal(schema_get_mailbox_name(t, keys, A, 1, &got.name), ERR_CRYPTO);
    copy_value(t, A, key_u32(&k1, 'b', 5), A, key_u32(&k2, 'b', 1)); /* in the clear, but it says which it is */
    assert_int_equal(schema_get_mailbox(t, A, 1, &got.mailbox), ERR_FORMAT);
    copy_value(t, A, key_u64(&k1, 'm', 77), A, key_u64(&k2, 'm', 78));
    assert_int_equal(schema_get_message(t, keys, A, 78, &got.message, outer_got), ERR_FORMAT);
    copy_value(t, A, key_u64(&k1, 'm', 77), B, key_u64(&k2, 'm', 77));
    assert_int_equal(schema_get_message(t, keys, B, 77, &got.message, outer_got), ERR_CRYPTO);
    uint8_t hash[RECORD_HASH_SIZE] = {1};
    copy_value(t, A, key_hash(&k1, 'P', password_hash), A, key_hash(&k2, 'P', hash));
    assert_int_equal(read_password(t, A, key_hash(&k2, 'P', hash)), ERR_CRYPTO);
    copy_value(t, 0, key_u64(&k1, 'N', A), 0, key_u64(&k2, 'N', B));
    assert_int_equal(read_listed(t, 0, key_u64(&k2, 'N', B)), ERR_CRYPTO);
    engine_group_abort(t);
}

static void test_certificates(void **st)
{
    static uint8_t buf[CERT_LEN], chunk[2][ENGINE_BLOB_CHUNK];
    struct engine_txn *t = group();
    struct slice c0, c1, last;
    size_t len;
    assert_int_equal(engine_blob_get(t, A, key.blob, 0, &c0), OK);
    memcpy(chunk[0], c0.data, c0.len);
    assert_int_equal(engine_blob_get(t, A, key.blob, 1, &c1), OK);
    memcpy(chunk[1], c1.data, c1.len);
    engine_blob_put(t, A, key.blob, 0, slice_of(chunk[1], ENGINE_BLOB_CHUNK)); /* chunks change places */
    engine_blob_put(t, A, key.blob, 1, slice_of(chunk[0], ENGINE_BLOB_CHUNK));
    assert_int_equal(schema_get_cert(t, keys, A, &key, buf, &len), ERR_CRYPTO);
    engine_blob_put(t, A, key.blob, 0, slice_of(chunk[0], ENGINE_BLOB_CHUNK));
    engine_blob_put(t, A, key.blob, 1, slice_of(chunk[1], ENGINE_BLOB_CHUNK));
    assert_int_equal(schema_get_cert(t, keys, A, &key, buf, &len), OK);
    struct schema_key k = key;
    k.cert_len = 2 * (ENGINE_BLOB_CHUNK - RECORD_OVERHEAD); /* shorter, at a chunk's end */
    assert_int_equal(schema_get_cert(t, keys, A, &k, buf, &len), ERR_CRYPTO);
    k.cert_len = CERT_LEN - 1;
    assert_int_not_equal(schema_get_cert(t, keys, A, &k, buf, &len), OK);
    assert_int_equal(engine_blob_get(t, A, key.blob, 2, &last), OK);
    engine_blob_put(t, A, key.blob, 2, slice_of("short", 5));
    assert_int_equal(schema_get_cert(t, keys, A, &key, buf, &len), ERR_FORMAT);
    assert_int_equal(engine_blob_del(t, A, key.blob), OK);
    assert_int_equal(schema_get_cert(t, keys, A, &key, buf, &len), ERR_FORMAT);
    engine_group_abort(t);
}

static void test_versions_and_init(void **st)
{
    struct engine_txn *t = group();
    struct schema_keybuf kb;
    uint8_t uuid[16] = {0}, v[64] = {0, 0, 0, SCHEMA_VERSION + 1, 'w', 'h', 'a', 't'};
    uint64_t id;
    assert_int_equal(schema_check_version(t, uuid), OK);
    assert_false(sodium_is_zero(uuid, 16));
    assert_int_equal(schema_check_key(t, keys), OK);
    assert_int_equal(schema_check_key(t, other_keys), ERR_CRYPTO);
    assert_int_equal(schema_init(t, keys, 1), ERR_EXISTS);
    assert_int_equal(schema_take_account_id(t, &id), OK);
    assert_int_equal(id, PART_ACCOUNT_FIRST);
    assert_int_equal(schema_take_account_id(t, &id), OK);
    assert_int_equal(id, PART_ACCOUNT_FIRST + 1);
    for (size_t len = 4; len < sizeof v; len++) { /* a newer one is refused whatever follows its number */
        engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(v, len));
        assert_int_equal(schema_check_version(t, uuid), ERR_VERSION);
        assert_int_equal(schema_check_key(t, keys), ERR_VERSION);
        assert_int_equal(schema_init(t, keys, 1), ERR_EXISTS);
    }
    v[3] = 0;
    engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(v, 28));
    assert_int_equal(schema_check_version(t, uuid), ERR_FORMAT);
    engine_del(t, PART_INSTANCE, key_simple(&kb, 'V'));
    assert_int_equal(schema_check_version(t, uuid), ERR_NOT_FOUND);
    engine_group_abort(t);
}

static void test_other_store_key(void **st)
{
    struct engine_txn *t = snapshot();
    assert_int_equal(schema_get_account(t, other_keys, A, &got.account), ERR_CRYPTO);
    assert_int_equal(schema_get_mailbox_name(t, other_keys, A, 5, &got.name), ERR_CRYPTO);
    assert_int_equal(schema_get_address(t, other_keys, address.address, &got.address), ERR_NOT_FOUND);
    engine_read_end(t);
}

/* Nothing that names somebody stands in the store in the clear. */
static int look_for(void *arg, struct slice k, struct slice v)
{
    static const char *const words[] = {"anna", "post@", "example", "nnnnn", "xxxxx", "lllll", "aaaaa"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(v.data, v.len, words[i], strlen(words[i])) || memmem(k.data, k.len, words[i], strlen(words[i])))
            return (int)i + 1;
    return 0;
}

static void test_nothing_readable(void **st)
{
    struct engine_txn *t = snapshot();
    struct slice v;
    for (uint64_t part = 0; part < 18; part++)
        assert_int_equal(engine_scan(t, part, slice_of("", 0), slice_of("", 0), 0, look_for, NULL), 0);
    for (uint32_t n = 0; n < 3; n++) {
        assert_int_equal(engine_blob_get(t, A, key.blob, n, &v), OK);
        assert_null(memmem(v.data, v.len, cert + n * 15959 + 100, 8));
    }
    engine_read_end(t);
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
    uint8_t fpr[40] = {0};
    assert_int_equal(key_fpr(&a, fpr, 40).len, 1 + PGP_FPR_MAX);
}

static int setup(void **st)
{
    uint8_t k[RECORD_KEY_SIZE] = {1};
    if (sodium_init() < 0)
        return 1;
    keys = record_keys_create(k);
    k[0] = 2;
    other_keys = record_keys_create(k);
    fill_values();
    return !keys || !other_keys;
}

static int teardown(void **st)
{
    record_keys_destroy(keys);
    record_keys_destroy(other_keys);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trips),
        TEST(test_absent),
        TEST(test_too_large_is_not_written),
        TEST(test_damage),
        TEST(test_outer_header_and_label_are_sealed),
        TEST(test_moved_records_do_not_open),
        TEST(test_certificates),
        TEST(test_versions_and_init),
        TEST(test_other_store_key),
        TEST(test_nothing_readable),
        cmocka_unit_test(test_key_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
