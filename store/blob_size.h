/* What a value may be long, so that little of LMDB's pages is wasted and lengths tell little: a run of whole pages, or
 * one of a few sizes of which whole numbers fill a page.
 *
 * Where LMDB splits a page (mdb_page_split): what goes behind the page's last value takes that one with it to the new
 * page, and so two values of which two fill a page each come to stand alone. What goes elsewhere halves the page by the
 * count of its values, whatever their lengths: what follows an account's newest value in the tree is kept off its page
 * (store/fence.h). And before a small value that would stand behind another the LMDB engine puts an empty one, which
 * moves instead. */
#ifndef STORE_BLOB_SIZE_H
#define STORE_BLOB_SIZE_H

#include <stddef.h>

enum { BLOB_HALF_MAX = 1220 /* the largest of which three fill a page */, BLOB_LEAF_MAX = 1877 /* two */ };

/* The least of them that is not below len, which is at most ENGINE_BLOB_CHUNK. */
size_t blob_size_fit(size_t len);

#endif
