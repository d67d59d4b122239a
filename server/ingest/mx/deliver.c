/* From a whole message to one reply: every recipient gets a seal of their own, one after another, the vault stores in
 * parallel, and 250 is said when all are synced (docs/design.md section 4). The delivery id lets a sender who was told
 * 451 try again without doubles. */
#include "server/ingest/mx/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/base/event.h"
#include "server/ingest/mx/received.h"

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
    {ERR_LIMIT, 554, "5.6.0", "Message is beyond what this server can keep", COUNT_FAILED},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA},
    {ERR_NO_KEY, 451, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY},
    {ERR_FULL, 452, "4.3.1", "No room to store the message now", COUNT_DEFERRED},
    {HOPS, 554, "5.4.6", "Too many hops: mail loop", COUNT_LOOP}, /* RFC 5321 section 6.3 */
    {OK, 451, "4.3.0", "The message could not be stored; try again later", COUNT_DEFERRED},
};

static void refuse_all(struct mx *m, int status)
{
    mx_reset(m);
    mx_refuse(m, refusals, status);
    mx_name(m);
}

static void answer(struct mx *m)
{
    enum outcome worst = OUTCOME_OK;
    int status = OK;
    char text[64];
    uint64_t len = m->msg.len ? m->msg.len : m->len;

    for (size_t i = 0; i < m->n; i++) {
        enum outcome o = outcome_of(m->rcpts[i].status);
        log_event_raw(named_mail, (slice_str(m->id_text), slice_str(m->rcpts[i].given)), m->rcpts[i].status);
        if (o > worst) {
            worst = o;
            status = m->rcpts[i].status;
        }
    }
    if (worst != OUTCOME_OK) {
        log_event(refused, status);
        refuse_all(m, status);
        return;
    }
    snprintf(text, sizeof(text), "Accepted as %s", m->id_text);
    for (size_t i = 0; i < m->n; i++)
        (void)told_add(&m->told, m->rcpts[i].account, m->rcpts[i].delivery);
    mx_reset(m);
    count(m->in, COUNT_ACCEPTED);
    m->in->counters[COUNT_BYTES] += len;
    smtp_accept(m->smtp, text);
    smtp_session_ask_heard(m->session);
    mx_name(m);
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
