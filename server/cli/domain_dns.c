/* letterlock domain dns: the records that a domain needs, as a zone file has them. */
#include <stdio.h>
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/base/below.h"
#include "server/cli/dkim.h"
#include "server/core/error.h"
#include "server/doctor/zone.h"

struct printing {
    struct zone zone;
    bool known; /* one of the server's domains */
};

static int read_known(void *arg, struct view *v)
{
    const struct printing *p = arg;
    return view_domain_known(v, p->zone.domain);
}

static void print_record(const struct zone *z, enum zone_record r, const char *end)
{
    char text[ZONE_RECORD_CAP];
    zone_record_write(z, r, text);
    printf("%s\n%s", text, end);
}

/* ---- of the domain ---- */

static void print_mail(const struct zone *z)
{
    printf("; Mail for %s goes to %s, whose A and AAAA records are the server's addresses. Each address needs\n"
           "; a PTR record that names %s: many servers take no mail from one without.\n",
           z->domain, z->host, z->host);
    print_record(z, ZONE_MX, "\n");
    printf("; SPF: the server that takes the domain's mail sends it, too. What else sends for %s goes before ~all,\n"
           "; as include:NAME says. ~all and not -all: by -all some refuse at once what was forwarded, although its\n"
           "; DKIM signature holds.\n"
           "%s%s%s",
           z->domain, z->smarthost[0] ? "; Mail goes out by " : "", z->smarthost,
           z->smarthost[0] ? ": its operator says what is to be included.\n" : "");
    print_record(z, ZONE_SPF, "\n");
}

static void print_dkim(const struct zone *z, const struct signing_keys *k)
{
    printf("; DKIM: the keys that sign mail from %s, two at a time. A key waits until its record is known everywhere,\n"
           "; and its record outlives it by a week, for mail on its way. letterlock dkim rotate makes the next ones.\n",
           z->domain);
    for (size_t n = 0; n < k->n; n++) {
        printf("; %s ", k->v[n].record.selector);
        signing_key_say(stdout, &k->v[n]);
        putchar('\n');
        if (k->v[n].txt && k->v[n].due.state != DKIM_OVER)
            signing_key_print(stdout, &k->v[n]);
    }
    if (!k->n)
        printf("; There are none: letterlock dkim rotate %s makes them.\n", z->domain);
    putchar('\n');
}

static void print_sts(const struct zone *z)
{
    if (!z->policy_len)
        return;
    printf("; MTA-STS (RFC 8461): others then send over TLS alone, to a server whose certificate an authority signed\n"
           "; (mta_sts_mode). This server has the policy, so " BELOW_MTA_STS
           ".%s leads to it, and needs a certificate for\n"
           "; that name (DIR/tls). The id is that of the policy as it stands: publish it again when it has changed.\n",
           z->domain);
    print_record(z, ZONE_STS, "");
    print_record(z, ZONE_STS_HOST, "\n");
}

static void print_clients(const struct zone *z)
{
    if (!z->pacc_digest)
        return;
    printf("; And by these, with the address alone: Thunderbird and many others, Outlook, and newer ones. Each of the\n"
           "; names needs a certificate (letterlock acme run). The digest is that of the settings as they stand:\n"
           "; publish it again when the server's name or a port has changed.\n");
    for (enum zone_record r = ZONE_AUTOCONFIG; r <= ZONE_PACC; r++)
        print_record(z, r, r == ZONE_PACC ? "\n" : "");
}

static void print_wkd(const struct zone *z)
{
    if (!z->https)
        return;
    printf(
        "; WKD: at this name, over HTTPS, others find the certificates of those people here who want to be found. It\n"
        "; needs a certificate: letterlock acme run, or DIR/tls/" BELOW_OPENPGPKEY ".%s.chain.pem.\n",
        z->domain);
    print_record(z, ZONE_WKD_HOST, "\n");
}

static void print_rest(const struct zone *z)
{
    printf(
        "; DMARC: receivers put aside what says it is from %s and is neither signed by it nor sent from its servers.\n"
        "; Where others still send for it unsigned, begin with p=none. What others see of it they tell the address in\n"
        "; rua=, which is the server's own: letterlock domain report shows it.\n",
        z->domain);
    print_record(z, ZONE_DMARC, "\n");
    printf("; TLS reports (RFC 8460): once a day others tell this address how their mail got here.\n");
    print_record(z, ZONE_TLS_REPORTS, "\n");
    print_sts(z);
    print_wkd(z);
    printf("; Mail clients find the server by these (RFC 6186, RFC 8314): TLS from the first octet, nothing else.\n");
    print_record(z, ZONE_SUBMISSIONS, "");
    print_record(z, ZONE_IMAPS, "");
    print_record(z, ZONE_IMAP, "\n");
    print_clients(z);
}

/* ---- of the server's own name ---- */

static void print_tlsa(const struct zone *z)
{
    printf(
        "; DANE (RFC 7672): the key of the certificate in use, for servers that check it. It counts only in a zone\n"
        "; that is signed (DNSSEC). Before the certificate gets another key, that one's record stands beside this for\n"
        "; two days; an ACME client that keeps the key at renewals spares that.\n");
    print_record(z, ZONE_TLSA, "\n");
}

static void print_caa(const struct zone *z)
{
    const char *issuer = zone_issuer(z);
    printf("; CAA: who may issue certificates for %s, and nobody else.%s\n%s", z->host,
           issuer ? "" : " Put in the name that your issuer says:", issuer ? "" : "; ");
    print_record(z, ZONE_CAA, "");
}

static void print_host(const struct cli *c, const struct config *config, struct printing *p)
{
    struct chain *chain;
    char path[CLI_PATH_MAX];
    const struct zone *z = &p->zone;
    if (strcmp(z->domain, z->host)) {
        printf("; The server's own name needs records as well: letterlock domain dns %s\n", z->host);
        return;
    }
    if (!p->known) {
        printf("; SPF: the server sends bounces, which have no sender but its name.\n");
        print_record(z, ZONE_HOST_SPF, "\n");
    }
    chain_path(c->dir, config, path, sizeof(path));
    int err = chain_read(path, &chain);
    if (!err) {
        zone_take_chain(&p->zone, chain);
        chain_free(chain);
    }
    if (err || !z->has_chain) {
        cli_mind(c, "no TLSA and CAA records: the certificate %s cannot be read: %s", path, cli_err_str(err));
        return;
    }
    print_tlsa(z);
    print_caa(z);
}

static int print_zone(const struct cli *c, struct instance *i, struct printing *p)
{
    const struct zone *z = &p->zone;
    struct signing_keys k;
    int err = view_run(i->view, read_known, p), rc;
    p->known = err == OK;
    if (err == ERR_NOT_FOUND && strcmp(z->domain, z->host))
        return cli_fail(c, "%s is not one of this server's domains; letterlock domain add adds it", z->domain);
    if (err != OK && err != ERR_NOT_FOUND)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    rc = p->known ? signing_keys_read(c, i, z->domain, &k) : EXIT_DONE;
    if (rc)
        return rc;
    printf("; DNS records for %s. MX, DKIM, SRV and CAA records that stand there already may stay beside these;\n"
           "; SPF and DMARC have one record each.\n\n",
           z->domain);
    if (p->known) {
        print_mail(z);
        print_dkim(z, &k);
        print_rest(z);
        signing_keys_free(&k);
    }
    print_host(c, &i->config, p);
    return EXIT_DONE;
}

int command_domain_dns(struct cli *c)
{
    struct instance i;
    char domain[DOMAIN_CAP];
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), domain))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    char digest[AUTOCONFIG_DIGEST_CAP];
    struct autoconfig settings = {.domain = domain};
    struct printing p = {.known = false};
    autoconfig_take(&settings, &i.config);
    autoconfig_pacc_digest(&settings, digest);
    zone_init(&p.zone, domain, &i.config);
    p.zone.pacc_digest = i.config.https ? digest : NULL;
    rc = print_zone(c, &i, &p);
    instance_close(&i);
    return rc;
}
