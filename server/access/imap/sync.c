/* Telling a client what became of its mailbox: EXPUNGE, EXISTS and changed flags, from the tombstones and the change
 * index since the MODSEQ it was last told of. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/sync.h"

enum { FLAG_CHANGES_MAX = 20000 };

struct sync {
    struct imap_session *s;
    bool expunge, changed, lost;
    struct imap_selected next;
    const struct schema_mailbox_name *name;
    struct imap_map *old, *new; /* references of our own */
    uint32_t *gone;             /* expunged UIDs, ascending */
    size_t ngone, cap;
    unsigned flag_changes;
    bool tombstones, forgotten;
};

static void sync_release(struct sync *y)
{
    imap_map_unref(y->s->a, y->old);
    imap_map_unref(y->s->a, y->new);
    y->old = y->new = NULL;
    free(y->gone);
    y->gone = NULL;
    y->ngone = y->cap = 0;
}

static int see_tombstones(void *arg, struct slice key, struct slice value)
{
    ((struct sync *)arg)->tombstones = true;
    return 1;
}

static int add_gone(struct sync *y, uint32_t uid)
{
    if (y->ngone == y->cap) {
        size_t cap = y->cap ? y->cap * 2 : 64;
        uint32_t *p = realloc(y->gone, cap * sizeof(*p));
        if (!p)
            return ERR_MEMORY;
        y->gone = p;
        y->cap = cap;
    }
    y->gone[y->ngone++] = uid;
    return OK;
}

static int collect_gone(void *arg, struct slice key, struct slice value)
{
    struct sync *y = arg;
    struct unpack u;
    int err = OK;
    unpack_init(&u, value.data, value.len);
    for (uint32_t n = unpack_u32(&u); !err && n && !u.failed; n--) {
        uint32_t uid = unpack_u32(&u), last = unpack_u32(&u);
        while (!err && !u.failed && (uid = imap_map_from(y->old, uid)) != 0 && uid <= last)
            err = add_gone(y, uid++);
    }
    return u.failed ? ERR_FORMAT : err;
}

/* The tombstones since then are forgotten in part: what was there and is not any more. */
static int compare_maps(struct sync *y)
{
    struct imap_session *s = y->s;
    int err = y->new ? OK : imap_map_get(s->a, s->account, &y->next, &y->new);
    for (uint32_t uid = 1; !err && (uid = imap_map_from(y->old, uid)) != 0; uid++)
        if (!imap_map_seq(y->new, uid))
            err = add_gone(y, uid);
    return err;
}

static int descending(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? 1 : -(a > b);
}

/* The highest first, so that no number shifts under another. */
static int put_expunges(struct sync *y, struct buf *out)
{
    struct imap_session *s = y->s;
    struct schema_keybuf from, to;
    int err = imap_map_get(s->a, s->account, s->sel, &y->old);
    struct slice begin = key_u32_u64(&from, 'x', s->sel->mailbox, s->sel->modseq + 1);
    if (!err && y->forgotten)
        err = compare_maps(y);
    else if (!err)
        err = engine_scan(view_txn(s->a->view), s->account, begin, key_u32(&to, 'x', s->sel->mailbox + 1), 0,
                          collect_gone, y);
    if (err)
        return err;
    if (y->ngone)
        qsort(y->gone, y->ngone, sizeof(*y->gone), descending);
    for (size_t i = 0; !err && i < y->ngone; i++)
        err = buf_printf(out, "* %u EXPUNGE\r\n", imap_map_seq(y->old, y->gone[i]));
    return err;
}

static bool is_own(const struct imap_selected *sel, uint64_t modseq)
{
    for (unsigned i = 0; i < sel->nown; i++)
        if (sel->own[i] == modseq)
            return true;
    return false;
}

static int put_change(void *arg, struct slice key, struct slice value)
{
    struct sync *y = arg;
    struct imap_session *s = y->s;
    struct unpack u;
    struct schema_entry e;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    unpack_u32(&u);
    uint64_t modseq = unpack_u64(&u);
    uint32_t uid = unpack_u32(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    if (uid >= s->sel->uidnext || is_own(s->sel, modseq) || y->flag_changes++ >= FLAG_CHANGES_MAX)
        return OK;
    int err = schema_get_entry(view_txn(s->a->view), s->account, s->sel->mailbox, uid, &e);
    if (!err && !y->new)
        err = imap_map_get(s->a, s->account, &y->next, &y->new);
    if (err)
        return err;
    struct buf *out = &s->a->staging;
    if ((err = buf_printf(out, "* %u FETCH (UID %u FLAGS ", imap_map_seq(y->new, uid), uid)) == OK &&
        (err = imap_put_flags(out, e.flags, y->name)) == OK)
        err = buf_puts(out, ")\r\n");
    return err;
}

static int look(void *arg, struct view *v)
{
    static struct schema_mailbox_name name;
    struct sync *y = arg;
    struct imap_session *s = y->s;
    struct engine_txn *t = view_txn(s->a->view);
    struct imap_selected *sel = s->sel;
    struct schema_mailbox box;
    struct schema_keybuf from, to;
    struct buf *out = imap_staging(s->a);
    sync_release(y);
    y->changed = y->lost = y->tombstones = false;
    y->flag_changes = 0;
    int err = schema_get_mailbox(t, s->account, sel->mailbox, &box);
    if (err == ERR_NOT_FOUND || (!err && (box.uidvalidity != sel->uidvalidity || box.highestmodseq < sel->modseq))) {
        y->lost = true;
        return OK;
    }
    if (err || box.highestmodseq == sel->modseq)
        return err;
    err = engine_scan(t, s->account, key_u32_u64(&from, 'x', sel->mailbox, sel->modseq + 1),
                      key_u32(&to, 'x', sel->mailbox + 1), 0, see_tombstones, y);
    if (err < 0)
        return err;
    y->forgotten = box.tombstones_from > sel->modseq;
    y->tombstones = y->tombstones || y->forgotten;
    if (y->tombstones && !y->expunge) /* everything waits for the EXPUNGEs, lest numbers shift */
        return OK;
    y->changed = true;
    y->next = *sel;
    y->next.modseq = box.highestmodseq;
    y->next.uidnext = box.uidnext;
    y->next.exists = box.exists;
    y->next.nown = 0;
    y->name = &name;
    if ((err = schema_get_mailbox_name(t, view_keys(s->a->view), s->account, sel->mailbox, &name)) != OK)
        return err;
    if (y->tombstones && (err = put_expunges(y, out)) != OK)
        return err;
    if (box.exists != sel->exists - (uint32_t)y->ngone && (err = buf_printf(out, "* %u EXISTS\r\n", box.exists)) != OK)
        return err;
    if (name.nkeywords != sel->nkeywords) {
        y->next.nkeywords = name.nkeywords;
        if ((err = imap_put_flag_lines(out, &name, sel->readonly)) != OK)
            return err;
    }
    return engine_scan(t, s->account, key_u32_u64_u32(&from, 'w', sel->mailbox, sel->modseq + 1, 0),
                       key_u32(&to, 'w', sel->mailbox + 1), 0, put_change, y);
}

int imap_sync(struct imap_session *s, bool expunge)
{
    struct sync y = {.s = s, .expunge = expunge};
    if (!s->sel || s->ending)
        return s->ending ? ERR_GONE : OK;
    int err = view_run(s->a->view, look, &y);
    s->sel->dirty = false;
    if (err == ERR_CONFLICT || err == ERR_LIMIT || (!err && y.lost)) {
        sync_release(&y);
        imap_session_bye(s, err ? "[UNAVAILABLE] The mailbox changed too much; select it again"
                                : "[UNAVAILABLE] The mailbox is gone");
        return ERR_CONFLICT;
    }
    if (!err && y.changed) {
        struct imap_selected *sel = s->sel;
        bool same = y.next.uidnext == sel->uidnext && !y.tombstones;
        y.next.map = sel->map;
        if (same && sel->map) {
            imap_map_extend(sel->map, y.next.modseq);
        } else {
            imap_map_unref(s->a, sel->map);
            y.next.map = y.new;
            y.new = NULL;
        }
        *sel = y.next;
        err = imap_staging_send(s);
    } else {
        err = OK; /* shortage: the next time tells it */
    }
    sync_release(&y);
    return err;
}

void imap_sync_own(struct imap_session *s, uint64_t modseq)
{
    struct imap_selected *sel = s->sel;
    if (!sel || modseq <= sel->modseq)
        return;
    if (modseq == sel->modseq + 1) {
        sel->modseq = modseq;
        if (sel->map)
            imap_map_extend(sel->map, modseq);
        return;
    }
    if (sel->nown == sizeof(sel->own) / sizeof(*sel->own)) {
        memmove(sel->own, sel->own + 1, sizeof(sel->own) - sizeof(*sel->own));
        sel->nown--;
    }
    sel->own[sel->nown++] = modseq;
}
