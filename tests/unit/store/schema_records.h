/* One of each value of the store, written, and a table that finds and reads them. */
#ifndef TESTS_STORE_SCHEMA_RECORDS_H
#define TESTS_STORE_SCHEMA_RECORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
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
    memset(mailbox_name.name, 'n', sizeof(mailbox_name.name) - 1);
    mailbox_name.use = USE_ARCHIVE;
    mailbox_name.subscribed = 1;
    mailbox_name.nkeywords = KEYWORDS_MAX;
    for (unsigned i = 0; i < KEYWORDS_MAX; i++)
        memset(mailbox_name.keywords[i], 'a' + (int)i % 26, KEYWORD_LEN_MAX);
    block.count = 3, block.unseen = 2, block.deleted = 1;
    block.here[0] = 0x83, block.seen[0] = 0x01, block.deleted_bits[0] = 0x80, block.flagged[127] = 0xff,
    block.draft[5] = 1, block.answered[9] = 2;
    memset(outer, 'x', sizeof(outer));
    message = (struct schema_message){.id = 77,
                                      .references = 2,
                                      .kind = MESSAGE_FOREIGN,
                                      .render_version = 1,
                                      .packets_len = 1ull << 35,
                                      .capsule_len = 500,
                                      .outer_len = sizeof(outer),
                                      .size = 12345,
                                      .received = 55,
                                      .thread = {1},
                                      .own_id = {2},
                                      .expiry_hour = 400000,
                                      .keys_used = 0x80000001,
                                      .nfprs = MESSAGE_FPRS_MAX,
                                      .outer = slice_of(outer, sizeof(outer))};
    memset(message.fprs, 0xab, sizeof(message.fprs));
    randombytes_buf(cert, sizeof(cert));
    key = (struct schema_key){.state = KEY_ENC_REVOKED,
                              .added = 44,
                              .ended = 45,
                              .blob = 3,
                              .cert_len = CERT_LEN,
                              .noticed = KEY_EVENT_EXPIRING | KEY_EVENT_REVOKED,
                              .nformer = KEY_FORMER_MAX};
    for (unsigned i = 0; i < KEY_FORMER_MAX; i++) {
        memset(key.former[i].fpr, (int)i + 1, i % 2 ? 20 : 32);
        key.former[i].fpr_len = i % 2 ? 20 : 32;
    }
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
    assert_int_equal(schema_put_cert(t, keys, A, key.blob, slice_of(cert, sizeof(cert))), OK);
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
    struct {
        uint64_t account, added;
        char text[ADDRESS_MAX];
    } text;
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
static int read_version(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_check_version(t, NULL);
}
static int read_check(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_check_key(t, keys);
}

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
enum { RECORDS = sizeof(records) / sizeof(*records) };

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

#endif
