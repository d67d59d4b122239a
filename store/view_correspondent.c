/* The read side of what accounts know of others' keys. */
#include <string.h>

#include "server/core/error.h"
#include "store/correspondent_impl.h"
#include "store/view_impl.h"

int view_correspondent(struct view *v, uint64_t account, uint8_t kind, const char *address, struct correspondent *ret,
                       uint8_t seen[CORRESPONDENT_SEEN])
{
    return v->txn ? schema_get_correspondent(v->txn, v->keys, account, kind, address, ret, seen) : ERR_CONFLICT;
}

int view_correspondents(struct view *v, uint64_t account, struct correspondents *ret)
{
    return v->txn ? schema_get_correspondents(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

struct listing {
    struct view *v;
    uint64_t account;
    struct correspondent *room;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct correspondent *c);
    void *arg;
};

static int see_one(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    int err = schema_unpack_correspondent(l->v->keys, l->account, key, value, l->room);
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    if (err != OK)
        l->room->address[0] = '\0';
    return l->fn(l->arg, key.data + 1, err, l->room);
}

int view_correspondents_each(
    struct view *v, uint64_t account, uint8_t kind, const uint8_t after[RECORD_HASH_SIZE], struct correspondent *room,
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct correspondent *c), void *arg)
{
    struct schema_keybuf from, to;
    struct listing l = {v, account, room, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    const struct slice first = view_after_hash(&from, (char)kind, after);
    return engine_scan(v->txn, account, first, key_simple(&to, (char)(kind + 1)), 0, see_one, &l);
}
