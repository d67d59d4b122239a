/* IDLE (RFC 2177 section 3): the vault's notices wake the session; nothing is held but the session itself. */
#include "server/access/imap/commands.h"
#include "server/access/imap/sync.h"

static void tell(struct imap_job *j)
{
    if (j->s->sel && imap_sync(j->s, true) == OK && j->s->sel->dirty)
        imap_job_again(j);
}

static void drained(struct imap_job *j)
{
    if (j->s->sel && j->s->sel->dirty)
        tell(j);
}

/* At once, as far as the turn goes that all who hear of the change share. */
static void changed(struct imap_job *j)
{
    if (imap_turn_left(j->s->a) && conn_out_len(j->s->conn) <= IMAP_OUT_LOW)
        tell(j);
    else
        imap_job_again(j);
}

static void line(struct imap_job *j, struct slice text)
{
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
    j->changed = changed;
    imap_expect_line(&j->s->parser);
    imap_session_printf(j->s, "+ idling\r\n");
    tell(j);
}
