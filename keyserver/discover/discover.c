/* The machine. A source is ready, asked or done; which is ready follows from the others. */
#include "keyserver/discover/discover.h"

#include <stdlib.h>
#include <string.h>

#include "keyserver/discover/impl.h"
#include "server/core/error.h"

enum {
    KEEP_MIN = 300, /* seconds: nobody is asked more often */
    KEEP_MAX = 86400,
    KEEP_NONE = 3600,
    KEEP_FAILED = 300,
};

struct source {
    enum { READY, ASKED, DONE } state;
    enum discover_outcome outcome;
    struct discover_certs certs;
    uint32_t ttl;
    char url[FETCH_URL_MAX + 1];
};

struct discover {
    char address[ADDRESS_MAX], local[ADDRESS_MAX], domain[DOMAIN_CAP];
    char name[DISCOVER_NAME_CAP];
    uint64_t now;
    bool every;
    struct source sources[DISCOVER_SOURCES];
};

/* ---- words ---- */

const char *discover_source_name(enum discover_source s)
{
    static const char *const names[] = {"wkd-advanced", "wkd-direct", "dane", "vks", "hkp"};
    return names[s];
}

const char *discover_trust_name(enum discover_trust t)
{
    static const char *const names[] = {"none", "key-server", "domain", "dnssec"};
    return names[t];
}

static const struct {
    const char *text;
    bool passes;
} outcomes[] = {
    [DISCOVER_UNASKED] = {"not asked", false},
    [DISCOVER_FOUND] = {"found", false},
    [DISCOVER_NONE] = {"has none", false},
    [DISCOVER_NO_HOST] = {"there is no such host", false},
    [DISCOVER_UNSIGNED] = {"has a record, which DNSSEC does not cover", false},
    [DISCOVER_BOGUS] = {"the signatures of DNSSEC do not hold", true},
    [DISCOVER_EXPIRED] = {"has one that has expired", false},
    [DISCOVER_REVOKED] = {"has one that is revoked", false},
    [DISCOVER_SIGNS_ONLY] = {"has one that has no key to encrypt with", false},
    [DISCOVER_WEAK] = {"has one that is too weak", false},
    [DISCOVER_ANOTHERS] = {"has one without a valid user id of this address", false},
    [DISCOVER_AMBIGUOUS] = {"has several that could be used", false},
    [DISCOVER_UNSUPPORTED] = {"has one of a version or an algorithm that is not known here", false},
    [DISCOVER_MALFORMED] = {"what is there is no valid certificate", false},
    [DISCOVER_TOO_LARGE] = {"what is there is too large", false},
    [DISCOVER_MOVED] = {"sends elsewhere, and nobody follows", false},
    [DISCOVER_FORBIDDEN] = {"its address is not of the open Internet", false},
    [DISCOVER_NO_TLS] = {"TLS fails, or its certificate is not good for that name", true},
    [DISCOVER_HTTP] = {"answers with an error", true},
    [DISCOVER_TIMEOUT] = {"does not answer in time", true},
    [DISCOVER_UNREACHABLE] = {"cannot be reached", true},
};

const char *discover_outcome_text(enum discover_outcome o)
{
    return outcomes[o].text;
}

bool discover_outcome_passes(enum discover_outcome o)
{
    return outcomes[o].passes;
}

/* ---- the beginning ---- */

static const char *server_of(enum discover_source s, const char *server)
{
    static const char *const prefixes[DISCOVER_SOURCES] = {[DISCOVER_VKS] = "vks:", [DISCOVER_HKP] = "hkp:"};
    const size_t len = prefixes[s] ? strlen(prefixes[s]) : 0;
    return len && !strncmp(server, prefixes[s], len) ? server + len : NULL;
}

static const char *host_of(const char *server)
{
    const char *host = server_of(DISCOVER_VKS, server);
    return host ? host : server_of(DISCOVER_HKP, server);
}

bool discover_server_valid(const char *server)
{
    const char *host = host_of(server);
    char ascii[DOMAIN_CAP];
    return !*server || (host && strlen(server) <= DISCOVER_SERVER_MAX && strchr(host, '.') &&
                        !address_domain_normalize(host, strlen(host), ascii) && !strcmp(host, ascii));
}

static int place_all(struct discover *d, const char *server)
{
    const struct discover_place p = {d->local, d->domain, strlen(d->local), host_of(server)};
    int err = discover_place_name(&p, d->name);
    if (err == ERR_LIMIT) /* no name can be so long, so there is no record */
        d->sources[DISCOVER_DANE].state = DONE;
    else if (err)
        return err;
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++) {
        struct source *source = &d->sources[s];
        source->certs = (struct discover_certs){.address = d->address, .now = d->now, .outcome = DISCOVER_NONE};
        source->ttl = KEEP_MAX;
        if (s == DISCOVER_DANE)
            continue;
        if (s >= DISCOVER_VKS && !server_of(s, server)) {
            source->state = DONE;
            continue;
        }
        err = discover_place_url(s, &p, source->url);
        if (err == ERR_LIMIT)
            source->state = DONE;
        else if (err)
            return err;
    }
    return OK;
}

int discover_create(const struct discover_params *p, struct discover **ret)
{
    struct discover *d = discover_server_valid(p->server) ? calloc(1, sizeof(*d)) : NULL;
    size_t at, plus;
    if (!d)
        return discover_server_valid(p->server) ? ERR_MEMORY : ERR_FORMAT;
    d->now = p->now;
    d->every = p->every;
    int err = address_normalize(p->address, strlen(p->address), d->address, &at, &plus);
    if (!err) {
        memcpy(d->local, d->address, at);
        strcpy(d->domain, d->address + at + 1);
        err = place_all(d, p->server);
    }
    if (!err)
        *ret = d;
    else
        discover_destroy(d);
    return err;
}

void discover_destroy(struct discover *d)
{
    for (size_t i = 0; d && i < DISCOVER_SOURCES; i++)
        free(d->sources[i].certs.cert);
    free(d);
}

const char *discover_address(const struct discover *d)
{
    return d->address;
}

/* ---- asking ---- */

/* "Only if an address for the required sub-domain does not exist" (section 3.1): a server that does not answer is no
 * reason to believe another one. */
static bool direct_counts(const struct discover *d)
{
    return d->sources[DISCOVER_WKD_ADVANCED].outcome == DISCOVER_NO_HOST;
}

static bool done_before(const struct discover *d, enum discover_source s)
{
    for (enum discover_source i = 0; i < s; i++)
        if (d->sources[i].state != DONE)
            return false;
    return true;
}

static bool found_before(const struct discover *d, enum discover_source s)
{
    for (enum discover_source i = 0; i < s; i++)
        if (d->sources[i].outcome == DISCOVER_FOUND && (i != DISCOVER_WKD_DIRECT || direct_counts(d)))
            return true;
    return false;
}

/* Whether it may be asked now; *ret_never: nor later. */
static bool may_ask(const struct discover *d, enum discover_source s, bool *ret_never)
{
    *ret_never = false;
    if (s == DISCOVER_WKD_ADVANCED || s == DISCOVER_DANE)
        return true;
    if (s == DISCOVER_WKD_DIRECT) {
        const bool known = d->sources[DISCOVER_WKD_ADVANCED].state == DONE;
        *ret_never = known && !direct_counts(d) && !d->every;
        return known && !*ret_never;
    }
    *ret_never = done_before(d, DISCOVER_VKS) && found_before(d, DISCOVER_VKS) && !d->every;
    return done_before(d, DISCOVER_VKS) && !*ret_never;
}

bool discover_next(struct discover *d, struct discover_question *ret)
{
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++) {
        bool never;
        if (d->sources[s].state != READY)
            continue;
        if (may_ask(d, s, &never)) {
            d->sources[s].state = ASKED;
            *ret = (struct discover_question){.source = s,
                                              .url = s == DISCOVER_DANE ? NULL : d->sources[s].url,
                                              .name = d->name};
            return true;
        }
        if (never)
            d->sources[s].state = DONE;
    }
    return false;
}

/* ---- answers ---- */

static const struct {
    int err;
    enum discover_outcome outcome;
} failures[] = {
    {ERR_NOT_FOUND, DISCOVER_NO_HOST}, {ERR_DENIED, DISCOVER_FORBIDDEN}, {ERR_MOVED, DISCOVER_MOVED},
    {ERR_LIMIT, DISCOVER_TOO_LARGE},   {ERR_CRYPTO, DISCOVER_NO_TLS},    {ERR_FORMAT, DISCOVER_MALFORMED},
    {ERR_TIMEOUT, DISCOVER_TIMEOUT},
};

static enum discover_outcome of_failure(int err)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
        if (failures[i].err == err)
            return failures[i].outcome;
    return DISCOVER_UNREACHABLE;
}

static void end(struct source *s, enum discover_outcome o)
{
    s->state = DONE;
    s->outcome = o;
}

static int end_read(struct source *s, int err)
{
    end(s, err ? DISCOVER_UNREACHABLE : s->certs.outcome);
    return err;
}

int discover_page(struct discover *d, enum discover_source s, int err, const struct fetch_answer *a)
{
    struct source *source = &d->sources[s];
    if (source->state != ASKED)
        return OK;
    if (err)
        end(source, of_failure(err));
    else if (a->status == 404 || a->status == 410)
        end(source, DISCOVER_NONE);
    else if (a->status != 200)
        end(source, DISCOVER_HTTP);
    else
        return end_read(source, discover_certs_read(&source->certs, a->body.data, a->body.len));
    return OK;
}

/* A name may have several records: of two keys, one of which is given up (RFC 7929 section 2.3). */
int discover_records(struct discover *d, int err, const struct dns_answer *a)
{
    struct source *source = &d->sources[DISCOVER_DANE];
    if (source->state != ASKED)
        return OK;
    if (err) {
        end(source, err == ERR_CRYPTO ? DISCOVER_BOGUS : of_failure(err));
        return OK;
    }
    source->ttl = a->ttl;
    if (!a->n || a->trust != DNS_SECURE) {
        end(source, a->n ? DISCOVER_UNSIGNED : DISCOVER_NONE);
        return OK;
    }
    for (uint32_t i = 0; !err && i < a->n; i++)
        err = discover_certs_read(&source->certs, a->v[i].data.data, a->v[i].data.len);
    return end_read(source, err);
}

void discover_give_up(struct discover *d, bool all)
{
    for (size_t i = 0; i < DISCOVER_SOURCES; i++) {
        struct source *s = &d->sources[i];
        if (s->state == ASKED)
            end(s, DISCOVER_TIMEOUT);
        else if (all)
            s->state = DONE;
    }
}

bool discover_over(const struct discover *d)
{
    return done_before(d, DISCOVER_SOURCES);
}

/* ---- what came of it ---- */

struct discover_report discover_report(const struct discover *d, enum discover_source s)
{
    const struct source *source = &d->sources[s];
    struct discover_report r = {.outcome = source->outcome};
    if (source->certs.cert &&
        (r.outcome == DISCOVER_FOUND || r.outcome == DISCOVER_EXPIRED || r.outcome == DISCOVER_REVOKED)) {
        const struct pgp_verdict *v = &source->certs.verdict;
        r.fpr_len = v->primary_fpr_len;
        memcpy(r.fpr, v->primary_fpr, sizeof(r.fpr));
        r.expires = v->enc_expires;
    }
    return r;
}

static const enum discover_trust trusts[DISCOVER_SOURCES] = {
    [DISCOVER_WKD_ADVANCED] = DISCOVER_BY_DOMAIN, [DISCOVER_WKD_DIRECT] = DISCOVER_BY_DOMAIN,
    [DISCOVER_DANE] = DISCOVER_BY_DNSSEC,         [DISCOVER_VKS] = DISCOVER_BY_SERVER,
    [DISCOVER_HKP] = DISCOVER_BY_SERVER,
};

/* What is believed of a source. A certificate that another one has with its revocation is over there too. */
static enum discover_outcome believed(const struct discover *d, enum discover_source s)
{
    const struct source *source = &d->sources[s];
    if (s == DISCOVER_WKD_DIRECT && !direct_counts(d))
        return DISCOVER_UNASKED;
    for (enum discover_source i = 0; source->outcome == DISCOVER_FOUND && i < DISCOVER_SOURCES; i++)
        if (d->sources[i].outcome == DISCOVER_REVOKED && (i != DISCOVER_WKD_DIRECT || direct_counts(d)) &&
            discover_same_key(&source->certs.verdict, &d->sources[i].certs.verdict))
            return DISCOVER_REVOKED;
    return source->outcome;
}

/* Whether another source has another one. */
static bool differs(const struct discover *d, enum discover_source from)
{
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++)
        if (d->sources[s].outcome == DISCOVER_FOUND &&
            !discover_same_key(&d->sources[s].certs.verdict, &d->sources[from].certs.verdict))
            return true;
    return false;
}

static uint32_t keep_for(uint32_t ttl, uint32_t expires, uint64_t now)
{
    uint64_t keep = ttl < KEEP_MIN ? KEEP_MIN : ttl > KEEP_MAX ? KEEP_MAX : ttl;
    if (expires && expires - now < keep)
        keep = expires - now;
    return (uint32_t)keep;
}

static struct discover_result found(const struct discover *d, enum discover_source s)
{
    const struct source *source = &d->sources[s];
    struct discover_result r = {.outcome = DISCOVER_FOUND,
                                .source = s,
                                .trust = trusts[s],
                                .differs = differs(d, s),
                                .cert = source->certs.cert,
                                .len = source->certs.len,
                                .verdict = source->certs.verdict};
    r.keep = keep_for(source->ttl, r.verdict.enc_expires, d->now);
    return r;
}

/* Whether it says more than that there is none. */
static bool tells(enum discover_outcome o)
{
    return o != DISCOVER_UNASKED && o != DISCOVER_NONE && o != DISCOVER_NO_HOST;
}

struct discover_result discover_result(const struct discover *d)
{
    struct discover_result r = {.outcome = DISCOVER_NONE, .keep = KEEP_NONE};
    enum discover_source best = DISCOVER_SOURCES;
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++) {
        const enum discover_outcome o = believed(d, s);
        if (o == DISCOVER_FOUND && (best == DISCOVER_SOURCES || trusts[s] > trusts[best]))
            best = s;
        if (outcomes[o].passes) {
            r.passes = true;
            r.keep = KEEP_FAILED;
        }
        if (r.outcome == DISCOVER_NONE && tells(o)) {
            r.outcome = o;
            r.source = s;
        }
    }
    return best == DISCOVER_SOURCES ? r : found(d, best);
}
