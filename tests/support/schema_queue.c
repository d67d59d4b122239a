/* One of each value of what goes out. See schema_queue.h. */
#include "tests/support/schema_queue.h"

#include "store/schema_impl.h"

void records_write_queue(struct engine_txn *t)
{
    const struct queue_envelope envelope = {
        .id = 77, .queued_at = 1, .expires = 2, .account = A, .from = "anna@example.org", .envid = "id"};
    const struct queue_recipient to = {.n = 3,
                                       .state = QUEUE_FAILED,
                                       .report = 3,
                                       .to = "bob@example.net",
                                       .orcpt = "rfc822;b",
                                       .last_reply = "450",
                                       .proof = QUEUE_PROOF_DANE,
                                       .host = "h"};
    const struct schema_message m = {
        .id = 77, .references = 1, .kind = MESSAGE_QUEUED, .packets_len = 5000, .head_len = 200};
    const struct dkim_record signing = {.algorithm = DKIM_RECORD_ED25519,
                                        .made = 1,
                                        .use_from = 2,
                                        .domain = "example.org",
                                        .selector = "s1",
                                        .der = "a key",
                                        .der_len = 5};
    uint8_t out[QUEUE_DKIM_MAX], hash[RECORD_HASH_SIZE];
    struct schema_keybuf kb;
    size_t len;
    assert_int_equal(queue_seal_envelope(records_keys, &envelope, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_u64(&kb, 'Q', 77), slice_of(out, len)), OK);
    assert_int_equal(queue_seal_recipient(records_keys, 77, &to, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_u64_u32(&kb, 'T', 77, 3), slice_of(out, len)), OK);
    assert_int_equal(schema_put_message(t, records_keys, PART_QUEUE, &m), OK);
    assert_int_equal(dkim_record_seal(records_keys, &signing, hash, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_hash(&kb, 'D', hash), slice_of(out, len)), OK);
}

static uint64_t id_of(struct slice k)
{
    struct unpack u = key_fields(k);
    return unpack_u64(&u);
}

int records_read_envelope(struct engine_txn *t, uint64_t part, struct slice k)
{
    uint8_t seen[QUEUE_SEEN_SIZE];
    return queue_open_envelope(records_keys, id_of(k), records_value_at(t, part, k), &records_got.envelope, seen);
}

int records_read_recipient(struct engine_txn *t, uint64_t part, struct slice k)
{
    uint32_t n = (uint32_t)k.data[9] << 24 | (uint32_t)k.data[10] << 16 | (uint32_t)k.data[11] << 8 | k.data[12];
    return queue_open_recipient(records_keys, id_of(k), n, records_value_at(t, part, k), &records_got.recipient);
}

int records_read_queued(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_message(t, records_keys, part, id_of(k), &records_got.message, records_outer_got);
}

int records_read_dkim(struct engine_txn *t, uint64_t part, struct slice k)
{
    return dkim_record_open(records_keys, k.data + 1, records_value_at(t, part, k), &records_got.dkim);
}
