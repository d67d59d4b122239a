/* A store's file with octets changed: what the walk finds no fault in, LMDB reads to its end without a signal. */
#include "tests/support/engine_checks.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "store/engine_lmdb_impl.h"
#include "store/lmdb_file.h"

enum { OTHER_CONTENT = 3, ALL_CONTENT = 0 };

static char path[400];
static uint8_t *file;
static size_t file_len;

static void load(void)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    file_len = (size_t)st.st_size;
    file = realloc(file, file_len);
    assert_int_equal(pread(fd, file, file_len, 0), file_len);
    close(fd);
}

/* Two thousand records and blobs of many lengths, some deleted again, in many commits. compact: a copy without what is
 * free. */
static void make(bool compact)
{
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    struct engine *e;
    assert_int_equal(engine_lmdb_create(checks_fresh_dir(), UINT64_C(1) << 30, 1, &e), OK);
    snprintf(path, sizeof(path), "%s/data.mdb", checks_dir);
    srand(7);
    for (unsigned n = 0; n < 100; n++) {
        struct engine_txn *t = checks_group(e);
        for (unsigned k = 0; k < 40; k++) {
            char key[20];
            int len = snprintf(key, sizeof(key), "%d", rand() % 2000);
            struct slice s = slice_of(key, (size_t)len);
            if (rand() % 3)
                assert_int_equal(engine_put(t, 16, s, slice_of(chunk, (size_t)(rand() % 400))), OK);
            else
                (void)engine_del(t, 16, s);
        }
        assert_int_equal(engine_blob_put(t, 17, BLOB_PACKETS, n, 0, slice_of(chunk, (size_t)(rand() % 16000))), OK);
        /* written again in one transaction, shorter: its run of pages stays as long as it was */
        static const size_t lens[] = {16000, 5000, 100};
        for (size_t i = 0; i < sizeof(lens) / sizeof(*lens) - n % 2; i++)
            assert_int_equal(engine_put(t, 18, slice_of(&n, sizeof(n)), slice_of(chunk, lens[i])), OK);
        if (n % 3 == 0)
            (void)engine_blob_del(t, 17, BLOB_PACKETS, (uint64_t)(rand() % (int)(n + 1)));
        assert_int_equal(engine_group_commit(t), OK);
    }
    if (compact) {
        snprintf(path, sizeof(path), "%s/copy.mdb", checks_dir);
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_int_equal(engine_copy(e, fd), OK);
        close(fd);
    }
    engine_close(e);
    load();
    if (compact)
        unlink(path);
}

static void count_fault(void *arg, uint64_t page, const char *what)
{
    ++*(unsigned *)arg;
    assert_true(strlen(what) > 10);
    (void)page;
}

static int walk(int fd, struct lmdb_walk *ret)
{
    unsigned told = 0;
    int err = lmdb_file_walk(fd, count_fault, &told, ret);
    if (!err)
        assert_int_equal(told, ret->faults);
    return err;
}

static uint64_t digest(MDB_txn *txn, const char *name)
{
    MDB_dbi dbi;
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t sum = 1;
    if (mdb_dbi_open(txn, name, 0, &dbi) || mdb_cursor_open(txn, dbi, &c))
        return 0;
    while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
        MDB_val again;
        for (size_t i = 0; i < k.mv_size; i++)
            sum = sum * 31 + ((const uint8_t *)k.mv_data)[i];
        for (size_t i = 0; i < v.mv_size; i++)
            sum = sum * 31 + ((const uint8_t *)v.mv_data)[i];
        if (mdb_get(txn, dbi, &k, &again) || again.mv_data != v.mv_data)
            sum *= 7; /* a key that is not found by way of the branches */
    }
    mdb_cursor_close(c);
    return sum;
}

/* In another process: its exit status, or ALL_CONTENT if the store's content is that of the sum. */
static int read_through(const char *of, uint64_t want, uint64_t *ret)
{
    int status, fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        MDB_env *env;
        MDB_txn *txn;
        signal(SIGBUS, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 2) ||
            mdb_env_open(env, of, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0) ||
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
            _exit(1);
        uint64_t sum = digest(txn, "kv") * 3 + digest(txn, "blob");
        if (write(fds[1], &sum, sizeof(sum)) != sizeof(sum))
            _exit(2);
        _exit(sum == want ? ALL_CONTENT : OTHER_CONTENT);
    }
    close(fds[1]);
    if (ret)
        assert_int_equal(read(fds[0], ret, sizeof(*ret)), sizeof(*ret));
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_as_written(void **st)
{
    struct lmdb_walk w;
    make(false);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(walk(fd, &w), OK);
    assert_true(w.faults == 0 && w.want == 0 && w.free > 10 && w.pages * 4096 == file_len);
    close(fd);
}

/* Pages whose octets the walk looks at: those that begin with a header of a branch, a leaf or a meta page. */
static bool has_structure(size_t page)
{
    uint16_t flags;
    memcpy(&flags, file + page * 4096 + 10, sizeof(flags));
    return flags == 1 || flags == 2 || flags == 4 || flags == 8;
}

/* Values are other people's to check: a changed value is what a flip of an octet in it leaves. Every other change of
 * what LMDB reads has a fault. */
static void change_octets(bool compact)
{
    enum { TRIES = 700 };
    unsigned refused = 0, silent = 0, changed = 0;
    uint64_t whole = 0;
    char copy[420];
    make(compact);
    snprintf(copy, sizeof(copy), "%s/copy", checks_dir);
    int fd = open(copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, file, file_len, 0), file_len);
    (void)read_through(copy, 0, &whole);
    assert_true(whole > 1000);
    srand(11);
    for (unsigned i = 0; i < TRIES;) {
        size_t page = (size_t)rand() % (file_len / 4096), in = rand() % 2 ? (size_t)rand() % 64 : (size_t)rand() % 4096;
        size_t at = page * 4096 + in;
        uint8_t octet = file[at] ^ (uint8_t)(1 + rand() % 255);
        struct lmdb_walk w = {0};
        if (!has_structure(page))
            continue;
        i++;
        assert_int_equal(pwrite(fd, &octet, 1, (off_t)at), 1);
        int err = walk(fd, &w);
        if (err || w.faults) {
            refused++;
        } else {
            silent++;
            int read = read_through(copy, whole, NULL);
            changed += read == OTHER_CONTENT;
            if (read != ALL_CONTENT && read != OTHER_CONTENT)
                fail_msg("octet %zu of page %zu: LMDB ends with %d", in, page, read);
        }
        assert_int_equal(pwrite(fd, file + at, 1, (off_t)at), 1);
    }
    print_message("%u refused, %u of no consequence, %u of values and keys\n", refused, silent - changed, changed);
    assert_true(refused > TRIES / 50 && silent > TRIES / 10);
    close(fd);
    unlink(copy);
}

static void test_changed_octets(void **st)
{
    change_octets(false);
    change_octets(true);
}

/* Files that ended other programs by a signal, as their reports have it. at: in a meta page, or else in the first leaf
 * or overflow page; 2 octets are put there. */
static const struct {
    const char *report;
    uint16_t page_flags; /* of the page */
    size_t at;
    uint16_t value;
} reported[] = {
    {"lmdb-zero 30: no octets for pointers to nodes", 2, 12, 0},
    {"CVE-2019-16224: nodes that begin behind the page", 2, 14, 0xfff8},
    {"CVE-2019-16225: a leaf that says to be a run of pages", 2, 10, 4},
    {"CVE-2019-16227: a leaf of keys without values", 2, 10, 0x22},
    {"libmdbx 375: more pointers than the page holds", 2, 12, 0xe03d},
    {"a pointer behind the page", 2, 16, 0xfffe},
    {"a run of no pages", 4, 12, 0},
    {"CVE-2019-16228: pages of no octets", 8, 16 + 24, 0},
    {"OSMExpress 37: a tree of another kind", 8, 16 + 24 + 48 + 4, 4},
};

static void test_reported_files(void **st)
{
    make(true);
    int fd = memfd_create("walk", MFD_CLOEXEC);
    for (size_t i = 0; i < sizeof(reported) / sizeof(*reported); i++) {
        struct lmdb_walk w = {0};
        uint16_t flags = 0, was;
        size_t page = reported[i].page_flags == 8 ? 1 : 2;
        for (; memcpy(&flags, file + page * 4096 + 10, 2), flags != reported[i].page_flags; page++)
            assert_true((page + 2) * 4096 <= file_len);
        uint8_t *to = file + page * 4096 + reported[i].at;
        memcpy(&was, to, 2);
        memcpy(to, &reported[i].value, 2);
        assert_int_equal(pwrite(fd, file, file_len, 0), file_len);
        int err = walk(fd, &w);
        if (err != ERR_FORMAT && (err || !w.faults))
            fail_msg("%s: %d", reported[i].report, err);
        memcpy(to, &was, 2);
    }
    close(fd);
}

/* The file cut, and of other octets altogether: an answer, whatever they are. */
static void test_of_any_octets(void **st)
{
    struct lmdb_walk w;
    make(false);
    int fd = memfd_create("walk", MFD_CLOEXEC);
    assert_int_equal(walk(fd, &w), ERR_NOT_FOUND);
    assert_int_equal(pwrite(fd, file, file_len, 0), file_len);
    assert_int_equal(walk(fd, &w), OK);
    assert_int_equal(ftruncate(fd, (off_t)file_len / 2), 0);
    assert_int_equal(walk(fd, &w), OK);
    assert_true(w.faults > 0 && w.want > file_len / 2);
    assert_int_equal(ftruncate(fd, 5000), 0);
    assert_int_equal(walk(fd, &w), OK);
    assert_true(w.faults > 0);
    assert_int_equal(ftruncate(fd, 300), 0);
    assert_int_equal(walk(fd, &w), ERR_LIMIT);
    uint64_t pages = UINT64_C(1) << 40; /* that the file says it has */
    for (unsigned i = 0; i < 2; i++)
        memcpy(file + i * 4096 + 16 + 24 + 96, &pages, 8);
    assert_int_equal(pwrite(fd, file, file_len, 0), file_len);
    assert_int_equal(walk(fd, &w), OK);
    assert_int_equal(w.pages, pages + 1);
    close(fd);
}

static int removed(void **st)
{
    free(file);
    return checks_teardown(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_written),
        cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_reported_files),
        cmocka_unit_test(test_of_any_octets),
    };
    return cmocka_run_group_tests(tests, checks_setup, removed);
}
