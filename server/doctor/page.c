/* A page from a web server, while everything else waits. */
#include <string.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"

enum { PAGE_MS = 20 * 1000 };

struct fetching {
    struct doctor *d;
    struct fetch_request *request; /* NULL: it has ended */
    struct doctor_page *page;
    int err;
};

static void on_page(void *arg, int err, const struct fetch_answer *a)
{
    struct fetching *f = arg;

    f->request = NULL;
    f->err = err;
    if (err == OK && a->body.len > sizeof(f->page->text))
        f->err = ERR_LIMIT;
    if (f->err == OK) {
        f->page->status = a->status;
        f->page->len = a->body.len;
        if (a->body.len)
            memcpy(f->page->text, a->body.data, a->body.len);
    }
    loop_stop(f->d->loop);
}

int doctor_fetch(struct doctor *d, enum fetch_kind kind, const char *url, struct doctor_page *ret)
{
    struct fetching f = {.d = d, .page = ret};
    int err = fetch_ask(d->fetch, kind, url, "", slice_of("", 0), on_page, &f, &f.request);

    if (err != OK)
        return err;
    timer_set(d->late, PAGE_MS);
    err = loop_run(d->loop);
    if (f.request) {
        fetch_cancel(f.request);
        return ERR_TIMEOUT;
    }
    return err == OK ? f.err : err;
}
