/* The read side of what accounts send, and of what is known of others. */
#include <string.h>

#include "server/core/error.h"
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

int view_suppressed(struct view *v, const char *address, struct suppressed *ret)
{
    struct schema_keybuf kb;
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice sealed;
    if (!v->txn)
        return ERR_CONFLICT;
    suppression_hash(v->keys, address, hash);
    int err = engine_get(v->txn, PART_QUEUE, key_hash(&kb, 'S', hash), &sealed);
    return err == OK ? suppression_open(v->keys, hash, sealed, ret) : err;
}

/* The key behind it; NULL: the first. */
static struct slice after_hash(struct schema_keybuf *kb, char letter, const uint8_t *hash)
{
    struct slice first = hash != NULL ? key_hash(kb, letter, hash) : key_simple(kb, letter);
    if (hash != NULL)
        kb->b[first.len++] = 0;
    return first;
}

struct suppressed_walk {
    struct view *v;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct suppressed *s);
    void *arg;
};

static int see_suppressed(void *arg, struct slice key, struct slice value)
{
    struct suppressed_walk *w = arg;
    struct suppressed s = {0};
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = suppression_open(w->v->keys, key.data + 1, value, &s);
    return w->fn(w->arg, key.data + 1, err, &s);
}

int view_suppressed_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                         int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                   const struct suppressed *s),
                         void *arg)
{
    struct schema_keybuf from, to;
    struct suppressed_walk w = {v, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    struct slice first = after_hash(&from, 'S', after);
    return engine_scan(v->txn, PART_QUEUE, first, key_simple(&to, 'S' + 1), 0, see_suppressed, &w);
}

/* ---- MTA-STS policies ---- */

static int open_sts_policy(struct view *v, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                           struct sts_policy *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    if (sealed.len > QUEUE_SEEN_SIZE)
        memcpy(seen, sealed.data + 1, QUEUE_SEEN_SIZE);
    return sts_policy_open(v->keys, hash, sealed, ret);
}

int view_sts_policy(struct view *v, const char *domain, struct sts_policy *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct schema_keybuf kb;
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice sealed;
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (!v->txn)
        return ERR_CONFLICT;
    sts_policy_hash(v->keys, domain, hash);
    int err = engine_get(v->txn, PART_QUEUE, key_hash(&kb, 'p', hash), &sealed);
    return err == OK ? open_sts_policy(v, hash, sealed, ret, seen) : err;
}

struct sts_policy_walk {
    struct view *v;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct sts_policy *p,
              const uint8_t seen[QUEUE_SEEN_SIZE]);
    void *arg;
};

static int see_sts_policy(void *arg, struct slice key, struct slice value)
{
    struct sts_policy_walk *w = arg;
    struct sts_policy p = {0};
    uint8_t seen[QUEUE_SEEN_SIZE] = {0};
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = open_sts_policy(w->v, key.data + 1, value, &p, seen);
    return w->fn(w->arg, key.data + 1, err, &p, seen);
}

int view_sts_policies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                           int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                     const struct sts_policy *p, const uint8_t seen[QUEUE_SEEN_SIZE]),
                           void *arg)
{
    struct schema_keybuf from, to;
    struct sts_policy_walk w = {v, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    struct slice first = after_hash(&from, 'p', after);
    return engine_scan(v->txn, PART_QUEUE, first, key_simple(&to, 'p' + 1), 0, see_sts_policy, &w);
}

/* ---- how TLS went ---- */

static int open_tally(struct view *v, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed, struct tls_tally *ret,
                      uint8_t seen[QUEUE_SEEN_SIZE])
{
    if (sealed.len > QUEUE_SEEN_SIZE)
        memcpy(seen, sealed.data + 1, QUEUE_SEEN_SIZE);
    return tls_tally_open(v->keys, hash, sealed, ret);
}

int view_tls_tally(struct view *v, struct tls_tally *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    struct schema_keybuf kb;
    uint8_t hash[RECORD_HASH_SIZE];
    struct slice sealed;
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (!v->txn)
        return ERR_CONFLICT;
    tls_tally_hash(v->keys, ret, hash);
    int err = engine_get(v->txn, PART_QUEUE, key_hash(&kb, 't', hash), &sealed);
    return err == OK ? open_tally(v, hash, sealed, ret, seen) : err;
}

struct tally_walk {
    struct view *v;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
              const uint8_t seen[QUEUE_SEEN_SIZE]);
    void *arg;
};

static int see_tally(void *arg, struct slice key, struct slice value)
{
    struct tally_walk *w = arg;
    struct tls_tally t = {0};
    uint8_t seen[QUEUE_SEEN_SIZE] = {0};
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = open_tally(w->v, key.data + 1, value, &t, seen);
    return w->fn(w->arg, key.data + 1, err, &t, seen);
}

int view_tls_tallies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                          int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
                                    const uint8_t seen[QUEUE_SEEN_SIZE]),
                          void *arg)
{
    struct schema_keybuf from, to;
    struct tally_walk w = {v, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    struct slice first = after_hash(&from, 't', after);
    return engine_scan(v->txn, PART_QUEUE, first, key_simple(&to, 't' + 1), 0, see_tally, &w);
}
