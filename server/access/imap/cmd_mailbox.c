/* CREATE (RFC 3501 section 6.3.3; USE: RFC 6154 section 3), DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 3501
 * sections 6.3.4 to 6.3.7): found by name here, done by the vault. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"

struct find {
    struct imap_job *j;
    char name[MAILBOX_NAME_MAX], to[MAILBOX_NAME_MAX];
    uint32_t mailbox;
};

static int find(void *arg, struct view *v)
{
    struct find *f = arg;
    (void)imap_turn_spend(f->j->s->a, IMAP_WORK_FIND);
    return view_mailbox_find(v, f->j->s->account, f->name, &f->mailbox);
}

/* Parses count mailbox names and looks up the first. NULL: answered. */
static struct find *look_up(struct imap_job *j, unsigned count)
{
    const struct imap_node *n = j->in->args;
    struct find *f = imap_job_alloc(j, sizeof(*f));
    if (!f)
        return NULL;
    f->j = j;
    if (imap_arg_count(n) != count) {
        imap_job_bad(j, "Wrong number of arguments");
        return NULL;
    }
    int err = imap_arg_mailbox(n, f->name);
    if (!err && count == 2)
        err = imap_arg_mailbox(n->next, f->to);
    if (err) {
        imap_job_arg_error(j, err, "Not a mailbox name");
        return NULL;
    }
    if ((err = view_run(j->s->a->view, find, f)) != OK) {
        imap_job_error(j, err);
        return NULL;
    }
    return f;
}

static void replied(struct imap_job *j, int status, const struct vault_reply *r)
{
    if (status)
        imap_job_error(j, status);
    else
        imap_job_done(j, "OK Done");
}

/* create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")" (RFC 6154 section 6) */
static int parse_use(const struct imap_node *params, uint8_t *ret)
{
    uint8_t use = 0;
    if (params->type != IMAP_LIST || params->next)
        return ERR_FORMAT;
    const struct imap_node *n = params->child;
    if (!n)
        return ERR_FORMAT;
    if (n->type != IMAP_ATOM || !imap_word_is(n->text, "USE") || imap_arg_count(n) != 2 || n->next->type != IMAP_LIST)
        return ERR_FORMAT;
    for (n = n->next->child; n; n = n->next) {
        const struct imap_use_name *u = imap_use_names;
        if (n->type != IMAP_ATOM)
            return ERR_FORMAT;
        while (u->name &&
               !(strlen(u->name) == n->text.len && strncasecmp(u->name, (const char *)n->text.data, n->text.len) == 0))
            u++;
        if (!u->name)
            return ERR_UNSUPPORTED;
        use |= u->use;
    }
    *ret = use;
    return OK;
}

void imap_cmd_create(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    char name[MAILBOX_NAME_MAX];
    uint8_t use = 0;
    int err = imap_arg_mailbox(n, name);
    if (err) {
        imap_job_arg_error(j, err, "Not a mailbox name");
        return;
    }
    err = n->next ? parse_use(n->next, &use) : OK;
    if (err == ERR_FORMAT) {
        imap_job_bad(j, "CREATE takes a name and perhaps (USE (...))");
        return;
    }
    if (err) {
        imap_job_done(j, "NO [USEATTR] No such use"); /* RFC 6154 section 3 */
        return;
    }
    size_t len = strlen(name);
    if (len > 1 && name[len - 1] == '/') /* RFC 3501 section 6.3.3: a declaration that names will be made below it */
        name[len - 1] = 0;
    struct vault_request q = {.type = VAULT_MAILBOX_CREATE, .box = {.name = slice_str(name), .use = use}};
    imap_job_request(j, &q, replied);
}

/* The session that deletes the mailbox it has selected goes on without one; others are sent away. */
static void deleted(struct imap_job *j, int status, const struct vault_reply *r)
{
    const struct find *f = j->data;
    if (!status && j->s->sel && j->s->sel->mailbox == f->mailbox)
        imap_session_unselect(j->s);
    replied(j, status, r);
}

void imap_cmd_delete(struct imap_job *j)
{
    struct find *f = look_up(j, 1);
    if (!f)
        return;
    if (strcmp(f->name, "INBOX") == 0) { /* RFC 3501 section 6.3.4 */
        imap_job_done(j, "NO [CANNOT] INBOX stays");
        return;
    }
    struct vault_request q = {.type = VAULT_MAILBOX_DELETE, .mailbox = f->mailbox};
    j->data = f;
    imap_job_request(j, &q, deleted);
}

void imap_cmd_rename(struct imap_job *j)
{
    struct find *f = look_up(j, 2);
    if (!f)
        return;
    struct vault_request q = {.type = VAULT_MAILBOX_RENAME, .mailbox = f->mailbox, .box.name = slice_str(f->to)};
    imap_job_request(j, &q, replied);
}

/* A mailbox that is gone can be unsubscribed from (RFC 3501 section 6.3.6: its name stays on the list). */
static void subscribe(struct imap_job *j, bool on)
{
    char name[MAILBOX_NAME_MAX];
    int err = imap_arg_count(j->in->args) == 1 ? imap_arg_mailbox(j->in->args, name) : ERR_FORMAT;
    if (err) {
        imap_job_arg_error(j, err, "Give one mailbox name");
        return;
    }
    struct vault_request q = {.type = VAULT_MAILBOX_SUBSCRIBE, .box = {.name = slice_str(name), .on = on}};
    imap_job_request(j, &q, replied);
}

void imap_cmd_subscribe(struct imap_job *j)
{
    subscribe(j, true);
}

void imap_cmd_unsubscribe(struct imap_job *j)
{
    subscribe(j, false);
}
