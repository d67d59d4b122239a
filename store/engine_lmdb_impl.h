/* The inside of the LMDB engine: engine_lmdb.c opens, pins, and begins and ends transactions; engine_lmdb_data.c reads
 * and writes in them, and needs nothing of the former, nor does engine_lmdb_room.c, which looks how much
 * room is left. */
#ifndef STORE_ENGINE_LMDB_IMPL_H
#define STORE_ENGINE_LMDB_IMPL_H

#include <lmdb.h>

#include "store/engine_impl.h"

enum { PATH_CAP = 1024, BEGIN_TRIES = 2000, READERS_MAX = 16, PART_SIZE = 8, BLOB_KEY = 8 + 8 + 4 };

struct lmdb_txn {
    struct engine_txn base;
    MDB_txn *txn;
    uint64_t begun; /* ns; snapshots */
    uint64_t room;  /* groups: pages that blobs may still take */
    bool open, wrote;
};

struct lmdb_engine {
    struct engine base;
    char path[PATH_CAP];
    uint64_t map_size, turn_ns;
    bool writer, pin_off, make;
    MDB_env *env;
    MDB_dbi kv, blob;
    MDB_txn *pin[2]; /* [0] is the older */
    uint64_t pin_at[2];
    bool wait_first; /* readers of an earlier writer may be about */
    int reserve_fd;  /* the writer's: DIR/store/reserve; -1: none */
    bool unstamped;  /* the newest commit does not say its number: readers would not believe it */
    struct lmdb_txn read, group;
    uint64_t looked_at; /* ns; the writer: when the file was last seen in place */
    uint64_t last_page; /* the writer: up to it the file is as long as it should be */
};

static inline struct lmdb_engine *lm(struct engine *e)
{
    return (struct lmdb_engine *)e;
}

static inline struct lmdb_txn *lt(struct engine_txn *t)
{
    return (struct lmdb_txn *)t;
}

uint64_t lmdb_now_ns(void);
int lmdb_error_of(int rc);
int lmdb_map_error(int rc); /* and says in the log what the disk said: not in a thread beside the loop */
bool lmdb_overrun(const struct lmdb_txn *t); /* a reader's snapshot is over its turn */
void lmdb_put_be(uint8_t *p, uint64_t v, unsigned bytes);
uint64_t lmdb_get_be(const uint8_t *p, unsigned bytes);
/* Pages freed by commits before that one. */
int lmdb_count_free(MDB_txn *snapshot, uint64_t before, uint64_t *ret_pages);

/* engine_lmdb_room.c: the disk and the map. */
int lmdb_reserve_open(struct lmdb_engine *e); /* before the environment */
int lmdb_room(struct engine *base, struct engine_room *ret);
int lmdb_reserve(struct engine *base, uint64_t bytes, uint64_t *ret_held);
/* Whether a write that came to nothing, or to less than was asked, did so because there is no disk left. */
bool lmdb_disk_full(const struct lmdb_engine *e);
uint64_t lmdb_group_pages(struct lmdb_engine *e); /* that blobs of a group may take */

/* engine_lmdb_data.c's part of the vtable. */
int lmdb_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret);
int lmdb_put(struct engine_txn *t, uint64_t part, struct slice key, struct slice value);
int lmdb_del(struct engine_txn *t, uint64_t part, struct slice key);
int lmdb_scan(struct engine_txn *t, uint64_t part, struct slice from, struct slice to, unsigned flags,
              int (*fn)(void *arg, struct slice key, struct slice value), void *arg);
int lmdb_partitions(struct engine_txn *t, int (*fn)(void *arg, uint64_t part), void *arg);
int lmdb_blob_room(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, size_t len,
                   uint8_t **ret);
int lmdb_blob_get(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id, uint32_t n, struct slice *ret);
int lmdb_blob_del(struct engine_txn *t, uint64_t part, enum blob_kind kind, uint64_t id);
int lmdb_blobs(struct engine_txn *t, const struct blob_at *after, int (*fn)(void *arg, const struct blob_at *at),
               void *arg);

#endif
