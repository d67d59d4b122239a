/* A transaction until its content is whole: recipients that may be promised something, content within its budgets. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/ingest/ingest.h"

enum { CHARGE_STEP = 64 * 1024 /* memory comes in such chunks */, RCPTS_KEPT = 16 };

static int charge(struct session *s, uint64_t bytes)
{
    struct ingest *in = s->in;

    if (bytes > in->config.plaintext_budget - in->plaintext || in->plaintext > in->config.plaintext_budget)
        return ERR_LIMIT;
    if (peers_take(in->peers, &s->peer, bytes, in->config.plaintext_budget_peer) != OK)
        return ERR_LIMIT;
    in->plaintext += bytes;
    s->t.charged += bytes;
    return OK;
}

void transaction_wipe_content(struct session *s)
{
    struct transaction *t = &s->t;

    secmem_msg_release(&t->msg);
    free(t->pieces);
    t->pieces = NULL;
    t->npieces = 0;
}

void transaction_forget_content(struct session *s)
{
    struct transaction *t = &s->t;

    transaction_wipe_content(s);
    if (t->charged) {
        peers_give(s->in->peers, &s->peer, t->charged);
        s->in->plaintext -= t->charged;
        t->charged = 0;
    }
}

void transaction_reset(struct session *s)
{
    struct transaction *t = &s->t;

    deliver_cancel(s);
    transaction_forget_content(s);
    for (size_t i = 0; i < t->n; i++)
        quota_give(t->rcpts[i].reservation, t->rcpts[i].reserved);
    if (t->n)
        explicit_bzero(t->rcpts, t->n * sizeof(*t->rcpts));
    if (t->cap > RCPTS_KEPT) {
        free(t->rcpts);
        t->rcpts = NULL;
        t->cap = 0;
    }
    t->n = t->next = t->storing = 0;
    t->len = 0;
    t->delivering = false;
    explicit_bzero(t->received, sizeof(t->received));
    explicit_bzero(t->content, sizeof(t->content));
}

/* SIZE lets us refuse before the content has come (RFC 1870 section 6.1; 452 is its code for "not now"). */
void transaction_mail(struct session *s, const struct smtp_event *e)
{
    struct ingest *in = s->in;

    if (e->size > in->config.plaintext_budget || in->plaintext > in->config.plaintext_budget - e->size ||
        e->size > in->config.plaintext_budget_peer) {
        count(in, COUNT_BUDGET);
        smtp_refuse(s->smtp, 452, "4.3.1", "No memory for this message now");
        return;
    }
    s->t.len = e->size;
    smtp_accept(s->smtp, NULL);
}

/* ---- recipients ---- */

struct verdict {
    int err;
    int code;
    const char *enhanced, *text;
    int counter; /* -1: none */
};

static const struct verdict verdicts[] = {
    {ERR_NOT_FOUND, 550, "5.1.1", "No such user here", COUNT_NO_USER},
    {ERR_FORMAT, 550, "5.1.3", "No such user here", COUNT_NO_USER},
    {ERR_DENIED, 550, "5.7.1", "Relaying is not permitted", COUNT_RELAY},
    {ERR_NO_KEY, 450, "4.7.5", "The recipient has no key to seal mail to", COUNT_NO_KEY},
    {ERR_QUOTA, 452, "4.2.2", "The mailbox is full", COUNT_QUOTA},
    {OK, 451, "4.3.0", "Try again later", COUNT_DEFERRED}, /* everything else */
};

static void refuse_rcpt(struct session *s, const char *address, int err)
{
    const struct verdict *v = verdicts;

    while (v->err != err && v->err != OK)
        v++;
    count(s->in, v->counter);
    log_person("refused recipient=<%s> code=%d", address, v->code);
    smtp_refuse(s->smtp, v->code, v->enhanced, v->text);
}

struct look_up {
    struct session *s;
    const char *address;
    struct schema_address *ret;
};

/* Who it is, whether there is a key and room. */
static int look_up(void *arg, struct view *v)
{
    const struct look_up *l = arg;
    struct session *s = l->s;
    struct schema_address *ret = l->ret;
    struct schema_account a;
    struct schema_usage u;
    uint64_t quota;
    int err = view_route(v, l->address, strlen(l->address), ret);

    if (err != OK)
        err = postmaster_route(v, s->in->config.domain, l->address, err, ret);
    if (err == OK)
        err = sealer_can_seal(s->in->sealer, ret->account);
    if (err == OK)
        err = view_account(v, ret->account, &a);
    if (err != OK)
        return err;
    quota = a.quota_bytes;
    explicit_bzero(&a, sizeof(a));
    if (!quota)
        return OK;
    err = view_usage(v, ret->account, &u);
    if (err != OK)
        return err;
    u.bytes += quota_reserved(ret->account) + (s->t.len ? s->t.len : 1);
    return u.bytes > quota ? ERR_QUOTA : OK;
}

static struct rcpt *add_rcpt(struct transaction *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 2;
        struct rcpt *more = calloc(cap, sizeof(*more));
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

void transaction_rcpt(struct session *s, const struct smtp_event *e)
{
    struct transaction *t = &s->t;
    struct schema_address to;
    struct rcpt *r;
    struct look_up l = {s, e->address, &to};
    int err = view_run(s->in->view, look_up, &l);

    if (err != OK) {
        refuse_rcpt(s, e->address, err);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        if (t->rcpts[i].account == to.account) { /* two names of one account: one copy */
            smtp_accept(s->smtp, NULL);
            return;
        }
    }
    r = add_rcpt(t);
    if (r)
        r->reservation = quota_reserve(to.account, t->len ? t->len : 1);
    if (!r || !r->reservation) {
        refuse_rcpt(s, e->address, ERR_MEMORY);
        return;
    }
    r->s = s;
    r->reserved = t->len ? t->len : 1;
    r->account = to.account;
    memcpy(r->address, to.address, sizeof(r->address));
    memcpy(r->given, e->address, strlen(e->address) + 1);
    t->n++;
    smtp_accept(s->smtp, NULL);
}

/* ---- content ---- */

void transaction_content(struct session *s, struct slice content)
{
    struct transaction *t = &s->t;
    int err = OK;

    if (t->msg.len + content.len > t->charged) {
        uint64_t need = t->msg.len + content.len - t->charged;
        err = charge(s, (need + CHARGE_STEP - 1) / CHARGE_STEP * CHARGE_STEP);
        if (err != OK)
            err = charge(s, need); /* the last step of a budget may be a shorter one */
    }
    if (err == OK)
        err = secmem_msg_append(&t->msg, content.data, content.len);
    if (err == OK)
        return;
    count(s->in, COUNT_BUDGET);
    transaction_forget_content(s);
    smtp_fail(s->smtp, 452, "4.3.1", "No memory for this message now");
}
