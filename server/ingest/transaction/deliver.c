/* From a whole message to one reply: every recipient gets a seal of their own, one after another, the vault stores in
 * parallel, and 250 is said when all are synced (docs/design.md section 4). The delivery id lets a sender who was told
 * 451 try again without doubles. */
#include "server/ingest/transaction/deliver.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/transaction/report.h"
#include "server/ingest/transaction/sender.h"

enum {
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
    return status == ERR_LIMIT || status == TRANSACTION_HELD ? OUTCOME_PERMANENT : OUTCOME_TEMPORARY;
}

static const struct transaction_refusal refusals[] = {
    {ERR_LIMIT, 554, "5.6.0", "Message is beyond what this server can keep", COUNT_FAILED, EVENT_REASON_UNKEEPABLE},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA, EVENT_REASON_MAILBOX_FULL},
    {ERR_NO_KEY, 451, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY, EVENT_REASON_NO_KEY},
    {ERR_UNAPPROVED, 451, "4.7.5", "The recipient's keys are not approved", COUNT_DEFERRED, EVENT_REASON_UNAPPROVED},
    {ERR_FULL, 452, "4.3.1", "No room to store the message now", COUNT_DEFERRED, EVENT_REASON_NO_ROOM},
    {TRANSACTION_HOPS, 554, "5.4.6", "Too many hops: mail loop", COUNT_LOOP,
     EVENT_REASON_LOOP}, /* RFC 5321 section 6.3 */
    /* Until a person has acted it will not succeed: RFC 5321 section 4.2.1. */
    {TRANSACTION_HELD, 550, "5.7.1", TRANSACTION_HELD_TEXT, COUNT_HELD, EVENT_REASON_HELD},
    {TRANSACTION_DOMAIN_LIMIT, 451, "4.7.1", "Your domain has sent what it may in a day; try again in some hours",
     COUNT_HELD, EVENT_REASON_HELD},
    {OK, 451, "4.3.0", "The message could not be stored; try again later", COUNT_DEFERRED, EVENT_REASON_DEFERRED},
};

/* The whole message has its answer: the log says so, and the next transaction has another id. */
static void end(struct transaction *t, bool accepted)
{
    transaction_report_end(t, accepted);
    transaction_reset(t);
    transaction_name(t);
}

void transaction_refuse_all(struct transaction *t, const struct transaction_refusal *table, int err)
{
    const enum event_REASON why = transaction_refuse(t, table ? table : refusals, err)->why;

    for (size_t i = 0; i < t->n; i++)
        t->rcpts[i].why = why;
    end(t, false);
}

void transaction_accept_all(struct transaction *t)
{
    char text[64];

    for (size_t i = 0; i < t->n; i++)
        if (!t->rcpts[i].queued && !t->rcpts[i].away)
            (void)told_add(&t->told, t->rcpts[i].account, t->rcpts[i].delivery);
    count(t->in, COUNT_ACCEPTED);
    t->in->counters[COUNT_BYTES] += t->msg.len ? t->msg.len : t->len;
    snprintf(text, sizeof(text), "Accepted as %s", t->id_text);
    smtp_accept(t->smtp, text);
    smtp_session_ask_heard(t->session);
    end(t, true);
}

/* There is one reply to all recipients: the worst. The log says of each what became of it. */
static void answer(struct transaction *t)
{
    enum outcome worst = OUTCOME_OK;
    int status = OK;

    for (size_t i = 0; i < t->n; i++) {
        struct transaction_rcpt *r = &t->rcpts[i];
        enum outcome o = outcome_of(r->status);
        r->why = o == OUTCOME_OK ? (t->junk ? EVENT_REASON_JUNK : EVENT_REASON_ACCEPTED)
                                 : transaction_refusal_of(refusals, r->status)->why;
        if (o > worst) {
            worst = o;
            status = r->status;
        }
    }
    if (worst == OUTCOME_OK) {
        transaction_accept_all(t);
        return;
    }
    transaction_refuse(t, refusals, status);
    end(t, false);
}

/* ---- a recipient's deposit ---- */

void transaction_go_on(struct transaction *t)
{
    defer_set(t->in->loop, &t->step, step, t);
}

/* The vault stores this recipient's parcel while the next recipient's is sealed. */
static void sealed(void *arg, const struct seal_result *sr)
{
    struct transaction_rcpt *r = arg;
    struct transaction *t = r->t;

    r->state = TRANSACTION_RCPT_STORING;
    t->storing++;
    count(t->in, COUNT_SEALED);
    if (sr->kind == MESSAGE_FOREIGN)
        count(t->in, COUNT_FOREIGN);
    if (sr->kind == MESSAGE_FOREIGN && sr->wildcard)
        count(t->in, COUNT_WILDCARD);
    idle_touch(t->in->loop, &t->stall);
    if (!t->stepping)
        transaction_go_on(t);
}

static void rcpt_end(struct transaction_rcpt *r, int status)
{
    if (r->state == TRANSACTION_RCPT_STORING)
        r->t->storing--;
    r->state = TRANSACTION_RCPT_DONE;
    r->status = status;
    r->deposit = NULL;
}

static void deposited(void *arg, int status, const struct deposit_result *dr)
{
    struct transaction_rcpt *r = arg;

    rcpt_end(r, status);
    idle_touch(r->t->in->loop, &r->t->stall);
    transaction_go_on(r->t);
}

static const struct deposit_hooks deposit_hooks = {.sealed = sealed, .done = deposited};

static const struct transaction_mail *mail_of(const struct transaction_rcpt *r)
{
    return r->mail ? r->mail : &r->t->mail;
}

static void seal_one(struct transaction *t, struct transaction_rcpt *r)
{
    const struct transaction_mail *mail = mail_of(r);
    const char *sender = smtp_envelope(t->smtp)->sender;
    struct record_part parts[] = {
        {sender, strlen(sender)},
        {r->address, strlen(r->address)},
        {t->content, sizeof(t->content)},
    };
    struct deposit_request q = {
        .seal =
            {
                .account = r->account,
                .primary = r->primary,
                .mail = mail->pieces,
                .mail_n = mail->n,
                .mail_len = mail->len,
                .peer = smtp_session_peer(t->session),
                .return_path = sender,
                .received = t->received,
                .auth_results = t->auth_results ? t->auth_results : "",
                .warnings = t->warnings,
                .tls = t->tls,
                .now = t->now,
                .date = (int64_t)t->now,
            },
        .store = {.type = VAULT_DELIVER,
                  .mailbox = t->junk ? MAILBOX_JUNK : MAILBOX_INBOX,
                  .deliver.internaldate = t->now},
    };
    int err = transaction_put_sender(t, r, &q);

    record_hash(view_keys(t->in->view), RECORD_DELIVERY, r->account, parts, 3, r->delivery);
    memcpy(q.store.deliver.delivery, r->delivery, sizeof(r->delivery));
    r->state = TRANSACTION_RCPT_SEALING;
    if (err == OK)
        err = deposit_start(&t->in->depositor, &q, &deposit_hooks, r, &r->deposit);
    if (err != OK)
        rcpt_end(r, err);
}

/* Seals for one recipient after another, until it must wait. true: the last seal is done. */
static bool seal_some(struct transaction *t)
{
    uint64_t octets = 0;

    while (t->next < t->n) {
        struct transaction_rcpt *r = &t->rcpts[t->next];
        if (r->state == TRANSACTION_RCPT_SEALING)
            return false;
        if (r->state != TRANSACTION_RCPT_WAITS) {
            t->next++;
            continue;
        }
        if (t->storing >= STORING_MAX || (t->storing > 0 && (t->storing + 1) * mail_of(r)->len > STORING_BYTES_MAX))
            return false;
        seal_one(t, r);
        octets += mail_of(r)->len;
        if (octets > LONG_SEAL && t->next + 1 < t->n) {
            transaction_go_on(t);
            return false;
        }
    }
    return true;
}

/* Whether there is an answer. */
static bool finished(struct transaction *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->rcpts[i].status != OK)
            return true;
    if (t->also && !t->also->finish(t))
        return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->rcpts[i].status != OK)
            return true;
    return !t->kind->finish || t->kind->finish(t);
}

static bool advance(struct transaction *t)
{
    bool all;

    t->stepping = true;
    all = seal_some(t);
    t->stepping = false;
    if (!all)
        return false;
    if (t->msg.len && !t->keeps && !(t->also && t->also->keeps(t))) {
        t->len = t->msg.len;
        transaction_wipe_content(t); /* nothing readable stays while the vault stores */
    }
    if (t->storing > 0 || !finished(t))
        return false;
    answer(t);
    return true;
}

static void step(void *arg)
{
    struct transaction *t = arg;

    if (t->delivering && advance(t))
        smtp_session_resume(t->session);
}

/* A delivery given up here may be stored all the same. The sender's next try has the same delivery id, so it makes no
 * double. */
static void stalled(struct idle *i)
{
    struct transaction *t = (struct transaction *)((char *)i - offsetof(struct transaction, stall));

    transaction_cancel(t);
    answer(t);
    smtp_session_resume(t->session);
}

/* ---- the beginning ---- */

void transaction_deliver(struct transaction *t)
{
    told_seen_flush(&t->in->seen); /* this may be the same mail once more */
    snprintf(t->tls, sizeof(t->tls), "%s", smtp_session_tls(t->session));
    t->delivering = true;
    t->len = 0;
    t->next = 0;
    transaction_look_at_sender(t);
    idle_set(t->in->loop, &t->stall, t->in->stall_ms, stalled);
    advance(t);
}
