/* A look at an instance's store before anybody opens it: a store that is missing, not mounted, empty or cut short is
 * said to be, and none is made in its place. */
#ifndef STORE_LOOK_H
#define STORE_LOOK_H

#include <stddef.h>

/* dir is the instance's. Every code but OK comes with a sentence in why, of what is wrong with which path and what to
 * do. ERR_NOT_FOUND: no folder, no file, or an empty one. ERR_FORMAT: cut short, damaged, or not a store. ERR_VERSION.
 * ERR_DENIED: may not be read or written. ERR_IO, ERR_MEMORY, ERR_LIMIT (the path). Reads only, and nobody may write
 * the store meanwhile. */
int store_look(const char *dir, char *why, size_t why_cap);

#endif
