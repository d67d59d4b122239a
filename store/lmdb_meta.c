/* The two meta pages of LMDB's data file. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/lmdb_file_impl.h"

enum { PAGE_MIN = 512, PAGE_MAX = 32768, P_META = 8 };
#define MAGIC 0xBEEFC0DEU
#define DATA_VERSION 1U

int lmdb_file_read(int fd, void *out, size_t len, uint64_t at)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(fd, (uint8_t *)out + got, len - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_LIMIT;
        got += (size_t)n;
    }
    return OK;
}

static int meta_read(int fd, uint64_t number, uint64_t at, struct lmdb_meta *ret)
{
    uint8_t p[PAGE_HEAD + META_SIZE];
    const uint8_t *m = p + PAGE_HEAD, *dbs = m + 24;
    int err = lmdb_file_read(fd, p, sizeof(p), at);
    if (err)
        return err;
    if (u64_at(p) != number || u16_at(p + 10) != P_META || u32_at(m) != MAGIC)
        return ERR_FORMAT;
    if (u32_at(m + 4) != DATA_VERSION)
        return ERR_VERSION;
    *ret = (struct lmdb_meta){.number = number,
                              .page_size = u32_at(dbs),
                              .last_page = u64_at(dbs + 2 * DB_SIZE),
                              .txn = u64_at(dbs + 2 * DB_SIZE + 8)};
    memcpy(ret->db, dbs, sizeof(ret->db));
    bool fits = ret->page_size >= PAGE_MIN && ret->page_size <= PAGE_MAX && !(ret->page_size & (ret->page_size - 1));
    return fits && ret->last_page < UINT64_MAX / PAGE_MAX / 2 ? OK : ERR_FORMAT;
}

/* The newest of the two, which take turns: another number in one of them would have the store fall back, or forward, to
 * what is not its newest commit. */
int lmdb_metas_read(int fd, struct lmdb_meta *ret, uint64_t *ret_have)
{
    struct lmdb_meta m[2] = {{0}, {0}};
    struct stat st;
    int err = meta_read(fd, 0, 0, &m[0]); /* before its length: it only grows */
    if (!err)
        err = meta_read(fd, 1, m[0].page_size, &m[1]);
    if (fstat(fd, &st) != 0)
        return ERR_IO;
    if (st.st_size == 0)
        return ERR_NOT_FOUND;
    *ret_have = (uint64_t)st.st_size;
    if (err)
        return err;
    unsigned newest = m[1].txn > m[0].txn;
    const struct lmdb_meta *now = &m[newest], *before = &m[!newest];
    bool turns = now->txn == 0 || (now->txn == before->txn + 1 && now->txn % 2 == newest);
    if (!turns || m[0].page_size != m[1].page_size || now->last_page < before->last_page)
        return ERR_FORMAT;
    *ret = *now;
    return OK;
}
