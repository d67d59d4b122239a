/* A store that is missing, empty, cut short or not a store is said to be, by the look and by the engine, and nothing is
 * made in its place. */
#include "tests/support/engine_checks.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/engine_lmdb_impl.h"
#include "store/lmdb_file.h"
#include "store/look.h"

static char dir[300], path[400], why[2000];

/* DIR with an empty folder "store"; path: where its file would be. */
static void fresh(void)
{
    char folder[350];
    snprintf(dir, sizeof(dir), "%s", checks_fresh_dir());
    snprintf(folder, sizeof(folder), "%s/store", dir);
    assert_int_equal(mkdir(dir, 0700) | mkdir(folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/data.mdb", folder);
}

static int check(struct lmdb_file *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int err = lmdb_file_check(fd, f);
    close(fd);
    return err;
}

/* Another process reads all of it through LMDB. The octets that it saw, or -1: a signal ended it. */
static long read_through(void)
{
    char folder[350];
    int status, fds[2];
    long sum = -1;
    snprintf(folder, sizeof(folder), "%s/store", dir);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;
        MDB_cursor *c;
        MDB_val k, v;
        signal(SIGBUS, SIG_DFL);
        sum = 0;
        if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 2) ||
            mdb_env_open(env, folder, MDB_RDONLY | MDB_NOLOCK, 0) || mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) ||
            mdb_dbi_open(txn, "b", 0, &dbi) || mdb_cursor_open(txn, dbi, &c))
            _exit(1);
        while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0)
            for (size_t i = 0; i < v.mv_size; i++)
                sum += 1 + ((const uint8_t *)v.mv_data)[i];
        mdb_cursor_close(c);
        if (mdb_cursor_open(txn, 0, &c))
            _exit(1);
        while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0)
            for (size_t i = 0; i < v.mv_size; i++)
                sum += 1 + ((const uint8_t *)v.mv_data)[i];
        _exit(write(fds[1], &sum, sizeof(sum)) != sizeof(sum));
    }
    close(fds[1]);
    if (read(fds[0], &sum, sizeof(sum)) != sizeof(sum))
        sum = -1;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return sum;
}

/* Writes and removes values of all sizes; returns after how many commits the file was shorter than its meta page
 * says. stop: at the first such. */
static unsigned churn(unsigned seed, unsigned commits, bool stop)
{
    static uint8_t value[60000];
    char folder[350];
    unsigned shorter = 0;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    memset(value, 7, sizeof(value));
    snprintf(folder, sizeof(folder), "%s/store", dir);
    srand(seed);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 1 << 28), 0);
    assert_int_equal(mdb_env_open(env, folder, MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "b", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    for (unsigned n = 0; n < commits && !(stop && shorter); n++) {
        MDB_envinfo info;
        struct lmdb_file f;
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        for (int left = rand() % 20; left > 0; left--) {
            int key = rand() % 300;
            MDB_val k = {sizeof(key), &key};
            if (rand() % 2) {
                MDB_val v = {(size_t)(rand() % (rand() % 3 ? 2000 : 60000)), value};
                assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
            } else {
                (void)mdb_del(txn, dbi, &k, NULL);
            }
        }
        assert_int_equal(mdb_txn_commit(txn), 0);
        assert_int_equal(check(&f), OK);
        assert_int_equal(mdb_env_info(env, &info), 0);
        shorter += f.have < (info.me_last_pgno + 1) * 4096;
    }
    mdb_env_close(env);
    return shorter;
}

/* LMDB itself leaves files shorter than it says, which are whole. */
static void test_short_and_whole(void **st)
{
    unsigned shorter = 0;
    for (unsigned seed = 1; seed < 5; seed++) {
        fresh();
        shorter += churn(seed, 150, false);
    }
    print_message("%u of 600 commits left a whole file shorter than its meta page says\n", shorter);
    assert_true(shorter > 0);
}

/* Cut anywhere: what is called whole can be read to its end, and what lacks a page of a tree is not called whole. */
static void test_cut(void **st)
{
    unsigned cut = 0, whole = 0, killed = 0;
    fresh();
    assert_true(churn(3, 150, true) > 0);
    struct lmdb_file f;
    assert_int_equal(check(&f), OK);
    long all = read_through();
    assert_true(all > 0);
    for (off_t size = (off_t)f.have; size > 0; size -= size > 3 * 4096 ? 3 * 4096 : 1000) {
        assert_int_equal(truncate(path, size), 0);
        int err = check(&f);
        long now = read_through();
        if (err == OK) {
            assert_int_equal(now, all);
            whole++;
            assert_int_equal(store_look(dir, why, sizeof(why)), OK);
            continue;
        }
        assert_int_equal(err, ERR_LIMIT);
        assert_true(f.have == (uint64_t)size && f.want > f.have);
        killed += now < 0;
        cut++;
        assert_int_equal(store_look(dir, why, sizeof(why)), ERR_FORMAT);
        assert_non_null(strstr(why, "cut short"));
    }
    print_message("%u lengths whole, %u cut, of which %u end a reader by a signal or an error\n", whole, cut, killed);
    assert_true(whole > 0 && cut > 20 && killed > cut / 2);
}

/* The engine's own files are as long as they say, so that nobody need look at all pages. */
static void test_never_short(void **st)
{
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    struct engine *e;
    assert_int_equal(engine_lmdb_create(checks_fresh_dir(), UINT64_C(1) << 30, 1, &e), OK);
    snprintf(path, sizeof(path), "%s/data.mdb", checks_dir);
    for (uint64_t n = 0; n < 300; n++) {
        struct engine_txn *t = checks_group(e);
        uint32_t puts = 1 + n % 7;
        for (uint32_t k = 0; k < puts; k++)
            assert_int_equal(engine_blob_put(t, 16, BLOB_PACKETS, n, k, slice_of(chunk, sizeof(chunk))), OK);
        if (n % 3)
            assert_int_equal(engine_blob_del(t, 16, BLOB_PACKETS, n), OK);
        assert_int_equal(engine_group_commit(t), OK);
        MDB_envinfo info;
        struct stat file;
        assert_int_equal(mdb_env_info(lm(e)->env, &info), 0);
        assert_int_equal(stat(path, &file), 0);
        assert_true((uint64_t)file.st_size >= (info.me_last_pgno + 1) * 4096);
        usleep(500);
    }
    engine_close(e);
}

static void expect_nothing_made(int err, const char *word)
{
    char folder[350], other[400];
    struct engine *e;
    snprintf(folder, sizeof(folder), "%s/store", dir);
    assert_int_equal(store_look(dir, why, sizeof(why)), err);
    if (!strstr(why, word) || !strstr(why, "restore"))
        fail_msg("%s", why);
    assert_int_equal(engine_lmdb_writer(folder, 1 << 20, 20, &e), err);
    snprintf(other, sizeof(other), "%s/lock.mdb", folder);
    assert_int_not_equal(access(other, F_OK), 0);
}

static void write_file(const void *data, size_t len)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void test_no_store(void **st)
{
    char folder[350];
    struct stat file;
    uint8_t junk[3 * 4096];
    randombytes_buf(junk, sizeof(junk));
    fresh();
    expect_nothing_made(ERR_NOT_FOUND, "data.mdb is not there; mount");
    write_file("", 0);
    expect_nothing_made(ERR_NOT_FOUND, "is empty");
    assert_true(stat(path, &file) == 0 && file.st_size == 0);
    write_file(junk, sizeof(junk));
    expect_nothing_made(ERR_FORMAT, "not a store");
    write_file(junk, 100);
    expect_nothing_made(ERR_FORMAT, "cut short");
    unlink(path);
    snprintf(folder, sizeof(folder), "%s/store", dir);
    rmdir(folder);
    expect_nothing_made(ERR_NOT_FOUND, "the store's folder");
    assert_int_not_equal(access(folder, F_OK), 0);
}

/* Somebody else's LMDB, or a make that was cut short: whole, but no store of ours. */
static void test_without_our_tables(void **st)
{
    char folder[350];
    struct engine *e;
    fresh();
    (void)churn(1, 1, false);
    snprintf(folder, sizeof(folder), "%s/store", dir);
    assert_int_equal(store_look(dir, why, sizeof(why)), OK);
    assert_int_equal(engine_lmdb_writer(folder, 1 << 20, 20, &e), ERR_FORMAT);
    assert_int_equal(engine_lmdb_create(folder, 1 << 20, 20, &e), OK);
    engine_close(e);
    assert_int_equal(engine_lmdb_writer(folder, 1 << 20, 20, &e), OK);
    engine_close(e);
}

/* A file that is deleted while it is served: nothing more goes into it, and what is in it can still be copied. */
static void test_deleted(void **st)
{
    char folder[350];
    struct engine *e;
    struct engine_txn *t;
    struct stat file;
    fresh();
    snprintf(folder, sizeof(folder), "%s/store", dir);
    assert_int_equal(engine_lmdb_create(folder, 1 << 20, 20, &e), OK);
    checks_put1(e, 16, "k", "v");
    assert_int_equal(unlink(path), 0);
    usleep(25000);
    assert_int_equal(engine_group_begin(e, &t), ERR_IO);
    assert_int_equal(engine_reopen(e), ERR_IO);
    assert_int_equal(engine_group_begin(e, &t), ERR_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    assert_int_equal(engine_copy(e, fd), OK);
    assert_true(fstat(fd, &file) == 0 && file.st_size > 0);
    close(fd);
    engine_close(e);
    assert_int_equal(engine_lmdb_writer(folder, 1 << 20, 20, &e), OK);
    t = checks_snapshot(e);
    checks_expect(t, 16, "k", "v");
    engine_read_end(t);
    engine_close(e);
}

static int removed(void **st)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store/reserve", "store"};
    *strrchr(checks_dir, '/') = '\0';
    for (unsigned i = 0; i < 32; i++)
        for (unsigned k = 0; k < sizeof(names) / sizeof(*names); k++) {
            snprintf(path, sizeof(path), "%s/%u/%s", checks_dir, i, names[k]);
            (void)remove(path);
        }
    return checks_teardown(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_and_whole), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_never_short),     cmocka_unit_test(test_no_store),
        cmocka_unit_test(test_deleted),         cmocka_unit_test(test_without_our_tables),
    };
    return cmocka_run_group_tests(tests, checks_setup, removed);
}
