/* One of each value about correspondents. See schema_correspondents.h. */
#include "tests/support/schema_correspondents.h"

void records_write_correspondents(struct engine_txn *t)
{
    static struct correspondent c = {.address = "bob@example.net",
                                     .key = {KNOWN_DOMAIN, 20, {1}, 7},
                                     .seen = 8,
                                     .other = {KNOWN_SERVER, 32, {2}, 9},
                                     .npast = CORRESPONDENT_PAST,
                                     .len = CORRESPONDENT_CERT_MAX};
    const struct correspondents n = {1, 1, CORRESPONDENT_CERT_MAX};
    for (unsigned i = 0; i < CORRESPONDENT_PAST; i++) {
        c.past[i].key = (struct correspondent_key){KNOWN_DNSSEC, 20, {3, 4}, 5};
        c.past[i].until = 6;
        c.past[i].end = CORRESPONDENT_FOLLOWED;
    }
    c.verdict = records_key.verdict;
    c.key.fpr_len = c.verdict.primary_fpr_len;
    memcpy(c.key.fpr, c.verdict.primary_fpr, PGP_FPR_MAX);
    assert_int_equal(schema_put_correspondent(t, records_keys, A, CORRESPONDENT_KEPT, &c), OK);
    c.key.from = KNOWN_AUTOCRYPT;
    c.npast = 0;
    assert_int_equal(schema_put_correspondent(t, records_keys, A, CORRESPONDENT_INCOMING, &c), OK);
    assert_int_equal(schema_put_correspondents(t, records_keys, A, &n), OK);
}

int records_read_correspondent(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_correspondent(records_keys, part, k, records_value_at(t, part, k), &records_got.correspondent);
}

int records_read_correspondents(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_correspondents(t, records_keys, part, &records_got.correspondents);
}
