/* A small ordered key-value store, partitioned by account: consistent snapshots, range scans, one atomic commit an
 * account, blobs beside. Kept to what an embedded store (LMDB) and an object store (one omap object an account, guarded
 * compound writes) can both give: a group of writes is synced together, but only what it does inside one partition is
 * promised to be atomic after a failure. One writer in all (the vault); readers never write, not even a lock file. */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"
#include "store/blob.h"

/* What whole pages hold in LMDB, which gives a page or more to every value that is not small. */
#define ENGINE_RUN(pages) ((pages)*4096 - 16)
enum { ENGINE_KEY_MAX = 200, ENGINE_VALUE_MAX = 16368, ENGINE_BLOB_CHUNK = 16368 };

struct engine;
struct engine_stat {
    uint64_t seq, map_size, used_bytes, free_bytes, entries;
};
/* What may still be written, in octets, beside what is free inside the store (engine_stat.free_bytes). */
struct engine_room {
    uint64_t disk_free, disk_total, map_free;
};
struct engine_txn; /* a snapshot, or the one open group of writes, which reads its own writes */

/* The vtable. Callers use the engine_ functions below. */
struct engine_ops {
    const char *name;
    void (*close)(struct engine *e);
    int (*read_begin)(struct engine *e, struct engine_txn **ret);
    int (*read_end)(struct engine_txn *t);
    int (*group_begin)(struct engine *e, struct engine_txn **ret);
    int (*group_commit)(struct engine_txn *t);
    void (*group_abort)(struct engine_txn *t);
    int (*get)(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret);
    int (*put)(struct engine_txn *t, uint64_t part, struct slice key, struct slice value);
    int (*del)(struct engine_txn *t, uint64_t part, struct slice key);
    int (*scan)(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                int (*fn)(void *arg, struct slice key, struct slice value), void *arg);
    int (*partitions)(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg);
    int (*blob_room)(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                     uint8_t **ret);
    int (*blob_get)(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                    struct slice *ret);
    /* NULL: every blob is at hand. */
    int (*fetch)(struct engine *e, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
                 struct blob_fetch **ret);
    void (*fetch_end)(struct blob_fetch *f);
    int (*blob_del)(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id);
    int (*blobs)(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
                 void *arg);
    int (*copy)(struct engine *e, int fd);
    int (*reopen)(struct engine *e);
    int (*resolve)(struct engine *e, bool *ret_applied); /* NULL: group_commit is never ERR_UNKNOWN */
    void (*tick)(struct engine *e);
    int (*stat)(struct engine *e, struct engine_stat *ret);
    int (*room)(struct engine *e, struct engine_room *ret); /* NULL: no bound is known; and so is reserve */
    int (*reserve)(struct engine *e, uint64_t bytes, uint64_t *ret_held);
};

/* LMDB (engine_lmdb.c). path is the data file's directory. The writer holds the lock file and a rolling pin: a read
 * transaction at least turn_ms old, so that pages a reader can still see are not used again; it makes no commit before
 * its first pin is that old. It makes nothing: ERR_NOT_FOUND, no file or an empty one; ERR_FORMAT, cut short or not a
 * store. A file that is deleted meanwhile takes no more groups (ERR_IO), and engine_copy still copies it. */
int engine_lmdb_writer(const char *path, uint64_t map_size, uint32_t turn_ms, struct engine **ret);
/* The same, and what is missing is made: the folder, the file. */
int engine_lmdb_create(const char *path, uint64_t map_size, uint32_t turn_ms, struct engine **ret);
/* MDB_RDONLY|MDB_NOLOCK; opened before the sandbox. */
int engine_lmdb_reader(const char *path, uint32_t turn_ms, struct engine **ret);
/* For tests: in memory; and one that wraps another and fails its n-th call (counting put, del, blob_room, blob_del,
 * group_begin, group_commit) with err. */
int engine_mem_create(struct engine **ret);
void engine_one_partition(struct engine *e); /* for tests: a step's write into a second partition is ERR_CONFLICT */
int engine_fail_wrap(struct engine *inner, struct engine **ret); /* owns inner */
void engine_fail_at(struct engine *fail, uint64_t nth, int err); /* 0: never; counts from this call on */
/* From now on packets are not at hand. arrive: what was asked for since comes, or not for the reason err; done is
 * called here. Gives how many pieces that were. */
void engine_fail_later(struct engine *fail);
size_t engine_fail_arrive(struct engine *fail, int err);
/* The next commit is ERR_UNKNOWN, applied or not; engine_resolve is ERR_TIMEOUT so many times before it tells. */
void engine_fail_unknown(struct engine *fail, bool applied, unsigned timeouts);
void engine_fail_room(struct engine *fail, const struct engine_room *room); /* what it tells from now on */
void engine_fail_overrun(struct engine *fail, uint64_t n); /* the next n snapshots end with ERR_OVERRUN */

void engine_close(struct engine *e);

/* A snapshot lives for one turn of its reader's loop, never across a wait. read_end answers ERR_OVERRUN when it lived
 * longer than turn_ms: whatever was read must then be thrown away and read again. Snapshots of one reader engine do not
 * nest: ERR_CONFLICT. read_begin retries by itself when commits overtook it; ERR_OVERRUN: they always did. */
int engine_read_begin(struct engine *e, struct engine_txn **ret);
int engine_read_end(struct engine_txn *t);

/* One group at a time. commit: OK means on disk; either way t is gone. A put or del that failed (other than with
 * ERR_NOT_FOUND) fails the commit too. Of a commit that fails nothing is there, and after ERR_IO engine_reopen comes
 * before the next group (not after ERR_FULL: what is there stays good). But ERR_UNKNOWN: it may be there, now or in a
 * moment, or never; until engine_resolve has told which, snapshots may show either and group_begin answers ERR_UNKNOWN.
 * LMDB always knows. The first group_begin after opening may sleep for turn_ms. */
int engine_group_begin(struct engine *e, struct engine_txn **ret);
int engine_group_commit(struct engine_txn *t);
void engine_group_abort(struct engine_txn *t);
/* What is written from here on belongs to another step of the group (in the vault: to the next request). A step writes
 * into one partition alone, because no engine need promise more of it after a failure. */
void engine_step(struct engine_txn *t);

/* In a group whose put or del failed, everything is answered with that failure.
 * Slices given back are valid until the transaction ends or, in a group, until the next put or del. ERR_NOT_FOUND (also
 * from del and blob_del of what is not there), ERR_IO, ERR_FULL, ERR_LIMIT; ERR_OVERRUN from a reader: the snapshot is
 * over its turn; ERR_DENIED: a write into a snapshot. */
int engine_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret);
int engine_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value);
int engine_del(struct engine_txn *t, uint64_t part, struct slice key);

/* Keys from <= k < to in order (an empty to: to the partition's end); ENGINE_REVERSE backwards. fn returns 0 to go on;
 * anything else stops the scan, which then returns it. fn must not write. A reader's scan that says ERR_OVERRUN may
 * have handed out what the snapshot never held. */
enum { ENGINE_REVERSE = 1 };
int engine_scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
                int (*fn)(void *arg, struct slice key, struct slice value), void *arg);
int engine_partitions(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg);

/* Chunk n of a blob, at most ENGINE_BLOB_CHUNK bytes. An id means another blob in each kind. blob_del removes all
 * chunks. ERR_LIMIT: no such place (store/blob.h). blob_get only: ERR_AGAIN, it is not at hand, but
 * engine_fetch brings it. */
int engine_blob_put(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                    struct slice data);
/* The same with octets that are made in place: *ret has len of them to be written before the next put or del. */
int engine_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                     uint8_t **ret);
int engine_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n,
                    struct slice *ret);
int engine_blob_del(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id);
/* Every chunk of all partitions, ascending by part and kind in the engine's own order, then by id and n; from the one
 * behind after on, NULL: from the first. fn as of engine_scan. For looking the whole store over. */
int engine_blobs(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
                 void *arg);

/* Brings blobs near, outside of any snapshot: what stands under an id never changes. done is called once, by the loop
 * and not before this returns, when all that can be had is there. From then until engine_fetch_end, blob_get finds it
 * in any snapshot; of what could not be had it gives the reason (ERR_NOT_FOUND, ERR_TIMEOUT, ERR_IO), never ERR_AGAIN.
 * After engine_fetch_end done is not called any more. ERR_UNSUPPORTED: the engine has everything at hand; ERR_LIMIT:
 * more than BLOB_WANTS_MAX; ERR_MEMORY. */
int engine_fetch(struct engine *e, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
                 struct blob_fetch **ret);
void engine_fetch_end(struct blob_fetch *f); /* NULL is allowed */

/* A hot, compacted copy into an open descriptor, from any thread of the writer's process while it goes on writing;
 * neither engine_reopen nor engine_close may run meanwhile. A copy is readable once a writer has committed a group into
 * it, which may be empty: opening alone changes nothing. ERR_UNSUPPORTED from readers and in memory. */
int engine_copy(struct engine *e, int fd);
int engine_reopen(struct engine *e);
/* What became of a group whose commit was ERR_UNKNOWN. An error: it cannot be told yet, ask again later. ERR_CONFLICT:
 * nothing is unknown. */
int engine_resolve(struct engine *e, bool *ret_applied);
void engine_tick(struct engine *e); /* the writer calls it at least every turn_ms / 2: rolls the pin */
int engine_stat_get(struct engine *e, struct engine_stat *ret);
/* Cheap. ERR_UNSUPPORTED: the engine knows no bound. */
int engine_room_get(struct engine *e, struct engine_room *ret);
/* Keeps so many octets of the disk from everybody else, beside the store, until 0 gives them up to whoever writes
 * first. *ret_held: how many there were before. ERR_FULL, ERR_IO: it is as
 * it was; ERR_UNSUPPORTED. */
int engine_reserve(struct engine *e, uint64_t bytes, uint64_t *ret_held);

#endif
