/* One suite for every engine: LMDB, memory, and both wrapped by the one that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/error.h"
#include "store/engine.h"

enum { TURN_MS = 20, MAP = 64 << 20 };

static char base_dir[200];
static unsigned dir_count;
static char dir[256];

static const char *fresh_dir(void)
{
    snprintf(dir, sizeof dir, "%s/%u", base_dir, dir_count++);
    return dir;
}

static void make_lmdb(struct engine **e)
{
    assert_int_equal(engine_lmdb_writer(fresh_dir(), MAP, TURN_MS, e), OK);
}

static void make_mem(struct engine **e)
{
    assert_int_equal(engine_mem_create(e), OK);
}

static void make_fail_lmdb(struct engine **e)
{
    struct engine *inner;
    make_lmdb(&inner);
    assert_int_equal(engine_fail_wrap(inner, e), OK);
}

static void make_fail_mem(struct engine **e)
{
    struct engine *inner;
    make_mem(&inner);
    assert_int_equal(engine_fail_wrap(inner, e), OK);
}

static struct slice s(const char *text)
{
    return slice_of(text, strlen(text));
}

static struct engine_txn *group(struct engine *e)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(e, &t), OK);
    return t;
}

static struct engine_txn *snapshot(struct engine *e)
{
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(e, &t), OK);
    return t;
}

static void expect(struct engine_txn *t, uint64_t part, const char *key, const char *value)
{
    struct slice v;
    int err = engine_get(t, part, s(key), &v);
    if (!value) {
        assert_int_equal(err, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(err, OK);
    assert_int_equal(v.len, strlen(value));
    assert_memory_equal(v.data, value, v.len);
}

static void put1(struct engine *e, uint64_t part, const char *key, const char *value)
{
    struct engine_txn *t = group(e);
    assert_int_equal(engine_put(t, part, s(key), s(value)), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

/* ---- cases ---- */

static void case_records(struct engine *e)
{
    struct engine_txn *t = group(e);
    expect(t, 16, "a", NULL);
    assert_int_equal(engine_put(t, 16, s("a"), s("one")), OK);
    expect(t, 16, "a", "one"); /* reads its own writes */
    assert_int_equal(engine_put(t, 16, s("a"), s("two")), OK);
    assert_int_equal(engine_put(t, 16, s("empty"), s("")), OK);
    assert_int_equal(engine_put(t, 17, s("a"), s("other")), OK);
    assert_int_equal(engine_del(t, 16, s("absent")), ERR_NOT_FOUND);
    assert_int_equal(engine_group_commit(t), OK); /* which does not spoil the group */
    t = snapshot(e);
    expect(t, 16, "a", "two");
    expect(t, 17, "a", "other");
    expect(t, 16, "empty", "");
    expect(t, 18, "a", NULL);
    assert_int_equal(engine_read_end(t), OK);
    t = group(e);
    assert_int_equal(engine_del(t, 16, s("a")), OK);
    expect(t, 16, "a", NULL);
    assert_int_equal(engine_del(t, 16, s("a")), ERR_NOT_FOUND);
    assert_int_equal(engine_group_commit(t), OK);
    t = snapshot(e);
    expect(t, 16, "a", NULL);
    expect(t, 17, "a", "other");
    engine_read_end(t);
}

static void case_isolation(struct engine *e)
{
    put1(e, 16, "k", "old");
    struct engine_txn *r = snapshot(e), *g = group(e), *second;
    assert_int_equal(engine_group_begin(e, &second), ERR_STATE); /* one group at a time */
    assert_int_equal(engine_put(g, 16, s("k"), s("new")), OK);
    assert_int_equal(engine_put(g, 16, s("k2"), s("new")), OK);
    expect(r, 16, "k", "old");
    assert_int_equal(engine_group_commit(g), OK);
    expect(r, 16, "k", "old");
    expect(r, 16, "k2", NULL);
    assert_int_equal(engine_put(r, 16, s("k"), s("x")), ERR_DENIED);
    assert_int_equal(engine_del(r, 16, s("k")), ERR_DENIED);
    assert_int_equal(engine_blob_put(r, 16, 1, 0, s("x")), ERR_DENIED);
    assert_int_equal(engine_blob_del(r, 16, 1), ERR_DENIED);
    engine_read_end(r);
    r = snapshot(e);
    expect(r, 16, "k", "new");
    engine_read_end(r);
    g = group(e);
    engine_put(g, 16, s("k"), s("never"));
    engine_del(g, 16, s("k2"));
    engine_group_abort(g);
    r = snapshot(e);
    expect(r, 16, "k", "new");
    expect(r, 16, "k2", "new");
    engine_read_end(r);
}

static void case_limits(struct engine *e)
{
    static uint8_t big[ENGINE_VALUE_MAX + 1], key[ENGINE_KEY_MAX + 1];
    struct slice v;
    memset(big, 0xa5, sizeof big);
    memset(key, 0xff, sizeof key);
    struct engine_txn *t = group(e);
    assert_int_equal(engine_put(t, 16, slice_of(key, ENGINE_KEY_MAX), slice_of(big, ENGINE_VALUE_MAX)), OK);
    assert_int_equal(engine_blob_put(t, 16, 7, 0, slice_of(big, ENGINE_BLOB_CHUNK)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    static const struct { size_t key, value; } wrong[] = {{0, 1}, {ENGINE_KEY_MAX + 1, 1}, {1, ENGINE_VALUE_MAX + 1}};
    for (size_t i = 0; i < 3; i++) {
        t = group(e);
        assert_int_equal(engine_put(t, 16, s("lost"), s("x")), OK);
        assert_int_equal(engine_put(t, 16, slice_of(key, wrong[i].key), slice_of(big, wrong[i].value)), ERR_LIMIT);
        assert_int_equal(engine_put(t, 16, s("lost too"), s("x")), ERR_LIMIT); /* the group is spoilt */
        assert_int_equal(engine_group_commit(t), ERR_LIMIT);
    }
    t = group(e);
    assert_int_equal(engine_blob_put(t, 16, 7, 0, slice_of(big, ENGINE_BLOB_CHUNK + 1)), ERR_LIMIT);
    engine_group_abort(t);
    t = snapshot(e);
    expect(t, 16, "lost", NULL);
    assert_int_equal(engine_get(t, 16, slice_of(key, ENGINE_KEY_MAX), &v), OK);
    assert_int_equal(v.len, ENGINE_VALUE_MAX);
    assert_memory_equal(v.data, big, v.len);
    assert_int_equal(engine_get(t, 16, slice_of(key, 0), &v), ERR_LIMIT);
    assert_int_equal(engine_get(t, 16, slice_of(key, ENGINE_KEY_MAX + 1), &v), ERR_LIMIT);
    engine_read_end(t);
}

struct got { char text[400]; int stop_after, stop_with; };

static int collect(void *arg, struct slice key, struct slice value)
{
    struct got *g = arg;
    size_t n = strlen(g->text);
    snprintf(g->text + n, sizeof g->text - n, "%.*s=%.*s ", (int)key.len, (const char *)key.data, (int)value.len,
             (const char *)value.data);
    return g->stop_after && --g->stop_after == 0 ? g->stop_with : 0;
}

static void expect_scan(struct engine_txn *t, uint64_t part, const char *from, const char *to, unsigned flags,
                        const char *want)
{
    struct got g = {0};
    assert_int_equal(engine_scan(t, part, s(from), s(to), flags, collect, &g), OK);
    assert_string_equal(g.text, want);
}

static void case_scan(struct engine *e)
{
    static const char *const keys[] = {"b", "a", "ab", "abc", "b\xff", "c", "\xff", "\xff\xff"};
    static const uint64_t parts[] = {15, 16, 17, UINT64_MAX - 1, UINT64_MAX};
    struct engine_txn *t = group(e);
    for (size_t p = 0; p < 5; p++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            char v[2] = {(char)('0' + p), 0};
            assert_int_equal(engine_put(t, parts[p], s(keys[i]), s(v)), OK);
        }
    for (int round = 0; round < 2; round++) { /* inside the group, then in a snapshot */
        expect_scan(t, 16, "a", "b", 0, "a=1 ab=1 abc=1 ");
        expect_scan(t, 16, "a", "b", ENGINE_REVERSE, "abc=1 ab=1 a=1 ");
        expect_scan(t, 16, "ab", "ac", 0, "ab=1 abc=1 ");
        expect_scan(t, 16, "abcd", "b", 0, "");
        expect_scan(t, 16, "abcd", "b", ENGINE_REVERSE, "");
        expect_scan(t, 16, "c", "a", 0, "");
        expect_scan(t, 16, "c", "a", ENGINE_REVERSE, "");
        expect_scan(t, 16, "b", "", 0, "b=1 b\xff=1 c=1 \xff=1 \xff\xff=1 ");
        expect_scan(t, 16, "", "", 0, "a=1 ab=1 abc=1 b=1 b\xff=1 c=1 \xff=1 \xff\xff=1 ");
        expect_scan(t, 16, "", "", ENGINE_REVERSE, "\xff\xff=1 \xff=1 c=1 b\xff=1 b=1 abc=1 ab=1 a=1 ");
        expect_scan(t, UINT64_MAX, "c", "", 0, "c=4 \xff=4 \xff\xff=4 ");
        expect_scan(t, UINT64_MAX, "c", "", ENGINE_REVERSE, "\xff\xff=4 \xff=4 c=4 ");
        expect_scan(t, UINT64_MAX - 1, "c", "", ENGINE_REVERSE, "\xff\xff=3 \xff=3 c=3 ");
        expect_scan(t, 18, "", "", 0, "");
        expect_scan(t, 18, "", "", ENGINE_REVERSE, "");
        expect_scan(t, 3, "", "", ENGINE_REVERSE, "");
        struct got g = {.stop_after = 2, .stop_with = 77};
        assert_int_equal(engine_scan(t, 16, s(""), s(""), 0, collect, &g), 77);
        assert_string_equal(g.text, "a=1 ab=1 ");
        g = (struct got){.stop_after = 1, .stop_with = ERR_FORMAT};
        assert_int_equal(engine_scan(t, 16, s(""), s(""), ENGINE_REVERSE, collect, &g), ERR_FORMAT);
        if (!round) {
            assert_int_equal(engine_group_commit(t), OK);
            t = snapshot(e);
        }
    }
    engine_read_end(t);
}

struct parts { uint64_t v[8]; unsigned n, stop; };

static int collect_part(void *arg, uint64_t part)
{
    struct parts *p = arg;
    p->v[p->n++] = part;
    return p->stop && p->n == p->stop ? 9 : 0;
}

static void case_partitions(struct engine *e)
{
    struct engine_txn *t = group(e);
    static const uint64_t parts[] = {UINT64_MAX, 16, 400, 17};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(engine_put(t, parts[i], slice_of(&k, 1), s("v")), OK);
    assert_int_equal(engine_blob_put(t, 55, 1, 0, s("blobs alone make no partition")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = snapshot(e);
    struct parts p = {0};
    assert_int_equal(engine_partitions(t, collect_part, &p), OK);
    unsigned first = p.v[0] == 0; /* an engine may keep a record of its own in the instance's */
    assert_int_equal(p.n, first + 4);
    assert_true(p.v[first] == 16 && p.v[first + 1] == 17 && p.v[first + 2] == 400 && p.v[first + 3] == UINT64_MAX);
    p = (struct parts){.stop = 1};
    assert_int_equal(engine_partitions(t, collect_part, &p), 9);
    engine_read_end(t);
}

static void case_blobs(struct engine *e)
{
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    struct slice v;
    struct engine_txn *t = group(e);
    static const uint64_t ids[] = {1, 2, 3, UINT64_MAX};
    for (unsigned i = 0; i < 4; i++)
        for (uint32_t n = 0; n < 70; n++) {
            memset(chunk, (int)(i * 70 + n), sizeof chunk);
            assert_int_equal(engine_blob_put(t, 16, ids[i], n, slice_of(chunk, n == 69 ? 5 : sizeof chunk)), OK);
        }
    assert_int_equal(engine_blob_put(t, 17, 2, 0, s("neighbour")), OK);
    assert_int_equal(engine_put(t, 16, s("k"), s("v")), OK);
    assert_int_equal(engine_blob_del(t, 16, 99), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_del(t, 16, 2), OK);
    assert_int_equal(engine_blob_del(t, 16, 2), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_del(t, 16, UINT64_MAX), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = snapshot(e);
    for (uint32_t n = 0; n < 70; n++) {
        assert_int_equal(engine_blob_get(t, 16, 2, n, &v), ERR_NOT_FOUND);
        assert_int_equal(engine_blob_get(t, 16, UINT64_MAX, n, &v), ERR_NOT_FOUND);
        assert_int_equal(engine_blob_get(t, 16, 3, n, &v), OK);
        assert_int_equal(v.len, n == 69 ? 5 : sizeof chunk);
        assert_true(v.data[0] == (uint8_t)(140 + n) && v.data[v.len - 1] == (uint8_t)(140 + n));
    }
    assert_int_equal(engine_blob_get(t, 16, 3, 70, &v), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(t, 17, 2, 0, &v), OK);
    expect(t, 16, "k", "v");
    engine_read_end(t);
}

static void case_reopen(struct engine *e)
{
    put1(e, 16, "k", "v");
    struct engine_txn *t = group(e);
    engine_put(t, 16, s("k"), s("never"));
    engine_group_abort(t);
    assert_int_equal(engine_reopen(e), OK);
    engine_tick(e);
    put1(e, 16, "k2", "v2");
    t = snapshot(e);
    expect(t, 16, "k", "v");
    expect(t, 16, "k2", "v2");
    engine_read_end(t);
    struct engine_stat st;
    assert_int_equal(engine_stat_get(e, &st), OK);
    assert_true(st.entries >= 2 && st.used_bytes > 0 && st.seq >= 2);
}

/* A scripted sequence whose every call that can fail is failed in turn: afterwards all of it is there or nothing. */
static int script(struct engine *e)
{
    struct engine_txn *t;
    int err = engine_group_begin(e, &t);
    if (err)
        return err;
    const int calls[] = {engine_put(t, 16, s("a"), s("2")), engine_del(t, 16, s("b")),
                         engine_blob_put(t, 16, 1, 0, s("2")), engine_blob_del(t, 16, 2),
                         engine_put(t, 16, s("c"), s("2"))};
    (void)calls; /* a caller who looks away must not commit half of it */
    return engine_group_commit(t);
}

static unsigned state_of(struct engine *e)
{
    struct engine_txn *t = snapshot(e);
    struct slice v;
    unsigned bits = 0;
    bits |= engine_get(t, 16, s("a"), &v) == OK && v.data[0] == '2' ? 1 : 0;
    bits |= engine_get(t, 16, s("b"), &v) == ERR_NOT_FOUND ? 2 : 0;
    bits |= engine_blob_get(t, 16, 1, 0, &v) == OK && v.data[0] == '2' ? 4 : 0;
    bits |= engine_blob_get(t, 16, 2, 0, &v) == ERR_NOT_FOUND ? 8 : 0;
    bits |= engine_get(t, 16, s("c"), &v) == OK ? 16 : 0;
    engine_read_end(t);
    return bits;
}

static void fail_each(struct engine *e)
{
    struct engine_txn *t = group(e);
    engine_put(t, 16, s("a"), s("1"));
    engine_put(t, 16, s("b"), s("1"));
    engine_blob_put(t, 16, 1, 0, s("1"));
    engine_blob_put(t, 16, 2, 0, s("1"));
    assert_int_equal(engine_group_commit(t), OK);
    static const int errors[] = {ERR_FULL, ERR_IO, ERR_MEMORY};
    uint64_t nth = 1;
    for (;; nth++) {
        int want = errors[nth % 3];
        engine_fail_at(e, nth, want);
        int err = script(e);
        unsigned state = state_of(e);
        if (err == OK) {
            assert_int_equal(state, 31);
            break;
        }
        assert_int_equal(err, want);
        assert_int_equal(state, 0);
        if (err == ERR_IO)
            assert_int_equal(engine_reopen(e), OK);
    }
    assert_int_equal(nth, 8); /* seven calls can fail */
}

/* ---- every case over every engine ---- */

static const struct { const char *name; void (*make)(struct engine **e); bool fails;
} engines[] = {
    {"lmdb", make_lmdb, false},
    {"mem", make_mem, false},
    {"fail(lmdb)", make_fail_lmdb, true},
    {"fail(mem)", make_fail_mem, true},
};

static void over_all(void (*fn)(struct engine *e), bool failing_only)
{
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        if (failing_only && !engines[i].fails)
            continue;
        struct engine *e;
        engines[i].make(&e);
        fn(e);
        engine_close(e);
    }
}

static void test_records(void **st) { over_all(case_records, false); }
static void test_isolation(void **st) { over_all(case_isolation, false); }
static void test_limits(void **st) { over_all(case_limits, false); }
static void test_scan(void **st) { over_all(case_scan, false); }
static void test_partitions(void **st) { over_all(case_partitions, false); }
static void test_blobs(void **st) { over_all(case_blobs, false); }
static void test_reopen(void **st) { over_all(case_reopen, false); }
static void test_every_failure(void **st) { over_all(fail_each, true); }

/* ---- engines against each other ---- */

static int hash_one(void *arg, struct slice key, struct slice value)
{
    crypto_generichash_state *h = arg;
    uint8_t lens[4] = {(uint8_t)key.len, (uint8_t)(key.len >> 8), (uint8_t)value.len, (uint8_t)(value.len >> 8)};
    crypto_generichash_update(h, lens, 4);
    crypto_generichash_update(h, key.data, key.len);
    crypto_generichash_update(h, value.data, value.len);
    return 0;
}

/* Everything in two partitions, forwards and backwards, and some blobs. */
static void digest(struct engine *e, uint8_t out[32])
{
    crypto_generichash_state h;
    struct slice v;
    struct engine_txn *t = snapshot(e);
    crypto_generichash_init(&h, NULL, 0, 32);
    for (uint64_t part = 16; part < 18; part++) {
        assert_int_equal(engine_scan(t, part, s(""), s(""), 0, hash_one, &h), OK);
        assert_int_equal(engine_scan(t, part, s("\x40"), s("\xa0\x80"), ENGINE_REVERSE, hash_one, &h), OK);
        for (uint64_t id = 0; id < 8; id++)
            for (uint32_t n = 0; n < 4; n++)
                if (engine_blob_get(t, part, id, n, &v) == OK)
                    hash_one(&h, slice_of(&id, 1), v);
    }
    assert_int_equal(engine_read_end(t), OK);
    crypto_generichash_final(&h, out, 32);
}

struct op {
    unsigned kind;
    uint64_t part, id;
    uint32_t n;
    uint8_t key[ENGINE_KEY_MAX];
    size_t key_len, value_len;
    uint8_t fill;
};

static struct op random_op(void)
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

static int apply(struct engine_txn *t, const struct op *o)
{
    static uint8_t value[ENGINE_VALUE_MAX];
    memset(value, o->fill, o->value_len);
    struct slice key = slice_of(o->key, o->key_len), v = slice_of(value, o->value_len);
    if (o->kind < 5)
        return engine_put(t, o->part, key, v);
    if (o->kind < 7)
        return engine_del(t, o->part, key);
    return o->kind < 9 ? engine_blob_put(t, o->part, o->id, o->n, v) : engine_blob_del(t, o->part, o->id);
}

static void test_lmdb_against_mem(void **st)
{
    struct engine *a, *b, *reader = NULL;
    make_lmdb(&a);
    make_mem(&b);
    assert_int_equal(engine_lmdb_reader(dir, 5000, &reader), OK);
    for (unsigned round = 0; round < 300; round++) {
        struct engine_txn *ta = group(a), *tb = group(b);
        for (unsigned n = randombytes_uniform(12); n; n--) {
            struct op o = random_op();
            assert_int_equal(apply(ta, &o), apply(tb, &o));
        }
        if (randombytes_uniform(5)) {
            assert_int_equal(engine_group_commit(ta), OK);
            assert_int_equal(engine_group_commit(tb), OK);
        } else {
            engine_group_abort(ta);
            engine_group_abort(tb);
        }
        uint8_t da[32], db[32], dr[32];
        digest(a, da);
        digest(b, db);
        digest(reader, dr);
        assert_memory_equal(da, db, 32);
        assert_memory_equal(dr, db, 32);
    }
    engine_close(reader);
    engine_close(a);
    engine_close(b);
}

/* ---- LMDB alone ---- */

static void test_full_map(void **st)
{
    struct engine *e;
    struct engine_txn *t;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    assert_int_equal(engine_lmdb_writer(fresh_dir(), 2 << 20, TURN_MS, &e), OK);
    put1(e, 16, "k", "before");
    uint64_t id = 0;
    int err = OK;
    for (; !err && id < 1000; id++) {
        t = group(e);
        engine_put(t, 16, s("k"), s("during"));
        for (uint32_t n = 0; n < 4 && !err; n++)
            err = engine_blob_put(t, 16, id, n, slice_of(chunk, sizeof chunk));
        int end = engine_group_commit(t);
        if (err)
            assert_int_equal(end, err);
        err = end;
    }
    assert_int_equal(err, ERR_FULL);
    assert_true(id > 5);
    t = snapshot(e);
    struct slice v;
    expect(t, 16, "k", "during");
    assert_int_equal(engine_blob_get(t, 16, id - 2, 3, &v), OK);
    assert_int_equal(engine_blob_get(t, 16, id - 1, 0, &v), ERR_NOT_FOUND);
    engine_read_end(t);
    /* Recovery without reopening: what is deleted can be used again once the pin has rolled on. */
    t = group(e);
    for (uint64_t d = 0; d < id - 1; d++)
        assert_int_equal(engine_blob_del(t, 16, d), OK);
    assert_int_equal(engine_group_commit(t), OK);
    for (int i = 0; i < 4; i++) {
        usleep((TURN_MS + 2) * 1000);
        engine_tick(e);
        put1(e, 16, "k", "after");
    }
    t = group(e);
    assert_int_equal(engine_blob_put(t, 16, 1, 0, slice_of(chunk, sizeof chunk)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    engine_close(e);
}

/* Writes that the system refuses half way (here by a limit on file size, like a full disk's): nothing of the group is there, and it goes on without a restart. */
static void test_refused_writes(void **st)
{
    struct engine *e;
    struct engine_txn *t;
    struct slice v;
    struct rlimit before, small;
    struct stat file;
    char path[300];
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    make_lmdb(&e);
    put1(e, 16, "k", "before");
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    assert_int_equal(stat(path, &file), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t more = 0; more < 100000; more += 7001) {
        small = before;
        small.rlim_cur = (rlim_t)file.st_size + more;
        t = group(e);
        assert_int_equal(engine_put(t, 16, s("k"), s("never")), OK);
        for (uint32_t n = 0; n < 10; n++)
            assert_int_equal(engine_blob_put(t, 16, 1, n, slice_of(chunk, sizeof chunk)), OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int err = engine_group_commit(t);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(err == ERR_IO || err == ERR_FULL);
        if (err == ERR_IO)
            assert_int_equal(engine_reopen(e), OK);
        t = snapshot(e);
        expect(t, 16, "k", "before");
        assert_int_equal(engine_blob_get(t, 16, 1, 0, &v), ERR_NOT_FOUND);
        engine_read_end(t);
    }
    put1(e, 16, "k", "after");
    t = snapshot(e);
    expect(t, 16, "k", "after");
    engine_read_end(t);
    engine_close(e);
}

static void test_copy(void **st)
{
    struct engine *e, *copy, *reader;
    char from[256], to[300];
    uint8_t before[32], after[32];
    make_lmdb(&e);
    snprintf(from, sizeof from, "%s", dir);
    struct engine_txn *t = group(e);
    for (unsigned i = 0; i < 400; i++) {
        struct op o = random_op();
        if (apply(t, &o) != ERR_NOT_FOUND)
            continue;
    }
    assert_int_equal(engine_group_commit(t), OK);
    digest(e, before);
    assert_int_equal(mkdir(fresh_dir(), 0700), 0);
    snprintf(to, sizeof to, "%s/data.mdb", dir);
    int fd = open(to, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_int_equal(engine_copy(e, fd), OK);
    close(fd);
    engine_close(e);
    assert_int_equal(engine_lmdb_reader(dir, TURN_MS, &reader), ERR_STATE); /* no writer has stamped it yet */
    assert_int_equal(engine_lmdb_writer(dir, MAP, TURN_MS, &copy), OK);
    digest(copy, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(engine_lmdb_reader(dir, 5000, &reader), OK);
    digest(reader, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(engine_copy(reader, 1), ERR_UNSUPPORTED);
    assert_int_equal(engine_group_begin(reader, &t), ERR_DENIED);
    engine_close(reader);
    engine_close(copy);
}

/* A reader's map follows a writer that was given more room. */
static void test_map_grows(void **st)
{
    struct engine *w, *r;
    struct engine_txn *t;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    char path[256];
    snprintf(path, sizeof path, "%s", fresh_dir());
    assert_int_equal(engine_lmdb_writer(path, 1 << 20, TURN_MS, &w), OK);
    put1(w, 16, "k", "v");
    assert_int_equal(engine_lmdb_reader(path, 5000, &r), OK);
    t = snapshot(r);
    expect(t, 16, "k", "v");
    engine_read_end(t);
    engine_close(w);
    assert_int_equal(engine_lmdb_writer(path, MAP, TURN_MS, &w), OK);
    t = group(w);
    for (uint32_t n = 0; n < 400; n++)
        assert_int_equal(engine_blob_put(t, 16, 1, n, slice_of(chunk, sizeof chunk)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = snapshot(r);
    struct slice v;
    for (uint32_t n = 0; n < 400; n++)
        assert_int_equal(engine_blob_get(t, 16, 1, n, &v), OK);
    engine_read_end(t);
    engine_close(r);
    engine_close(w);
}

static void test_not_a_store(void **st)
{
    struct engine *e;
    char path[300];
    assert_int_equal(engine_lmdb_reader(fresh_dir(), TURN_MS, &e), ERR_NOT_FOUND);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(engine_lmdb_reader(dir, TURN_MS, &e), ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    uint8_t junk[3 * 4096];
    randombytes_buf(junk, sizeof junk);
    static const size_t lens[] = {1, 100, 4096, sizeof junk};
    for (size_t i = 0; i < 4; i++) {
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        assert_int_equal(write(fd, junk, lens[i]), lens[i]);
        close(fd);
        assert_true(engine_lmdb_reader(dir, TURN_MS, &e) < 0);
        assert_true(engine_lmdb_writer(dir, MAP, TURN_MS, &e) < 0);
    }
}

static int setup(void **st)
{
    snprintf(base_dir, sizeof base_dir, "%s/letterlock-engine-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return sodium_init() < 0 || !mkdtemp(base_dir);
}

static int teardown(void **st)
{
    for (unsigned i = 0; i < dir_count; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%u/data.mdb", base_dir, i);
        unlink(path);
        snprintf(path, sizeof path, "%s/%u/lock.mdb", base_dir, i);
        unlink(path);
        snprintf(path, sizeof path, "%s/%u", base_dir, i);
        rmdir(path);
    }
    return rmdir(base_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_every_failure),
        cmocka_unit_test(test_lmdb_against_mem),
        cmocka_unit_test(test_full_map),
        cmocka_unit_test(test_refused_writes), cmocka_unit_test(test_copy),
        cmocka_unit_test(test_map_grows),
        cmocka_unit_test(test_not_a_store),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
