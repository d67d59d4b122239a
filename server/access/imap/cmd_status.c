/* STATUS (RFC 3501 section 6.3.10; SIZE: RFC 8438; DELETED: RFC 9051 section 6.3.11). */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/status.h"

enum {
    STATUS_MESSAGES = 1,
    STATUS_RECENT = 2,
    STATUS_UIDNEXT = 4,
    STATUS_UIDVALIDITY = 8,
    STATUS_UNSEEN = 16,
    STATUS_DELETED = 32,
    STATUS_SIZE = 64,
};

static const struct {
    const char *word;
    unsigned bit;
} items_table[] = {
    {"MESSAGES", STATUS_MESSAGES}, {"RECENT", STATUS_RECENT},
    {"UIDNEXT", STATUS_UIDNEXT},   {"UIDVALIDITY", STATUS_UIDVALIDITY},
    {"UNSEEN", STATUS_UNSEEN},     {"DELETED", STATUS_DELETED},
    {"SIZE", STATUS_SIZE},
};

int imap_status_items(const struct imap_node *list, unsigned *ret)
{
    unsigned items = 0;
    if (!list || list->type != IMAP_LIST || !list->child)
        return ERR_FORMAT;
    for (const struct imap_node *n = list->child; n; n = n->next) {
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof(items_table) / sizeof(*items_table); i++)
            if (n->type == IMAP_ATOM && imap_word_is(n->text, items_table[i].word))
                bit = items_table[i].bit;
        if (!bit)
            return ERR_FORMAT;
        items |= bit;
    }
    *ret = items;
    return OK;
}

int imap_put_status(struct buf *out, const char *name, const struct schema_mailbox *box, unsigned items)
{
    const uint64_t values[] = {box->exists,  0 /* \Recent is never set */,
                               box->uidnext, box->uidvalidity,
                               box->unseen,  box->deleted,
                               box->bytes};
    const char *sep = "";
    int err = buf_puts(out, "* STATUS ");
    if (!err)
        err = imap_put_mailbox(out, name);
    if (!err)
        err = buf_puts(out, " (");
    for (size_t i = 0; !err && i < sizeof(items_table) / sizeof(*items_table); i++) {
        if (items & items_table[i].bit) {
            err = buf_printf(out, "%s%s %llu", sep, items_table[i].word, (unsigned long long)values[i]);
            sep = " ";
        }
    }
    return err ? err : buf_puts(out, ")\r\n");
}

struct status {
    struct imap_job *j;
    char name[MAILBOX_NAME_MAX];
    struct schema_mailbox box;
};

static int read_box(void *arg, struct view *v)
{
    struct status *t = arg;
    struct imap_session *s = t->j->s;
    uint32_t mailbox;
    (void)imap_turn_spend(s->a, IMAP_WORK_FIND);
    int err = view_mailbox_find(v, s->account, t->name, &mailbox);
    return err ? err : view_mailbox(v, s->account, mailbox, &t->box);
}

void imap_cmd_status(struct imap_job *j)
{
    const struct imap_node *n = j->in->args;
    unsigned items;
    struct status *t = imap_job_alloc(j, sizeof(*t));
    if (!t)
        return;
    t->j = j;
    int err = imap_arg_count(n) == 2 ? imap_status_items(n->next, &items) : ERR_FORMAT;
    if (!err)
        err = imap_arg_mailbox(n, t->name);
    if (err) {
        imap_job_arg_error(j, err, "STATUS takes a mailbox and a list of items");
        return;
    }
    err = view_run(j->s->a->view, read_box, t);
    if (!err)
        err = imap_put_status(imap_staging(j->s->a), t->name, &t->box, items);
    if (!err)
        err = imap_staging_send(j->s);
    if (err)
        imap_job_error(j, err);
    else
        imap_job_done(j, "OK Done");
}
