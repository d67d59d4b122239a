/* CAPABILITY, NOOP, LOGOUT (RFC 3501 sections 6.1.1 to 6.1.3), CHECK (6.4.1), ID, ENABLE, NAMESPACE. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/capability.h"
#include "server/access/imap/commands.h"

enum { ID_FIELDS_MAX = 30 }; /* RFC 2971 section 3.3 */

void imap_cmd_capability(struct imap_job *j)
{
    struct buf *b = imap_staging(j->s->a);
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    if (buf_puts(b, "* ") || imap_capability_write(j->s, b) || buf_puts(b, "\r\n") || imap_staging_send(j->s)) {
        imap_job_error(j, ERR_MEMORY);
        return;
    }
    imap_job_done(j, "OK Done");
}

static void plain(struct imap_job *j)
{
    if (j->in->args)
        imap_job_bad(j, "No arguments expected");
    else
        imap_job_done(j, "OK Done");
}

void imap_cmd_noop(struct imap_job *j)
{
    plain(j);
}

/* Every change is on disk when it is answered, so a checkpoint has nothing to do. */
void imap_cmd_check(struct imap_job *j)
{
    plain(j);
}

/* BYE comes before the tagged OK (RFC 3501 section 6.1.3). */
void imap_cmd_logout(struct imap_job *j)
{
    struct imap_session *s = j->s;
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    imap_session_printf(s, "* BYE Logging out\r\n%s OK Done\r\n", j->in->tag);
    j->done = true;
    s->ending = true;
    conn_finish(s->conn);
}

/* id = "ID" SP ("(" *(string SP nstring) ")" / nil) (RFC 2971 section 4). What the client says of itself is not
 * kept. */
void imap_cmd_id(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    bool ok =
        imap_arg_count(n) == 1 && ((n->type == IMAP_ATOM && imap_word_is(n->text, "NIL")) || n->type == IMAP_LIST);
    if (ok && n->type == IMAP_LIST) {
        size_t count = imap_arg_count(n->child);
        ok = count % 2 == 0 && count <= 2 * ID_FIELDS_MAX;
    }
    if (!ok) {
        imap_job_bad(j, "ID takes a list of names and values, or NIL");
        return;
    }
    imap_session_printf(j->s, "* ID (\"name\" \"Letterlock\")\r\n");
    imap_job_done(j, "OK Done");
}

/* RFC 5161 section 3.1: what is not known is passed over; so far nothing needs enabling. */
void imap_cmd_enable(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    bool ok = n != NULL;
    for (; n; n = n->next)
        ok = ok && n->type == IMAP_ATOM;
    if (!ok) {
        imap_job_bad(j, "ENABLE takes capability names");
        return;
    }
    imap_session_printf(j->s, "* ENABLED\r\n");
    imap_job_done(j, "OK Done");
}

/* RFC 2342 section 5: one personal namespace, none of other users, none shared. */
void imap_cmd_namespace(struct imap_job *j)
{
    if (j->in->args) {
        imap_job_bad(j, "No arguments expected");
        return;
    }
    imap_session_printf(j->s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    imap_job_done(j, "OK Done");
}
