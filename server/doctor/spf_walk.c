#include "server/doctor/spf_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { LOOKUPS_STOP = 40 /* more is of no interest, and records may include each other */ };

static enum auth_result fault(struct spf_walk *w, enum auth_result r, const char *what, const char *domain,
                              struct slice term)
{
    if (!w->fault) {
        w->fault = what;
        snprintf(w->fault_at, sizeof(w->fault_at), "%s%s%.*s", domain, term.len ? ": " : "",
                 (int)(term.len < 200 ? term.len : 200), term.len ? (const char *)term.data : "");
    }
    return r;
}

/* ---- terms ---- */

struct place {
    struct spf_walk *w;
    const char *domain; /* whose record it is */
    const struct spf_term *t;
    enum auth_result error; /* AUTH_TEMPERROR, AUTH_PERMERROR; 0: none */
};

static bool in_network(const struct spf_walk *w, const uint8_t *network, bool six, unsigned bits)
{
    return w->macros.six == six && spf_in_network(w->macros.address, network, bits);
}

static const struct dns_answer *ask(struct place *p, enum dns_type type, const char *name)
{
    int err = OK;
    const struct dns_answer *a = p->w->ask(p->w->arg, type, name, &err);

    /* Section 5: what is no name, or is not there, has no records. */
    if (!a && err != ERR_FORMAT)
        p->error = fault(p->w, AUTH_TEMPERROR, "a name does not resolve now", name, p->t->text);
    return a;
}

/* Whether the address is one of a name's, or in their networks. found: it has any at all. */
static bool one_of_host(struct place *p, const char *name, bool *found)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    bool match = false;

    for (int six = 0; six < 2; six++) {
        const struct dns_answer *a = ask(p, types[six], name);
        *found |= a && a->n;
        for (uint32_t i = 0; a && i < a->n; i++)
            match |= in_network(p->w, a->v[i].data.data, six, six ? p->t->bits6 : p->t->bits4);
    }
    return match;
}

static void count_void(struct place *p, bool found)
{
    p->w->voids += !found;
}

static bool match_a(struct place *p, const char *target)
{
    bool found = false, match = one_of_host(p, target, &found);

    count_void(p, found || p->error);
    return match;
}

static bool match_mx(struct place *p, const char *target)
{
    const struct dns_answer *a = ask(p, DNS_MX, target);
    bool match = false, any = false;

    count_void(p, p->error || (a && a->n));
    if (a && a->n > SPF_HOSTS_MAX) /* section 4.6.4 */
        p->error = fault(p->w, AUTH_PERMERROR, "mx finds more than ten names", target, p->t->text);
    for (uint32_t i = 0; a && i < a->n && i < SPF_HOSTS_MAX; i++)
        if (*a->v[i].name)
            match |= one_of_host(p, a->v[i].name, &any);
    return match;
}

static bool match_exists(struct place *p, const char *target)
{
    const struct dns_answer *a = ask(p, DNS_A, target); /* section 5.7: A, for IPv6 too */

    return a && a->n;
}

/* Section 5.5, which says: do not use it. */
static bool match_ptr(struct place *p, const char *target)
{
    static const char reversed[] = "%{ir}.%{v}.arpa";
    char name[SPF_NAME_CAP];
    bool match = false, any = false;
    const struct dns_answer *a =
        spf_expand(&p->w->macros, slice_of(reversed, sizeof(reversed) - 1), name) == OK ? ask(p, DNS_PTR, name) : NULL;

    p->w->asks_ptr = true;
    for (uint32_t i = 0; a && i < a->n && i < SPF_HOSTS_MAX; i++)
        if (spf_is_below(a->v[i].name, target))
            match |= one_of_host(p, a->v[i].name, &any);
    p->error = AUTH_NONE; /* what does not resolve is no match */
    return match;
}

static enum auth_result walk_record(struct spf_walk *w, const char *domain);

/* Section 5.2. */
static bool match_include(struct place *p, const char *target)
{
    switch (walk_record(p->w, target)) {
    case AUTH_PASS: return true;
    case AUTH_TEMPERROR: p->error = AUTH_TEMPERROR; return false;
    case AUTH_NONE:
        p->error = fault(p->w, AUTH_PERMERROR, "what is included has no SPF record", p->domain, p->t->text);
        return false;
    case AUTH_PERMERROR: p->error = AUTH_PERMERROR; return false;
    default: return false;
    }
}

static bool (*const matches[SPF_OTHER + 1])(struct place *p, const char *target) = {
    [SPF_INCLUDE] = match_include, [SPF_A] = match_a,     [SPF_MX] = match_mx,
    [SPF_EXISTS] = match_exists,   [SPF_PTR] = match_ptr,
};

static bool match_term(struct place *p)
{
    struct spf_macros m = p->w->macros;
    const struct spf_term *t = p->t;
    char target[SPF_NAME_CAP];
    int err = OK;

    m.domain = p->domain;
    switch (t->kind) {
    case SPF_ALL: p->w->lets_everybody |= t->qualifier == '+'; return true;
    case SPF_IP4:
    case SPF_IP6:
        p->w->lets_everybody |= t->qualifier == '+' && (t->kind == SPF_IP4 ? t->bits4 : t->bits6) == 0;
        return in_network(p->w, t->address, t->kind == SPF_IP6, t->kind == SPF_IP6 ? t->bits6 : t->bits4);
    default: break;
    }
    if (t->domain.len)
        err = spf_expand(&m, t->domain, target);
    else
        snprintf(target, sizeof(target), "%s", p->domain);
    if (err != OK)
        return false; /* section 4.8: it is no name, so it has no records */
    p->w->lookups++;
    if (p->w->lookups > LOOKUPS_STOP)
        return false;
    return matches[t->kind](p, target);
}

/* ---- records ---- */

static enum auth_result of_qualifier(char q)
{
    return q == '-' ? AUTH_FAIL : q == '~' ? AUTH_SOFTFAIL : q == '?' ? AUTH_NEUTRAL : AUTH_PASS;
}

/* Section 6.1. */
static enum auth_result redirect(struct spf_walk *w, const char *domain, const struct spf_term *t)
{
    struct spf_macros m = w->macros;
    char target[SPF_NAME_CAP];
    enum auth_result r;

    m.domain = domain;
    w->lookups++;
    if (w->lookups > LOOKUPS_STOP)
        return AUTH_PERMERROR;
    r = spf_expand(&m, t->domain, target) == OK ? walk_record(w, target) : AUTH_NONE;
    return r == AUTH_NONE ? fault(w, AUTH_PERMERROR, "what it redirects to has no SPF record", domain, t->text) : r;
}

/* All terms are walked, although the first that matches decides. */
static enum auth_result walk_terms(struct spf_walk *w, const char *domain, const struct spf_record *r)
{
    const struct spf_term *other = NULL;
    enum auth_result result = AUTH_NEUTRAL, elsewhere;
    bool decided = false, all = false;

    for (size_t i = 0; i < r->n; i++) {
        struct place p = {w, domain, &r->v[i], AUTH_NONE};

        if (p.t->kind == SPF_REDIRECT)
            other = p.t;
        if (p.t->kind >= SPF_REDIRECT || all) /* section 5.1: behind all nothing is looked at */
            continue;
        all = p.t->kind == SPF_ALL;
        bool match = match_term(&p);
        if (!decided && (match || p.error)) {
            result = match ? of_qualifier(p.t->qualifier) : p.error;
            decided = true;
        }
    }
    if (other && !all) {
        elsewhere = redirect(w, domain, other);
        if (!decided)
            result = elsewhere;
    }
    return result;
}

static enum auth_result walk_text(struct spf_walk *w, const char *domain, struct slice text)
{
    struct spf_record *r = malloc(sizeof(*r));
    struct slice bad = {0};
    enum auth_result result;
    int err = r ? spf_parse(text, r, &bad) : ERR_MEMORY;

    if (err == OK)
        result = walk_terms(w, domain, r);
    else if (err == ERR_MEMORY)
        result = fault(w, AUTH_TEMPERROR, "out of memory", domain, bad);
    else
        result =
            fault(w, AUTH_PERMERROR, err == ERR_LIMIT ? "it has too many terms" : "it is not well-formed", domain, bad);
    free(r);
    return result;
}

static enum auth_result walk_record(struct spf_walk *w, const char *domain)
{
    const struct slice none = {0};
    const struct dns_answer *a;
    struct slice text = none;
    unsigned n = 0;
    int err = OK;

    if (w->lookups > LOOKUPS_STOP)
        return AUTH_PERMERROR;
    a = w->ask(w->arg, DNS_TXT, domain, &err);
    if (!a)
        return err == ERR_FORMAT ? AUTH_NONE : fault(w, AUTH_TEMPERROR, "a name does not resolve now", domain, none);
    for (uint32_t i = 0; i < a->n; i++)
        if (spf_is_record(a->v[i].data) && n++ == 0)
            text = a->v[i].data;
    if (n > 1) /* section 4.5 */
        return fault(w, AUTH_PERMERROR, "it has more than one SPF record", domain, none);
    return n ? walk_text(w, domain, text) : AUTH_NONE;
}

void spf_walk_run(struct spf_walk *w, const char *domain)
{
    w->result = walk_record(w, domain);
}
