/* check_host() of RFC 7208 section 4. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/mailauth/iprev.h"
#include "server/mailauth/spf.h"

struct check {
    struct records *records;
    struct spf_macros macros; /* but for the domain */
    unsigned lookups, voids;
    bool waits;          /* an answer is missing: whatever comes out is void */
    int err;             /* ERR_MEMORY */
    const char *problem; /* the first */
    struct slice exp;    /* of the record that failed it; it lies among the answers */
    char exp_domain[SPF_NAME_CAP];
};

static enum auth_result fault(struct check *c, enum auth_result r, const char *what)
{
    if (!c->problem)
        c->problem = what;
    return r;
}

/* ---- what terms have in common ---- */

struct place {
    struct check *c;
    const char *domain; /* whose record it is */
    const struct spf_term *t;
    enum auth_result error; /* AUTH_TEMPERROR, AUTH_PERMERROR; AUTH_NONE: no error */
};

bool spf_in_network(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++)
        if ((address[i / 8] ^ network[i / 8]) & 0x80 >> i % 8)
            return false;
    return true;
}

bool spf_is_below(const char *name, const char *domain)
{
    size_t n = strlen(name), d = strlen(domain);

    return n >= d && strcasecmp(name + n - d, domain) == 0 && (n == d || name[n - d - 1] == '.');
}

/* NULL: there is none, and p->error is set. */
static const struct records_answer *ask(struct place *p, enum records_type type, const char *name)
{
    const struct records_answer *a = records_get(p->c->records, type, name);

    if (a && a->err == OK)
        return a;
    p->c->waits |= !a;
    p->error = fault(p->c, AUTH_TEMPERROR, "a name does not resolve now");
    return NULL;
}

/* Section 4.6.4: answers without records, of which a term's own name may have two. */
static void count_void(struct place *p, const struct records_answer *a)
{
    if (a && a->err == OK && a->n == 0 && ++p->c->voids > SPF_VOID_MAX)
        p->error = fault(p->c, AUTH_PERMERROR, "more than two names have no records");
}

static bool is_there(const struct check *c, const struct records_answer *a, unsigned bits)
{
    for (size_t i = 0; i < a->n; i++)
        if (spf_in_network(c->macros.address, a->v[i].data.data, bits))
            return true;
    return false;
}

static struct iprev_address peer(const struct check *c)
{
    return (struct iprev_address){c->macros.address, c->macros.six};
}

static enum records_type host_type(const struct check *c)
{
    return iprev_host_type(peer(c));
}

static unsigned host_bits(const struct place *p)
{
    return p->c->macros.six ? p->t->bits6 : p->t->bits4;
}

/* ---- mechanisms (section 5) ---- */

static bool match_a(struct place *p, const char *target)
{
    const struct records_answer *a = ask(p, host_type(p->c), target);

    count_void(p, a);
    return a && is_there(p->c, a, host_bits(p));
}

static bool match_mx(struct place *p, const char *target)
{
    const struct records_answer *a = ask(p, RECORDS_MX, target), *hosts;
    bool match = false;

    count_void(p, a);
    if (a && a->n > SPF_HOSTS_MAX) /* section 4.6.4 */
        p->error = fault(p->c, AUTH_PERMERROR, "mx finds more than ten names");
    if (!a || p->error)
        return false;
    for (size_t i = 0; i < a->n; i++) /* all at once */
        p->c->waits |= *a->v[i].name && !records_get(p->c->records, host_type(p->c), a->v[i].name);
    for (size_t i = 0; i < a->n && !match && !p->error; i++)
        match = *a->v[i].name && (hosts = ask(p, host_type(p->c), a->v[i].name)) && is_there(p->c, hosts, host_bits(p));
    return match;
}

static bool match_exists(struct place *p, const char *target)
{
    const struct records_answer *a = ask(p, RECORDS_A, target); /* section 5.7: A, for IPv6 too */

    count_void(p, a);
    return a && a->n;
}

/* Names behind the address that lead back to it (section 5.5), each handed to fn until that says so. */
static bool each_validated(struct check *c, bool (*fn)(void *arg, const char *name), void *arg)
{
    bool waits, found = iprev_each(c->records, peer(c), fn, arg, &waits);

    c->waits |= waits;
    return found;
}

static bool is_below(void *arg, const char *name)
{
    return spf_is_below(name, arg);
}

static bool match_ptr(struct place *p, const char *target)
{
    char below[SPF_NAME_CAP];

    strcpy(below, target);
    count_void(p, iprev_names(p->c->records, peer(p->c)));
    return each_validated(p->c, is_below, below);
}

static enum auth_result judge(struct check *c, const char *domain);

/* Section 5.2. */
static bool match_include(struct place *p, const char *target)
{
    const struct slice exp = p->c->exp;

    switch (judge(p->c, target)) {
    case AUTH_PASS: return true;
    case AUTH_TEMPERROR: p->error = AUTH_TEMPERROR; break;
    case AUTH_NONE: p->error = fault(p->c, AUTH_PERMERROR, "what is included has no SPF record"); break;
    case AUTH_PERMERROR: p->error = AUTH_PERMERROR; break;
    default: break;
    }
    p->c->exp = exp; /* section 6.2: the words of what is included are not used */
    return false;
}

static bool (*const matches[SPF_OTHER + 1])(struct place *p, const char *target) = {
    [SPF_INCLUDE] = match_include, [SPF_A] = match_a,     [SPF_MX] = match_mx,
    [SPF_EXISTS] = match_exists,   [SPF_PTR] = match_ptr,
};

/* ---- macros ---- */

struct validated {
    const char *domain;
    char name[SPF_NAME_CAP];
    enum { NOT_FOUND, ANY, BELOW, SAME } rank;
};

/* Section 7.3: the domain itself before a name below it, before any. */
static bool take_better(void *arg, const char *name)
{
    struct validated *v = arg;
    int rank = strcasecmp(name, v->domain) == 0 ? SAME : spf_is_below(name, v->domain) ? BELOW : ANY;

    if (rank > (int)v->rank) {
        snprintf(v->name, sizeof(v->name), "%s", name);
        v->rank = rank;
    }
    return rank == SAME;
}

/* Macros as they stand for a record of domain, with what p is if a spec wants that. */
static struct spf_macros macros_for(struct check *c, const char *domain, struct slice spec, struct validated *space)
{
    struct spf_macros m = c->macros;

    m.domain = domain;
    if (spf_wants_validated(spec)) {
        *space = (struct validated){.domain = domain, .name = "unknown"};
        each_validated(c, take_better, space);
        m.validated = space->name;
    }
    return m;
}

/* ---- records ---- */

static enum auth_result of_qualifier(char q)
{
    return q == '-' ? AUTH_FAIL : q == '~' ? AUTH_SOFTFAIL : q == '?' ? AUTH_NEUTRAL : AUTH_PASS;
}

static bool one_more_lookup(struct check *c, enum auth_result *error)
{
    if (++c->lookups <= SPF_LOOKUPS_MAX)
        return true;
    *error = fault(c, AUTH_PERMERROR, "more than ten terms ask DNS");
    return false;
}

static bool match_term(struct place *p)
{
    const struct spf_term *t = p->t;
    const struct check *c = p->c;
    char target[SPF_NAME_CAP];
    struct validated space;

    if (t->kind == SPF_ALL)
        return true;
    if (t->kind == SPF_IP4 || t->kind == SPF_IP6)
        return c->macros.six == (t->kind == SPF_IP6) && spf_in_network(c->macros.address, t->address, host_bits(p));
    if (!one_more_lookup(p->c, &p->error))
        return false;
    if (t->domain.len) {
        struct spf_macros m = macros_for(p->c, p->domain, t->domain, &space);
        if (c->waits || spf_expand(&m, t->domain, target) != OK)
            return false; /* section 4.8: it is no name, so it has no records */
    } else
        snprintf(target, sizeof(target), "%s", p->domain);
    return matches[t->kind](p, target);
}

/* Section 6.1. */
static enum auth_result redirect(struct check *c, const char *domain, const struct spf_term *t)
{
    char target[SPF_NAME_CAP];
    struct validated space;
    enum auth_result r;

    if (!one_more_lookup(c, &r))
        return r;
    struct spf_macros m = macros_for(c, domain, t->domain, &space);
    if (c->waits)
        return AUTH_TEMPERROR;
    r = spf_expand(&m, t->domain, target) == OK ? judge(c, target) : AUTH_NONE;
    return r == AUTH_NONE ? fault(c, AUTH_PERMERROR, "what it redirects to has no SPF record") : r;
}

static enum auth_result judge_terms(struct check *c, const char *domain, const struct spf_record *r)
{
    const struct spf_term *other = NULL, *exp = NULL;

    for (size_t i = 0; i < r->n; i++) {
        other = r->v[i].kind == SPF_REDIRECT ? &r->v[i] : other;
        exp = r->v[i].kind == SPF_EXP ? &r->v[i] : exp;
    }
    for (size_t i = 0; i < r->n; i++) {
        struct place p = {c, domain, &r->v[i], AUTH_NONE};
        if (p.t->kind >= SPF_REDIRECT)
            continue;
        bool match = match_term(&p);
        if (c->waits || p.error)
            return p.error;
        if (!match)
            continue;
        c->exp = exp ? exp->domain : (struct slice){0};
        snprintf(c->exp_domain, sizeof(c->exp_domain), "%s", domain);
        return of_qualifier(p.t->qualifier);
    }
    return other ? redirect(c, domain, other) : AUTH_NEUTRAL;
}

static enum auth_result judge_text(struct check *c, const char *domain, struct slice text)
{
    struct spf_record *r = malloc(sizeof(*r));
    enum auth_result result = AUTH_TEMPERROR;
    struct slice bad;

    if (!r)
        c->err = ERR_MEMORY;
    else if (spf_parse(text, r, &bad) == OK)
        result = judge_terms(c, domain, r);
    else
        result = fault(c, AUTH_PERMERROR, "the record is not well-formed");
    free(r);
    return result;
}

/* Sections 4.4 and 4.5. */
static enum auth_result judge(struct check *c, const char *domain)
{
    const struct records_answer *a = records_get(c->records, RECORDS_TXT, domain);
    const struct records_value *found = NULL;

    c->waits |= !a;
    if (!a || a->err != OK)
        return fault(c, AUTH_TEMPERROR, "a name does not resolve now");
    for (size_t i = 0; i < a->n; i++)
        if (spf_is_record(a->v[i].data)) {
            if (found)
                return fault(c, AUTH_PERMERROR, "a name has more than one SPF record");
            found = &a->v[i];
        }
    return found ? judge_text(c, domain, found->data) : AUTH_NONE;
}

/* ---- the whole ---- */

/* Section 6.2: whatever is wrong with it, there are no words then. */
static void explain(struct check *c, char out[SPF_EXPLANATION_CAP])
{
    const struct records_answer *a;
    char target[SPF_NAME_CAP];
    struct validated space;

    out[0] = '\0';
    if (!c->exp.len)
        return;
    struct spf_macros m = macros_for(c, c->exp_domain, c->exp, &space);
    if (c->waits || spf_expand(&m, c->exp, target) != OK)
        return;
    a = records_get(c->records, RECORDS_TXT, target);
    c->waits |= !a;
    if (!a || a->err != OK || a->n != 1)
        return;
    m = macros_for(c, c->exp_domain, a->v[0].data, &space);
    if (c->waits || spf_explain(&m, a->v[0].data, out) != OK)
        out[0] = '\0';
}

/* Section 4.3: a name that has two labels at least. False: whoever sent it has no such domain. */
static bool take_domain(const char *text, char out[SPF_NAME_CAP])
{
    char ascii[DOMAIN_CAP];
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if (text[i] & 0x80) { /* RFC 8616 section 4 */
            if (address_domain_normalize(text, len, ascii) != OK)
                return false;
            text = ascii;
            len = strlen(text);
        }
    if (!records_name_valid(text) || text[0] == '[')
        return false;
    len -= text[len - 1] == '.';
    memcpy(out, text, len);
    out[len] = '\0';
    return strchr(out, '.') != NULL;
}

int spf_check(const struct spf_question *q, struct records *r, struct spf_verdict *ret)
{
    const char *at = strrchr(q->sender, '@');
    const struct iprev_address address = iprev_address_of(q->address, q->six); /* section 5 */
    struct check c = {.records = r};
    struct spf_verdict v = {.of_helo = !*q->sender};
    char local[ADDRESS_MAX] = "postmaster", domain[SPF_NAME_CAP]; /* section 4.3, if there is none */

    if (!take_domain(v.of_helo ? q->helo : at ? at + 1 : q->sender, domain)) {
        *ret = v;
        return OK;
    }
    if (at && at > q->sender)
        snprintf(local, sizeof(local), "%.*s", (int)(at - q->sender), q->sender);
    c.macros = (struct spf_macros){.local = local,
                                   .sender_domain = domain,
                                   .helo = q->helo,
                                   .validated = "unknown",
                                   .address = address.octets,
                                   .six = address.six,
                                   .receiver = q->receiver,
                                   .now = q->now};
    strcpy(v.domain, domain);
    v.result = judge(&c, domain);
    if (!c.waits && c.err == OK && v.result == AUTH_FAIL)
        explain(&c, v.explanation);
    if (c.waits || c.err != OK)
        return c.err != OK ? c.err : ERR_AGAIN;
    v.problem = v.result == AUTH_TEMPERROR || v.result == AUTH_PERMERROR ? c.problem : NULL;
    *ret = v;
    return OK;
}
