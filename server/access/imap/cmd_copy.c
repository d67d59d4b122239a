/* COPY (RFC 3501 section 6.4.7), MOVE (RFC 6851 section 3) and their UID variants, with COPYUID (RFC 4315 section 3).
 * The vault takes so many messages a request. A COPY of more goes in pieces, and one that fails on the way is taken
 * back before it is answered: all or nothing. A MOVE is one of its messages at a time. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

enum {
    COPIED_MAX = 32768,    /* ranges kept for COPYUID; past it there is none */
    MOVED_ROOM = 64,       /* staging octets a moved message is given, so that its batch and those before it fit */
    STILL_HERE_MS = 20000, /* a client that waits is told so often that it goes on */
};

struct copied {
    uint32_t from, to, n;
};

struct copy {
    struct imap_job *j;
    struct imap_set set;
    char name[MAILBOX_NAME_MAX];
    uint32_t to, uidvalidity, pos;
    uint64_t number; /* of a copy in pieces; 0: it is not in pieces, or done */
    int failed;      /* why it ends here; ERR_CONFLICT: some of the messages are gone */
    bool move, too_many;
    struct copied *v; /* malloc'd */
    size_t n, cap;
    uint32_t messages;
    uint64_t told_ms;
};

static void ignored(void *arg, int status, struct unpack *body)
{
}

/* A client that goes away in the middle leaves it to the vault to take back what is there. */
static void release(struct imap_job *j)
{
    struct copy *t = j->data;
    struct imap_session *s = j->s;
    if (t->number) {
        struct vault_request q = {.type = VAULT_COPY_UNDO, .account = s->account, .copy.number = t->number};
        uint64_t id;
        (void)vault_client_request(s->a->vault, &q, -1, ignored, NULL, &id);
    }
    free(t->v);
    t->v = NULL;
    t->n = t->cap = 0;
    t->number = 0;
}

static int remember(struct copy *t, uint32_t from, uint32_t to)
{
    struct copied *last = t->n ? &t->v[t->n - 1] : NULL;
    t->messages++;
    if (last && last->from + last->n == from && last->to + last->n == to) {
        last->n++;
        return OK;
    }
    t->too_many = t->too_many || t->n == COPIED_MAX;
    if (t->too_many)
        return OK;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct copied *v = realloc(t->v, cap * sizeof(*v));
        if (!v)
            return ERR_MEMORY;
        t->v = v;
        t->cap = cap;
    }
    t->v[t->n++] = (struct copied){from, to, 1};
    return OK;
}

/* uid-set (RFC 4315 section 4), in the order of the messages, so that both name them one to one. */
static int put_uids(const struct copy *t, struct buf *out, bool from)
{
    int err = OK;
    for (size_t i = 0, k; !err && i < t->n; i = k) {
        uint32_t first = from ? t->v[i].from : t->v[i].to, end = first + t->v[i].n;
        for (k = i + 1; k < t->n && (from ? t->v[k].from : t->v[k].to) == end; k++)
            end += t->v[k].n;
        err = end - first == 1 ? buf_printf(out, "%s%u", i ? "," : "", first)
                               : buf_printf(out, "%s%u:%u", i ? "," : "", first, end - 1);
    }
    return err;
}

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set (RFC 4315 section 4). It is left out when nothing was
 * copied, or if it would be too long. */
static int put_code(const struct copy *t, struct buf *out)
{
    int err = t->too_many ? ERR_LIMIT : buf_printf(out, "[COPYUID %u ", t->uidvalidity);
    if (!err)
        err = put_uids(t, out, true);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = put_uids(t, out, false);
    return err ? err : buf_puts(out, "] ");
}

static void send_ok(struct copy *t, const char *tag)
{
    struct buf *out = imap_staging(t->j->s->a);
    if (buf_printf(out, "%s OK ", tag) || put_code(t, out) || buf_puts(out, "Done\r\n")) {
        buf_clear(out);
        imap_session_printf(t->j->s, "%s OK Done\r\n", tag);
        return;
    }
    imap_staging_send(t->j->s);
}

static void copied_all(struct imap_job *j)
{
    struct copy *t = j->data;
    int err = imap_job_settle(j);
    if (!err) {
        send_ok(t, j->in->tag);
        imap_job_close(j);
    } else if (err == ERR_AGAIN) {
        j->done = false;
        imap_job_again(j);
    }
}

static void finish(struct copy *t)
{
    struct imap_job *j = t->j;
    if (t->move && t->messages)
        send_ok(t, "*"); /* before the EXPUNGEs (RFC 6851 section 4.3) */
    if (t->failed == ERR_NOT_FOUND)
        imap_job_done(j, "NO [TRYCREATE] No such mailbox");
    else if (t->failed == ERR_CONFLICT)
        imap_job_expunged(j);
    else if (t->failed)
        imap_job_error(j, t->failed);
    else if (t->move || !t->messages)
        imap_job_done(j, "OK Done");
    else {
        j->step = copied_all;
        copied_all(j);
    }
}

/* ---- taking back ---- */

static void undone(struct imap_job *j, int status, const struct vault_reply *r)
{
    struct copy *t = j->data;
    if (!status && r->more) {
        imap_job_again(j);
        return;
    }
    t->number = 0; /* what could not be taken back now, the vault takes back by itself */
    finish(t);
}

static void undo(struct imap_job *j)
{
    struct copy *t = j->data;
    struct vault_request q = {.type = VAULT_COPY_UNDO, .copy.number = t->number};
    imap_job_request(j, &q, undone);
}

/* The destination is as it was, or a MOVE has moved some of its messages. */
static void fail(struct copy *t, int err)
{
    t->failed = err;
    if (!t->number) {
        finish(t);
        return;
    }
    t->j->step = undo;
    imap_job_again(t->j);
}

/* ---- batch by batch ---- */

static void still_here(struct copy *t)
{
    struct imap_session *s = t->j->s;
    uint64_t now = loop_now_ms(s->a->loop);
    if (t->told_ms && now - t->told_ms >= STILL_HERE_MS)
        imap_session_printf(s, "* OK Still at it\r\n");
    else if (t->told_ms)
        return;
    t->told_ms = now;
}

static void replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    struct copy *t = j->data;
    int err = status;
    for (uint32_t i = 0; !err && i < r->copied.n; i++)
        err = remember(t, r->copied.v[i].from, r->copied.v[i].to);
    if (err) {
        fail(t, err);
        return;
    }
    t->uidvalidity = r->copied.uidvalidity;
    still_here(t);
    /* A large MOVE is told piece by piece, the COPYUID before its EXPUNGEs. */
    if (t->move && t->messages >= j->s->a->staging.max / MOVED_ROOM) {
        send_ok(t, "*");
        t->n = t->messages = 0;
        t->too_many = false;
        if (imap_sync(j->s, true))
            return;
    }
    if (conn_out_len(j->s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j); /* else when output has drained */
}

static enum vault_piece piece_of(struct copy *t)
{
    bool last = !t->pos;
    if (t->move || (last && !t->number))
        return VAULT_PIECE_WHOLE;
    if (t->number)
        return last ? VAULT_PIECE_LAST : VAULT_PIECE_MORE;
    randombytes_buf(&t->number, sizeof(t->number));
    t->number |= !t->number;
    return VAULT_PIECE_FIRST;
}

static void last_replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    if (!status)
        ((struct copy *)j->data)->number = 0; /* it is whole */
    replied(j, status, r);
}

static void next_batch(struct imap_job *j)
{
    static struct uid_range r[IMAP_BATCH_MAX];
    struct copy *t = j->data;
    struct imap_session *s = j->s;
    size_t n = 0;
    int err = t->pos ? imap_session_map(s) : OK; /* telling of changes may have dropped it */
    if (!err && t->pos)
        err = imap_set_pick(s, &t->set, NULL, &t->pos, IMAP_BATCH_MAX, r, &n);
    if (err == ERR_AGAIN || (!err && !n && t->pos)) {
        imap_job_again(j);
    } else if (err) {
        fail(t, err);
    } else if (!n && !t->number) {
        finish(t);
    } else {
        uint32_t least = 0;
        for (size_t i = 0; i < n && !j->in->uid; i++)
            least += r[i].last - r[i].first + 1;
        uint8_t piece = (uint8_t)piece_of(t);
        struct vault_request q = {.type = VAULT_COPY,
                                  .mailbox = s->sel->mailbox,
                                  .copy = {.to = t->to,
                                           .move = t->move,
                                           .piece = piece,
                                           .number = t->number,
                                           .least = least,
                                           .set = {(uint32_t)n, r}}};
        imap_job_request(j, &q, piece == VAULT_PIECE_LAST ? last_replied : replied);
    }
}

/* ---- the command ---- */

/* All or nothing (RFC 3501 section 6.4.7); of UIDs, those that are there (section 6.4.8). */
static void look_for_gone(struct imap_job *j)
{
    static const struct imap_pick expunged = {0, false};
    struct copy *t = j->data;
    struct uid_range first[IMAP_BATCH_MAX];
    size_t n;
    int err = imap_set_pick(j->s, &t->set, &expunged, &t->pos, 1, first, &n);
    if (!err && n > 0)
        err = ERR_CONFLICT;
    if (err) {
        fail(t, err);
        return;
    }
    if (!t->pos) {
        t->pos = 1;
        j->step = next_batch;
    }
    imap_job_again(j);
}

static int find(void *arg, struct view *v)
{
    struct copy *t = arg;
    (void)imap_turn_spend(t->j->s->a, IMAP_WORK_FIND);
    return view_mailbox_find(v, t->j->s->account, t->name, &t->to);
}

static void copy(struct imap_job *j, bool move)
{
    const struct imap_node *n = j->in->args;
    struct copy *t = imap_job_alloc(j, sizeof(*t));
    if (!t)
        return;
    t->j = j;
    t->move = move;
    t->pos = 1;
    int err = imap_arg_count(n) == 2 ? imap_arg_mailbox(n->next, t->name) : ERR_FORMAT;
    if (!err)
        err = imap_arg_uids(j->s, n, j->in->uid, &t->set);
    if (err) {
        imap_job_set_error(j, err, "Give a set of messages and a mailbox");
        return;
    }
    if (move && j->s->sel->readonly) {
        imap_job_done(j, "NO [CANNOT] The mailbox is open read-only");
        return;
    }
    if ((err = view_run(j->s->a->view, find, t)) == ERR_NOT_FOUND) {
        imap_job_done(j, "NO [TRYCREATE] No such mailbox"); /* RFC 3501 section 6.4.7 */
        return;
    }
    if (err) {
        imap_job_error(j, err);
        return;
    }
    j->data = t;
    j->release = release;
    j->step = j->in->uid ? next_batch : look_for_gone;
    j->step(j);
}

void imap_cmd_copy(struct imap_job *j)
{
    copy(j, false);
}

void imap_cmd_move(struct imap_job *j)
{
    copy(j, true);
}
