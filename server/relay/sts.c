#include "server/relay/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/base/event.h"
#include "server/core/error.h"

_Static_assert(MTA_STS_ID_MAX == (int)STS_POLICY_ID_MAX && DNS_NAME_MAX < (int)DOMAIN_CAP, "all of it is kept");

struct sts_question {
    TAILQ_ENTRY(sts_question) in_domain;
    struct known *domain;
    sts_fn *fn;
    void *arg;
};
struct known {
    TAILQ_ENTRY(known) in_sts; /* the last ones that were asked for come last */
    struct sts *sts;
    TAILQ_HEAD(, sts_question) questions;
    struct defer answer;
    struct dns_question *record;
    struct fetch_request *page;
    struct mta_sts_policy *policy;      /* or NULL */
    char id[MTA_STS_ID_MAX + 1];        /* of the policy */
    char next[MTA_STS_ID_MAX + 1];      /* of the page that is fetched */
    uint64_t fetched, expires, refresh; /* of the policy, seconds since 1970 */
    uint64_t look, fetch;               /* not before */
    enum sts_fault fault;               /* of the last fetch */
    char name[];
};
struct sts {
    struct loop *loop;
    struct dns *dns;
    struct fetch *pages;
    uint64_t (*now)(void);
    struct sts_shelf shelf;
    TAILQ_HEAD(, known) domains;
    uint32_t n;
};

/* ---- domains ---- */

static bool lives(const struct known *d)
{
    return d->policy && d->expires > d->sts->now();
}

static bool idle(const struct known *d)
{
    return TAILQ_EMPTY(&d->questions) && !d->record && !d->page;
}

static void forget(struct known *d)
{
    struct sts *s = d->sts;
    struct sts_question *q;

    while ((q = TAILQ_FIRST(&d->questions)))
        sts_cancel(q);
    if (d->record)
        dns_cancel(d->record);
    if (d->page)
        fetch_cancel(d->page);
    defer_cancel(s->loop, &d->answer);
    TAILQ_REMOVE(&s->domains, d, in_sts);
    s->n--;
    free(d->policy);
    free(d);
}

static void make_room(struct sts *s)
{
    struct known *d, *victim = NULL;

    if (s->n < STS_DOMAINS_MAX)
        return;
    TAILQ_FOREACH(d, &s->domains, in_sts)
    if (idle(d) && (!victim || !lives(d))) {
        victim = d;
        if (!lives(d))
            break;
    }
    if (victim)
        forget(victim);
}

static struct known *find(struct sts *s, const char *name)
{
    const size_t len = strlen(name) + 1;
    struct known *d;

    TAILQ_FOREACH(d, &s->domains, in_sts)
    if (strcmp(d->name, name) == 0) {
        TAILQ_REMOVE(&s->domains, d, in_sts);
        TAILQ_INSERT_TAIL(&s->domains, d, in_sts);
        return d;
    }
    make_room(s);
    d = s->n < 2 * STS_DOMAINS_MAX ? calloc(1, sizeof(*d) + len) : NULL; /* all of them may be asked for at once */
    if (!d)
        return NULL;
    d->sts = s;
    TAILQ_INIT(&d->questions);
    memcpy(d->name, name, len);
    TAILQ_INSERT_TAIL(&s->domains, d, in_sts);
    s->n++;
    return d;
}

/* ---- answers ---- */

static void answer(void *arg)
{
    struct known *d = arg;
    struct sts_question *q;

    while ((q = TAILQ_FIRST(&d->questions))) {
        TAILQ_REMOVE(&d->questions, q, in_domain);
        if (lives(d))
            q->fn(q->arg, d->policy->mode != MTA_STS_NONE ? d->policy : NULL, STS_FAULT_NONE);
        else
            q->fn(q->arg, NULL, d->fault);
        free(q);
    }
}

static void answer_soon(struct known *d)
{
    defer_set(d->sts->loop, &d->answer, answer, d);
}

/* ---- what is kept (section 5.1) ---- */

static int take(struct known *d, struct slice text, const char *id, uint64_t fetched)
{
    struct mta_sts_policy *p = malloc(sizeof(*p));
    int err;

    if (!p)
        return ERR_MEMORY;
    err = mta_sts_policy_read(text, p);
    if (err != OK) {
        free(p);
        return err;
    }
    free(d->policy);
    d->policy = p;
    d->fetched = fetched;
    d->expires = fetched + p->max_age;
    d->refresh = fetched + (p->max_age / 2 < STS_REFRESH ? p->max_age / 2 : STS_REFRESH);
    memcpy(d->id, id, sizeof(d->id));
    return OK;
}

/* Of this process before its last start, or of another one. */
static void read_kept(struct known *d)
{
    struct sts *s = d->sts;
    struct sts_policy kept;

    if (s->shelf.read(s->shelf.arg, d->name, &kept) != OK || kept.expires <= s->now() ||
        (d->policy && kept.fetched <= d->fetched))
        return;
    (void)take(d, slice_of(kept.text, kept.len), kept.id, kept.fetched);
}

static void write_kept(const struct known *d, struct slice text)
{
    struct sts_policy kept = {.fetched = d->fetched, .expires = d->expires, .len = (uint32_t)text.len};

    if (text.len > sizeof(kept.text))
        return;
    snprintf(kept.domain, sizeof(kept.domain), "%s", d->name);
    memcpy(kept.id, d->id, sizeof(kept.id));
    memcpy(kept.text, text.data, text.len);
    d->sts->shelf.write(d->sts->shelf.arg, &kept);
}

/* ---- the page (section 3.3) ---- */

static int keep(struct known *d, const struct fetch_answer *a)
{
    int err = a->status == 200 ? take(d, a->body, d->next, d->sts->now()) : ERR_NOT_FOUND;

    if (err == OK)
        write_kept(d, a->body);
    if (a->status == 200 && (err == ERR_FORMAT || err == ERR_LIMIT))
        d->fault = STS_FAULT_INVALID;
    return err;
}

static void on_page(void *arg, int err, const struct fetch_answer *a)
{
    struct known *d = arg;

    d->page = NULL;
    d->fault = err == OK ? STS_FAULT_NONE : err == ERR_CRYPTO ? STS_FAULT_WEBPKI : STS_FAULT_FETCH;
    if (err == OK)
        err = keep(d, a);
    if (err != OK && d->fault == STS_FAULT_NONE)
        d->fault = STS_FAULT_FETCH;
    if (err != OK) {
        d->fetch = d->sts->now() + STS_FETCH_AGAIN;
        log_event(sts_unreachable, err);
    }
    answer_soon(d);
}

static void fetch_policy(struct known *d)
{
    static const char where[] = "https://mta-sts.%s/.well-known/mta-sts.txt";
    char url[sizeof(where) + DNS_NAME_MAX];

    snprintf(url, sizeof(url), where, d->name);
    if (fetch_ask(d->sts->pages, FETCH_MTA_STS, url, "", slice_of(NULL, 0), on_page, d, &d->page) != OK) {
        d->page = NULL;
        answer_soon(d);
    }
}

/* ---- the record (section 3.1) ---- */

static bool record_id(const struct dns_answer *a, char id[MTA_STS_ID_MAX + 1])
{
    unsigned n = 0, good = 0;

    for (uint32_t i = 0; i < a->n; i++) {
        const int err = mta_sts_record_read(a->v[i].data, id);
        n += err != ERR_NOT_FOUND;
        good += err == OK;
    }
    return n == 1 && good == 1;
}

static void on_record(void *arg, int err, const struct dns_answer *a)
{
    struct known *d = arg;
    const uint64_t now = d->sts->now();
    const uint32_t ttl = err == OK ? a->ttl : 0;
    const bool says = err == OK && record_id(a, d->next);
    bool same;

    d->record = NULL;
    d->look = now + (ttl < STS_LOOK_MIN ? STS_LOOK_MIN : ttl > STS_LOOK_MAX ? STS_LOOK_MAX : ttl);
    if (err == OK && !says)
        d->fault = STS_FAULT_NONE; /* not any more */
    if (!says || d->page) {
        answer_soon(d);
        return;
    }
    same = lives(d) && strcmp(d->id, d->next) == 0;
    if ((same && d->refresh > now) || d->fetch > now) {
        answer_soon(d);
        return;
    }
    fetch_policy(d);
    if (same)
        answer_soon(d); /* the page may take its time */
}

static void look(struct known *d)
{
    static const char label[] = "_mta-sts.";
    char name[sizeof(label) + DNS_NAME_MAX];

    const bool same = d->page && lives(d) && strcmp(d->id, d->next) == 0;

    if (d->record || (d->page && !same)) /* its answer is this one's too */
        return;
    if (same || d->look > d->sts->now()) {
        answer_soon(d);
        return;
    }
    read_kept(d);
    snprintf(name, sizeof(name), "%s%s", label, d->name);
    if (dns_ask(d->sts->dns, DNS_TXT, name, on_record, d, &d->record) != OK) {
        d->record = NULL;
        answer_soon(d);
    }
}

/* ---- questions ---- */

int sts_find(struct sts *s, const char *domain, sts_fn *fn, void *arg, struct sts_question **ret)
{
    struct sts_question *q = calloc(1, sizeof(*q));
    struct known *d = q ? find(s, domain) : NULL;

    if (!d) {
        free(q);
        return ERR_MEMORY;
    }
    *q = (struct sts_question){.domain = d, .fn = fn, .arg = arg};
    TAILQ_INSERT_TAIL(&d->questions, q, in_domain);
    look(d);
    *ret = q;
    return OK;
}

void sts_cancel(struct sts_question *q)
{
    TAILQ_REMOVE(&q->domain->questions, q, in_domain);
    free(q);
}

struct sts *sts_create(struct loop *l, struct dns *dns, struct fetch *fetch, uint64_t (*now)(void),
                       const struct sts_shelf *shelf)
{
    struct sts *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    *s = (struct sts){.loop = l, .dns = dns, .pages = fetch, .now = now, .shelf = *shelf};
    TAILQ_INIT(&s->domains);
    return s;
}

void sts_destroy(struct sts *s)
{
    struct known *d;

    if (!s)
        return;
    while ((d = TAILQ_FIRST(&s->domains)))
        forget(d);
    free(s);
}
