/* Requests about mailboxes. */
#include <string.h>

#include "server/core/error.h"
#include "store/vault/vault.h"

/* The unpacking saw that there is no NUL inside and that it is short enough. */
static void name_take(const struct vault_request *a, char out[MAILBOX_NAME_MAX + 1])
{
    memcpy(out, a->box.name.data, a->box.name.len);
    out[a->box.name.len] = '\0';
}

static const char *sentence(int err)
{
    switch (err) {
    case ERR_EXISTS: return "a mailbox of that name exists";
    case ERR_FORMAT: return "not a usable mailbox name";
    case ERR_LIMIT: return "the name is too long or too deep, or there are too many mailboxes";
    case ERR_NOT_FOUND: return "no such mailbox";
    case ERR_DENIED: return "INBOX cannot be deleted";
    case ERR_CONFLICT: return "other mailboxes or unfinished work depend on it";
    default: return NULL;
    }
}

int run_mailbox_create(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    char name[MAILBOX_NAME_MAX + 1];
    struct schema_account account;
    name_take(&q->a, name);
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    err = mailbox_create(w, &account, name, q->a.box.use, &r->made.mailbox, &r->made.uidvalidity);
    *ret_text = sentence(err);
    return err;
}

int run_mailbox_delete(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    int err = mailbox_delete(w, q->a.mailbox);
    *ret_text = sentence(err);
    if (err == OK)
        v->hot_account = w->account;
    return err;
}

int run_mailbox_rename(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    char name[MAILBOX_NAME_MAX + 1];
    struct schema_account account;
    struct schema_mailbox box;
    name_take(&q->a, name);
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    if (q->a.mailbox != MAILBOX_INBOX) {
        err = mailbox_rename(w, &account, q->a.mailbox, name);
        *ret_text = sentence(err);
        return err;
    }
    uint32_t moved[2] = {MAILBOX_INBOX, 0};
    err = mailbox_rename_inbox(w, &account, name, &moved[1]);
    *ret_text = sentence(err);
    for (int i = 0; err == OK && i < 2; i++) {
        err = schema_get_mailbox(w->t, w->keys, w->account, moved[i], &box);
        if (err == OK)
            vault_changed(v, w->account, moved[i], box.highestmodseq, box.exists);
    }
    if (err == OK)
        v->hot_account = w->account;
    return err;
}

int run_mailbox_subscribe(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                          const char **ret_text)
{
    char name[MAILBOX_NAME_MAX + 1];
    name_take(&q->a, name);
    int err = mailbox_subscribe(w, name, q->a.box.on);
    *ret_text = sentence(err);
    return err;
}
