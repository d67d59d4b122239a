/* The asker's side. Questions wait for a resolver that is being started; those that were sent to one that dies are
 * not asked again, or one that kills it would do so for ever. */
#include "server/dns/dns.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "server/core/error.h"
#include "server/base/ask.h"
#include "server/dns/message.h"

enum {
    OPEN_MAX = 16384,      /* more than the resolver takes of one asker */
    WAIT_MS = 15 * 1000,   /* for a resolver */
    ANSWER_MS = 60 * 1000, /* its own limit is below */
};

struct dns_question {
    LIST_ENTRY(dns_question) in_dns;
    struct dns *dns;
    enum dns_type type;
    uint64_t id;
    dns_fn *fn;
    void *arg;
};

struct dns {
    struct ask *ask;
    LIST_HEAD(, dns_question) questions; /* to be freed with it */
    struct dns_space space;
};

struct dns *dns_create(struct loop *l)
{
    static const struct ask_params p = {
        .peer = ROLE_RESOLVER, .reply = DNS_REPLY, .max = OPEN_MAX, .wait_ms = WAIT_MS, .answer_ms = ANSWER_MS};
    struct dns *d = calloc(1, sizeof(*d));

    if (d)
        d->ask = ask_create(l, &p);
    if (d && d->ask)
        return d;
    free(d);
    return NULL;
}

static void question_free(struct dns_question *q)
{
    LIST_REMOVE(q, in_dns);
    free(q);
}

void dns_destroy(struct dns *d)
{
    if (!d)
        return;
    ask_destroy(d->ask);
    while (!LIST_EMPTY(&d->questions))
        question_free(LIST_FIRST(&d->questions));
    free(d);
}

void dns_channel(struct dns *d, int fd)
{
    ask_channel(d->ask, fd);
}

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct dns_question *q = arg;
    struct dns_space *space = &q->dns->space;
    dns_fn *fn = q->fn;
    void *fn_arg = q->arg;

    if (status == OK)
        status = dns_answer_unpack(body, q->type, space);
    question_free(q);
    fn(fn_arg, status, status == OK ? &space->answer : NULL);
}

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    uint8_t payload[DNS_NAME_MAX + 8];
    char lower[DNS_NAME_MAX + 1];
    struct dns_question *q;
    struct pack p;
    size_t len = strnlen(name, sizeof(lower));
    int err;

    if (len == sizeof(lower))
        return ERR_FORMAT;
    for (size_t i = 0; i <= len; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    if (!dns_name_valid(lower))
        return ERR_FORMAT;
    q = calloc(1, sizeof(*q));
    if (!q)
        return ERR_MEMORY;
    *q = (struct dns_question){.dns = d, .type = type, .fn = fn, .arg = arg};
    pack_init(&p, payload, sizeof(payload));
    pack_u16(&p, (uint16_t)type);
    pack_str(&p, lower);
    err = ask_send(d->ask, DNS_ASK, &p, NULL, 0, 0, on_reply, q, &q->id);
    if (err != OK) {
        free(q);
        return err;
    }
    LIST_INSERT_HEAD(&d->questions, q, in_dns);
    if (ret)
        *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    ask_forget(q->dns->ask, q->id);
    question_free(q);
}
