/* CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, NAMESPACE. */
#include <string.h>

#include "server/access/imap/access.h"

enum { ID_FIELDS_MAX = 30 }; /* RFC 2971 section 3.3 */

void cmd_capability(struct job *j)
{
    struct buf *b = staging(j->s->a);
    if (j->in->args) {
        job_bad(j, "No arguments expected");
        return;
    }
    if (buf_puts(b, "* ") || capability_write(j->s, b) || buf_puts(b, "\r\n") || staging_send(j->s)) {
        job_error(j, ERR_MEMORY);
        return;
    }
    job_done(j, "OK Done");
}

static void plain(struct job *j)
{
    if (j->in->args)
        job_bad(j, "No arguments expected");
    else
        job_done(j, "OK Done");
}

void cmd_noop(struct job *j)
{
    plain(j);
}

void cmd_check(struct job *j) /* every change is on disk when it is answered: nothing is left to do */
{
    plain(j);
}

void cmd_logout(struct job *j)
{
    struct session *s = j->s;
    if (j->in->args) {
        job_bad(j, "No arguments expected");
        return;
    }
    session_printf(s, "* BYE Logging out\r\n%s OK Done\r\n", j->in->tag);
    j->done = true;
    s->ending = true;
    conn_finish(s->conn);
}

/* id = "ID" SP ("(" *(string SP nstring) ")" / nil); what the client says of itself is not kept. */
void cmd_id(struct job *j)
{
    const struct imap_node *n = j->in->args;
    bool ok = arg_count(n) == 1 && ((n->type == IMAP_ATOM && imap_word_is(n->text, "NIL")) || n->type == IMAP_LIST);
    if (ok && n->type == IMAP_LIST) {
        size_t count = arg_count(n->child);
        ok = count % 2 == 0 && count <= 2 * ID_FIELDS_MAX;
    }
    if (!ok) {
        job_bad(j, "ID takes a list of names and values, or NIL");
        return;
    }
    session_printf(j->s, "* ID (\"name\" \"Letterlock\")\r\n");
    job_done(j, "OK Done");
}

/* RFC 5161: what is not known is passed over; so far nothing needs enabling. */
void cmd_enable(struct job *j)
{
    const struct imap_node *n = j->in->args;
    bool ok = n != NULL;
    for (; n; n = n->next)
        ok = ok && n->type == IMAP_ATOM;
    if (!ok) {
        job_bad(j, "ENABLE takes capability names");
        return;
    }
    session_printf(j->s, "* ENABLED\r\n");
    job_done(j, "OK Done");
}

void cmd_namespace(struct job *j)
{
    if (j->in->args) {
        job_bad(j, "No arguments expected");
        return;
    }
    session_printf(j->s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    job_done(j, "OK Done");
}
