/* Secret and plaintext memory. Chunks for messages come from private anonymous maps and go round through a pool;
 * keys have pages of their own, in memfd_secret where the kernel offers it, else in the same kind of map as chunks. */
#include "server/core/secmem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/core/error.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

enum {
    CHUNK_BYTES = 64 * 1024, /* header and data: one map, so that data stays aligned and nothing is malloc'd */
    CHUNK_HEADER = 64,
    POOL_MAX = 128, /* chunks kept for reuse: 8 MB */
    KEY_PAGE = 4096,
    KEY_REGION_PAGES = 16,
};

/* Roles run one thread, but nothing below may depend on that. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    struct secmem_chunk *free;
    size_t count;
} pool;

struct key_region {
    uint8_t *base;
    uint32_t used; /* bit n: page n is taken */
};
enum { KEY_REGIONS_MAX = 64 };
static struct key_region key_regions[KEY_REGIONS_MAX];
static size_t key_region_count;
static enum { SECRET_UNKNOWN, SECRET_NO, SECRET_YES } secret_pages;

void secmem_wipe(void *p, size_t len)
{
    if (len)
        explicit_bzero(p, len);
}

__attribute__((noinline)) void secmem_wipe_stack(void)
{
    uint8_t below[64 * 1024];
    secmem_wipe(below, sizeof(below));
}

/* The advice and the lock are best effort: an old kernel or a low RLIMIT_MEMLOCK must not stop mail. */
static void *map_private(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_DONTDUMP);
    (void)madvise(p, size, MADV_WIPEONFORK);
    (void)syscall(SYS_mlock2, p, size, MLOCK_ONFAULT);
    return p;
}

void *secmem_map(size_t len)
{
    return len ? map_private(len) : NULL;
}

void secmem_unmap(void *p, size_t len)
{
    if (!p)
        return;
    secmem_wipe(p, len);
    munmap(p, len);
}

/* NULL where the kernel has no memfd_secret, forbids it, or RLIMIT_MEMLOCK is used up. Its pages leave the kernel's own
 * map, are locked and undumpable by nature; a fork must not share them. */
static void *map_secret(size_t size)
{
    int fd = (int)syscall(SYS_memfd_secret, 0);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_DONTFORK);
    return p;
}

/* Probed once: later regions follow the first answer, except that a shortage of lockable memory falls back. */
static void *map_keys(size_t size)
{
    if (secret_pages != SECRET_NO) {
        void *p = map_secret(size);
        if (secret_pages == SECRET_UNKNOWN)
            secret_pages = p ? SECRET_YES : SECRET_NO;
        if (p)
            return p;
    }
    return map_private(size);
}

static void *key_page_take(struct key_region *r)
{
    for (unsigned n = 0; n < KEY_REGION_PAGES; n++) {
        if (!(r->used & (1u << n))) {
            r->used |= 1u << n;
            return r->base + (size_t)n * KEY_PAGE;
        }
    }
    return NULL;
}

static void *key_alloc_locked(void)
{
    for (size_t i = 0; i < key_region_count; i++) {
        void *p = key_page_take(&key_regions[i]);
        if (p)
            return p;
    }
    if (key_region_count == KEY_REGIONS_MAX)
        return NULL;
    uint8_t *base = map_keys((size_t)KEY_PAGE * KEY_REGION_PAGES);
    if (!base)
        return NULL;
    struct key_region *r = &key_regions[key_region_count++];
    *r = (struct key_region){.base = base};
    return key_page_take(r);
}

void *secmem_key_alloc(size_t len)
{
    if (len > KEY_PAGE)
        return NULL;
    pthread_mutex_lock(&lock);
    void *p = key_alloc_locked();
    pthread_mutex_unlock(&lock);
    return p;
}

void secmem_key_free(void *key, size_t len)
{
    if (!key)
        return;
    (void)len;
    secmem_wipe(key, KEY_PAGE); /* the whole page: the next owner gets zeros */
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < key_region_count; i++) {
        struct key_region *r = &key_regions[i];
        size_t off = (size_t)((uintptr_t)key - (uintptr_t)r->base);
        if (off < (size_t)KEY_PAGE * KEY_REGION_PAGES)
            r->used &= ~(1u << (off / KEY_PAGE));
    }
    pthread_mutex_unlock(&lock);
}

int secmem_have_memfd_secret(void)
{
    pthread_mutex_lock(&lock);
    if (secret_pages == SECRET_UNKNOWN) {
        /* The region made for the probe is kept: keys will want it. */
        void *p = key_alloc_locked();
        for (size_t i = 0; p && i < key_region_count; i++)
            key_regions[i].used = 0;
    }
    int have = secret_pages == SECRET_YES;
    pthread_mutex_unlock(&lock);
    return have;
}

static struct secmem_chunk *chunk_take(void)
{
    pthread_mutex_lock(&lock);
    struct secmem_chunk *c = pool.free;
    if (c) {
        pool.free = c->next;
        pool.count--;
    }
    pthread_mutex_unlock(&lock);
    if (!c) {
        c = map_private(CHUNK_BYTES);
        if (!c)
            return NULL;
    }
    *c = (struct secmem_chunk){.cap = CHUNK_BYTES - CHUNK_HEADER, .data = (uint8_t *)c + CHUNK_HEADER};
    return c;
}

static void chunk_give(struct secmem_chunk *c)
{
    secmem_wipe(c->data, c->len);
    pthread_mutex_lock(&lock);
    bool keep = pool.count < POOL_MAX;
    if (keep) {
        c->next = pool.free;
        pool.free = c;
        pool.count++;
    }
    pthread_mutex_unlock(&lock);
    if (!keep)
        munmap(c, CHUNK_BYTES);
}

static void release_chain(struct secmem_chunk *c)
{
    while (c) {
        struct secmem_chunk *next = c->next;
        chunk_give(c);
        c = next;
    }
}

/* All or nothing: the new chunks are taken first, so that a shortage leaves the message as it was. */
int secmem_msg_append(struct secmem_msg *m, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t room = m->last ? m->last->cap - m->last->len : 0;
    struct secmem_chunk *fresh = NULL, **tail = &fresh;
    for (size_t have = room; have < len; have += (*tail)->cap, tail = &(*tail)->next) {
        *tail = chunk_take();
        if (!*tail) {
            release_chain(fresh);
            return ERR_MEMORY;
        }
    }
    if (fresh && m->last)
        m->last->next = fresh;
    else if (fresh)
        m->first = m->last = fresh;
    m->len += len;
    while (len) {
        if (m->last->len == m->last->cap)
            m->last = m->last->next;
        size_t n = m->last->cap - m->last->len;
        n = n < len ? n : len;
        memcpy(m->last->data + m->last->len, p, n);
        m->last->len += n;
        p += n;
        len -= n;
    }
    return OK;
}

void secmem_msg_release(struct secmem_msg *m)
{
    release_chain(m->first);
    *m = (struct secmem_msg){0};
}

int secmem_msg_pieces(const struct secmem_msg *m, struct slice head, size_t skip, struct iovec **ret, size_t *ret_n)
{
    struct iovec *v;
    size_t n = 1;

    for (const struct secmem_chunk *c = m->first; c; c = c->next)
        n++;
    v = calloc(n, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    n = 0;
    if (head.len)
        v[n++] = (struct iovec){(void *)(uintptr_t)head.data, head.len};
    for (const struct secmem_chunk *c = m->first; c; c = c->next) {
        const size_t cut = skip < c->len ? skip : c->len;
        skip -= cut;
        if (cut < c->len)
            v[n++] = (struct iovec){c->data + cut, c->len - cut};
    }
    *ret = v;
    *ret_n = n;
    return OK;
}

void secmem_pool_trim(void)
{
    pthread_mutex_lock(&lock);
    struct secmem_chunk *c = pool.free;
    pool.free = NULL;
    pool.count = 0;
    pthread_mutex_unlock(&lock);
    while (c) {
        struct secmem_chunk *next = c->next;
        munmap(c, CHUNK_BYTES);
        c = next;
    }
}
