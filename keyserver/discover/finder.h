/* The machine of discover.h with its questions asked: of `resolver` and of `fetcher`, on the asker's loop. */
#ifndef DISCOVER_FINDER_H
#define DISCOVER_FINDER_H

#include "keyserver/discover/discover.h"

struct finder {
    struct loop *loop;
    struct dns *dns;
    struct fetch *fetch;
};
struct finding;
/* Called once, from the loop, never from find_begin. d: valid during the call. */
typedef void finding_fn(void *arg, const struct discover *d);
/* ms: what is not answered by then is not waited for. Errors of discover_create; fn is not called. */
int finding_begin(const struct finder *f, const struct discover_params *p, uint64_t ms, finding_fn *fn, void *arg,
                  struct finding **ret);
void finding_cancel(struct finding *f); /* fn is not called; NULL is allowed */

#endif
