/* Questions of askers, and the lookups at libunbound that answer them: one for a name and type at a time, whoever asks,
 * and at most LOOKUPS_MAX. What comes beyond waits, so much of each asker, and is begun by turns of the askers. */
#ifndef RESOLVER_LOOKUP_H
#define RESOLVER_LOOKUP_H

#include "server/base/ipc.h"
#include "server/resolver/upstream.h"

enum {
    LOOKUPS_MAX = 500,
    QUESTIONS_MAX = 4096,     /* of one asker, begun or not */
    ANSWER_MS_MAX = 30 * 1000 /* a question is answered by then; its lookup goes on, for who asks again */
};

struct lookups;
struct asker;

struct lookup_counts {
    uint64_t questions, lookups, servfail, bogus, timeouts, refused, caches;
    uint64_t waiting, under_way; /* now */
};

struct lookups *lookups_create(struct loop *l, struct ub_ctx *upstream); /* takes it; NULL: no memory */
void lookups_destroy(struct lookups *s);                                 /* after its askers */
/* What is asked from now on goes there; the former one ends with its last lookup. ERR_MEMORY. */
int lookups_upstream(struct lookups *s, struct ub_ctx *upstream);
struct lookup_counts lookups_counts(const struct lookups *s);

/* Answers go over c, with the question's id. ERR_MEMORY. */
int asker_create(struct lookups *s, struct ipc *c, struct asker **ret);
void asker_destroy(struct asker *a); /* its questions are forgotten */
/* A question is answered in any case, if only with a status. ERR_FORMAT: it is none; ERR_GONE: the asker leaves answers
 * unread. */
int asker_ask(struct asker *a, uint64_t id, struct slice payload);

#endif
