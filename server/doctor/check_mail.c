/* What proves mail: SPF, DKIM, DMARC; and what is published of TLS. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/doctor/impl.h"
#include "server/doctor/spf_walk.h"
#include "server/mail/date.h"
#include "server/mail/token.h"
#include "server/mailauth/tags.h"
#include "server/mailauth/tls_report.h"

enum { DAY = 86400, KEY_DAYS_OLD = 400 };

/* ---- SPF ---- */

static const struct dns_answer *ask(void *arg, enum dns_type type, const char *name, int *ret_err)
{
    return doctor_ask(arg, type, name, ret_err);
}

/* Of mail from an address, whose server says host; own NULL: of none in particular. */
static struct spf_walk walk(struct doctor *d, const char *domain, const struct doctor_address *own)
{
    static const uint8_t nowhere[16] = {0};
    struct spf_walk w = {
        .ask = ask,
        .arg = d,
        .macros = {.local = "postmaster",
                   .sender_domain = domain,
                   .domain = domain,
                   .helo = d->f->config->domain,
                   .validated = "unknown",
                   .address = own ? own->octets : nowhere,
                   .six = own && own->six},
    };

    spf_walk_run(&w, domain);
    return w;
}

static void say_spf_fault(struct doctor *d, const struct spf_walk *w, enum zone_record want)
{
    if (w->result == AUTH_NONE)
        doctor_say_record(d, DOCTOR_FAIL, want, "publish it: the largest receivers refuse mail without it",
                          "%s has no SPF record", want == ZONE_HOST_SPF ? d->f->config->domain : d->f->domain);
    else
        doctor_say_record(d, DOCTOR_FAIL, want, "correct the record", "SPF ends with an error: %s (%s)",
                          w->fault ? w->fault : "it asks without end", w->fault_at);
}

static void say_spf_costs(struct doctor *d, const struct spf_walk *w)
{
    char limit[64];

    snprintf(limit, sizeof(limit), "at most %d", SPF_LOOKUPS_MAX);
    if (w->lookups > SPF_LOOKUPS_MAX)
        doctor_say(d, DOCTOR_FAIL, limit, "replace includes by the addresses that they mean, or leave some out",
                   "the SPF record costs %u look-ups: receivers stop at the limit and take it for an error (RFC 7208 "
                   "section 4.6.4)",
                   w->lookups);
    else
        doctor_say(d, DOCTOR_OK, limit, "", "the SPF record costs %u look-ups", w->lookups);
    snprintf(limit, sizeof(limit), "at most %d", SPF_VOID_MAX);
    if (w->voids > SPF_VOID_MAX)
        doctor_say(d, DOCTOR_FAIL, limit, "take away the terms whose names are not there",
                   "%u terms of the SPF record name what is not there: receivers take it for an error", w->voids);
    if (w->lets_everybody)
        doctor_say(d, DOCTOR_FAIL, "~all at its end", "take +all, or the network of all addresses, away",
                   "the SPF record lets everybody send for %s", d->f->domain);
    if (w->asks_ptr)
        doctor_say(d, DOCTOR_WARN, "", "name addresses instead", "the SPF record uses ptr, which some do not look at");
}

static void say_spf_result(struct doctor *d, const struct doctor_address *own, const struct spf_walk *w,
                           enum zone_record want)
{
    const char *of = want == ZONE_HOST_SPF ? d->f->config->domain : d->f->domain;

    if (w->result == AUTH_PASS)
        doctor_say(d, DOCTOR_OK, "", "", "the SPF record of %s lets %s send", of, own->text);
    else
        doctor_say_record(d, DOCTOR_FAIL, want, "add this server (mx, a, or ip4: and ip6: with its addresses)",
                          "the SPF record of %s does not let %s send: %s", of, own->text, auth_result_name(w->result));
}

void doctor_check_spf(struct doctor *d)
{
    struct spf_walk w = walk(d, d->f->domain, NULL);

    if (w.result == AUTH_TEMPERROR || w.result == AUTH_PERMERROR || w.result == AUTH_NONE) {
        if (doctor_ask_or_say(d, DNS_TXT, d->f->domain))
            say_spf_fault(d, &w, ZONE_SPF);
        return;
    }
    say_spf_costs(d, &w);
    if (d->f->config->smarthost[0])
        doctor_say(d, DOCTOR_UNKNOWN, "", "ask its operator which include: stands for it",
                   "mail goes out by %s: whether the SPF record lets it send cannot be told from here",
                   d->f->config->smarthost);
    for (size_t i = 0; i < d->nown && !d->f->config->smarthost[0]; i++) {
        w = walk(d, d->f->domain, &d->own[i]);
        say_spf_result(d, &d->own[i], &w, ZONE_SPF);
    }
}

/* Bounces have no sender but the name that the server says (RFC 7208 section 2.4). */
void doctor_check_spf_host(struct doctor *d)
{
    for (size_t i = 0; i < d->nown; i++) {
        struct spf_walk w = walk(d, d->f->config->domain, &d->own[i]);
        if (w.result == AUTH_NONE) {
            doctor_say_record(d, DOCTOR_WARN, ZONE_HOST_SPF, "publish it",
                              "%s has no SPF record: bounces have no other name", d->f->config->domain);
            return;
        }
        if (w.result == AUTH_TEMPERROR || w.result == AUTH_PERMERROR) {
            say_spf_fault(d, &w, ZONE_HOST_SPF);
            return;
        }
        say_spf_result(d, &d->own[i], &w, ZONE_HOST_SPF);
    }
}

/* ---- DKIM ---- */

static bool is_any(struct slice txt)
{
    (void)txt;
    return true;
}

/* White space in p= means nothing (RFC 6376 section 3.6.1). */
static bool same_key(struct slice a, struct slice b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a.len && token_is_space(a.data[i]))
            i++;
        while (k < b.len && token_is_space(b.data[k]))
            k++;
        if (i == a.len || k == b.len)
            return i == a.len && k == b.len;
        if (a.data[i++] != b.data[k++])
            return false;
    }
}

/* What is wrong with the record of one of our keys; NULL: nothing. */
static const char *key_fault(const struct dns_answer *a, const struct doctor_key *k)
{
    struct slice txt = {0}, published, ours, flags;
    size_t n = doctor_texts(a, is_any, &txt);

    if (n == 0)
        return "is not published";
    if (n > 1)
        return "stands beside another record, and then neither counts";
    if (tags_get(txt, "p", &published) != OK || tags_get(slice_str(k->txt), "p", &ours) != OK)
        return "is not well-formed";
    if (published.len == 0)
        return "says that the key is revoked";
    if (!same_key(published, ours))
        return "has another key";
    if (tags_get(txt, "t", &flags) == OK && memchr(flags.data, 'y', flags.len))
        return "says t=y, by which receivers take mail for unsigned";
    return NULL;
}

static void see_key(struct doctor *d, const struct doctor_key *k)
{
    char name[DNS_NAME_MAX + 80], want[DOCTOR_TEXT_MAX], day[DATE_DAY_SIZE];
    const struct dns_answer *a;
    const char *fault;

    snprintf(name, sizeof(name), "%s._domainkey.%s", k->selector, d->f->domain);
    snprintf(want, sizeof(want), "%s.  IN TXT \"%s\"", name, k->txt);
    date_write_day(k->from, day);
    a = doctor_ask_or_say(d, DNS_TXT, name);
    fault = a ? key_fault(a, k) : NULL;
    if (!a)
        return;
    if (!fault && k->state == DOCTOR_KEY_SIGNS && d->f->now > k->from + (uint64_t)KEY_DAYS_OLD * DAY)
        doctor_say(d, DOCTOR_WARN, "", "letterlock dkim rotate", "%s is published, and signs since %s", name, day);
    else if (!fault)
        doctor_say(d, DOCTOR_OK, want, "", "%s is published", name);
    else if (k->state == DOCTOR_KEY_SIGNS)
        doctor_say(d, DOCTOR_FAIL, want, "publish it: until then signatures by this key fail",
                   "the record of a key that signs, %s, %s", name, fault);
    else if (k->state == DOCTOR_KEY_WAITS)
        doctor_say(d, DOCTOR_FAIL, want, "publish it before that day",
                   "the record of a key that will sign from %s on, %s, %s", day, name, fault);
    else
        doctor_say(d, DOCTOR_WARN, want, "publish it for a week more: mail on its way was signed by this key",
                   "the record of a retired key, %s, %s", name, fault);
}

void doctor_check_dkim(struct doctor *d)
{
    if (d->f->nkeys == 0)
        doctor_say(d, DOCTOR_FAIL, "", "letterlock dkim rotate, and publish what it prints",
                   "%s has no keys that sign its mail", d->f->domain);
    for (size_t i = 0; i < d->f->nkeys; i++)
        see_key(d, &d->f->keys[i]);
}

/* ---- DMARC (RFC 9989; RFC 7489) ---- */

static bool is_dmarc(struct slice txt)
{
    return tags_begin(txt, "DMARC1");
}

/* The domain's record, or that of a domain above it. *ret_at: where. NULL: there is none, or it was said. */
static const struct dns_answer *find_dmarc(struct doctor *d, const char **ret_at, bool *ret_said)
{
    for (const char *at = d->f->domain; at && strchr(at, '.'); at = strchr(at, '.') + 1) {
        char name[DNS_NAME_MAX + 16];
        struct slice txt;
        snprintf(name, sizeof(name), "_dmarc.%s", at);
        const struct dns_answer *a = doctor_ask_or_say(d, DNS_TXT, name);
        *ret_at = at;
        *ret_said = !a;
        if (!a || doctor_texts(a, is_dmarc, &txt))
            return a;
    }
    return NULL;
}

static bool is_word(struct slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp((const char *)s.data, word, s.len) == 0;
}

static void say_policy(struct doctor *d, struct slice p, const char *at)
{
    if (is_word(p, "none"))
        doctor_say_record(d, DOCTOR_WARN, ZONE_DMARC, "once all that sends for the domain signs, ask for more",
                          "the DMARC record of %s says p=none: whoever forges its mail gets through", at);
    else
        doctor_say_record(d, DOCTOR_OK, ZONE_DMARC, "", "the DMARC record of %s says p=%.*s", at, (int)p.len,
                          (const char *)p.data);
}

/* Where others send what they see of the domain's mail (RFC 9990). */
static void say_reports(struct doctor *d, struct slice txt, const char *at)
{
    struct slice rua;

    if (tags_get(txt, "rua", &rua) == OK && rua.len)
        doctor_say(d, DOCTOR_OK, "", "", "the DMARC record of %s asks for reports to %.*s", at, (int)rua.len,
                   (const char *)rua.data);
    else
        doctor_say_record(d, DOCTOR_WARN, ZONE_DMARC, "add its rua=: letterlock domain report shows what others say",
                          "the DMARC record of %s asks for no reports", at);
}

void doctor_check_dmarc(struct doctor *d)
{
    const char *at = d->f->domain;
    struct slice txt = {0}, p;
    bool said = false;
    const struct dns_answer *a = find_dmarc(d, &at, &said);
    size_t n = a ? doctor_texts(a, is_dmarc, &txt) : 0;
    int err = n == 1 ? tags_get(txt, "p", &p) : ERR_NOT_FOUND;

    if (said)
        return;
    if (n == 0)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_DMARC, "publish it: the largest receivers refuse mail without it",
                          "%s has no DMARC record", d->f->domain);
    else if (n > 1)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_DMARC, "leave one", "_dmarc.%s has %zu DMARC records, so none counts",
                          at, n);
    else if (err != OK || !(is_word(p, "none") || is_word(p, "quarantine") || is_word(p, "reject")))
        doctor_say_record(d, DOCTOR_FAIL, ZONE_DMARC, "correct it",
                          "the DMARC record of %s is not well-formed: it has no p= with none, quarantine or reject",
                          at);
    else {
        say_policy(d, p, at);
        say_reports(d, txt, at);
    }
}

/* ---- TLS reports (RFC 8460 section 3) ---- */

void doctor_check_tls_reports(struct doctor *d)
{
    struct tls_report_target targets[TLS_REPORT_TARGETS_MAX];
    char name[DNS_NAME_MAX + 16];
    const struct dns_answer *a;
    unsigned n = 0;
    uint32_t ntargets = 0;
    int err = ERR_NOT_FOUND;

    snprintf(name, sizeof(name), "_smtp._tls.%s", d->f->domain);
    a = doctor_ask_or_say(d, DNS_TXT, name);
    if (!a)
        return;
    for (uint32_t i = 0; i < a->n; i++) {
        int one = tls_report_record_read(a->v[i].data, targets, &ntargets);
        n += one != ERR_NOT_FOUND;
        err = one != ERR_NOT_FOUND ? one : err;
    }
    if (n == 0)
        doctor_say_record(d, DOCTOR_WARN, ZONE_TLS_REPORTS, "publish it: others then tell when their mail fails",
                          "%s asks for no reports on TLS", d->f->domain);
    else if (n > 1)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_TLS_REPORTS, "leave one", "%s has %u records, so none counts", name, n);
    else if (err != OK || ntargets == 0)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_TLS_REPORTS, "correct it",
                          "%s has a record without a good rua=mailto: or rua=https:", name);
    else
        doctor_say(d, DOCTOR_OK, "", "", "%s asks for reports on TLS at %s", d->f->domain,
                   targets[0].mail[0] ? targets[0].mail : targets[0].url);
}
