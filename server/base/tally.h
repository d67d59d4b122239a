/* What the processes of a role count together: how many sessions and octets each peer has in all of them. Each process
 * has a page of counters that it alone can write and that the others read, so one that is subverted can lie about
 * itself and change nobody else's. Master makes the pages. A counter is that of all the peers whose keys fall on it,
 * which are few at a time; it holds no address. */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TALLY_PAGES_MAX = 64,
    TALLY_DEBTS_WORDS = 2 * 16384, /* of server/base/debts.h; behind them those of server/ingest/mx/greylist.h */
    TALLY_GREYLIST_WORDS = 4 * 16384,
    TALLY_WORDS = TALLY_DEBTS_WORDS + TALLY_GREYLIST_WORDS
};

/* Master's side: the page of one process, empty, as two descriptors: its owner's, and one that can only be read. All
 * pages of a role have one key. ERR_MEMORY. */
enum { TALLY_KEY_SIZE = 16 };
int tally_page(const uint8_t key[TALLY_KEY_SIZE], int *ret_own, int *ret_read);
/* Its process has ended, and so has all that it counted. Its words stay. */
void tally_clear(int own, const uint8_t key[TALLY_KEY_SIZE]);

struct tally;
/* Maps them, so before the sandbox; descriptors stay the caller's. ERR_MEMORY. */
int tally_open(int own, const int *others, size_t n, struct tally **ret);
void tally_close(struct tally *t); /* NULL is allowed */

uint32_t tally_processes(const struct tally *t); /* this one too */
uint32_t tally_slot(const struct tally *t, const void *key, size_t len);
void tally_add(struct tally *t, uint32_t slot, int32_t sessions, int64_t bytes);
/* What the others have on that counter, at most cap. */
uint64_t tally_sessions(const struct tally *t, uint32_t slot, uint64_t cap);
uint64_t tally_bytes(const struct tally *t, uint32_t slot, uint64_t cap);

/* What the others leave of max, or what may always be had. others: at most max. */
static inline uint64_t tally_left(uint64_t max, uint64_t others, uint64_t always)
{
    uint64_t rest = max - others;

    return rest > always ? rest : always;
}

/* Whether anybody else is at work on what has that key. Of two that hold first and look then, one at least sees the
 * other. */
void tally_hold(struct tally *t, uint32_t slot, int32_t by);
bool tally_held(const struct tally *t, uint32_t slot);

/* For those who say what they mean: the words that the process writes, and those of the i-th other
 * (NULL: there are no more), TALLY_WORDS each; and the key of all pages of the role. */
uint64_t *tally_words(struct tally *t);
const uint64_t *tally_words_of(const struct tally *t, size_t i);
const uint8_t *tally_key(const struct tally *t);

#endif
