/* What the readers of LMDB's data file share (mdb.c: MDB_meta, MDB_page, MDB_node, MDB_db). */
#ifndef STORE_LMDB_FILE_IMPL_H
#define STORE_LMDB_FILE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "store/lmdb_file.h"

enum { PAGE_HEAD = 16, DB_SIZE = 48, META_SIZE = 136, NODE_HEAD = 8 };
enum { MDB_INTEGER_KEY = 8 };
#define NO_PAGE UINT64_MAX

struct lmdb_meta {
    uint64_t number; /* its page */
    uint32_t page_size;
    uint64_t last_page, txn;
    uint8_t db[2][DB_SIZE]; /* the free list's and the main tree's */
};

static inline uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* ERR_LIMIT: the file ends before. */
int lmdb_file_read(int fd, void *out, size_t len, uint64_t at);
/* The newest of the two; *ret_have: the file's octets. Errors as of lmdb_file_check. */
int lmdb_metas_read(int fd, struct lmdb_meta *ret, uint64_t *ret_have);
/* Of the newest commit; have: the file's octets. trees_only: what stands in the free list is not looked at, and neither
 * are pages that nothing names. */
int lmdb_walk_from(int fd, const struct lmdb_meta *m, uint64_t have, bool trees_only, lmdb_fault *fault, void *arg,
                   struct lmdb_walk *ret);

#endif
