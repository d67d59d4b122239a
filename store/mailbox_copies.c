/* Copies of more messages than one request takes, all or nothing: what each piece has put into its mailbox is noted
 * until the last piece is there. */
#include "store/mailbox.h"

#include "server/core/error.h"
#include "store/message.h"

enum { UNDO_MESSAGES = 1024 };

static int note_put(struct store_write *w, const struct schema_copy *n)
{
    w->wrote = true;
    return schema_put_copy(w->t, w->keys, w->account, n);
}

static int note_del(struct store_write *w, const struct schema_copy *n)
{
    struct schema_keybuf k;
    return write_del(w, key_u64_u32(&k, 'Y', n->number, n->first));
}

struct note_scan {
    const struct store_write *w;
    struct schema_copy found;
};

static int note_one(void *arg, struct slice key, struct slice value)
{
    struct note_scan *s = arg;
    int err = schema_unpack_copy(s->w->keys, s->w->account, key, value, &s->found);
    return err == OK ? 1 : err;
}

/* The first or (ENGINE_REVERSE) the last note of the copies from number on. */
static int note_find(struct store_write *w, uint64_t number, unsigned flags, struct schema_copy *ret)
{
    struct schema_keybuf from, to;
    struct note_scan s = {.w = w};
    struct slice end = flags && number < UINT64_MAX ? key_u64_u32(&to, 'Y', number + 1, 0) : key_simple(&to, 'Y' + 1);
    int err = engine_scan(w->t, w->account, key_u64_u32(&from, 'Y', number, 0), end, flags, note_one, &s);
    if (err <= 0)
        return err == OK ? ERR_NOT_FOUND : err;
    *ret = s.found;
    return OK;
}

int mailbox_copy_note(struct store_write *w, uint64_t number, uint32_t to, uint32_t first, uint32_t last)
{
    struct schema_copy n;
    int err = note_find(w, number, ENGINE_REVERSE, &n);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND || n.to != to || n.last + 1 != first) /* else one with the piece before */
        n = (struct schema_copy){number, to, first, last};
    n.last = last;
    return note_put(w, &n);
}

int mailbox_copy_next(struct store_write *w, uint64_t from, uint64_t *ret_number)
{
    struct schema_copy n;
    int err = note_find(w, from, 0, &n);
    if (err == OK)
        *ret_number = n.number;
    return err;
}

int mailbox_copy_forget(struct store_write *w, uint64_t number)
{
    struct schema_copy n;
    int err;
    while ((err = note_find(w, number, 0, &n)) == OK && n.number == number)
        if ((err = note_del(w, &n)) != OK)
            break;
    return err == ERR_NOT_FOUND ? OK : err;
}

static int expunge(struct store_write *w, uint32_t mailbox, struct uid_range r)
{
    static struct mailbox_edit edit;
    static struct mailbox_set set;
    int err = mailbox_edit_begin(&edit, w, mailbox);
    if (err == OK)
        err = mailbox_set_find(w, mailbox, &r, 1, &set);
    for (uint32_t i = 0; err == OK && i < set.n; i++)
        if ((err = message_unref(w, set.v[i].entry.message)) == OK)
            err = mailbox_edit_remove(&edit, set.v[i].uid, &set.v[i].entry);
    return err == OK ? mailbox_edit_end(&edit) : err;
}

int mailbox_copy_undo(struct store_write *w, uint64_t number, uint32_t *ret_to)
{
    struct schema_copy n;
    int err = note_find(w, number, 0, &n);
    if (err != OK || n.number != number)
        return err == OK ? ERR_NOT_FOUND : err;
    struct uid_range r = {n.first, n.last - n.first < UNDO_MESSAGES ? n.last : n.first + UNDO_MESSAGES - 1};
    uint32_t to = n.to;
    err = expunge(w, to, r);
    if (err == ERR_NOT_FOUND && !w->wrote) /* the mailbox was deleted meanwhile */
        r.last = n.last, to = 0, err = OK;
    if (err == OK)
        err = note_del(w, &n);
    n.first = r.last + 1;
    if (err == OK && r.last < n.last)
        err = note_put(w, &n);
    if (err == OK)
        *ret_to = to;
    return err;
}
