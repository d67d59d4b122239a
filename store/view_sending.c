/* The read side of what accounts send, and of what is known of others. */
#include <string.h>

#include "server/core/error.h"
#include "store/contact_impl.h"
#include "store/dmarc_day_impl.h"
#include "store/schema_impl.h"
#include "store/sending_impl.h"
#include "store/view_impl.h"

int view_held(struct view *v, uint64_t account)
{
    struct schema_keybuf kb;
    struct slice value;
    return v->txn ? engine_get(v->txn, PART_QUEUE, key_u64(&kb, 'H', account), &value) : ERR_CONFLICT;
}

int view_hold(struct view *v, uint64_t account, struct schema_hold *ret)
{
    return v->txn ? schema_get_hold(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_sent(struct view *v, uint64_t account, struct schema_sent *ret)
{
    return v->txn ? schema_get_sent(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_complaints(struct view *v, uint64_t account, struct schema_complaints *ret)
{
    return v->txn ? schema_get_complaints(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_dmarc_day(struct view *v, const char *domain, uint32_t day, struct dmarc_day *ret)
{
    return v->txn ? schema_get_dmarc_day(v->txn, v->keys, domain, day, ret) : ERR_CONFLICT;
}

int view_contact(struct view *v, uint64_t account, const uint8_t who[CONTACT_WHO])
{
    return v->txn ? contact_find(v->txn, v->keys, account, who) : ERR_CONFLICT;
}

int view_written_to(struct view *v, uint64_t account, const char *address)
{
    return v->txn ? sending_find(v->txn, v->keys, account, address) : ERR_CONFLICT;
}

/* ---- records that stand by a hash ---- */

static void take_seen(struct slice sealed, uint8_t seen[QUEUE_SEEN_SIZE])
{
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (sealed.len > QUEUE_SEEN_SIZE)
        memcpy(seen, sealed.data + 1, QUEUE_SEEN_SIZE);
}

/* seen: zeros, if there is none. */
static int get_by_hash(struct view *v, char letter, const uint8_t hash[RECORD_HASH_SIZE], struct slice *ret_sealed,
                       uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct schema_keybuf kb;
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (!v->txn)
        return ERR_CONFLICT;
    int err = engine_get(v->txn, PART_QUEUE, key_hash(&kb, letter, hash), ret_sealed);
    if (err == OK)
        take_seen(*ret_sealed, seen);
    return err;
}

struct slice view_after_hash(struct schema_keybuf *kb, char letter, const uint8_t *hash)
{
    struct slice first = hash != NULL ? key_hash(kb, letter, hash) : key_simple(kb, letter);
    if (hash != NULL)
        kb->b[first.len++] = 0;
    return first;
}

/* The beginning of a walk over one kind. */
struct walk {
    struct view *v;
    int (*see)(struct walk *w, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
               const uint8_t seen[QUEUE_SEEN_SIZE]);
};

static int see_record(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;
    uint8_t seen[QUEUE_SEEN_SIZE];
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    take_seen(value, seen);
    return w->see(w, key.data + 1, value, seen);
}

static int each_by_hash(struct walk *w, char letter, const uint8_t *after)
{
    struct schema_keybuf from, to;
    if (!w->v->txn)
        return ERR_CONFLICT;
    struct slice first = view_after_hash(&from, letter, after);
    return engine_scan(w->v->txn, PART_QUEUE, first, key_simple(&to, (char)(letter + 1)), 0, see_record, w);
}

/* ---- addresses that bounced for good ---- */

int view_suppressed(struct view *v, const char *address, struct suppressed *ret)
{
    uint8_t hash[RECORD_HASH_SIZE], seen[QUEUE_SEEN_SIZE];
    struct slice sealed;
    suppression_hash(v->keys, address, hash);
    int err = get_by_hash(v, 'S', hash, &sealed, seen);
    return err == OK ? suppression_open(v->keys, hash, sealed, ret) : err;
}

struct suppressed_walk {
    struct walk walk;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct suppressed *s);
    void *arg;
};

static int see_suppressed(struct walk *walk, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                          const uint8_t seen[QUEUE_SEEN_SIZE])
{
    const struct suppressed_walk *w = (const struct suppressed_walk *)walk;
    struct suppressed s = {0};
    (void)seen;
    int err = suppression_open(walk->v->keys, hash, sealed, &s);
    return w->fn(w->arg, hash, err, &s);
}

int view_suppressed_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                         int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                   const struct suppressed *s),
                         void *arg)
{
    struct suppressed_walk w = {{v, see_suppressed}, fn, arg};
    return each_by_hash(&w.walk, 'S', after);
}

/* ---- MTA-STS policies ---- */

int view_sts_policy(struct view *v, const char *domain, struct sts_policy *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice sealed;
    sts_policy_hash(v->keys, domain, hash);
    int err = get_by_hash(v, 'p', hash, &sealed, seen);
    return err == OK ? sts_policy_open(v->keys, hash, sealed, ret) : err;
}

struct sts_policy_walk {
    struct walk walk;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct sts_policy *p,
              const uint8_t seen[QUEUE_SEEN_SIZE]);
    void *arg;
};

static int see_sts_policy(struct walk *walk, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                          const uint8_t seen[QUEUE_SEEN_SIZE])
{
    const struct sts_policy_walk *w = (const struct sts_policy_walk *)walk;
    struct sts_policy p = {0};
    int err = sts_policy_open(walk->v->keys, hash, sealed, &p);
    return w->fn(w->arg, hash, err, &p, seen);
}

int view_sts_policies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                           int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                     const struct sts_policy *p, const uint8_t seen[QUEUE_SEEN_SIZE]),
                           void *arg)
{
    struct sts_policy_walk w = {{v, see_sts_policy}, fn, arg};
    return each_by_hash(&w.walk, 'p', after);
}

/* ---- how TLS went ---- */

int view_tls_tally(struct view *v, struct tls_tally *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice sealed;
    tls_tally_hash(v->keys, ret, hash);
    int err = get_by_hash(v, 't', hash, &sealed, seen);
    return err == OK ? tls_tally_open(v->keys, hash, sealed, ret) : err;
}

struct tally_walk {
    struct walk walk;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
              const uint8_t seen[QUEUE_SEEN_SIZE]);
    void *arg;
};

static int see_tally(struct walk *walk, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                     const uint8_t seen[QUEUE_SEEN_SIZE])
{
    const struct tally_walk *w = (const struct tally_walk *)walk;
    struct tls_tally t = {0};
    int err = tls_tally_open(walk->v->keys, hash, sealed, &t);
    return w->fn(w->arg, hash, err, &t, seen);
}

int view_tls_tallies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                          int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
                                    const uint8_t seen[QUEUE_SEEN_SIZE]),
                          void *arg)
{
    struct tally_walk w = {{v, see_tally}, fn, arg};
    return each_by_hash(&w.walk, 't', after);
}
