/* IDLE (RFC 2177): the vault's notices wake the session; nothing is held but the session itself. */
#include "server/access/access.h"

static void drained(struct job *j)
{
    if (j->s->sel && j->s->sel->dirty)
        session_sync(j->s, true);
}

static void line(struct job *j, struct slice text)
{
    j->line = NULL;
    j->step = NULL;
    if (text.data && imap_word_is(text, "DONE"))
        job_done(j, "OK Done");
    else
        job_bad(j, "Expected DONE");
}

void cmd_idle(struct job *j)
{
    if (j->in->args) {
        job_bad(j, "No arguments expected");
        return;
    }
    j->line = line;
    j->step = drained;
    imap_expect_line(&j->s->parser);
    session_printf(j->s, "+ idling\r\n");
    if (j->s->sel)
        session_sync(j->s, true);
}

static void look_again(struct session *s)
{
    s->sel->dirty = true;
    if (s->job && s->job->step == drained && conn_out_len(s->conn) < TURN_BYTES)
        session_sync(s, true);
}

struct look_for { struct access *a; uint64_t account; };

static int look_for(void *arg)
{
    const struct look_for *l = arg;
    struct schema_account account;
    return view_account(l->a->view, l->account, &account);
}

/* An account that was removed has no sessions; its data goes piece by piece, and would be readable until then. */
static bool still_there(struct access *a, uint64_t account)
{
    struct look_for l = {a, account};
    return snapshot(a, look_for, &l) != ERR_NOT_FOUND;
}

static const char GONE[] = "[UNAVAILABLE] The account is gone";

void access_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    struct access *a = arg;
    bool gone = !mailbox && a->by_account[account % ACCOUNT_BUCKETS] && !still_there(a, account);
    for (struct session *s = a->by_account[account % ACCOUNT_BUCKETS]; s; s = s->acc_next) {
        if (gone && s->account == account)
            session_bye(s, GONE);
        if (s->ending || s->account != account || !s->sel || (mailbox && s->sel->mailbox != mailbox) ||
            (mailbox && modseq <= s->sel->modseq))
            continue;
        look_again(s);
    }
}

void access_new_vault(struct access *a)
{
    for (struct session *s = a->sessions; s; s = s->next) {
        if (s->account && !still_there(a, s->account))
            session_bye(s, GONE);
        else if (s->sel)
            look_again(s);
    }
}
