/* What DNS has said, kept for the whole process: a look-up that is warm asks nobody. Questions that many have at a time
 * are asked once. ANSWERS_ASKED_MAX are out at `resolver` at a time, and the others wait in line: in one of
 * ANSWERS_LANES lines, by the network of the peer whose mail makes us ask (/24, /48), which have their turns one after
 * another. So nobody's slow names keep back what others wait for. */
#ifndef INGEST_JUDGE_ANSWERS_H
#define INGEST_JUDGE_ANSWERS_H

#include <sys/socket.h>

#include "server/dns/dns.h"
#include "server/mailauth/records.h"

enum {
    ANSWERS_KEPT_MAX = 20000,
    ANSWERS_OCTETS_MAX = 8 * 1024 * 1024, /* of those that are kept */
    ANSWERS_TTL_MAX = 3600,               /* seconds, whatever the answer says */
    ANSWERS_ASKED_MAX = 200,
    ANSWERS_LANES = 256,
    ANSWERS_LANE_ASKED_MAX = 32, /* of one line */
    ANSWERS_LINE_MAX = 20000,    /* that wait, in all lines: one more is ERR_FULL */
};

struct answers;
struct answers_question;

struct answers *answers_create(struct loop *l, struct dns *d); /* NULL: no memory */
void answers_destroy(struct answers *a);                       /* nobody is called; NULL is allowed */

/* name: lower case, no final dot, as records.h has it. */

/* What is kept and not too old, or NULL. Valid until the next call of any function here. */
const struct records_answer *answers_find(struct answers *a, enum records_type type, const char *name);
/* Called once, from the loop, never from answers_ask. answer: valid during the call; with an err nothing else counts:
 * nobody can tell now, and it is not kept. */
typedef void answers_fn(void *arg, const struct records_answer *answer);
/* Whether it is kept or not. peer: whose mail makes us ask. Not OK (ERR_FULL, ERR_MEMORY): fn is not called. */
int answers_ask(struct answers *a, const struct sockaddr_storage *peer, enum records_type type, const char *name,
                answers_fn *fn, void *arg, struct answers_question **ret);
/* fn is not called. A question that is out goes on, and its answer is kept. */
void answers_cancel(struct answers_question *q);

struct answers_counts {
    uint64_t found, asked; /* since the start: kept ones that were used; questions to `resolver` */
    size_t kept, octets;   /* now */
    size_t out, waiting;   /* now: at `resolver`; in line */
};
struct answers_counts answers_counts(const struct answers *a);

#endif
