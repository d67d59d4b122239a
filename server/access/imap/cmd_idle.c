/* IDLE (RFC 2177): the vault's notices wake the session; nothing is held but the session itself. */
#include "server/access/imap/access.h"

static void drained(struct imap_job *j)
{
    if (j->s->sel && j->s->sel->dirty)
        imap_session_sync(j->s, true);
}

static void line(struct imap_job *j, struct slice text)
{
    j->line = NULL;
    j->step = NULL;
    if (text.data && imap_word_is(text, "DONE"))
        imap_job_done(j, "OK Done");
    else
        imap_job_bad(j, "Expected DONE");
}

void imap_cmd_idle(struct imap_job *j)
{
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    j->line = line;
    j->step = drained;
    imap_expect_line(&j->s->parser);
    imap_session_printf(j->s, "+ idling\r\n");
    if (j->s->sel)
        imap_session_sync(j->s, true);
}

static void look_again(struct imap_session *s)
{
    s->sel->dirty = true;
    if (s->job && s->job->step == drained && conn_out_len(s->conn) < IMAP_TURN_BYTES)
        imap_session_sync(s, true);
}

static int look_for_account(void *arg, struct view *v)
{
    const struct imap_session *s = arg;
    struct schema_account account;
    return view_account(s->a->view, s->account, &account);
}

static int look_for_password(void *arg, struct view *v)
{
    const struct imap_session *s = arg;
    struct schema_keybuf k;
    struct slice value;
    return engine_get(view_txn(s->a->view), s->account, key_hash(&k, 'P', s->password), &value);
}

/* An account that was removed has no sessions: its data goes piece by piece, and would be readable until then. Neither
 * has an app password that was revoked: whoever revokes one has lost a device. */
static void end_if_gone(struct imap_session *s)
{
    if (view_run(s->a->view, look_for_account, s) == ERR_NOT_FOUND)
        imap_session_bye(s, "[UNAVAILABLE] The account is gone");
    else if (view_run(s->a->view, look_for_password, s) == ERR_NOT_FOUND)
        imap_session_bye(s, "[AUTHENTICATIONFAILED] The app password was revoked");
}

void access_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    struct access *a = arg;
    for (struct imap_session *s = a->by_account[account % IMAP_ACCOUNT_BUCKETS]; s; s = s->acc_next) {
        if (!mailbox && s->account == account)
            end_if_gone(s);
        if (s->ending || s->account != account || !s->sel || (mailbox && s->sel->mailbox != mailbox) ||
            (mailbox && modseq <= s->sel->modseq))
            continue;
        look_again(s);
    }
}

void access_new_vault(struct access *a)
{
    for (struct imap_session *s = a->sessions; s; s = s->next) {
        if (s->account)
            end_if_gone(s);
        if (s->sel && !s->ending)
            look_again(s);
    }
}
