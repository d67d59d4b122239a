/* One suite for every engine: LMDB, memory, and both wrapped by the one that fails. */
#include "tests/support/engine_checks.h"

/* ---- cases ---- */

static void case_records(struct engine *e)
{
    struct engine_txn *t = checks_group(e);
    checks_expect(t, 16, "a", NULL);
    assert_int_equal(engine_put(t, 16, checks_s("a"), checks_s("one")), OK);
    checks_expect(t, 16, "a", "one"); /* reads its own writes */
    assert_int_equal(engine_put(t, 16, checks_s("a"), checks_s("two")), OK);
    assert_int_equal(engine_put(t, 16, checks_s("empty"), checks_s("")), OK);
    assert_int_equal(engine_put(t, 17, checks_s("a"), checks_s("other")), OK);
    assert_int_equal(engine_del(t, 16, checks_s("absent")), ERR_NOT_FOUND);
    assert_int_equal(engine_group_commit(t), OK); /* which does not spoil the group */
    t = checks_snapshot(e);
    checks_expect(t, 16, "a", "two");
    checks_expect(t, 17, "a", "other");
    checks_expect(t, 16, "empty", "");
    checks_expect(t, 18, "a", NULL);
    assert_int_equal(engine_read_end(t), OK);
    t = checks_group(e);
    assert_int_equal(engine_del(t, 16, checks_s("a")), OK);
    checks_expect(t, 16, "a", NULL);
    assert_int_equal(engine_del(t, 16, checks_s("a")), ERR_NOT_FOUND);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(e);
    checks_expect(t, 16, "a", NULL);
    checks_expect(t, 17, "a", "other");
    engine_read_end(t);
}

static void case_isolation(struct engine *e)
{
    checks_put1(e, 16, "k", "old");
    struct engine_txn *r = checks_snapshot(e), *g = checks_group(e), *second;
    assert_int_equal(engine_group_begin(e, &second), ERR_CONFLICT); /* one group at a time */
    assert_int_equal(engine_put(g, 16, checks_s("k"), checks_s("new")), OK);
    assert_int_equal(engine_put(g, 16, checks_s("k2"), checks_s("new")), OK);
    checks_expect(r, 16, "k", "old");
    assert_int_equal(engine_group_commit(g), OK);
    checks_expect(r, 16, "k", "old");
    checks_expect(r, 16, "k2", NULL);
    assert_int_equal(engine_put(r, 16, checks_s("k"), checks_s("x")), ERR_DENIED);
    assert_int_equal(engine_del(r, 16, checks_s("k")), ERR_DENIED);
    assert_int_equal(engine_blob_put(r, 16, BLOB_PACKETS, 1, 0, checks_s("x")), ERR_DENIED);
    assert_int_equal(engine_blob_del(r, 16, BLOB_PACKETS, 1), ERR_DENIED);
    engine_read_end(r);
    r = checks_snapshot(e);
    checks_expect(r, 16, "k", "new");
    engine_read_end(r);
    g = checks_group(e);
    engine_put(g, 16, checks_s("k"), checks_s("never"));
    engine_del(g, 16, checks_s("k2"));
    engine_group_abort(g);
    r = checks_snapshot(e);
    checks_expect(r, 16, "k", "new");
    checks_expect(r, 16, "k2", "new");
    engine_read_end(r);
}

/* Asked to, an engine refuses a step that writes into two partitions; a group of several steps may. */
static void case_one_partition(struct engine *e)
{
    engine_one_partition(e);
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_put(t, 0, checks_s("a"), checks_s("instance")), OK);
    engine_step(t);
    assert_int_equal(engine_put(t, 16, checks_s("a"), checks_s("account")), OK);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, checks_s("x")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_group(e);
    assert_int_equal(engine_put(t, 16, checks_s("a"), checks_s("both")), OK);
    assert_int_equal(engine_del(t, 0, checks_s("a")), ERR_CONFLICT);
    engine_step(t);
    assert_int_equal(engine_put(t, 16, checks_s("b"), checks_s("more")), ERR_CONFLICT);
    assert_int_equal(engine_group_commit(t), ERR_CONFLICT);
    t = checks_snapshot(e);
    checks_expect(t, 0, "a", "instance");
    checks_expect(t, 16, "a", "account");
    engine_read_end(t);
}

static void case_limits(struct engine *e)
{
    static uint8_t big[ENGINE_VALUE_MAX + 1], key[ENGINE_KEY_MAX + 1];
    struct slice v;
    memset(big, 0xa5, sizeof(big));
    memset(key, 0xff, sizeof(key));
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_put(t, 16, slice_of(key, ENGINE_KEY_MAX), slice_of(big, ENGINE_VALUE_MAX)), OK);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 7, 0, slice_of(big, ENGINE_BLOB_CHUNK)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    static const struct {
        size_t key, value;
    } wrong[] = {{0, 1}, {ENGINE_KEY_MAX + 1, 1}, {1, ENGINE_VALUE_MAX + 1}};
    for (size_t i = 0; i < 3; i++) {
        t = checks_group(e);
        assert_int_equal(engine_put(t, 16, checks_s("lost"), checks_s("x")), OK);
        assert_int_equal(engine_put(t, 16, slice_of(key, wrong[i].key), slice_of(big, wrong[i].value)), ERR_LIMIT);
        assert_int_equal(engine_put(t, 16, checks_s("lost too"), checks_s("x")), ERR_LIMIT); /* the group is spoilt */
        assert_int_equal(engine_group_commit(t), ERR_LIMIT);
    }
    t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 7, 0, slice_of(big, ENGINE_BLOB_CHUNK + 1)), ERR_LIMIT);
    engine_group_abort(t);
    t = checks_snapshot(e);
    checks_expect(t, 16, "lost", NULL);
    assert_int_equal(engine_get(t, 16, slice_of(key, ENGINE_KEY_MAX), &v), OK);
    assert_int_equal(v.len, ENGINE_VALUE_MAX);
    assert_memory_equal(v.data, big, v.len);
    assert_int_equal(engine_get(t, 16, slice_of(key, 0), &v), ERR_LIMIT);
    assert_int_equal(engine_get(t, 16, slice_of(key, ENGINE_KEY_MAX + 1), &v), ERR_LIMIT);
    engine_read_end(t);
}

struct got {
    char text[400];
    int stop_after, stop_with;
};

static int collect(void *arg, struct slice key, struct slice value)
{
    struct got *g = arg;
    size_t n = strlen(g->text);
    snprintf(g->text + n, sizeof(g->text) - n, "%.*s=%.*s ", (int)key.len, (const char *)key.data, (int)value.len,
             (const char *)value.data);
    return g->stop_after && --g->stop_after == 0 ? g->stop_with : 0;
}

static void expect_scan(struct engine_txn *t, uint64_t part, const char *from, const char *to, unsigned flags,
                        const char *want)
{
    struct got g = {0};
    assert_int_equal(engine_scan(t, part, checks_s(from), checks_s(to), flags, collect, &g), OK);
    assert_string_equal(g.text, want);
}

static void case_scan(struct engine *e)
{
    static const char *const keys[] = {"b", "a", "ab", "abc", "b\xff", "c", "\xff", "\xff\xff"};
    static const uint64_t parts[] = {15, 16, 17, UINT64_MAX - 1, UINT64_MAX};
    struct engine_txn *t = checks_group(e);
    for (size_t p = 0; p < 5; p++)
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
            char v[2] = {(char)('0' + p), 0};
            assert_int_equal(engine_put(t, parts[p], checks_s(keys[i]), checks_s(v)), OK);
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
        assert_int_equal(engine_scan(t, 16, checks_s(""), checks_s(""), 0, collect, &g), 77);
        assert_string_equal(g.text, "a=1 ab=1 ");
        g = (struct got){.stop_after = 1, .stop_with = ERR_FORMAT};
        assert_int_equal(engine_scan(t, 16, checks_s(""), checks_s(""), ENGINE_REVERSE, collect, &g), ERR_FORMAT);
        if (!round) {
            assert_int_equal(engine_group_commit(t), OK);
            t = checks_snapshot(e);
        }
    }
    engine_read_end(t);
}

struct parts {
    uint64_t v[8];
    unsigned n, stop;
};

static int collect_part(void *arg, uint64_t part)
{
    struct parts *p = arg;
    p->v[p->n++] = part;
    return p->stop && p->n == p->stop ? 9 : 0;
}

static void case_partitions(struct engine *e)
{
    struct engine_txn *t = checks_group(e);
    static const uint64_t parts[] = {UINT64_MAX, 16, 400, 17};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(engine_put(t, parts[i], slice_of(&k, 1), checks_s("v")), OK);
    assert_int_equal(engine_blob_put(t, 55, BLOB_PACKETS, 1, 0, checks_s("blobs alone make no partition")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(e);
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
    struct engine_txn *t = checks_group(e);
    static const uint64_t ids[] = {1, 2, 3, BLOB_ID_MAX - 1};
    for (unsigned i = 0; i < 4; i++)
        for (uint32_t n = 0; n < 70; n++) {
            memset(chunk, (int)(i * 70 + n), sizeof(chunk));
            assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, ids[i], n,
                                             slice_of(chunk, n == 69 ? 5 : sizeof(chunk))),
                             OK);
        }
    assert_int_equal(engine_blob_put(t, 17, BLOB_PACKETS, 2, 0, checks_s("neighbour")), OK);
    assert_int_equal(engine_put(t, 16, checks_s("k"), checks_s("v")), OK);
    assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, 99), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, 2), OK);
    assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, 2), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, BLOB_ID_MAX - 1), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(e);
    for (uint32_t n = 0; n < 70; n++) {
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 2, n, &v), ERR_NOT_FOUND);
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, BLOB_ID_MAX - 1, n, &v), ERR_NOT_FOUND);
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 3, n, &v), OK);
        assert_int_equal(v.len, n == 69 ? 5 : sizeof(chunk));
        assert_true(v.data[0] == (uint8_t)(140 + n) && v.data[v.len - 1] == (uint8_t)(140 + n));
    }
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 3, 70, &v), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(t, 17, BLOB_PACKETS, 2, 0, &v), OK);
    checks_expect(t, 16, "k", "v");
    engine_read_end(t);
}

struct seen {
    unsigned n, stop;
    struct blob_at at[20];
};

static int see_blob(void *arg, const struct blob_at *at)
{
    struct seen *s = arg;
    s->at[s->n++] = *at;
    return s->n == s->stop ? 9 : 0;
}

/* Each chunk once, partition by partition, whole and in pieces that go on where the one before ended. */
static void see_all_blobs(struct engine_txn *t)
{
    struct seen all = {.n = 0}, part = {.n = 0};
    int more = 9;
    assert_int_equal(engine_blobs(t, NULL, see_blob, &all), OK);
    assert_int_equal(all.n, 8);
    for (unsigned i = 1; i < all.n; i++)
        assert_true(all.at[i - 1].part <= all.at[i].part && memcmp(&all.at[i - 1], &all.at[i], sizeof(*all.at)));
    while (more == 9) {
        part.stop = part.n + 3;
        more = engine_blobs(t, part.n ? &part.at[part.n - 1] : NULL, see_blob, &part);
    }
    assert_int_equal(more, OK);
    assert_int_equal(part.n, all.n);
    for (unsigned i = 0; i < all.n; i++)
        assert_true(part.at[i].part == all.at[i].part && part.at[i].id == all.at[i].id &&
                    part.at[i].kind == all.at[i].kind && part.at[i].n == all.at[i].n);
}

/* One id is another blob in each kind. */
static void case_blob_kinds(struct engine *e)
{
    static const enum blob_kind kinds[] = {BLOB_PACKETS, BLOB_HEAD, BLOB_CERTIFICATE};
    static const uint64_t ids[] = {0, 1, BLOB_ID_MAX - 1};
    struct slice v;
    struct engine_txn *t = checks_group(e);
    for (uint8_t k = 0; k < BLOB_KINDS; k++)
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(engine_blob_put(t, 16, kinds[k], ids[i], 0, slice_of(&k, 1)), OK);
    assert_int_equal(engine_blob_del(t, 16, BLOB_HEAD, 1), OK);
    assert_int_equal(engine_blob_del(t, 16, BLOB_HEAD, 1), ERR_NOT_FOUND);
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, BLOB_ID_MAX, 0, &v), ERR_LIMIT);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(e);
    for (uint8_t k = 0; k < BLOB_KINDS; k++)
        for (unsigned i = 0; i < 3; i++) {
            bool gone = kinds[k] == BLOB_HEAD && ids[i] == 1;
            assert_int_equal(engine_blob_get(t, 16, kinds[k], ids[i], 0, &v), gone ? ERR_NOT_FOUND : OK);
            assert_true(gone || (v.len == 1 && v.data[0] == k));
        }
    see_all_blobs(t);
    engine_read_end(t);
    t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, BLOB_ID_MAX, 0, checks_s("x")), ERR_LIMIT);
    engine_group_abort(t);
}

/* A commit whose end is not known: no group begins before it is, and then all of it is there or nothing. */
static void case_unknown(struct engine *e)
{
    struct engine_txn *t;
    bool applied;
    checks_put1(e, 16, "k", "before");
    assert_int_equal(engine_resolve(e, &applied), ERR_CONFLICT);
    for (int there = 0; there < 2; there++) {
        engine_fail_unknown(e, there, 2);
        t = checks_group(e);
        assert_int_equal(engine_put(t, 16, checks_s("k"), checks_s("after")), OK);
        assert_int_equal(engine_group_commit(t), ERR_UNKNOWN);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(engine_group_begin(e, &t), ERR_UNKNOWN);
            assert_int_equal(engine_resolve(e, &applied), ERR_TIMEOUT);
        }
        assert_int_equal(engine_group_begin(e, &t), ERR_UNKNOWN);
        assert_int_equal(engine_resolve(e, &applied), OK);
        assert_int_equal(applied, there);
        t = checks_snapshot(e);
        checks_expect(t, 16, "k", there ? "after" : "before");
        engine_read_end(t);
        assert_int_equal(engine_resolve(e, &applied), ERR_CONFLICT);
        checks_put1(e, 16, "more", "yes");
    }
}

static void never(void *arg)
{
    fail();
}

static void arrived(void *arg)
{
    ++*(unsigned *)arg;
}

static int none_seen(void *arg, struct slice key, struct slice value)
{
    fail();
    return 0;
}

/* Whoever looks away from a write that failed hears of it with the next call, and not that of another failure. */
static void case_failed_group(struct engine *e)
{
    static uint8_t big[ENGINE_VALUE_MAX + 1];
    struct slice v;
    checks_put1(e, 16, "k", "v");
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_put(t, 16, checks_s("k"), slice_of(big, sizeof(big))), ERR_LIMIT);
    assert_int_equal(engine_get(t, 16, checks_s("absent"), &v), ERR_LIMIT);
    assert_int_equal(engine_scan(t, 16, checks_s("k"), checks_s(""), 0, none_seen, NULL), ERR_LIMIT);
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, 0, &v), ERR_LIMIT);
    assert_int_equal(engine_del(t, 16, checks_s("k")), ERR_LIMIT);
    assert_int_equal(engine_group_commit(t), ERR_LIMIT);
    t = checks_snapshot(e);
    checks_expect(t, 16, "k", "v");
    engine_read_end(t);
}

/* LMDB and memory have all blobs at hand. */
static void case_at_hand(struct engine *e)
{
    struct blob_want w = {16, BLOB_PACKETS, 1, 0, 1};
    struct blob_fetch *f = NULL;
    struct slice v;
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, checks_s("bytes")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(e);
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, 0, &v), OK);
    engine_read_end(t);
    assert_int_equal(engine_fetch(e, &w, 1, never, NULL, &f), ERR_UNSUPPORTED);
    assert_null(f);
    engine_fetch_end(f);
}

/* Blobs that come later are there from then on until they are given back, in every snapshot; the small kinds always. */
static void case_later(struct engine *e)
{
    struct blob_want w[BLOB_WANTS_MAX + 1] = {{16, BLOB_PACKETS, 1, 1, 1}, {16, BLOB_PACKETS, 9, 0, 1}};
    struct blob_fetch *a, *b;
    struct slice v;
    unsigned times = 0;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, slice_of(chunk, sizeof(chunk))), OK);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 1, checks_s("end")), OK);
    assert_int_equal(engine_blob_put(t, 16, BLOB_HEAD, 1, 0, checks_s("small")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    engine_fail_later(e);
    assert_int_equal(engine_fetch(e, w, BLOB_WANTS_MAX + 1, never, NULL, &a), ERR_LIMIT);
    assert_int_equal(engine_fetch(e, w, 2, arrived, &times, &a), OK);
    assert_int_equal(engine_fetch(e, w, 1, never, NULL, &b), OK);
    engine_fetch_end(b); /* nobody wants it any more */
    for (int there = 0; there < 3; there++) {
        t = checks_snapshot(e);
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, 0, &v), ERR_AGAIN);
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, 1, &v), there == 1 ? OK : ERR_AGAIN);
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 9, 0, &v), there == 1 ? ERR_NOT_FOUND : ERR_AGAIN);
        assert_int_equal(engine_blob_get(t, 16, BLOB_HEAD, 1, 0, &v), OK);
        engine_read_end(t);
        if (there == 0)
            assert_int_equal(engine_fail_arrive(e, OK), 2);
        else if (there == 1)
            engine_fetch_end(a);
        assert_int_equal(times, 1);
    }
}

static void case_reopen(struct engine *e)
{
    checks_put1(e, 16, "k", "v");
    struct engine_txn *t = checks_group(e);
    engine_put(t, 16, checks_s("k"), checks_s("never"));
    engine_group_abort(t);
    assert_int_equal(engine_reopen(e), OK);
    engine_tick(e);
    checks_put1(e, 16, "k2", "v2");
    t = checks_snapshot(e);
    checks_expect(t, 16, "k", "v");
    checks_expect(t, 16, "k2", "v2");
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
    const int calls[] = {engine_put(t, 16, checks_s("a"), checks_s("2")), engine_del(t, 16, checks_s("b")),
                         engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, checks_s("2")),
                         engine_blob_del(t, 16, BLOB_PACKETS, 2), engine_put(t, 16, checks_s("c"), checks_s("2"))};
    (void)calls; /* a caller who looks away must not commit half of it */
    return engine_group_commit(t);
}

static unsigned state_of(struct engine *e)
{
    struct engine_txn *t = checks_snapshot(e);
    struct slice v;
    unsigned bits = 0;
    bits |= engine_get(t, 16, checks_s("a"), &v) == OK && v.data[0] == '2' ? 1 : 0;
    bits |= engine_get(t, 16, checks_s("b"), &v) == ERR_NOT_FOUND ? 2 : 0;
    bits |= engine_blob_get(t, 16, BLOB_PACKETS, 1, 0, &v) == OK && v.data[0] == '2' ? 4 : 0;
    bits |= engine_blob_get(t, 16, BLOB_PACKETS, 2, 0, &v) == ERR_NOT_FOUND ? 8 : 0;
    bits |= engine_get(t, 16, checks_s("c"), &v) == OK ? 16 : 0;
    engine_read_end(t);
    return bits;
}

static void fail_each(struct engine *e)
{
    struct engine_txn *t = checks_group(e);
    engine_put(t, 16, checks_s("a"), checks_s("1"));
    engine_put(t, 16, checks_s("b"), checks_s("1"));
    engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, checks_s("1"));
    engine_blob_put(t, 16, BLOB_PACKETS, 2, 0, checks_s("1"));
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

static const struct {
    const char *name;
    void (*make)(struct engine **e);
    bool fails;
} engines[] = {
    {"lmdb", checks_make_lmdb, false},
    {"mem", checks_make_mem, false},
    {"fail(lmdb)", checks_make_fail_lmdb, true},
    {"fail(mem)", checks_make_fail_mem, true},
};

static void over_all(void (*fn)(struct engine *e), bool failing_only)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
        if (failing_only && !engines[i].fails)
            continue;
        struct engine *e;
        engines[i].make(&e);
        fn(e);
        engine_close(e);
    }
}

static void test_records(void **st)
{
    over_all(case_records, false);
}
static void test_isolation(void **st)
{
    over_all(case_isolation, false);
}
static void test_one_partition(void **st)
{
    over_all(case_one_partition, false);
}
static void test_limits(void **st)
{
    over_all(case_limits, false);
}
static void test_scan(void **st)
{
    over_all(case_scan, false);
}
static void test_partitions(void **st)
{
    over_all(case_partitions, false);
}
static void test_blobs(void **st)
{
    over_all(case_blobs, false);
}
static void test_blob_kinds(void **st)
{
    over_all(case_blob_kinds, false);
}
static void test_unknown(void **st)
{
    over_all(case_unknown, true);
}
static void test_failed_group(void **st)
{
    over_all(case_failed_group, false);
}
static void test_at_hand(void **st)
{
    struct engine *e;
    checks_make_lmdb(&e);
    case_at_hand(e);
    engine_close(e);
    checks_make_mem(&e);
    case_at_hand(e);
    engine_close(e);
}
static void test_later(void **st)
{
    over_all(case_later, true);
}
static void test_reopen(void **st)
{
    over_all(case_reopen, false);
}
static void test_every_failure(void **st)
{
    over_all(fail_each, true);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),       cmocka_unit_test(test_isolation),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scan),          cmocka_unit_test(test_partitions),    cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_blob_kinds),    cmocka_unit_test(test_unknown),       cmocka_unit_test(test_failed_group),
        cmocka_unit_test(test_at_hand),       cmocka_unit_test(test_later),         cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_one_partition), cmocka_unit_test(test_every_failure),
    };
    return cmocka_run_group_tests(tests, checks_setup, checks_teardown);
}
