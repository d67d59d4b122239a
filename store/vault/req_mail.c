/* Requests about messages: deliver and replace, flags, copy and move, expunge. */
#include <string.h>

#include "server/core/error.h"
#include "store/contact_impl.h"
#include "store/content.h"
#include "store/message.h"
#include "store/vault/vault.h"

static struct mailbox_set set;

/* The notice of a mailbox as the group has it now. */
static int changed_now(struct vault *v, struct store_write *w, uint32_t mailbox)
{
    struct schema_mailbox box;
    int err = schema_get_mailbox(w->t, w->keys, w->account, mailbox, &box);
    if (err == OK)
        vault_changed(v, w->account, mailbox, box.highestmodseq, box.exists);
    return err;
}

/* Keywords as numbers. add: those that the account does not know become known. What finds no number is left out: mail
 * and \\Seen go before. */
static int keywords_take(struct store_write *w, const struct vault_keywords *k, bool add, struct schema_keyset *ret)
{
    for (uint32_t i = 0; i < k->n; i++) {
        char keyword[KEYWORD_LEN_MAX + 1] = "";
        unsigned number;
        memcpy(keyword, k->v[i].data, k->v[i].len);
        int err = keyword_find(w, keyword, add, &number);
        if (err == OK)
            ret->w[number / 64] |= UINT64_C(1) << number % 64;
        else if (err != ERR_NOT_FOUND && err != ERR_LIMIT)
            return err;
    }
    return OK;
}

/* ---- deliver, replace ---- */

static void delivered(struct vault_reply *r, bool duplicate, const struct schema_delivery *d)
{
    r->delivered.duplicate = duplicate;
    r->delivered.uidvalidity = d->uidvalidity;
    r->delivered.uid = d->uid;
    r->delivered.message = d->message;
    r->delivered.modseq = d->modseq;
}

/* The message that is to go. */
struct leaving {
    struct mailbox_edit edit;
    struct schema_entry entry;
    uint64_t frees;
};

static int leaving_find(struct store_write *w, const struct vault_request *a, struct leaving *ret)
{
    int err = mailbox_edit_begin(&ret->edit, w, a->deliver.replaced.mailbox);
    if (err == OK)
        err = schema_get_entry(w->t, w->keys, w->account, a->deliver.replaced.mailbox, a->deliver.replaced.uid,
                               &ret->entry);
    return err == OK ? message_frees(w, ret->entry.message, &ret->frees) : err;
}

/* to: the edit of the new message's mailbox. RFC 8508 section 3.4: either both happen or neither. */
static int leaving_remove(struct vault *v, struct store_write *w, const struct vault_request *a, struct leaving *l,
                          struct mailbox_edit *to)
{
    struct mailbox_edit *e = a->deliver.replaced.mailbox == a->mailbox ? to : &l->edit; /* one mailbox, one edit */
    int err = message_unref(w, l->entry.message);
    if (err == OK)
        err = mailbox_edit_remove(e, a->deliver.replaced.uid, &l->entry);
    if (err != OK || e == to)
        return err;
    err = mailbox_edit_end(e);
    if (err == OK)
        vault_changed(v, w->account, a->deliver.replaced.mailbox, e->modseq, e->box.exists);
    return err;
}

/* RFC 8508 section 3.4: of a replacement only what it adds counts, so one that is no larger always has room; over the
 * quota it leaves no delivery id behind: asked again, it finds what it was to replace gone. */
static int room_find(struct store_write *w, const struct vault_request *a, const struct schema_account *account,
                     const struct schema_message *m, uint64_t frees, bool *ret_id)
{
    uint64_t more = usage_of_message(m);
    bool id = vault_deliver_has_id(&a->deliver);
    if (a->type == VAULT_KEY_ADD) { /* the word of a key: whoever fills a mailbox must not keep its keys as they are */
        *ret_id = false;
        return OK;
    }
    if (a->deliver.replaced.uid == 0) {
        *ret_id = id;
        return usage_room(w, account, more + CHARGE_ENTRY + (id ? CHARGE_DELIVERY : 0), 1);
    }
    more = more > frees ? more - frees : 0;
    *ret_id = id && usage_room(w, account, more + CHARGE_DELIVERY, 0) == OK;
    return usage_room(w, account, more, 0);
}

/* Whoever delivers sees no names of mailboxes. */
static int find_junk(struct store_write *w, uint32_t *ret)
{
    int err = mailbox_find_use(w, USE_JUNK, ret);
    if (err == ERR_NOT_FOUND)
        *ret = MAILBOX_INBOX;
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ret->time is the delivery id's, before. */
static int deliver_write(struct vault *v, struct store_write *w, const struct vault_request *a,
                         struct schema_account *account, const struct parcel *p, struct schema_message *m,
                         const struct schema_keyset *keywords, struct schema_delivery *ret)
{
    static struct leaving leaving;
    struct mailbox_edit edit;
    bool has_id;
    leaving.frees = 0;
    uint32_t mailbox = a->mailbox;
    int err = a->type == VAULT_DELIVER && mailbox == MAILBOX_JUNK ? find_junk(w, &mailbox) : OK;
    if (err == OK)
        err = mailbox_edit_begin(&edit, w, mailbox);
    if (err == OK && edit.box.uidnext == UINT32_MAX)
        err = ERR_LIMIT;
    if (err == OK && a->deliver.replaced.uid != 0)
        err = leaving_find(w, a, &leaving);
    if (err == OK)
        err = room_find(w, a, account, m, leaving.frees, &has_id);
    if (err == OK)
        err = message_create(w, m, p->packets, p->capsule);
    if (err != OK)
        return err;
    struct schema_facts facts = schema_message_facts(m);
    struct schema_entry entry = {.message = m->id, .flags = a->deliver.flags, .keywords = *keywords};
    struct schema_delivery d = {.time = ret->time,
                                .message = m->id,
                                .mailbox = mailbox,
                                .uidvalidity = edit.box.uidvalidity,
                                .modseq = edit.modseq};
    if ((err = mailbox_edit_add(&edit, &entry, &facts, &d.uid)) != OK ||
        (a->deliver.replaced.uid != 0 && (err = leaving_remove(v, w, a, &leaving, &edit)) != OK) ||
        (err = mailbox_edit_end(&edit)) != OK)
        return err;
    if (has_id && (err = delivery_put(w, a->deliver.delivery, &d)) != OK)
        return err;
    if ((err = contact_note(w, a->deliver.contact)) != OK)
        return err;
    vault_changed(v, w->account, mailbox, edit.modseq, edit.box.exists);
    *ret = d;
    return OK;
}

static int deliver_parcel(struct vault *v, struct store_write *w, const struct vault_request *a,
                          struct schema_account *account, const struct parcel *p, struct schema_delivery *ret,
                          const char **ret_text)
{
    struct schema_keyset keywords = {0};
    struct gate_finding finding;
    int err = gate_check(v->gate, w, account, a->deliver.kind, p, &finding, ret_text);
    if (err != OK)
        return err;
    err = keywords_take(w, &a->deliver.keywords, true, &keywords);
    if (err != OK)
        return err;
    struct schema_message m = {.kind = a->deliver.kind,
                               .render_version = p->render,
                               .packets_len = p->packets.len,
                               .head_len = finding.head_len,
                               .capsule_len = (uint32_t)p->capsule.len,
                               .outer_len = (uint32_t)p->outer.len,
                               .internaldate = a->deliver.internaldate,
                               .received = w->now,
                               .expiry_hour = a->deliver.expiry_hour,
                               .keys_used = finding.keys_used,
                               .nfprs = finding.nfprs,
                               .outer = p->outer};
    content_draw(&m);
    memcpy(m.fprs, finding.fprs, sizeof(m.fprs));
    memcpy(m.thread, a->deliver.thread, sizeof(m.thread));
    memcpy(m.own_id, a->deliver.own_id, sizeof(m.own_id));
    m.nfeatures = (uint8_t)a->deliver.nfeatures;
    memcpy(m.features, a->deliver.features, sizeof(m.features));
    return deliver_write(v, w, a, account, p, &m, &keywords, ret);
}

/* ERR_NOT_FOUND: it is none that was tried before. A client that puts a message there again wants it there: if somebody
 * has taken the first one away since, this is not a retry, and ret->time is the first one's, with which the id expires.
 * A sender's mail is one all the same: its reader has seen it. */
static int delivered_before(struct store_write *w, const struct request *q, struct schema_delivery *ret)
{
    struct schema_entry e;
    struct schema_delivery d;
    int err = schema_get_delivery(w->t, w->keys, w->account, q->a.deliver.delivery, &d);
    if (err != OK)
        return err;
    ret->time = d.time;
    if (q->from->who == VAULT_MAY_ACCESS)
        err = schema_get_entry(w->t, w->keys, w->account, d.mailbox, d.uid, &e);
    if (err == OK)
        *ret = d;
    return err;
}

int run_deliver(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    const struct vault_request *a = &q->a;
    struct schema_account account;
    struct schema_delivery d = {.time = w->now};
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    if (vault_deliver_has_id(&a->deliver)) {
        err = delivered_before(w, q, &d);
        if (err == OK) {
            v->count.duplicates++;
            delivered(r, true, &d);
        }
        if (err != ERR_NOT_FOUND)
            return err;
    }
    /* Outer headers are checked against what the account wants now; one made before a change is made again. */
    if (a->deliver.policy != account.policy) {
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
    delivered(r, false, &d);
    return OK;
}

int deliver_notice(struct vault *v, struct store_write *w, const struct vault_key_told *told, const struct parcel *p,
                   const char **ret_text)
{
    struct vault_request a = {.type = VAULT_KEY_ADD,
                              .account = w->account,
                              .mailbox = MAILBOX_INBOX,
                              .deliver = {.kind = MESSAGE_SERVER_SEALED,
                                          .policy = told->policy,
                                          .internaldate = told->date}};
    struct schema_delivery d = {.time = w->now};
    struct schema_account account;
    memcpy(a.deliver.thread, told->thread, sizeof(a.deliver.thread));
    memcpy(a.deliver.own_id, told->own_id, sizeof(a.deliver.own_id));
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err == OK && told->policy != account.policy) {
        *ret_text = "the account's header policy has changed: try again";
        err = ERR_CONFLICT;
    }
    if (err == OK)
        err = deliver_parcel(v, w, &a, &account, p, &d, ret_text);
    v->count.delivered += err == OK;
    return err;
}

/* One that is being removed has none of them any more. */
int run_delivered_seen(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                       const char **ret_text)
{
    const struct vault_seen *a = &q->a.seen;
    for (uint32_t i = 0; i < a->n; i++) {
        int err = w->account == a->v[i].account ? OK : usage_end(w); /* each account has its own */
        w->account = a->v[i].account;
        if (err == OK)
            err = delivery_forget(w, a->v[i].delivery);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        v->count.seen += err == OK;
    }
    return OK;
}

/* ---- sets ---- */

static int set_take(struct store_write *w, uint32_t mailbox, const struct vault_set *s, const char **ret_text)
{
    static struct uid_range ranges[VAULT_RANGES_MAX];
    struct schema_mailbox box;
    size_t n = s->n;
    memcpy(ranges, s->v, n * sizeof(ranges[0]));
    int err = mailbox_ranges_tidy(ranges, &n);
    if (err == OK)
        err = schema_get_mailbox(w->t, w->keys, w->account, mailbox, &box);
    if (err == OK)
        err = mailbox_set_find(w, mailbox, ranges, n, &set);
    if (err == ERR_LIMIT)
        *ret_text = "too many messages in one request";
    return err;
}

/* ---- flags ---- */

static uint64_t flags_apply(uint8_t op, uint64_t old, uint64_t flags)
{
    return op == VAULT_FLAGS_SET ? flags : op == VAULT_FLAGS_ADD ? old | flags : old & ~flags;
}

static struct schema_keyset keywords_apply(uint8_t op, const struct schema_keyset *old,
                                           const struct schema_keyset *named)
{
    struct schema_keyset new;
    for (unsigned i = 0; i < KEYWORD_WORDS; i++)
        new.w[i] = flags_apply(op, old->w[i], named->w[i]);
    return new;
}

/* Each of the set to the edit; what is changed and what is not, to the reply. */
static int flags_write(struct mailbox_edit *edit, const struct vault_flags *a, const struct schema_keyset *keywords,
                       struct vault_reply *r)
{
    static struct vault_flags_row changed[VAULT_SET_MAX];
    static uint32_t failed[VAULT_SET_MAX];
    r->flags.changed = changed;
    r->flags.failed = failed;
    for (uint32_t i = 0; i < set.n; i++) {
        struct schema_entry *e = &set.v[i].entry;
        uint64_t new = flags_apply(a->op, e->flags, a->flags);
        struct schema_keyset named = keywords_apply(a->op, &e->keywords, keywords);
        if (a->unchangedsince != VAULT_UNCHANGEDSINCE_NONE && e->modseq > a->unchangedsince) {
            failed[r->flags.nfailed++] = set.v[i].uid; /* RFC 7162 section 3.1.3: UNCHANGEDSINCE */
            continue;
        }
        if (new == e->flags && memcmp(&named, &e->keywords, sizeof(named)) == 0)
            continue;
        int err = mailbox_edit_flags(edit, set.v[i].uid, e, new, &named);
        if (err != OK)
            return err;
        changed[r->flags.nchanged++] = (struct vault_flags_row){set.v[i].uid, new, edit->modseq};
    }
    r->flags.modseq = r->flags.nchanged > 0 ? edit->modseq : edit->box.highestmodseq;
    return OK;
}

int run_store_flags(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                    const char **ret_text)
{
    const struct vault_flags *a = &q->a.flags;
    uint32_t mailbox = q->a.mailbox;
    struct mailbox_edit edit;
    struct schema_keyset keywords = {0};
    int err = set_take(w, mailbox, &a->set, ret_text);
    if (err == OK)
        err = mailbox_edit_begin(&edit, w, mailbox);
    if (err == OK)
        err = keywords_take(w, &a->keywords, a->op != VAULT_FLAGS_REMOVE, &keywords);
    if (err == OK)
        err = flags_write(&edit, a, &keywords, r);
    if (err != OK || r->flags.nchanged == 0)
        return err;
    err = mailbox_edit_end(&edit);
    if (err == OK)
        vault_changed(v, w->account, mailbox, edit.modseq, edit.box.exists);
    return err;
}

/* ---- copy, move, expunge ---- */

/* What a piece has put there, first and last. */
static int piece_note(struct store_write *w, const struct vault_copy *a, const uint32_t *uids, uint32_t n)
{
    if (a->piece == VAULT_PIECE_LAST)
        return mailbox_copy_forget(w, a->number);
    if (a->piece == VAULT_PIECE_WHOLE || n == 0)
        return OK;
    return mailbox_copy_note(w, a->number, a->to, uids[0], uids[n - 1]);
}

int run_copy(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    static uint32_t uids[VAULT_SET_MAX];
    static struct vault_copied_row rows[VAULT_SET_MAX];
    const struct vault_copy *a = &q->a.copy;
    int err = vault_copy_check(v, q);
    if (err == OK)
        err = set_take(w, q->a.mailbox, &a->set, ret_text);
    if (err == OK && set.n < a->least)
        err = ERR_CONFLICT;
    if (err == OK)
        err = mailbox_copy(w, q->a.mailbox, a->to, a->move, &set, uids, &r->copied.uidvalidity, &r->copied.modseq);
    if (err == OK)
        err = piece_note(w, a, uids, set.n);
    if (err != OK)
        return err;
    r->copied.n = set.n;
    r->copied.v = rows;
    for (uint32_t i = 0; i < set.n; i++)
        rows[i] = (struct vault_copied_row){set.v[i].uid, uids[i]};
    if (set.n == 0)
        return OK;
    err = changed_now(v, w, a->to);
    return err == OK && a->move ? changed_now(v, w, q->a.mailbox) : err;
}

int run_copy_undo(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                  const char **ret_text)
{
    uint32_t to;
    vault_copy_ended(v, q->from, q->a.account, q->a.copy.number);
    if (vault_copy_lives(v, NULL, q->a.account, q->a.copy.number))
        return ERR_DENIED; /* another client's */
    int err = mailbox_copy_undo(w, q->a.copy.number, &to);
    r->more = err == OK;
    if (err == OK)
        v->hot_account = w->account; /* what is left goes also if nobody asks again */
    if (err != OK || to == 0)
        return err == ERR_NOT_FOUND ? OK : err;
    return changed_now(v, w, to);
}

int run_expunge(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    static uint32_t uids[VAULT_SET_MAX];
    const struct vault_expunge *a = &q->a.expunge;
    struct mailbox_edit edit;
    uint32_t n = 0;
    int err = set_take(w, q->a.mailbox, &a->set, ret_text);
    if (err == OK)
        err = mailbox_edit_begin(&edit, w, q->a.mailbox);
    for (uint32_t i = 0; err == OK && i < set.n; i++) {
        if (a->only_deleted && !(set.v[i].entry.flags & FLAG_DELETED))
            continue;
        uids[n++] = set.v[i].uid;
        err = message_unref(w, set.v[i].entry.message);
        if (err == OK)
            err = mailbox_edit_remove(&edit, set.v[i].uid, &set.v[i].entry);
    }
    if (err == OK)
        err = mailbox_edit_end(&edit);
    if (err != OK)
        return err;
    r->expunged.modseq = n > 0 ? edit.modseq : edit.box.highestmodseq;
    r->expunged.n = n;
    r->expunged.uids = uids;
    if (n > 0)
        vault_changed(v, w->account, q->a.mailbox, edit.modseq, edit.box.exists);
    return OK;
}
