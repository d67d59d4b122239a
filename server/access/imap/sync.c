/* Telling a client what became of its mailbox: EXPUNGE, EXISTS and changed flags (RFC 3501 sections 5.2, 7.3.1, 7.4.1,
 * 7.4.2), from the tombstones and the change index since the MODSEQ it was last told of. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/sync.h"

/* Expunged UIDs that one piece tells. A change has at most as many as the vault takes at once. */
enum { GONE_MAX = 8192 + VAULT_SET_MAX, COMPARED_BLOCKS_MAX = 32768, LINE_OCTETS = 24 };

struct sync {
    struct imap_session *s;
    bool expunge, changed, lost, needs_map;
    struct imap_selected next;
    const struct schema_keywords *keywords;
    size_t ngone;                         /* in gone */
    bool tombstones, forgotten, all_gone; /* all_gone: no expunge is left to be told */
};
static uint32_t gone[GONE_MAX];

static int see_expunged(void *arg, uint64_t modseq, uint32_t first, uint32_t last)
{
    ((struct sync *)arg)->tombstones = true;
    return 1;
}

/* Those of one change, or of one block, are told together: a piece ends between two. */
static bool piece_ends(const struct sync *y)
{
    return y->ngone > GONE_MAX - VAULT_SET_MAX || !imap_turn_left(y->s->a) ||
           (y->ngone + VAULT_SET_MAX) * LINE_OCTETS > y->s->a->staging.max;
}

static int collect_gone(void *arg, uint64_t modseq, uint32_t first, uint32_t last)
{
    struct sync *y = arg;
    const struct imap_map *map = y->s->sel->map;
    if (modseq != y->next.modseq && y->next.modseq != y->s->sel->modseq && piece_ends(y)) {
        y->all_gone = false;
        return 1;
    }
    y->next.modseq = modseq;
    (void)imap_turn_spend(y->s->a, 1);
    for (uint32_t uid = first; (uid = imap_map_from(map, uid)) != 0 && uid <= last; uid++) {
        if (y->ngone == GONE_MAX)
            return ERR_FORMAT;
        gone[y->ngone++] = uid;
        (void)imap_turn_spend(y->s->a, 1);
    }
    return OK;
}

/* Where tombstones have been forgotten: what the map holds and the mailbox does not. It is looked through from its
 * beginning each time; what was told is out of the map by then. */
static int compare_blocks(struct sync *y)
{
    struct imap_session *s = y->s;
    struct schema_block b;
    const uint64_t *here;
    uint32_t number;
    for (size_t i = 0; (here = imap_map_block(s->sel->map, i, &number)) != NULL; i++) {
        if (i == COMPARED_BLOCKS_MAX)
            return ERR_LIMIT;
        if (y->ngone > GONE_MAX - VAULT_SET_MAX) {
            y->all_gone = false;
            return OK;
        }
        int err = view_block(s->a->view, s->account, s->sel->mailbox, number, &b);
        if (err)
            return err;
        (void)imap_turn_spend(s->a, IMAP_WORK_BLOCK);
        for (uint32_t k = 0; k < BLOCK_UIDS; k++)
            if (here[k / 64] >> k % 64 & 1 && !(b.here[k / 8] >> k % 8 & 1))
                gone[y->ngone++] = number * BLOCK_UIDS + k;
    }
    return OK;
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
    uint64_t newest = y->next.modseq;
    int err = OK;
    y->next.modseq = s->sel->modseq;
    if (y->forgotten)
        err = compare_blocks(y);
    else
        err = view_expunged_since(s->a->view, s->account, s->sel->mailbox, s->sel->modseq, collect_gone, y);
    if (err < 0)
        return err;
    if (y->all_gone)
        y->next.modseq = newest;
    if (y->ngone)
        qsort(gone, y->ngone, sizeof(*gone), descending);
    err = OK;
    for (size_t i = 0; !err && i < y->ngone; i++)
        err = buf_printf(out, "* %u EXPUNGE\r\n", imap_map_seq(s->sel->map, gone[i]));
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
    struct buf *out = &s->a->staging;
    struct schema_entry e;
    if (out->len >= IMAP_TURN_BYTES || !imap_turn_left(s->a))
        return 1;
    (void)imap_turn_spend(s->a, 1);
    if (uid < s->sel->uidnext && !is_own(s->sel, modseq)) {
        y->needs_map = !s->sel->map;
        if (y->needs_map)
            return 1;
        int err = view_entry(s->a->view, s->account, s->sel->mailbox, uid, &e);
        if (!err)
            err = buf_printf(out, "* %u FETCH (UID %u FLAGS ", imap_map_seq(s->sel->map, uid), uid);
        if (!err)
            err = imap_put_flags(out, &e, y->keywords);
        if (!err)
            err = buf_puts(out, ")\r\n");
        if (err)
            return err;
    }
    next->told.modseq = modseq;
    next->told.uid = uid;
    return OK;
}

/* Changed flags, as many as a turn takes. */
static int put_changes(struct sync *y)
{
    struct imap_session *s = y->s;
    struct imap_selected *next = &y->next;
    int err =
        view_changed_since(s->a->view, s->account, s->sel->mailbox, next->told.modseq, next->told.uid, put_change, y);
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

/* What there is to tell once the client knows of every expunge: EXISTS and changed flags. New messages are told of when
 * no changed flag is left, lest their own place in the index of changes be told as one. */
static int put_present(struct sync *y, const struct schema_mailbox *box, struct buf *out)
{
    static struct schema_keywords keywords;
    struct imap_session *s = y->s;
    size_t begun = out->len, exists;
    y->keywords = &keywords;
    int err = view_keywords(s->a->view, s->account, &keywords);
    if (err)
        return err;
    y->next.keywords = imap_keywords_digest(&keywords);
    if (box->exists != s->sel->exists && (err = buf_printf(out, "* %u EXISTS\r\n", box->exists)) != OK)
        return err;
    exists = out->len - begun;
    if (y->next.keywords != s->sel->keywords && (err = imap_put_flag_lines(out, &keywords, s->sel->readonly)) != OK)
        return err;
    if ((err = put_changes(y)) != OK)
        return err;
    if (is_behind(&y->next)) {
        memmove(out->data + begun, out->data + begun + exists, out->len - begun - exists);
        out->len -= exists;
        return OK;
    }
    y->next.uidnext = box->uidnext;
    y->next.exists = box->exists;
    return OK;
}

static int look(void *arg, struct view *v)
{
    struct sync *y = arg;
    struct imap_session *s = y->s;
    struct imap_selected *sel = s->sel;
    struct schema_mailbox box;
    struct buf *out = imap_staging(s->a);
    y->changed = y->lost = y->tombstones = y->needs_map = false;
    y->all_gone = true;
    y->ngone = 0;
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
    y->needs_map = y->tombstones && !sel->map;
    if (y->needs_map)
        return OK;
    y->changed = true;
    y->next = *sel;
    y->next.modseq = box.highestmodseq;
    if (!y->tombstones)
        return put_present(y, &box, out);
    err = put_expunges(y, out);
    y->next.exists -= (uint32_t)y->ngone; /* the rest comes with the next piece, numbered anew */
    return err;
}

static void apply(struct sync *y)
{
    struct imap_selected *sel = y->s->sel;
    if (y->ngone)
        imap_map_remove(y->s->a, sel, gone, y->ngone, y->all_gone || !y->forgotten ? y->next.modseq : 0);
    y->next.map = sel->map;
    y->next.loading = sel->loading;
    *sel = y->next;
    if (sel->map && (y->all_gone || !y->forgotten) && !imap_map_follow(sel->map, sel))
        imap_map_drop(y->s->a, sel); /* more has come: it is loaded when it next matters */
}

/* A piece, in a snapshot. dirty: there is more. ERR_CONFLICT, ERR_LIMIT: the client cannot be told. */
static int tell_piece(struct sync *y)
{
    struct imap_session *s = y->s;
    int err = view_run(s->a->view, look, y);
    (void)imap_turn_spend(s->a, IMAP_WORK_NAME);
    s->sel->dirty = false;
    if (err)
        return err;
    if (y->lost)
        return ERR_CONFLICT;
    if (y->needs_map) {
        err = imap_map_load(s->a, s->account, s->sel);
        s->sel->dirty = err == OK || err == ERR_AGAIN;
        return err == ERR_AGAIN ? OK : err;
    }
    if (!y->changed)
        return OK;
    apply(y);
    s->sel->dirty = is_behind(s->sel) || !y->all_gone;
    return imap_staging_send(s);
}

int imap_sync(struct imap_session *s, bool expunge)
{
    struct sync y = {.s = s, .expunge = expunge};
    int err = OK;
    if (!s->sel || s->ending)
        return s->ending ? ERR_GONE : OK;
    do
        err = tell_piece(&y);
    while (!err && s->sel->dirty && imap_turn_left(s->a) && conn_out_len(s->conn) < IMAP_TURN_BYTES);
    if (err == ERR_CONFLICT || err == ERR_LIMIT) {
        imap_session_bye(s, y.lost ? "[UNAVAILABLE] The mailbox is gone"
                                   : "[UNAVAILABLE] The mailbox changed too much; select it again");
        return ERR_CONFLICT;
    }
    return s->ending ? ERR_GONE : OK; /* a shortage: the next time tells it */
}

void imap_sync_own(struct imap_session *s, uint64_t modseq)
{
    struct imap_selected *sel = s->sel;
    if (!sel || modseq <= sel->modseq)
        return;
    if (modseq == sel->modseq + 1 && !is_behind(sel)) {
        sel->modseq = sel->told.modseq = modseq;
        if (sel->map)
            (void)imap_map_follow(sel->map, sel);
        return;
    }
    if (sel->nown == sizeof(sel->own) / sizeof(*sel->own)) {
        memmove(sel->own, sel->own + 1, sizeof(sel->own) - sizeof(*sel->own));
        sel->nown--;
    }
    sel->own[sel->nown++] = modseq;
}
