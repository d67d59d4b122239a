#include "tests/support/schema_published.h"

void records_write_published(struct engine_txn *t)
{
    static struct published p = {.since = 1, .len = PUBLISHED_CHUNK + 100, .address = "anna@example.org"};
    const struct published_change c = {.number = 1, .at = 2, .why = PUBLISH_WISH, .address = "anna@example.org"};
    const struct published_head h = {.changes = 1, .hash = {3}};
    assert_int_equal(schema_put_published(t, records_keys, &p), OK);
    assert_int_equal(schema_put_published_change(t, records_keys, &c), OK);
    assert_int_equal(schema_put_published_head(t, records_keys, &h), OK);
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
