/* What a transaction holds, and how it is given back. See transaction.h. */
#include "server/ingest/transaction/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "store/blob.h"

enum { RCPTS_KEPT = 16 };

struct transaction_rcpt *transaction_add_rcpt(struct transaction *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 2;
        struct transaction_rcpt *more = calloc(cap, sizeof(*more));
        if (!more)
            return NULL;
        if (t->n) {
            memcpy(more, t->rcpts, t->n * sizeof(*more));
            explicit_bzero(t->rcpts, t->n * sizeof(*more));
        }
        free(t->rcpts);
        t->rcpts = more;
        t->cap = cap;
    }
    memset(&t->rcpts[t->n], 0, sizeof(t->rcpts[0]));
    return &t->rcpts[t->n];
}

int transaction_charge(struct transaction *t, uint64_t octets)
{
    int err = budget_take(smtp_session_place(t->session), octets);

    if (err == OK)
        t->charged += octets;
    return err;
}

void transaction_give(struct transaction *t, uint64_t left)
{
    if (t->charged <= left)
        return;
    budget_give(smtp_session_place(t->session), t->charged - left);
    t->charged = left;
}

const struct transaction_refusal *transaction_refusal_of(const struct transaction_refusal *table, int err)
{
    while (table->err != err && table->err != OK)
        table++;
    return table;
}

const struct transaction_refusal *transaction_refuse(struct transaction *t, const struct transaction_refusal *table,
                                                     int err)
{
    const struct transaction_refusal *r = transaction_refusal_of(table, err);

    count(t->in, r->counter);
    smtp_refuse(t->smtp, r->code, r->enhanced, r->text);
    return r;
}

int transaction_behead(struct transaction *t, struct slice head, size_t octets)
{
    struct iovec *pieces;
    size_t n;
    int err = secmem_msg_pieces(&t->msg, head, octets, &pieces, &n);

    if (err != OK)
        return err;
    free(t->mail.pieces);
    t->mail = (struct transaction_mail){pieces, n, t->msg.len - octets + head.len};
    return OK;
}

int transaction_take_content(struct transaction *t)
{
    int err = transaction_behead(t, (struct slice){0}, 0);

    if (err == OK)
        err = content_hash(t->in->content, t->mail.pieces, t->mail.n, t->content);
    t->now = (uint64_t)time(NULL);
    return err;
}

size_t transaction_mail_top(const struct transaction_mail *m, uint8_t *out, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < m->n && len < cap; i++) {
        size_t take = m->pieces[i].iov_len < cap - len ? m->pieces[i].iov_len : cap - len;
        memcpy(out + len, m->pieces[i].iov_base, take);
        len += take;
    }
    return len;
}

void transaction_name_as(struct transaction *t, uint64_t id)
{
    t->id = id % BLOB_ID_MAX; /* the queue may keep the message by it */
    if (!t->id)
        t->id = 1;
    snprintf(t->id_text, sizeof(t->id_text), "%016llx", (unsigned long long)t->id);
}

void transaction_name(struct transaction *t)
{
    uint64_t id;

    nonces_take(&t->in->nonces, &id, sizeof(id));
    transaction_name_as(t, id);
}

void transaction_cancel(struct transaction *t)
{
    defer_cancel(t->in->loop, &t->step);
    idle_cancel(&t->stall);
    if (!t->delivering)
        return;
    if (t->also)
        t->also->cancel(t);
    if (t->kind->cancel)
        t->kind->cancel(t);
    for (size_t i = 0; i < t->n; i++) {
        struct transaction_rcpt *r = &t->rcpts[i];
        if (r->state != TRANSACTION_RCPT_DONE)
            r->status = ERR_TIMEOUT;
        if (r->deposit)
            deposit_cancel(r->deposit);
        r->state = TRANSACTION_RCPT_DONE;
        r->deposit = NULL;
    }
    t->storing = 0;
}

void transaction_wipe_content(struct transaction *t)
{
    secmem_msg_release(&t->msg);
    free(t->mail.pieces);
    t->mail.pieces = NULL;
    t->mail.n = 0;
}

void transaction_forget_content(struct transaction *t)
{
    transaction_wipe_content(t);
    budget_give(smtp_session_place(t->session), t->charged);
    t->charged = 0;
}

void transaction_reset(struct transaction *t)
{
    transaction_cancel(t);
    transaction_forget_content(t);
    free(t->sender); /* wiped, as all that ingest frees */
    t->sender = NULL;
    if (t->also)
        t->also->reset(t);
    if (t->kind->reset)
        t->kind->reset(t);
    for (size_t i = 0; i < t->n; i++)
        transaction_quota_give(t->rcpts[i].reservation, t->rcpts[i].reserved);
    if (t->n)
        explicit_bzero(t->rcpts, t->n * sizeof(*t->rcpts));
    if (t->cap > RCPTS_KEPT) {
        free(t->rcpts);
        t->rcpts = NULL;
        t->cap = 0;
    }
    t->n = t->next = t->storing = 0;
    t->len = 0;
    t->mail.len = 0;
    t->delivering = t->keeps = t->junk = false;
    t->auth_results = t->warnings = NULL;
    t->verdict = NULL;
    t->broken = EVENT_REASON_ACCEPTED;
    t->reserved = NULL;
    explicit_bzero(t->received, sizeof(t->received));
    explicit_bzero(t->content, sizeof(t->content));
}
