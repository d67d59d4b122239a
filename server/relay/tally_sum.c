#include "server/relay/tally_sum.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/base/conn.h"

_Static_assert((int)TLS_TALLY_KINDS + 1 == (int)TLS_REPORT_KINDS && (int)TLS_TALLY_RESULTS == (int)TLS_REPORT_RESULTS &&
                   (int)TLS_TALLY_REASONS == (int)TALLY_REASONS &&
                   (int)TLS_TALLY_TARGETS == (int)TLS_REPORT_TARGETS_MAX,
               "what is kept is what is said");

void tally_address(const struct sockaddr_storage *ss, struct tls_tally_address *ret)
{
    *ret = (struct tls_tally_address){0};
    ret->len = (uint8_t)addr_bytes(ss, ret->octets);
}

/* ---- sums ---- */

static struct tls_tally_policy *find_policy(struct tls_tally *t, const struct tls_tally_policy *like)
{
    struct tls_tally_policy *p;

    for (uint32_t i = 0; i < t->npolicies; i++) {
        p = &t->policies[i];
        if (p->kind == like->kind && strcmp(p->domain, like->domain) == 0 && strcmp(p->text, like->text) == 0)
            return p;
    }
    if (t->npolicies == TLS_TALLY_POLICIES_MAX)
        return NULL;
    p = &t->policies[t->npolicies++];
    *p = *like;
    p->good = p->bad = 0;
    return p;
}

static bool same_address(const struct tls_tally_address *a, const struct tls_tally_address *b)
{
    return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

static int add_detail(struct tls_tally *t, const struct tls_tally_detail *like)
{
    struct tls_tally_detail *d;

    for (uint32_t i = 0; i < t->ndetails; i++) {
        d = &t->details[i];
        if (d->policy == like->policy && d->result == like->result && d->reason == like->reason &&
            same_address(&d->sending, &like->sending) && same_address(&d->receiving, &like->receiving) &&
            strcmp(d->mx, like->mx) == 0) {
            d->sessions += like->sessions;
            return OK;
        }
    }
    if (t->ndetails == TLS_TALLY_DETAILS_MAX)
        return ERR_LIMIT;
    t->details[t->ndetails++] = *like;
    return OK;
}

int tally_sum_add(struct tls_tally *t, const struct tally_session *s)
{
    struct tls_tally_policy like = {.kind = (uint8_t)s->kind}, *p;
    struct tls_tally_detail detail = {.result = (uint8_t)s->result,
                                      .reason = (uint8_t)s->reason,
                                      .sending = s->sending,
                                      .receiving = s->receiving,
                                      .sessions = 1};

    snprintf(like.domain, sizeof(like.domain), "%s", s->policy_domain);
    if (s->text.len < sizeof(like.text) && s->text.len > 0)
        memcpy(like.text, s->text.data, s->text.len);
    p = find_policy(t, &like);
    if (!p)
        return ERR_LIMIT;
    if (s->result == TLS_REPORT_OTHER) {
        p->good++;
        return OK;
    }
    p->bad++;
    detail.policy = (uint8_t)(p - t->policies);
    snprintf(detail.mx, sizeof(detail.mx), "%s", s->mx);
    return add_detail(t, &detail);
}

int tally_sum_merge(struct tls_tally *t, const struct tls_tally *more)
{
    int err = OK;

    for (uint32_t i = 0; i < more->npolicies; i++) {
        struct tls_tally_policy *p = find_policy(t, &more->policies[i]);
        if (!p) {
            err = ERR_LIMIT;
            continue;
        }
        p->good += more->policies[i].good;
        p->bad += more->policies[i].bad;
        for (uint32_t k = 0; k < more->ndetails; k++) {
            struct tls_tally_detail d = more->details[k];
            if (d.policy != i)
                continue;
            d.policy = (uint8_t)(p - t->policies);
            if (add_detail(t, &d) != OK)
                err = ERR_LIMIT;
        }
    }
    return err;
}

/* ---- the report ---- */

static const char *const reasons[TALLY_REASONS] = {
    [TALLY_REASON_HANDSHAKE] = "tls-handshake-failed",
    [TALLY_REASON_MX] = "mx-not-in-policy",
    [TALLY_REASON_UNUSABLE] = "no-usable-tlsa-record",
};

static const char *ip_text(const struct tls_tally_address *a, char *out)
{
    return a->len ? inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->octets, out, INET6_ADDRSTRLEN) : NULL;
}

struct making {
    const struct tls_tally *t;
    struct tally_report *r;
    size_t nlines, nmx, ndetails;
};

/* policy-string, and of MTA-STS mx-host (RFC 8460 section 4.4). */
static void take_lines(struct making *m, struct tls_report_policy *p, char *text)
{
    char *end;

    p->lines = &m->r->lines[m->nlines];
    p->mx = &m->r->mx[m->nmx];
    for (; (end = strchr(text, '\n')) && m->nlines < TALLY_LINES_MAX; text = end + 1) {
        *end = '\0';
        m->r->lines[m->nlines++] = text;
        p->nlines++;
        if (p->kind == TLS_REPORT_STS && strncmp(text, "mx: ", 4) == 0) {
            m->r->mx[m->nmx++] = text + 4;
            p->nmx++;
        }
    }
}

static void take_details(struct making *m, struct tls_report_policy *p, uint32_t number)
{
    p->details = &m->r->details[m->ndetails];
    for (uint32_t i = 0; i < m->t->ndetails; i++) {
        const struct tls_tally_detail *d = &m->t->details[i];
        if (d->policy != number)
            continue;
        m->r->details[m->ndetails++] = (struct tls_report_detail){
            .result = (enum tls_report_result)d->result,
            .sending_ip = ip_text(&d->sending, m->r->addresses[2 * i]),
            .receiving_ip = ip_text(&d->receiving, m->r->addresses[2 * i + 1]),
            .mx = d->mx[0] ? d->mx : NULL,
            .reason = reasons[d->reason],
            .sessions = d->sessions,
        };
        p->ndetails++;
    }
}

void tally_report_make(const struct tls_tally *t, struct tally_report *ret)
{
    struct making m = {.t = t, .r = ret};

    *ret = (struct tally_report){.report = {.begin = (int64_t)t->begin,
                                            .end = (int64_t)t->end - 1, /* the last second of it */
                                            .policies = ret->policies,
                                            .npolicies = t->npolicies}};
    for (uint32_t i = 0; i < t->npolicies; i++) {
        const struct tls_tally_policy *from = &t->policies[i];
        struct tls_report_policy *p = &ret->policies[i];
        *p = (struct tls_report_policy){.kind = (enum tls_report_kind)from->kind,
                                        .domain = from->domain,
                                        .successes = from->good,
                                        .failures = from->bad};
        memcpy(ret->texts[i], from->text, sizeof(from->text));
        take_lines(&m, p, ret->texts[i]);
        take_details(&m, p, i);
    }
}
