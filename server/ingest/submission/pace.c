#include "server/ingest/submission/pace.h"

#include <stdlib.h>

#include "server/base/debts.h"
#include "server/base/event.h"
#include "server/core/error.h"
#include "server/ingest/submission/state.h"

enum {
    BUCKETS = 256,
    LOOK_MS = 1000, /* whether its client is still there */
    MINUTE_S = 60,
};

struct pacing {
    struct tally *tally;
    struct debts *debts;
    bool off; /* nobody is slowed */
    uint32_t sessions;
    struct submission *by_account[BUCKETS]; /* an account's sessions are few: they are counted when it matters */
    /* What the log has not been told of this minute. */
    struct idle over;
    struct ingest *in;
    uint64_t account, waits, refused;
};

struct pacing *submission_pacing_create(struct tally *tally)
{
    struct pacing *p = calloc(1, sizeof(*p));

    if (p && (p->debts = debts_create(tally, DEBTS_ACCOUNTS))) {
        p->tally = tally;
        return p;
    }
    free(p);
    return NULL;
}

void submission_pacing_limits(struct pacing *p, const struct config *c)
{
    p->off = c->send_messages_minute == 0;
    if (!p->off)
        debts_limits(p->debts, c->send_messages_burst, c->send_messages_minute);
    p->sessions = c->smtp_sessions_account;
}

void submission_pacing_destroy(struct pacing *p)
{
    if (p)
        debts_destroy(p->debts);
    free(p);
}

/* ---- the log: once a minute, by the account that was first in it ---- */

void submission_pacing_say(struct ingest *in)
{
    struct pacing *p = in->pacing;

    if (!p->over.at)
        return;
    idle_cancel(&p->over);
    log_event(sending_slowed, p->account, in->counters[COUNT_PACED] - p->waits,
              in->counters[COUNT_PACED_REFUSED] - p->refused, MINUTE_S);
}

static void on_over(struct idle *i)
{
    submission_pacing_say(((struct pacing *)((char *)i - offsetof(struct pacing, over)))->in);
}

static void note(const struct submission *s, enum ingest_counter c)
{
    struct ingest *in = s->t.in;
    struct pacing *p = in->pacing;

    if (!p->over.at) {
        p->in = in;
        p->account = s->who.user.account;
        p->waits = in->counters[COUNT_PACED];
        p->refused = in->counters[COUNT_PACED_REFUSED];
        idle_set(in->loop, &p->over, MINUTE_S * UINT64_C(1000), on_over);
    }
    count(in, c);
}

/* ---- waiting ---- */

static struct submission *session_of(struct idle *i)
{
    return (struct submission *)((char *)i - offsetof(struct submission, pace.wait));
}

/* Its client's end is not seen while a reply is due. */
static bool is_gone(const struct submission *s)
{
    return conn_lost(smtp_session_conn(s->t.session), 1);
}

static void look(struct idle *i);

static void wait_on(struct submission *s)
{
    uint64_t now = loop_now_ms(s->t.in->loop), left = s->pace.until > now ? s->pace.until - now : 1;

    idle_set(s->t.in->loop, &s->pace.wait, left < LOOK_MS ? left : LOOK_MS, look);
}

static void look(struct idle *i)
{
    struct submission *s = session_of(i);
    paced_fn *then = s->pace.then;

    if (is_gone(s)) {
        smtp_session_destroy(s->t.session);
        return;
    }
    if (loop_now_ms(s->t.in->loop) < s->pace.until) {
        wait_on(s);
        return;
    }
    submission_pace_cancel(s);
    if (s->pace.vain)
        note(s, COUNT_PACED_REFUSED);
    then(s, s->pace.vain ? ERR_LIMIT : OK);
    smtp_session_resume(s->t.session);
}

void submission_pace(struct submission *s, enum pace_of of, paced_fn *then)
{
    struct pacing *p = s->t.in->pacing;
    uint64_t now = loop_now_ms(s->t.in->loop), ms = 0;

    s->pace.vain = !p->off && debts_pace(p->debts, s->who.user.account, of, now, &ms) != OK;
    if (s->pace.vain) /* a refusal at once would be asked for again at once */
        ms = s->t.in->vain_ms;
    if (ms == 0) {
        then(s, OK);
        return;
    }
    note(s, COUNT_PACED);
    s->pace.until = now + ms;
    s->pace.then = then;
    wait_on(s);
}

void submission_pace_cancel(struct submission *s)
{
    idle_cancel(&s->pace.wait);
    s->pace.then = NULL;
}

/* ---- sessions ---- */

static uint32_t slot(const struct pacing *p, uint64_t account)
{
    return tally_slot(p->tally, &account, sizeof(account));
}

static bool has_room(const struct pacing *p, uint64_t account)
{
    uint64_t processes = p->tally ? tally_processes(p->tally) : 1, here = 0;
    uint64_t others = p->tally ? tally_sessions(p->tally, slot(p, account), p->sessions) : 0;

    for (const struct submission *s = p->by_account[account % BUCKETS]; s; s = s->pace.next)
        here += s->pace.account == account;
    return here < tally_left(p->sessions, others, (p->sessions + processes - 1) / processes);
}

int submission_enter(struct submission *s)
{
    struct pacing *p = s->t.in->pacing;
    struct pace *e = &s->pace;
    const uint64_t account = s->who.user.account;

    if (!has_room(p, account)) {
        note(s, COUNT_PACED_REFUSED);
        return ERR_LIMIT;
    }
    e->account = account;
    e->inside = true;
    e->at = &p->by_account[account % BUCKETS];
    e->next = *e->at;
    if (e->next)
        e->next->pace.at = &e->next;
    *e->at = s;
    if (p->tally)
        tally_add(p->tally, slot(p, account), 1, 0);
    return OK;
}

void submission_leave(struct submission *s)
{
    struct pacing *p = s->t.in->pacing;
    struct pace *e = &s->pace;

    if (!e->inside)
        return;
    e->inside = false;
    *e->at = e->next;
    if (e->next)
        e->next->pace.at = e->at;
    if (p->tally)
        tally_add(p->tally, slot(p, e->account), -1, 0);
}
