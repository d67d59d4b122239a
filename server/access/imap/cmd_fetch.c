/* FETCH (RFC 3501 section 6.4.5) and UID FETCH (section 6.4.8). Output is made a turn at a time: one snapshot fills
 * the staging buffer, and only when the snapshot is known to have been good does it go to the connection; the next
 * turn comes when that has drained. A message, even an item of it, may span turns; nothing is held in between but the
 * place.
 *
 * A FETCH that sets \\Seen goes in windows, so that what it has marked needs little memory: up to IMAP_BATCH_MAX
 * messages are marked, then all up to the last of them are told.
 *
 * A checksum for which much is to be read ends a turn, and goes on in the next. Packets that the store does not have at
 * hand end a turn as well. They are asked for, together with those of the messages that follow, and the next turn comes
 * when they are there. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/fetch_item.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

/* Packets asked for at once: of one message, and of all. Any range that one turn gives needs fewer of them. */
enum { WANT_BYTES = IMAP_TURN_BYTES, WANTS_BYTES = 4 * WANT_BYTES };

/* Where the output stands. */
struct fetch_place {
    uint32_t uid;                       /* the message under way, or where the search for the next begins */
    size_t range;                       /* of set */
    const struct imap_fetch_item *item; /* under way; NULL with open: the message is to be ended */
    uint64_t sent;                      /* octets of item sent */
    uint64_t crc_of;                    /* the message that crc is of */
    struct render_crc crc;
    bool open, in_item, finished, gone;
    bool marks; /* the window's end: the next messages are to be marked */
    bool told;  /* packets of the message under way have been sent */
};

struct fetch {
    struct imap_job *j;
    struct imap_set set;
    struct imap_fetch_item *items;
    bool needs_entry, needs_facts, needs_message, has_flags;
    uint32_t work;        /* that a message is */
    struct imap_set seen; /* UIDs of the window that this FETCH marked \Seen */
    uint32_t seen_pos;    /* where the next window begins; 0: there is none */
    struct fetch_place at, begun;
    struct imap_map_near near;
    size_t nwants;                       /* what the turn could not have; in wants_space */
    uint64_t want_bytes[BLOB_WANTS_MAX]; /* of packets, in each of them */
    struct blob_fetch *brought;
};

static uint8_t outer_space[SCHEMA_OUTER_MAX], header_space[RENDERED_HEADER_MAX];
static struct schema_keywords keywords_space;
static struct blob_want wants_space[BLOB_WANTS_MAX];

static void release(struct imap_job *j)
{
    struct fetch *f = j->data;
    view_fetch_end(f->brought);
    f->brought = NULL;
}

/* The next UID of the set at or after at->uid that the session knows. 0: no more in this window. */
static uint32_t next_uid(struct fetch *f)
{
    const struct imap_map *m = f->j->s->sel->map;
    for (; f->at.range < f->set.n; f->at.range++) {
        const struct imap_range *r = &f->set.r[f->at.range];
        uint32_t uid = imap_map_from_near(m, &f->near, f->at.uid > r->first ? f->at.uid : r->first);
        if (uid && uid <= r->last)
            return f->seen_pos && uid >= f->seen_pos ? 0 : uid;
    }
    return 0;
}

static void close_message(struct fetch *f)
{
    f->at.open = f->at.in_item = f->at.told = false;
    f->at.item = NULL;
    if (f->at.uid == UINT32_MAX)
        f->at.finished = true;
    else
        f->at.uid++;
}

static int load(struct fetch *f, struct imap_fetch_message *m, uint32_t uid)
{
    struct imap_session *s = f->j->s;
    *m = (struct imap_fetch_message){.a = s->a,
                                     .account = s->account,
                                     .uid = uid,
                                     .header = header_space,
                                     .keywords = &keywords_space,
                                     .crc = &f->at.crc};
    int err = f->needs_entry ? view_entry(s->a->view, s->account, s->sel->mailbox, uid, &m->entry) : OK;
    if (!err && f->needs_facts)
        err = view_entry_facts(s->a->view, s->account, s->sel->mailbox, uid, &m->entry, &m->facts);
    if (!err && f->needs_message)
        err = imap_fetch_open_message(m, outer_space);
    if (!err && f->at.crc_of != m->entry.message) {
        f->at.crc_of = m->entry.message;
        f->at.crc = (struct render_crc){0};
    }
    return err;
}

static int begin_message(struct fetch *f, const struct imap_fetch_message *m, struct buf *out)
{
    static const struct imap_fetch_item uid_item = {.kind = FETCH_UID};
    struct imap_session *s = f->j->s;
    bool uid_asked = false;
    for (const struct imap_fetch_item *it = f->items; it; it = it->next)
        uid_asked = uid_asked || it->kind == FETCH_UID;
    int err = buf_append(out, "* ", 2);
    if (!err)
        err = buf_put_number(out, imap_map_seq_near(s->sel->map, &f->near, m->uid));
    if (!err)
        err = buf_puts(out, " FETCH (");
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
            err = imap_put_flags(out, &m->entry, m->keywords);
        if (!err)
            err = buf_puts(out, " ");
    }
    f->at.open = true;
    f->at.item = f->items;
    f->at.in_item = false;
    return err;
}

/* The packets that render_range asked for last. */
static void want_packets(struct fetch *f, const struct imap_fetch_message *m)
{
    uint64_t left = m->m.packets_len - m->asked;
    f->want_bytes[f->nwants] = left < WANT_BYTES ? left : WANT_BYTES;
    view_want_packets(m->account, &m->m, m->asked, f->want_bytes[f->nwants], &wants_space[f->nwants]);
    f->nwants++;
}

/* An item's octets, as many as the turn has room for. */
static int put_octets(struct fetch *f, struct imap_fetch_message *m, uint64_t from, uint64_t to, struct buf *out)
{
    while (from + f->at.sent < to && out->len < IMAP_TURN_BYTES) {
        uint64_t left = to - from - f->at.sent;
        size_t want = IMAP_TURN_BYTES - out->len < left ? IMAP_TURN_BYTES - out->len : (size_t)left, got = 0;
        uint8_t *tail;
        int err = buf_reserve(out, want, &tail);
        m->asked = UINT64_MAX;
        if (!err)
            err = render_range(&m->source, from + f->at.sent, want, tail, &got);
        if (err == ERR_AGAIN && m->missed)
            want_packets(f, m);
        if (err)
            return err;
        if (got == 0)
            return ERR_IO;
        buf_commit(out, got);
        f->at.sent += got;
        f->at.told = f->at.told || m->read;
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
    struct fetch_place before = f->at;
    size_t len = out->len;
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
    if (err == ERR_AGAIN && !before.open && !f->at.told) { /* not begun before its packets are there, or refused */
        before.crc_of = f->at.crc_of;
        before.crc = f->at.crc;
        f->at = before;
        out->len = len;
    }
    return err;
}

/* What a message's items will need first of its packets, if any of them needs some. */
static void look_at(struct fetch *f, uint32_t uid)
{
    struct imap_fetch_message m;
    struct buf *out = &f->j->s->a->staging;
    uint8_t *unused;
    if (load(f, &m, uid) || buf_reserve(out, IMAP_TURN_BYTES, &unused))
        return; /* its own turn will say why */
    m.only_ask = true;
    m.asked = UINT64_MAX;
    for (const struct imap_fetch_item *it = f->items; it && m.asked == UINT64_MAX; it = it->next) {
        uint64_t from, to;
        size_t got;
        if (imap_fetch_needs_message(it) && imap_fetch_extent(it, &m.layout, &from, &to) == OK)
            (void)render_range(&m.source, from, to - from < IMAP_TURN_BYTES ? (size_t)(to - from) : IMAP_TURN_BYTES,
                               unused, &got);
    }
    if (m.asked != UINT64_MAX)
        want_packets(f, &m);
}

/* The turn waits for packets of the message under way. Unless it needs more of them than it may ask for, those of the
 * messages behind it are asked for as well. */
static void look_ahead(struct fetch *f)
{
    struct fetch_place kept = f->at;
    uint64_t bytes = f->want_bytes[0];
    close_message(f);
    while (f->nwants < BLOB_WANTS_MAX && bytes <= WANTS_BYTES - WANT_BYTES && f->want_bytes[0] < WANT_BYTES &&
           !f->at.finished && (f->at.uid = next_uid(f)) != 0) {
        size_t n = f->nwants;
        look_at(f, f->at.uid);
        close_message(f);
        bytes += f->nwants > n ? f->want_bytes[n] : 0;
    }
    f->at = kept;
}

static int turn(void *arg, struct view *v)
{
    struct fetch *f = arg;
    struct imap_session *s = f->j->s;
    struct buf *out = imap_staging(s->a);
    int err = OK;
    f->at = f->begun;
    f->nwants = 0;
    f->near.set = false;
    if (f->needs_entry)
        err = view_keywords(v, s->account, &keywords_space);
    while (!err && !f->at.finished && out->len < IMAP_TURN_BYTES && imap_turn_left(s->a)) {
        if (!f->at.open) {
            uint32_t uid = next_uid(f);
            if (!uid) {
                f->at.finished = f->at.range == f->set.n;
                f->at.marks = !f->at.finished;
                break;
            }
            f->at.uid = uid;
        }
        err = put_message(f, out);
        (void)imap_turn_spend(s->a, f->work);
    }
    if (err != ERR_AGAIN)
        return err;
    if (f->nwants)
        look_ahead(f);
    return OK;
}

static void arrived(void *arg)
{
    imap_job_resume(arg);
}

static void give_up(void *arg)
{
    struct fetch *f = arg;
    view_fetch_end(f->brought);
    f->brought = NULL;
}

/* Asks for what the turn could not have. What was brought before has been used. */
static int bring(struct fetch *f)
{
    give_up(f);
    int err = view_fetch(f->j->s->a->view, wants_space, f->nwants, arrived, f->j, &f->brought);
    if (!err)
        imap_job_wait(f->j, give_up, f);
    return err;
}

/* In the middle of a literal nothing else can be said. */
static void fail(struct fetch *f, int err)
{
    struct imap_session *s = f->j->s;
    if (f->begun.open) {
        s->ending = true;
        conn_finish(s->conn);
    } else {
        imap_job_error(f->j, err == ERR_NOT_FOUND ? ERR_GONE : err);
    }
}

static void mark_next(struct imap_job *j);

static void step(struct imap_job *j)
{
    struct fetch *f = j->data;
    struct imap_session *s = j->s;
    int err = view_run(s->a->view, turn, f);
    if (err) {
        fail(f, err);
        return;
    }
    f->begun = f->at;
    s->a->fetched_bytes += s->a->staging.len;
    if (imap_staging_send(s))
        return;
    if (f->nwants) {
        if ((err = bring(f)) != OK)
            fail(f, err);
    } else if (f->at.finished) {
        /* a UID that is gone is passed over (RFC 3501 section 6.4.8) */
        imap_job_done(j, f->at.gone && !j->in->uid ? "NO [EXPUNGEISSUED] Some of the messages are gone" : "OK Done");
    } else {
        f->begun.marks = false;
        j->step = f->at.marks ? mark_next : step;
        if (conn_out_len(s->conn) <= IMAP_OUT_LOW)
            imap_job_again(j);
    }
}

/* ---- \Seen, before the octets go out ---- */

static void marked(struct imap_job *j, int status, const struct vault_reply *r)
{
    /* What could not be marked is read all the same, and its flags told as they are. */
    if (!status && r->flags.nchanged)
        imap_sync_own(j->s, r->flags.modseq);
    imap_job_again(j);
}

static void mark_next(struct imap_job *j)
{
    static const struct imap_pick unseen = {IMAP_SEEN, false};
    static struct uid_range r[IMAP_BATCH_MAX];
    struct fetch *f = j->data;
    struct imap_session *s = j->s;
    size_t n = 0;
    j->step = step;
    if (imap_set_pick(s, &f->set, &unseen, &f->seen_pos, IMAP_BATCH_MAX, r, &n))
        f->seen_pos = 0;
    f->seen.n = n;
    for (size_t i = 0; i < n; i++)
        f->seen.r[i] = (struct imap_range){r[i].first, r[i].last};
    if (n == 0) {
        step(j);
        return;
    }
    struct vault_request q = {.type = VAULT_STORE_FLAGS,
                              .mailbox = s->sel->mailbox,
                              .flags = {.op = VAULT_FLAGS_ADD,
                                        .flags = FLAG_SEEN,
                                        .unchangedsince = VAULT_UNCHANGEDSINCE_NONE,
                                        .set = {(uint32_t)n, r}}};
    imap_job_request(j, &q, marked);
}

static void begin(struct fetch *f)
{
    struct imap_job *j = f->j;
    bool sees = false;
    for (const struct imap_fetch_item *it = f->items; it; it = it->next) {
        f->needs_entry = f->needs_entry || imap_fetch_needs_entry(it);
        f->needs_facts = f->needs_facts || imap_fetch_needs_facts(it);
        f->needs_message = f->needs_message || imap_fetch_needs_message(it);
        f->has_flags = f->has_flags || it->kind == FETCH_FLAGS;
        sees = sees || imap_fetch_sees(it);
    }
    f->work = 1 + f->needs_entry + (f->needs_message ? IMAP_WORK_RECORD + IMAP_WORK_NAME : 0);
    j->data = f;
    j->release = release;
    j->step = step;
    if (!sees || j->s->sel->readonly) {
        step(j);
    } else if ((f->seen.r = imap_job_alloc(j, IMAP_BATCH_MAX * sizeof(*f->seen.r))) != NULL) {
        f->seen_pos = 1;
        mark_next(j);
    }
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
