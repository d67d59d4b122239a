/* Names and addresses: whether others find the way here, and believe that it is here. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "server/base/roles.h"
#include "server/core/error.h"
#include "server/doctor/impl.h"
#include "server/mailauth/block_list.h"

enum { LIST_CAP = sizeof(((struct config *)0)->blocklists), NAME_CAP = LIST_CAP + BLOCK_LIST_REVERSED_CAP };

/* ---- addresses ---- */

static bool is_here(const struct doctor_address *a)
{
    struct ifaddrs *all = NULL;
    bool here = false;

    if (getifaddrs(&all) != 0)
        return true; /* nothing is known: nobody is to be alarmed */
    for (const struct ifaddrs *i = all; i && !here; i = i->ifa_next) {
        const struct sockaddr *s = i->ifa_addr;
        if (s && s->sa_family == AF_INET && !a->six)
            here = memcmp(&((const struct sockaddr_in *)(const void *)s)->sin_addr, a->octets, 4) == 0;
        else if (s && s->sa_family == AF_INET6 && a->six)
            here = memcmp(&((const struct sockaddr_in6 *)(const void *)s)->sin6_addr, a->octets, 16) == 0;
    }
    freeifaddrs(all);
    return here;
}

void doctor_check_addresses(struct doctor *d)
{
    const char *host = d->f->config->domain;
    struct doctor_address all[DOCTOR_ADDRESSES_MAX];
    const struct dns_answer *a = doctor_ask_or_say(d, DNS_A, host);
    size_t n = doctor_addresses(d, host, all, DOCTOR_ADDRESSES_MAX);

    if (a && strcmp(a->canonical, host) != 0)
        doctor_say(d, DOCTOR_WARN, "", "give the server's own name A and AAAA records instead of a CNAME",
                   "%s is an alias of %s: an MX record must not name an alias (RFC 2181 section 10.3)", host,
                   a->canonical);
    if (a && n == 0)
        doctor_say(d, DOCTOR_FAIL, "A and AAAA records with this machine's addresses",
                   "publish them; the server's own name is `domain` in letterlock.conf", "%s has no address", host);
    for (size_t i = 0; i < n; i++)
        if (is_here(&all[i]))
            doctor_say(d, DOCTOR_OK, "", "", "%s is %s, an address of this machine", host, all[i].text);
        else
            doctor_say(d, DOCTOR_WARN, "an address of this machine",
                       "correct the record, unless a router with that address passes the ports on to this machine",
                       "%s is %s, which is no address of this machine", host, all[i].text);
}

/* ---- PTR ---- */

static bool leads_back(struct doctor *d, const char *name, const struct doctor_address *to)
{
    struct doctor_address all[DOCTOR_ADDRESSES_MAX];
    size_t n = doctor_addresses(d, name, all, DOCTOR_ADDRESSES_MAX);

    for (size_t i = 0; i < n; i++)
        if (doctor_address_is(&all[i], to))
            return true;
    return false;
}

static void see_ptr(struct doctor *d, const struct doctor_address *own, const struct dns_answer *a)
{
    static const char whose[] = "whoever gave you the address sets its PTR record: their panel, or a letter to them";
    const char *host = d->f->config->domain, *other = NULL;

    for (uint32_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i].name, host) != 0)
            other = a->v[i].name;
        else if (leads_back(d, host, own)) {
            doctor_say(d, DOCTOR_OK, host, "", "the PTR record of %s names %s, which leads back", own->text, host);
            return;
        } else {
            doctor_say(d, DOCTOR_FAIL, own->text, "add the address to the A or AAAA records of that name",
                       "the PTR record of %s names %s, whose addresses are others: many servers refuse such mail",
                       own->text, host);
            return;
        }
    }
    if (!other)
        doctor_say(d, DOCTOR_FAIL, host, whose, "%s has no PTR record: many servers refuse mail from there", own->text);
    else if (leads_back(d, other, own))
        doctor_say(d, DOCTOR_WARN, host, whose,
                   "the PTR record of %s names %s, which leads back, but is not the name that the server says",
                   own->text, other);
    else
        doctor_say(d, DOCTOR_FAIL, host, whose,
                   "the PTR record of %s names %s, which does not lead back: many servers refuse mail from there",
                   own->text, other);
}

void doctor_check_ptr(struct doctor *d)
{
    for (size_t i = 0; i < d->nown; i++) {
        char name[BLOCK_LIST_REVERSED_CAP + 16], reversed[BLOCK_LIST_REVERSED_CAP];
        const struct dns_answer *a;

        block_list_reversed(d->own[i].octets, d->own[i].six, reversed);
        snprintf(name, sizeof(name), "%s.%s.arpa", reversed, d->own[i].six ? "ip6" : "in-addr");
        a = doctor_ask_or_say(d, DNS_PTR, name);
        if (a)
            see_ptr(d, &d->own[i], a);
    }
}

/* ---- MX ---- */

static void see_other_mx(struct doctor *d, const struct dns_record *r, bool before_us)
{
    struct doctor_address one;

    if (doctor_addresses(d, r->name, &one, 1) == 0)
        doctor_say(d, DOCTOR_FAIL, "a name with an address", "correct or remove the record",
                   "the MX record of %s names %s, which has no address", d->f->domain, r->name);
    else
        doctor_say(d, DOCTOR_WARN, "", "if it is not a server of yours that passes the mail on here, remove the record",
                   "mail for %s %s %s (MX %u)", d->f->domain, before_us ? "goes first to" : "may go to", r->name,
                   r->preference);
}

void doctor_check_mx(struct doctor *d)
{
    const char *host = d->f->config->domain;
    const struct dns_answer *a = doctor_ask_or_say(d, DNS_MX, d->f->domain);
    const struct dns_record *ours = NULL;

    if (!a)
        return;
    for (uint32_t i = 0; i < a->n && !ours; i++)
        if (strcmp(a->v[i].name, host) == 0)
            ours = &a->v[i];
    if (a->n == 0)
        /* RFC 5321 section 5.1: then the domain's own address is asked. */
        doctor_say_record(d, DOCTOR_FAIL, ZONE_MX, "publish it", "%s has no MX record", d->f->domain);
    else if (!*a->v[0].name)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_MX, "replace the record",
                          "%s says that it takes no mail at all (a null MX, RFC 7505)", d->f->domain);
    else if (!ours)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_MX, "publish it; until then its mail goes elsewhere",
                          "no MX record of %s names this server; the first names %s", d->f->domain, a->v[0].name);
    else
        doctor_say_record(d, DOCTOR_OK, ZONE_MX, "", "mail for %s goes to %s (MX %u)", d->f->domain, host,
                          ours->preference);
    for (uint32_t i = 0; i < a->n && *a->v[0].name; i++)
        if (strcmp(a->v[i].name, host) != 0)
            see_other_mx(d, &a->v[i], ours && a->v[i].preference < ours->preference);
}

/* ---- DNSSEC ---- */

static void see_trust(struct doctor *d, enum dns_type type, const char *name)
{
    const struct dns_answer *a = doctor_ask_or_say(d, type, name);

    if (a && a->trust == DNS_SECURE)
        doctor_say(d, DOCTOR_OK, "", "", "%s is in a signed zone, and the signatures hold", name);
    else if (a && !d->f->config->dns_anchor_file[0])
        doctor_say(d, DOCTOR_UNKNOWN, "", "set dns_anchor_file (Debian's dns-root-data has one)",
                   "nothing is validated here, so whether %s is signed cannot be told", name);
    else if (a)
        doctor_say(d, DOCTOR_WARN, "a signed zone",
                   "have the zone signed and its DS record put above it: without that others cannot know for sure that "
                   "mail reaches this server (DANE)",
                   "%s is not signed (DNSSEC)", name);
}

void doctor_check_dnssec(struct doctor *d)
{
    if (d->f->known)
        see_trust(d, DNS_MX, d->f->domain);
    if (!d->f->known || strcmp(d->f->domain, d->f->config->domain) != 0)
        see_trust(d, DNS_A, d->f->config->domain);
}

/* ---- TLSA ---- */

/* Usages 0 and 1 mean nothing between mail servers (RFC 7672 section 3.1.3). */
static void count_tlsa(const struct doctor *d, const struct dns_answer *a, unsigned *usable, unsigned *fitting)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->v[i];
        *usable += (r->usage == 2 || r->usage == 3) && r->selector <= 1 && r->matching <= 2;
        *fitting += chain_fits(d->chain, r->usage, r->selector, r->matching, r->data);
    }
}

static void see_tlsa(struct doctor *d, const char *name, const struct dns_answer *a)
{
    const char *which = d->chain_shown ? "shown on port 25" : "in tls_chain";
    unsigned usable = 0, fitting = 0;

    count_tlsa(d, a, &usable, &fitting);
    if (a->trust != DNS_SECURE)
        doctor_say_record(d, DOCTOR_WARN, ZONE_TLSA, "have the zone signed, or remove the record",
                          "%s has TLSA records, but they count in a signed zone alone", name);
    else if (usable == 0)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_TLSA, "replace the record",
                          "no TLSA record of %s is one that mail servers use (usage 2 or 3)", name);
    else if (fitting == 0)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_TLSA,
                          "publish it beside the others at once: servers that check DANE send no mail until then",
                          "no TLSA record of %s fits the certificate %s", name, which);
    else
        doctor_say_record(d, DOCTOR_OK, ZONE_TLSA, "", "a TLSA record of %s fits the certificate %s%s", name, which,
                          fitting < a->n ? "; another one does not, which is right before and after a change" : "");
}

void doctor_check_tlsa(struct doctor *d)
{
    char name[DNS_NAME_MAX + 16];
    const struct dns_answer *a, *host;
    int err;

    snprintf(name, sizeof(name), "_25._tcp.%s", d->f->config->domain);
    if (!d->chain)
        return; /* doctor_check_certificates has said it */
    a = doctor_ask(d, DNS_TLSA, name, &err);
    host = doctor_ask(d, DNS_A, d->f->config->domain, &err);
    if (!a)
        (void)doctor_ask_or_say(d, DNS_TLSA, name);
    else if (a->n)
        see_tlsa(d, name, a);
    else if (host && host->trust == DNS_SECURE)
        doctor_say_record(d, DOCTOR_WARN, ZONE_TLSA, "publish it: then nobody between can read or turn away mail",
                          "%s has no TLSA record, although the zone is signed", name);
    else
        doctor_say(d, DOCTOR_WARN, "", "none is of use until the zone is signed (dnssec)", "%s has no TLSA record",
                   name);
}

/* ---- CAA (RFC 8659) ---- */

/* The nearest one up the tree (section 3). NULL: it was said. */
static const struct dns_answer *find_caa(struct doctor *d, const char **at)
{
    for (const char *name = *at; name && strchr(name, '.'); name = strchr(name, '.') + 1) {
        const struct dns_answer *a = doctor_ask_or_say(d, DNS_CAA, name);
        *at = name;
        if (!a || a->n)
            return a;
    }
    doctor_say_record(d, DOCTOR_WARN, ZONE_CAA, "publish it, with your issuer's name, so that no other one issues",
                      "no CAA record is above %s: any authority may issue a certificate", d->f->config->domain);
    return NULL;
}

/* issuer-domain-name stands before parameters (section 4.2). */
static bool names_issuer(struct slice value, const char *issuer)
{
    char text[256];
    size_t n = value.len < sizeof(text) - 1 ? value.len : sizeof(text) - 1;

    memcpy(text, value.data, n);
    text[n] = '\0';
    text[strcspn(text, "; \t")] = '\0';
    return strcasecmp(text, issuer) == 0;
}

void doctor_check_caa(struct doctor *d)
{
    const char *at = d->f->config->domain, *issuer = d->zone.has_chain ? zone_issuer(&d->zone) : NULL;
    const struct dns_answer *a = find_caa(d, &at);
    unsigned restricts = 0, allows = 0;

    for (uint32_t i = 0; a && i < a->n; i++)
        if (strcmp(a->v[i].name, "issue") == 0) {
            restricts++;
            allows += issuer && names_issuer(a->v[i].data, issuer);
        }
    if (!a)
        return;
    if (restricts && issuer && !allows)
        doctor_say_record(d, DOCTOR_FAIL, ZONE_CAA, "add it, or the certificate cannot be renewed",
                          "the CAA records of %s do not let %s issue, which issued the certificate in use", at, issuer);
    else if (restricts && issuer)
        doctor_say_record(d, DOCTOR_OK, ZONE_CAA, "", "the CAA records of %s let %s issue", at, issuer);
    else if (restricts)
        doctor_say(d, DOCTOR_OK, "", "", "%s has CAA records", at);
    else
        doctor_say_record(d, DOCTOR_WARN, ZONE_CAA, "add one with your issuer's name",
                          "the CAA records of %s say nothing of who may issue", at);
}

/* ---- what clients look for (RFC 6186, RFC 8314 section 5.1) ---- */

static void see_service(struct doctor *d, enum listener which, enum zone_record want, const char *name)
{
    const char *host = d->f->config->domain;
    const unsigned port = d->f->config->port_base + listeners_table[which].port;
    const struct dns_answer *a = doctor_ask_or_say(d, DNS_SRV, name);
    unsigned theirs;

    if (!a)
        return;
    if (a->n == 0) {
        doctor_say_record(d, DOCTOR_WARN, want, "publish it, or people have to be told server and port",
                          "%s has no SRV record: mail clients do not find the server by themselves", name);
        return;
    }
    theirs = (unsigned)(a->v[0].data.data[0] << 8 | a->v[0].data.data[1]);
    if (!*a->v[0].name)
        doctor_say_record(d, DOCTOR_FAIL, want, "replace the record", "%s says that there is no such service", name);
    else if (strcmp(a->v[0].name, host) != 0 || theirs != port)
        doctor_say_record(d, DOCTOR_FAIL, want, "replace the record",
                          "%s leads mail clients to %s, port %u, where this server is not", name, a->v[0].name, theirs);
    else
        doctor_say_record(d, DOCTOR_OK, want, "", "%s leads mail clients to %s, port %u", name, host, port);
}

void doctor_check_srv(struct doctor *d)
{
    static const struct {
        enum listener listener;
        enum zone_record record;
        const char *label;
    } rows[] = {{LISTEN_SUBMISSIONS, ZONE_SUBMISSIONS, "_submissions._tcp"}, {LISTEN_IMAPS, ZONE_IMAPS, "_imaps._tcp"}};
    char name[DNS_NAME_MAX + 32];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(name, sizeof(name), "%s.%s", rows[i].label, d->f->domain);
        if (listener_wanted(rows[i].listener, d->f->config))
            see_service(d, rows[i].listener, rows[i].record, name);
    }
}

/* ---- block lists (RFC 5782) ---- */

/* BLOCK_LIST_NOTHING: it answers no question, or not as lists do. */
static enum block_list_says ask_list(struct doctor *d, const struct doctor_address *own, const char *list)
{
    enum block_list_entry e[BLOCK_LIST_QUESTIONS] = {BLOCK_LIST_NONE};
    char name[NAME_CAP];
    int err;

    for (int q = 0; q < BLOCK_LIST_QUESTIONS; q++) {
        const struct dns_answer *a = NULL;
        if (block_list_name((enum block_list_question)q, own->octets, own->six, list, name, sizeof(name)) == OK)
            a = doctor_ask(d, DNS_A, name, &err);
        if (!a)
            return BLOCK_LIST_NOTHING;
        for (uint32_t i = 0; i < a->n; i++)
            e[q] = block_list_add(e[q], a->v[i].data.data);
    }
    return block_list_says(own->octets, own->six, e);
}

static void see_listed(struct doctor *d, const struct doctor_address *own, const char *list)
{
    const enum block_list_says says = ask_list(d, own, list);
    char name[NAME_CAP], why[200] = "";
    const struct dns_answer *a;
    int err;

    if (says == BLOCK_LIST_NOTHING) {
        doctor_say(d, DOCTOR_UNKNOWN, "", "remove the list from blocklists if it has ended, or ask it how it is asked",
                   "%s answers no question from here about %s", list, own->text);
        return;
    }
    if (says == BLOCK_LIST_NO) {
        doctor_say(d, DOCTOR_OK, "", "", "%s is not on %s", own->text, list);
        return;
    }
    (void)block_list_name(BLOCK_LIST_HAS, own->octets, own->six, list, name, sizeof(name));
    a = doctor_ask(d, DNS_TXT, name, &err);
    if (a && a->n)
        snprintf(why, sizeof(why), ": %.*s", (int)(a->v[0].data.len < 180 ? a->v[0].data.len : 180), a->v[0].data.data);
    doctor_say(d, DOCTOR_FAIL, "",
               "end what it is there for (letterlock status, queue list), then ask the list's owner",
               "%s is on the block list %s%s", own->text, list, why);
}

void doctor_check_block_lists(struct doctor *d)
{
    const char *at = d->f->config->blocklists;
    char list[LIST_CAP];

    while (config_list_next(&at, list, sizeof(list)))
        for (size_t i = 0; i < d->nown; i++)
            see_listed(d, &d->own[i], list);
}
