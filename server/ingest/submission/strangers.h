/* Keys of people elsewhere (keyserver/discover): looked for once, kept until they are over, for all sessions of the
 * process. They live here because it is here that mail is sealed: what is looked for, and by whom, is told to nobody
 * but `resolver` and `fetcher`, and what strangers' servers answer is judged where it does no more than the mail that
 * other strangers send. Bounded in entries, octets, searches at a time and of an account, and time. */
#ifndef INGEST_STRANGERS_H
#define INGEST_STRANGERS_H

#include "keyserver/discover/discover.h"
#include "server/base/config.h"
#include "server/keys/known.h"

enum {
    STRANGERS_MAX = 16384,           /* addresses; of the others that used longest ago goes */
    STRANGERS_OCTETS = 32 << 20,     /* of their certificates */
    STRANGERS_SEARCHES = 128,        /* at a time; what comes beyond waits for a place */
    STRANGERS_SEARCHES_ACCOUNT = 32, /* of those that one account began */
};

struct strangers;
/* NULL: no memory. d and f must live as long. */
struct strangers *submission_strangers_create(struct loop *l, struct dns *d, struct fetch *f);
void submission_strangers_destroy(struct strangers *s); /* after those who wait; NULL is allowed */
void submission_strangers_configure(struct strangers *s, const struct config *c);

struct strangers_counts {
    uint64_t sought, found, now; /* searches, keys that they brought, addresses that are remembered */
};
struct strangers_counts submission_strangers_counts(const struct strangers *s);

struct strangers_asker {
    uint64_t account;
    void (*ready)(void *arg); /* from the loop: ask again */
    void *arg;
};
struct strangers_wait; /* whoever waits */
enum { STRANGERS_LATER = 1 };
/* OK: *ret is the caller's. ERR_NO_KEY: it has none that can be used; ERR_AGAIN: nobody can say now (its domain does
 * not answer; nothing is kept for long); ERR_MEMORY. STRANGERS_LATER: it is being looked for, and *ret_wait is told
 * when it may be asked again; ret_wait NULL: nobody waits. */
int submission_strangers_ask(struct strangers *s, const char *address, const struct strangers_asker *who,
                             struct known **ret, struct strangers_wait **ret_wait);
/* Whether this key was found revoked for the address, in its one spelling. */
bool submission_strangers_revoked(struct strangers *s, const char *address, const uint8_t *fpr, size_t len);
void submission_strangers_cancel(struct strangers_wait *w); /* it is not told; NULL is allowed */

#endif
