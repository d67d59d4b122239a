/* Questions of askers, and what becomes of each: its URL is looked at, its name is asked for, each address is looked
 * at, and it is fetched from those. So many are under way in all, of one asker and at one host; what comes beyond
 * waits, and is begun in the order of its coming. */
#ifndef FETCHER_DESK_H
#define FETCHER_DESK_H

#include "server/base/ipc.h"
#include "server/dns/dns.h"
#include "server/fetcher/guard.h"
#include "server/fetcher/web.h"

enum {
    DESK_RUN_MAX = 64,        /* fetches under way */
    DESK_RUN_ASKER_MAX = 48,  /* of one asker */
    DESK_RUN_HOST_MAX = 4,    /* at one host */
    DESK_QUESTIONS_MAX = 1024 /* of one asker, begun or not */
};

struct desk_counts {
    uint64_t fetches, answers, denied, too_large, tls_failed, timeouts, failed, refused;
    uint64_t waiting, under_way; /* now */
};

struct desk;
struct desk_asker;

/* All of these stay the caller's. seconds: that one fetch may take. NULL: no memory. */
struct desk *desk_create(struct loop *l, struct web *w, struct dns *d, const struct guard *g, uint32_t seconds);
void desk_destroy(struct desk *d);                   /* after its askers; NULL is allowed */
void desk_timeout(struct desk *d, uint32_t seconds); /* of what is asked from now on */
struct desk_counts desk_counts(const struct desk *d);

/* Answers go over c, with the question's id. NULL: no memory. */
struct desk_asker *desk_asker_create(struct desk *d, struct ipc *c);
void desk_asker_destroy(struct desk_asker *a); /* its questions are forgotten; NULL is allowed */
/* A question is answered in any case, if only with a status. ERR_FORMAT: it is none; ERR_GONE: the asker leaves answers
 * unread. */
int desk_ask(struct desk_asker *a, uint64_t id, struct slice payload);
/* Nobody waits for it any more: it ends as if it had taken too long, and leaves its place to others. One that has ended
 * is nothing new. ERR_FORMAT: there is a payload. */
int desk_forget(struct desk_asker *a, uint64_t id, struct slice payload);

#endif
