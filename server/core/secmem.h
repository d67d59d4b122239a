/* Memory for secrets and for plaintext: anonymous maps, left out of core dumps (MADV_DONTDUMP) and of forks
 * (MADV_WIPEONFORK), locked as far as RLIMIT_MEMLOCK lets, wiped when released. Keys sit in memfd_secret pages where
 * the kernel has them. The owner counts how much messages in flight may take (config: plaintext_budget). System calls
 * made: mmap, munmap, madvise, mlock2; for keys also memfd_secret, ftruncate, close. A sandbox may refuse memfd_secret
 * or mlock2 with an errno: the first use of keys probes, and locking is best effort. */
#ifndef CORE_SECMEM_H
#define CORE_SECMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/wire.h"

/* A key of at most one page; NULL: out of memory. Freed with secmem_key_free, which wipes. */
void *secmem_key_alloc(size_t len);
void secmem_key_free(void *key, size_t len);
/* 1 if keys are kept in memfd_secret pages here. */
int secmem_have_memfd_secret(void);

/* A plaintext message as it grows, in chunks that are never moved or copied. */
struct secmem_chunk {
    struct secmem_chunk *next;
    size_t len, cap;
    uint8_t *data;
};
struct secmem_msg {
    struct secmem_chunk *first, *last;
    size_t len;
};

/* Released chunks are wiped and kept in a small pool, so that a busy server does not map and fault for
 * every message. */
int secmem_msg_append(struct secmem_msg *m, const void *data, size_t len); /* OK, ERR_MEMORY */
void secmem_msg_release(struct secmem_msg *m);                             /* wipes; m is empty afterwards */
/* Its octets as they stand, behind `head` if that has any and without the first `skip`. The array is the caller's to
 * free. ERR_MEMORY. */
int secmem_msg_pieces(const struct secmem_msg *m, struct slice head, size_t skip, struct iovec **ret, size_t *ret_n);
void secmem_pool_trim(void);

/* Working memory with the same care as message chunks, for the life of a process; NULL: out of memory. */
void *secmem_map(size_t len);
void secmem_unmap(void *p, size_t len); /* wipes; NULL is allowed */

void secmem_wipe(void *p, size_t len);
/* Wipes 64 KB of stack below the caller's frame, where functions that have returned, those of libraries too, left their
 * variables. Call it from the function that called them, and see that they are not inlined into it. */
void secmem_wipe_stack(void);

#endif
