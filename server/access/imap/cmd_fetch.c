/* FETCH (RFC 3501 section 6.4.5) and UID FETCH (section 6.4.8). Output is made a turn at a time: one snapshot fills
 * the staging buffer, and only when the snapshot is known to have been good does it go to the connection; the next
 * turn comes when that has drained. A message, even an item of it, may span turns; nothing is held in between but the
 * place. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/fetch_item.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

/* Where the output stands. */
struct place {
    uint32_t uid;                       /* the message under way, or where the search for the next begins */
    size_t range;                       /* of set */
    const struct imap_fetch_item *item; /* under way; NULL with open: the message is to be ended */
    uint64_t sent;                      /* octets of item sent */
    bool open, in_item, finished, gone;
};

struct fetch {
    struct imap_job *j;
    struct imap_set set;
    struct imap_fetch_item *items;
    bool needs_entry, needs_message, has_flags;
    struct imap_set seen; /* UIDs that this FETCH marked \Seen; malloc'd */
    uint32_t seen_pos;
    struct place at, begun;
};

static uint8_t outer_space[SCHEMA_OUTER_MAX], header_space[RENDERED_HEADER_MAX];
static struct schema_mailbox_name name_space;

static void release(struct imap_job *j)
{
    struct fetch *f = j->data;
    free(f->seen.r);
    f->seen = (struct imap_set){0};
}

/* The next UID of the set at or after at->uid that the session knows. 0: no more. */
static uint32_t next_uid(struct fetch *f)
{
    const struct imap_map *m = f->j->s->sel->map;
    for (; f->at.range < f->set.n; f->at.range++) {
        const struct imap_range *r = &f->set.r[f->at.range];
        uint32_t uid = imap_map_from(m, f->at.uid > r->first ? f->at.uid : r->first);
        if (uid && uid <= r->last)
            return uid;
    }
    return 0;
}

static void close_message(struct fetch *f)
{
    f->at.open = f->at.in_item = false;
    f->at.item = NULL;
    if (f->at.uid == UINT32_MAX)
        f->at.finished = true;
    else
        f->at.uid++;
}

static int load(struct fetch *f, struct imap_fetch_message *m, uint32_t uid)
{
    struct imap_session *s = f->j->s;
    *m = (struct imap_fetch_message){
        .a = s->a, .account = s->account, .uid = uid, .header = header_space, .name = &name_space};
    int err = f->needs_entry ? view_entry(s->a->view, s->account, s->sel->mailbox, uid, &m->entry) : OK;
    if (!err && f->needs_message)
        err = imap_fetch_open_message(m, outer_space);
    return err;
}

static int begin_message(struct fetch *f, const struct imap_fetch_message *m, struct buf *out)
{
    static const struct imap_fetch_item uid_item = {.kind = FETCH_UID};
    struct imap_session *s = f->j->s;
    bool uid_asked = false;
    for (const struct imap_fetch_item *it = f->items; it; it = it->next)
        uid_asked = uid_asked || it->kind == FETCH_UID;
    int err = buf_printf(out, "* %u FETCH (", imap_map_seq(s->sel->map, m->uid));
    if (!err && f->j->in->uid && !uid_asked) { /* UID FETCH tells the UID, asked or not (RFC 3501 section 6.4.8) */
        struct imap_fetch_message copy = *m;
        err = imap_fetch_put_item(&copy, &uid_item, out);
        if (!err)
            err = buf_puts(out, " ");
    }
    if (!err && !f->has_flags &&
        imap_set_has(&f->seen, m->uid)) { /* what this command changed is told with it (section 6.4.5) */
        err = buf_puts(out, "FLAGS ");
        if (!err)
            err = imap_put_flags(out, m->entry.flags, m->name);
        if (!err)
            err = buf_puts(out, " ");
    }
    f->at.open = true;
    f->at.item = f->items;
    f->at.in_item = false;
    return err;
}

/* An item's octets, as many as the turn has room for. */
static int put_octets(struct fetch *f, struct imap_fetch_message *m, uint64_t from, uint64_t to, struct buf *out)
{
    while (from + f->at.sent < to && out->len < IMAP_TURN_BYTES) {
        uint64_t left = to - from - f->at.sent;
        size_t want = IMAP_TURN_BYTES - out->len < left ? IMAP_TURN_BYTES - out->len : (size_t)left, got = 0;
        uint8_t *tail;
        int err = buf_reserve(out, want, &tail);
        if (!err)
            err = render_range(&m->source, from + f->at.sent, want, tail, &got);
        if (err)
            return err;
        if (got == 0)
            return ERR_IO;
        buf_commit(out, got);
        f->at.sent += got;
    }
    return OK;
}

static int put_item(struct fetch *f, struct imap_fetch_message *m, struct buf *out)
{
    const struct imap_fetch_item *it = f->at.item;
    uint64_t from, to;
    int err = imap_fetch_needs_message(it) ? imap_fetch_extent(it, &m->layout, &from, &to) : ERR_UNSUPPORTED;
    bool octets = err == OK;
    if (!f->at.in_item) {
        f->at.sent = 0;
        f->at.in_item = true;
        err = octets ? imap_fetch_name(it, out) : imap_fetch_put_item(m, it, out);
        if (!err && octets)
            err = buf_printf(out, " {%llu}\r\n", (unsigned long long)(to - from));
        if (err)
            return err;
    }
    if (octets) {
        if ((err = put_octets(f, m, from, to, out)) != OK)
            return err;
        if (from + f->at.sent < to)
            return OK; /* the turn is full */
    }
    f->at.in_item = false;
    f->at.item = it->next;
    return it->next ? buf_puts(out, " ") : buf_puts(out, ")\r\n");
}

static int put_message(struct fetch *f, struct buf *out)
{
    struct imap_fetch_message m;
    int err = load(f, &m, f->at.uid);
    if (!f->at.open) {
        if (err == ERR_NOT_FOUND) { /* another session expunged it, which this client does not know yet (RFC 2180
                                       section 4.1) */
            f->at.gone = true;
            close_message(f);
            return OK;
        }
        if (!err)
            err = begin_message(f, &m, out);
    }
    while (!err && f->at.item && out->len < IMAP_TURN_BYTES)
        err = put_item(f, &m, out);
    if (!err && !f->at.item)
        close_message(f);
    return err;
}

static int turn(void *arg, struct view *v)
{
    struct fetch *f = arg;
    struct imap_session *s = f->j->s;
    struct buf *out = imap_staging(s->a);
    int err = OK;
    f->at = f->begun;
    if (f->needs_entry)
        err = view_mailbox_name(v, s->account, s->sel->mailbox, &name_space);
    while (!err && !f->at.finished && out->len < IMAP_TURN_BYTES) {
        if (!f->at.open) {
            uint32_t uid = next_uid(f);
            if (!uid) {
                f->at.finished = true;
                break;
            }
            f->at.uid = uid;
        }
        err = put_message(f, out);
    }
    return err;
}

static void step(struct imap_job *j)
{
    struct fetch *f = j->data;
    struct imap_session *s = j->s;
    int err = view_run(s->a->view, turn, f);
    if (err) {
        if (f->begun.open) { /* in the middle of a literal nothing else can be said */
            s->ending = true;
            conn_finish(s->conn);
            return;
        }
        imap_job_error(j, err == ERR_NOT_FOUND ? ERR_GONE : err);
        return;
    }
    f->begun = f->at;
    s->a->fetched_bytes += s->a->staging.len;
    if (imap_staging_send(s))
        return;
    if (f->at.finished)
        /* a UID that is gone is passed over (RFC 3501 section 6.4.8) */
        imap_job_done(j, f->at.gone && !j->in->uid ? "NO [EXPUNGEISSUED] Some of the messages are gone" : "OK Done");
    else if (conn_out_len(s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j);
}

/* ---- \Seen, before the octets go out ---- */

static void mark_next(struct fetch *f);

static void marked(struct imap_job *j, int status, const struct vault_reply *r)
{
    struct fetch *f = j->data;
    if (status) { /* the messages are read all the same, and their flags told as they are */
        step(j);
        return;
    }
    if (r->flags.nchanged)
        imap_sync_own(j->s, r->flags.modseq);
    mark_next(f);
}

static void mark_next(struct fetch *f)
{
    struct imap_session *s = f->j->s;
    struct uid_range r[IMAP_BATCH_MAX];
    size_t n = imap_set_batch(s->sel->map, &f->seen, &f->seen_pos, IMAP_BATCH_MAX, r);
    if (n == 0) {
        step(f->j);
        return;
    }
    struct vault_request q = {.type = VAULT_STORE_FLAGS,
                              .mailbox = s->sel->mailbox,
                              .flags = {.op = VAULT_FLAGS_ADD,
                                        .flags = FLAG_SEEN,
                                        .unchangedsince = VAULT_UNCHANGEDSINCE_NONE,
                                        .set = {(uint32_t)n, r}}};
    imap_job_request(f->j, &q, marked);
}

static void begin(struct fetch *f)
{
    struct imap_job *j = f->j;
    bool sees = false;
    for (const struct imap_fetch_item *it = f->items; it; it = it->next) {
        f->needs_entry = f->needs_entry || imap_fetch_needs_entry(it);
        f->needs_message = f->needs_message || imap_fetch_needs_message(it);
        f->has_flags = f->has_flags || it->kind == FETCH_FLAGS;
        sees = sees || imap_fetch_sees(it);
    }
    j->data = f;
    j->release = release;
    j->step = step;
    f->seen_pos = 1;
    if (sees && !j->s->sel->readonly && imap_set_flagged(j->s, &f->set, IMAP_SEEN, false, &f->seen) == OK && f->seen.n)
        mark_next(f);
    else
        step(j);
}

void imap_cmd_fetch(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    struct fetch *f = imap_job_alloc(j, sizeof(*f));
    if (!f)
        return;
    f->j = j;
    int err = n ? imap_fetch_parse(imap_session_arena(j->s), n->next, &f->items) : ERR_FORMAT;
    if (!err)
        err = imap_arg_uids(j->s, n, j->in->uid, &f->set);
    if (err)
        imap_job_set_error(j, err, "FETCH takes a set of messages and items");
    else
        begin(f);
}
