/* The embedded engine over LMDB. One process writes and holds the lock file; readers map the file read-only, take no
 * lock and leave no trace, so nothing tells LMDB which pages they still see. The rolling pin tells it: the writer keeps
 * a read transaction at least turn_ms old, so pages of any snapshot younger than that are not used again.
 *
 * Why a reader is right. It takes the clock, picks the newer meta page (snapshot n) and copies the roots. If the writer
 * replaced that meta page meanwhile, the roots are another commit's: every commit puts its own number under 'S', so a
 * snapshot whose number and 'S' differ is thrown away. Otherwise n was the newest commit at a moment after the clock
 * was taken. Until turn_ms later the writer's oldest pin began before that clock, so it is n or older, and LMDB keeps
 * every page of n. What is read after that is refused, by looking at the clock behind each value that is read, in a
 * scan behind some of them and behind the last. A reader stopped for longer in the middle of a look-up may still touch
 * a page used again: it then may get nonsense (refused at its end), or at worst a fault that ends its process, never
 * the writer's. */
#include "store/engine_lmdb_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/lmdb_file.h"

/* The pin. */

static void pins_drop(struct lmdb_engine *e)
{
    for (unsigned i = 0; i < 2; i++) {
        mdb_txn_abort(e->pin[i]);
        e->pin[i] = NULL;
    }
}

/* The moment is taken after the snapshot: a pin is never older than it says. */
static int pin_take(struct lmdb_engine *e, MDB_txn *again, unsigned i)
{
    int rc = again ? mdb_txn_renew(again) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &again);
    if (rc)
        return lmdb_map_error(rc);
    e->pin[i] = again;
    e->pin_at[i] = lmdb_now_ns();
    return OK;
}

static void lmdb_tick(struct engine *base)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer || e->pin_off || !e->env || !e->pin[0])
        return;
    if (!e->pin[1]) {
        (void)pin_take(e, NULL, 1); /* on failure the older pin stays, which is safe, and the next tick tries again */
        return;
    }
    if (lmdb_now_ns() - e->pin_at[1] < e->turn_ns)
        return;
    MDB_txn *old = e->pin[0];
    e->pin[0] = e->pin[1];
    e->pin_at[0] = e->pin_at[1];
    e->pin[1] = NULL;
    mdb_txn_reset(old);
    if (pin_take(e, old, 1))
        mdb_txn_abort(old);
}

/* A writer that follows another finds readers whose snapshots no pin of its own protects: it sleeps until they are
 * over. */
static void first_wait(struct lmdb_engine *e)
{
    if (!e->wait_first || e->pin_off)
        return;
    for (uint64_t now; (now = lmdb_now_ns()) < e->pin_at[0] + e->turn_ns;) {
        uint64_t left = e->pin_at[0] + e->turn_ns - now;
        struct timespec ts = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        nanosleep(&ts, NULL);
    }
    e->wait_first = false;
}

void engine_lmdb_pin_off(struct engine *writer)
{
    struct lmdb_engine *e = lm(writer);
    e->pin_off = true;
    pins_drop(e);
}

/* Snapshots. */

static const uint8_t seq_key[PART_SIZE + 1] = {[PART_SIZE] = 'S'};

static int seq_read(struct lmdb_engine *e, MDB_txn *txn, uint64_t *ret)
{
    MDB_val k = {sizeof(seq_key), (void *)(uintptr_t)seq_key}, v;
    int rc = mdb_get(txn, e->kv, &k, &v);
    if (rc)
        return lmdb_map_error(rc);
    if (v.mv_size != 8)
        return ERR_FORMAT;
    *ret = lmdb_get_be(v.mv_data, 8);
    return OK;
}

/* Whether the snapshot is of one commit, and that one the newest or the one before. */
static bool snapshot_whole(struct lmdb_engine *e, MDB_txn *txn)
{
    uint64_t seq, id = mdb_txn_id(txn);
    MDB_envinfo info;
    if (seq_read(e, txn, &seq) || seq != id || mdb_env_info(e->env, &info))
        return false;
    return info.me_last_txnid - id <= 1;
}

static int reader_begin_once(struct lmdb_engine *e)
{
    struct lmdb_txn *t = &e->read;
    t->begun = lmdb_now_ns();
    int rc = t->txn ? mdb_txn_renew(t->txn) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &t->txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(e->env, 0);
        return rc ? lmdb_map_error(rc) : ERR_AGAIN;
    }
    if (rc)
        return lmdb_map_error(rc);
    if (snapshot_whole(e, t->txn) && lmdb_now_ns() - t->begun < e->turn_ns)
        return OK;
    mdb_txn_reset(t->txn);
    return ERR_AGAIN;
}

static int lmdb_read_begin(struct engine *base, struct engine_txn **ret)
{
    struct lmdb_engine *e = lm(base);
    struct lmdb_txn *t = &e->read;
    if (!e->env || t->open)
        return ERR_CONFLICT;
    int err = ERR_AGAIN;
    if (e->writer) {
        int rc = t->txn ? mdb_txn_renew(t->txn) : mdb_txn_begin(e->env, NULL, MDB_RDONLY, &t->txn);
        err = lmdb_map_error(rc);
    }
    for (unsigned i = 0; err == ERR_AGAIN && i < BEGIN_TRIES; i++)
        err = reader_begin_once(e);
    if (err)
        return err == ERR_AGAIN ? ERR_OVERRUN : err;
    t->base = (struct engine_txn){.e = base};
    t->open = true;
    *ret = &t->base;
    return OK;
}

static int lmdb_read_end(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    mdb_txn_reset(t->txn);
    t->open = false;
    return lmdb_overrun(t) ? ERR_OVERRUN : OK;
}

/* Groups. */

/* A file that was deleted while it is served would take what is written with it when the process ends. */
static bool file_deleted(struct lmdb_engine *e)
{
    struct stat st;
    int fd;
    return e->env && mdb_env_get_fd(e->env, &fd) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* Looked at once a turn, not for each group. */
static bool file_in_place(struct lmdb_engine *e)
{
    uint64_t now = lmdb_now_ns();
    if (e->looked_at && now - e->looked_at < e->turn_ns)
        return true;
    if (file_deleted(e))
        return false;
    e->looked_at = now;
    return true;
}

static int lmdb_group_begin(struct engine *base, struct engine_txn **ret)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer)
        return ERR_DENIED;
    if (!e->env || !file_in_place(e))
        return ERR_IO;
    if (e->group.open)
        return ERR_CONFLICT;
    first_wait(e);
    lmdb_tick(base);
    uint64_t room = lmdb_group_pages(e);
    int rc = mdb_txn_begin(e->env, NULL, 0, &e->group.txn);
    if (rc)
        return lmdb_map_error(rc);
    e->group.base = (struct engine_txn){.e = base, .group = true};
    e->group.open = true;
    e->group.wrote = false;
    e->group.room = room;
    *ret = &e->group.base;
    return OK;
}

static void lmdb_group_abort(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    mdb_txn_abort(t->txn);
    t->txn = NULL;
    t->open = false;
}

/* Pages that a commit took and gave back are counted as the file's and were never written: at its end they leave it
 * shorter than its newest meta page says, as if it were cut. Only a commit that made the file grow can do so. A file
 * that stays short after all (a crash in between) is looked at page by page when it is opened. */
static void file_fill(struct lmdb_engine *e)
{
    MDB_envinfo info;
    MDB_stat st;
    struct stat file;
    int fd;
    if (mdb_env_info(e->env, &info) || info.me_last_pgno <= e->last_page || mdb_env_stat(e->env, &st) ||
        mdb_env_get_fd(e->env, &fd) || fstat(fd, &file))
        return;
    off_t whole = (off_t)(info.me_last_pgno + 1) * st.ms_psize;
    if (file.st_size >= whole || pwrite(fd, "", 1, whole - 1) == 1)
        e->last_page = info.me_last_pgno;
}

static int lmdb_group_commit(struct engine_txn *base)
{
    struct lmdb_txn *t = lt(base);
    struct lmdb_engine *e = lm(base->e);
    if (!t->wrote && !e->unstamped) {
        lmdb_group_abort(base);
        return OK;
    }
    uint8_t seq[8];
    lmdb_put_be(seq, mdb_txn_id(t->txn), 8);
    MDB_val k = {sizeof(seq_key), (void *)(uintptr_t)seq_key}, v = {sizeof(seq), seq};
    int rc = mdb_put(t->txn, e->kv, &k, &v, 0);
    if (rc) {
        lmdb_group_abort(base);
        return lmdb_map_error(rc);
    }
    rc = mdb_txn_commit(t->txn);
    if (rc == EIO && lmdb_disk_full(e)) /* LMDB calls a short write so */
        rc = ENOSPC;
    t->txn = NULL;
    t->open = false;
    e->unstamped = e->unstamped && rc;
    if (!rc)
        file_fill(e);
    return lmdb_map_error(rc);
}

/* Opening and closing. */

static void env_drop(struct lmdb_engine *e)
{
    if (!e->env)
        return;
    pins_drop(e);
    mdb_txn_abort(e->read.txn);
    if (e->group.open)
        mdb_txn_abort(e->group.txn);
    mdb_env_close(e->env);
    e->env = NULL;
    memset(&e->read, 0, sizeof(e->read));
    memset(&e->group, 0, sizeof(e->group));
}

static void lmdb_close(struct engine *base)
{
    env_drop(lm(base));
    if (lm(base)->reserve_fd >= 0)
        close(lm(base)->reserve_fd);
    free(base);
}

static int dbis_open(struct lmdb_engine *e, MDB_txn *txn, unsigned flags)
{
    int rc = mdb_dbi_open(txn, "kv", flags, &e->kv);
    return rc ? rc : mdb_dbi_open(txn, "blob", flags, &e->blob);
}

static int env_open(struct lmdb_engine *e, unsigned flags)
{
    int rc = mdb_env_create(&e->env);
    if (rc)
        return lmdb_map_error(rc);
    rc = mdb_env_set_maxdbs(e->env, 2);
    if (!rc && e->map_size)
        rc = mdb_env_set_mapsize(e->env, e->map_size);
    if (!rc && e->writer)
        rc = mdb_env_set_maxreaders(e->env, READERS_MAX);
    if (!rc)
        rc = mdb_env_open(e->env, e->path, flags | MDB_NOTLS, 0600);
    return lmdb_map_error(rc);
}

/* Opens what is there without changing it, since it may be a newer version's; a store that has no writer's number
 * (copied or restored) gets it with the first commit, even an empty one. */
static int dbis_prepare(struct lmdb_engine *e)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_map_error(rc);
    uint64_t seq = 0, id = mdb_txn_id(txn);
    rc = dbis_open(e, txn, 0);
    int err = rc ? lmdb_map_error(rc) : seq_read(e, txn, &seq);
    if (rc)
        mdb_txn_abort(txn);
    else
        mdb_txn_commit(txn); /* keeps the handles */
    e->unstamped = seq != id;
    if (err != ERR_NOT_FOUND || !rc)
        return err == ERR_NOT_FOUND ? OK : err;
    if (!e->make)
        return ERR_FORMAT;
    e->wait_first = e->wait_first && id > 0; /* an empty file has no readers */
    first_wait(e);
    rc = mdb_txn_begin(e->env, NULL, 0, &txn);
    if (rc)
        return lmdb_map_error(rc);
    rc = dbis_open(e, txn, MDB_CREATE);
    if (rc) {
        mdb_txn_abort(txn);
        return lmdb_map_error(rc);
    }
    e->group = (struct lmdb_txn){.base = {.e = &e->base, .group = true}, .txn = txn, .open = true, .wrote = true};
    return lmdb_group_commit(&e->group.base);
}

/* LMDB would make a file that is missing or empty, and map one that is cut short. */
static int file_check(const struct lmdb_engine *e)
{
    char path[PATH_CAP + 16];
    struct lmdb_file f;
    snprintf(path, sizeof(path), "%s/data.mdb", e->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return e->make && errno == ENOENT ? OK : lmdb_map_error(errno);
    int err = lmdb_file_check(fd, &f);
    close(fd);
    return err == ERR_NOT_FOUND && e->make ? OK : err == ERR_LIMIT ? ERR_FORMAT : err;
}

static int writer_open(struct lmdb_engine *e)
{
    int dead, err = file_check(e);
    if (!err)
        err = lmdb_reserve_open(e);
    if (!err)
        err = env_open(e, 0);
    if (!err)
        err = lmdb_map_error(mdb_reader_check(e->env, &dead));
    if (!err)
        err = pin_take(e, NULL, 0);
    e->wait_first = true;
    if (!err)
        err = dbis_prepare(e);
    if (err && e->env)
        env_drop(e);
    return err;
}

static int reader_open(struct lmdb_engine *e)
{
    int err = env_open(e, MDB_RDONLY | MDB_NOLOCK);
    for (unsigned i = 0; !err && i < BEGIN_TRIES; i++) {
        MDB_txn *txn;
        int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
        if (rc == MDB_MAP_RESIZED) {
            err = lmdb_map_error(mdb_env_set_mapsize(e->env, 0));
            continue;
        }
        if (rc) {
            err = lmdb_map_error(rc);
            break;
        }
        rc = dbis_open(e, txn, 0);
        if (!rc && snapshot_whole(e, txn)) {
            mdb_txn_commit(txn); /* keeps the handles */
            return OK;
        }
        mdb_txn_abort(txn);
        if (rc && i + 1 == BEGIN_TRIES)
            err = lmdb_map_error(rc);
    }
    if (e->env)
        env_drop(e);
    return err ? err : ERR_CONFLICT;
}

static int lmdb_reopen(struct engine *base)
{
    struct lmdb_engine *e = lm(base);
    if (e->writer && file_deleted(e))
        return ERR_IO; /* whoever still has it open can copy it */
    env_drop(e);
    return e->writer ? writer_open(e) : reader_open(e);
}

static int lmdb_copy(struct engine *base, int fd)
{
    struct lmdb_engine *e = lm(base);
    if (!e->writer)
        return ERR_UNSUPPORTED;                                                          /* takes longer than a turn */
    return e->env ? lmdb_error_of(mdb_env_copyfd2(e->env, fd, MDB_CP_COMPACT)) : ERR_IO; /* the backup's thread */
}

static int lmdb_stat(struct engine *base, struct engine_stat *ret)
{
    struct lmdb_engine *e = lm(base);
    struct engine_txn *t;
    MDB_envinfo info;
    MDB_stat kv, blob;
    uint64_t free_pages = 0;
    int err = lmdb_read_begin(base, &t);
    if (err)
        return err;
    MDB_txn *txn = lt(t)->txn;
    int rc = mdb_env_info(e->env, &info);
    if (!rc)
        rc = mdb_stat(txn, e->kv, &kv);
    if (!rc)
        rc = mdb_stat(txn, e->blob, &blob);
    err = rc ? lmdb_map_error(rc) : lmdb_count_free(txn, UINT64_MAX, &free_pages);
    int end = lmdb_read_end(t);
    if (err || end)
        return err ? err : end;
    *ret = (struct engine_stat){.seq = info.me_last_txnid,
                                .map_size = info.me_mapsize,
                                .used_bytes = (uint64_t)(info.me_last_pgno + 1) * kv.ms_psize,
                                .free_bytes = free_pages * kv.ms_psize,
                                .entries = kv.ms_entries + blob.ms_entries};
    return OK;
}

static const struct engine_ops lmdb_ops = {
    .name = "lmdb",
    .close = lmdb_close,
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .group_begin = lmdb_group_begin,
    .group_commit = lmdb_group_commit,
    .group_abort = lmdb_group_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .scan = lmdb_scan,
    .partitions = lmdb_partitions,
    .blob_room = lmdb_blob_room,
    .blob_get = lmdb_blob_get,
    .blob_del = lmdb_blob_del,
    .blobs = lmdb_blobs,
    .copy = lmdb_copy,
    .reopen = lmdb_reopen,
    .tick = lmdb_tick,
    .stat = lmdb_stat,
    .room = lmdb_room,
    .reserve = lmdb_reserve,
};

static int lmdb_open(const char *path, uint64_t map_size, uint32_t turn_ms, bool writer, bool make, struct engine **ret)
{
    struct lmdb_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return ERR_MEMORY;
    e->base.ops = &lmdb_ops;
    e->writer = writer;
    e->make = make;
    e->reserve_fd = -1;
    e->map_size = map_size & ~UINT64_C(0xffff);
    e->turn_ns = (uint64_t)turn_ms * 1000000u;
    int n = snprintf(e->path, sizeof(e->path), "%s", path);
    int err = n < 0 || (size_t)n >= sizeof(e->path) ? ERR_LIMIT : OK;
    if (!err)
        err = writer ? writer_open(e) : reader_open(e);
    if (err) {
        if (e->reserve_fd >= 0)
            close(e->reserve_fd);
        free(e);
        return err;
    }
    e->make = false; /* what is there now is not made a second time */
    *ret = &e->base;
    return OK;
}

int engine_lmdb_create(const char *path, uint64_t map_size, uint32_t turn_ms, struct engine **ret)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return lmdb_map_error(errno);
    return lmdb_open(path, map_size, turn_ms, true, true, ret);
}

int engine_lmdb_writer(const char *path, uint64_t map_size, uint32_t turn_ms, struct engine **ret)
{
    return lmdb_open(path, map_size, turn_ms, true, false, ret);
}

int engine_lmdb_reader(const char *path, uint32_t turn_ms, struct engine **ret)
{
    return lmdb_open(path, 0, turn_ms, false, false, ret);
}
