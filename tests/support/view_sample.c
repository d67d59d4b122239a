#include "tests/support/view_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/approval.h"

const char sample_password[] = "abcde-fghij-klmno-pqrst-uvwxyz";

struct engine *sample_engine;

struct view *sample_view;

struct record_keys *sample_keys;

const uint8_t sample_store_key[RECORD_KEY_SIZE] = {1};

uint8_t sample_packets[2 * ENGINE_BLOB_CHUNK + 100];

static struct engine_ops counting;

static const struct engine_ops *counted;

unsigned sample_lookups;

static int count_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    sample_lookups++;
    return counted->get(t, part, key, ret);
}

static void put_address(struct engine_txn *t, const char *text, uint64_t account, uint8_t kind)
{
    struct schema_address a = {.account = account, .kind = kind};
    uint8_t uuid[STORE_UUID_SIZE];
    struct approval_text approved;
    struct schema_account owner;
    snprintf(a.address, sizeof(a.address), "%s", text);
    assert_int_equal(schema_get_uuid(t, uuid), OK);
    assert_int_equal(schema_get_account(t, sample_keys, account, &owner), OK);
    approval_of_address(uuid, &a, owner.address, &approved);
    approver_sign(sample_store_key, approved.data, approved.len, a.approval);
    assert_int_equal(schema_put_address(t, sample_keys, &a), OK);
}

static void put_mailbox(struct engine_txn *t, uint32_t id, const char *text)
{
    struct schema_mailbox_name n = {.use = 0};
    struct schema_mailbox m = {.id = id, .uidvalidity = 1, .uidnext = 1};
    snprintf(n.name, sizeof(n.name), "%s", text);
    assert_int_equal(schema_put_mailbox_name(t, sample_keys, A, id, &n), OK);
    assert_int_equal(schema_put_mailbox(t, sample_keys, A, &m), OK);
}

struct schema_message sample_hidden, sample_marked;

uint8_t sample_capsule[700];

static void put_content(struct engine_txn *t, struct schema_message *m)
{
    m->capsule_len = sizeof(sample_capsule);
    content_draw(m);
    assert_int_equal(content_write(t, sample_keys, A, m, slice_of(sample_packets, m->packets_len),
                                   slice_of(sample_capsule, sizeof(sample_capsule))),
                     OK);
}

void sample_fill(struct engine_txn *t)
{
    struct schema_account a = {.id = A, .address = "anna@example.org", .auth_iterations = AUTH_ITERATIONS};
    assert_int_equal(schema_init(t, sample_keys, 1), OK);
    assert_int_equal(schema_put_account(t, sample_keys, A, &a), OK);
    assert_int_equal(schema_put_usage(t, sample_keys, A, &(struct schema_usage){0}), OK);
    assert_int_equal(schema_put_domain(t, sample_keys, "example.org", 1), OK);
    assert_int_equal(schema_put_domain(t, sample_keys, "example.net", 1), OK);
    struct schema_account other = {.id = B, .address = "bert@example.net"};
    assert_int_equal(schema_put_account(t, sample_keys, B, &other), OK);
    put_address(t, "anna@example.org", A, ADDRESS_PRIMARY);
    put_address(t, "post@example.org", A, ADDRESS_ALIAS);
    put_address(t, "anna+exact@example.org", B, ADDRESS_ALIAS);
    put_address(t, "bert@example.net", B, ADDRESS_PRIMARY);
    put_address(t, "@example.net", B, ADDRESS_CATCH_ALL);
    put_address(t, "postmaster@example.net", A, ADDRESS_ALIAS);
    assert_int_equal(schema_put_listed(t, sample_keys, A, "anna@example.org"), OK);
    assert_int_equal(schema_put_listed(t, sample_keys, B, "bert@example.net"), OK);
    put_mailbox(t, 1, "INBOX");
    put_mailbox(t, 2, "INBOX/Work");
    put_mailbox(t, 300, "Sent");
    for (uint32_t uid = 1; uid <= 3000; uid += 7) {
        struct schema_entry en = {.message = uid, .modseq = uid};
        assert_int_equal(schema_put_entry(t, sample_keys, A, 1, uid, &en), OK);
    }
    struct schema_entry last = {.message = 1};
    assert_int_equal(schema_put_entry(t, sample_keys, A, 1, UINT32_MAX, &last), OK);
    assert_int_equal(schema_put_entry(t, sample_keys, A, 2, 1, &last), OK);
    struct schema_block b = {.count = 1, .unseen = 1, .here = {1}};
    for (uint32_t n = 0; n < 3; n++)
        assert_int_equal(schema_put_block(t, sample_keys, A, 1, n, &b), OK);
    assert_int_equal(schema_put_block(t, sample_keys, A, 2, 9, &b), OK);
    uint8_t hash[RECORD_HASH_SIZE];
    struct schema_app_password p = {.scope = SCOPE_IMAP, .number = 1, .label = "phone"};
    assert_int_equal(app_password_hash(sample_keys, A, sample_password, strlen(sample_password), hash), OK);
    assert_int_equal(schema_put_app_password(t, sample_keys, A, hash, &p), OK);
    struct schema_key k = {.state = KEY_CURRENT,
                           .blob = 0,
                           .cert_len = 9,
                           .verdict = {.primary_fpr_len = 20, .enc_fpr_len = 20}};
    key_cert_hash(slice_of("some cert", 9), k.cert_hash);
    assert_int_equal(schema_put_key(t, sample_keys, A, &k), OK);
    assert_int_equal(schema_put_cert(t, sample_keys, A, k.blob, slice_of("some cert", 9)), OK);
    k.verdict.primary_fpr[0] = 9;
    k.state = KEY_RETIRED;
    assert_int_equal(schema_put_key(t, sample_keys, A, &k), OK);
    randombytes_buf(sample_packets, sizeof(sample_packets));
    randombytes_buf(sample_capsule, sizeof(sample_capsule));
    sample_hidden = (struct schema_message){.id = 77,
                                            .kind = MESSAGE_FOREIGN,
                                            .packets_len = sizeof(sample_packets),
                                            .head_len = 20000};
    sample_marked =
        (struct schema_message){.id = 78, .kind = MESSAGE_SERVER_SEALED, .packets_len = 2 * ENGINE_BLOB_CHUNK};
    put_content(t, &sample_hidden);
    put_content(t, &sample_marked);
}

int sample_each_setup(void **st)
{
    struct engine_txn *t;
    assert_int_equal(engine_mem_create(&sample_engine), OK);
    counted = sample_engine->ops;
    counting = *counted;
    counting.get = count_get;
    sample_engine->ops = &counting;
    assert_int_equal(engine_group_begin(sample_engine, &t), OK);
    sample_fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_over(sample_engine, sample_keys, &sample_view), OK);
    assert_int_equal(view_begin(sample_view), OK);
    return 0;
}

int sample_each_teardown(void **st)
{
    assert_int_equal(view_end(sample_view), OK);
    view_close(sample_view);
    engine_close(sample_engine);
    return 0;
}

int sample_setup(void **st)
{
    sample_keys = sodium_init() < 0 ? NULL : record_keys_of_root(sample_store_key);
    return !sample_keys;
}

int sample_teardown(void **st)
{
    record_keys_destroy(sample_keys);
    return 0;
}
