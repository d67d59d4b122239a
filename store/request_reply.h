/* The payloads of replies and notices (request.c), each as its fields in their order. */
#ifndef STORE_REQUEST_REPLY_H
#define STORE_REQUEST_REPLY_H

#include "store/request_fields.h"
#include "store/sending.h"

static inline void empty(struct codec *c, struct vault_reply *r)
{
    (void)c;
    (void)r;
}

static inline void delivered(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->delivered.duplicate);
    u32(c, &r->delivered.uidvalidity);
    u32(c, &r->delivered.uid);
    u64(c, &r->delivered.message);
    u64(c, &r->delivered.modseq);
}

static inline void uid(struct codec *c, void *row)
{
    u32(c, row);
}

static inline void flags_row(struct codec *c, void *row)
{
    struct vault_flags_row *f = row;
    u32(c, &f->uid);
    u64(c, &f->flags);
    u64(c, &f->modseq);
}

static inline void token(struct codec *c, struct vault_reply *r)
{
    raw(c, r->token, sizeof(r->token));
}

static inline void flags_stored(struct codec *c, struct vault_reply *r)
{
    static struct vault_flags_row changed[VAULT_SET_MAX];
    static uint32_t failed[VAULT_SET_MAX];
    u64(c, &r->flags.modseq);
    r->flags.changed =
        list(c, &r->flags.nchanged, r->flags.changed, changed, sizeof(changed[0]), VAULT_SET_MAX, flags_row);
    r->flags.failed = list(c, &r->flags.nfailed, r->flags.failed, failed, sizeof(failed[0]), VAULT_SET_MAX, uid);
}

static inline void copied_row(struct codec *c, void *row)
{
    struct vault_copied_row *m = row;
    u32(c, &m->from);
    u32(c, &m->to);
}

static inline void copied(struct codec *c, struct vault_reply *r)
{
    static struct vault_copied_row room[VAULT_SET_MAX];
    u32(c, &r->copied.uidvalidity);
    u64(c, &r->copied.modseq);
    r->copied.v = list(c, &r->copied.n, r->copied.v, room, sizeof(room[0]), VAULT_SET_MAX, copied_row);
}

static inline void undone(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->more);
}

static inline void queued(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->queued.duplicate);
    u8(c, &r->queued.verdict, SENDING_TAKEN, SENDING_DOMAIN);
}

static inline void unqueued(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->gone);
}

static inline void complained(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->duplicate);
}

static inline void expunged(struct codec *c, struct vault_reply *r)
{
    static uint32_t room[VAULT_SET_MAX];
    u64(c, &r->expunged.modseq);
    r->expunged.uids = list(c, &r->expunged.n, r->expunged.uids, room, sizeof(room[0]), VAULT_SET_MAX, uid);
}

static inline void made(struct codec *c, struct vault_reply *r)
{
    u32(c, &r->made.mailbox);
    u32(c, &r->made.uidvalidity);
}

static inline void account_made(struct codec *c, struct vault_reply *r)
{
    u64(c, &r->account);
}

static inline void password_made(struct codec *c, struct vault_reply *r)
{
    u32(c, &r->number);
}

static inline void backed_up(struct codec *c, struct vault_reply *r)
{
    u64(c, &r->bytes);
}

static inline void stat_row(struct codec *c, void *row)
{
    struct vault_stat *s = row;
    str(c, &s->name, VAULT_STAT_NAME_MAX);
    u64(c, &s->value);
}

static inline void stats(struct codec *c, struct vault_reply *r)
{
    static struct vault_stat room[VAULT_STATS_MAX];
    r->stats.v = list(c, &r->stats.n, r->stats.v, room, sizeof(room[0]), VAULT_STATS_MAX, stat_row);
}

static inline void change_row(struct codec *c, void *row)
{
    struct vault_change *x = row;
    u64(c, &x->account);
    u32(c, &x->mailbox);
    u64(c, &x->modseq);
    u32(c, &x->exists);
}

static inline void changes(struct codec *c, struct vault_reply *r)
{
    static struct vault_change room[VAULT_CHANGES_MAX];
    r->changes.v = list(c, &r->changes.n, r->changes.v, room, sizeof(room[0]), VAULT_CHANGES_MAX, change_row);
}

static inline void upgraded(struct codec *c, struct vault_reply *r)
{
    u32(c, &r->upgraded.done);
    u32(c, &r->upgraded.steps);
    u8_bool(c, &r->upgraded.more);
    str(c, &r->upgraded.what, VAULT_STEP_MAX);
}

static inline void room(struct codec *c, struct vault_reply *r)
{
    u8_bool(c, &r->full);
}

#endif
