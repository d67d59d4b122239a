/* The rolling pin, with processes: a writer that churns as fast as it can and is killed again and again, readers
 * without locks that check every byte. The same run with the pin switched off must show wrong values, or the test
 * proves nothing. LETTERLOCK_LONG=seconds runs longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/engine_impl.h"

enum { ITEMS = 96, READERS = 3, TURN_MS = 60, CHUNKS_MAX = 4, PART = 16, MAP = 1 << 30 };

struct counters {
    volatile uint64_t snapshots, values, wrong, late, retried, failed, ready;
};
struct shared {
    struct counters r[READERS];
    volatile uint64_t commits, open_failed;
    volatile int stop;
};

/* What a record says of its blob; the index lists the generation of every item, so that a snapshot is checked as a
 * whole. */
struct item {
    uint64_t id, gen;
    uint32_t chunks, last_len;
    uint8_t blob_hash[32], self_hash[32];
};
struct index {
    uint64_t newest;
    uint64_t gen[ITEMS];
    uint8_t hash[32];
};

static char dir[256];

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void chunk_fill(uint8_t *out, size_t len, uint64_t id, uint64_t gen, uint32_t n)
{
    uint8_t seed[randombytes_SEEDBYTES] = {0};
    memcpy(seed, &id, 8);
    memcpy(seed + 8, &gen, 8);
    memcpy(seed + 16, &n, 4);
    randombytes_buf_deterministic(out, len, seed);
}

static struct slice item_key(uint8_t k[9], uint64_t id)
{
    k[0] = 'r';
    memcpy(k + 1, &id, 8);
    return slice_of(k, 9);
}

static int item_write(struct engine_txn *t, uint64_t id, uint64_t gen)
{
    static uint8_t chunk[ENGINE_BLOB_CHUNK];
    struct item it = {.id = id,
                      .gen = gen,
                      .chunks = 1 + randombytes_uniform(CHUNKS_MAX),
                      .last_len = 1 + randombytes_uniform(ENGINE_BLOB_CHUNK)};
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, 32);
    for (uint32_t n = 0; n < it.chunks; n++) {
        size_t len = n + 1 == it.chunks ? it.last_len : ENGINE_BLOB_CHUNK;
        chunk_fill(chunk, len, id, gen, n);
        crypto_generichash_update(&h, chunk, len);
        int err = engine_blob_put(t, PART, BLOB_PACKETS, id, n, slice_of(chunk, len));
        if (err)
            return err;
    }
    crypto_generichash_final(&h, it.blob_hash, 32);
    crypto_generichash(it.self_hash, 32, (const uint8_t *)&it, offsetof(struct item, self_hash), NULL, 0);
    uint8_t kb[9];
    return engine_put(t, PART, item_key(kb, id), slice_of(&it, sizeof(it)));
}

static int churn_once(struct engine *e)
{
    struct engine_txn *t;
    struct index ix = {0};
    struct slice v;
    int err = engine_group_begin(e, &t);
    if (err)
        return err;
    if (engine_get(t, PART, slice_of("x", 1), &v) == OK)
        memcpy(&ix, v.data, sizeof(ix));
    ix.newest++;
    for (unsigned n = 1 + randombytes_uniform(4); n && !err; n--) {
        uint64_t id = randombytes_uniform(ITEMS);
        uint8_t kb[9];
        if (ix.gen[id]) {
            err = engine_blob_del(t, PART, BLOB_PACKETS, id);
            if (!err)
                err = engine_del(t, PART, item_key(kb, id));
        }
        ix.gen[id] = randombytes_uniform(4) ? ix.newest : 0;
        if (!err && ix.gen[id])
            err = item_write(t, id, ix.gen[id]);
    }
    crypto_generichash(ix.hash, 32, (const uint8_t *)&ix, offsetof(struct index, hash), NULL, 0);
    if (!err)
        err = engine_put(t, PART, slice_of("x", 1), slice_of(&ix, sizeof(ix)));
    if (err) {
        engine_group_abort(t);
        return err;
    }
    return engine_group_commit(t);
}

static void writer_main(struct shared *s, bool pin)
{
    struct engine *e;
    if (engine_lmdb_create(dir, MAP, TURN_MS, &e)) {
        s->open_failed++;
        _exit(1);
    }
    if (!pin)
        engine_lmdb_pin_off(e);
    while (!s->stop) {
        engine_tick(e);
        if (churn_once(e))
            _exit(2);
        s->commits++;
    }
    engine_close(e);
    _exit(0);
}

static bool item_right(const struct item *it, uint64_t id, uint64_t gen)
{
    uint8_t h[32];
    crypto_generichash(h, 32, (const uint8_t *)it, offsetof(struct item, self_hash), NULL, 0);
    return !memcmp(h, it->self_hash, 32) && it->id == id && it->gen == gen && it->chunks >= 1 &&
           it->chunks <= CHUNKS_MAX;
}

/* 0 right, 1 wrong, 2 over the turn. */
static int item_check(struct engine_txn *t, uint64_t id, uint64_t gen, uint64_t *values)
{
    uint8_t kb[9], h[32];
    struct slice v;
    struct item it;
    int err = engine_get(t, PART, item_key(kb, id), &v);
    if (err == ERR_OVERRUN)
        return 2;
    ++*values;
    if (!gen)
        return err != ERR_NOT_FOUND || engine_blob_get(t, PART, BLOB_PACKETS, id, 0, &v) == OK;
    if (err || v.len != sizeof(it))
        return 1;
    memcpy(&it, v.data, sizeof(it));
    if (!item_right(&it, id, gen))
        return 1;
    crypto_generichash_state hs;
    crypto_generichash_init(&hs, NULL, 0, 32);
    for (uint32_t n = 0; n < it.chunks; n++) {
        err = engine_blob_get(t, PART, BLOB_PACKETS, id, n, &v);
        if (err == ERR_OVERRUN)
            return 2;
        if (err || v.len != (n + 1 == it.chunks ? it.last_len : ENGINE_BLOB_CHUNK))
            return 1;
        crypto_generichash_update(&hs, v.data, v.len);
        ++*values;
    }
    if (engine_blob_get(t, PART, BLOB_PACKETS, id, it.chunks, &v) == OK)
        return 1;
    crypto_generichash_final(&hs, h, 32);
    return memcmp(h, it.blob_hash, 32) != 0;
}

static int count_items(void *arg, struct slice key, struct slice value)
{
    unsigned *n = arg;
    *n += key.len == 9 && value.len == sizeof(struct item);
    return 0;
}

static int snapshot_check(struct engine_txn *t, unsigned naps, uint64_t *values, uint64_t *ret_newest)
{
    struct index ix;
    struct slice v;
    uint8_t h[32];
    unsigned want = 0, have = 0;
    int err = engine_get(t, PART, slice_of("x", 1), &v);
    if (err)
        return err == ERR_OVERRUN ? 2 : err == ERR_NOT_FOUND ? 0 : 1;
    if (v.len != sizeof(ix))
        return 1;
    memcpy(&ix, v.data, sizeof(ix));
    crypto_generichash(h, 32, (const uint8_t *)&ix, offsetof(struct index, hash), NULL, 0);
    if (memcmp(h, ix.hash, 32))
        return 1;
    *ret_newest = ix.newest;
    usleep(naps);
    for (uint64_t id = 0; id < ITEMS; id++) {
        int r = item_check(t, id, ix.gen[id], values);
        if (r)
            return r;
        want += ix.gen[id] != 0;
    }
    err = engine_scan(t, PART, slice_of("r", 1), slice_of("s", 1), 0, count_items, &have);
    return err == ERR_OVERRUN ? 2 : err || want != have;
}

static void reader_main(struct shared *s, struct counters *c)
{
    struct engine *e;
    struct engine_txn *t;
    uint64_t newest = 0;
    while (engine_lmdb_reader(dir, TURN_MS, &e) != OK && !s->stop)
        usleep(1000);
    c->ready = 1;
    while (!s->stop) {
        uint64_t values = 0, seen = newest;
        if (engine_read_begin(e, &t)) {
            c->failed++;
            continue;
        }
        unsigned nap = randombytes_uniform(4) ? 0 : randombytes_uniform(TURN_MS * 900);
        int err = snapshot_check(t, nap, &values, &seen);
        int end = engine_read_end(t);
        if (end == ERR_OVERRUN) {
            c->late++; /* thrown away whatever it was */
            continue;
        }
        c->values += values;
        c->snapshots++;
        if (err || seen < newest) /* never back in time */
            c->wrong++;
        newest = seen;
    }
    engine_close(e);
    _exit(0);
}

/* A process that dies of wrong bytes must die, not go on in the test runner's own signal handler. */
static void child_signals(void)
{
    static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none);
    for (unsigned i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
        signal(deadly[i], SIG_DFL);
}

static pid_t start(void (*fn)(struct shared *, unsigned), struct shared *s, unsigned n)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        child_signals();
        fn(s, n);
        _exit(9);
    }
    return pid;
}

static void start_writer(struct shared *s, unsigned pin)
{
    writer_main(s, pin);
}
static void start_reader(struct shared *s, unsigned n)
{
    reader_main(s, &s->r[n]);
}

static void wipe_dir(void)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "reserve"};
    for (unsigned i = 0; i < 3; i++) {
        char path[300];
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
}

static struct shared *shared_new(void)
{
    wipe_dir();
    struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    return s;
}

struct result {
    uint64_t snapshots, values, wrong, late, failed, commits;
    unsigned readers_dead, kills;
    uint64_t file;
};

/* A reader that was shown pages in use again may follow them in a circle for ever: it counts as dead. */
static void reap(pid_t pid, int *ret_status)
{
    for (unsigned waited = 0; waitpid(pid, ret_status, WNOHANG) == 0; waited++) {
        if (waited == 2000)
            kill(pid, SIGKILL);
        usleep(5000);
    }
}

static struct result run(bool pin, unsigned ms, unsigned kill_every_ms)
{
    struct shared *s = shared_new();
    struct result res = {0};
    pid_t readers[READERS], writer = start(start_writer, s, pin);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = start(start_reader, s, i);
    uint64_t end = now_ms() + ms, kill_at = now_ms() + kill_every_ms;
    while (now_ms() < end) {
        usleep(5000);
        if (kill_every_ms && now_ms() >= kill_at) {
            kill(writer, SIGKILL);
            waitpid(writer, NULL, 0);
            res.kills++;
            writer = start(start_writer, s, pin);
            kill_at = now_ms() + kill_every_ms / 2 + randombytes_uniform(kill_every_ms);
        }
    }
    s->stop = 1;
    int status;
    waitpid(writer, &status, 0);
    assert_int_equal(status, 0);
    for (unsigned i = 0; i < READERS; i++) {
        reap(readers[i], &status);
        res.readers_dead += status != 0;
        res.snapshots += s->r[i].snapshots;
        res.values += s->r[i].values;
        res.wrong += s->r[i].wrong;
        res.late += s->r[i].late;
        res.failed += s->r[i].failed;
    }
    res.commits = s->commits;
    struct stat st;
    char path[300];
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    res.file = stat(path, &st) ? 0 : (uint64_t)st.st_size;
    printf("pin %s: %u ms, %llu commits, %u kills; %llu snapshots, %llu values, %llu wrong, %llu late, %llu begins "
           "failed, %u readers died, file %llu MB\n",
           pin ? "on" : "off", ms, (unsigned long long)res.commits, res.kills, (unsigned long long)res.snapshots,
           (unsigned long long)res.values, (unsigned long long)res.wrong, (unsigned long long)res.late,
           (unsigned long long)res.failed, res.readers_dead, (unsigned long long)(res.file >> 20));
    assert_int_equal(s->open_failed, 0);
    munmap(s, sizeof(*s));
    return res;
}

static unsigned run_ms(void)
{
    const char *s = getenv("LETTERLOCK_LONG");
    return s && atoi(s) > 0 ? (unsigned)atoi(s) * 1000u : 3000u;
}

static void test_churn(void **state)
{
    struct result r = run(true, run_ms(), 0);
    assert_true(r.commits > 50 && r.snapshots > 50);
    assert_int_equal(r.wrong, 0);
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.readers_dead, 0);
}

static void test_churn_with_kills(void **state)
{
    struct result r = run(true, run_ms(), 250);
    assert_true(r.kills > 3 && r.commits > 50 && r.snapshots > 50);
    assert_int_equal(r.wrong, 0);
    assert_int_equal(r.readers_dead, 0);
}

/* The control: without the pin the same readers see wrong values, or die of them. */
static void test_control_without_pin(void **state)
{
    struct result r = run(false, 3000, 0);
    assert_true(r.wrong + r.readers_dead > 0);
}

static void test_slow_reader(void **state)
{
    struct shared *s = shared_new();
    pid_t writer = start(start_writer, s, 1);
    struct engine *e;
    struct engine_txn *t;
    struct slice v;
    while (engine_lmdb_reader(dir, TURN_MS, &e))
        usleep(1000);
    while (s->commits < 20)
        usleep(1000);
    assert_int_equal(engine_read_begin(e, &t), OK);
    assert_int_equal(engine_get(t, PART, slice_of("x", 1), &v), OK);
    assert_int_equal(engine_read_end(t), OK);
    assert_int_equal(engine_read_begin(e, &t), OK);
    assert_int_equal(engine_read_begin(e, &t), ERR_CONFLICT); /* snapshots do not nest */
    usleep((TURN_MS + 5) * 1000);
    unsigned n = 0;
    assert_int_equal(engine_get(t, PART, slice_of("x", 1), &v), ERR_OVERRUN);
    assert_int_equal(engine_scan(t, PART, slice_of("r", 1), slice_of("s", 1), 0, count_items, &n), ERR_OVERRUN);
    assert_int_equal(n, 0);
    assert_int_equal(engine_read_end(t), ERR_OVERRUN);
    assert_int_equal(engine_read_begin(e, &t), OK); /* and goes on */
    assert_int_equal(engine_read_end(t), OK);
    s->stop = 1;
    waitpid(writer, NULL, 0);
    engine_close(e);
    munmap(s, sizeof(*s));
}

struct slow_scan {
    unsigned slow, n; /* at which value its turn ends; how many came */
    int answer;       /* then */
};

static int slow_one(void *arg, struct slice key, struct slice value)
{
    struct slow_scan *s = arg;
    if (s->n++ != s->slow)
        return OK;
    usleep((TURN_MS + 5) * 1000);
    return s->answer;
}

/* A scan that outlives its turn says nothing else, whatever was made of its values, and ends soon. */
static void test_slow_scan(void **state)
{
    enum { VALUES = 40, SOON = 16 };
    static const struct slow_scan table[] = {
        {.slow = 0},
        {.slow = 3},
        {.slow = 15},
        {.slow = 16},
        {.slow = VALUES - 1},
        {.slow = 3, .answer = 1},
        {.slow = 3, .answer = ERR_CRYPTO},
        {.slow = VALUES - 1, .answer = ERR_FORMAT},
    };
    struct engine *w, *e;
    struct engine_txn *t;
    wipe_dir();
    assert_int_equal(engine_lmdb_create(dir, MAP, TURN_MS, &w), OK);
    assert_int_equal(engine_group_begin(w, &t), OK);
    for (uint8_t i = 0; i < VALUES; i++)
        assert_int_equal(engine_put(t, PART, slice_of((uint8_t[]){'r', i}, 2), slice_of("", 0)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(engine_lmdb_reader(dir, TURN_MS, &e), OK);
    for (size_t i = 0; i < 2 * sizeof(table) / sizeof(*table); i++) {
        struct slow_scan s;
        do { /* a busy machine may end the turn before */
            s = table[i / 2];
            while (engine_read_begin(e, &t))
                usleep(1000);
            assert_int_equal(engine_scan(t, PART, slice_of("r", 1), slice_of("s", 1), i % 2 ? ENGINE_REVERSE : 0,
                                         slow_one, &s),
                             ERR_OVERRUN);
            assert_int_equal(engine_read_end(t), ERR_OVERRUN);
        } while (s.n <= s.slow);
        assert_true(s.n <= s.slow + (s.answer ? 1 : SOON));
    }
    engine_close(e);
    engine_close(w);
}

/* A writer that finds an existing store commits nothing before its first pin is a turn old. */
static void test_first_commit_waits(void **state)
{
    struct engine *e;
    wipe_dir();
    assert_int_equal(engine_lmdb_create(dir, MAP, TURN_MS, &e), OK);
    assert_int_equal(churn_once(e), OK);
    engine_close(e);
    uint64_t before = now_ms();
    assert_int_equal(engine_lmdb_create(dir, MAP, TURN_MS, &e), OK);
    assert_int_equal(churn_once(e), OK);
    assert_true(now_ms() - before >= TURN_MS - 1);
    uint64_t least = UINT64_MAX; /* of many: one may be slow by itself */
    for (int i = 0; i < 50 && least >= TURN_MS; i++) {
        before = now_ms();
        assert_int_equal(churn_once(e), OK);
        least = now_ms() - before < least ? now_ms() - before : least;
    }
    assert_true(least < TURN_MS);
    engine_close(e);
}

static int setup(void **state)
{
    const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm"; /* no disk to wait for: more commits a second */
    snprintf(dir, sizeof(dir), "%s/letterlock-pin-XXXXXX", getenv("LETTERLOCK_TMP") ? getenv("LETTERLOCK_TMP") : base);
    return sodium_init() < 0 || !mkdtemp(dir);
}

static int teardown(void **state)
{
    wipe_dir();
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_commit_waits), cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_slow_scan),          cmocka_unit_test(test_churn),
        cmocka_unit_test(test_churn_with_kills),   cmocka_unit_test(test_control_without_pin),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
