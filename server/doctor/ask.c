/* Questions to a resolver, one after another, and what was answered. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"

enum {
    ANSWER_MS = 10 * 1000,
    SILENT_MANY = 4, /* questions without an answer: a zone is not there, and it has many names */
    ANSWER_MS_LATER = 2 * 1000,
};

struct doctor_answer {
    struct doctor_answer *next;
    enum dns_type type;
    char name[DNS_NAME_MAX + 1];
    int err;
    struct dns_answer a;
    char *text; /* canonical, names, data */
    struct dns_record v[];
};

struct asking {
    struct doctor *d;
    struct dns_question *question; /* NULL: it has ended */
    struct doctor_answer *got;
    int err;
};

/* Behind what is kept, with a NUL. */
static char *keep(char **at, const void *data, size_t len)
{
    char *begin = *at;

    if (len)
        memcpy(begin, data, len);
    begin[len] = '\0';
    *at += len + 1;
    return begin;
}

static struct doctor_answer *copy(const struct dns_answer *a)
{
    size_t octets = strlen(a->canonical) + 1;
    struct doctor_answer *got;
    char *at;

    for (uint32_t i = 0; i < a->n; i++)
        octets += (a->v[i].name ? strlen(a->v[i].name) + 1 : 0) + a->v[i].data.len + 1;
    got = calloc(1, sizeof(*got) + a->n * sizeof(*got->v));
    if (got && !(got->text = malloc(octets))) {
        free(got);
        return NULL;
    }
    if (!got)
        return NULL;
    at = got->text;
    got->a = *a;
    got->a.v = got->v;
    got->a.canonical = keep(&at, a->canonical, strlen(a->canonical));
    for (uint32_t i = 0; i < a->n; i++) {
        got->v[i] = a->v[i];
        if (a->v[i].name)
            got->v[i].name = keep(&at, a->v[i].name, strlen(a->v[i].name));
        got->v[i].data.data = (const uint8_t *)keep(&at, a->v[i].data.data, a->v[i].data.len);
    }
    return got;
}

static void on_answer(void *arg, int err, const struct dns_answer *a)
{
    struct asking *q = arg;

    q->question = NULL;
    q->err = err;
    q->got = err == OK ? copy(a) : calloc(1, sizeof(*q->got));
    if (--q->d->open == 0)
        loop_stop(q->d->loop);
}

void doctor_late(void *arg)
{
    struct doctor *d = arg;

    loop_stop(d->loop);
}

static void begin(struct doctor *d, struct asking *q, const struct doctor_question *asked)
{
    *q = (struct asking){.d = d};
    q->err = dns_ask(d->dns, asked->type, asked->name, on_answer, q, &q->question);
    d->open += q->err == OK;
}

/* Into what is kept. */
static void end(struct doctor *d, struct asking *q, const struct doctor_question *asked)
{
    if (q->question) {
        dns_cancel(q->question);
        q->err = ERR_TIMEOUT;
    }
    if (!q->got && !(q->got = calloc(1, sizeof(*q->got))))
        return;
    q->got->err = q->err == OK && !q->got->text ? ERR_MEMORY : q->err;
    q->got->type = asked->type;
    snprintf(q->got->name, sizeof(q->got->name), "%s", asked->name);
    q->got->next = d->answers;
    d->answers = q->got;
    if (q->err == OK || q->err == ERR_CRYPTO)
        d->answered = true;
    else if (q->err != ERR_FORMAT)
        d->silent++;
}

void doctor_ask_all(struct doctor *d, const struct doctor_question *asked, size_t n)
{
    struct asking q[DOCTOR_QUESTIONS_MAX];

    d->open = 0;
    for (size_t i = 0; i < n; i++)
        begin(d, &q[i], &asked[i]);
    timer_set(d->late, d->silent < SILENT_MANY ? ANSWER_MS : ANSWER_MS_LATER);
    if (d->open)
        (void)loop_run(d->loop);
    for (size_t i = 0; i < n; i++)
        end(d, &q[i], &asked[i]);
}

static struct doctor_answer *find(struct doctor *d, enum dns_type type, const char *name)
{
    struct doctor_answer *got = d->answers;

    while (got && (got->type != type || strcmp(got->name, name) != 0))
        got = got->next;
    return got;
}

const struct dns_answer *doctor_ask(struct doctor *d, enum dns_type type, const char *name, int *ret_err)
{
    const struct doctor_question q = {type, name};
    struct doctor_answer *got = find(d, type, name);

    *ret_err = ERR_AGAIN;
    if (!got && !d->answered)
        return NULL; /* nobody answered what was asked first */
    if (!got) {
        doctor_ask_all(d, &q, 1);
        got = find(d, type, name);
    }
    *ret_err = got ? got->err : ERR_MEMORY;
    return got && got->err == OK ? &got->a : NULL;
}

void doctor_forget(struct doctor *d)
{
    for (struct doctor_answer *got; (got = d->answers);) {
        d->answers = got->next;
        free(got->text);
        free(got);
    }
}

static const char *type_name(enum dns_type type)
{
    static const struct {
        enum dns_type type;
        const char *name;
    } names[] = {{DNS_A, "A"},     {DNS_AAAA, "AAAA"}, {DNS_NS, "NS"},   {DNS_PTR, "PTR"}, {DNS_MX, "MX"},
                 {DNS_TXT, "TXT"}, {DNS_TLSA, "TLSA"}, {DNS_CAA, "CAA"}, {DNS_SRV, "SRV"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (names[i].type == type)
            return names[i].name;
    return "?";
}

void doctor_say_silence(struct doctor *d, enum dns_type type, const char *name, int err)
{
    if (err == ERR_CRYPTO)
        doctor_say(d, DOCTOR_FAIL, "",
                   "sign the zone anew; does the DS record above it fit its key, and is this machine's clock right?",
                   "%s %s: its signatures do not hold (DNSSEC), so whoever validates takes it for not there", name,
                   type_name(type));
    else if (err == ERR_FORMAT)
        doctor_say(d, DOCTOR_FAIL, "", "correct the name", "%s is no name that DNS can be asked for", name);
    else if (d->answered)
        doctor_say(d, DOCTOR_FAIL, "", "look at the zone's name servers: mail waits until they answer",
                   "%s %s: no name server answers (%s)", name, type_name(type), err_str(err));
    else
        doctor_say(d, DOCTOR_UNKNOWN, "",
                   "let UDP and TCP to port 53 out, or name servers that may be asked in dns_server",
                   "%s %s: DNS does not answer at all (%s)", name, type_name(type), err_str(err));
}

const struct dns_answer *doctor_ask_or_say(struct doctor *d, enum dns_type type, const char *name)
{
    int err;
    const struct dns_answer *a = doctor_ask(d, type, name, &err);

    if (!a)
        doctor_say_silence(d, type, name, err);
    return a;
}

size_t doctor_texts(const struct dns_answer *a, bool (*is_one)(struct slice txt), struct slice *ret)
{
    size_t n = 0;

    for (uint32_t i = 0; i < a->n; i++)
        if (is_one(a->v[i].data) && n++ == 0)
            *ret = a->v[i].data;
    return n;
}

size_t doctor_addresses(struct doctor *d, const char *name, struct doctor_address *out, size_t max)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    size_t n = 0;
    int err;

    for (size_t k = 0; k < 2; k++) {
        const struct dns_answer *a = doctor_ask(d, types[k], name, &err);
        for (uint32_t i = 0; a && i < a->n && n < max; i++, n++) {
            out[n] = (struct doctor_address){.six = types[k] == DNS_AAAA};
            memcpy(out[n].octets, a->v[i].data.data, a->v[i].data.len);
            inet_ntop(out[n].six ? AF_INET6 : AF_INET, out[n].octets, out[n].text, sizeof(out[n].text));
        }
    }
    return n;
}

bool doctor_address_is(const struct doctor_address *a, const struct doctor_address *b)
{
    return a->six == b->six && memcmp(a->octets, b->octets, a->six ? 16 : 4) == 0;
}
