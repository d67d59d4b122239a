/* The read side of the directory. Whoever is not in it costs what anybody else costs who is not: nothing but this
 * partition is looked at. */
#include <string.h>

#include "server/core/error.h"
#include "store/published_impl.h"
#include "store/view_impl.h"

static int may_look(const struct view *v)
{
    if (!v->txn)
        return ERR_CONFLICT;
    return record_keys_have(v->keys, RECORD_PUBLISHED) ? OK : ERR_DENIED;
}

int view_published(struct view *v, const char *address, struct published *ret)
{
    uint8_t hash[RECORD_HASH_SIZE];
    int err = may_look(v);
    if (err)
        return err;
    published_hash(v->keys, address, hash);
    return schema_get_published(v->txn, v->keys, hash, ret);
}

/* ---- by what leads to addresses ---- */

struct leads {
    struct view *v;
    size_t front;
    struct published *room;
    int (*fn)(void *arg, const struct published *p);
    void *arg;
};

static int follow(void *arg, struct slice key, struct slice value)
{
    const struct leads *l = arg;
    (void)value;
    if (key.len != l->front + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = schema_get_published(l->v->txn, l->v->keys, key.data + l->front, l->room);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
    return l->fn(l->arg, l->room);
}

static int each_behind(struct view *v, struct slice front, struct published *room,
                       int (*fn)(void *arg, const struct published *p), void *arg)
{
    struct schema_keybuf end;
    struct leads l = {v, front.len, room, fn, arg};
    return engine_scan(v->txn, PART_KEYSERVER, front, key_after(&end, front), 0, follow, &l);
}

struct of_domain {
    const char *domain;
    bool found;
};

static int stop_at(void *arg, const struct published *p)
{
    struct of_domain *d = arg;
    const char *at = strrchr(p->address, '@');
    if (!at || strcmp(at + 1, d->domain) != 0)
        return ERR_FORMAT;
    d->found = true;
    return 1;
}

int view_published_wkd(struct view *v, const char *domain, const char hash[WKD_HASH_LEN], struct published *ret)
{
    struct schema_keybuf kb;
    struct of_domain d = {domain, false};
    int err = may_look(v);
    if (!err)
        err = each_behind(v, key_published_wkd(&kb, v->keys, domain, hash), ret, stop_at, &d);
    return err < 0 ? err : d.found ? OK : ERR_NOT_FOUND;
}

int view_published_key(struct view *v, const uint8_t *name, size_t len, struct published *room,
                       int (*fn)(void *arg, const struct published *p), void *arg)
{
    struct schema_keybuf kb;
    int err = may_look(v);
    return err ? err : each_behind(v, key_published_key(&kb, v->keys, name, len), room, fn, arg);
}

/* ---- all of them ---- */

struct entries {
    struct view *v;
    struct published *room;
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], const struct published *p);
    void *arg;
};

static int see_entry(void *arg, struct slice key, struct slice value)
{
    const struct entries *e = arg;
    (void)value;
    if (key.len != 1 + RECORD_HASH_SIZE)
        return ERR_FORMAT;
    int err = schema_get_published(e->v->txn, e->v->keys, key.data + 1, e->room);
    return err ? err : e->fn(e->arg, key.data + 1, e->room);
}

int view_published_after(struct view *v, const uint8_t after[RECORD_HASH_SIZE], struct published *room,
                         int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], const struct published *p),
                         void *arg)
{
    struct schema_keybuf from, to;
    struct entries e = {v, room, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    struct slice first = view_after_hash(&from, 'p', after);
    return engine_scan(v->txn, PART_KEYSERVER, first, key_simple(&to, 'p' + 1), 0, see_entry, &e);
}

/* ---- the log ---- */

struct changes_walk {
    struct view *v;
    int (*fn)(void *arg, const struct published_change *c);
    void *arg;
};

static int see_change(void *arg, struct slice key, struct slice value)
{
    const struct changes_walk *w = arg;
    struct published_change c;
    int err = schema_unpack_published_change(w->v->keys, key, value, &c);
    return err ? err : w->fn(w->arg, &c);
}

int view_published_changes_after(struct view *v, uint64_t after, int (*fn)(void *arg, const struct published_change *c),
                                 void *arg)
{
    struct schema_keybuf from, to;
    struct changes_walk w = {v, fn, arg};
    if (!v->txn)
        return ERR_CONFLICT;
    return engine_scan(v->txn, PART_KEYSERVER, key_u64(&from, 'l', after + 1), key_simple(&to, 'l' + 1), 0, see_change,
                       &w);
}

int view_published_head(struct view *v, uint64_t *ret_changes, uint8_t ret_hash[PUBLISHED_HASH_SIZE])
{
    struct published_head h;
    int err = v->txn ? schema_get_published_head(v->txn, v->keys, &h) : ERR_CONFLICT;
    if (err)
        return err;
    *ret_changes = h.changes;
    memcpy(ret_hash, h.hash, sizeof(h.hash));
    return OK;
}
