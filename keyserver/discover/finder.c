#include "keyserver/discover/finder.h"

#include <stddef.h>
#include <stdlib.h>

#include "server/core/error.h"

struct asking {
    struct finding *of;
    enum discover_source source;
    struct fetch_request *page;
};

struct finding {
    struct finder f;
    struct discover *d;
    struct asking pages[DISCOVER_SOURCES];
    struct dns_question *records;
    struct defer over;
    struct idle late; /* the first half of the time is for the domain itself, so that one that is slow leaves some */
    uint64_t half_ms;
    bool hurries;
    finding_fn *fn;
    void *arg;
};

static void forget(struct finding *f)
{
    for (size_t i = 0; i < DISCOVER_SOURCES; i++) {
        if (f->pages[i].page)
            fetch_cancel(f->pages[i].page);
        f->pages[i].page = NULL;
    }
    if (f->records)
        dns_cancel(f->records);
    f->records = NULL;
}

void finding_cancel(struct finding *f)
{
    if (!f)
        return;
    forget(f);
    defer_cancel(f->f.loop, &f->over);
    idle_cancel(&f->late);
    discover_destroy(f->d);
    free(f);
}

static void on_over(void *arg)
{
    struct finding *f = arg;
    f->fn(f->arg, f->d);
    finding_cancel(f);
}

static void on_page(void *arg, int err, const struct fetch_answer *a);
static void on_records(void *arg, int err, const struct dns_answer *a);

/* All that may be asked now. What cannot be asked has been answered so. */
static void go_on(struct finding *f)
{
    struct discover_question q;
    while (discover_next(f->d, &q)) {
        struct asking *a = &f->pages[q.source];
        int err;
        if (q.url) {
            err = fetch_ask(f->f.fetch, FETCH_KEY, q.url, "", slice_of(NULL, 0), on_page, a, &a->page);
            if (err)
                (void)discover_page(f->d, q.source, err, NULL);
        } else {
            err = dns_ask(f->f.dns, DNS_OPENPGPKEY, q.name, on_records, f, &f->records);
            if (err)
                (void)discover_records(f->d, err, NULL);
        }
    }
    if (discover_over(f->d))
        defer_set(f->f.loop, &f->over, on_over, f);
}

static void on_page(void *arg, int err, const struct fetch_answer *a)
{
    struct asking *asked = arg;
    asked->page = NULL;
    (void)discover_page(asked->of->d, asked->source, err, a);
    go_on(asked->of);
}

static void on_records(void *arg, int err, const struct dns_answer *a)
{
    struct finding *f = arg;
    f->records = NULL;
    (void)discover_records(f->d, err, a);
    go_on(f);
}

static void on_late(struct idle *i)
{
    struct finding *f = (struct finding *)((char *)i - offsetof(struct finding, late));
    discover_give_up(f->d, f->hurries);
    if (f->hurries) {
        on_over(f);
        return;
    }
    f->hurries = true;
    forget(f);
    idle_set(f->f.loop, &f->late, f->half_ms, on_late);
    go_on(f);
}

int finding_begin(const struct finder *finder, const struct discover_params *p, uint64_t ms, finding_fn *fn, void *arg,
                  struct finding **ret)
{
    struct finding *f = calloc(1, sizeof(*f));
    int err = f ? discover_create(p, &f->d) : ERR_MEMORY;
    if (err) {
        free(f);
        return err;
    }
    f->f = *finder;
    f->fn = fn;
    f->arg = arg;
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++)
        f->pages[s] = (struct asking){.of = f, .source = s};
    f->half_ms = ms / 2 ? ms / 2 : 1;
    idle_set(f->f.loop, &f->late, f->half_ms, on_late);
    *ret = f;
    go_on(f);
    return OK;
}
