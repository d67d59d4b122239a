#include "server/ingest/smtp/errors.h"

#include <string.h>

#include "server/base/debts.h"
#include "server/base/event.h"
#include "server/core/error.h"

enum {
    UNSEEN_MAX = 10, /* recipients that a session may try in vain */
    MINUTE_S = 60,
};

static const char too_many[] = "Too many errors from your network; try again later";

void smtp_errors_say(struct ingest *in)
{
    struct slowing *s = &in->slowing;

    if (!s->over.at)
        return;
    idle_cancel(&s->over);
    log_event(errors_slowed, in->counters[COUNT_ERRORS] - s->errors, in->counters[COUNT_ERRORS_WAITS] - s->waits,
              in->counters[COUNT_ERRORS_UNSEEN] - s->unseen, MINUTE_S);
}

static void on_over(struct idle *i)
{
    struct slowing *s = (struct slowing *)((char *)i - offsetof(struct slowing, over));

    smtp_errors_say((struct ingest *)((char *)s - offsetof(struct ingest, slowing)));
}

/* The log is told once a minute, of what that minute brought. */
static void note(struct ingest *in, enum ingest_counter c)
{
    struct slowing *s = &in->slowing;

    if (!s->over.at) {
        s->errors = in->counters[COUNT_ERRORS];
        s->waits = in->counters[COUNT_ERRORS_WAITS];
        s->unseen = in->counters[COUNT_ERRORS_UNSEEN];
        idle_set(in->loop, &s->over, MINUTE_S * UINT64_C(1000), on_over);
    }
    count(in, c);
}

static void wait(struct smtp_errors *e, struct ingest *in, uint64_t ms, void (*done)(struct idle *hold))
{
    note(in, COUNT_ERRORS_WAITS);
    e->waits = true;
    idle_set(in->loop, &e->hold, ms, done);
}

enum smtp_errors_answer smtp_errors_ask(struct smtp_errors *e, struct ingest *in, struct smtp *smtp,
                                        const struct sockaddr_storage *peer, void (*done)(struct idle *hold))
{
    uint64_t ms;

    if (debts_ask(in->debts, peer, loop_now_ms(in->loop), &ms) != OK) {
        note(in, COUNT_ERRORS_UNSEEN);
        smtp_refuse(smtp, 450, "4.7.1", too_many);
        if (++e->unseen == UNSEEN_MAX)
            smtp_close(smtp, 421, "4.7.0", too_many);
        return SMTP_ERRORS_UNSEEN;
    }
    if (ms == 0)
        return SMTP_ERRORS_LOOK;
    e->charged = true;
    wait(e, in, ms, done);
    return SMTP_ERRORS_WAIT;
}

void smtp_errors_count(struct smtp_errors *e, struct ingest *in, struct smtp *smtp, const struct sockaddr_storage *peer,
                       bool command, void (*done)(struct idle *hold))
{
    uint32_t n = smtp_errors_made(smtp) - e->known;
    uint64_t ms = 0;
    int err = OK;

    if (n == 0 && !e->charged)
        return;
    e->known += n;
    in->counters[COUNT_ERRORS] += n;
    if (e->charged && !e->waits && smtp_phase(smtp) != SMTP_PHASE_REPLY) {
        e->charged = false;
        if (n)
            n--;
        else
            debts_forgive(in->debts, peer, loop_now_ms(in->loop));
    }
    for (; n; n--)
        err = debts_add(in->debts, peer, loop_now_ms(in->loop), &ms);
    if (!command || smtp_phase(smtp) == SMTP_PHASE_CLOSED)
        return;
    if (err != OK)
        smtp_close(smtp, 421, "4.7.0", too_many);
    else if (ms)
        wait(e, in, ms, done);
}

void smtp_errors_release(struct smtp_errors *e)
{
    e->waits = false;
    idle_cancel(&e->hold);
}
