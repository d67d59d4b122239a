/* SELECT and EXAMINE: the mailbox record and its name, nothing that grows with the mailbox. */
#include <stdlib.h>
#include <string.h>

#include "server/access/access.h"

struct select {
    struct job *j;
    char name[MAILBOX_NAME_MAX];
    struct schema_mailbox box;
    struct schema_mailbox_name box_name;
};

static int read_box(void *arg)
{
    struct select *t = arg;
    struct session *s = t->j->s;
    struct engine_txn *txn = view_txn(s->a->view);
    uint32_t mailbox;
    int err = view_mailbox_find(s->a->view, s->account, t->name, &mailbox);
    if (!err)
        err = schema_get_mailbox(txn, s->account, mailbox, &t->box);
    return err ? err : schema_get_mailbox_name(txn, view_keys(s->a->view), s->account, mailbox, &t->box_name);
}

static int answer(struct select *t, struct buf *out, bool readonly)
{
    int err = put_flag_lines(out, &t->box_name, readonly);
    if (!err)
        err = buf_printf(out, "* %u EXISTS\r\n* 0 RECENT\r\n", t->box.exists);
    return err ? err
               : buf_printf(out, "* OK [UIDVALIDITY %u] Valid\r\n* OK [UIDNEXT %u] Next\r\n", t->box.uidvalidity,
                            t->box.uidnext);
}

static void select_box(struct job *j, bool readonly)
{
    struct session *s = j->s;
    const struct imap_node *n = j->in->args;
    struct select *t = job_alloc(j, sizeof *t);
    if (!t)
        return;
    t->j = j;
    if (arg_count(n) != 1 || arg_mailbox(n, t->name)) {
        job_bad(j, "Give one mailbox name");
        return;
    }
    session_unselect(s); /* RFC 3501 section 6.3.1: also when what follows fails */
    int err = snapshot(s->a, read_box, t);
    struct selected *sel = err ? NULL : calloc(1, sizeof *sel);
    if (!err && !sel)
        err = ERR_MEMORY;
    if (!err)
        err = answer(t, staging(s->a), readonly);
    if (!err)
        err = staging_send(s);
    if (err) {
        free(sel);
        job_error(j, err);
        return;
    }
    *sel = (struct selected){.mailbox = t->box.id,
                             .uidvalidity = t->box.uidvalidity,
                             .exists = t->box.exists,
                             .uidnext = t->box.uidnext,
                             .modseq = t->box.highestmodseq,
                             .nkeywords = t->box_name.nkeywords,
                             .readonly = readonly};
    s->sel = sel;
    s->state = STATE_SELECTED;
    job_done(j, "OK [READ-%s] Done", readonly ? "ONLY" : "WRITE");
}

void cmd_select(struct job *j)
{
    select_box(j, false);
}

void cmd_examine(struct job *j)
{
    select_box(j, true);
}
