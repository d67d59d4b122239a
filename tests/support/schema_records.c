#include "tests/support/schema_records.h"
#include "tests/support/schema_published.h"
#include "tests/support/schema_queue.h"
#include "tests/support/schema_signin.h"
#include "tests/support/schema_reported.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/fence.h"
#include "store/schema_impl.h"
#include "store/schema_table.h"
#include "store/sending_impl.h"

static struct engine *e;

struct record_keys *records_keys, *records_other_keys;

uint8_t records_cert[CERT_LEN];

struct engine_txn *records_group(void)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(e, &t), OK);
    return t;
}

struct engine *records_engine(void)
{
    return e;
}

struct engine_txn *records_snapshot(void)
{
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(e, &t), OK);
    return t;
}

const struct schema_account records_account = {.id = A,
                                               .created = 1700000000,
                                               .quota_bytes = 1ull << 40,
                                               .policy = 2,
                                               .trial_key = 1,
                                               .seal_v2 = SEAL_V2_NEVER,
                                               .encrypt = ENCRYPT_ALWAYS,
                                               .keys_version = 7,
                                               .uidvalidity_last = 0xfffffffe,
                                               .mailbox_next = 9,
                                               .auth_salt = {1, 2, 3},
                                               .auth_iterations = 4096,
                                               .pseudonym_key = {9, 8, 7},
                                               .address = "anna@example.org",
                                               .forward_how = FORWARD_ONLY,
                                               .forward = "other@example.net"};

const struct schema_address records_address = {.account = A, .kind = ADDRESS_ALIAS, .address = "post@example.org"};

const struct schema_usage records_usage = {.bytes = UINT64_MAX,
                                           .messages = 3,
                                           .entries = 4,
                                           .number_next = UINT64_MAX - 1};

const struct schema_mailbox records_mailbox = {.id = 5,
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

const struct schema_entry records_entry = {.message = 3,
                                           .flags = FLAG_SEEN | FLAG_DELETED,
                                           .keywords = {{1, [KEYWORD_WORDS - 1] = 5}},
                                           .modseq = 99};

struct schema_mailbox_name records_mailbox_name;
struct schema_block records_block;
struct schema_tombstones records_tombstones;
struct schema_message records_message;

const struct schema_delivery records_delivery = {
    .time = 1, .message = 2, .modseq = UINT64_MAX, .mailbox = 4, .uidvalidity = 5, .uid = 6};

struct schema_key records_key;
struct schema_app_password records_password;

uint8_t records_password_hash[RECORD_HASH_SIZE] = {0x5a};

uint8_t records_outer[SCHEMA_OUTER_MAX];

static void fill_values(void)
{
    memset(records_mailbox_name.name, 'n', sizeof(records_mailbox_name.name) - 1);
    records_mailbox_name.use = USE_ARCHIVE;
    records_block.count = 3, records_block.unseen = 2, records_block.deleted = 1;
    records_block.here[0] = 0x83, records_block.seen[0] = 0x01, records_block.deleted_bits[0] = 0x80,
    records_block.flagged[127] = 0xff, records_block.draft[5] = 1, records_block.answered[9] = 2;
    records_tombstones.modseq = UINT64_MAX - 1;
    records_tombstones.n = TOMBSTONES_MAX;
    for (uint32_t i = 0; i < TOMBSTONES_MAX; i++) {
        records_tombstones.v[i].first = 3 * i + 1;
        records_tombstones.v[i].last = 3 * i + 2;
    }
    memset(records_outer, 'x', sizeof(records_outer));
    records_message = (struct schema_message){.id = 77,
                                              .references = 2,
                                              .kind = MESSAGE_FOREIGN,
                                              .render_version = 1,
                                              .packets_len = 1ull << 35,
                                              .capsule_len = 500,
                                              .outer_len = sizeof(records_outer),
                                              .internaldate = -5,
                                              .salt = {3},
                                              .padding = 77,
                                              .head_len = 600,
                                              .received = 55,
                                              .thread = {1},
                                              .own_id = {2},
                                              .expiry_hour = 400000,
                                              .keys_used = 0x80000001,
                                              .nfprs = MESSAGE_FPRS_MAX,
                                              .nfeatures = MESSAGE_FEATURES_MAX,
                                              .features = {UINT64_MAX, 1},
                                              .outer = slice_of(records_outer, sizeof(records_outer))};
    memset(records_message.fprs, 0xab, sizeof(records_message.fprs));
    randombytes_buf(records_cert, sizeof(records_cert));
    records_key = (struct schema_key){.state = KEY_ENC_REVOKED,
                                      .added = 44,
                                      .ended = 45,
                                      .blob = 3,
                                      .cert_len = CERT_LEN,
                                      .noticed = KEY_EVENT_EXPIRING | KEY_EVENT_REVOKED,
                                      .nformer = KEY_FORMER_MAX};
    for (unsigned i = 0; i < KEY_FORMER_MAX; i++) {
        memset(records_key.former[i].fpr, (int)i + 1, i % 2 ? 20 : 32);
        records_key.former[i].fpr_len = i % 2 ? 20 : 32;
    }
    key_cert_hash(slice_of(records_cert, sizeof(records_cert)), records_key.cert_hash);
    records_key.verdict = (struct pgp_verdict){.primary_fpr = {0xaa, 0xbb},
                                               .primary_fpr_len = 20,
                                               .primary_algo = 22,
                                               .created = 9,
                                               .enc_fpr = {0xcc},
                                               .enc_fpr_len = 20,
                                               .enc_algo = 18,
                                               .enc_octets = 33,
                                               .native = true,
                                               .prefs = {.aes256 = true}};
    records_password = (struct schema_app_password){
        .scope = SCOPE_IMAP | SCOPE_SMTP, .created = 8, .number = 3, .stored_key = {4}, .server_key = {5}};
    memset(records_password.label, 'l', LABEL_MAX - 1);
}

static void write_policy(struct engine_txn *t)
{
    const struct sts_policy p = {
        .fetched = 1, .expires = 2, .domain = "example.net", .id = "3", .len = STS_POLICY_TEXT_MAX};
    uint8_t out[STS_POLICY_RECORD_MAX], hash[RECORD_HASH_SIZE];
    struct schema_keybuf kb;
    size_t len;
    assert_int_equal(sts_policy_seal(records_keys, &p, hash, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_hash(&kb, 'p', hash), slice_of(out, len)), OK);
}

static void write_sending(struct engine_txn *t)
{
    const struct schema_sent sent = {.hour = 5, .v = {{1, 2, 3}, {4, 5, 6}}};
    const struct schema_hold hold = {.since = 9, .why = HOLD_COMPLAINTS};
    const struct schema_complaints said = {.total = 9, .last = 8, .n = 2, .v = {{{1, 2}, 3}, {{4}, 5}}};
    const struct suppressed gone = {.since = 1, .until = 2, .address = "bob@example.net", .reply = "550 5.1.1 no"};
    struct known_bucket known = {.n = SENDING_BUCKET_MAX};
    uint8_t out[SUPPRESSED_RECORD_MAX], hash[RECORD_HASH_SIZE];
    struct schema_keybuf kb;
    size_t len;
    assert_int_equal(suppression_seal(records_keys, &gone, hash, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_hash(&kb, 'S', hash), slice_of(out, len)), OK);
    write_policy(t);
    memset(known.v, 0xcc, sizeof(known.v));
    assert_int_equal(schema_put_sent(t, records_keys, A, &sent), OK);
    assert_int_equal(schema_put_domain_sent(t, records_keys, "example.org", &sent), OK);
    assert_int_equal(schema_put_known(t, records_keys, A, 'l', SENDING_BUCKETS - 1, &known), OK);
    assert_int_equal(schema_put_known(t, records_keys, A, 'f', 0, &known), OK);
    assert_int_equal(schema_put_complaints(t, records_keys, A, &said), OK);
    assert_int_equal(schema_put_hold(t, records_keys, A, &hold), OK);
}

static void write_all(struct engine_txn *t)
{
    records_write_published(t);
    records_write_queue(t);
    write_sending(t);
    records_write_correspondents(t);
    records_write_signin(t);
    records_write_reported(t);
    assert_int_equal(schema_put_account(t, records_keys, A, &records_account), OK);
    assert_int_equal(schema_put_address(t, records_keys, &records_address), OK);
    assert_int_equal(schema_put_domain(t, records_keys, "example.org", 123), OK);
    assert_int_equal(schema_put_listed(t, records_keys, A, records_account.address), OK);
    assert_int_equal(schema_put_usage(t, records_keys, A, &records_usage), OK);
    assert_int_equal(schema_put_mailbox(t, records_keys, A, &records_mailbox), OK);
    assert_int_equal(schema_put_mailbox_name(t, records_keys, A, 5, &records_mailbox_name), OK);
    assert_int_equal(schema_put_keyword(t, records_keys, A, 511, &(struct schema_keyword){7, "$Forwarded"}), OK);
    assert_int_equal(schema_put_subscription(t, records_keys, A, "Lists/C"), OK);
    assert_int_equal(schema_put_block(t, records_keys, A, 5, 1, &records_block), OK);
    assert_int_equal(schema_put_entry(t, records_keys, A, 5, 1025, &records_entry), OK);
    assert_int_equal(schema_put_message(t, records_keys, A, &records_message), OK);
    assert_int_equal(schema_put_delivery(t, records_keys, A, (const uint8_t[RECORD_HASH_SIZE]){0xd1},
                                         &records_delivery),
                     OK);
    assert_int_equal(schema_put_key(t, records_keys, A, &records_key), OK);
    assert_int_equal(schema_put_cert(t, records_keys, A, records_key.blob,
                                     slice_of(records_cert, sizeof(records_cert))),
                     OK);
    static const uint8_t approval[APPROVAL_SIZE] = {6};
    assert_int_equal(schema_put_approval(t, records_keys, A, 7, approval), OK);
    assert_int_equal(fence_put(t, records_keys, A), OK);
    assert_int_equal(schema_put_tombstones(t, records_keys, A, 5, &records_tombstones), OK);
    assert_int_equal(schema_put_job(t, records_keys, A, &(struct schema_job){JOB_MOVE, 5, 6, UINT32_MAX}), OK);
    assert_int_equal(schema_put_copy(t, records_keys, A, &(struct schema_copy){UINT64_MAX, 5, 7, 7}), OK);
    assert_int_equal(schema_put_restored(t, records_keys, 18), OK);
    assert_int_equal(schema_put_app_password(t, records_keys, A, records_password_hash, &records_password), OK);
}

union got records_got;

uint8_t records_outer_got[SCHEMA_OUTER_MAX];

struct slice records_value_at(struct engine_txn *t, uint64_t part, struct slice k)
{
    struct slice v;
    assert_int_equal(engine_get(t, part, k, &v), OK);
    return v;
}

static int read_account(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_account(t, records_keys, part, &records_got.account);
}

static int read_address(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_address(records_keys, k, records_value_at(t, part, k), &records_got.address);
}

static int read_domain(struct engine_txn *t, uint64_t part, struct slice k)
{
    char domain[DOMAIN_CAP];
    return schema_unpack_domain(records_keys, k, records_value_at(t, part, k), domain, &records_got.text.added);
}

int records_read_listed(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_listed(records_keys, k, records_value_at(t, part, k), &records_got.text.account,
                                records_got.text.text);
}

static int read_usage(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_usage(t, records_keys, part, &records_got.usage);
}

static int read_mailbox(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_mailbox(records_keys, part, k, records_value_at(t, part, k), &records_got.mailbox);
}

static int read_name(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_mailbox_name(records_keys, part, k, records_value_at(t, part, k), &records_got.name);
}

static int read_keywords(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_keywords(t, records_keys, part, &records_got.keywords);
}
static int read_subscription(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_subscription(records_keys, part, k, records_value_at(t, part, k), records_got.name.name);
}
static int read_block(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_block(records_keys, part, k, records_value_at(t, part, k), &records_got.block);
}

static int read_entry(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_entry(records_keys, part, k, records_value_at(t, part, k), &records_got.entry);
}

static int read_message(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_message(t, records_keys, part, 77, &records_got.message, records_outer_got);
}

static int read_fence(struct engine_txn *t, uint64_t part, struct slice k)
{
    return fence_check(t, records_keys, part);
}

static int read_delivery(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_delivery(t, records_keys, part, k.data + 1, &records_got.delivery);
}

static int read_key(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_key(records_keys, part, k, records_value_at(t, part, k), &records_got.key);
}

static int read_approval(struct engine_txn *t, uint64_t part, struct slice k)
{
    uint32_t keys_version;
    uint8_t approval[APPROVAL_SIZE];
    return schema_get_approval(t, records_keys, part, &keys_version, approval);
}

int records_read_password(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_app_password(records_keys, part, k, records_value_at(t, part, k), &records_got.password);
}

static int read_tombstones(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_tombstones(records_keys, part, k, records_value_at(t, part, k), &records_got.tombstones);
}

static int read_job(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_job(records_keys, part, k, records_value_at(t, part, k), &records_got.job);
}

static int read_copy(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_copy(records_keys, part, k, records_value_at(t, part, k), &records_got.copy);
}

static int read_restored(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_restored(t, records_keys, &records_got.number);
}

/* Takes it back again: what is read must not change what is stored. */
static int read_next_account(struct engine_txn *t, uint64_t part, struct slice k)
{
    uint8_t was[64];
    struct slice v = records_value_at(t, part, k);
    size_t len = v.len < sizeof(was) ? v.len : sizeof(was);
    memcpy(was, v.data, len);
    int err = schema_take_account_id(t, records_keys, &records_got.number);
    if (err == OK)
        assert_int_equal(engine_put(t, part, k, slice_of(was, len)), OK);
    return err;
}

static int read_version(struct engine_txn *t, uint64_t part, struct slice k)
{
    struct schema_version v;
    return schema_get_version(t, SCHEMA_STEP, &v);
}

static int read_check(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_check_key(t, records_keys);
}

static int read_sent(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_sent(records_keys, part, k, records_value_at(t, part, k), &records_got.sent);
}

static int read_known(struct engine_txn *t, uint64_t part, struct slice k)
{
    uint32_t n;
    return schema_unpack_known(records_keys, part, k, records_value_at(t, part, k), &n);
}

static int read_complaints(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_complaints(records_keys, part, k, records_value_at(t, part, k), &records_got.complaints);
}

static int read_hold(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_hold(records_keys, k, records_value_at(t, part, k), &records_got.hold);
}

static int read_suppressed(struct engine_txn *t, uint64_t part, struct slice k)
{
    return suppression_open(records_keys, k.data + 1, records_value_at(t, part, k), &records_got.suppressed);
}

static int read_policy(struct engine_txn *t, uint64_t part, struct slice k)
{
    return sts_policy_open(records_keys, k.data + 1, records_value_at(t, part, k), &records_got.policy);
}

const struct record records[RECORDS] = {
    {"account", 'A', A, read_account},
    {"address", 'a', 0, read_address},
    {"domain", 'd', 0, read_domain},
    {"listed", 'N', 0, records_read_listed},
    {"usage", 'q', A, read_usage},
    {"mailbox", 'b', A, read_mailbox},
    {"mailbox name", 'B', A, read_name},
    {"keyword", 'F', A, read_keywords},
    {"subscription", 's', A, read_subscription},
    {"block", 'k', A, read_block},
    {"entry", 'u', A, read_entry},
    {"message", 'm', A, read_message},
    {"fence", 'n', A, read_fence},
    {"delivery", 'D', A, read_delivery},
    {"key", 'K', A, read_key},
    {"approval", 'G', A, read_approval},
    {"app password", 'P', A, records_read_password},
    {"tombstones", 'x', A, read_tombstones},
    {"job", 'Z', A, read_job},
    {"copy", 'Y', A, read_copy},
    {"restore", 'R', 0, read_restored},
    {"next account", 'I', 0, read_next_account},
    {"version", 'V', 0, read_version},
    {"key check", 'C', 0, read_check},
    {"envelope", 'Q', PART_QUEUE, records_read_envelope},
    {"recipient", 'T', PART_QUEUE, records_read_recipient},
    {"queued message", 'M', PART_QUEUE, records_read_queued},
    {"signing key", 'D', PART_QUEUE, records_read_dkim},
    {"sent", 'L', A, read_sent},
    {"sent of a domain", 'L', 0, read_sent},
    {"reported", 'D', 0, records_read_reported},
    {"known recipients", 'l', A, read_known},
    {"contacts", 'f', A, read_known},
    {"complaints", 'y', A, read_complaints},
    {"correspondent", 'r', A, records_read_correspondent},
    {"incoming", 'i', A, records_read_correspondent},
    {"correspondents", 'U', A, records_read_correspondents},
    {"hold", 'H', PART_QUEUE, read_hold},
    {"suppressed", 'S', PART_QUEUE, read_suppressed},
    {"policy", 'p', PART_QUEUE, read_policy},
    {"tally", 't', PART_QUEUE, records_read_tally},
    {"published", 'p', PART_KEYSERVER, records_read_published},
    {"published octets", 'c', PART_KEYSERVER, records_read_published},
    {"change", 'l', PART_KEYSERVER, records_read_change},
    {"end of the log", 'h', PART_KEYSERVER, records_read_head},
    {"upload", 'u', PART_KEYSERVER, records_read_upload},
    {"upload's octets", 'v', PART_KEYSERVER, records_read_upload_cert},
    {"uploads", 'n', PART_KEYSERVER, records_read_uploads},
    {"sign-in", 'O', A, records_read_signin},
    {"wrapped key", 'W', A, records_read_wrapped},
    {"session", 'o', A, records_read_session},
    {"second factor", 'E', A, records_read_factor},
    {"invitation", 'J', 0, records_read_invitation},
};

static int first_key(void *arg, struct slice k, struct slice value)
{
    struct schema_keybuf *kb = arg;
    memcpy(kb->b, k.data, k.len);
    return (int)k.len;
}

struct slice record_key(struct engine_txn *t, const struct record *r, struct schema_keybuf *kb)
{
    struct schema_keybuf end;
    uint8_t letter = (uint8_t)r->letter;
    int len = engine_scan(t, r->part, slice_of(&letter, 1), key_after(&end, slice_of(&letter, 1)), 0, first_key, kb);
    assert_true(len > 0);
    return slice_of(kb->b, (size_t)len);
}

int records_put_fields(struct engine_txn *t, const struct record *r, struct slice k, const uint8_t *fields, size_t len)
{
    static uint8_t copy[ENGINE_VALUE_MAX];
    const struct schema_kind *kind = schema_kind_find(r->part, r->letter);
    struct pack p;
    pack_init(&p, copy, sizeof(copy));
    pack_raw(&p, fields, len);
    if (p.failed)
        return ERR_LIMIT;
    return kind->form == FORM_CLEAR    ? engine_put(t, r->part, k, slice_of(fields, len))
           : kind->form == FORM_SEALED ? sealed_put(t, records_keys, r->part, k, &p)
                                       : tagged_put(t, records_keys, r->part, k, &p);
}

static void store_make(void)
{
    assert_int_equal(engine_mem_create(&e), OK);
    struct engine_txn *t = records_group();
    assert_int_equal(schema_init(t, records_keys, 1700000000), OK);
    write_all(t);
    assert_int_equal(engine_group_commit(t), OK);
}

int records_each_setup(void **st)
{
    store_make();
    return 0;
}

int records_each_teardown(void **st)
{
    engine_close(e);
    return 0;
}

int records_setup(void **st)
{
    uint8_t k[RECORD_KEY_SIZE] = {1};
    if (sodium_init() < 0)
        return 1;
    records_keys = record_keys_of_root(k);
    k[0] = 2;
    records_other_keys = record_keys_of_root(k);
    fill_values();
    return !records_keys || !records_other_keys;
}

int records_teardown(void **st)
{
    record_keys_destroy(records_keys);
    record_keys_destroy(records_other_keys);
    return 0;
}
