/* A look at an instance's store before anybody opens it: a store that is missing, not mounted, empty or cut short is
 * said to be, and none is made in its place. */
#ifndef STORE_LOOK_H
#define STORE_LOOK_H

#include <stddef.h>
#include <stdint.h>

/* dir is the instance's. Every code but OK comes with a sentence in why, of what is wrong with which path and what to
 * do. ERR_NOT_FOUND: no folder, no file, or an empty one. ERR_FORMAT: cut short, damaged, or not a store. ERR_VERSION.
 * ERR_DENIED: may not be read or written. ERR_IO, ERR_MEMORY, ERR_LIMIT (the path). Reads only, and nobody may write
 * the store meanwhile. */
int store_look(const char *dir, char *why, size_t why_cap);

/* Every page of the store's file: fault is told of each that is not as LMDB writes it, with a sentence without a
 * subject's capital or full stop. A file without a fault can be read to its last octet; of one with faults not even
 * that is certain. *ret_pages: how many there are. Errors and conditions as of store_look. */
int store_walk(const char *dir, void (*fault)(void *arg, uint64_t page, const char *what), void *arg,
               uint64_t *ret_pages, char *why, size_t why_cap);

#endif
