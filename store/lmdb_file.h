/* LMDB's data file as octets, read without mapping it: a page that the file lacks ends whoever maps it with SIGBUS.
 * The format is lmdb 0.9's (mdb.c: MDB_meta, MDB_page, MDB_node), in this machine's byte order. */
#ifndef STORE_LMDB_FILE_H
#define STORE_LMDB_FILE_H

#include <stdint.h>

struct lmdb_file {
    uint64_t have, want; /* bytes; want: at least so many, as far as it is known */
};

/* Whether the file holds every page of its newest commit. ERR_NOT_FOUND: it is empty. ERR_LIMIT: cut short, and ret,
 * which is set in this case too, says by how much. ERR_FORMAT: not LMDB's, or damaged. ERR_VERSION: of another LMDB.
 * ERR_IO (errno), ERR_MEMORY. Nobody may write meanwhile. */
int lmdb_file_check(int fd, struct lmdb_file *ret);

struct lmdb_walk {
    uint64_t pages, free, faults;
    uint64_t want; /* bytes up to the last page that a tree names and the file lacks; 0: it lacks none */
};
typedef void lmdb_fault(void *arg, uint64_t page, const char *what);

/* Every page of every tree: its kind, its nodes' bounds, the order of keys, that each page is named once or free, and
 * the counts. A file without a fault can be read through LMDB to its last octet. fault (NULL is allowed) is told of
 * each. Errors as above; only ERR_LIMIT means that there are no two meta pages. */
int lmdb_file_walk(int fd, lmdb_fault *fault, void *arg, struct lmdb_walk *ret);

#endif
