/* In place of fetcher's client: pages that the test gives. Included once, behind what declares `loop`. */
#ifndef TESTS_SUPPORT_PAGES_STAND_IN_H
#define TESTS_SUPPORT_PAGES_STAND_IN_H

#include "server/fetch/fetch.h"

static const char *page; /* NULL: there is none */
static int page_err;
static unsigned pages;  /* that were asked for */
static bool page_waits; /* for page_answer(waiting) */

struct fetch_request {
    struct defer later;
    fetch_fn *fn;
    void *arg;
};
static struct fetch_request *waiting;

static void page_answer(void *arg)
{
    struct fetch_request *q = arg;
    const struct fetch_answer a = {.status = page ? 200 : 404,
                                   .type = "text/plain",
                                   .body = slice_str(page ? page : "")};

    waiting = NULL;
    q->fn(q->arg, page_err, &a);
    free(q);
}

int fetch_ask(struct fetch *f, enum fetch_kind kind, const char *url, const char *type, struct slice body, fetch_fn *fn,
              void *arg, struct fetch_request **ret)
{
    struct fetch_request *q = calloc(1, sizeof(*q));

    assert_non_null(q);
    *q = (struct fetch_request){.fn = fn, .arg = arg};
    if (page_waits)
        waiting = q;
    else
        defer_set(loop, &q->later, page_answer, q);
    pages++;
    *ret = q;
    return OK;
}

void fetch_cancel(struct fetch_request *q)
{
    if (waiting == q)
        waiting = NULL;
    defer_cancel(loop, &q->later);
    free(q);
}

#endif
