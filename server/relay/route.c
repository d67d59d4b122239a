#include "server/relay/route.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mail/address.h"

/* ---- destinations ---- */

static const char *domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
}

/* By enum queue_tls. */
static const char *const wishes[] = {"", " tls", " any"};

void route_destination(const struct router *r, const char *address, const char *sender, enum queue_tls tls,
                       char out[DESTINATION_MAX])
{
    char domain[DOMAIN_CAP], from[DOMAIN_CAP] = "";
    const char *text = domain_of(address);
    bool has_source;

    /* A literal has no ASCII form, and needs none. */
    if (address_domain_normalize(text, strlen(text), domain) != OK)
        snprintf(domain, sizeof(domain), "%s", text);
    if (r->smarthost.host[0] && !relay_policy_route(r->policy, domain))
        snprintf(domain, sizeof(domain), "*");
    text = domain_of(sender);
    has_source = address_domain_normalize(text, strlen(text), from) == OK && relay_policy_source(r->policy, from);
    snprintf(out, DESTINATION_MAX, "%s%s%s%s", domain, wishes[tls], has_source ? " @" : "", has_source ? from : "");
}

static void copy_word(const char *from, size_t len, char out[DNS_NAME_MAX + 1])
{
    if (len > DNS_NAME_MAX)
        len = DNS_NAME_MAX;
    memcpy(out, from, len);
    out[len] = '\0';
}

void route_destination_parts(const char *destination, char domain[DNS_NAME_MAX + 1], char sender[DNS_NAME_MAX + 1],
                             enum queue_tls *ret_tls)
{
    const size_t len = strcspn(destination, " ");
    const char *at = strstr(destination + len, " @");

    copy_word(destination, len, domain);
    copy_word(at ? at + 2 : "", at ? strlen(at + 2) : 0, sender);
    *ret_tls = QUEUE_TLS_USUAL;
    for (int i = QUEUE_TLS_REQUIRED; i <= QUEUE_TLS_OPTIONAL; i++)
        if (strncmp(destination + len, wishes[i], strlen(wishes[i])) == 0)
            *ret_tls = (enum queue_tls)i;
}

/* ---- MX ---- */

uint32_t route_pick_mx(const struct dns_record *v, uint32_t n, const char *own_name, const struct dns_record **out,
                       enum obstacle *ret_why)
{
    uint32_t kept = 0;

    /* RFC 7505 section 3: alone, and the root. Beside others it is no host. */
    *ret_why = n == 1 && !v[0].name[0] ? OBSTACLE_NULL_MX : OBSTACLE_NO_ADDRESS;
    for (uint32_t i = 0; i < n; i++) {
        /* RFC 5321 section 5.1: our own name, and all that is not nearer than we are, goes. */
        if (strcasecmp(v[i].name, own_name) == 0) {
            *ret_why = OBSTACLE_LOOP;
            while (kept && out[kept - 1]->preference == v[i].preference)
                kept--;
            break;
        }
        if (v[i].name[0])
            out[kept++] = &v[i];
    }
    for (uint32_t from = 0, to; from < kept; from = to) {
        for (to = from + 1; to < kept && out[to]->preference == out[from]->preference; to++)
            ;
        for (uint32_t i = to; i > from + 1; i--) {
            const uint32_t j = from + randombytes_uniform(i - from);
            const struct dns_record *other = out[j];
            out[j] = out[i - 1];
            out[i - 1] = other;
        }
    }
    return kept;
}

/* ---- the way there ---- */

struct route *route_copy(const struct route *r)
{
    const size_t len = offsetof(struct route, octets) + r->noctets;
    struct route *copy = malloc(len);

    if (copy)
        memcpy(copy, r, len);
    return copy;
}

struct lookup {
    struct dns_question *question;
    struct route_op *op;
    uint8_t name; /* its number */
    enum dns_type type;
};
struct found {
    uint32_t n4, n6;
    uint8_t v4[ROUTE_ADDRESSES_MAX][4], v6[ROUTE_ADDRESSES_MAX][16];
    bool unknown;  /* some question about it had no answer */
    bool insecure; /* its addresses */
    bool bogus;    /* its TLSA records */
    unsigned pending;
    char canonical[DNS_NAME_MAX + 1];
    enum trust_dane dane;
};
struct route_op {
    struct loop *loop;
    const struct router *router;
    route_fn *fn;
    void *arg;
    struct defer now;
    uint32_t pending;
    uint16_t port;
    enum obstacle why;
    struct sts_question *sts;
    struct mta_sts_policy policy; /* of the domain, if route.sts says that there is one */
    struct lookup mx, lookups[ROUTE_NAMES_MAX][3];
    struct found found[ROUTE_NAMES_MAX];
    struct route route;
};

static void add_host(struct route_op *op, uint8_t name, bool six, const uint8_t *octets)
{
    struct route *r = &op->route;
    struct sockaddr_storage *ss = &r->hosts[r->nhosts].addr;

    r->hosts[r->nhosts++].name = name;
    if (six) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)ss;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(op->port);
        memcpy(&a->sin6_addr, octets, sizeof(a->sin6_addr));
    } else {
        struct sockaddr_in *a = (struct sockaddr_in *)ss;
        a->sin_family = AF_INET;
        a->sin_port = htons(op->port);
        memcpy(&a->sin_addr, octets, sizeof(a->sin_addr));
    }
}

static enum trust_demand demand_of(const struct route_op *op, enum trust_dane dane, enum trust_sts sts)
{
    return trust_demand(
        &(struct trust_facts){.mail = op->route.wish, .word = op->route.word, .dane = dane, .sts = sts});
}

static enum trust_sts sts_of(const struct route_op *op, const struct route_name *n)
{
    return op->route.sts == TRUST_STS_ENFORCE && !n->in_policy ? TRUST_STS_OTHER : op->route.sts;
}

/* As its page has them (RFC 8461 section 3.2), one a line; those that find no room are left out. */
static void keep_policy(struct route *r, const struct mta_sts_policy *p)
{
    char *text = (char *)r->octets + r->noctets;
    size_t len = (size_t)snprintf(text, ROUTE_STS_OCTETS, "version: STSv1\nmode: %s\nmax_age: %u\n",
                                  p->mode == MTA_STS_TESTING ? "testing" : "enforce", (unsigned)p->max_age);

    for (size_t at = 0; at < p->mx_len; at += strlen(p->mx + at) + 1)
        if (len + strlen(p->mx + at) + sizeof("mx: \n") <= ROUTE_STS_OCTETS)
            len += (size_t)sprintf(text + len, "mx: %s\n", p->mx + at);
    r->sts_at = (uint16_t)r->noctets;
    r->sts_len = (uint16_t)len;
    r->noctets += (uint32_t)len;
}

static void judge_host(struct route_op *op, struct route_name *n, const struct found *f)
{
    n->dane = f->dane;
    n->bogus = f->bogus;
    n->in_policy = op->route.sts != TRUST_STS_NONE && mta_sts_fits(&op->policy, n->name);
    n->demand = demand_of(op, f->dane, sts_of(op, n));
}

/* What keeps us from a host that has addresses: what may pass before what stays. */
static enum obstacle worse(enum obstacle a, enum obstacle b)
{
    return a == OBSTACLE_NAMES || b == OBSTACLE_NAMES ? OBSTACLE_NAMES
           : a == OBSTACLE_TLS || b == OBSTACLE_TLS   ? OBSTACLE_TLS
                                                      : b;
}

static void finish(void *arg)
{
    struct route_op *op = arg;
    struct route *r = &op->route;
    enum obstacle why = OBSTACLE_NO_ADDRESS;

    if (r->sts != TRUST_STS_NONE)
        keep_policy(r, &op->policy);
    for (uint8_t i = 0; i < r->nnames; i++) {
        const struct found *f = &op->found[i];
        judge_host(op, &r->names[i], f);
        if (f->unknown)
            why = OBSTACLE_NAMES;
        if (!trust_usable(r->names[i].demand)) {
            if (f->n4 + f->n6 == 0)
                continue;
            why = worse(why, trust_obstacle(r->names[i].demand));
            if (op->router->unused)
                op->router->unused(op->router->arg, r, i);
            continue;
        }
        for (uint32_t k = 0; k < f->n6; k++)
            add_host(op, i, true, f->v6[k]);
        for (uint32_t k = 0; k < f->n4; k++)
            add_host(op, i, false, f->v4[k]);
    }
    if (op->why == OBSTACLES)
        op->why = why;
    op->fn(op->arg, r->nhosts ? r : NULL, op->why);
    free(op);
}

static void done(struct route_op *op, enum obstacle why)
{
    if (op->sts)
        sts_cancel(op->sts);
    op->sts = NULL;
    op->why = why;
    defer_set(op->loop, &op->now, finish, op);
}

/* ---- TLSA ---- */

/* RFC 7672 section 3.1: PKIX usages are none of mail's. A digest has its length (RFC 6698 section 2.1.4). */
static bool tlsa_usable(const struct dns_record *v)
{
    static const size_t lengths[] = {0 /* any */, 32, 64};

    return (v->usage == 2 || v->usage == 3) && v->selector <= 1 && v->matching <= 2 && v->data.len &&
           (v->matching == 0 || v->data.len == lengths[v->matching]);
}

/* One that finds no room is a certificate that cannot be proved, and no reason to ask for less. */
static void keep_tlsa(struct route *r, struct route_name *n, const struct dns_record *v)
{
    if (n->ntlsa == ROUTE_TLSA_MAX || r->noctets + v->data.len > ROUTE_TLSA_OCTETS)
        return;
    n->tlsa[n->ntlsa++] =
        (struct route_tlsa){v->usage, v->selector, v->matching, (uint16_t)r->noctets, (uint16_t)v->data.len};
    memcpy(r->octets + r->noctets, v->data.data, v->data.len);
    r->noctets += (uint32_t)v->data.len;
}

static enum trust_dane read_tlsa(struct route *r, struct route_name *n, const struct dns_answer *a)
{
    enum trust_dane dane = TRUST_DANE_NONE;

    if (a->trust != DNS_SECURE)
        return dane;
    for (uint32_t i = 0; i < a->n; i++)
        if (tlsa_usable(&a->v[i])) {
            dane = TRUST_DANE_USABLE;
            keep_tlsa(r, n, &a->v[i]);
        } else if (dane == TRUST_DANE_NONE) {
            dane = TRUST_DANE_UNUSABLE;
        }
    return dane;
}

static void on_tlsa(struct lookup *l, int err, const struct dns_answer *a);
static void on_address(struct lookup *l, int err, const struct dns_answer *a);

static void on_answer(void *arg, int err, const struct dns_answer *a)
{
    struct lookup *l = arg;
    struct route_op *op = l->op;

    l->question = NULL;
    op->pending--;
    (l->type == DNS_TLSA ? on_tlsa : on_address)(l, err, a);
    if (!op->pending)
        done(op, OBSTACLES);
}

static int ask(struct route_op *op, uint8_t name, unsigned which, enum dns_type type, const char *text)
{
    struct lookup *l = &op->lookups[name][which];
    int err;

    *l = (struct lookup){.op = op, .name = name, .type = type};
    err = dns_ask(op->router->dns, type, text, on_answer, l, &l->question);
    if (err == OK)
        op->pending++;
    return err;
}

static void ask_tlsa(struct route_op *op, uint8_t name, const char *base)
{
    struct route_name *n = &op->route.names[name];
    char text[DNS_NAME_MAX + 32];

    memcpy(n->base, base, strlen(base) + 1);
    snprintf(text, sizeof(text), "_%u._tcp.%s", (unsigned)op->port, base);
    op->found[name].dane = TRUST_DANE_UNKNOWN;
    if (strlen(text) > DNS_NAME_MAX)
        op->found[name].dane = TRUST_DANE_NONE; /* there can be none */
    else
        (void)ask(op, name, 2, DNS_TLSA, text);
}

static void on_tlsa(struct lookup *l, int err, const struct dns_answer *a)
{
    struct route_op *op = l->op;
    struct route_name *n = &op->route.names[l->name];
    struct found *f = &op->found[l->name];

    f->dane = err == OK ? read_tlsa(&op->route, n, a) : TRUST_DANE_UNKNOWN;
    f->bogus = err == ERR_CRYPTO;
    /* RFC 7672 section 2.2.3: an alias's own name comes second. */
    if (f->dane == TRUST_DANE_NONE && strcmp(n->base, n->name) != 0)
        ask_tlsa(op, l->name, n->name);
}

/* RFC 7672 section 2.2.2. Where an alias leads to may be unsigned while the alias itself is not, so that one's own name
 * is asked for: what is not signed counts for nothing in any case. */
static void with_addresses(struct route_op *op, uint8_t name)
{
    const struct route_name *n = &op->route.names[name];
    const struct found *f = &op->found[name];
    const bool alias = f->canonical[0] && strcmp(f->canonical, n->name) != 0;

    if (!n->secure || f->n4 + f->n6 == 0 || (f->insecure && !alias) ||
        demand_of(op, TRUST_DANE_USABLE, TRUST_STS_NONE) == demand_of(op, TRUST_DANE_NONE, TRUST_STS_NONE))
        return;
    ask_tlsa(op, name, alias && !f->insecure ? f->canonical : n->name);
}

static void take_addresses(struct found *f, enum dns_type type, const struct dns_answer *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (type == DNS_A && f->n4 < ROUTE_ADDRESSES_MAX && a->v[i].data.len == 4)
            memcpy(f->v4[f->n4++], a->v[i].data.data, 4);
        else if (type == DNS_AAAA && f->n6 < ROUTE_ADDRESSES_MAX && a->v[i].data.len == 16)
            memcpy(f->v6[f->n6++], a->v[i].data.data, 16);
    }
    if (a->n == 0)
        return;
    f->insecure |= a->trust != DNS_SECURE;
    snprintf(f->canonical, sizeof(f->canonical), "%s", a->canonical ? a->canonical : "");
}

static void on_address(struct lookup *l, int err, const struct dns_answer *a)
{
    struct found *f = &l->op->found[l->name];

    if (err != OK)
        f->unknown = true;
    else
        take_addresses(f, l->type, a);
    if (--f->pending == 0)
        with_addresses(l->op, l->name);
}

static void ask_addresses(struct route_op *op)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};

    for (uint8_t i = 0; i < op->route.nnames; i++)
        for (unsigned k = 0; k < 2; k++)
            if (ask(op, i, k, types[k], op->route.names[i].name) == OK)
                op->found[i].pending++;
            else
                op->found[i].unknown = true;
    if (!op->pending)
        done(op, OBSTACLES);
}

static void add_name(struct route_op *op, const char *name, bool secure)
{
    struct route_name *n = &op->route.names[op->route.nnames];

    if (op->route.nnames == ROUTE_NAMES_MAX)
        return;
    snprintf(n->name, sizeof(n->name), "%s", name);
    n->secure = secure;
    op->route.nnames++;
}

static void on_mx(void *arg, int err, const struct dns_answer *a)
{
    const struct dns_record *kept[DNS_RECORDS_MAX];
    struct route_op *op = ((struct lookup *)arg)->op;
    enum obstacle why = OBSTACLE_NAMES;
    uint32_t n;

    op->mx.question = NULL;
    op->pending--;
    if (err != OK || a->n > DNS_RECORDS_MAX) {
        done(op, OBSTACLE_NAMES);
        return;
    }
    if (!a->exists) {
        done(op, OBSTACLE_NO_DOMAIN);
        return;
    }
    if (a->n == 0) { /* RFC 5321 section 5.1: an implicit MX, the domain itself */
        add_name(op, op->route.domain, a->trust == DNS_SECURE);
        ask_addresses(op);
        return;
    }
    n = route_pick_mx(a->v, a->n, op->router->own_name, kept, &why);
    if (n == 0) {
        done(op, why);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        add_name(op, kept[i]->name, a->trust == DNS_SECURE);
    ask_addresses(op);
}

/* An address has no name that DNS could say something of. */
static void take_literal(struct route_op *op, bool six, const uint8_t *octets)
{
    struct found *f = &op->found[0];

    if (six)
        memcpy(f->v6[f->n6++], octets, 16);
    else
        memcpy(f->v4[f->n4++], octets, 4);
}

/* RFC 5321 section 4.1.3. */
static bool add_literal(struct route_op *op, const char *text)
{
    const size_t len = strlen(text);
    uint8_t octets[16];
    bool six;

    if (address_literal_read((const uint8_t *)text, len, octets, &six) != len)
        return false;
    snprintf(op->route.names[0].name, sizeof(op->route.names[0].name), "%s", text);
    op->route.names[0].secure = true;
    op->route.nnames = 1;
    take_literal(op, six, octets);
    return true;
}

static void use_route(struct route_op *op, const struct relay_route *r)
{
    uint8_t octets[16];
    const bool four = inet_pton(AF_INET, r->host, octets) == 1;

    if (r->port)
        op->port = r->port;
    add_name(op, r->host, true);
    if (four || inet_pton(AF_INET6, r->host, octets) == 1) {
        take_literal(op, !four, octets);
        done(op, OBSTACLES);
        return;
    }
    ask_addresses(op);
}

static void on_policy(void *arg, const struct mta_sts_policy *p, enum sts_fault fault)
{
    struct route_op *op = arg;

    op->sts = NULL;
    op->route.sts_fault = fault;
    if (p) {
        op->policy = *p;
        op->route.sts = p->mode == MTA_STS_TESTING ? TRUST_STS_TESTING : TRUST_STS_ENFORCE;
    }
    if (--op->pending == 0)
        done(op, OBSTACLES);
}

/* MX and MTA-STS are asked together. */
static void ask_domain(struct route_op *op)
{
    const struct router *r = op->router;
    const bool sts =
        demand_of(op, TRUST_DANE_NONE, TRUST_STS_ENFORCE) != demand_of(op, TRUST_DANE_NONE, TRUST_STS_NONE);

    op->route.own = true;
    op->mx = (struct lookup){.op = op, .type = DNS_MX};
    if (dns_ask(r->dns, DNS_MX, op->route.domain, on_mx, &op->mx, &op->mx.question) != OK) {
        done(op, OBSTACLE_NAMES);
        return;
    }
    op->pending++;
    if (!sts)
        return;
    if (sts_find(r->sts, op->route.domain, on_policy, op, &op->sts) != OK) {
        dns_cancel(op->mx.question);
        op->mx.question = NULL;
        done(op, OBSTACLE_SHORTAGE);
        return;
    }
    op->pending++;
}

static void begin(struct route_op *op)
{
    static const enum trust_word words[] = {[TLS_MAY] = TRUST_WORD_MAY,
                                            [TLS_DANE] = TRUST_WORD_DANE,
                                            [TLS_VERIFY] = TRUST_WORD_VERIFY,
                                            [TLS_FINGERPRINT] = TRUST_WORD_FINGERPRINT};
    const struct router *r = op->router;
    const bool smarthost = strcmp(op->route.domain, "*") == 0;
    const struct relay_route *by = smarthost ? &r->smarthost : relay_policy_route(r->policy, op->route.domain);
    const struct relay_route *tls = smarthost ? relay_policy_route(r->policy, r->smarthost.host) : by;

    if (smarthost) {
        op->route.domain[0] = '\0';
        op->route.login = r->smarthost_login;
    }
    op->route.word = op->route.login ? TRUST_WORD_VERIFY : TRUST_WORD_NONE; /* a password goes to whom it is for */
    if (tls && tls->tls_said) {
        op->route.word = words[tls->tls];
        memcpy(op->route.fingerprint, tls->fingerprint, sizeof(tls->fingerprint));
    }
    if (by && by->host[0]) {
        use_route(op, by);
        return;
    }
    if (op->route.domain[0] == '[') {
        done(op, add_literal(op, op->route.domain) ? OBSTACLES : OBSTACLE_NO_DOMAIN);
        return;
    }
    ask_domain(op);
}

int route_find(struct loop *l, const struct router *r, const char *destination, route_fn *fn, void *arg,
               struct route_op **ret)
{
    struct route_op *op = calloc(1, sizeof(*op));
    char sender[DNS_NAME_MAX + 1];

    if (!op)
        return ERR_MEMORY;
    *op = (struct route_op){.loop = l, .router = r, .fn = fn, .arg = arg, .port = r->port, .why = OBSTACLES};
    route_destination_parts(destination, op->route.domain, sender, &op->route.wish);
    begin(op);
    *ret = op;
    return OK;
}

void route_cancel(struct route_op *op)
{
    if (!op)
        return;
    if (op->mx.question)
        dns_cancel(op->mx.question);
    if (op->sts)
        sts_cancel(op->sts);
    for (unsigned i = 0; i < ROUTE_NAMES_MAX; i++)
        for (unsigned k = 0; k < 3; k++)
            if (op->lookups[i][k].question)
                dns_cancel(op->lookups[i][k].question);
    defer_cancel(op->loop, &op->now);
    free(op);
}
