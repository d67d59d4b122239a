/* Sets of messages: what a client names, as UIDs that its session knows, cut into what the vault takes at once. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/sets.h"

int imap_arg_uids(struct imap_session *s, const struct imap_node *n, bool uid, struct imap_set *ret)
{
    struct arena *arena = imap_session_arena(s);
    struct imap_set set;
    if (!arena)
        return ERR_MEMORY;
    if (!n || n->type != IMAP_ATOM || n->glued)
        return ERR_FORMAT;
    int err = imap_set_parse(arena, n->text, &set);
    if (err)
        return err;
    if ((err = imap_session_map(s)) != OK)
        return err;
    const struct imap_map *m = s->sel->map;
    imap_set_resolve(&set, uid ? imap_map_last(m) : imap_map_count(m));
    if (!uid) { /* "*" of an empty mailbox is beyond it too (RFC 3501 section 9, seq-number) */
        if (set.n == 0 || set.r[set.n - 1].last > imap_map_count(m))
            return ERR_NOT_FOUND;
        for (size_t i = 0; i < set.n; i++)
            set.r[i] = (struct imap_range){imap_map_uid(m, set.r[i].first), imap_map_uid(m, set.r[i].last)};
    }
    *ret = set;
    return OK;
}

size_t imap_ranges_count(const struct uid_range *r, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += r[i].last - r[i].first + 1;
    return count;
}

size_t imap_set_batch(const struct imap_map *m, const struct imap_set *set, uint32_t *pos, size_t most,
                      struct uid_range out[IMAP_BATCH_MAX])
{
    size_t n = 0, messages = 0;
    for (size_t i = 0; i < set->n; i++) {
        uint32_t uid = set->r[i].first > *pos ? set->r[i].first : *pos;
        if (set->r[i].last < *pos)
            continue;
        while ((uid = imap_map_from(m, uid)) != 0 && uid <= set->r[i].last) {
            if (messages == most) {
                *pos = uid;
                return n;
            }
            messages++;
            if (n && out[n - 1].last + 1 == uid)
                out[n - 1].last = uid;
            else
                out[n++] = (struct uid_range){uid, uid};
            if (uid++ == UINT32_MAX)
                break;
        }
    }
    *pos = UINT32_MAX;
    return n;
}

struct flagged {
    struct imap_session *s;
    const struct imap_set *set;
    unsigned flag;
    bool on;
    struct imap_range *r;
    size_t n, cap;
};

static int flagged_add(struct flagged *f, uint32_t uid)
{
    if (f->n && f->r[f->n - 1].last + 1 == uid) {
        f->r[f->n - 1].last = uid;
        return OK;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 32;
        struct imap_range *r = realloc(f->r, cap * sizeof(*r));
        if (!r)
            return ERR_MEMORY;
        f->r = r;
        f->cap = cap;
    }
    f->r[f->n++] = (struct imap_range){uid, uid};
    return OK;
}

/* Reads only the blocks in which the set has members. */
static int flagged_look(void *arg, struct view *v)
{
    struct flagged *f = arg;
    struct imap_session *s = f->s;
    struct schema_block b;
    uint32_t loaded = UINT32_MAX;
    f->n = 0;
    for (size_t i = 0; i < f->set->n; i++) {
        uint32_t uid = f->set->r[i].first;
        while ((uid = imap_map_from(s->sel->map, uid)) != 0 && uid <= f->set->r[i].last) {
            uint32_t no = uid / BLOCK_UIDS, bit = uid % BLOCK_UIDS;
            int err = no == loaded ? OK : view_block(v, s->account, s->sel->mailbox, no, &b);
            if (err)
                return err;
            loaded = no;
            const uint8_t *bits = f->flag == IMAP_SEEN ? b.seen : b.deleted_bits;
            bool here = b.here[bit / 8] >> bit % 8 & 1;
            if ((f->flag ? here && (bits[bit / 8] >> bit % 8 & 1) == f->on : !here) &&
                (err = flagged_add(f, uid)) != OK)
                return err;
            if (uid++ == UINT32_MAX)
                break;
        }
    }
    return OK;
}

int imap_set_flagged(struct imap_session *s, const struct imap_set *set, unsigned flag, bool on, struct imap_set *ret)
{
    struct flagged f = {.s = s, .set = set, .flag = flag, .on = on};
    int err = view_run(s->a->view, flagged_look, &f);
    if (err) {
        free(f.r);
        return err;
    }
    *ret = (struct imap_set){f.r, f.n};
    return OK;
}

int imap_set_gone(struct imap_session *s, const struct imap_set *set, bool *ret_any)
{
    struct imap_set gone;
    int err = imap_set_flagged(s, set, 0, false, &gone);
    if (err)
        return err;
    *ret_any = gone.n > 0;
    free(gone.r);
    return OK;
}

int imap_put_set(struct buf *out, const uint32_t *uids, size_t n)
{
    int err = OK;
    for (size_t i = 0, k; !err && i < n; i = k) {
        for (k = i + 1; k < n && uids[k] == uids[k - 1] + 1; k++)
            ;
        err = k - i == 1 ? buf_printf(out, "%s%u", i ? "," : "", uids[i])
                         : buf_printf(out, "%s%u:%u", i ? "," : "", uids[i], uids[k - 1]);
    }
    return err;
}
