/* SELECT and EXAMINE (RFC 3501 sections 6.3.1, 6.3.2): the mailbox record and its name, nothing that grows with the
 * mailbox. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"

/* How many blocks are read to find the first unseen message and its number. One that is farther from both ends is not
 * told; it need not be (RFC 9051 section 6.3.2). */
enum { UNSEEN_BLOCKS = 32 };

struct select {
    struct imap_job *j;
    uint32_t unseen; /* the first unseen message's number; 0: none, or not known */
    char name[MAILBOX_NAME_MAX];
    struct schema_mailbox box;
};

static int first_unseen_uid(struct select *t, struct schema_block *b, uint32_t *ret)
{
    struct imap_session *s = t->j->s;
    uint32_t last = (t->box.uidnext - 1) / BLOCK_UIDS, uid = t->box.first_unseen_hint;
    for (unsigned i = 0; i < UNSEEN_BLOCKS && uid / BLOCK_UIDS <= last; i++) {
        int err = view_block(s->a->view, s->account, t->box.id, uid / BLOCK_UIDS, b);
        if (err)
            return err;
        for (unsigned k = uid % BLOCK_UIDS; b->unseen && k < BLOCK_UIDS; k++) {
            if (b->here[k / 8] & ~b->seen[k / 8] & 1 << k % 8) {
                *ret = uid / BLOCK_UIDS * BLOCK_UIDS + k;
                return OK;
            }
        }
        uid = (uid / BLOCK_UIDS + 1) * BLOCK_UIDS;
    }
    return OK;
}

static int count_blocks(struct select *t, uint32_t from, uint32_t to, uint32_t *ret)
{
    struct imap_session *s = t->j->s;
    struct schema_block b;
    int err = OK;
    for (*ret = 0; !err && from < to; from++)
        if ((err = view_block(s->a->view, s->account, t->box.id, from, &b)) == OK)
            *ret += b.count;
    return err;
}

/* Counted from the nearer end. */
static int first_unseen(struct select *t)
{
    struct schema_block b;
    uint32_t uid = 0, below = 0, others = 0, last = (t->box.uidnext - 1) / BLOCK_UIDS;
    t->unseen = 0;
    if (!t->box.unseen)
        return OK;
    int err = first_unseen_uid(t, &b, &uid);
    if (err || !uid)
        return err;
    uint32_t no = uid / BLOCK_UIDS;
    for (unsigned k = 0; k < uid % BLOCK_UIDS; k++)
        below += b.here[k / 8] >> k % 8 & 1;
    if (no <= UNSEEN_BLOCKS) {
        if ((err = count_blocks(t, 0, no, &others)) == OK)
            t->unseen = others + below + 1;
    } else if (last - no <= UNSEEN_BLOCKS) {
        if ((err = count_blocks(t, no, last + 1, &others)) == OK)
            t->unseen = t->box.exists - others + below + 1;
    }
    return err;
}

static struct schema_keywords keywords_space;

static int read_box(void *arg, struct view *v)
{
    struct select *t = arg;
    struct imap_session *s = t->j->s;
    uint32_t mailbox;
    (void)imap_turn_spend(s->a, IMAP_WORK_FIND);
    int err = view_mailbox_find(v, s->account, t->name, &mailbox);
    if (!err)
        err = view_mailbox(v, s->account, mailbox, &t->box);
    if (!err)
        err = first_unseen(t);
    return err ? err : view_keywords(v, s->account, &keywords_space);
}

/* FLAGS, EXISTS, RECENT, UNSEEN, PERMANENTFLAGS, UIDNEXT and UIDVALIDITY (RFC 3501 section 6.3.1). */
static int answer(struct select *t, struct buf *out, bool readonly)
{
    int err = imap_put_flag_lines(out, &keywords_space, readonly);
    if (!err)
        err = buf_printf(out, "* %u EXISTS\r\n* 0 RECENT\r\n", t->box.exists);
    if (!err && t->unseen)
        err = buf_printf(out, "* OK [UNSEEN %u] First\r\n", t->unseen);
    return err ? err
               : buf_printf(out, "* OK [UIDVALIDITY %u] Valid\r\n* OK [UIDNEXT %u] Next\r\n", t->box.uidvalidity,
                            t->box.uidnext);
}

static void select_box(struct imap_job *j, bool readonly)
{
    struct imap_session *s = j->s;
    const struct imap_node *n = j->in->args;
    struct select *t = imap_job_alloc(j, sizeof(*t));
    if (!t)
        return;
    t->j = j;
    int err = imap_arg_count(n) == 1 ? imap_arg_mailbox(n, t->name) : ERR_FORMAT;
    if (err == ERR_FORMAT) {
        imap_job_bad(j, "Give one mailbox name");
        return;
    }
    imap_session_unselect(s); /* RFC 3501 section 6.3.1: also when what follows fails */
    if (!err)
        err = view_run(s->a->view, read_box, t);
    struct imap_selected *sel = err ? NULL : calloc(1, sizeof(*sel));
    if (!err && !sel)
        err = ERR_MEMORY;
    if (!err)
        err = answer(t, imap_staging(s->a), readonly);
    if (!err)
        err = imap_staging_send(s);
    if (err) {
        free(sel);
        imap_job_error(j, err);
        return;
    }
    *sel = (struct imap_selected){.mailbox = t->box.id,
                                  .uidvalidity = t->box.uidvalidity,
                                  .exists = t->box.exists,
                                  .uidnext = t->box.uidnext,
                                  .modseq = t->box.highestmodseq,
                                  .told = {t->box.highestmodseq, UINT32_MAX},
                                  .keywords = imap_keywords_digest(&keywords_space),
                                  .readonly = readonly};
    s->sel = sel;
    s->state = IMAP_STATE_SELECTED;
    imap_job_done(j, "OK [READ-%s] Done", readonly ? "ONLY" : "WRITE");
}

void imap_cmd_select(struct imap_job *j)
{
    select_box(j, false);
}

void imap_cmd_examine(struct imap_job *j)
{
    select_box(j, true);
}
