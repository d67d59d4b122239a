/* How fast one account may send, over all sessions and processes of `ingest`: a burst of messages, then some each
 * minute (server/base/debts.h), and as many logins, counted apart. Who is too fast is answered as anybody, but later;
 * of its message nothing has come by then. Whether it may send at all is looked at when it has waited, so a held
 * account's tries are no faster. And how many sessions it may have at a time. One account's wait is no other's. */
#ifndef INGEST_PACE_H
#define INGEST_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/loop.h"

struct config;
struct ingest;
struct submission;
struct tally;

/* What the process's sessions share. NULL: no memory. tally: outlives it; NULL: there is no other process. */
struct pacing;
struct pacing *submission_pacing_create(struct tally *tally);
void submission_pacing_limits(struct pacing *p, const struct config *c);
void submission_pacing_destroy(struct pacing *p); /* after every session; NULL is allowed */
void submission_pacing_say(struct ingest *in);    /* what the log has not been told yet */

/* Of a session. */
typedef void paced_fn(struct submission *s, int err);
struct pace {
    struct idle wait;
    uint64_t until;
    paced_fn *then; /* NULL: it does not wait */
    bool vain;      /* the line was too long */
    bool inside;    /* it counts as a session of its account */
    uint64_t account;
    struct submission *next, **at; /* the account's others */
};
enum pace_of { PACE_MESSAGE, PACE_LOGIN };
/* Calls then, at once or later, when smtp_session_resume follows. ERR_LIMIT: it has waited in vain, because the line is
 * too long. */
void submission_pace(struct submission *s, enum pace_of of, paced_fn *then);
void submission_pace_cancel(struct submission *s);

/* A session more of its account. ERR_LIMIT: it has as many as it may have. In each process it may have its even share,
 * whatever the others say. */
int submission_enter(struct submission *s);
void submission_leave(struct submission *s);

#endif
