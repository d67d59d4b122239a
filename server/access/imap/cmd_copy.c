/* COPY (RFC 3501 section 6.4.7), MOVE (RFC 6851 section 3) and their UID variants, with COPYUID (RFC 4315 section
 * 3). */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

enum { MOVED_ROOM = 64 }; /* staging octets a moved message is given, so that its batch and those before it fit */

struct copy {
    struct imap_job *j;
    struct imap_set set;
    char name[MAILBOX_NAME_MAX];
    uint32_t to, uidvalidity, pos, asked;
    bool move, gone;
    uint32_t *from_uids, *to_uids; /* malloc'd */
    size_t n, cap;
};

static void next_batch(struct imap_job *j);

static void release(struct imap_job *j)
{
    struct copy *t = j->data;
    free(t->from_uids);
    free(t->to_uids);
    t->from_uids = t->to_uids = NULL;
    t->n = t->cap = 0;
}

static int remember(struct copy *t, uint32_t from, uint32_t to)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        uint32_t *a = realloc(t->from_uids, cap * sizeof(*a)), *b;
        if (a)
            t->from_uids = a;
        if (!a || !(b = realloc(t->to_uids, cap * sizeof(*b))))
            return ERR_MEMORY;
        t->to_uids = b;
        t->cap = cap;
    }
    t->from_uids[t->n] = from;
    t->to_uids[t->n++] = to;
    return OK;
}

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set (RFC 4315 section 4). It is left out when nothing was
 * copied, or if it would be too long. */
static int put_code(struct copy *t, struct buf *out)
{
    int err = buf_printf(out, "[COPYUID %u ", t->uidvalidity);
    if (!err)
        err = imap_put_set(out, t->from_uids, t->n);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = imap_put_set(out, t->to_uids, t->n);
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

static void finish(struct copy *t)
{
    struct imap_job *j = t->j;
    if (t->n == 0 || t->move || t->gone) {
        if (t->n)
            send_ok(t, "*"); /* before the EXPUNGEs (RFC 6851 section 4.3) */
        if (t->gone)
            imap_job_expunged(j);
        else
            imap_job_done(j, "OK Done");
        return;
    }
    int err = imap_job_settle(j);
    if (err == ERR_AGAIN) {
        j->done = false;
        imap_job_again(j);
    }
    if (err)
        return;
    send_ok(t, j->in->tag);
    imap_job_close(j);
}

static void replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    struct copy *t = j->data;
    if (status) {
        if (status == ERR_NOT_FOUND)
            imap_job_done(j, "NO [TRYCREATE] No such mailbox");
        else
            imap_job_error(j, status);
        return;
    }
    t->uidvalidity = r->copied.uidvalidity;
    t->gone = !j->in->uid && r->copied.n < t->asked;
    int err = OK;
    for (uint32_t i = 0; !err && i < r->copied.n; i++)
        err = remember(t, r->copied.v[i].from, r->copied.v[i].to);
    if (err) {
        imap_job_error(j, err);
        return;
    }
    /* A large MOVE is told piece by piece, the COPYUID before its EXPUNGEs. */
    if (t->move && t->n >= j->s->a->staging.max / MOVED_ROOM) {
        send_ok(t, "*");
        t->n = 0;
        if (imap_sync(j->s, true))
            return;
    }
    if (conn_out_len(j->s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j); /* else when output has drained */
}

static void next_batch(struct imap_job *j)
{
    struct copy *t = j->data;
    struct imap_session *s = j->s;
    struct uid_range r[IMAP_BATCH_MAX];
    int err = imap_session_map(s); /* telling of changes may have dropped it */
    if (err == ERR_AGAIN) {
        imap_job_again(j);
        return;
    }
    if (err) {
        imap_job_error(j, err);
        return;
    }
    size_t n = 0;
    if (t->pos && !t->gone)
        (void)imap_set_pick(s, &t->set, NULL, &t->pos, IMAP_BATCH_MAX, r, &n);
    if (n == 0 && t->pos && !t->gone) {
        imap_job_again(j);
        return;
    }
    if (n == 0) {
        finish(t);
        return;
    }
    t->asked = 0;
    for (size_t i = 0; i < n; i++)
        t->asked += r[i].last - r[i].first + 1;
    struct vault_request q = {.type = VAULT_COPY,
                              .mailbox = s->sel->mailbox,
                              .copy = {.to = t->to, .move = t->move, .set = {(uint32_t)n, r}}};
    imap_job_request(j, &q, replied);
}

static void look_for_gone(struct imap_job *j)
{
    static const struct imap_pick expunged = {0, false};
    struct copy *t = j->data;
    struct uid_range first[IMAP_BATCH_MAX];
    size_t n;
    int err = imap_set_pick(j->s, &t->set, &expunged, &t->pos, 1, first, &n);
    if (err) {
        imap_job_error(j, err);
        return;
    }
    t->gone = n > 0;
    if (t->gone || !t->pos) {
        t->pos = 1;
        j->step = next_batch;
    }
    imap_job_again(j);
}

static int find(void *arg, struct view *v)
{
    struct copy *t = arg;
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
    /* all or nothing (section 6.4.7); of UIDs, those that are there (section 6.4.8) */
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
