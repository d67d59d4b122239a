/* How much room the LMDB engine has: on the disk, in its map; and the octets of disk that it keeps in reserve.
 *
 * A full disk makes LMDB's write fail or come short, before it touches a page that any commit shows: the transaction is
 * gone, the environment stays good. Nothing that is mapped is ever beyond the file's end or in a hole of it, so a full
 * disk is never a fault: a commit's pages are all written before one refers to them, and the lock file's page has its
 * block before it is mapped. */
#include "store/engine_lmdb_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/core/error.h"

/* Deleting takes pages too, because changed pages are copied. Near the map's end blobs are refused while there is still
 * room for that, or a full store could never be emptied. */
enum { RESERVE_PAGES = 4096, GROUP_PAGES = 4096, LOCK_OCTETS = 4096 };
enum { NO_DISK = 1024 * 1024 /* less than any commit of more than one message needs */ };

static int map_pages(const struct lmdb_engine *e, uint64_t *ret_room, uint64_t *ret_reserve, uint64_t *ret_size)
{
    MDB_envinfo info;
    MDB_stat st;
    if (mdb_env_info(e->env, &info) || mdb_env_stat(e->env, &st) || !st.ms_psize)
        return ERR_IO;
    uint64_t max = info.me_mapsize / st.ms_psize, used = info.me_last_pgno + 1;
    *ret_reserve = max / 8 < RESERVE_PAGES ? max / 8 : RESERVE_PAGES;
    *ret_room = max > used ? max - used : 0;
    *ret_size = st.ms_psize;
    return OK;
}

uint64_t lmdb_group_pages(struct lmdb_engine *e)
{
    MDB_txn *txn;
    uint64_t room, reserve, size, free_pages = 0;
    if (map_pages(e, &room, &reserve, &size) != OK)
        return 0;
    if (room < reserve + GROUP_PAGES && mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn) == 0) {
        if (lmdb_count_free(txn, e->pin[0] ? mdb_txn_id(e->pin[0]) : 0, &free_pages) == OK) /* later ones are pinned */
            room += free_pages;
        mdb_txn_abort(txn);
    }
    return room > reserve ? room - reserve : 0;
}

static int path_of(const struct lmdb_engine *e, const char *name, char out[PATH_CAP + 16])
{
    int n = snprintf(out, PATH_CAP + 16, "%s/%s", e->path, name);
    return n < 0 || n >= PATH_CAP + 16 ? ERR_LIMIT : OK;
}

/* The lock file is written through its map: with no block behind it, a full disk would be a fault. */
static int lock_block(const struct lmdb_engine *e)
{
    char path[PATH_CAP + 16];
    int err = path_of(e, "lock.mdb", path);
    int fd = err ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (err || fd < 0)
        return err ? err : lmdb_map_error(errno);
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_OCTETS) != 0 && errno != EOPNOTSUPP)
        err = lmdb_map_error(errno);
    close(fd);
    return err;
}

int lmdb_reserve_open(struct lmdb_engine *e)
{
    char path[PATH_CAP + 16];
    uint64_t held;
    int err = path_of(e, "reserve", path);
    if (err)
        return err;
    if (e->reserve_fd < 0) /* else it is opened again */
        e->reserve_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->reserve_fd < 0)
        return lmdb_map_error(errno);
    err = lock_block(e);
    if (err == ERR_FULL && lmdb_reserve(&e->base, 0, &held) == OK && held > 0)
        err = lock_block(e);
    return err;
}

int lmdb_room(struct engine *base, struct engine_room *ret)
{
    struct lmdb_engine *e = lm(base);
    struct statvfs fs;
    uint64_t room, reserve, size;
    if (e->reserve_fd < 0)
        return ERR_UNSUPPORTED;
    if (!e->env)
        return ERR_IO;
    int err = map_pages(e, &room, &reserve, &size);
    if (err == OK && fstatvfs(e->reserve_fd, &fs) != 0)
        err = lmdb_map_error(errno);
    if (err != OK)
        return err;
    *ret = (struct engine_room){.disk_free = (uint64_t)fs.f_bavail * fs.f_frsize,
                                .disk_total = (uint64_t)fs.f_blocks * fs.f_frsize,
                                .map_free = (room > reserve ? room - reserve : 0) * size};
    return OK;
}

bool lmdb_disk_full(const struct lmdb_engine *e)
{
    struct statvfs fs;
    return e->reserve_fd >= 0 && fstatvfs(e->reserve_fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < NO_DISK;
}

int lmdb_reserve(struct engine *base, uint64_t bytes, uint64_t *ret_held)
{
    struct lmdb_engine *e = lm(base);
    struct stat st;
    if (e->reserve_fd < 0)
        return ERR_UNSUPPORTED;
    if (fstat(e->reserve_fd, &st) != 0)
        return lmdb_map_error(errno);
    int failed = (uint64_t)st.st_size > bytes && ftruncate(e->reserve_fd, (off_t)bytes) != 0 ? errno : 0;
    if (!failed && bytes > 0)
        failed = posix_fallocate(e->reserve_fd, 0, (off_t)bytes);
    if (failed) {
        (void)!ftruncate(e->reserve_fd, st.st_size); /* what was begun would only be in the way */
        return lmdb_map_error(failed);
    }
    *ret_held = (uint64_t)st.st_size;
    return OK;
}
