/* free and realloc in front of glibc's, which serves everything else: memory stays glibc's own, only its release is
 * ours. realloc never lets glibc move a block, because it would leave the old bytes behind. */
#include "server/core/wipe_heap.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static bool active;

bool wipe_heap_active(void)
{
    return active;
}

#ifdef SANITIZED

void wipe_heap_on_free(void)
{
}

#else

extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

enum { WORTH_SHRINKING = 4096 };

void wipe_heap_on_free(void)
{
    active = true;
}

/* The size goes through a volatile, so that the compiler cannot hold what was asked for against what is usable. */
static void wipe(void *p)
{
    volatile size_t n = malloc_usable_size(p);

    explicit_bzero(p, n);
}

__attribute__((visibility("default"))) void free(void *p)
{
    if (p && active)
        wipe(p);
    __libc_free(p);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
    size_t usable;
    void *q;

    if (!p || !active)
        return __libc_realloc(p, size);
    if (size == 0) {
        free(p);
        return NULL;
    }
    usable = malloc_usable_size(p);
    if (size <= usable && (usable <= WORTH_SHRINKING || size > usable / 2))
        return p;
    q = __libc_malloc(size);
    if (!q)
        return NULL;
    memcpy(q, p, usable < size ? usable : size);
    free(p);
    return q;
}

#endif
