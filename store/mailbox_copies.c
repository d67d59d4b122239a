/* Copies of more messages than one request takes, all or nothing: what each piece has put into its mailbox is noted
 * until the last piece is there. */
#include "store/mailbox.h"

#include "server/core/error.h"
#include "store/message.h"

enum { UNDO_MESSAGES = 1024 };

struct note {
    uint64_t number;
    uint32_t to, first, last;
};

static struct slice key_note(struct schema_keybuf *k, uint64_t number, uint32_t first)
{
    struct pack p;
    pack_init(&p, k->b, sizeof(k->b));
    pack_u8(&p, 'Y');
    pack_u64(&p, number);
    pack_u32(&p, first);
    return slice_of(k->b, p.len);
}

static int note_put(struct store_write *w, const struct note *n)
{
    uint8_t value[8];
    struct schema_keybuf k;
    struct pack p;
    pack_init(&p, value, sizeof(value));
    pack_u32(&p, n->to);
    pack_u32(&p, n->last);
    return write_put(w, key_note(&k, n->number, n->first), slice_of(value, p.len));
}

static int note_del(struct store_write *w, const struct note *n)
{
    struct schema_keybuf k;
    return write_del(w, key_note(&k, n->number, n->first));
}

static int note_one(void *arg, struct slice key, struct slice value)
{
    struct note *n = arg;
    struct unpack k, v;
    unpack_init(&k, key.data, key.len);
    unpack_init(&v, value.data, value.len);
    unpack_u8(&k);
    n->number = unpack_u64(&k);
    n->first = unpack_u32(&k);
    n->to = unpack_u32(&v);
    n->last = unpack_u32(&v);
    return unpack_done(&k) && unpack_done(&v) && n->first && n->first <= n->last ? 1 : ERR_FORMAT;
}

/* The first or (ENGINE_REVERSE) the last note of the copies from number on. */
static int note_find(struct store_write *w, uint64_t number, unsigned flags, struct note *ret)
{
    struct schema_keybuf from, to;
    struct note n;
    struct slice end = flags && number < UINT64_MAX ? key_note(&to, number + 1, 0) : key_simple(&to, 'Y' + 1);
    int err = engine_scan(w->t, w->account, key_note(&from, number, 0), end, flags, note_one, &n);
    if (err <= 0)
        return err == OK ? ERR_NOT_FOUND : err;
    *ret = n;
    return OK;
}

int mailbox_copy_note(struct store_write *w, uint64_t number, uint32_t to, uint32_t first, uint32_t last)
{
    struct note n;
    int err = note_find(w, number, ENGINE_REVERSE, &n);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND || n.to != to || n.last + 1 != first) /* else one with the piece before */
        n = (struct note){number, to, first, last};
    n.last = last;
    return note_put(w, &n);
}

int mailbox_copy_next(struct store_write *w, uint64_t from, uint64_t *ret_number)
{
    struct note n;
    int err = note_find(w, from, 0, &n);
    if (err == OK)
        *ret_number = n.number;
    return err;
}

int mailbox_copy_forget(struct store_write *w, uint64_t number)
{
    struct note n;
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
        if ((err = mailbox_edit_remove(&edit, set.v[i].uid, &set.v[i].entry)) == OK)
            err = message_unref(w, set.v[i].entry.message);
    return err == OK ? mailbox_edit_end(&edit) : err;
}

int mailbox_copy_undo(struct store_write *w, uint64_t number, uint32_t *ret_to)
{
    struct note n;
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
