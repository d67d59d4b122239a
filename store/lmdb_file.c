/* The newest meta page says how many pages the file has been given. A file of that length is whole. A shorter one may
 * be whole too: pages at its end that one commit took and gave back were never written. Then the pages that the trees
 * name are looked up one by one, which takes long in a large store, but such a file is rare (engine_lmdb.c makes it
 * longer right after the commit). */
#include "store/lmdb_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"

enum { PAGE_HEAD = 16, DB_SIZE = 48, META_SIZE = 136, NODE_HEAD = 8, DEPTH_MAX = 32 };
enum { PAGE_MIN = 512, PAGE_MAX = 65536 };
enum { P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4, P_META = 8 };
enum { F_BIGDATA = 1, F_SUBDATA = 2 };
#define MAGIC 0xBEEFC0DEU
#define DATA_VERSION 1U
#define NO_PAGE UINT64_MAX

struct meta {
    uint32_t page_size;
    uint64_t last_page, txn, root[2]; /* of the free list and of the main tree */
};

struct walk {
    int fd;
    uint32_t page_size;
    uint64_t pages; /* that the file has whole */
    uint64_t left;  /* so many may be looked at: each page of a tree once */
    uint64_t want;  /* the first page that is missing, and one more */
};

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* ERR_LIMIT: the file ends before. */
static int read_at(int fd, void *out, size_t len, uint64_t at)
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

static int meta_read(int fd, uint64_t at, struct meta *ret)
{
    uint8_t p[PAGE_HEAD + META_SIZE];
    const uint8_t *m = p + PAGE_HEAD, *dbs = m + 24;
    int err = read_at(fd, p, sizeof(p), at);
    if (err)
        return err;
    if (!(u16_at(p + 10) & P_META) || u32_at(m) != MAGIC)
        return ERR_FORMAT;
    if (u32_at(m + 4) != DATA_VERSION)
        return ERR_VERSION;
    *ret = (struct meta){.page_size = u32_at(dbs),
                         .root = {u64_at(dbs + 40), u64_at(dbs + DB_SIZE + 40)},
                         .last_page = u64_at(dbs + 2 * DB_SIZE),
                         .txn = u64_at(dbs + 2 * DB_SIZE + 8)};
    bool fits = ret->page_size >= PAGE_MIN && ret->page_size <= PAGE_MAX && !(ret->page_size & (ret->page_size - 1));
    return fits && ret->last_page < UINT64_MAX / PAGE_MAX / 2 ? OK : ERR_FORMAT;
}

/* A run of pages: the file must have them all. */
static int see_pages(struct walk *w, uint64_t page, uint64_t n)
{
    if (page >= w->pages || n > w->pages - page) {
        w->want = page < UINT64_MAX / PAGE_MAX / 2 ? page + (n ? n : 1) : 0;
        return w->want ? ERR_LIMIT : ERR_FORMAT;
    }
    if (w->left < 1)
        return ERR_FORMAT;
    w->left--;
    return OK;
}

static int see_tree(struct walk *w, uint64_t page, unsigned depth);

static int see_large(struct walk *w, uint64_t page)
{
    uint8_t head[PAGE_HEAD];
    int err = see_pages(w, page, 1);
    if (!err)
        err = read_at(w->fd, head, sizeof(head), page * w->page_size);
    if (err)
        return err;
    return u16_at(head + 10) & P_OVERFLOW ? see_pages(w, page, u32_at(head + 12)) : ERR_FORMAT;
}

static int see_node(struct walk *w, const uint8_t *node, size_t room, bool branch, unsigned depth)
{
    uint16_t flags = u16_at(node + 4);
    uint64_t low = u16_at(node) | (uint64_t)u16_at(node + 2) << 16;
    size_t data = NODE_HEAD + u16_at(node + 6);
    if (branch)
        return see_tree(w, low | (uint64_t)flags << 32, depth + 1);
    if (flags & F_BIGDATA)
        return data + 8 <= room ? see_large(w, u64_at(node + data)) : ERR_FORMAT;
    if (flags & F_SUBDATA)
        return low == DB_SIZE && data + DB_SIZE <= room ? see_tree(w, u64_at(node + data + 40), depth + 1) : ERR_FORMAT;
    return OK;
}

static int see_nodes(struct walk *w, const uint8_t *p, unsigned depth)
{
    uint16_t flags = u16_at(p + 10), lower = u16_at(p + 12);
    bool branch = flags & P_BRANCH;
    if (branch == !!(flags & P_LEAF) || lower < PAGE_HEAD || lower > w->page_size)
        return ERR_FORMAT;
    for (size_t at = PAGE_HEAD; at + 2 <= lower; at += 2) {
        size_t node = u16_at(p + at);
        if (node + NODE_HEAD > w->page_size)
            return ERR_FORMAT;
        int err = see_node(w, p + node, w->page_size - node, branch, depth);
        if (err)
            return err;
    }
    return OK;
}

static int see_tree(struct walk *w, uint64_t page, unsigned depth)
{
    if (page == NO_PAGE)
        return OK;
    int err = depth < DEPTH_MAX ? see_pages(w, page, 1) : ERR_FORMAT;
    if (err)
        return err;
    uint8_t *p = malloc(w->page_size);
    if (!p)
        return ERR_MEMORY;
    err = read_at(w->fd, p, w->page_size, page * w->page_size);
    if (!err)
        err = see_nodes(w, p, depth);
    free(p);
    return err;
}

static int see_all(int fd, const struct meta *m, struct lmdb_file *f)
{
    uint64_t pages = f->have / m->page_size;
    struct walk w = {.fd = fd, .page_size = m->page_size, .pages = pages, .left = 2 * pages};
    int err = see_tree(&w, m->root[0], 0);
    if (!err)
        err = see_tree(&w, m->root[1], 0);
    if (err == ERR_LIMIT)
        f->want = w.want * m->page_size;
    return err;
}

int lmdb_file_check(int fd, struct lmdb_file *ret)
{
    struct meta a, b;
    struct stat st;
    int err = meta_read(fd, 0, &a); /* before its length: it only grows */
    if (!err)
        err = meta_read(fd, a.page_size, &b);
    if (fstat(fd, &st) != 0)
        return ERR_IO;
    if (st.st_size == 0)
        return ERR_NOT_FOUND;
    struct lmdb_file f = {(uint64_t)st.st_size, 2 * 4096};
    if (!err) {
        const struct meta *m = a.txn >= b.txn ? &a : &b;
        f.want = (m->last_page + 1) * a.page_size;
        if (b.page_size != a.page_size)
            err = ERR_FORMAT;
        else if (f.have < f.want)
            err = see_all(fd, m, &f);
    }
    if (!err || err == ERR_LIMIT)
        *ret = f;
    return err;
}
