/* What a transaction holds, and how it is given back. See transaction.h. */
#include "server/ingest/mx/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { RCPTS_KEPT = 16 };

struct mx_rcpt *mx_add_rcpt(struct mx *m)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 2;
        struct mx_rcpt *more = calloc(cap, sizeof(*more));
        if (!more)
            return NULL;
        if (m->n) {
            memcpy(more, m->rcpts, m->n * sizeof(*more));
            explicit_bzero(m->rcpts, m->n * sizeof(*more));
        }
        free(m->rcpts);
        m->rcpts = more;
        m->cap = cap;
    }
    memset(&m->rcpts[m->n], 0, sizeof(m->rcpts[0]));
    return &m->rcpts[m->n];
}

int mx_charge(struct mx *m, uint64_t octets)
{
    int err = budget_take(smtp_session_place(m->session), octets);

    if (err == OK)
        m->charged += octets;
    return err;
}

const struct mx_refusal *mx_refusal_of(const struct mx_refusal *table, int err)
{
    while (table->err != err && table->err != OK)
        table++;
    return table;
}

const struct mx_refusal *mx_refuse(struct mx *m, const struct mx_refusal *table, int err)
{
    const struct mx_refusal *r = mx_refusal_of(table, err);

    count(m->in, r->counter);
    smtp_refuse(m->smtp, r->code, r->enhanced, r->text);
    return r;
}

void mx_name(struct mx *m)
{
    uint64_t id;

    nonces_take(&m->in->nonces, &id, sizeof(id));
    snprintf(m->id_text, sizeof(m->id_text), "%016llx", (unsigned long long)id);
}

void mx_cancel(struct mx *m)
{
    defer_cancel(m->in->loop, &m->step);
    idle_cancel(&m->stall);
    if (!m->delivering)
        return;
    for (size_t i = 0; i < m->n; i++) {
        struct mx_rcpt *r = &m->rcpts[i];
        if (r->state != MX_RCPT_DONE)
            r->status = ERR_TIMEOUT;
        if (r->deposit)
            deposit_cancel(r->deposit);
        r->state = MX_RCPT_DONE;
        r->deposit = NULL;
    }
    m->storing = 0;
}

void mx_wipe_content(struct mx *m)
{
    secmem_msg_release(&m->msg);
    free(m->pieces);
    m->pieces = NULL;
    m->npieces = 0;
}

void mx_forget_content(struct mx *m)
{
    mx_wipe_content(m);
    budget_give(smtp_session_place(m->session), m->charged);
    m->charged = 0;
}

void mx_reset(struct mx *m)
{
    mx_cancel(m);
    mx_forget_content(m);
    for (size_t i = 0; i < m->n; i++)
        mx_quota_give(m->rcpts[i].reservation, m->rcpts[i].reserved);
    if (m->n)
        explicit_bzero(m->rcpts, m->n * sizeof(*m->rcpts));
    if (m->cap > RCPTS_KEPT) {
        free(m->rcpts);
        m->rcpts = NULL;
        m->cap = 0;
    }
    m->n = m->next = m->storing = 0;
    m->len = 0;
    m->delivering = false;
    m->broken = EVENT_REASON_ACCEPTED;
    explicit_bzero(m->received, sizeof(m->received));
    explicit_bzero(m->content, sizeof(m->content));
}
