/* MTA-STS (RFC 8461): the record, and the policy that it announces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/below.h"
#include "server/core/error.h"
#include "server/doctor/impl.h"
#include "server/mailauth/mta_sts.h"

enum { AGE_SHORT = 86400 /* section 3.2: weeks, as a rule */ };

/* Of a domain of ours, and over HTTPS of ours. */
static bool is_ours(const struct doctor *d)
{
    return d->f->known && d->zone.policy_len > 0;
}

/* "version: STSv1 / mode: enforce / ..." */
static void write_wanted(const struct doctor *d, char out[DOCTOR_TEXT_MAX])
{
    static const char own[] = "as this server has it: ";
    const struct zone *z = &d->zone;
    size_t n = strlen(own);

    if (!is_ours(d)) {
        snprintf(out, DOCTOR_TEXT_MAX, "four lines: version: STSv1 / mode: enforce / mx: %s / max_age: 1209600",
                 d->f->config->domain);
        return;
    }
    memcpy(out, own, n);
    for (size_t i = 0; i < z->policy_len && n < DOCTOR_TEXT_MAX - 4; i++)
        if (z->policy[i] == '\n' && i + 1 < z->policy_len)
            n += (size_t)sprintf(out + n, " / ");
        else if (z->policy[i] != '\r' && z->policy[i] != '\n')
            out[n++] = z->policy[i];
    out[n] = '\0';
}

static void say_unfetched(struct doctor *d, const char *url, int err)
{
    const char *what = err == ERR_CRYPTO      ? "TLS fails, or the certificate is not good for that name"
                       : err == ERR_NOT_FOUND ? "the name has no address"
                       : err == ERR_FORMAT    ? "what is there is no text/plain"
                       : err == ERR_DENIED    ? "its address is not of the open Internet"
                       : err == ERR_MOVED     ? "it is sent on, and nobody follows"
                                              : err_str(err);

    if (err == ERR_GONE || err == ERR_MEMORY || err == ERR_FULL)
        doctor_say(d, DOCTOR_UNKNOWN, "", "look at it with a browser", "%s: nobody here could fetch it", url);
    else
        doctor_say(d, DOCTOR_FAIL, "", "put it right, or take the record away: others keep the policy that they have",
                   "%s cannot be fetched: %s", url, what);
}

/* Section 4.2: by enforce a server that no authority vouches for gets no mail. */
static bool is_believed(const struct doctor *d)
{
    const char *why;

    return !d->chain_shown ||
           chain_verify(d->chain, d->f->config->relay_tls_roots, d->f->config->domain, d->f->now, &why) != ERR_CRYPTO;
}

/* Section 4.1: a server that no pattern names gets no mail from those who look. */
static void see_mx(struct doctor *d, const struct mta_sts_policy *p, const char *wanted, const char *url)
{
    const struct dns_answer *a = doctor_ask_or_say(d, DNS_MX, d->f->domain);
    const char *outside = NULL;

    for (uint32_t i = 0; a && i < a->n; i++)
        if (*a->v[i].name && !mta_sts_fits(p, a->v[i].name))
            outside = a->v[i].name;
    if (!a)
        return;
    if (outside)
        doctor_say(d, p->mode == MTA_STS_ENFORCE ? DOCTOR_FAIL : DOCTOR_WARN, wanted,
                   "add an mx line, and change the id in the record", "%s does not name %s, to which mail goes", url,
                   outside);
    else if (p->mode == MTA_STS_ENFORCE && !is_believed(d))
        doctor_say(
            d, DOCTOR_FAIL, "a certificate that an authority vouches for", "see certificate above",
            "%s is enforced, and the certificate shown on port 25 is not to be trusted: mail waits at its senders",
            url);
    else if (p->mode == MTA_STS_TESTING)
        doctor_say(d, DOCTOR_WARN, wanted, "say enforce once the reports on TLS (tls-reports) tell of no failures",
                   "%s is for a test: nobody keeps mail back by it", url);
    else if (p->max_age < AGE_SHORT)
        doctor_say(d, DOCTOR_WARN, wanted, "say weeks",
                   "%s is good for %u seconds: whoever is between can wait so long", url, p->max_age);
    else
        doctor_say(d, DOCTOR_OK, "", "", "%s is there, and names who takes the mail", url);
}

static void see_page(struct doctor *d, const struct doctor_page *page, const char *url, const char *id)
{
    char wanted[DOCTOR_TEXT_MAX];
    struct mta_sts_policy *p = malloc(sizeof(*p));
    int err = p ? mta_sts_policy_read(slice_of(page->text, page->len), p) : ERR_MEMORY;

    write_wanted(d, wanted);
    if (page->status != 200)
        doctor_say(d, DOCTOR_FAIL, wanted,
                   is_ours(d) ? "lead the name to this server, which has the policy" : "put the policy there",
                   "%s: the web server says %u", url, page->status);
    else if (err != OK)
        doctor_say(d, DOCTOR_FAIL, wanted, "correct it, and change the id in the record",
                   "%s is no policy as RFC 8461 has it", url);
    else if (p->mode == MTA_STS_NONE)
        doctor_say(d, DOCTOR_WARN, wanted, "say enforce, or testing first", "%s says that there is no policy", url);
    else if (is_ours(d) && page->len == d->zone.policy_len && !memcmp(page->text, d->zone.policy, page->len) &&
             strcmp(id, d->zone.sts_id) != 0)
        doctor_say_record(d, DOCTOR_WARN, ZONE_STS,
                          "publish it: whoever has an older policy keeps it until the id changes",
                          "the record's id is not that of %s as it stands", url);
    else
        see_mx(d, p, wanted, url);
    free(p);
}

static void see_policy(struct doctor *d, const char *id)
{
    char url[FETCH_URL_MAX + 1];
    struct doctor_page *page = malloc(sizeof(*page));
    int err;

    snprintf(url, sizeof(url), "https://" BELOW_MTA_STS ".%s/.well-known/mta-sts.txt", d->f->domain);
    err = page ? doctor_fetch(d, FETCH_MTA_STS, url, page) : ERR_MEMORY;
    if (err == OK)
        see_page(d, page, url, id);
    else
        say_unfetched(d, url, err);
    free(page);
}

void doctor_check_mta_sts(struct doctor *d)
{
    char name[DNS_NAME_MAX + 16], id[MTA_STS_ID_MAX + 1];
    const struct dns_answer *a;
    unsigned n = 0;
    int err = ERR_NOT_FOUND;

    snprintf(name, sizeof(name), "_mta-sts.%s", d->f->domain);
    a = doctor_ask_or_say(d, DNS_TXT, name);
    if (!a)
        return;
    for (uint32_t i = 0; i < a->n; i++) {
        int one = mta_sts_record_read(a->v[i].data, id);
        n += one != ERR_NOT_FOUND;
        err = one != ERR_NOT_FOUND ? one : err;
    }
    if (n == 0 && is_ours(d))
        doctor_say_record(d, DOCTOR_WARN, ZONE_STS, "publish it: this server has the policy",
                          "%s has no MTA-STS policy that others would find", d->f->domain);
    else if (n == 0)
        doctor_say(d, DOCTOR_WARN, "", "DANE does the same in a signed zone; some look at MTA-STS alone (RFC 8461)",
                   "%s has no MTA-STS policy", d->f->domain);
    else if (n > 1)
        doctor_say(d, DOCTOR_FAIL, "", "leave one", "%s has %u records, so none counts", name, n);
    else if (err != OK)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_STS, "correct it", "%s is not well-formed", name);
    else
        see_policy(d, id);
}
