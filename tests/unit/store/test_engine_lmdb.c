/* LMDB against the engine in memory, and what is its own: a full map, refused writes, copies,
 * growing maps, files that are no store. */
#include "tests/support/engine_checks.h"

#include "store/engine_lmdb_impl.h"

static void test_lmdb_against_mem(void **st)
{
    struct engine *a, *b, *reader = NULL;
    checks_make_lmdb(&a);
    checks_make_mem(&b);
    assert_int_equal(engine_lmdb_reader(checks_dir, 5000, &reader), OK);
    for (unsigned round = 0; round < 300; round++) {
        struct engine_txn *ta = checks_group(a), *tb = checks_group(b);
        for (unsigned n = randombytes_uniform(12); n; n--) {
            struct op o = checks_random_op();
            assert_int_equal(checks_apply(ta, &o), checks_apply(tb, &o));
        }
        if (randombytes_uniform(5)) {
            assert_int_equal(engine_group_commit(ta), OK);
            assert_int_equal(engine_group_commit(tb), OK);
        } else {
            engine_group_abort(ta);
            engine_group_abort(tb);
        }
        uint8_t da[32], db[32], dr[32];
        checks_digest(a, da);
        checks_digest(b, db);
        checks_digest(reader, dr);
        assert_memory_equal(da, db, 32);
        assert_memory_equal(dr, db, 32);
    }
    engine_close(reader);
    engine_close(a);
    engine_close(b);
}

static int see_last(void *arg, const struct blob_at *at)
{
    *(struct blob_at *)arg = *at;
    return 0;
}

static int count_none(void *arg, const struct blob_at *at)
{
    *(unsigned *)arg += at->n >= BLOB_CHUNK_NONE;
    return 0;
}

static unsigned entries(struct engine_txn *t)
{
    MDB_stat s;
    assert_int_equal(mdb_stat(lt(t)->txn, lm(t->e)->blob, &s), 0);
    return (unsigned)s.ms_entries;
}

/* What stands between small values is told only if its chunk is not there, whether something follows it or nothing. */
static void test_spacers(void **st)
{
    static uint8_t octets[5000];
    struct engine *e;
    struct blob_at at;
    checks_make_lmdb(&e);
    struct engine_txn *t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, slice_of(octets, sizeof(octets))), OK);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 1, slice_of(octets, 1220)), OK);
    assert_int_equal(entries(t), 2);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 2, slice_of(octets, 1220)), OK);
    assert_int_equal(entries(t), 4);
    assert_int_equal(engine_blob_put(t, 16, BLOB_HEAD, 1, 0, slice_of(octets, 900)), OK);
    assert_int_equal(entries(t), 6);
    assert_int_equal(engine_blobs(t, NULL, see_last, &at), OK);
    assert_true(at.kind == BLOB_HEAD && at.n == 0);
    char second[] = "\x80\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\1\0\0\0\1", octet[] = "x";
    char head[] = "\x80\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\2\0\0\0\0";
    MDB_val k = {BLOB_KEY, second}, v;
    assert_int_equal(mdb_del(lt(t)->txn, lm(e)->blob, &k, NULL), 0);
    assert_int_equal(engine_blobs(t, NULL, see_last, &at), OK);
    assert_true(at.kind == BLOB_HEAD && at.id == 1 && at.n == BLOB_CHUNK_NONE);
    assert_int_equal(engine_blob_put(t, 16, BLOB_HEAD, 2, 0, slice_of(octets, 900)), OK);
    assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, 1), OK);
    assert_int_equal(entries(t), 3);
    struct blob_at from = {0, 0, BLOB_PACKETS, 0};
    assert_int_equal(engine_blobs(t, &from, see_last, &at), OK);
    assert_true(at.id == 2 && at.n == 0);
    k.mv_data = head; /* one with octets in it */
    v = (MDB_val){1, octet};
    assert_int_equal(mdb_del(lt(t)->txn, lm(e)->blob, &k, NULL), 0);
    assert_int_equal(mdb_put(lt(t)->txn, lm(e)->blob, &k, &v, 0), 0);
    unsigned none = 0;
    assert_int_equal(engine_blobs(t, NULL, count_none, &none), OK);
    assert_int_equal(none, 2);
    assert_int_equal(engine_group_commit(t), OK);
    engine_close(e);
}

/* The keys of docs/store-format.md: stores that are there hold these. */
static void test_blob_keys(void **st)
{
    static const struct {
        enum blob_kind kind;
        const char *key;
    } table[] = {
        {BLOB_PACKETS, "\x00\0\0\0\0\0\0\x10\0\0\0\0\0\0\1\2\0\0\0\7"},
        {BLOB_HEAD, "\x80\0\0\0\0\0\0\x10\0\0\0\0\0\0\1\2\0\0\0\7"},
        {BLOB_CERTIFICATE, "\x40\0\0\0\0\0\0\x10\0\0\0\0\0\0\1\2\0\0\0\7"},
    };
    struct engine *e;
    checks_make_lmdb(&e);
    for (uint8_t i = 0; i < BLOB_KINDS; i++) {
        struct engine_txn *t = checks_group(e);
        assert_int_equal(engine_blob_put(t, 16, table[i].kind, 0x102, 3, slice_of(&i, 1)), OK);
        MDB_val k = {BLOB_KEY, (void *)(uintptr_t)table[i].key}, v;
        assert_int_equal(mdb_get(lt(t)->txn, lm(e)->blob, &k, &v), 0);
        assert_true(v.mv_size == 1 && *(const uint8_t *)v.mv_data == i);
        assert_int_equal(engine_group_commit(t), OK);
    }
    engine_close(e);
}

static void test_full_map(void **st)
{
    struct engine *e;
    struct engine_txn *t;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    assert_int_equal(engine_lmdb_create(checks_fresh_dir(), 2 << 20, TURN_MS, &e), OK);
    checks_put1(e, 16, "k", "before");
    uint64_t id = 0;
    int err = OK;
    for (; !err && id < 1000; id++) {
        t = checks_group(e);
        engine_put(t, 16, checks_s("k"), checks_s("during"));
        for (uint32_t n = 0; n < 4 && !err; n++)
            err = engine_blob_put(t, 16, BLOB_PACKETS, id, n, slice_of(chunk, sizeof(chunk)));
        int end = engine_group_commit(t);
        if (err)
            assert_int_equal(end, err);
        err = end;
    }
    assert_int_equal(err, ERR_FULL);
    assert_true(id > 5);
    t = checks_snapshot(e);
    struct slice v;
    checks_expect(t, 16, "k", "during");
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, id - 2, 3, &v), OK);
    assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, id - 1, 0, &v), ERR_NOT_FOUND);
    engine_read_end(t);
    /* Recovery without reopening: what is deleted can be used again once the pin has rolled on. */
    t = checks_group(e);
    for (uint64_t d = 0; d < id - 1; d++)
        assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, d), OK);
    assert_int_equal(engine_group_commit(t), OK);
    for (int i = 0; i < 4; i++) {
        usleep((TURN_MS + 2) * 1000);
        engine_tick(e);
        checks_put1(e, 16, "k", "after");
    }
    t = checks_group(e);
    assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, 0, slice_of(chunk, sizeof(chunk))), OK);
    assert_int_equal(engine_group_commit(t), OK);
    engine_close(e);
}

/* Writes that the system refuses half way (here by a limit on file size, like a full disk's): nothing of the group is
 * there, and it goes on without a restart. */
static void test_refused_writes(void **st)
{
    struct engine *e;
    struct engine_txn *t;
    struct slice v;
    struct rlimit before, small;
    struct stat file;
    char path[300];
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    checks_make_lmdb(&e);
    checks_put1(e, 16, "k", "before");
    snprintf(path, sizeof(path), "%s/data.mdb", checks_dir);
    assert_int_equal(stat(path, &file), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t more = 0; more < 100000; more += 7001) {
        small = before;
        small.rlim_cur = (rlim_t)file.st_size + more;
        t = checks_group(e);
        assert_int_equal(engine_put(t, 16, checks_s("k"), checks_s("never")), OK);
        for (uint32_t n = 0; n < 10; n++)
            assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, n, slice_of(chunk, sizeof(chunk))), OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int err = engine_group_commit(t);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(err == ERR_IO || err == ERR_FULL);
        if (err == ERR_IO)
            assert_int_equal(engine_reopen(e), OK);
        t = checks_snapshot(e);
        checks_expect(t, 16, "k", "before");
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, 0, &v), ERR_NOT_FOUND);
        engine_read_end(t);
    }
    checks_put1(e, 16, "k", "after");
    t = checks_snapshot(e);
    checks_expect(t, 16, "k", "after");
    engine_read_end(t);
    engine_close(e);
}

static void test_copy(void **st)
{
    struct engine *e, *copy, *reader;
    char from[256], to[300];
    uint8_t before[32], after[32];
    checks_make_lmdb(&e);
    snprintf(from, sizeof(from), "%s", checks_dir);
    struct engine_txn *t = checks_group(e);
    for (unsigned i = 0; i < 400; i++) {
        struct op o = checks_random_op();
        if (checks_apply(t, &o) != ERR_NOT_FOUND)
            continue;
    }
    assert_int_equal(engine_group_commit(t), OK);
    checks_digest(e, before);
    assert_int_equal(mkdir(checks_fresh_dir(), 0700), 0);
    snprintf(to, sizeof(to), "%s/data.mdb", checks_dir);
    int fd = open(to, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_int_equal(engine_copy(e, fd), OK);
    close(fd);
    engine_close(e);
    assert_int_equal(engine_lmdb_reader(checks_dir, TURN_MS, &reader), ERR_CONFLICT); /* no writer has stamped it yet */
    assert_int_equal(engine_lmdb_create(checks_dir, MAP, TURN_MS, &copy), OK);
    checks_digest(copy, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(engine_lmdb_reader(checks_dir, TURN_MS, &reader),
                     ERR_CONFLICT); /* opening changes nothing: it may be newer */
    t = checks_group(copy);
    engine_group_abort(t);
    assert_int_equal(engine_lmdb_reader(checks_dir, TURN_MS, &reader), ERR_CONFLICT);
    t = checks_group(copy);
    assert_int_equal(engine_group_commit(t), OK); /* though empty */
    assert_int_equal(engine_lmdb_reader(checks_dir, 5000, &reader), OK);
    checks_digest(reader, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(engine_copy(reader, 1), ERR_UNSUPPORTED);
    assert_int_equal(engine_group_begin(reader, &t), ERR_DENIED);
    engine_close(reader);
    engine_close(copy);
}

struct copying {
    struct engine *e;
    int fd, err;
    volatile int done;
};

static void *copy_thread(void *arg)
{
    struct copying *c = arg;
    c->err = engine_copy(c->e, c->fd);
    c->done = 1;
    return NULL;
}

/* The writer goes on and the pin rolls while a copy is made: the copy is one commit's state. */
static void test_copy_while_writing(void **st)
{
    struct engine *e, *copy;
    struct engine_txn *t;
    pthread_t thread;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    char to[300];
    checks_make_lmdb(&e);
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal(mkdir(checks_fresh_dir(), 0700), 0);
        snprintf(to, sizeof(to), "%s/data.mdb", checks_dir);
        struct copying c = {.e = e, .fd = open(to, O_CREAT | O_WRONLY | O_EXCL, 0600)};
        assert_int_equal(pthread_create(&thread, NULL, copy_thread, &c), 0);
        for (unsigned n = 0; n < 50 || !c.done; n++) {
            memset(chunk, (int)n, sizeof(chunk));
            engine_tick(e);
            t = checks_group(e);
            for (uint64_t id = 0; id < 30; id++)
                assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, id, 0, slice_of(chunk, sizeof(chunk))), OK);
            assert_int_equal(engine_group_commit(t), OK);
            usleep(n < 50
                       ? 500
                       : 5000); /* the copy's snapshot keeps every page: an unbounded writer would fill the small map */
        }
        pthread_join(thread, NULL);
        assert_int_equal(c.err, OK);
        close(c.fd);
        assert_int_equal(engine_lmdb_create(checks_dir, MAP, TURN_MS, &copy), OK);
        t = checks_snapshot(copy);
        struct slice v;
        int first = -1;
        for (uint64_t id = 0; id < 30; id++) {
            int err = engine_blob_get(t, 16, BLOB_PACKETS, id, 0, &v);
            if (err == ERR_NOT_FOUND && first < 0)
                continue; /* copied before the first commit */
            assert_int_equal(err, OK);
            first = first < 0 ? v.data[0] : first;
            for (size_t i = 0; i < v.len; i++)
                assert_int_equal(v.data[i], first);
        }
        engine_read_end(t);
        engine_close(copy);
    }
    engine_close(e);
}

/* A reader's map follows a writer that was given more room. */
static void test_map_grows(void **st)
{
    struct engine *w, *r;
    struct engine_txn *t;
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    char path[256];
    snprintf(path, sizeof(path), "%s", checks_fresh_dir());
    assert_int_equal(engine_lmdb_create(path, 1 << 20, TURN_MS, &w), OK);
    checks_put1(w, 16, "k", "v");
    assert_int_equal(engine_lmdb_reader(path, 5000, &r), OK);
    t = checks_snapshot(r);
    checks_expect(t, 16, "k", "v");
    engine_read_end(t);
    engine_close(w);
    assert_int_equal(engine_lmdb_create(path, MAP, TURN_MS, &w), OK);
    t = checks_group(w);
    for (uint32_t n = 0; n < 400; n++)
        assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, 1, n, slice_of(chunk, sizeof(chunk))), OK);
    assert_int_equal(engine_group_commit(t), OK);
    t = checks_snapshot(r);
    struct slice v;
    for (uint32_t n = 0; n < 400; n++)
        assert_int_equal(engine_blob_get(t, 16, BLOB_PACKETS, 1, n, &v), OK);
    engine_read_end(t);
    engine_close(r);
    engine_close(w);
}

static void test_not_a_store(void **st)
{
    struct engine *e;
    char path[300];
    assert_int_equal(engine_lmdb_reader(checks_fresh_dir(), TURN_MS, &e), ERR_NOT_FOUND);
    assert_int_equal(mkdir(checks_dir, 0700), 0);
    assert_int_equal(engine_lmdb_reader(checks_dir, TURN_MS, &e), ERR_NOT_FOUND);
    snprintf(path, sizeof(path), "%s/data.mdb", checks_dir);
    uint8_t junk[3 * 4096];
    randombytes_buf(junk, sizeof(junk));
    static const size_t lens[] = {1, 100, 4096, sizeof(junk)};
    for (size_t i = 0; i < 4; i++) {
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        assert_int_equal(write(fd, junk, lens[i]), lens[i]);
        close(fd);
        assert_true(engine_lmdb_reader(checks_dir, TURN_MS, &e) < 0);
        assert_true(engine_lmdb_create(checks_dir, MAP, TURN_MS, &e) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lmdb_against_mem),
        cmocka_unit_test(test_blob_keys),
        cmocka_unit_test(test_spacers),
        cmocka_unit_test(test_full_map),
        cmocka_unit_test(test_refused_writes),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_while_writing),
        cmocka_unit_test(test_map_grows),
        cmocka_unit_test(test_not_a_store),
    };
    return cmocka_run_group_tests(tests, checks_setup, checks_teardown);
}
