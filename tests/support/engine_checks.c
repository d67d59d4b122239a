#include "tests/support/engine_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char base_dir[200];

static unsigned dir_count;

char checks_dir[256];

const char *checks_fresh_dir(void)
{
    snprintf(checks_dir, sizeof(checks_dir), "%s/%u", base_dir, dir_count++);
    return checks_dir;
}

void checks_make_lmdb(struct engine **e)
{
    assert_int_equal(engine_lmdb_create(checks_fresh_dir(), MAP, TURN_MS, e), OK);
}

void checks_make_mem(struct engine **e)
{
    assert_int_equal(engine_mem_create(e), OK);
}

void checks_make_fail_lmdb(struct engine **e)
{
    struct engine *inner;
    checks_make_lmdb(&inner);
    assert_int_equal(engine_fail_wrap(inner, e), OK);
}

void checks_make_fail_mem(struct engine **e)
{
    struct engine *inner;
    checks_make_mem(&inner);
    assert_int_equal(engine_fail_wrap(inner, e), OK);
}

struct slice checks_s(const char *text)
{
    return slice_of(text, strlen(text));
}

struct engine_txn *checks_group(struct engine *e)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(e, &t), OK);
    return t;
}

struct engine_txn *checks_snapshot(struct engine *e)
{
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(e, &t), OK);
    return t;
}

void checks_expect(struct engine_txn *t, uint64_t part, const char *key, const char *value)
{
    struct slice v;
    int err = engine_get(t, part, checks_s(key), &v);
    if (!value) {
        assert_int_equal(err, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(err, OK);
    assert_int_equal(v.len, strlen(value));
    assert_memory_equal(v.data, value, v.len);
}

void checks_put1(struct engine *e, uint64_t part, const char *key, const char *value)
{
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_put(t, part, checks_s(key), checks_s(value)), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static int hash_one(void *arg, struct slice key, struct slice value)
{
    crypto_generichash_state *h = arg;
    uint8_t lens[4] = {(uint8_t)key.len, (uint8_t)(key.len >> 8), (uint8_t)value.len, (uint8_t)(value.len >> 8)};
    crypto_generichash_update(h, lens, 4);
    crypto_generichash_update(h, key.data, key.len);
    crypto_generichash_update(h, value.data, value.len);
    return 0;
}

void checks_digest(struct engine *e, uint8_t out[32])
{
    crypto_generichash_state h;
    struct slice v;
    struct engine_txn *t = checks_snapshot(e);
    crypto_generichash_init(&h, NULL, 0, 32);
    for (uint64_t part = 16; part < 18; part++) {
        assert_int_equal(engine_scan(t, part, checks_s(""), checks_s(""), 0, hash_one, &h), OK);
        assert_int_equal(engine_scan(t, part, checks_s("\x40"), checks_s("\xa0\x80"), ENGINE_REVERSE, hash_one, &h),
                         OK);
        for (uint64_t id = 0; id < 8; id++)
            for (uint32_t n = 0; n < 4; n++)
                if (engine_blob_get(t, part, BLOB_PACKETS, id, n, &v) == OK)
                    hash_one(&h, slice_of(&id, 1), v);
    }
    assert_int_equal(engine_read_end(t), OK);
    crypto_generichash_final(&h, out, 32);
}

struct op checks_random_op(void)
{
    struct op o = {.kind = randombytes_uniform(10),
                   .part = 16 + randombytes_uniform(2),
                   .id = randombytes_uniform(8),
                   .n = randombytes_uniform(4),
                   .key_len = 1 + randombytes_uniform(randombytes_uniform(8) ? 3 : ENGINE_KEY_MAX),
                   .fill = (uint8_t)randombytes_uniform(256),
                   .value_len =
                       randombytes_uniform(4) ? randombytes_uniform(60) : randombytes_uniform(ENGINE_VALUE_MAX + 1)};
    for (size_t i = 0; i < o.key_len; i++)
        o.key[i] = (uint8_t)(randombytes_uniform(6) * 51); /* few values: keys meet again, 0x00 and 0xff among them */
    return o;
}

int checks_apply(struct engine_txn *t, const struct op *o)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    memset(value, o->fill, o->value_len);
    struct slice key = slice_of(o->key, o->key_len), v = slice_of(value, o->value_len);
    if (o->kind < 5)
        return engine_put(t, o->part, key, v);
    if (o->kind < 7)
        return engine_del(t, o->part, key);
    return o->kind < 9 ? engine_blob_put(t, o->part, BLOB_PACKETS, o->id, o->n, v)
                       : engine_blob_del(t, o->part, BLOB_PACKETS, o->id);
}

int checks_setup(void **st)
{
    snprintf(base_dir, sizeof(base_dir), "%s/letterlock-engine-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return sodium_init() < 0 || !mkdtemp(base_dir);
}

int checks_teardown(void **st)
{
    for (unsigned i = 0; i < dir_count; i++) {
        static const char *const files[] = {"data.mdb", "lock.mdb", "reserve"};
        char path[300];
        for (unsigned k = 0; k < 3; k++) {
            snprintf(path, sizeof(path), "%s/%u/%s", base_dir, i, files[k]);
            unlink(path);
        }
        snprintf(path, sizeof(path), "%s/%u", base_dir, i);
        rmdir(path);
    }
    return rmdir(base_dir);
}
