/* Requests about messages: deliver and replace, flags, copy and move, expunge. */
#include <string.h>

#include "server/core/error.h"
#include "store/message.h"
#include "server/format/render.h"
#include "store/vault/vault.h"

enum { PARCEL_SLACK = 512 * 1024 /* what sealing and its header may add to message_max */ };

static struct mailbox_set set;

/* The notice of a mailbox as the group has it now. */
static int changed_now(struct vault *v, struct store_write *w, uint32_t mailbox)
{
    struct schema_mailbox box;
    int err = schema_get_mailbox(w->t, w->account, mailbox, &box);
    if (err == OK)
        vault_changed(v, w->account, mailbox, box.highestmodseq, box.exists);
    return err;
}

/* The request's keywords as flags. add: those that the mailbox does not know are put into name. */
static int keywords_take(const struct args *a, struct schema_mailbox_name *name, bool add, uint64_t *ret_flags,
                         bool *ret_added)
{
    struct unpack u = a->keywords;
    uint64_t flags = 0;
    for (uint32_t i = 0; i < a->nkeywords; i++) {
        char keyword[KEYWORD_LEN_MAX + 1];
        uint64_t flag;
        bool added = false;
        unpack_str(&u, keyword, sizeof(keyword));
        int err = u.failed ? ERR_FORMAT : keyword_bit(name, keyword, &flag, &added);
        if (err == ERR_LIMIT && !add)
            continue;
        if (err != OK)
            return err;
        if (added && !add) {
            name->nkeywords--;
            continue;
        }
        *ret_added |= added;
        flags |= flag;
    }
    *ret_flags = flags;
    return OK;
}

/* ---- deliver, replace ---- */

static void delivered(struct pack *body, uint8_t duplicate, const struct delivery *d)
{
    pack_u8(body, duplicate);
    pack_u32(body, d->uidvalidity);
    pack_u32(body, d->uid);
    pack_u64(body, d->message);
    pack_u64(body, d->modseq);
}

static bool has_delivery_id(const struct args *a)
{
    static const uint8_t none[RECORD_HASH_SIZE];
    return memcmp(a->delivery.data, none, sizeof(none)) != 0;
}

/* The message that is to go. */
struct leaving {
    struct mailbox_edit edit;
    struct schema_entry entry;
    uint64_t frees;
};

static int leaving_find(struct store_write *w, const struct args *a, struct leaving *ret)
{
    int err = mailbox_edit_begin(&ret->edit, w, a->replaced_in);
    if (err == OK)
        err = schema_get_entry(w->t, w->account, a->replaced_in, a->replaced, &ret->entry);
    return err == OK ? message_frees(w, ret->entry.message, &ret->frees) : err;
}

/* to: the edit of the new message's mailbox. RFC 8508 section 3.4: either both happen or neither. */
static int leaving_remove(struct vault *v, struct store_write *w, const struct args *a, struct leaving *l,
                          struct mailbox_edit *to)
{
    struct mailbox_edit *e = a->replaced_in == a->mailbox ? to : &l->edit; /* one mailbox, one edit */
    int err = mailbox_edit_remove(e, a->replaced, &l->entry);
    if (err == OK)
        err = message_unref(w, l->entry.message);
    if (err != OK || e == to)
        return err;
    err = mailbox_edit_end(e);
    if (err == OK)
        vault_changed(v, w->account, a->replaced_in, e->modseq, e->box.exists);
    return err;
}

static int deliver_write(struct vault *v, struct store_write *w, const struct args *a, struct schema_account *account,
                         const struct parcel *p, struct schema_message *m, uint64_t flags, struct delivery *ret)
{
    static struct leaving leaving;
    struct mailbox_edit edit;
    leaving.frees = 0;
    int err = mailbox_edit_begin(&edit, w, a->mailbox);
    if (err == OK && edit.box.uidnext == UINT32_MAX)
        err = ERR_LIMIT;
    if (err == OK && a->replaced != 0)
        err = leaving_find(w, a, &leaving);
    if (err == OK)
        err = message_create(w, account, m, p->packets, p->capsule, leaving.frees);
    if (err != OK)
        return err;
    struct schema_entry entry = {.message = m->id, .flags = flags, .size = m->size, .internaldate = a->internaldate};
    struct delivery d = {.time = w->now,
                         .message = m->id,
                         .mailbox = a->mailbox,
                         .uidvalidity = edit.box.uidvalidity,
                         .modseq = edit.modseq};
    if ((err = mailbox_edit_add(&edit, &entry, &d.uid)) != OK ||
        (a->replaced != 0 && (err = leaving_remove(v, w, a, &leaving, &edit)) != OK) ||
        (err = mailbox_edit_end(&edit)) != OK)
        return err;
    if (has_delivery_id(a) && (err = delivery_put(w, a->delivery.data, &d)) != OK)
        return err;
    if ((err = schema_put_account(w->t, w->keys, w->account, account)) != OK)
        return err;
    vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    *ret = d;
    return OK;
}

static int deliver_parcel(struct vault *v, struct store_write *w, const struct args *a, struct schema_account *account,
                          const struct parcel *p, struct delivery *ret, const char **ret_text)
{
    static struct schema_mailbox_name name;
    struct gate_verdict verdict;
    int err = gate_check(v->gate, w, account, a->kind, p, &verdict, ret_text);
    if (err != OK)
        return err;
    uint64_t flags = 0;
    bool added = false;
    err = schema_get_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name);
    if (err == OK)
        err = keywords_take(a, &name, true, &flags, &added);
    if (err != OK)
        return err;
    struct schema_message m = {.kind = a->kind,
                               .render_version = p->render,
                               .outer_len = (uint32_t)p->outer.len,
                               .received = w->now,
                               .expiry_hour = a->expiry_hour,
                               .keys_used = verdict.keys_used,
                               .nfprs = verdict.nfprs,
                               .outer = p->outer,
                               .size = render_size(p->render, p->outer.len, p->packets.len)};
    memcpy(m.fprs, verdict.fprs, sizeof(m.fprs));
    memcpy(m.thread, a->thread.data, sizeof(m.thread));
    memcpy(m.own_id, a->own_id.data, sizeof(m.own_id));
    err = deliver_write(v, w, a, account, p, &m, a->flags | flags, ret);
    if (err == OK && added)
        err = schema_put_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name);
    return err;
}

int run_deliver(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    const struct args *a = &q->a;
    struct schema_account account;
    struct delivery d;
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    if (has_delivery_id(a)) {
        err = delivery_find(w, a->delivery.data, &d);
        if (err == OK) {
            v->count.duplicates++;
            delivered(body, 1, &d);
        }
        if (err != ERR_NOT_FOUND)
            return err;
    }
    /* Outer headers are checked against what the account wants now; one made before a change is made again. */
    if (a->policy != account.policy) {
        *ret_text = "the account's header policy has changed";
        return ERR_CONFLICT;
    }
    struct parcel p;
    err = parcel_open(q->fd, v->message_max + PARCEL_SLACK, &p);
    if (err == OK) {
        err = deliver_parcel(v, w, a, &account, &p, &d, ret_text);
        parcel_close(&p);
    } else if (err == ERR_REFUSED) {
        *ret_text = "the parcel is not sealed, or not laid out as a parcel";
    }
    if (err == ERR_REFUSED)
        v->count.refused++;
    if (err != OK)
        return err;
    v->count.delivered++;
    delivered(body, 0, &d);
    return OK;
}

/* ---- sets ---- */

static int set_take(struct store_write *w, const struct args *a, const char **ret_text)
{
    static struct mailbox_range ranges[VAULT_RANGES_MAX];
    struct schema_mailbox box;
    struct unpack u;
    unpack_init(&u, a->ranges.data, a->ranges.len);
    for (uint32_t i = 0; i < a->nranges; i++) {
        ranges[i].first = unpack_u32(&u);
        ranges[i].last = unpack_u32(&u);
    }
    size_t n = a->nranges;
    int err = mailbox_ranges_tidy(ranges, &n);
    if (err == OK)
        err = schema_get_mailbox(w->t, w->account, a->mailbox, &box);
    if (err == OK)
        err = mailbox_set_find(w, a->mailbox, ranges, n, &set);
    if (err == ERR_LIMIT)
        *ret_text = "too many messages in one request";
    return err;
}

/* ---- flags ---- */

static uint64_t flags_apply(uint8_t op, uint64_t old, uint64_t flags)
{
    return op == 0 ? flags : op == 1 ? old | flags : old & ~flags;
}

int run_store_flags(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    static struct schema_mailbox_name name;
    static bool failed[VAULT_SET_MAX];
    const struct args *a = &q->a;
    struct mailbox_edit edit;
    uint64_t flags = 0;
    bool added = false;
    int err = set_take(w, a, ret_text);
    if (err == OK)
        err = mailbox_edit_begin(&edit, w, a->mailbox);
    if (err == OK && a->nkeywords > 0 &&
        (err = schema_get_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name)) == OK)
        err = keywords_take(a, &name, a->op != 2, &flags, &added);
    if (err != OK)
        return err;
    flags |= a->flags;
    uint32_t changed = 0, nfailed = 0;
    for (uint32_t i = 0; i < set.n; i++) { /* RFC 7162 section 3.1.3: UNCHANGEDSINCE */
        failed[i] = a->since != UINT64_MAX && set.v[i].entry.modseq > a->since;
        nfailed += failed[i];
        changed += !failed[i] && flags_apply(a->op, set.v[i].entry.flags, flags) != set.v[i].entry.flags;
    }
    pack_u64(body, changed > 0 ? edit.modseq : edit.box.highestmodseq);
    pack_u32(body, changed);
    for (uint32_t i = 0; i < set.n; i++) {
        uint64_t new = flags_apply(a->op, set.v[i].entry.flags, flags);
        if (failed[i] || new == set.v[i].entry.flags)
            continue;
        if ((err = mailbox_edit_flags(&edit, set.v[i].uid, &set.v[i].entry, new)) != OK)
            return err;
        pack_u32(body, set.v[i].uid);
        pack_u64(body, new);
        pack_u64(body, edit.modseq);
    }
    pack_u32(body, nfailed);
    for (uint32_t i = 0; i < set.n; i++)
        if (failed[i])
            pack_u32(body, set.v[i].uid);
    if (changed == 0)
        return OK;
    if (added && (err = schema_put_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name)) != OK)
        return err;
    err = mailbox_edit_end(&edit);
    if (err == OK)
        vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    return err;
}

/* ---- copy, move, expunge ---- */

int run_copy(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    static uint32_t uids[VAULT_SET_MAX];
    const struct args *a = &q->a;
    uint32_t validity;
    uint64_t modseq;
    int err = set_take(w, a, ret_text);
    if (err == OK)
        err = mailbox_copy(w, a->mailbox, a->to, a->op, &set, uids, &validity, &modseq);
    if (err != OK)
        return err;
    pack_u32(body, validity);
    pack_u64(body, modseq);
    pack_u32(body, set.n);
    for (uint32_t i = 0; i < set.n; i++) {
        pack_u32(body, set.v[i].uid);
        pack_u32(body, uids[i]);
    }
    if (set.n == 0)
        return OK;
    err = changed_now(v, w, a->to);
    return err == OK && a->op ? changed_now(v, w, a->mailbox) : err;
}

int run_expunge(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    const struct args *a = &q->a;
    struct mailbox_edit edit;
    int err = set_take(w, a, ret_text);
    if (err == OK)
        err = mailbox_edit_begin(&edit, w, a->mailbox);
    if (err != OK)
        return err;
    uint32_t n = 0;
    for (uint32_t i = 0; i < set.n; i++)
        if (!a->op || (set.v[i].entry.flags & FLAG_DELETED))
            set.v[n++] = set.v[i];
    for (uint32_t i = 0; i < n; i++)
        if ((err = mailbox_edit_remove(&edit, set.v[i].uid, &set.v[i].entry)) != OK ||
            (err = message_unref(w, set.v[i].entry.message)) != OK)
            return err;
    err = mailbox_edit_end(&edit);
    if (err != OK)
        return err;
    pack_u64(body, n > 0 ? edit.modseq : edit.box.highestmodseq);
    pack_u32(body, n);
    for (uint32_t i = 0; i < n; i++)
        pack_u32(body, set.v[i].uid);
    if (n > 0)
        vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    return OK;
}
