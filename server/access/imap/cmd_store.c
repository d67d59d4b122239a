/* STORE and UID STORE (RFC 3501 section 6.4.6): batches to the vault, each followed by the flags as they stand. The RFC
 * asks nothing of the messages together: each is changed by itself, and the untagged FETCHes say which were. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

struct store {
    struct imap_job *j;
    struct imap_set set;
    struct imap_flags flags;
    uint8_t op; /* enum vault_flags_op */
    bool silent, gone;
    uint32_t keywords; /* that the client knows after this turn */
    uint32_t pos;      /* where the next batch begins, or the search for what is gone goes on; 0: nowhere */
    struct uid_range batch[IMAP_BATCH_MAX];
    size_t n;
    struct store_place {
        size_t range;
        uint32_t uid;
    } told, reached; /* where telling of the batch goes on; as far as this turn came */
};

static void next_batch(struct imap_job *j);

static int put_entry(struct store *t, struct buf *out, uint32_t uid, const struct schema_keywords *keywords)
{
    struct imap_session *s = t->j->s;
    struct schema_entry e;
    int err = view_entry(s->a->view, s->account, s->sel->mailbox, uid, &e);
    if (err)
        return err == ERR_NOT_FOUND ? OK : err;
    err = buf_printf(out, "* %u FETCH (", imap_map_seq(s->sel->map, uid));
    if (!err && t->j->in->uid)
        err = buf_printf(out, "UID %u ", uid);
    if (!err)
        err = buf_puts(out, "FLAGS ");
    if (!err)
        err = imap_put_flags(out, &e, keywords);
    return err ? err : buf_puts(out, ")\r\n");
}

/* The batch's flags as they stand, from t->told on, as many as a turn takes. */
static int put_batch(struct store *t, struct buf *out, const struct schema_keywords *keywords)
{
    int err = OK;
    struct store_place at = t->told;
    for (; !err && at.range < t->n; at = (struct store_place){at.range + 1, 0}) {
        const struct uid_range *r = &t->batch[at.range];
        for (at.uid = at.uid ? at.uid : r->first; !err && at.uid && at.uid <= r->last; at.uid++) {
            if (out->len >= IMAP_TURN_BYTES || !imap_turn_left(t->j->s->a)) {
                t->reached = at;
                return OK;
            }
            err = put_entry(t, out, at.uid, keywords);
            (void)imap_turn_spend(t->j->s->a, 2);
        }
    }
    t->reached = at;
    return err;
}

static int tell(void *arg, struct view *v)
{
    static struct schema_keywords keywords;
    struct store *t = arg;
    struct imap_session *s = t->j->s;
    struct buf *out = imap_staging(s->a);
    int err = view_keywords(v, s->account, &keywords);
    t->keywords = imap_keywords_digest(&keywords);
    if (!err && t->keywords != s->sel->keywords) /* a keyword is named before it is used (RFC 3501 section 7.2.6) */
        err = imap_put_flag_lines(out, &keywords, false);
    t->reached = (struct store_place){t->n, 0};
    return err || t->silent ? err : put_batch(t, out, &keywords);
}

/* Tells of the batch, then comes the next one. */
static void go_on(struct imap_job *j)
{
    struct store *t = j->data;
    int err = view_run(j->s->a->view, tell, t);
    if (!err)
        err = imap_staging_send(j->s);
    if (err) {
        imap_job_error(j, err);
        return;
    }
    j->s->sel->keywords = t->keywords;
    t->told = t->reached;
    j->step = t->told.range < t->n ? go_on : next_batch;
    if (conn_out_len(j->s->conn) <= IMAP_OUT_LOW) /* else when output has drained */
        imap_job_again(j);
}

static void replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    struct store *t = j->data;
    if (status) {
        imap_job_error(j, status);
        return;
    }
    /* What others changed in between may concern the same messages: a silent STORE must not hide it (RFC 3501 section
     * 6.4.6). */
    if (r->flags.nchanged && !(t->silent && r->flags.modseq > j->s->sel->modseq + 1))
        imap_sync_own(j->s, r->flags.modseq);
    t->told = (struct store_place){0, 0};
    go_on(j);
}

static void next_batch(struct imap_job *j)
{
    struct store *t = j->data;
    struct imap_session *s = j->s;
    t->n = 0;
    if (t->pos)
        (void)imap_set_pick(s, &t->set, NULL, &t->pos, IMAP_BATCH_MAX, t->batch, &t->n);
    if (t->n == 0 && t->pos) {
        imap_job_again(j);
        return;
    }
    if (t->n == 0) {
        if (t->gone)
            imap_job_expunged(j);
        else
            imap_job_done(j, "OK Done");
        return;
    }
    struct vault_request q = {.type = VAULT_STORE_FLAGS,
                              .mailbox = s->sel->mailbox,
                              .flags = {.op = t->op,
                                        .flags = t->flags.system,
                                        .keywords.n = t->flags.nkeywords,
                                        .unchangedsince = VAULT_UNCHANGEDSINCE_NONE,
                                        .set = {(uint32_t)t->n, t->batch}}};
    for (unsigned i = 0; i < t->flags.nkeywords; i++)
        q.flags.keywords.v[i] = slice_str(t->flags.keywords[i]);
    imap_job_request(j, &q, replied);
}

/* The others are stored all the same (RFC 2180 section 4.2). */
static void look_for_gone(struct imap_job *j)
{
    static const struct imap_pick expunged = {0, false};
    struct store *t = j->data;
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

/* store-att-flags (RFC 3501 section 6.4.6) */
static const struct {
    const char *word;
    uint8_t op;
    bool silent;
} ops[] = {
    {"FLAGS", VAULT_FLAGS_SET, false},     {"FLAGS.SILENT", VAULT_FLAGS_SET, true},
    {"+FLAGS", VAULT_FLAGS_ADD, false},    {"+FLAGS.SILENT", VAULT_FLAGS_ADD, true},
    {"-FLAGS", VAULT_FLAGS_REMOVE, false}, {"-FLAGS.SILENT", VAULT_FLAGS_REMOVE, true},
};

void imap_cmd_store(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    struct store *t = imap_job_alloc(j, sizeof(*t));
    size_t i = 0;
    if (!t)
        return;
    while (imap_arg_count(n) >= 3 && n->next->type == IMAP_ATOM && i < sizeof(ops) / sizeof(*ops) &&
           !imap_word_is(n->next->text, ops[i].word))
        i++;
    if (imap_arg_count(n) < 3 || n->next->type != IMAP_ATOM || i == sizeof(ops) / sizeof(*ops)) {
        imap_job_bad(j, "STORE takes a set, FLAGS, +FLAGS or -FLAGS, and flags");
        return;
    }
    t->j = j;
    t->op = ops[i].op;
    t->silent = ops[i].silent;
    t->pos = 1;
    int err = imap_flags_parse(imap_session_arena(j->s), n->next->next, &t->flags);
    if (!err)
        err = imap_arg_uids(j->s, n, j->in->uid, &t->set);
    if (err) {
        imap_job_set_error(j, err, "Not a set of messages, or not flags");
    } else if (j->s->sel->readonly) {
        imap_job_done(j, "NO [CANNOT] The mailbox is open read-only");
    } else {
        j->data = t;
        j->step = j->in->uid ? next_batch : look_for_gone;
        j->step(j);
    }
}
