/* Requests about messages: deliver and replace, flags, copy and move, expunge. */
#include <string.h>

#include "server/base/error.h"
#include "store/message.h"
#include "store/render.h"
#include "store/vault/vault.h"

enum { PARCEL_SLACK = 512 * 1024 /* what sealing and its header may add to message_max */ };

static struct mailbox_set set;

/* The notice of a mailbox as the group has it now. */
static int changed_now(struct vault *v, struct store_write *w, uint32_t mailbox)
{
    struct schema_mailbox box;
    int r = schema_get_mailbox(w->t, w->account, mailbox, &box);
    if (r == OK)
        vault_changed(v, w->account, mailbox, box.highestmodseq, box.exists);
    return r;
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
        unpack_str(&u, keyword, sizeof keyword);
        int r = u.failed ? ERR_FORMAT : keyword_bit(name, keyword, &flag, &added);
        if (r == ERR_LIMIT && !add)
            continue;
        if (r != OK)
            return r;
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
    return memcmp(a->delivery.data, none, sizeof none) != 0;
}

/* The message that is to go. */
struct leaving { struct mailbox_edit edit; struct schema_entry entry; uint64_t frees; };

static int leaving_find(struct store_write *w, const struct args *a, struct leaving *ret)
{
    int r = mailbox_edit_begin(&ret->edit, w, a->replaced_in);
    if (r == OK)
        r = schema_get_entry(w->t, w->account, a->replaced_in, a->replaced, &ret->entry);
    return r == OK ? message_frees(w, ret->entry.message, &ret->frees) : r;
}

/* to: the edit of the new message's mailbox. RFC 8508 section 3.4: either both happen or neither. */
static int leaving_remove(struct vault *v, struct store_write *w, const struct args *a, struct leaving *l,
                          struct mailbox_edit *to)
{
    struct mailbox_edit *e = a->replaced_in == a->mailbox ? to : &l->edit; /* one mailbox, one edit */
    int r = mailbox_edit_remove(e, a->replaced, &l->entry);
    if (r == OK)
        r = message_unref(w, l->entry.message);
    if (r != OK || e == to)
        return r;
    r = mailbox_edit_end(e);
    if (r == OK)
        vault_changed(v, w->account, a->replaced_in, e->modseq, e->box.exists);
    return r;
}

static int deliver_write(struct vault *v, struct store_write *w, const struct args *a, struct schema_account *account,
                         const struct parcel *p, struct schema_message *m, uint64_t flags, struct delivery *ret)
{
    static struct leaving leaving;
    struct mailbox_edit edit;
    leaving.frees = 0;
    int r = mailbox_edit_begin(&edit, w, a->mailbox);
    if (r == OK && edit.box.uidnext == UINT32_MAX)
        r = ERR_LIMIT;
    if (r == OK && a->replaced != 0)
        r = leaving_find(w, a, &leaving);
    if (r == OK)
        r = message_create(w, account, m, p->packets, p->capsule, leaving.frees);
    if (r != OK)
        return r;
    struct schema_entry entry = { .message = m->id, .flags = flags, .size = m->size, .internaldate = a->internaldate };
    struct delivery d = { .time = w->now, .message = m->id, .mailbox = a->mailbox, .uidvalidity = edit.box.uidvalidity,
                          .modseq = edit.modseq };
    if ((r = mailbox_edit_add(&edit, &entry, &d.uid)) != OK ||
        (a->replaced != 0 && (r = leaving_remove(v, w, a, &leaving, &edit)) != OK) ||
        (r = mailbox_edit_end(&edit)) != OK)
        return r;
    if (has_delivery_id(a) && (r = delivery_put(w, a->delivery.data, &d)) != OK)
        return r;
    if ((r = schema_put_account(w->t, w->keys, w->account, account)) != OK)
        return r;
    vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    *ret = d;
    return OK;
}

static int deliver_parcel(struct vault *v, struct store_write *w, const struct args *a, struct schema_account *account,
                          const struct parcel *p, struct delivery *ret, const char **ret_text)
{
    static struct schema_mailbox_name name;
    struct gate_verdict verdict;
    int r = gate_check(v->gate, w, account, a->kind, p, &verdict, ret_text);
    if (r != OK)
        return r;
    uint64_t flags = 0;
    bool added = false;
    r = schema_get_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name);
    if (r == OK)
        r = keywords_take(a, &name, true, &flags, &added);
    if (r != OK)
        return r;
    struct schema_message m = { .kind = a->kind, .render_version = p->render, .outer_len = (uint32_t)p->outer.len,
                                .received = w->now, .expiry_hour = a->expiry_hour, .keys_used = verdict.keys_used,
                                .nfprs = verdict.nfprs, .outer = p->outer,
                                .size = render_size(p->render, p->outer.len, p->packets.len) };
    memcpy(m.fprs, verdict.fprs, sizeof m.fprs);
    memcpy(m.thread, a->thread.data, sizeof m.thread);
    memcpy(m.own_id, a->own_id.data, sizeof m.own_id);
    r = deliver_write(v, w, a, account, p, &m, a->flags | flags, ret);
    if (r == OK && added)
        r = schema_put_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name);
    return r;
}

int run_deliver(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    const struct args *a = &q->a;
    struct schema_account account;
    struct delivery d;
    int r = schema_get_account(w->t, w->keys, w->account, &account);
    if (r != OK)
        return r;
    if (has_delivery_id(a)) {
        r = delivery_find(w, a->delivery.data, &d);
        if (r == OK) {
            v->count.duplicates++;
            delivered(body, 1, &d);
        }
        if (r != ERR_NOT_FOUND)
            return r;
    }
    /* Outer headers are checked against what the account wants now; one made before a change is made again. */
    if (a->policy != account.policy) {
        *ret_text = "the account's header policy has changed";
        return ERR_STATE;
    }
    struct parcel p;
    r = parcel_open(q->fd, v->message_max + PARCEL_SLACK, &p);
    if (r == OK) {
        r = deliver_parcel(v, w, a, &account, &p, &d, ret_text);
        parcel_close(&p);
    } else if (r == ERR_REFUSED) {
        *ret_text = "the parcel is not sealed, or not laid out as a parcel";
    }
    if (r == ERR_REFUSED)
        v->count.refused++;
    if (r != OK)
        return r;
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
    int r = mailbox_ranges_tidy(ranges, &n);
    if (r == OK)
        r = schema_get_mailbox(w->t, w->account, a->mailbox, &box);
    if (r == OK)
        r = mailbox_set_find(w, a->mailbox, ranges, n, &set);
    if (r == ERR_LIMIT)
        *ret_text = "too many messages in one request";
    return r;
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
    int r = set_take(w, a, ret_text);
    if (r == OK)
        r = mailbox_edit_begin(&edit, w, a->mailbox);
    if (r == OK && a->nkeywords > 0 && (r = schema_get_mailbox_name(w->t, w->keys, w->account, a->mailbox,
                                                                    &name)) == OK)
        r = keywords_take(a, &name, a->op != 2, &flags, &added);
    if (r != OK)
        return r;
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
        if ((r = mailbox_edit_flags(&edit, set.v[i].uid, &set.v[i].entry, new)) != OK)
            return r;
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
    if (added && (r = schema_put_mailbox_name(w->t, w->keys, w->account, a->mailbox, &name)) != OK)
        return r;
    r = mailbox_edit_end(&edit);
    if (r == OK)
        vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    return r;
}

/* ---- copy, move, expunge ---- */

int run_copy(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    static uint32_t uids[VAULT_SET_MAX];
    const struct args *a = &q->a;
    uint32_t validity;
    uint64_t modseq;
    int r = set_take(w, a, ret_text);
    if (r == OK)
        r = mailbox_copy(w, a->mailbox, a->to, a->op, &set, uids, &validity, &modseq);
    if (r != OK)
        return r;
    pack_u32(body, validity);
    pack_u64(body, modseq);
    pack_u32(body, set.n);
    for (uint32_t i = 0; i < set.n; i++) {
        pack_u32(body, set.v[i].uid);
        pack_u32(body, uids[i]);
    }
    if (set.n == 0)
        return OK;
    r = changed_now(v, w, a->to);
    return r == OK && a->op ? changed_now(v, w, a->mailbox) : r;
}

int run_expunge(struct vault *v, struct store_write *w, struct request *q, struct pack *body, const char **ret_text)
{
    const struct args *a = &q->a;
    struct mailbox_edit edit;
    int r = set_take(w, a, ret_text);
    if (r == OK)
        r = mailbox_edit_begin(&edit, w, a->mailbox);
    if (r != OK)
        return r;
    uint32_t n = 0;
    for (uint32_t i = 0; i < set.n; i++)
        if (!a->op || (set.v[i].entry.flags & FLAG_DELETED))
            set.v[n++] = set.v[i];
    for (uint32_t i = 0; i < n; i++)
        if ((r = mailbox_edit_remove(&edit, set.v[i].uid, &set.v[i].entry)) != OK ||
            (r = message_unref(w, set.v[i].entry.message)) != OK)
            return r;
    r = mailbox_edit_end(&edit);
    if (r != OK)
        return r;
    pack_u64(body, n > 0 ? edit.modseq : edit.box.highestmodseq);
    pack_u32(body, n);
    for (uint32_t i = 0; i < n; i++)
        pack_u32(body, set.v[i].uid);
    if (n > 0)
        vault_changed(v, w->account, a->mailbox, edit.modseq, edit.box.exists);
    return OK;
}
