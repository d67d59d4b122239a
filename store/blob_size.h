/* What a value may be long, so that little of LMDB's pages is wasted and lengths tell little: a run of whole pages, or
 * one of a few sizes of which whole numbers fill a page.
 *
 * LMDB splits a page that is full, but for the last of its tree, before the last value on it, which moves on with the
 * new one. So where two values fill a page each would soon stand alone. What fills up pages here has something tiny
 * before it that moves instead: the packets' ends the entries of their page runs, the heads an empty value. */
#ifndef STORE_BLOB_SIZE_H
#define STORE_BLOB_SIZE_H

#include <stddef.h>

enum { BLOB_HALF_MAX = 1220 /* the largest of which three fill a page */, BLOB_LEAF_MAX = 1877 /* two */ };

/* The least of them that is not below len, which is at most ENGINE_BLOB_CHUNK. */
size_t blob_size_fit(size_t len);

#endif
