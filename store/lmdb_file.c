/* The newest meta page says how many pages the file has been given. A file of that length is whole. A shorter one may
 * be whole too: pages at its end that one commit took and gave back were never written. Then the pages that the trees
 * name are looked up one by one, which takes long in a large store, but such a file is rare (engine_lmdb.c makes it
 * longer right after the commit). */
#include "server/core/error.h"
#include "store/lmdb_file_impl.h"

int lmdb_file_check(int fd, struct lmdb_file *ret)
{
    struct lmdb_meta m;
    struct lmdb_walk walk = {0};
    struct lmdb_file f = {.want = UINT64_C(2) * 4096};
    int err = lmdb_metas_read(fd, &m, &f.have);
    if (!err) {
        f.want = (m.last_page + 1) * m.page_size;
        if (f.have < f.want)
            err = lmdb_walk_from(fd, &m, f.have, true, NULL, NULL, &walk);
        if (!err && walk.want)
            err = ERR_LIMIT;
        else if (!err && walk.faults)
            err = ERR_FORMAT;
    }
    if (err == ERR_LIMIT && walk.want)
        f.want = walk.want;
    if (!err || err == ERR_LIMIT)
        *ret = f;
    return err;
}

int lmdb_file_walk(int fd, lmdb_fault *fault, void *arg, struct lmdb_walk *ret)
{
    struct lmdb_meta m;
    uint64_t have;
    int err = lmdb_metas_read(fd, &m, &have);
    return err ? err : lmdb_walk_from(fd, &m, have, false, fault, arg, ret);
}
