/* STORE and UID STORE (RFC 3501 section 6.4.6): batches to the vault, then the flags as they stand. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/access/imap/sync.h"

enum { MANY_KEYWORDS = 16, SMALL_BATCH = 256 };

struct store {
    struct imap_job *j;
    struct imap_set set;
    struct imap_flags flags;
    uint8_t op; /* enum vault_flags_op */
    bool silent, gone;
    uint32_t pos; /* where the next batch begins */
    struct uid_range batch[IMAP_BATCH_MAX];
    size_t n;
};

static void next_batch(struct imap_job *j);

static int put_entry(struct store *t, struct buf *out, uint32_t uid, const struct schema_mailbox_name *name)
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
        err = imap_put_flags(out, e.flags, name);
    return err ? err : buf_puts(out, ")\r\n");
}

static int tell(void *arg, struct view *v)
{
    static struct schema_mailbox_name name;
    struct store *t = arg;
    struct imap_session *s = t->j->s;
    struct buf *out = imap_staging(s->a);
    int err = view_mailbox_name(v, s->account, s->sel->mailbox, &name);
    if (!err &&
        name.nkeywords != s->sel->nkeywords) { /* a new keyword is named before it is used (RFC 3501 section 7.2.6) */
        s->sel->nkeywords = name.nkeywords;
        err = imap_put_flag_lines(out, &name, false);
    }
    for (size_t i = 0; !err && !t->silent && i < t->n; i++)
        for (uint32_t uid = t->batch[i].first; !err && uid && uid <= t->batch[i].last; uid++)
            err = put_entry(t, out, uid, &name);
    return err;
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
    uint8_t known = j->s->sel->nkeywords;
    int err = view_run(j->s->a->view, tell, t);
    if (err)
        j->s->sel->nkeywords = known;
    else
        err = imap_staging_send(j->s);
    if (err)
        imap_job_error(j, err);
    else if (conn_out_len(j->s->conn) > IMAP_TURN_BYTES)
        return; /* until output has drained */
    else
        next_batch(j);
}

static void next_batch(struct imap_job *j)
{
    struct store *t = j->data;
    struct imap_session *s = j->s;
    /* a batch's lines are made in one turn and fit into IMAP_STAGING_MAX */
    bool long_lines = s->sel->nkeywords + t->flags.nkeywords > MANY_KEYWORDS;
    t->n = imap_set_batch(s->sel->map, &t->set, &t->pos, long_lines ? SMALL_BATCH : IMAP_BATCH_MAX, t->batch);
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
    if (!err && !j->in->uid) /* the others are stored (RFC 2180 section 4.2) */
        err = imap_set_gone(j->s, &t->set, &t->gone);
    if (err) {
        imap_job_set_error(j, err, "Not a set of messages, or not flags");
    } else if (j->s->sel->readonly) {
        imap_job_done(j, "NO [CANNOT] The mailbox is open read-only");
    } else {
        j->data = t;
        j->step = next_batch;
        next_batch(j);
    }
}
