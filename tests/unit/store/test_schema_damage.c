/* Every value of the store damaged at each bit, cut, lengthened, replaced by noise and moved to another's place; and
 * nothing that names somebody in the clear. */
#include "store/schema_impl.h"
#include "store/schema_table.h"
#include "store/sealed_blob.h"
#include "tests/support/schema_records.h"

/* All but the version, which must be readable without a key: 'C' says the same. */
static bool is_whole(const struct record *r)
{
    return schema_kind_find(r->part, r->letter)->form != FORM_CLEAR;
}

static void expect_damage(const struct record *r, int err, const char *what, size_t where)
{
    bool right = err == ERR_FORMAT || err == ERR_CRYPTO || err == ERR_VERSION || (err == OK && !is_whole(r));
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
        struct engine_txn *t = records_group();
        struct slice k = record_key(t, r, &kb), v = records_value_at(t, r->part, k);
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
            assert_true(err != OK || !is_whole(r));
        }
        if (is_whole(r))
            assert_int_equal(accepted, 0);
        engine_group_abort(t);
    }
}

static size_t fields_of(struct engine_txn *t, const struct record *r, struct slice k, uint8_t *out, size_t cap)
{
    const struct schema_kind *kind = schema_kind_find(r->part, r->letter);
    struct slice v = records_value_at(t, r->part, k);
    struct unpack clear;
    size_t len;
    if (kind->form == FORM_SEALED) {
        assert_int_equal(sealed_open(records_keys, r->part, k, v, out, cap, &len), OK);
        return len;
    }
    assert_int_equal(tagged_open(records_keys, r->part, k, v, &clear), OK);
    memcpy(out, clear.data, clear.len);
    return clear.len;
}

static void expect_answer(const struct record *r, int err, const char *what, size_t where)
{
    if (err != OK && err != ERR_FORMAT && err != ERR_VERSION && err != ERR_CRYPTO)
        fail_msg("%s, %s at %zu: %d", r->name, what, where, err);
}

static void fields_cut(const struct record *r, struct engine_txn *t, struct slice k, uint8_t *good, size_t len)
{
    for (size_t cut = 0; cut < len; cut += cut < 1000 ? 1 : 37) {
        assert_int_equal(records_put_fields(t, r, k, good, cut), OK);
        if (r->read(t, r->part, k) == OK)
            fail_msg("%s, fields cut to %zu of %zu", r->name, cut, len);
    }
    good[len] = 0;
    if (records_put_fields(t, r, k, good, len + 1) == OK && r->read(t, r->part, k) == OK)
        fail_msg("%s with an octet more", r->name);
}

static void fields_changed(const struct record *r, struct engine_txn *t, struct slice k, uint8_t *good, size_t len)
{
    static uint8_t noise[700];
    for (size_t o = 0; o < len; o += o < 300 ? 1 : 37)
        for (unsigned bit = 0; bit < 8; bit++) {
            good[o] ^= (uint8_t)(1u << bit);
            assert_int_equal(records_put_fields(t, r, k, good, len), OK);
            expect_answer(r, r->read(t, r->part, k), "bit flipped", o);
            good[o] ^= (uint8_t)(1u << bit);
        }
    for (unsigned n = 0; n < 300; n++) {
        size_t some = randombytes_uniform(sizeof(noise));
        randombytes_buf(noise, some);
        assert_int_equal(records_put_fields(t, r, k, noise, some), OK);
        expect_answer(r, r->read(t, r->part, k), "noise", some);
    }
}

/* Under a right seal or tag, by somebody who has the keys: fields that are cut or have an octet more are refused, and
 * whatever else stands there is read or refused. */
static void test_fields(void **st)
{
    static uint8_t good[ENGINE_VALUE_MAX];
    struct schema_keybuf kb;
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *r = &records[i];
        if (!is_whole(r))
            continue;
        struct engine_txn *t = records_group();
        struct slice k = record_key(t, r, &kb);
        size_t len = fields_of(t, r, k, good, sizeof(good));
        fields_cut(r, t, k, good, len);
        fields_changed(r, t, k, good, len);
        engine_group_abort(t);
    }
}

/* Under a right seal: no mark, a mark with something else behind it, one before the last step, no whole steps. */
static void test_padding(void **st)
{
    static const struct {
        size_t len, mark;
        uint8_t behind;
        int err;
    } table[] = {
        {64, 33, 0, OK},           {64, 64, 0, ERR_FORMAT}, {64, 33, 1, ERR_FORMAT}, {128, 33, 0, ERR_FORMAT},
        {63, 33, 0, ERR_FORMAT},   {65, 33, 0, ERR_FORMAT}, {0, 1, 0, ERR_FORMAT},   {64, 0, 0, ERR_FORMAT},
        {128, 100, 0, ERR_FORMAT}, {64, 32, 0, ERR_FORMAT}, {64, 34, 0, ERR_FORMAT},
    };
    static const uint8_t place[] = {0, 0, 0, 0, 0, 0, 0, A, 'q'};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint8_t plain[256] = {1}, sealed[256 + RECORD_OVERHEAD];
        struct engine_txn *t = records_group();
        if (table[i].mark < table[i].len)
            plain[table[i].mark] = 0x80;
        if (table[i].len > 0)
            plain[table[i].len - 1] |= table[i].behind;
        record_seal(records_keys, RECORD_DIRECTORY, place, sizeof(place), plain, table[i].len, sealed);
        assert_int_equal(engine_put(t, A, slice_of("q", 1), slice_of(sealed, table[i].len + RECORD_OVERHEAD)), OK);
        assert_int_equal(schema_get_usage(t, records_keys, A, &records_got.usage), table[i].err);
        engine_group_abort(t);
    }
}

/* Who reads a message of such a length finds chunks by numbers that do not fit, and reads elsewhere. */
static void test_no_message_is_longer_than_any(void **st)
{
    static uint8_t fields[ENGINE_VALUE_MAX];
    enum { PACKETS_AT = 1 + 8 + 4 + 1 + 1, CAPSULE_AT = PACKETS_AT + 8 + 4 };
    struct schema_keybuf kb;
    const struct record *r = records;
    while (r->letter != 'm')
        r++;
    for (unsigned i = 0; i < 3; i++) {
        struct engine_txn *t = records_group();
        struct slice k = record_key(t, r, &kb);
        struct schema_message m = records_message;
        size_t len = fields_of(t, r, k, fields, sizeof(fields));
        m.packets_len = i == 0 ? SCHEMA_PACKETS_MAX + 1 : i == 1 ? UINT64_MAX : m.packets_len;
        m.capsule_len = i == 2 ? UINT32_MAX : m.capsule_len;
        assert_int_equal(schema_put_message(t, records_keys, A, &m), ERR_LIMIT);
        for (unsigned o = 0; o < 8; o++)
            fields[PACKETS_AT + o] = (uint8_t)(m.packets_len >> (56 - 8 * o));
        for (unsigned o = 0; o < 4; o++)
            fields[CAPSULE_AT + o] = (uint8_t)(m.capsule_len >> (24 - 8 * o));
        assert_int_equal(records_put_fields(t, r, k, fields, len), OK);
        assert_int_equal(r->read(t, r->part, k), ERR_FORMAT);
        engine_group_abort(t);
    }
}

static void test_outer_header_is_sealed(void **st)
{
    struct schema_keybuf kb;
    static uint8_t bad[ENGINE_VALUE_MAX];
    struct engine_txn *t = records_group();
    const struct record *r = records;
    while (r->letter != 'm')
        r++;
    struct slice k = record_key(t, r, &kb), v = records_value_at(t, r->part, k);
    memcpy(bad, v.data, v.len);
    bad[v.len - 20] ^= 1;
    assert_int_equal(engine_put(t, r->part, k, slice_of(bad, v.len)), OK);
    assert_int_equal(r->read(t, r->part, k), ERR_CRYPTO);
    engine_group_abort(t);
}

/* Every kind that has a value is among the records: whoever adds one adds its damage. */
static void test_every_kind_is_tried(void **st)
{
    unsigned n;
    const struct schema_kind *kinds = schema_kinds(&n);
    for (unsigned i = 0; i < n; i++) {
        bool is = false;
        if (kinds[i].form != FORM_SEALED && kinds[i].form != FORM_TAGGED)
            continue;
        for (unsigned j = 0; j < RECORDS; j++)
            is |= schema_kind_find(records[j].part, records[j].letter) == &kinds[i];
        if (!is)
            fail_msg("%c, %s: not among the records", kinds[i].letter, kinds[i].what);
    }
}

/* Reads the value at another place, where nothing else of its kind is. */
static int read_at(const struct record *r, uint64_t part, struct slice k, struct slice value)
{
    struct engine_txn *t = records_group();
    struct schema_keybuf own;
    assert_int_equal(engine_del(t, r->part, record_key(t, r, &own)), OK);
    assert_int_equal(engine_put(t, part, k, value), OK);
    int err = r->read(t, part, k);
    engine_group_abort(t);
    return err;
}

/* A value under a key of which one octet is another, in another partition, or in the place of another record. */
static void test_moved_values(void **st)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    struct schema_keybuf kb, other;
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *r = &records[i];
        struct engine_txn *t = records_group();
        struct slice k = record_key(t, r, &kb), v = records_value_at(t, r->part, k);
        size_t len = v.len;
        memcpy(value, v.data, len);
        engine_group_abort(t);
        if (!is_whole(r))
            continue;
        assert_int_equal(read_at(r, r->part, k, slice_of(value, len)), OK);
        for (size_t o = 1; o < k.len; o++) {
            kb.b[o] ^= 1;
            if (read_at(r, r->part, k, slice_of(value, len)) == OK)
                fail_msg("%s under a key with octet %zu changed", r->name, o);
            kb.b[o] ^= 1;
        }
        if (r->part == A && read_at(r, B, k, slice_of(value, len)) == OK)
            fail_msg("%s in another account", r->name);
        for (unsigned j = 0; j < RECORDS; j++) {
            t = records_group();
            struct slice at = record_key(t, &records[j], &other);
            if (j != i && is_whole(&records[j])) {
                assert_int_equal(engine_put(t, records[j].part, at, slice_of(value, len)), OK);
                if (records[j].read(t, records[j].part, at) == OK)
                    fail_msg("%s in the place of %s", r->name, records[j].name);
            }
            engine_group_abort(t);
        }
    }
}

static void copy_value(struct engine_txn *t, uint64_t from_part, struct slice from, uint64_t to_part, struct slice to)
{
    static uint8_t tmp[ENGINE_VALUE_MAX];
    struct slice v = records_value_at(t, from_part, from);
    memcpy(tmp, v.data, v.len);
    assert_int_equal(engine_put(t, to_part, to, slice_of(tmp, v.len)), OK);
}

static void test_moved_records_do_not_open(void **st)
{
    struct engine_txn *t = records_group();
    struct schema_keybuf k1, k2;
    copy_value(t, A, key_simple(&k1, 'A'), B, key_simple(&k1, 'A'));
    assert_int_equal(schema_get_account(t, records_keys, B, &records_got.account), ERR_CRYPTO);
    copy_value(t, 0, key_address(&k1, records_keys, records_address.address), 0,
               key_address(&k2, records_keys, "eve@example.org"));
    assert_int_equal(schema_get_address(t, records_keys, "eve@example.org", &records_got.address), ERR_CRYPTO);
    copy_value(t, 0, key_domain(&k1, records_keys, "example.org"), 0, key_domain(&k2, records_keys, "example.net"));
    assert_int_equal(schema_get_domain(t, records_keys, "example.net", &records_got.text.added), ERR_CRYPTO);
    copy_value(t, A, key_u32(&k1, 'B', 5), A, key_u32(&k2, 'B', 1));
    assert_int_equal(schema_get_mailbox_name(t, records_keys, A, 1, &records_got.name), ERR_CRYPTO);
    copy_value(t, A, key_u32(&k1, 'b', 5), A, key_u32(&k2, 'b', 1));
    assert_int_equal(schema_get_mailbox(t, records_keys, A, 1, &records_got.mailbox), ERR_CRYPTO);
    copy_value(t, A, key_u64(&k1, 'm', 77), A, key_u64(&k2, 'm', 78));
    assert_int_equal(schema_get_message(t, records_keys, A, 78, &records_got.message, records_outer_got), ERR_CRYPTO);
    copy_value(t, A, key_u64(&k1, 'm', 77), B, key_u64(&k2, 'm', 77));
    assert_int_equal(schema_get_message(t, records_keys, B, 77, &records_got.message, records_outer_got), ERR_CRYPTO);
    uint8_t hash[RECORD_HASH_SIZE] = {1};
    copy_value(t, A, key_hash(&k1, 'P', records_password_hash), A, key_hash(&k2, 'P', hash));
    assert_int_equal(records_read_password(t, A, key_hash(&k2, 'P', hash)), ERR_CRYPTO);
    copy_value(t, 0, key_u64(&k1, 'N', A), 0, key_u64(&k2, 'N', B));
    assert_int_equal(records_read_listed(t, 0, key_u64(&k2, 'N', B)), ERR_CRYPTO);
    engine_group_abort(t);
}

static void test_other_store_key(void **st)
{
    struct engine_txn *t = records_snapshot();
    assert_int_equal(schema_get_account(t, records_other_keys, A, &records_got.account), ERR_CRYPTO);
    assert_int_equal(schema_get_mailbox_name(t, records_other_keys, A, 5, &records_got.name), ERR_CRYPTO);
    assert_int_equal(schema_get_address(t, records_other_keys, records_address.address, &records_got.address),
                     ERR_NOT_FOUND);
    engine_read_end(t);
}

/* Nothing that names somebody stands in the store in the clear. */
static int look_for(void *arg, struct slice k, struct slice v)
{
    static const char *const words[] = {"anna", "post@", "example", "nnnnn", "xxxxx", "lllll", "aaaaa"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (memmem(v.data, v.len, words[i], strlen(words[i])) || memmem(k.data, k.len, words[i], strlen(words[i])))
            return (int)i + 1;
    return 0;
}

static void test_nothing_readable(void **st)
{
    struct engine_txn *t = records_snapshot();
    struct slice v;
    for (uint64_t part = 0; part < 18; part++)
        assert_int_equal(engine_scan(t, part, slice_of("", 0), slice_of("", 0), 0, look_for, NULL), 0);
    for (uint32_t n = 0; n < 3; n++) {
        assert_int_equal(engine_blob_get(t, A, BLOB_CERTIFICATE, records_key.blob, n, &v), OK);
        assert_null(memmem(v.data, v.len, records_cert + n * SEALED_BLOB_CHUNK + 100, 8));
    }
    engine_read_end(t);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, records_each_setup, records_each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_damage),
        TEST(test_no_message_is_longer_than_any),
        TEST(test_outer_header_is_sealed),
        cmocka_unit_test(test_every_kind_is_tried),
        TEST(test_moved_values),
        TEST(test_moved_records_do_not_open),
        TEST(test_other_store_key),
        TEST(test_nothing_readable),
        TEST(test_padding),
        TEST(test_fields),
    };
    return cmocka_run_group_tests(tests, records_setup, records_teardown);
}
