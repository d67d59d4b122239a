/* Memory that lives as long as a session or a transaction and is released in one stroke. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* max bounds the sum of everything allocated. wipe: contents are wiped on reset and destroy. */
struct arena *arena_create(size_t max, bool wipe);               /* NULL: out of memory */
void arena_destroy(struct arena *a);                             /* NULL is allowed */
void arena_reset(struct arena *a);                               /* everything allocated is gone; keeps one block */
void *arena_alloc(struct arena *a, size_t size);                 /* zeroed, 16-byte aligned; NULL past max */
char *arena_strndup(struct arena *a, const void *s, size_t len); /* NUL-ended; NULL past max */

#endif
