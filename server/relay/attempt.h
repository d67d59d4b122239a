/* A job at work: the records of its recipients as they were read, what became of each, and the writing of it. Until the
 * vault has the outcome the job is running, so nothing of it is tried a second time; what the vault does not take is
 * kept and written again. */
#ifndef RELAY_ATTEMPT_H
#define RELAY_ATTEMPT_H

#include "server/relay/outcome.h"
#include "server/relay/relay.h"

enum { ATTEMPT_WRITE_MAX = 48 * 1024 /* octets of records that are surely written in one commit */ };
enum row_write { ROW_KEEP, ROW_PUT, ROW_REMOVE };
struct attempt_row {
    struct queue_recipient r;
    struct outcome outcome; /* verdict 0: none yet */
    enum row_write write;
};
struct attempt {
    struct relay *relay;
    struct job *job;
    struct queue_envelope envelope;
    uint64_t now;      /* when it was begun */
    uint64_t next_try; /* of those that are deferred; 0: as their tries say */
    bool dsn_there;    /* the server there sees to DSNs */
    bool conflict;     /* a record was another's in between */
    struct timer *again;
    uint32_t failures;
    size_t at, end; /* rows that are written, and that are on their way */
    void (*written)(struct attempt *t);
    size_t n;
    struct attempt_row rows[];
};

/* What is still to be done of a job that was begun. ERR_NOT_FOUND: nothing of it; others: it cannot be read now. */
int attempt_open(struct relay *r, struct job *j, uint64_t now, struct attempt **ret);
void attempt_free(struct attempt *t); /* the job is the caller's */

/* host: who said so, "" for our own words; how it was known. */
void attempt_say(struct attempt_row *row, const struct outcome *o, const char *host, enum queue_proof how);
/* All rows without a verdict. */
void attempt_say_all(struct attempt *t, const struct outcome *o, const char *host, enum queue_proof how);
/* Writes the verdicts, one for each row; then the job goes on as they say. The attempt is no longer the caller's. */
void attempt_settle(struct attempt *t);
/* Writes the rows as `write` says; then calls written, which owns the attempt again. */
void attempt_write(struct attempt *t, void (*written)(struct attempt *t));
/* Nothing came of it: no record is changed, and the job is tried again then. */
void attempt_abandon(struct attempt *t, uint64_t next_try);

#endif
