#include "server/fetcher/desk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/base/event.h"

enum { FAMILY_MAX = WEB_ADDRESSES_MAX / 2, NAMES = 2 /* A and AAAA */ };

struct job {
    TAILQ_ENTRY(job) next;
    struct desk_asker *asker;
    uint64_t id;
    struct idle idle;
    bool runs; /* and does not wait */
    const struct fetch_kind_row *kind;
    CURLU *url;
    char host[GUARD_HOST_MAX + 1];
    struct dns_question *names[NAMES];
    unsigned unanswered; /* of the names */
    int names_err;       /* why one has no answer */
    bool forbidden;      /* an address is */
    union web_address to[WEB_ADDRESSES_MAX];
    size_t nto;
    struct web_transfer *transfer;
    char type[FETCH_TYPE_MAX + 1];
    size_t body_len;
    uint8_t body[];
};

struct desk_asker {
    struct desk *desk;
    struct ipc *ipc;
    unsigned n, runs;
    bool deaf; /* it leaves answers unread */
};

struct desk {
    struct loop *loop;
    struct web *web;
    struct dns *dns;
    const struct guard *guard;
    uint32_t seconds;
    unsigned naskers;
    TAILQ_HEAD(, job) jobs; /* in the order of asking */
    struct defer begin;
    struct desk_counts counts;
};

static void answer(struct desk_asker *a, uint64_t id, int status, const struct fetch_answer *body)
{
    static uint8_t out[IPC_MAX];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    if (status == OK)
        fetch_answer_pack(&p, body);
    bug_if(p.failed);
    a->deaf |= ipc_send(a->ipc, FETCH_REPLY, id, out, p.len, NULL, 0) != OK;
}

static void count_end(struct desk_counts *n, int status)
{
    const bool denied = status == ERR_DENIED || status == ERR_MOVED;

    n->answers += status == OK;
    n->denied += denied;
    n->too_large += status == ERR_LIMIT;
    n->tls_failed += status == ERR_CRYPTO;
    n->timeouts += status == ERR_TIMEOUT;
    n->failed += status != OK && !denied && status != ERR_LIMIT && status != ERR_CRYPTO && status != ERR_TIMEOUT;
    if (denied)
        log_event(fetch_denied);
}

static void begin_some(void *arg);

static void job_free(struct job *j)
{
    struct desk *d = j->asker->desk;

    for (size_t i = 0; i < NAMES; i++)
        if (j->names[i])
            dns_cancel(j->names[i]);
    if (j->transfer)
        web_cancel(j->transfer);
    TAILQ_REMOVE(&d->jobs, j, next);
    idle_cancel(&j->idle);
    j->asker->n--;
    j->asker->runs -= j->runs;
    d->counts.under_way -= j->runs;
    d->counts.waiting -= !j->runs;
    curl_url_cleanup(j->url);
    free(j);
    defer_set(d->loop, &d->begin, begin_some, d);
}

static void job_end(struct job *j, int status, const struct fetch_answer *a)
{
    count_end(&j->asker->desk->counts, status);
    answer(j->asker, j->id, status, a);
    job_free(j);
}

static void job_late(struct idle *i)
{
    struct job *j = (struct job *)(void *)((char *)i - offsetof(struct job, idle));

    job_end(j, j->runs ? ERR_TIMEOUT : ERR_AGAIN, NULL);
}

static void on_fetched(void *arg, int err, const struct fetch_answer *a)
{
    struct job *j = arg;

    j->transfer = NULL;
    job_end(j, err, a);
}

static void fetch(struct job *j)
{
    struct desk *d = j->asker->desk;
    const struct web_request q = {.kind = j->kind,
                                  .host = j->host,
                                  .url = j->url,
                                  .type = j->type,
                                  .body = slice_of(j->body, j->body_len),
                                  .to = j->to,
                                  .nto = j->nto,
                                  .connect_ms = d->seconds * 500};
    int err = j->forbidden ? ERR_DENIED : j->nto ? OK : j->names_err != OK ? ERR_AGAIN : ERR_NOT_FOUND;

    if (err == OK)
        err = web_begin(d->web, &q, on_fetched, j, &j->transfer) == OK ? OK : ERR_AGAIN;
    if (err != OK)
        job_end(j, err, NULL);
}

/* One address that is forbidden forbids all: a name that leads both here and out is nobody's by mistake. */
static void take_addresses(struct job *j, const struct dns_answer *a, sa_family_t family)
{
    const size_t len = family == AF_INET ? 4 : 16;
    size_t taken = 0;
    uint16_t port;

    for (uint32_t i = 0; i < a->n; i++) {
        union web_address *to = &j->to[j->nto];

        if (!guard_address(j->asker->desk->guard, a->v[i].data.data, len, &port)) {
            j->forbidden = true;
            return;
        }
        if (taken == FAMILY_MAX)
            continue;
        *to = (union web_address){.any.sa_family = family};
        memcpy(family == AF_INET ? (void *)&to->v4.sin_addr : &to->v6.sin6_addr, a->v[i].data.data, len);
        *(family == AF_INET ? &to->v4.sin_port : &to->v6.sin6_port) = htons(port);
        j->nto++;
        taken++;
    }
}

static void on_name(struct job *j, int err, const struct dns_answer *a, sa_family_t family)
{
    j->names[family == AF_INET6] = NULL;
    if (err == OK)
        take_addresses(j, a, family);
    else
        j->names_err = err;
    if (--j->unanswered == 0)
        fetch(j);
}

static void on_v4(void *arg, int err, const struct dns_answer *a)
{
    on_name(arg, err, a, AF_INET);
}

static void on_v6(void *arg, int err, const struct dns_answer *a)
{
    on_name(arg, err, a, AF_INET6);
}

/* The one look-up: what it says is checked, connected to, and not asked for again. */
static void job_begin(struct job *j)
{
    struct desk *d = j->asker->desk;

    j->runs = true;
    j->asker->runs++;
    d->counts.under_way++;
    d->counts.waiting--;
    j->unanswered = NAMES;
    if (dns_ask(d->dns, DNS_A, j->host, on_v4, j, &j->names[0]) != OK ||
        dns_ask(d->dns, DNS_AAAA, j->host, on_v6, j, &j->names[1]) != OK)
        job_end(j, ERR_AGAIN, NULL);
}

static bool may_begin(const struct desk *d, const struct job *j)
{
    const struct job *other;
    unsigned here = 0;

    if (j->runs || j->asker->runs == DESK_RUN_ASKER_MAX)
        return false;
    TAILQ_FOREACH(other, &d->jobs, next)
    here += other->runs && strcmp(other->host, j->host) == 0;
    return here < DESK_RUN_HOST_MAX;
}

static void begin_some(void *arg)
{
    struct desk *d = arg;
    for (struct job *j = TAILQ_FIRST(&d->jobs), *after; j && d->counts.under_way < DESK_RUN_MAX; j = after) {
        after = TAILQ_NEXT(j, next);
        if (may_begin(d, j))
            job_begin(j);
    }
}

static struct job *job_create(struct desk_asker *a, uint64_t id, const struct fetch_question *q)
{
    struct desk *d = a->desk;
    struct job *j = a->n < DESK_QUESTIONS_MAX ? calloc(1, sizeof(*j) + q->body.len) : NULL;

    if (!j)
        return NULL;
    j->asker = a;
    j->id = id;
    j->kind = fetch_kind_row(q->kind);
    memcpy(j->type, q->type, sizeof(j->type));
    if (q->body.len)
        memcpy(j->body, q->body.data, q->body.len);
    j->body_len = q->body.len;
    TAILQ_INSERT_TAIL(&d->jobs, j, next);
    a->n++;
    d->counts.waiting++;
    idle_set(d->loop, &j->idle, (uint64_t)d->seconds * 1000, job_late);
    return j;
}

int desk_ask(struct desk_asker *a, uint64_t id, struct slice payload)
{
    struct desk *d = a->desk;
    struct fetch_question q;
    struct unpack u;
    struct job *j;
    int err;

    unpack_init(&u, payload.data, payload.len);
    if (fetch_question_unpack(&u, &q) != OK)
        return ERR_FORMAT;
    if (a->deaf)
        return ERR_GONE;
    d->counts.fetches++;
    j = job_create(a, id, &q);
    if (!j) {
        d->counts.refused++;
        log_event(fetch_refused);
        answer(a, id, ERR_AGAIN, NULL);
        return OK;
    }
    err = guard_url(q.url, &j->url, j->host);
    if (err != OK)
        job_end(j, err == ERR_DENIED ? ERR_DENIED : ERR_AGAIN, NULL);
    else
        defer_set(d->loop, &d->begin, begin_some, d);
    return OK;
}

int desk_forget(struct desk_asker *a, uint64_t id, struct slice payload)
{
    struct job *j;

    if (payload.len)
        return ERR_FORMAT;
    TAILQ_FOREACH(j, &a->desk->jobs, next)
    if (j->asker == a && j->id == id)
        break;
    if (j)
        job_end(j, ERR_TIMEOUT, NULL);
    return OK;
}

struct desk_asker *desk_asker_create(struct desk *d, struct ipc *c)
{
    struct desk_asker *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    *a = (struct desk_asker){.desk = d, .ipc = c};
    d->naskers++;
    return a;
}

void desk_asker_destroy(struct desk_asker *a)
{
    if (!a)
        return;
    for (struct job *j = TAILQ_FIRST(&a->desk->jobs), *after; j; j = after) {
        after = TAILQ_NEXT(j, next);
        if (j->asker == a)
            job_free(j);
    }
    a->desk->naskers--;
    free(a);
}

struct desk *desk_create(struct loop *l, struct web *w, struct dns *d, const struct guard *g, uint32_t seconds)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    if (!desk)
        return NULL;
    *desk = (struct desk){.loop = l, .web = w, .dns = d, .guard = g, .seconds = seconds};
    TAILQ_INIT(&desk->jobs);
    return desk;
}

void desk_destroy(struct desk *d)
{
    if (!d)
        return;
    bug_if(d->naskers);
    defer_cancel(d->loop, &d->begin);
    free(d);
}

void desk_timeout(struct desk *d, uint32_t seconds)
{
    d->seconds = seconds;
}

struct desk_counts desk_counts(const struct desk *d)
{
    return d->counts;
}
