/* Which policies a session was under, and what came of it by each (RFC 8460 section 4.3). See tally.h. */
#include <stdio.h>
#include <string.h>

#include "server/relay/relay.h"
#include "server/relay/tally.h"

/* Whether anybody is told of it: reports go out as TLS-Required: No, and so reports never tell of reports. */
static bool counts(const struct relay *r, const struct route *route)
{
    return r->tallies && route->own && route->wish != QUEUE_TLS_OPTIONAL;
}

/* RFC 6698 section 2.2: in the form of presentation, one record a line. */
static size_t tlsa_text(const struct route *route, const struct route_name *n, char out[TLS_TALLY_TEXT_MAX])
{
    size_t len = 0;

    for (uint32_t i = 0; i < n->ntlsa; i++) {
        const struct route_tlsa *t = &n->tlsa[i];
        if (len + 2 * t->len + sizeof("3 1 1 \n") > TLS_TALLY_TEXT_MAX)
            continue;
        len += (size_t)sprintf(out + len, "%u %u %u ", t->usage, t->selector, t->matching);
        for (size_t k = 0; k < t->len; k++)
            len += (size_t)sprintf(out + len, "%02x", route->octets[t->at + k]);
        out[len++] = '\n';
    }
    return len;
}

static void add(struct relay *r, const struct route *route, const struct tally_session *s)
{
    tallies_add(r->tallies, route->domain, s);
}

static void add_tlsa(struct relay *r, const struct route *route, const struct route_name *n, struct tally_session s)
{
    char text[TLS_TALLY_TEXT_MAX];

    s.kind = TLS_REPORT_TLSA;
    s.policy_domain = n->base[0] ? n->base : n->name;
    s.text = slice_of(text, tlsa_text(route, n, text));
    add(r, route, &s);
}

static void add_sts(struct relay *r, const struct route *route, const struct route_name *n, struct tally_session s)
{
    static const enum tls_report_result faults[] = {[STS_FAULT_FETCH] = TLS_REPORT_STS_POLICY_FETCH_ERROR,
                                                    [STS_FAULT_WEBPKI] = TLS_REPORT_STS_WEBPKI_INVALID,
                                                    [STS_FAULT_INVALID] = TLS_REPORT_STS_POLICY_INVALID};

    s.kind = TLS_REPORT_STS;
    s.policy_domain = route->domain;
    s.text = slice_of(route->octets + route->sts_at, route->sts_len);
    if (route->sts_fault) {
        s.result = faults[route->sts_fault];
        s.reason = TALLY_REASON_NONE;
    } else if (s.result == TLS_REPORT_OTHER && !n->in_policy) {
        s.result = TLS_REPORT_VALIDATION_FAILURE;
        s.reason = TALLY_REASON_MX;
    }
    if (s.result != TLS_REPORT_OTHER || r->roots) /* else nobody has looked */
        add(r, route, &s);
}

/* By each policy that there is, and that says something of this session: DANE goes before MTA-STS. */
static void add_all(struct relay *r, const struct route *route, const struct route_name *n, struct tally_session s)
{
    const bool dane = n->demand == TRUST_DANE, unusable = n->dane == TRUST_DANE_UNUSABLE;
    struct tally_session none = s;

    if (dane)
        add_tlsa(r, route, n, s);
    if (unusable) {
        none.result = TLS_REPORT_TLSA_INVALID;
        none.reason = TALLY_REASON_UNUSABLE;
        add_tlsa(r, route, n, none);
    }
    if (route->sts_fault || (!dane && route->sts != TRUST_STS_NONE))
        add_sts(r, route, n, s);
    if (dane || unusable || route->sts != TRUST_STS_NONE)
        return;
    s.kind = TLS_REPORT_NO_POLICY;
    s.policy_domain = route->domain;
    add(r, route, &s);
}

static enum tls_report_result result_of(enum tls_client_fault fault, bool dane)
{
    static const enum tls_report_result results[] = {
        [TLS_CLIENT_FAULT_NONE] = TLS_REPORT_OTHER,
        [TLS_CLIENT_FAULT_HANDSHAKE] = TLS_REPORT_VALIDATION_FAILURE,
        [TLS_CLIENT_FAULT_NAME] = TLS_REPORT_CERTIFICATE_HOST_MISMATCH,
        [TLS_CLIENT_FAULT_EXPIRED] = TLS_REPORT_CERTIFICATE_EXPIRED,
        [TLS_CLIENT_FAULT_UNTRUSTED] = TLS_REPORT_CERTIFICATE_NOT_TRUSTED,
        [TLS_CLIENT_FAULT_TLSA] = TLS_REPORT_TLSA_INVALID,
    };

    /* No record names what the server showed: "None of the records in the RRset were found to be valid". */
    return dane && fault == TLS_CLIENT_FAULT_UNTRUSTED ? TLS_REPORT_TLSA_INVALID : results[fault];
}

void tally_connection(struct relay *r, const struct route *route, uint32_t host, const struct conn *c,
                      enum tls_report_result result, enum tls_client_fault fault)
{
    const struct route_name *n = &route->names[route->hosts[host].name];
    struct sockaddr_storage local;
    struct tally_session s = {.mx = n->name,
                              .result = result ? result : result_of(fault, n->demand == TRUST_DANE),
                              .reason = fault == TLS_CLIENT_FAULT_HANDSHAKE ? TALLY_REASON_HANDSHAKE : 0};

    if (!counts(r, route))
        return;
    conn_local(c, &local);
    tally_address(&local, &s.sending);
    tally_address(&route->hosts[host].addr, &s.receiving);
    add_all(r, route, n, s);
}

void tally_unused(void *relay, const struct route *route, uint32_t name)
{
    struct relay *r = relay;
    const struct route_name *n = &route->names[name];
    struct tally_session s = {.mx = n->name};

    if (!counts(r, route))
        return;
    if (n->demand == TRUST_UNKNOWN && n->bogus) {
        s.result = TLS_REPORT_DNSSEC_INVALID;
        add_tlsa(r, route, n, s);
    } else if (n->demand == TRUST_NO_PROOF && route->word == TRUST_WORD_DANE) {
        s.result = TLS_REPORT_DANE_REQUIRED;
        add_tlsa(r, route, n, s);
    } else if (n->demand == TRUST_NO_PROOF) {
        add_sts(r, route, n, s);
    }
}
