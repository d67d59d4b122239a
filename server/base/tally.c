/* A counter that is read while it is written is a moment old, and so is whatever is decided by it: two processes that
 * take the last place at once are one too many. */
#include "server/base/tally.h"

#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"

enum { SLOTS = 16384 };
_Static_assert(TALLY_KEY_SIZE == crypto_shorthash_KEYBYTES, "the key is shorthash's");

struct page {
    uint64_t key[TALLY_KEY_SIZE / sizeof(uint64_t)];
    struct {
        uint64_t sessions, bytes;
    } slots[SLOTS];
    uint32_t held[SLOTS];
    uint64_t words[TALLY_WORDS];
};

struct tally {
    uint8_t key[TALLY_KEY_SIZE];
    struct page *own;
    size_t n;
    const struct page *others[];
};

int tally_page(const uint8_t key[TALLY_KEY_SIZE], int *ret_own, int *ret_read)
{
    int own = memfd_create("tally", MFD_CLOEXEC | MFD_ALLOW_SEALING), read_only = -1;
    char path[64];

    if (own >= 0 && ftruncate(own, sizeof(struct page)) == 0 &&
        fcntl(own, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
        pwrite(own, key, TALLY_KEY_SIZE, 0) == TALLY_KEY_SIZE) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
        read_only = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (read_only < 0) {
        if (own >= 0)
            close(own);
        return ERR_MEMORY;
    }
    *ret_own = own;
    *ret_read = read_only;
    return OK;
}

/* Not by cutting the file: the others have it mapped. */
void tally_clear(int own, const uint8_t key[TALLY_KEY_SIZE])
{
    static const uint8_t zeros[4096];

    for (size_t at = 0; at < offsetof(struct page, words); at += sizeof(zeros)) {
        size_t n = offsetof(struct page, words) - at;
        (void)!pwrite(own, zeros, n < sizeof(zeros) ? n : sizeof(zeros), (off_t)at);
    }
    (void)!pwrite(own, key, TALLY_KEY_SIZE, 0);
}

int tally_open(int own, const int *others, size_t n, struct tally **ret)
{
    struct tally *t = calloc(1, sizeof(*t) + n * sizeof(t->others[0]));
    void *at = t ? mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, own, 0) : MAP_FAILED;

    if (at == MAP_FAILED) {
        free(t);
        return ERR_MEMORY;
    }
    t->own = at;
    memcpy(t->key, t->own->key, sizeof(t->key));
    for (; t->n < n; t->n++) {
        at = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, others[t->n], 0);
        if (at == MAP_FAILED) {
            tally_close(t);
            return ERR_MEMORY;
        }
        t->others[t->n] = at;
    }
    *ret = t;
    return OK;
}

void tally_close(struct tally *t)
{
    if (!t)
        return;
    munmap(t->own, sizeof(struct page));
    for (size_t i = 0; i < t->n; i++)
        munmap((void *)t->others[i], sizeof(struct page));
    free(t);
}

uint32_t tally_processes(const struct tally *t)
{
    return (uint32_t)t->n + 1;
}

uint32_t tally_slot(const struct tally *t, const void *key, size_t len)
{
    uint8_t h[crypto_shorthash_BYTES];
    uint32_t v;

    crypto_shorthash(h, key, len, t->key);
    memcpy(&v, h, sizeof(v));
    return v % SLOTS;
}

void tally_add(struct tally *t, uint32_t slot, int32_t sessions, int64_t bytes)
{
    __atomic_fetch_add(&t->own->slots[slot].sessions, (uint64_t)(int64_t)sessions, __ATOMIC_RELAXED);
    __atomic_fetch_add(&t->own->slots[slot].bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* The others' figures are their word: whatever it is, the sum does not wrap. */
static uint64_t sum_to(uint64_t sum, const uint64_t *figure, uint64_t cap)
{
    uint64_t v = __atomic_load_n(figure, __ATOMIC_RELAXED);

    return v < cap - sum ? sum + v : cap;
}

uint64_t tally_sessions(const struct tally *t, uint32_t slot, uint64_t cap)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < t->n; i++)
        sum = sum_to(sum, &t->others[i]->slots[slot].sessions, cap);
    return sum;
}

uint64_t tally_bytes(const struct tally *t, uint32_t slot, uint64_t cap)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < t->n; i++)
        sum = sum_to(sum, &t->others[i]->slots[slot].bytes, cap);
    return sum;
}

void tally_hold(struct tally *t, uint32_t slot, int32_t by)
{
    __atomic_fetch_add(&t->own->held[slot], (uint32_t)by, __ATOMIC_SEQ_CST);
}

bool tally_held(const struct tally *t, uint32_t slot)
{
    for (size_t i = 0; i < t->n; i++)
        if (__atomic_load_n(&t->others[i]->held[slot], __ATOMIC_SEQ_CST))
            return true;
    return false;
}

uint64_t *tally_words(struct tally *t)
{
    return t->own->words;
}

const uint64_t *tally_words_of(const struct tally *t, size_t i)
{
    return i < t->n ? t->others[i]->words : NULL;
}

const uint8_t *tally_key(const struct tally *t)
{
    return t->key;
}
