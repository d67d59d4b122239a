#include "server/mailauth/dmarc.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/spf.h"

enum { DKIM_MAX = 32, LABELS_WALKED = 7 };

struct check {
    const struct dmarc_question *q;
    struct records *records;
    unsigned walks;
    bool waits; /* an answer is missing: whatever comes out is void */
};

/* ---- names ---- */

static void lower(const char *name, char out[RECORDS_NAME_CAP])
{
    size_t n = 0;

    for (; name[n] && n < RECORDS_NAME_CAP - 1; n++)
        out[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] | 0x20 : name[n]);
    n -= n && out[n - 1] == '.';
    out[n] = '\0';
}

static unsigned labels(const char *name)
{
    unsigned n = 1;

    for (; *name; name++)
        n += *name == '.';
    return n;
}

static const char *parent(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? dot + 1 : NULL;
}

static const char *top_of(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

/* ---- the tree walk (section 4.10) ---- */

struct found {
    const char *name; /* lies in the name where the walk began */
    struct dmarc_record record;
};
struct walk {
    size_t n; /* records, the longest name first */
    struct found v[DMARC_WALK_MAX];
    bool fails; /* a name does not resolve now: there may be more */
};

/* Steps 2 and 7: of several records none counts. */
static bool look(struct check *c, const char *name, struct walk *w)
{
    char asked[RECORDS_NAME_CAP + 8];
    const struct records_answer *a;
    const struct records_value *found = NULL;
    unsigned n = 0;

    snprintf(asked, sizeof(asked), "_dmarc.%s", name);
    a = records_get(c->records, RECORDS_TXT, asked);
    c->waits |= !a;
    w->fails |= a && a->err != OK;
    for (size_t i = 0; a && i < a->n; i++)
        if (dmarc_is_record(a->v[i].data)) {
            found = &a->v[i];
            n++;
        }
    if (n == 1 && found->data.len <= DMARC_RECORD_MAX) {
        w->v[w->n].name = name;
        dmarc_parse(found->data, &w->v[w->n++].record);
    }
    return a && !w->fails;
}

static void walk(struct check *c, const char *domain, struct walk *w)
{
    const char *name = domain;

    w->n = 0;
    w->fails = false;
    for (unsigned i = 0; name && i < DMARC_WALK_MAX && look(c, name, w); i++) {
        if (w->n && w->v[w->n - 1].record.psd != 'u')
            return;
        name = parent(name);
        while (i == 0 && name && labels(name) > LABELS_WALKED) /* step 5 */
            name = parent(name);
    }
}

/* Section 4.10.2. */
static const char *organization(const struct walk *w, const char *domain)
{
    const struct found *last = w->n ? &w->v[w->n - 1] : NULL;
    const char *below;

    if (!last)
        return domain;
    if (last->record.psd != 'y' || last->name == domain)
        return last->name;
    for (below = last->name - 1; below > domain && below[-1] != '.'; below--)
        ;
    return below;
}

/* Section 4.10.1: the author's own, his organization's, or that of the public suffix above it. */
static const struct found *policy_record(const struct walk *w, const char *author)
{
    const char *org = organization(w, author);

    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].name == author)
            return &w->v[i];
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].name == org)
            return &w->v[i];
    return w->n ? &w->v[w->n - 1] : NULL;
}

/* ---- alignment (section 4.4) ---- */

enum aligned { ALIGNED_NOT, ALIGNED, ALIGNED_UNKNOWN };

static enum aligned align(struct check *c, const struct walk *of_author, const char *author, const char *domain,
                          bool strict)
{
    const char *org = organization(of_author, author);
    char name[RECORDS_NAME_CAP];
    struct walk w;

    lower(domain, name);
    if (strcmp(name, author) == 0)
        return ALIGNED;
    if (strict || !*name)
        return ALIGNED_NOT;
    if (of_author->fails) /* a name above may be the organization of both, if there is one */
        return spf_is_below(name, top_of(author)) ? ALIGNED_UNKNOWN : ALIGNED_NOT;
    if (!spf_is_below(name, org)) /* an organization is the name itself or one above it */
        return ALIGNED_NOT;
    if (c->walks++ >= DMARC_WALKS_MAX)
        return ALIGNED_UNKNOWN;
    walk(c, name, &w);
    return w.fails ? ALIGNED_UNKNOWN : strcmp(organization(&w, name), org) == 0 ? ALIGNED : ALIGNED_NOT;
}

struct tally {
    bool passed, unknown;
};

/* Whether it makes the message pass. Section 5.3.4: what could have, but for an error that goes away, leaves the whole
 * open; an error of a name that would not align means nothing, or a stranger's name could keep a policy away. */
static bool weigh(struct check *c, const struct walk *w, const char *author, const struct dmarc_identifier *id,
                  bool strict, struct tally *t)
{
    enum aligned a;

    if (id->result != AUTH_PASS && id->result != AUTH_TEMPERROR)
        return false;
    a = align(c, w, author, id->domain, strict);
    t->passed |= a == ALIGNED && id->result == AUTH_PASS;
    t->unknown |= a == ALIGNED_UNKNOWN || (a == ALIGNED && id->result == AUTH_TEMPERROR);
    return a == ALIGNED && id->result == AUTH_PASS;
}

static struct tally weigh_all(struct check *c, const struct walk *w, const char *author, struct dmarc_verdict *v)
{
    struct tally t = {0};

    v->spf_aligned = weigh(c, w, author, &c->q->spf, v->strict_spf, &t);
    for (size_t i = 0; i < c->q->dkim_n && i < DKIM_MAX; i++)
        if (weigh(c, w, author, &c->q->dkim[i], v->strict_dkim, &t))
            v->dkim_aligned |= UINT32_C(1) << i;
    return t;
}

/* ---- the policy (section 4.7) ---- */

/* False: it depends on whether the author's name exists, and that cannot be told. */
static bool choose_policy(struct check *c, const struct found *f, const char *author, struct dmarc_verdict *v)
{
    const struct dmarc_record *r = &f->record;
    const struct records_answer *a;

    v->policy = f->name == author ? r->p : r->sp;
    if (f->name != author && r->has_np) {
        a = records_get(c->records, RECORDS_A, author); /* any type does: section 3.2.13, appendix A.4 */
        c->waits |= !a;
        if (!a || a->err != OK)
            return false;
        if (!a->exists)
            v->policy = r->np;
    }
    if (r->testing && v->policy != DMARC_NONE)
        v->policy = v->policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
    return true;
}

static enum auth_result fault(struct dmarc_verdict *v, enum auth_result r, const char *problem)
{
    v->problem = problem;
    return r;
}

static enum auth_result judge(struct check *c, const char *author, struct dmarc_verdict *v)
{
    static const char unresolved[] = "a name does not resolve now";
    const struct found *f;
    struct tally t;
    struct walk w;

    walk(c, author, &w);
    f = policy_record(&w, author);
    strcpy(v->organization, w.fails ? author : organization(&w, author));
    /* A name above may have the record, or make another one the one that counts. */
    if (w.fails && (!f || f->name != author))
        return fault(v, AUTH_TEMPERROR, unresolved);
    if (!f)
        return AUTH_NONE;
    strcpy(v->published, f->name);
    if (!f->record.usable)
        return fault(v, AUTH_NONE, "the record has no policy that can be read");
    v->p = f->record.p;
    v->sp = f->record.sp;
    v->np = f->record.np;
    v->testing = f->record.testing;
    v->strict_dkim = f->record.strict_dkim;
    v->strict_spf = f->record.strict_spf;
    if (!choose_policy(c, f, author, v))
        return fault(v, AUTH_TEMPERROR, unresolved);
    if (c->waits)
        return AUTH_TEMPERROR;
    t = weigh_all(c, &w, author, v);
    return t.passed    ? AUTH_PASS
           : t.unknown ? fault(v, AUTH_TEMPERROR, "whether an identifier aligns cannot be told now")
                       : AUTH_FAIL;
}

int dmarc_check(const struct dmarc_question *q, struct records *r, struct dmarc_verdict *ret)
{
    static const char *const faults[] = {
        [AUTHOR_MISSING] = "it has no author",
        [AUTHOR_SEVERAL] = "it has authors of several domains, or several From fields",
        [AUTHOR_UNREADABLE] = "readers would disagree about its author",
        [AUTHOR_NO_DOMAIN] = "its author has no domain",
    };
    struct check c = {.q = q, .records = r};
    struct dmarc_verdict v = {.result = AUTH_NONE};

    if (q->author->fault != AUTHOR_OK) {
        v.result = q->author->fault == AUTHOR_NO_DOMAIN ? AUTH_NONE : AUTH_PERMERROR;
        v.problem = faults[q->author->fault];
    } else {
        lower(q->author->domain, v.author);
        v.result = judge(&c, v.author, &v);
    }
    if (c.waits)
        return ERR_AGAIN;
    *ret = v;
    return OK;
}
