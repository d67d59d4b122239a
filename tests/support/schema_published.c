#include "tests/support/schema_published.h"

void records_write_published(struct engine_txn *t)
{
    static struct published p = {.since = 1,
                                 .why = PUBLISH_KEY,
                                 .len = PUBLISHED_FRONT + PUBLISHED_CHUNK + 100,
                                 .address = "anna@example.org"};
    const struct published_change c = {.number = 1, .at = 2, .why = PUBLISH_WISH, .address = "anna@example.org"};
    const struct published_head h = {.changes = 1, .hash = {3}};
    assert_int_equal(schema_put_published(t, records_keys, &p), OK);
    assert_int_equal(schema_put_published_change(t, records_keys, &c), OK);
    assert_int_equal(schema_put_published_head(t, records_keys, &h), OK);
    static struct store_write w;
    static const uint8_t cert[PUBLISHED_CHUNK + 100];
    uint8_t token[UPLOAD_TOKEN_SIZE];
    w = (struct store_write){.t = t, .keys = records_keys, .account = PART_KEYSERVER, .now = 1};
    assert_int_equal(upload_add(&w, "anna@example.org", A, true, slice_of(cert, sizeof(cert)), token), OK);
}

int records_read_published(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_published(t, records_keys, k.data + 1, &records_got.published);
}

int records_read_change(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_published_change(records_keys, k, records_value_at(t, part, k), &records_got.change);
}

int records_read_head(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_published_head(t, records_keys, &records_got.head);
}

int records_read_upload(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_upload(t, records_keys, k.data + 1, k.data[k.len - 1], &records_got.upload);
}

int records_read_upload_cert(struct engine_txn *t, uint64_t part, struct slice k)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    const uint32_t place = k.data[k.len - 1] / UPLOAD_CHUNKS;
    struct upload u;
    int err = schema_get_upload(t, records_keys, k.data + 1, place, &u);
    return err ? err : schema_get_upload_cert(t, records_keys, k.data + 1, place, &u, cert);
}

int records_read_uploads(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_upload_head(t, records_keys, &records_got.uploads);
}
