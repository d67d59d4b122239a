#include "server/mailauth/sender_features.h"

#include <arpa/inet.h>
#include <libpsl.h>
#include <stdio.h>
#include <string.h>

const char *features_registered(const char *host)
{
    const char *last = strrchr(host, '.'), *found;

    if (host[0] == '[' || (last && last[1] >= '0' && last[1] <= '9'))
        return host;
    found = psl_registrable_domain(psl_builtin(), host);
    return found ? found : host; /* a public suffix, or one label */
}

static void add(struct features *f, const char *kind, const char *value)
{
    struct feature *one = &f->v[f->n];

    if (!*value || f->n == FEATURES_MAX || strlen(value) >= sizeof(one->value))
        return;
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].kind == kind && strcmp(f->v[i].value, value) == 0)
            return;
    one->kind = kind;
    strcpy(one->value, value);
    f->n++;
}

static const char *domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
}

/* /24 and /48: who has more addresses than one has them there. */
static void add_network(struct features *f, const struct features_question *q)
{
    uint8_t octets[16] = {0};
    char text[INET6_ADDRSTRLEN];

    if (!q->peer)
        return;
    memcpy(octets, q->peer, q->six ? 6 : 3);
    if (inet_ntop(q->six ? AF_INET6 : AF_INET, octets, text, sizeof(text)))
        add(f, "net", text);
}

void features_of(const struct features_question *q, struct features *ret)
{
    static const char *const kinds[] = {[LINK_WEB] = "web", [LINK_MAIL] = "mailto"};
    const char *domain = domain_of(q->author);

    ret->n = 0;
    add(ret, "from", q->author);
    add(ret, "domain", domain);
    add(ret, "organization", *q->organization ? q->organization : *domain ? features_registered(domain) : "");
    add(ret, "path", domain_of(q->sender));
    add(ret, "result", q->result);
    add_network(ret, q);
    for (size_t i = 0; q->links && i < q->links->n; i++)
        add(ret, kinds[q->links->v[i].kind], features_registered(q->links->v[i].host));
}
