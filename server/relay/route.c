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

void route_destination(const struct router *r, const char *address, const char *sender, bool requiretls,
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
    snprintf(out, DESTINATION_MAX, "%s%s%s%s", domain, requiretls ? " tls" : "", has_source ? " @" : "",
             has_source ? from : "");
}

static void copy_word(const char *from, size_t len, char out[DNS_NAME_MAX + 1])
{
    if (len > DNS_NAME_MAX)
        len = DNS_NAME_MAX;
    memcpy(out, from, len);
    out[len] = '\0';
}

void route_destination_parts(const char *destination, char domain[DNS_NAME_MAX + 1], char sender[DNS_NAME_MAX + 1],
                             bool *ret_requiretls)
{
    const size_t len = strcspn(destination, " ");
    const char *at = strstr(destination + len, " @");

    copy_word(destination, len, domain);
    copy_word(at ? at + 2 : "", at ? strlen(at + 2) : 0, sender);
    *ret_requiretls = strncmp(destination + len, " tls", 4) == 0;
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

struct lookup {
    struct dns_question *question;
    struct route_op *op;
    uint8_t name; /* its number */
    enum dns_type type;
};
struct found {
    uint32_t n4, n6;
    uint8_t v4[ROUTE_ADDRESSES_MAX][4], v6[ROUTE_ADDRESSES_MAX][16];
    bool unknown; /* some question about it had no answer */
};
struct route_op {
    struct loop *loop;
    const struct router *router;
    route_fn *fn;
    void *arg;
    struct defer now;
    uint32_t pending;
    uint16_t port;
    bool exists;
    enum obstacle why;
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

static void finish(void *arg)
{
    struct route_op *op = arg;
    struct route *r = &op->route;
    bool unknown = false;

    for (uint8_t i = 0; i < r->nnames; i++) {
        const struct found *f = &op->found[i];
        unknown |= f->unknown;
        if (r->tls == TLS_DANE && !r->names[i].ntlsa)
            continue; /* RFC 7672 section 2.2: what dane asks for this host cannot give */
        for (uint32_t k = 0; k < f->n6; k++)
            add_host(op, i, true, f->v6[k]);
        for (uint32_t k = 0; k < f->n4; k++)
            add_host(op, i, false, f->v4[k]);
    }
    if (!r->nhosts && op->why == OBSTACLES)
        op->why = unknown ? OBSTACLE_NAMES : r->tls == TLS_DANE ? OBSTACLE_TLS : OBSTACLE_NO_ADDRESS;
    op->fn(op->arg, r->nhosts ? r : NULL, op->why);
    free(op);
}

static void done(struct route_op *op, enum obstacle why)
{
    op->why = why;
    defer_set(op->loop, &op->now, finish, op);
}

static void take_tlsa(struct route_name *n, const struct dns_answer *a)
{
    if (a->trust != DNS_SECURE)
        return;
    for (uint32_t i = 0; i < a->n && n->ntlsa < ROUTE_TLSA_MAX; i++) {
        const struct dns_record *v = &a->v[i];
        if (v->data.len > TLS_TLSA_DATA_MAX)
            continue;
        memcpy(n->tlsa_data[n->ntlsa], v->data.data, v->data.len);
        n->tlsa[n->ntlsa] = (struct tls_tlsa){v->usage, v->selector, v->matching, n->tlsa_data[n->ntlsa], v->data.len};
        n->ntlsa++;
    }
}

static void on_answer(void *arg, int err, const struct dns_answer *a)
{
    struct lookup *l = arg;
    struct route_op *op = l->op;
    struct found *f = &op->found[l->name];

    l->question = NULL;
    op->pending--;
    if (err != OK)
        f->unknown = true;
    else if (l->type == DNS_TLSA)
        take_tlsa(&op->route.names[l->name], a);
    else
        for (uint32_t i = 0; i < a->n; i++) {
            if (l->type == DNS_A && f->n4 < ROUTE_ADDRESSES_MAX && a->v[i].data.len == 4)
                memcpy(f->v4[f->n4++], a->v[i].data.data, 4);
            else if (l->type == DNS_AAAA && f->n6 < ROUTE_ADDRESSES_MAX && a->v[i].data.len == 16)
                memcpy(f->v6[f->n6++], a->v[i].data.data, 16);
        }
    if (!op->pending)
        done(op, OBSTACLES);
}

static void ask(struct route_op *op, uint8_t name, unsigned which, enum dns_type type, const char *text)
{
    struct lookup *l = &op->lookups[name][which];

    *l = (struct lookup){.op = op, .name = name, .type = type};
    if (dns_ask(op->router->dns, type, text, on_answer, l, &l->question) == OK)
        op->pending++;
    else
        op->found[name].unknown = true;
}

static void ask_addresses(struct route_op *op)
{
    char tlsa[DNS_NAME_MAX + 32];

    for (uint8_t i = 0; i < op->route.nnames; i++) {
        const char *name = op->route.names[i].name;
        ask(op, i, 0, DNS_A, name);
        ask(op, i, 1, DNS_AAAA, name);
        if (op->route.tls != TLS_DANE || !op->route.names[i].secure)
            continue;
        snprintf(tlsa, sizeof(tlsa), "_%u._tcp.%s", (unsigned)op->port, name);
        ask(op, i, 2, DNS_TLSA, tlsa);
    }
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
    add_host(op, 0, six, octets);
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
        add_host(op, 0, !four, octets);
        done(op, OBSTACLES);
        return;
    }
    ask_addresses(op);
}

static void begin(struct route_op *op, bool requiretls)
{
    const struct router *r = op->router;
    const bool smarthost = strcmp(op->route.domain, "*") == 0;
    const struct relay_route *by = smarthost ? &r->smarthost : relay_policy_route(r->policy, op->route.domain);
    const struct relay_route *tls = smarthost ? relay_policy_route(r->policy, r->smarthost.host) : by;

    if (smarthost) {
        op->route.domain[0] = '\0';
        op->route.login = r->smarthost_login;
    }
    /* A password goes to whom it is for. RFC 8689 section 4.2.1 asks the same of mail that says REQUIRETLS. */
    op->route.tls = op->route.login || requiretls ? TLS_VERIFY : TLS_MAY;
    if (tls && tls->tls_said && (tls->tls != TLS_MAY || !requiretls)) {
        op->route.tls = tls->tls;
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
    op->mx = (struct lookup){.op = op, .type = DNS_MX};
    if (dns_ask(r->dns, DNS_MX, op->route.domain, on_mx, &op->mx, &op->mx.question) != OK)
        done(op, OBSTACLE_NAMES);
}

int route_find(struct loop *l, const struct router *r, const char *destination, route_fn *fn, void *arg,
               struct route_op **ret)
{
    struct route_op *op = calloc(1, sizeof(*op));
    char sender[DNS_NAME_MAX + 1];
    bool requiretls;

    if (!op)
        return ERR_MEMORY;
    *op = (struct route_op){.loop = l, .router = r, .fn = fn, .arg = arg, .port = r->port, .why = OBSTACLES};
    route_destination_parts(destination, op->route.domain, sender, &requiretls);
    begin(op, requiretls);
    *ret = op;
    return OK;
}

void route_cancel(struct route_op *op)
{
    if (!op)
        return;
    if (op->mx.question)
        dns_cancel(op->mx.question);
    for (unsigned i = 0; i < ROUTE_NAMES_MAX; i++)
        for (unsigned k = 0; k < 3; k++)
            if (op->lookups[i][k].question)
                dns_cancel(op->lookups[i][k].question);
    defer_cancel(op->loop, &op->now);
    free(op);
}
