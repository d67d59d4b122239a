#include "tests/support/schema_reported.h"

static void write_tally(struct engine_txn *t)
{
    const struct tls_tally v = {.begin = 1,
                                .end = 2,
                                .domain = "example.net",
                                .npolicies = 1,
                                .policies = {{.kind = 2, .domain = "example.net", .text = "mode: testing\n", .bad = 1}},
                                .ndetails = 1,
                                .details = {{.result = 3, .receiving = {4, {127, 0, 0, 1}}, .mx = "mx.example.net"}}};
    uint8_t out[TLS_TALLY_RECORD_MAX], hash[RECORD_HASH_SIZE];
    struct schema_keybuf kb;
    size_t len;
    assert_int_equal(tls_tally_seal(records_keys, &v, hash, out, &len), OK);
    assert_int_equal(engine_put(t, PART_QUEUE, key_hash(&kb, 't', hash), slice_of(out, len)), OK);
}

void records_write_reported(struct engine_txn *t)
{
    static struct dmarc_day d = {.n = DMARC_DAY_REPORTS,
                                 .nnetworks = 2,
                                 .networks = {{3, {192, 0, 2}, 9}, {6, {0x20, 1}, 8}},
                                 .more = 3,
                                 .beyond = {9, 8, 7, 6, 5, 4}};
    for (uint32_t i = 0; i < d.n; i++) {
        d.v[i] = (struct dmarc_day_report){.id = {(uint8_t)i}, .proven = i % 2, .sums = {i, i, i, 0, 0, i}};
        snprintf(d.v[i].reporter, sizeof(d.v[i].reporter), "number%u.example.net", i);
    }
    assert_int_equal(schema_put_dmarc_day(t, records_keys, "example.org", 20000, &d), OK);
    write_tally(t);
}

int records_read_reported(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_dmarc_day(records_keys, k, records_value_at(t, part, k), &records_got.reported);
}

int records_read_tally(struct engine_txn *t, uint64_t part, struct slice k)
{
    return tls_tally_open(records_keys, k.data + 1, records_value_at(t, part, k), &records_got.tally);
}
