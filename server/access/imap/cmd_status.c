/* STATUS (RFC 3501 section 6.3.10; SIZE: RFC 8438; DELETED: RFC 9051). */
#include <string.h>

#include "server/access/imap/access.h"

static const struct {
    const char *word;
    unsigned bit;
} items_table[] = {
    {"MESSAGES", STATUS_MESSAGES}, {"RECENT", STATUS_RECENT},
    {"UIDNEXT", STATUS_UIDNEXT},   {"UIDVALIDITY", STATUS_UIDVALIDITY},
    {"UNSEEN", STATUS_UNSEEN},     {"DELETED", STATUS_DELETED},
    {"SIZE", STATUS_SIZE},
};

int status_items(const struct imap_node *list, unsigned *ret)
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

int put_status(struct buf *out, const char *name, const struct schema_mailbox *box, unsigned items)
{
    const uint64_t values[] = {box->exists,  0 /* \Recent is never set */,
                               box->uidnext, box->uidvalidity,
                               box->unseen,  box->deleted,
                               box->bytes};
    const char *sep = "";
    int err = buf_puts(out, "* STATUS ");
    if (!err)
        err = put_mailbox(out, name);
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
    struct job *j;
    char name[MAILBOX_NAME_MAX];
    struct schema_mailbox box;
};

static int read_box(void *arg)
{
    struct status *t = arg;
    struct session *s = t->j->s;
    uint32_t mailbox;
    int err = view_mailbox_find(s->a->view, s->account, t->name, &mailbox);
    return err ? err : schema_get_mailbox(view_txn(s->a->view), s->account, mailbox, &t->box);
}

void cmd_status(struct job *j)
{
    const struct imap_node *n = j->in->args;
    unsigned items;
    struct status *t = job_alloc(j, sizeof(*t));
    if (!t)
        return;
    t->j = j;
    if (arg_count(n) != 2 || arg_mailbox(n, t->name) || status_items(n->next, &items)) {
        job_bad(j, "STATUS takes a mailbox and a list of items");
        return;
    }
    int err = snapshot(j->s->a, read_box, t);
    if (!err)
        err = put_status(staging(j->s->a), t->name, &t->box, items);
    if (!err)
        err = staging_send(j->s);
    if (err)
        job_error(j, err);
    else
        job_done(j, "OK Done");
}
