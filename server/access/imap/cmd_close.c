/* CLOSE (RFC 3501 section 6.4.2), UNSELECT (RFC 3691 section 2), EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC
 * 4315 section 2.1). What is marked \Deleted and known to this session goes, batch by batch. */
#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

static struct imap_range everything = {1, UINT32_MAX};

struct expunge {
    struct imap_set within;
    uint32_t pos; /* 0: all have been looked at */
    bool close;
};

static void next_batch(struct imap_job *j);

static void replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    if (status) {
        imap_job_error(j, status);
        return;
    }
    /* Told batch by batch: a client that waits sees that it goes on. */
    if (!((struct expunge *)j->data)->close && imap_sync(j->s, true))
        return;
    if (conn_out_len(j->s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j); /* else when output has drained */
}

static void next_batch(struct imap_job *j)
{
    static const struct imap_pick deleted = {IMAP_DELETED, true};
    static struct uid_range r[IMAP_BATCH_MAX];
    struct imap_session *s = j->s;
    struct expunge *e = j->data;
    size_t n = 0;
    int err = imap_session_map(s); /* telling of changes may have dropped it */
    if (!err && e->pos)
        err = imap_set_pick(s, &e->within, &deleted, &e->pos, IMAP_BATCH_MAX, r, &n);
    if (err == ERR_AGAIN || (!err && n == 0 && e->pos)) {
        imap_job_again(j);
    } else if (err) {
        imap_job_error(j, err);
    } else if (n == 0) {
        if (e->close)
            imap_session_unselect(s);
        imap_job_done(j, "OK Done");
    } else {
        struct vault_request q = {.type = VAULT_EXPUNGE,
                                  .mailbox = s->sel->mailbox,
                                  .expunge = {.only_deleted = true, .set = {(uint32_t)n, r}}};
        imap_job_request(j, &q, replied);
    }
}

static void expunge(struct imap_job *j, struct imap_set within, bool close)
{
    struct expunge *e = imap_job_alloc(j, sizeof(*e));
    if (!e)
        return;
    *e = (struct expunge){within, 1, close};
    j->data = e;
    j->step = next_batch;
    next_batch(j);
}

void imap_cmd_expunge(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    struct imap_set set = {&everything, 1};
    if (imap_arg_count(n) != (j->in->uid ? 1u : 0u)) {
        imap_job_bad(j, j->in->uid ? "UID EXPUNGE takes a set" : "No arguments expected");
        return;
    }
    if (j->s->sel->readonly) {
        imap_job_done(j, "NO [CANNOT] The mailbox is open read-only");
        return;
    }
    int err = n ? imap_arg_uids(j->s, n, true, &set) : OK;
    if (err)
        imap_job_set_error(j, err, "Not a set");
    else
        expunge(j, set, false);
}

/* Without untagged EXPUNGEs; of a mailbox opened by EXAMINE nothing goes (RFC 3501 section 6.4.2). */
void imap_cmd_close(struct imap_job *j)
{
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    if (!j->s->sel->readonly) {
        expunge(j, (struct imap_set){&everything, 1}, true);
        return;
    }
    imap_session_unselect(j->s);
    imap_job_done(j, "OK Done");
}

void imap_cmd_unselect(struct imap_job *j)
{
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    imap_session_unselect(j->s);
    imap_job_done(j, "OK Done");
}
