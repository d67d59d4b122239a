/* What the vault tells of changes, handed to the sessions whom it concerns. */
#include "server/access/imap/notice.h"
#include "server/access/imap/session.h"

static void look_again(struct imap_session *s)
{
    s->sel->dirty = true;
    if (s->job && s->job->changed)
        s->job->changed(s->job);
}

static int look_for_account(void *arg, struct view *v)
{
    const struct imap_session *s = arg;
    struct schema_account account;
    return view_account(v, s->account, &account);
}

static int look_for_password(void *arg, struct view *v)
{
    const struct imap_session *s = arg;
    return view_password_lives(v, s->account, s->password);
}

/* The sessions of a removed account end at once: its data is erased piece by piece and could be read until then. So do
 * those of a revoked app password: whoever revokes one has lost a device. */
static void end_if_gone(struct imap_session *s)
{
    if (view_run(s->a->view, look_for_account, s) == ERR_NOT_FOUND)
        imap_session_bye(s, "[UNAVAILABLE] The account is gone");
    else if (view_run(s->a->view, look_for_password, s) == ERR_NOT_FOUND)
        imap_session_bye(s, "[AUTHENTICATIONFAILED] The app password was revoked");
}

static void look_at_all(struct access *a)
{
    for (struct imap_session *s = a->sessions; s; s = s->next) {
        if (s->account)
            end_if_gone(s);
        if (s->sel && !s->ending)
            look_again(s);
    }
}

void imap_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists)
{
    struct access *a = arg;
    imap_turn_begin(a);
    if (!account) {
        look_at_all(a);
        return;
    }
    for (struct imap_session *s = a->by_account[account % IMAP_ACCOUNT_BUCKETS]; s; s = s->acc_next) {
        if (!mailbox && s->account == account)
            end_if_gone(s);
        if (s->ending || s->account != account || !s->sel || (mailbox && s->sel->mailbox != mailbox) ||
            (mailbox && modseq <= s->sel->modseq))
            continue;
        look_again(s);
    }
}
