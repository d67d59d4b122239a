/* The structure of LMDB's data file, page by page. What is refused here is everything that LMDB itself never writes, as
 * far as it follows what it reads: it checks next to nothing, and a page number, a length or a count that is wrong
 * sends it out of its map. A file of any octets takes a bounded time: no page is read twice. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/lmdb_file_impl.h"

enum { DEPTH_MAX = 32, IDS_A_READ = 512 };
enum { P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4 };
enum { F_BIGDATA = 1, F_SUBDATA = 2 };

struct walk {
    int fd;
    uint32_t page_size;
    uint64_t pages, whole; /* pages that were given; that the file has */
    uint64_t txn;
    bool trees_only; /* neither what is free nor what is lost */
    uint8_t *seen;   /* a bit for each page that the file has */
    lmdb_fault *fault;
    void *arg; /* of fault */
    struct lmdb_walk sum;
};

struct key {
    const uint8_t *p; /* NULL: none */
    size_t len;
};

enum tree_kind { TREE_FREE, TREE_MAIN, TREE_NAMED };
static const char *const tree_names[] = {"the free list", "the main tree", "a tree"};

struct tree {
    struct walk *w;
    enum tree_kind kind;
    unsigned depth;
    uint64_t branches, leaves, overflows, entries;
};

struct node {
    struct key key;
    uint16_t flags;
    uint64_t child; /* branch */
    uint32_t size;  /* leaf: octets of the value; data: where they are, or the number of the run */
    const uint8_t *data;
    uint64_t at; /* of data in the file */
};

static void __attribute__((format(printf, 3, 4))) tell(struct walk *w, uint64_t page, const char *form, ...)
{
    char what[128];
    va_list args;
    va_start(args, form);
    vsnprintf(what, sizeof(what), form, args);
    va_end(args);
    w->sum.faults++;
    if (w->fault)
        w->fault(w->arg, page, what);
}

/* Marks a run of pages that something names; false: it was not free to be named. A file may lack pages that are free,
 * but none that is read. */
static bool take(struct walk *w, uint64_t page, uint64_t n, const char *what)
{
    if (page < 2 || page >= w->pages || n > w->pages - page) {
        tell(w, page, "%s names a page that there is not", what);
        return false;
    }
    for (uint64_t i = page; i < page + n && i < w->whole; i++) {
        if (w->seen[i / 8] & 1 << i % 8) {
            tell(w, i, "%s names a page that is named already", what);
            return false;
        }
        w->seen[i / 8] |= (uint8_t)(1 << i % 8);
    }
    return true;
}

static bool is_there(struct walk *w, uint64_t page, uint64_t n)
{
    if (page + n <= w->whole)
        return true;
    if (w->sum.want < (page + n) * w->page_size)
        w->sum.want = (page + n) * w->page_size;
    tell(w, page, "the file ends before this page");
    return false;
}

/* ---- nodes ---- */

static void node_read(const uint8_t *page, size_t at, bool branch, struct node *ret)
{
    const uint8_t *n = page + at;
    uint64_t low = u16_at(n) | (uint64_t)u16_at(n + 2) << 16;
    *ret = (struct node){.key = {n + NODE_HEAD, u16_at(n + 6)}, .flags = u16_at(n + 4)};
    ret->data = n + NODE_HEAD + ret->key.len;
    if (branch)
        ret->child = low | (uint64_t)ret->flags << 32;
    else
        ret->size = (uint32_t)low;
}

static size_t node_octets(const struct node *n, bool branch)
{
    size_t data = branch ? 0 : n->flags & F_BIGDATA ? 8 : n->size;
    return NODE_HEAD + n->key.len + data;
}

/* The nodes must fill the page from upper to its end: LMDB closes each gap. */
static bool nodes_fit(struct tree *t, const uint8_t *p, bool branch)
{
    uint32_t size = t->w->page_size;
    size_t n = (u16_at(p + 12) - PAGE_HEAD) / 2u, upper = u16_at(p + 14), used = 0;
    for (size_t i = 0; i < n; i++) {
        struct node node;
        size_t at = u16_at(p + PAGE_HEAD + 2 * i);
        if (at < upper || at % 2 || at + NODE_HEAD > size)
            return false;
        node_read(p, at, branch, &node);
        if (NODE_HEAD + node.key.len > size - at || node_octets(&node, branch) > size - at)
            return false;
        if (t->kind == TREE_FREE && (!branch || i) && node.key.len != 8)
            return false;
        used += (node_octets(&node, branch) + 1) & ~(size_t)1;
    }
    return used == size - upper;
}

/* That they fill it does not yet say that none stands on another: each begins where another ends. */
static bool nodes_apart(const uint8_t *p, uint32_t size, bool branch)
{
    size_t n = (u16_at(p + 12) - PAGE_HEAD) / 2u;
    uint8_t *begins = calloc(size / 16 + 1, 1);
    bool apart = begins != NULL;
    for (size_t i = 0; i < n && apart; i++) {
        size_t at = u16_at(p + PAGE_HEAD + 2 * i) / 2u;
        apart = !(begins[at / 8] & 1 << at % 8);
        begins[at / 8] |= (uint8_t)(1 << at % 8);
    }
    for (size_t i = 0; i < n && apart; i++) {
        struct node node;
        size_t at = u16_at(p + PAGE_HEAD + 2 * i);
        node_read(p, at, branch, &node);
        size_t end = at + ((node_octets(&node, branch) + 1) & ~(size_t)1);
        apart = end == size || begins[end / 16] & 1 << end / 2 % 8;
    }
    free(begins);
    return apart;
}

static int key_compare(const struct tree *t, struct key a, struct key b)
{
    if (t->kind == TREE_FREE) {
        uint64_t x = u64_at(a.p), y = u64_at(b.p);
        return x < y ? -1 : x > y;
    }
    int c = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

/* ---- values ---- */

/* A record of the free list: how many, and so many page numbers, the largest first. */
static int free_record(struct tree *t, const struct node *n, uint64_t page)
{
    struct walk *w = t->w;
    uint8_t ids[IDS_A_READ * 8], count[8];
    uint64_t last = UINT64_MAX, many = 0;
    int err = n->size < 8 ? ERR_FORMAT : lmdb_file_read(w->fd, count, 8, n->at);
    if (w->trees_only)
        return OK;
    if (!err)
        many = u64_at(count);
    if (err == ERR_FORMAT || (!err && (many > n->size / 8 - 1 || u64_at(n->key.p) > w->txn))) {
        tell(w, page, "the free list has a record that is none");
        return OK;
    }
    for (uint64_t i = 0; i < many && !err; i++) {
        uint64_t some = many - i < IDS_A_READ ? many - i : IDS_A_READ, id;
        if (i % IDS_A_READ == 0)
            err = lmdb_file_read(w->fd, ids, some * 8, n->at + 8 + i * 8);
        if (err)
            break;
        id = u64_at(ids + i % IDS_A_READ * 8);
        if (id >= last)
            tell(w, page, "the free list is out of order");
        last = id;
        if (take(w, id, 1, tree_names[TREE_FREE]))
            w->sum.free++;
    }
    return err;
}

/* A value that is too long for its page stands in a run of pages. A run keeps its length when its value is written once
 * more in the same transaction, and shorter. */
static int see_large(struct tree *t, struct node *n)
{
    struct walk *w = t->w;
    uint8_t head[PAGE_HEAD];
    uint64_t run = u64_at(n->data), pages = ((uint64_t)PAGE_HEAD - 1 + n->size) / w->page_size + 1;
    if (!take(w, run, pages, tree_names[t->kind]) || !is_there(w, run, pages))
        return OK;
    int err = lmdb_file_read(w->fd, head, sizeof(head), run * w->page_size);
    if (err)
        return err;
    uint32_t said = u32_at(head + 12);
    if (u64_at(head) != run || u16_at(head + 10) != P_OVERFLOW || said < pages) {
        tell(w, run, "%s has a long value that does not begin here", tree_names[t->kind]);
    } else if (said > pages) {
        if (!take(w, run + pages, said - pages, tree_names[t->kind]) || !is_there(w, run, said))
            return OK;
        pages = said;
    }
    t->overflows += pages;
    n->at = run * w->page_size + PAGE_HEAD;
    return OK;
}

static int see_root(struct walk *w, enum tree_kind kind, const uint8_t *db, uint64_t page);

static int see_leaf(struct tree *t, struct node *n, uint64_t page)
{
    bool sub = t->kind == TREE_MAIN && n->flags == F_SUBDATA;
    int err = OK;
    t->entries++;
    if (n->flags && n->flags != F_BIGDATA && !sub) {
        tell(t->w, page, "%s has a node of no kind", tree_names[t->kind]);
        return OK;
    }
    if (t->kind == TREE_MAIN) {
        if (!sub || n->size != DB_SIZE)
            tell(t->w, page, "the main tree has a value that is no tree");
        return sub && n->size == DB_SIZE ? see_root(t->w, TREE_NAMED, n->data, page) : OK;
    }
    if (n->flags == F_BIGDATA)
        err = see_large(t, n);
    return !err && t->kind == TREE_FREE && n->at ? free_record(t, n, page) : err;
}

/* ---- pages ---- */

static int see_page(struct tree *t, uint64_t page, unsigned level, struct key low, struct key high);

/* Every key is low or more, and less than high; a branch's first key is not looked at by LMDB, and stands for low. */
static int see_nodes(struct tree *t, const uint8_t *p, uint64_t page, unsigned level, struct key low, struct key high)
{
    bool branch = level < t->depth;
    size_t n = (u16_at(p + 12) - PAGE_HEAD) / 2u;
    struct key before = low;
    int err = OK;
    for (size_t i = 0; i < n && !err; i++) {
        struct node node, next = {.key = high};
        node_read(p, u16_at(p + PAGE_HEAD + 2 * i), branch, &node);
        if (!branch || i) {
            int c = before.p ? key_compare(t, before, node.key) : -1;
            if (c > 0 || (c == 0 && (branch ? i > 1 : i > 0)) || (high.p && key_compare(t, node.key, high) >= 0)) {
                tell(t->w, page, "%s has keys out of order", tree_names[t->kind]);
                return OK;
            }
            before = node.key;
        }
        node.at = page * t->w->page_size + (uint64_t)(node.data - p);
        if (branch && i + 1 < n)
            node_read(p, u16_at(p + PAGE_HEAD + 2 * (i + 1)), branch, &next);
        err = branch ? see_page(t, node.child, level + 1, before, next.key) : see_leaf(t, &node, page);
    }
    return err;
}

static bool page_fits(struct tree *t, const uint8_t *p, uint64_t page, bool branch)
{
    uint16_t lower = u16_at(p + 12), upper = u16_at(p + 14);
    if (u64_at(p) != page || u16_at(p + 10) != (branch ? P_BRANCH : P_LEAF) || lower < PAGE_HEAD + (branch ? 4 : 2) ||
        lower % 2 || lower > upper || upper > t->w->page_size)
        return false;
    return nodes_fit(t, p, branch) && nodes_apart(p, t->w->page_size, branch);
}

static int see_page(struct tree *t, uint64_t page, unsigned level, struct key low, struct key high)
{
    bool branch = level < t->depth;
    if (!take(t->w, page, 1, tree_names[t->kind]) || !is_there(t->w, page, 1))
        return OK;
    uint8_t *p = malloc(t->w->page_size);
    int err = p ? lmdb_file_read(t->w->fd, p, t->w->page_size, page * t->w->page_size) : ERR_MEMORY;
    if (!err && !page_fits(t, p, page, branch)) {
        tell(t->w, page, "%s has a page that is not one of its pages", tree_names[t->kind]);
    } else if (!err) {
        *(branch ? &t->branches : &t->leaves) += 1;
        err = see_nodes(t, p, page, level, low, high);
    }
    free(p);
    return err;
}

/* db: an MDB_db. */
static int see_root(struct walk *w, enum tree_kind kind, const uint8_t *db, uint64_t page)
{
    struct tree t = {.w = w, .kind = kind, .depth = u16_at(db + 6)};
    uint64_t root = u64_at(db + 40);
    int err = OK;
    if (u16_at(db + 4) != (kind == TREE_FREE ? MDB_INTEGER_KEY : 0) || t.depth > DEPTH_MAX ||
        (t.depth == 0) != (root == NO_PAGE)) {
        tell(w, page, "%s is described as none of ours", tree_names[kind]);
        return OK;
    }
    if (t.depth)
        err = see_page(&t, root, 1, (struct key){NULL, 0}, (struct key){NULL, 0});
    if (!err && (u64_at(db + 8) != t.branches || u64_at(db + 16) != t.leaves || u64_at(db + 24) != t.overflows ||
                 u64_at(db + 32) != t.entries))
        tell(w, page, "%s has not as many pages or records as it says", tree_names[kind]);
    return err;
}

static void see_lost(struct walk *w)
{
    for (uint64_t i = 2; i < w->pages && i < w->whole; i++)
        if (!(w->seen[i / 8] & 1 << i % 8))
            tell(w, i, "a page is neither used nor free");
}

int lmdb_walk_from(int fd, const struct lmdb_meta *m, uint64_t have, bool trees_only, lmdb_fault *fault, void *arg,
                   struct lmdb_walk *ret)
{
    struct walk w = {.fd = fd,
                     .page_size = m->page_size,
                     .pages = m->last_page + 1,
                     .whole = have / m->page_size,
                     .txn = m->txn,
                     .trees_only = trees_only,
                     .fault = fault,
                     .arg = arg};
    if (m->last_page < 1)
        return ERR_FORMAT;
    w.seen = calloc(w.whole / 8 + 1, 1);
    if (!w.seen)
        return ERR_MEMORY;
    int err = see_root(&w, TREE_FREE, m->db[0], m->number);
    if (!err)
        err = see_root(&w, TREE_MAIN, m->db[1], m->number);
    if (!err && !trees_only)
        see_lost(&w);
    free(w.seen);
    w.sum.pages = w.pages;
    if (!err)
        *ret = w.sum;
    return err;
}
