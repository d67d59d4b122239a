/* What all judging of a process shares. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/ingest/judge/judge_impl.h"
#include "server/mailauth/iprev.h"

struct judge *judge_create(struct loop *l, struct dns *d)
{
    struct judge *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->loop = l;
    j->answers = answers_create(l, d);
    if (j->answers)
        return j;
    free(j);
    return NULL;
}

void judge_destroy(struct judge *j)
{
    if (j)
        answers_destroy(j->answers);
    free(j);
}

struct answers *judge_answers(const struct judge *j)
{
    return j->answers;
}

static void read_lists(const char *at, struct judge_rules *r)
{
    char one[RECORDS_NAME_CAP + 8];

    while (r->lists < CONFIG_WEIGHED_MAX && config_list_next(&at, one, sizeof(one)))
        if (config_weighed(one, r->list[r->lists].zone, RECORDS_NAME_CAP, &r->list[r->lists].weight))
            r->lists++;
}

void judge_configure(struct judge *j, const struct config *c)
{
    struct judge_rules *r = &j->rules;
    const char *at = c->auth_exempt;
    char one[sizeof(c->auth_exempt)];

    *r = (struct judge_rules){
        .reject = c->auth_reject,
        .junk = c->auth_junk,
        .author_reject = c->auth_author_reject,
        .spf_reject = c->auth_spf_reject,
        .helo_reject = c->helo_reject,
        .defer_unknown = strcmp(c->auth_unavailable, "defer") == 0,
    };
    read_lists(c->dnsbl, r);
    memcpy(r->trusted, c->arc_trusted, sizeof(r->trusted));
    memcpy(j->domain, c->domain, sizeof(j->domain));
    while (r->exempts < JUDGE_EXEMPT_MAX && config_list_next(&at, one, sizeof(one)))
        if (prefix_parse(one, &r->exempt[r->exempts]) == OK)
            r->exempts++;
}

bool judge_exempts(const struct judge *j, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;
    const bool six = peer->ss_family == AF_INET6;
    const struct iprev_address a = iprev_address_of(six ? v6->sin6_addr.s6_addr : (const uint8_t *)&v4->sin_addr, six);

    if (!six && peer->ss_family != AF_INET) /* a socket of this machine */
        return true;
    for (size_t i = 0; i < j->rules.exempts; i++)
        if (prefix_holds(&j->rules.exempt[i], a.octets, a.six ? 16 : 4))
            return true;
    return false;
}
