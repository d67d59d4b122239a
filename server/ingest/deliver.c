/* From a whole message to one reply: every recipient gets a seal of their own, one after another, the vault stores in
 * parallel, and 250 is said when all are synced (design section 4). The delivery id lets a sender who was told 451 try
 * again without doubles. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/ingest/ingest.h"

enum {
    HOPS_MAX = 50,                       /* Received fields; RFC 5321 section 6.3 asks for 100 at most */
    STORING_BYTES_MAX = 8 * 1024 * 1024, /* parcels of one transaction that wait for the vault */
    STORING_MAX = 16,                    /* and how many: the way to the vault is shared (VAULT_CLIENT_PENDING_MAX) */
    LONG_SEAL = 512 * 1024,              /* after sealing this much others get their turn */
};

static void step(void *arg);

void deliver_cancel(struct session *s)
{
    struct transaction *t = &s->t;

    defer_cancel(s->in->loop, &t->step);
    idle_cancel(&t->stall);
    if (!t->delivering)
        return;
    for (size_t i = 0; i < t->n; i++) {
        struct rcpt *r = &t->rcpts[i];
        if (r->state != RCPT_DONE)
            r->status = ERR_TIMEOUT;
        if (r->deposit)
            deposit_cancel(r->deposit);
        r->state = RCPT_DONE;
        r->deposit = NULL;
    }
    t->storing = 0;
}

/* ---- the reply ---- */

enum outcome { OUTCOME_OK, OUTCOME_PERMANENT, OUTCOME_TEMPORARY };

static enum outcome outcome_of(int status)
{
    if (status == OK)
        return OUTCOME_OK;
    return status == ERR_LIMIT ? OUTCOME_PERMANENT : OUTCOME_TEMPORARY;
}

static void refuse_end(struct session *s, int status)
{
    switch (status) {
    case ERR_LIMIT:
        count(s->in, COUNT_FAILED);
        smtp_refuse(s->smtp, 554, "5.6.0", "Message is beyond what this server can keep");
        break;
    case ERR_QUOTA:
        count(s->in, COUNT_QUOTA);
        smtp_refuse(s->smtp, 452, "4.2.2", "The mailbox is full");
        break;
    case ERR_NO_KEY:
        count(s->in, COUNT_NO_KEY);
        smtp_refuse(s->smtp, 451, "4.7.5", "The recipient has no key to seal mail to");
        break;
    case ERR_FULL:
        count(s->in, COUNT_DEFERRED);
        smtp_refuse(s->smtp, 452, "4.3.1", "No room to store the message now");
        break;
    default:
        count(s->in, COUNT_DEFERRED);
        smtp_refuse(s->smtp, 451, "4.3.0", "The message could not be stored; try again later");
    }
}

static void answer(struct session *s)
{
    struct transaction *t = &s->t;
    enum outcome worst = OUTCOME_OK;
    int status = OK;
    char text[64];
    uint64_t len = t->msg.len ? t->msg.len : t->len;

    for (size_t i = 0; i < t->n; i++) {
        enum outcome o = outcome_of(t->rcpts[i].status);
        log_person("mail id=%s recipient=<%s> status=%d", t->id, t->rcpts[i].given, t->rcpts[i].status);
        if (o > worst) {
            worst = o;
            status = t->rcpts[i].status;
        }
    }
    snprintf(text, sizeof(text), "Accepted as %s", t->id);
    transaction_reset(s);
    if (worst != OUTCOME_OK) {
        log_info("refused status=%d", status);
        refuse_end(s, status);
        return;
    }
    count(s->in, COUNT_ACCEPTED);
    s->in->counters[COUNT_BYTES] += len;
    smtp_accept(s->smtp, text);
}

/* ---- a recipient's deposit ---- */

static void go_on(struct session *s)
{
    defer_set(s->in->loop, &s->t.step, step, s);
}

/* The next one is sealed while the vault stores this one. */
static void sealed(void *arg, const struct seal_result *sr)
{
    struct rcpt *r = arg;
    struct session *s = r->s;

    r->state = RCPT_STORING;
    s->t.storing++;
    count(s->in, COUNT_SEALED);
    if (sr->kind == MESSAGE_FOREIGN)
        count(s->in, COUNT_FOREIGN);
    if (sr->kind == MESSAGE_FOREIGN && sr->wildcard)
        count(s->in, COUNT_WILDCARD);
    idle_touch(s->in->loop, &s->t.stall);
    if (!s->t.stepping)
        go_on(s);
}

static void rcpt_end(struct rcpt *r, int status)
{
    if (r->state == RCPT_STORING)
        r->s->t.storing--;
    r->state = RCPT_DONE;
    r->status = status;
    r->deposit = NULL;
}

static void deposited(void *arg, int status, const struct deposit_result *dr)
{
    struct rcpt *r = arg;

    rcpt_end(r, status);
    idle_touch(r->s->in->loop, &r->s->t.stall);
    go_on(r->s);
}

static const struct deposit_hooks deposit_hooks = {.sealed = sealed, .done = deposited};

static void seal_one(struct session *s, struct rcpt *r)
{
    struct transaction *t = &s->t;
    const char *sender = smtp_envelope(s->smtp)->sender;
    struct record_part parts[] = {
        {sender, strlen(sender)},
        {r->address, strlen(r->address)},
        {t->content, sizeof(t->content)},
    };
    struct deposit_request q = {
        .seal =
            {
                .account = r->account,
                .mail = t->pieces,
                .mail_n = t->npieces,
                .mail_len = t->msg.len,
                .received = t->received,
                .auth_results = "",
                .tls = t->tls,
                .now = t->now,
            },
        .mailbox = MAILBOX_INBOX,
        .internaldate = t->now,
    };
    int err;

    record_hash(view_keys(s->in->view), RECORD_DELIVERY, r->account, parts, 3, q.delivery);
    r->state = RCPT_SEALING;
    err = deposit_start(&s->in->depositor, &q, &deposit_hooks, r, &r->deposit);
    if (err != OK)
        rcpt_end(r, err);
}

/* Seals who is next, as far as it may go on now. true: the last seal is done. */
static bool seal_some(struct session *s)
{
    struct transaction *t = &s->t;
    uint64_t octets = 0;

    while (t->next < t->n) {
        struct rcpt *r = &t->rcpts[t->next];
        if (r->state == RCPT_SEALING)
            return false;
        if (r->state != RCPT_WAITS) {
            t->next++;
            continue;
        }
        if (t->storing >= STORING_MAX || (t->storing > 0 && (t->storing + 1) * t->msg.len > STORING_BYTES_MAX))
            return false;
        seal_one(s, r);
        octets += t->msg.len;
        if (octets > LONG_SEAL && t->next + 1 < t->n) {
            go_on(s);
            return false;
        }
    }
    return true;
}

static bool advance(struct session *s)
{
    struct transaction *t = &s->t;
    bool all;

    t->stepping = true;
    all = seal_some(s);
    t->stepping = false;
    if (!all)
        return false;
    if (t->msg.len) {
        t->len = t->msg.len;
        transaction_wipe_content(s); /* the last seal is done: nothing readable stays */
    }
    if (t->storing > 0)
        return false;
    answer(s);
    return true;
}

static void step(void *arg)
{
    struct session *s = arg;

    if (s->t.delivering && advance(s))
        smtp_session_pump(s);
}

/* What comes too late all the same meets the delivery id: the sender's next try makes no double. */
static void stalled(struct idle *i)
{
    struct session *s = (struct session *)((char *)i - offsetof(struct session, t.stall));

    deliver_cancel(s);
    answer(s);
    smtp_session_pump(s);
}

/* ---- the beginning ---- */

static int make_pieces(struct transaction *t)
{
    size_t n = 0, i = 0;

    for (struct secmem_chunk *c = t->msg.first; c; c = c->next)
        n++;
    t->pieces = calloc(n ? n : 1, sizeof(*t->pieces));
    if (!t->pieces)
        return ERR_MEMORY;
    for (struct secmem_chunk *c = t->msg.first; c; c = c->next)
        t->pieces[i++] = (struct iovec){c->data, c->len};
    t->npieces = n;
    return OK;
}

void deliver_begin(struct session *s)
{
    struct transaction *t = &s->t;
    const struct smtp_envelope *env = smtp_envelope(s->smtp);
    uint64_t id;
    int err;

    if (t->msg.first && received_count(t->msg.first->data, t->msg.first->len) > HOPS_MAX) {
        count(s->in, COUNT_LOOP);
        transaction_reset(s);
        smtp_refuse(s->smtp, 554, "5.4.6", "Too many hops: mail loop"); /* RFC 5321 section 6.3 */
        return;
    }
    err = make_pieces(t);
    if (err == OK)
        err = content_hash(s->in->content, t->pieces, t->npieces, t->content);
    if (err != OK) {
        transaction_reset(s);
        refuse_end(s, err);
        return;
    }
    randombytes_buf(&id, sizeof(id));
    snprintf(t->id, sizeof(t->id), "%016llx", (unsigned long long)id);
    snprintf(t->tls, sizeof(t->tls), "%s", conn_tls_info(s->conn));
    t->now = (uint64_t)time(NULL);
    received_make(env, &s->peer, s->in->config.domain, t->tls, t->id, t->n == 1 ? t->rcpts[0].given : NULL, t->now,
                  t->received);
    t->delivering = true;
    t->len = 0;
    t->next = 0;
    idle_set(s->in->loop, &t->stall, s->in->stall_ms, stalled);
    advance(s);
}
