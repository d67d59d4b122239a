/* One of each value about signing in. See schema_signin.h. */
#include "tests/support/schema_signin.h"

static const uint8_t HASH[RECORD_HASH_SIZE] = {0x51}, NO_ID[WRAPPED_ID_SIZE];

void records_write_signin(struct engine_txn *t)
{
    static uint8_t envelope[RECORDS_ENVELOPE] = {1};
    static struct store_write w;
    const struct signin s = {.since = 1,
                             .changed = 2,
                             .version = 3,
                             .serial = 4,
                             .number_next = 8,
                             .profile = 1,
                             .record = {5},
                             .password_key = {6},
                             .phrase_key = {7}};
    struct session one = {.number = 5, .version = 3, .how = SESSION_PASSWORD, .since = 1, .used = 2, .until = 3};
    struct factor f = {.number = 6, .kind = FACTOR_PASSKEY, .since = 9};
    const struct invitation i = {.account = A, .until = 3, .uses = 2, .reset = true, .address = "anna@example.org"};
    memset(one.label, 'l', LABEL_MAX - 1);
    f.passkey.id_len = PASSKEY_ID_MAX;
    f.passkey.key_len = PASSKEY_KEY_MAX;
    f.passkey.counter = 7;
    w = (struct store_write){.t = t, .keys = records_keys, .account = A, .now = 5};
    assert_int_equal(schema_put_signin(t, records_keys, A, &s), OK);
    assert_int_equal(wrapped_put(&w, WRAPPED_PASSWORD, NO_ID, slice_of(envelope, sizeof(envelope))), OK);
    assert_int_equal(schema_put_session(t, records_keys, A, HASH, &one), OK);
    assert_int_equal(schema_put_factor(t, records_keys, A, &f), OK);
    assert_int_equal(schema_put_invitation(t, records_keys, HASH, &i), OK);
}

int records_read_signin(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_get_signin(t, records_keys, part, &records_got.signin);
}

int records_read_wrapped(struct engine_txn *t, uint64_t part, struct slice k)
{
    static uint8_t envelope[WRAPPED_MAX];
    return schema_get_wrapped(t, records_keys, part, WRAPPED_PASSWORD, NO_ID, &records_got.wrapped, envelope);
}

int records_read_session(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_session(records_keys, part, k, records_value_at(t, part, k), &records_got.session);
}

int records_read_factor(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_factor(records_keys, part, k, records_value_at(t, part, k), &records_got.factor);
}

int records_read_invitation(struct engine_txn *t, uint64_t part, struct slice k)
{
    return schema_unpack_invitation(records_keys, k, records_value_at(t, part, k), &records_got.invitation);
}
