#include "server/resolver/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/resolver/answer.h"

enum { BUCKETS = 1024, CLASS_IN = 1, BOGUS = 1, SECURE = 2 /* as unbound-event.h has them */ };

struct question {
    struct question *next, **at;            /* of its asker that waits, or of its lookup */
    struct question *sibling, **sibling_at; /* all of its asker */
    struct asker *asker;
    uint64_t id;
    struct idle idle;
    bool waits;
    uint16_t type;
    char name[]; /* while it waits */
};

struct asker {
    struct asker *next; /* a ring */
    struct lookups *all;
    struct ipc *ipc;
    struct question *first, **tail; /* that wait */
    struct question *questions;
    unsigned n;
    bool deaf; /* it leaves answers unread */
};

struct upstream {
    struct upstream *next;
    struct ub_ctx *ub;
    unsigned running;
};

struct lookup {
    struct lookup *next; /* in its bucket */
    struct lookups *all;
    struct upstream *up;
    struct question *questions; /* that it answers; none: all are gone */
    uint16_t type;
    char name[];
};

struct lookups {
    struct loop *loop;
    struct upstream *up; /* the present one, then former ones whose lookups still run */
    struct asker *turn;  /* whose turn is next */
    struct lookup *buckets[BUCKETS];
    struct defer begin; /* more of what waits, and no upstream that is done with */
    struct lookup_counts counts;
    struct dns_space space;
};

static void answer(struct question *q, int status, enum dns_type type, const struct dns_answer *a)
{
    static uint8_t out[IPC_MAX];
    struct asker *asker = q->asker;
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    if (status == OK)
        dns_answer_pack(&p, type, a);
    if (p.failed) {
        pack_init(&p, out, sizeof(out));
        pack_u32(&p, (uint32_t)-ERR_LIMIT);
        pack_str(&p, "");
    }
    asker->deaf |= ipc_send(asker->ipc, DNS_REPLY, q->id, out, p.len, NULL, 0) != OK;
}

static void question_unlink(struct question *q)
{
    *q->at = q->next;
    if (q->next)
        q->next->at = q->at;
    else if (q->waits)
        q->asker->tail = q->at;
    if (q->waits)
        q->asker->all->counts.waiting--;
    q->waits = false;
}

static void question_free(struct question *q)
{
    question_unlink(q);
    *q->sibling_at = q->sibling;
    if (q->sibling)
        q->sibling->sibling_at = q->sibling_at;
    q->asker->n--;
    idle_cancel(&q->idle);
    free(q);
}

static void question_end(struct question *q, int status, enum dns_type type, const struct dns_answer *a)
{
    answer(q, status, type, a);
    question_free(q);
}

static void question_late(struct idle *i)
{
    struct question *q = (struct question *)(void *)((char *)i - offsetof(struct question, idle));

    q->asker->all->counts.timeouts++;
    question_end(q, ERR_TIMEOUT, 0, NULL);
}

static struct lookup **bucket_of(struct lookups *s, unsigned type, const char *name)
{
    uint32_t h = 2166136261U ^ type; /* FNV-1a: at most LOOKUPS_MAX are here, whatever a stranger makes us ask */

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619U;
    return &s->buckets[h % BUCKETS];
}

static struct lookup *lookup_find(struct lookups *s, unsigned type, const char *name)
{
    struct lookup *l = *bucket_of(s, type, name);

    while (l && (l->up != s->up || l->type != type || strcmp(l->name, name) != 0))
        l = l->next;
    return l;
}

static void lookup_join(struct lookup *l, struct question *q)
{
    q->next = l->questions;
    q->at = &l->questions;
    if (q->next)
        q->next->at = &q->next;
    l->questions = q;
}

static void begin_some(void *arg);

static void lookup_end(struct lookup *l, int status, const struct dns_answer *a)
{
    struct lookups *s = l->all;
    struct lookup **at = bucket_of(s, l->type, l->name);

    while (l->questions)
        question_end(l->questions, status, l->type, a);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->up->running--;
    s->counts.under_way--;
    free(l);
    defer_set(s->loop, &s->begin, begin_some, s);
}

/* libunbound's word: at any time, also before ub_resolve_event returns. */
static void on_answer(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
    struct lookup *l = arg;
    struct lookups *s = l->all;
    int err = rcode || len < 0 || !packet ? ERR_AGAIN : sec == BOGUS ? ERR_CRYPTO : OK;

    if (err == OK)
        err = answer_read(packet, (size_t)len, l->type, l->name, &s->space);
    if (err == OK)
        s->space.answer.trust = sec == SECURE ? DNS_SECURE : DNS_INSECURE;
    s->counts.servfail += err == ERR_AGAIN;
    s->counts.bogus += err == ERR_CRYPTO;
    if (err == ERR_CRYPTO)
        log_event(dns_bogus);
    lookup_end(l, err, err == OK ? &s->space.answer : NULL);
}

static struct lookup *lookup_create(struct lookups *s, const struct question *q)
{
    size_t len = strlen(q->name) + 1;
    struct lookup *l = calloc(1, sizeof(*l) + len);
    struct lookup **bucket = bucket_of(s, q->type, q->name);

    if (!l)
        return NULL;
    l->all = s;
    l->up = s->up;
    l->type = q->type;
    memcpy(l->name, q->name, len);
    l->next = *bucket;
    *bucket = l;
    l->up->running++;
    s->counts.under_way++;
    s->counts.lookups++;
    return l;
}

static struct question *next_question(struct lookups *s)
{
    struct asker *a = s->turn;

    if (!a)
        return NULL;
    do {
        a = a->next;
        if (a->first) {
            s->turn = a;
            return a->first;
        }
    } while (a != s->turn);
    return NULL;
}

static void upstreams_end(struct lookups *s)
{
    for (struct upstream **at = &s->up->next, *u; (u = *at);) {
        if (u->running) {
            at = &u->next;
            continue;
        }
        *at = u->next;
        ub_ctx_delete(u->ub);
        free(u);
    }
}

/* libunbound reads a backslash as the beginning of an escape. */
static void escape(const char *name, char out[2 * DNS_NAME_MAX + 1])
{
    for (; *name; name++) {
        if (*name == '\\')
            *out++ = '\\';
        *out++ = *name;
    }
    *out = '\0';
}

static int resolve(struct lookup *l)
{
    char name[2 * DNS_NAME_MAX + 1];

    escape(l->name, name);
    return ub_resolve_event(l->up->ub, name, l->type, CLASS_IN, l, on_answer, NULL);
}

static void begin_some(void *arg)
{
    struct lookups *s = arg;
    struct question *q;

    upstreams_end(s);
    while (s->counts.under_way < LOOKUPS_MAX && (q = next_question(s))) {
        struct lookup *l = lookup_find(s, q->type, q->name);
        bool fresh = !l;

        if (fresh)
            l = lookup_create(s, q);
        if (!l) {
            question_end(q, ERR_MEMORY, 0, NULL);
            continue;
        }
        question_unlink(q);
        lookup_join(l, q);
        if (fresh && resolve(l) != 0)
            lookup_end(l, ERR_MEMORY, NULL);
    }
}

static int refuse(struct asker *a, uint64_t id)
{
    struct question q = {.asker = a, .id = id};

    a->all->counts.refused++;
    log_event(dns_refused);
    answer(&q, ERR_AGAIN, 0, NULL);
    return OK;
}

int asker_ask(struct asker *a, uint64_t id, struct slice payload)
{
    struct lookups *s = a->all;
    char name[DNS_NAME_MAX + 1];
    struct question *q;
    struct unpack u;
    uint16_t type;
    size_t len;

    unpack_init(&u, payload.data, payload.len);
    type = unpack_u16(&u);
    unpack_str(&u, name, sizeof(name));
    if (!unpack_done(&u) || !dns_type_known(type) || !dns_name_valid(name))
        return ERR_FORMAT;
    if (a->deaf)
        return ERR_GONE;
    s->counts.questions++;
    len = strlen(name) + 1;
    q = a->n < QUESTIONS_MAX ? calloc(1, sizeof(*q) + len) : NULL;
    if (!q)
        return refuse(a, id);
    q->asker = a;
    q->id = id;
    q->type = type;
    memcpy(q->name, name, len);
    q->sibling = a->questions;
    q->sibling_at = &a->questions;
    if (q->sibling)
        q->sibling->sibling_at = &q->sibling;
    a->questions = q;
    a->n++;
    q->at = a->tail;
    *a->tail = q;
    a->tail = &q->next;
    q->waits = true;
    s->counts.waiting++;
    idle_set(s->loop, &q->idle, ANSWER_MS_MAX, question_late);
    begin_some(s);
    return OK;
}

int asker_create(struct lookups *s, struct ipc *c, struct asker **ret)
{
    struct asker *a = calloc(1, sizeof(*a));

    if (!a)
        return ERR_MEMORY;
    a->all = s;
    a->ipc = c;
    a->tail = &a->first;
    a->next = s->turn ? s->turn->next : a;
    if (s->turn)
        s->turn->next = a;
    else
        s->turn = a;
    *ret = a;
    return OK;
}

void asker_destroy(struct asker *a)
{
    struct lookups *s = a->all;
    struct asker *before = a;

    while (a->questions)
        question_free(a->questions);
    while (before->next != a)
        before = before->next;
    before->next = a->next;
    if (s->turn == a)
        s->turn = before == a ? NULL : before;
    free(a);
}

int lookups_upstream(struct lookups *s, struct ub_ctx *upstream)
{
    struct upstream *u = calloc(1, sizeof(*u));

    if (!u)
        return ERR_MEMORY;
    u->ub = upstream;
    u->next = s->up;
    s->up = u;
    s->counts.caches++;
    defer_set(s->loop, &s->begin, begin_some, s);
    return OK;
}

struct lookups *lookups_create(struct loop *l, struct ub_ctx *upstream)
{
    struct lookups *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->loop = l;
    if (lookups_upstream(s, upstream) != OK) {
        free(s);
        return NULL;
    }
    return s;
}

void lookups_destroy(struct lookups *s)
{
    if (!s)
        return;
    bug_if(s->turn);
    defer_cancel(s->loop, &s->begin);
    for (struct upstream *u; (u = s->up);) {
        s->up = u->next;
        ub_ctx_delete(u->ub); /* calls nobody */
        free(u);
    }
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct lookup *l; (l = s->buckets[i]);) {
            s->buckets[i] = l->next;
            free(l);
        }
    free(s);
}

struct lookup_counts lookups_counts(const struct lookups *s)
{
    return s->counts;
}
