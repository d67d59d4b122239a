/* An account's sessions of this process stand in a list, which is short: they are counted when it matters. */
#include "server/access/imap/account.h"

#include "server/access/imap/access.h"
#include "server/service/budget.h"

enum { SHARE = 4 /* the part of the budget that an account may hold */, STEP = 64 * 1024 };

struct figures {
    uint64_t sessions, octets;
};

static struct figures here(const struct access *a, uint64_t account)
{
    struct figures f = {0};

    for (const struct imap_session *s = a->by_account[account % IMAP_ACCOUNT_BUCKETS]; s; s = s->acc_next)
        if (s->account == account) {
            f.sessions++;
            f.octets += s->place.held;
        }
    return f;
}

bool imap_account_room(const struct access *a, uint64_t account)
{
    uint64_t max = a->config.imap_sessions_account, processes = a->tally ? tally_processes(a->tally) : 1;
    uint64_t others = a->tally ? tally_sessions(a->tally, access_account_slot(a, account), max) : 0;

    return here(a, account).sessions < tally_left(max, others, (max + processes - 1) / processes);
}

/* Of a budget; never less than the largest message. */
static uint64_t share_of(uint64_t budget, const struct config *c)
{
    uint64_t least = access_literal_max(c) + STEP;

    return budget / SHARE > least ? budget / SHARE : least;
}

int imap_account_take(struct imap_session *s, uint64_t octets)
{
    const struct access *a = s->a;
    const struct config *c = &a->config;
    uint64_t processes = a->tally ? tally_processes(a->tally) : 1;
    uint64_t max = share_of(c->plaintext_budget * processes, c);
    uint64_t others = a->tally ? tally_bytes(a->tally, s->account_slot, max) : 0;
    uint64_t left = tally_left(max, others, share_of(c->plaintext_budget, c));
    uint64_t held = here(a, s->account).octets;

    if (held > left || octets > left - held)
        return ERR_LIMIT;
    if (budget_take(&s->place, octets) != OK)
        return ERR_FULL;
    if (a->tally)
        tally_add(a->tally, s->account_slot, 0, (int64_t)octets);
    return OK;
}

void imap_account_give(struct imap_session *s, uint64_t octets)
{
    budget_give(&s->place, octets);
    if (s->a->tally && octets)
        tally_add(s->a->tally, s->account_slot, 0, -(int64_t)octets);
}
