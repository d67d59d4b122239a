/* The read side of what accounts send. */
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
    struct slice first = after != NULL ? key_hash(&from, 'S', after) : key_simple(&from, 'S');
    if (after != NULL) /* the key behind it */
        from.b[first.len++] = 0;
    return engine_scan(v->txn, PART_QUEUE, first, key_simple(&to, 'S' + 1), 0, see_suppressed, &w);
}
