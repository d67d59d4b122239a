/* The asker's side. Questions wait for a fetcher that is being started; those that were sent to one that dies are not
 * asked again, or one that kills it would do so for ever. */
#include "server/fetch/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/error.h"
#include "server/base/ask.h"
#include "server/fetch/message.h"

enum {
    OPEN_MAX = 2048,        /* more than the fetcher takes of one asker */
    WAIT_MS = 15 * 1000,    /* for a fetcher */
    ANSWER_MS = 330 * 1000, /* the most that fetch_timeout may be, and some */
};

struct fetch_request {
    LIST_ENTRY(fetch_request) in_fetch;
    struct fetch *fetch;
    enum fetch_kind kind;
    uint64_t id;
    fetch_fn *fn;
    void *arg;
};

struct fetch {
    struct ask *ask;
    LIST_HEAD(, fetch_request) requests; /* to be freed with it */
};

struct fetch *fetch_create(struct loop *l)
{
    static const struct ask_params p = {.peer = ROLE_FETCHER,
                                        .reply = FETCH_REPLY,
                                        .max = OPEN_MAX,
                                        .wait_ms = WAIT_MS,
                                        .answer_ms = ANSWER_MS,
                                        .forget = FETCH_FORGET};
    struct fetch *f = calloc(1, sizeof(*f));

    if (f)
        f->ask = ask_create(l, &p);
    if (f && f->ask)
        return f;
    free(f);
    return NULL;
}

static void request_free(struct fetch_request *q)
{
    LIST_REMOVE(q, in_fetch);
    free(q);
}

void fetch_destroy(struct fetch *f)
{
    if (!f)
        return;
    ask_destroy(f->ask);
    while (!LIST_EMPTY(&f->requests))
        request_free(LIST_FIRST(&f->requests));
    free(f);
}

void fetch_channel(struct fetch *f, int fd)
{
    ask_channel(f->ask, fd);
}

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct fetch_request *q = arg;
    struct fetch_answer answer;
    char type[FETCH_TYPE_MAX + 1];
    fetch_fn *fn = q->fn;
    void *fn_arg = q->arg;

    if (status == OK)
        status = fetch_answer_unpack(body, q->kind, type, &answer);
    request_free(q);
    fn(fn_arg, status, status == OK ? &answer : NULL);
}

static int send(struct fetch *f, const struct fetch_question *q, struct fetch_request *r)
{
    uint8_t *out = malloc(IPC_MAX);
    struct pack p;
    int err;

    if (!out)
        return ERR_MEMORY;
    pack_init(&p, out, IPC_MAX);
    fetch_question_pack(&p, q);
    err = ask_send(f->ask, FETCH_ASK, &p, NULL, 0, 0, on_reply, r, &r->id);
    free(out);
    return err;
}

int fetch_ask(struct fetch *f, enum fetch_kind kind, const char *url, const char *type, struct slice body, fetch_fn *fn,
              void *arg, struct fetch_request **ret)
{
    struct fetch_question q = {.kind = kind, .body = body};
    struct fetch_request *r;
    int err;

    if (strlen(url) > FETCH_URL_MAX || strlen(type) > FETCH_TYPE_MAX)
        return ERR_FORMAT;
    memcpy(q.url, url, strlen(url) + 1);
    memcpy(q.type, type, strlen(type) + 1);
    err = fetch_question_check(&q);
    if (err != OK)
        return err;
    r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_MEMORY;
    *r = (struct fetch_request){.fetch = f, .kind = kind, .fn = fn, .arg = arg};
    err = send(f, &q, r);
    if (err != OK) {
        free(r);
        return err;
    }
    LIST_INSERT_HEAD(&f->requests, r, in_fetch);
    if (ret)
        *ret = r;
    return OK;
}

void fetch_cancel(struct fetch_request *q)
{
    ask_forget(q->fetch->ask, q->id);
    request_free(q);
}
