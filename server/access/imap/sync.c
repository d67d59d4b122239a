/* Telling a client what became of its mailbox: EXPUNGE, EXISTS and changed flags (RFC 3501 sections 5.2, 7.3.1, 7.4.1,
 * 7.4.2), from the tombstones and the change index since the MODSEQ it was last told of. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/sync.h"

struct sync {
    struct imap_session *s;
    bool expunge, changed, lost;
    struct imap_selected next;
    const struct schema_keywords *keywords;
    struct imap_map *old, *new; /* references of our own */
    uint32_t *gone;             /* expunged UIDs, ascending */
    size_t ngone, cap;
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

static int see_expunged(void *arg, uint32_t first, uint32_t last)
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

static int collect_gone(void *arg, uint32_t first, uint32_t last)
{
    struct sync *y = arg;
    int err = OK;
    for (uint32_t uid = first; !err && (uid = imap_map_from(y->old, uid)) != 0 && uid <= last; uid++)
        err = add_gone(y, uid);
    return err;
}

/* Where tombstones have been forgotten: what the old map holds and the new one does not. */
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

/* Each EXPUNGE lowers the numbers above it (RFC 3501 section 7.4.1), so the highest comes first. */
static int put_expunges(struct sync *y, struct buf *out)
{
    struct imap_session *s = y->s;
    int err = imap_map_get(s->a, s->account, s->sel, &y->old);
    if (!err && y->forgotten)
        err = compare_maps(y);
    else if (!err)
        err = view_expunged_since(s->a->view, s->account, s->sel->mailbox, s->sel->modseq, collect_gone, y);
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

static int put_change(void *arg, uint64_t modseq, uint32_t uid)
{
    struct sync *y = arg;
    struct imap_session *s = y->s;
    struct imap_selected *next = &y->next;
    struct schema_entry e;
    if ((modseq == next->told.modseq && uid <= next->told.uid) || uid >= s->sel->uidnext || is_own(s->sel, modseq))
        return OK;
    if (s->a->staging.len >= IMAP_TURN_BYTES)
        return 1;
    int err = view_entry(s->a->view, s->account, s->sel->mailbox, uid, &e);
    if (!err && !y->new)
        err = imap_map_get(s->a, s->account, &y->next, &y->new);
    if (err)
        return err;
    struct buf *out = &s->a->staging;
    if ((err = buf_printf(out, "* %u FETCH (UID %u FLAGS ", imap_map_seq(y->new, uid), uid)) == OK &&
        (err = imap_put_flags(out, &e, y->keywords)) == OK)
        err = buf_puts(out, ")\r\n");
    next->told.modseq = modseq;
    next->told.uid = uid;
    return err;
}

/* Changed flags, as many as a turn takes. */
static int put_changes(struct sync *y)
{
    struct imap_session *s = y->s;
    struct imap_selected *next = &y->next;
    uint64_t since = next->told.uid == UINT32_MAX ? next->told.modseq : next->told.modseq - 1;
    int err = view_changed_since(s->a->view, s->account, s->sel->mailbox, since, put_change, y);
    if (err)
        return err < 0 ? err : OK;
    next->told.modseq = next->modseq;
    next->told.uid = UINT32_MAX;
    next->nown = 0;
    return OK;
}

static bool is_behind(const struct imap_selected *sel)
{
    return sel->told.modseq != sel->modseq || sel->told.uid != UINT32_MAX;
}

static int look(void *arg, struct view *v)
{
    static struct schema_keywords keywords;
    struct sync *y = arg;
    struct imap_session *s = y->s;
    struct imap_selected *sel = s->sel;
    struct schema_mailbox box;
    struct buf *out = imap_staging(s->a);
    sync_release(y);
    y->changed = y->lost = y->tombstones = false;
    int err = view_mailbox(v, s->account, sel->mailbox, &box);
    if (err == ERR_NOT_FOUND || (!err && (box.uidvalidity != sel->uidvalidity || box.highestmodseq < sel->modseq))) {
        y->lost = true;
        return OK;
    }
    if (err || (box.highestmodseq == sel->modseq && !is_behind(sel)))
        return err;
    err = view_expunged_since(v, s->account, sel->mailbox, sel->modseq, see_expunged, y);
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
    y->keywords = &keywords;
    if ((err = view_keywords(v, s->account, &keywords)) != OK)
        return err;
    y->next.keywords = imap_keywords_digest(&keywords);
    if (y->tombstones && (err = put_expunges(y, out)) != OK)
        return err;
    if (box.exists != sel->exists - (uint32_t)y->ngone && (err = buf_printf(out, "* %u EXISTS\r\n", box.exists)) != OK)
        return err;
    if (y->next.keywords != sel->keywords && (err = imap_put_flag_lines(out, &keywords, sel->readonly)) != OK)
        return err;
    return put_changes(y);
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
        sel->dirty = is_behind(sel);
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
    if (modseq == sel->modseq + 1 && !is_behind(sel)) {
        sel->modseq = sel->told.modseq = modseq;
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
