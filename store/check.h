/* letterlock audit's look at every record: that its letter is known, that it opens at its place, and that what it names
 * is there and names it back. Nothing here writes. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/blob.h"
#include "store/view.h"

enum { CHECK_LINES = 24, CHECK_LINE_MAX = 240 };
struct check_found {
    uint64_t faults;
    unsigned n; /* lines, of the first faults */
    char line[CHECK_LINES][CHECK_LINE_MAX];
};

/* Where a walk over a partition is, and what it has counted. Begins zeroed. */
struct check_walk {
    uint64_t records;
    size_t len;
    uint8_t last[200 /* ENGINE_KEY_MAX */]; /* the last key that was looked at */
    uint32_t carry[KEYWORDS_MAX];           /* entries that carry each keyword */
    size_t nrefs;                           /* entries: their messages stand in the list that the caller holds */
};
struct check_refs {
    uint64_t *message;
    size_t cap;
};

/* The next max records of a partition, in one snapshot (so inside view_run, which may run it again: walk is replaced
 * and found begun anew by the caller). refs may be NULL. 1: there are more. ERR_CONFLICT, ERR_OVERRUN, ERR_IO,
 * ERR_MEMORY; damage is a line of found. */
int view_check(struct view *v, uint64_t part, uint32_t max, struct check_walk *walk, struct check_refs *refs,
               struct check_found *found);

/* The same of blobs, of all partitions: *at is the last that was looked at, if *begun. */
int view_check_blobs(struct view *v, uint32_t max, struct blob_at *at, bool *begun, struct check_found *found);

#endif
