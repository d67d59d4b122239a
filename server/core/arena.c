/* An arena: blocks of memory that are handed out in slices and released together. Blocks double, so a short session
 * costs one small block and a long one few calls of malloc. */
#include "server/core/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_FIRST = 1024 - 64, BLOCK_LARGEST = 64 * 1024 };

struct block {
    struct block *next;
    size_t cap, used;
    _Alignas(ALIGN) uint8_t data[];
};

struct arena {
    struct block *head; /* the block that is being filled */
    size_t max, total;  /* total: handed out, rounded up to ALIGN */
    size_t block_next;
    bool wipe;
};

struct arena *arena_create(size_t max, bool wipe)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->max = max;
    a->wipe = wipe;
    a->block_next = BLOCK_FIRST;
    return a;
}

static void block_release(const struct arena *a, struct block *b)
{
    if (a->wipe)
        explicit_bzero(b->data, b->used);
    free(b);
}

void arena_destroy(struct arena *a)
{
    struct block *b, *next;

    if (!a)
        return;
    for (b = a->head; b; b = next) {
        next = b->next;
        block_release(a, b);
    }
    free(a);
}

void arena_reset(struct arena *a)
{
    struct block *b, *next, *keep = NULL;

    /* The last of the list is the first that was taken, hence a small one unless the first request was large. */
    for (b = a->head; b; b = next) {
        next = b->next;
        if (!next && b->cap <= BLOCK_FIRST)
            keep = b;
        else
            block_release(a, b);
    }
    if (keep) {
        if (a->wipe)
            explicit_bzero(keep->data, keep->used);
        keep->used = 0;
        keep->next = NULL;
    }
    a->head = keep;
    a->total = 0;
    a->block_next = BLOCK_FIRST;
}

static struct block *block_add(struct arena *a, size_t size)
{
    size_t cap = a->block_next > size ? a->block_next : size;
    struct block *b = malloc(sizeof(*b) + cap);

    if (!b)
        return NULL;
    b->cap = cap;
    b->used = 0;
    /* A request larger than the usual block fills its own; what is left of the current one stays in use. */
    if (size > a->block_next / 2 && a->head) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
        if (a->block_next < BLOCK_LARGEST)
            a->block_next = 2 * a->block_next + 64;
    }
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct block *b = a->head;
    void *p;

    if (size > a->max)
        return NULL;
    size = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (a->total > a->max || size > a->max - a->total)
        return NULL;
    if (!b || size > b->cap - b->used) {
        b = block_add(a, size);
        if (!b)
            return NULL;
    }
    p = b->data + b->used;
    b->used += size;
    a->total += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const void *s, size_t len)
{
    char *p;

    if (len == SIZE_MAX)
        return NULL;
    p = arena_alloc(a, len + 1);
    if (p && len)
        memcpy(p, s, len);
    return p;
}
