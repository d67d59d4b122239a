/* From a whole message to one reply: every recipient gets a seal of their own, one after another, the vault stores in
 * parallel, and 250 is said when all are synced (docs/design.md section 4). The delivery id lets a sender who was told
 * 451 try again without doubles. */
#include "server/ingest/mx/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/ingest/mx/received.h"
#include "server/ingest/mx/report.h"

enum {
    HOPS_MAX = 100,                      /* Received fields; RFC 5321 section 6.3 asks for 100 at least */
    STORING_BYTES_MAX = 8 * 1024 * 1024, /* parcels of one transaction that wait for the vault */
    STORING_MAX = 16,                    /* and how many: all sessions share VAULT_CLIENT_PENDING_MAX */
    LONG_SEAL = 512 * 1024,              /* after so many octets the other sessions get their turn */
};

static void step(void *arg);

/* ---- the reply ---- */

enum outcome { OUTCOME_OK, OUTCOME_PERMANENT, OUTCOME_TEMPORARY };

static enum outcome outcome_of(int status)
{
    if (status == OK)
        return OUTCOME_OK;
    return status == ERR_LIMIT ? OUTCOME_PERMANENT : OUTCOME_TEMPORARY;
}

enum { HOPS = 1 /* no error of a function: the message has been through too many servers */ };
static const struct mx_refusal refusals[] = {
    {ERR_LIMIT, 554, "5.6.0", "Message is beyond what this server can keep", COUNT_FAILED, EVENT_REASON_UNKEEPABLE},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA, EVENT_REASON_MAILBOX_FULL},
    {ERR_NO_KEY, 451, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {ERR_UNAPPROVED, 451, "4.7.5", "The recipient's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {ERR_FULL, 452, "4.3.1", "No room to store the message now", COUNT_DEFERRED, EVENT_REASON_NO_ROOM},
    {HOPS, 554, "5.4.6", "Too many hops: mail loop", COUNT_LOOP, EVENT_REASON_LOOP}, /* RFC 5321 section 6.3 */
    {OK, 451, "4.3.0", "The message could not be stored; try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

/* The whole message has its answer: the log says so, and the next transaction has another id. */
static void end(struct mx *m, bool accepted)
{
    mx_report_end(m, accepted);
    mx_reset(m);
    mx_name(m);
}

static void refuse_all(struct mx *m, int status)
{
    const enum event_REASON why = mx_refuse(m, refusals, status)->why;

    for (size_t i = 0; i < m->n; i++)
        m->rcpts[i].why = why;
    end(m, false);
}

static void accept_all(struct mx *m)
{
    char text[64];

    for (size_t i = 0; i < m->n; i++)
        (void)told_add(&m->told, m->rcpts[i].account, m->rcpts[i].delivery);
    count(m->in, COUNT_ACCEPTED);
    m->in->counters[COUNT_BYTES] += m->msg.len ? m->msg.len : m->len;
    snprintf(text, sizeof(text), "Accepted as %s", m->id_text);
    smtp_accept(m->smtp, text);
    smtp_session_ask_heard(m->session);
    end(m, true);
}

/* There is one reply to all recipients: the worst. The log says of each what became of it. */
static void answer(struct mx *m)
{
    enum outcome worst = OUTCOME_OK;
    int status = OK;

    for (size_t i = 0; i < m->n; i++) {
        struct mx_rcpt *r = &m->rcpts[i];
        enum outcome o = outcome_of(r->status);
        r->why = o == OUTCOME_OK ? EVENT_REASON_ACCEPTED : mx_refusal_of(refusals, r->status)->why;
        if (o > worst) {
            worst = o;
            status = r->status;
        }
    }
    if (worst == OUTCOME_OK) {
        accept_all(m);
        return;
    }
    mx_refuse(m, refusals, status);
    end(m, false);
}

/* ---- a recipient's deposit ---- */

static void go_on(struct mx *m)
{
    defer_set(m->in->loop, &m->step, step, m);
}

/* The vault stores this recipient's parcel while the next recipient's is sealed. */
static void sealed(void *arg, const struct seal_result *sr)
{
    struct mx_rcpt *r = arg;
    struct mx *m = r->mx;

    r->state = MX_RCPT_STORING;
    m->storing++;
    count(m->in, COUNT_SEALED);
    if (sr->kind == MESSAGE_FOREIGN)
        count(m->in, COUNT_FOREIGN);
    if (sr->kind == MESSAGE_FOREIGN && sr->wildcard)
        count(m->in, COUNT_WILDCARD);
    idle_touch(m->in->loop, &m->stall);
    if (!m->stepping)
        go_on(m);
}

static void rcpt_end(struct mx_rcpt *r, int status)
{
    if (r->state == MX_RCPT_STORING)
        r->mx->storing--;
    r->state = MX_RCPT_DONE;
    r->status = status;
    r->deposit = NULL;
}

static void deposited(void *arg, int status, const struct deposit_result *dr)
{
    struct mx_rcpt *r = arg;

    rcpt_end(r, status);
    idle_touch(r->mx->in->loop, &r->mx->stall);
    go_on(r->mx);
}

static const struct deposit_hooks deposit_hooks = {.sealed = sealed, .done = deposited};

static void seal_one(struct mx *m, struct mx_rcpt *r)
{
    const char *sender = smtp_envelope(m->smtp)->sender;
    struct record_part parts[] = {
        {sender, strlen(sender)},
        {r->address, strlen(r->address)},
        {m->content, sizeof(m->content)},
    };
    struct deposit_request q = {
        .seal =
            {
                .account = r->account,
                .primary = r->primary,
                .mail = m->pieces,
                .mail_n = m->npieces,
                .mail_len = m->msg.len,
                .peer = smtp_session_peer(m->session),
                .return_path = sender,
                .received = m->received,
                .auth_results = "",
                .tls = m->tls,
                .now = m->now,
                .date = (int64_t)m->now,
            },
        .store = {.type = VAULT_DELIVER, .mailbox = MAILBOX_INBOX, .deliver.internaldate = m->now},
    };
    int err;

    record_hash(view_keys(m->in->view), RECORD_DELIVERY, r->account, parts, 3, r->delivery);
    memcpy(q.store.deliver.delivery, r->delivery, sizeof(r->delivery));
    r->state = MX_RCPT_SEALING;
    err = deposit_start(&m->in->depositor, &q, &deposit_hooks, r, &r->deposit);
    if (err != OK)
        rcpt_end(r, err);
}

/* Seals for one recipient after another, until it must wait. true: the last seal is done. */
static bool seal_some(struct mx *m)
{
    uint64_t octets = 0;

    while (m->next < m->n) {
        struct mx_rcpt *r = &m->rcpts[m->next];
        if (r->state == MX_RCPT_SEALING)
            return false;
        if (r->state != MX_RCPT_WAITS) {
            m->next++;
            continue;
        }
        if (m->storing >= STORING_MAX || (m->storing > 0 && (m->storing + 1) * m->msg.len > STORING_BYTES_MAX))
            return false;
        seal_one(m, r);
        octets += m->msg.len;
        if (octets > LONG_SEAL && m->next + 1 < m->n) {
            go_on(m);
            return false;
        }
    }
    return true;
}

static bool advance(struct mx *m)
{
    bool all;

    m->stepping = true;
    all = seal_some(m);
    m->stepping = false;
    if (!all)
        return false;
    if (m->msg.len) {
        m->len = m->msg.len;
        mx_wipe_content(m); /* nothing readable stays while the vault stores */
    }
    if (m->storing > 0)
        return false;
    answer(m);
    return true;
}

static void step(void *arg)
{
    struct mx *m = arg;

    if (m->delivering && advance(m))
        smtp_session_resume(m->session);
}

/* A delivery given up here may be stored all the same. The sender's next try has the same delivery id, so it makes no
 * double. */
static void stalled(struct idle *i)
{
    struct mx *m = (struct mx *)((char *)i - offsetof(struct mx, stall));

    mx_cancel(m);
    answer(m);
    smtp_session_resume(m->session);
}

/* ---- the beginning ---- */

static int make_pieces(struct mx *m)
{
    size_t n = 0, i = 0;

    for (struct secmem_chunk *c = m->msg.first; c; c = c->next)
        n++;
    m->pieces = calloc(n ? n : 1, sizeof(*m->pieces));
    if (!m->pieces)
        return ERR_MEMORY;
    for (struct secmem_chunk *c = m->msg.first; c; c = c->next)
        m->pieces[i++] = (struct iovec){c->data, c->len};
    m->npieces = n;
    return OK;
}

void mx_deliver(struct mx *m)
{
    const struct smtp_envelope *env = smtp_envelope(m->smtp);
    int err;

    if (mx_received_count(&m->msg) > HOPS_MAX) {
        refuse_all(m, HOPS);
        return;
    }
    told_seen_flush(&m->in->seen); /* this may be the same mail once more */
    err = make_pieces(m);
    if (err == OK)
        err = content_hash(m->in->content, m->pieces, m->npieces, m->content);
    if (err != OK) {
        refuse_all(m, err);
        return;
    }
    snprintf(m->tls, sizeof(m->tls), "%s", smtp_session_tls(m->session));
    m->now = (uint64_t)time(NULL);
    mx_received_make(env, smtp_session_peer(m->session), m->in->config.domain, m->tls, m->id_text,
                     m->n == 1 ? m->rcpts[0].given : NULL, m->now, m->received);
    m->delivering = true;
    m->len = 0;
    m->next = 0;
    idle_set(m->in->loop, &m->stall, m->in->stall_ms, stalled);
    advance(m);
}
