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
 * ERR_IO (errno). Nobody may write meanwhile. */
int lmdb_file_check(int fd, struct lmdb_file *ret);

#endif
