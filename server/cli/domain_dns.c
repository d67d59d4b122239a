/* letterlock domain dns: the records that a domain needs, as a zone file has them. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/dkim.h"
#include "server/core/error.h"

/* What an issuer's certificates say of it, and the name by which CAA knows it (RFC 8659 section 4.2). */
static const struct {
    const char *organization, *caa;
} issuers[] = {
    {"Let's Encrypt", "letsencrypt.org"},  {"ZeroSSL", "sectigo.com"},     {"Sectigo Limited", "sectigo.com"},
    {"Google Trust Services", "pki.goog"}, {"Buypass AS", "buypass.com"},  {"DigiCert Inc", "digicert.com"},
    {"Actalis S.p.A.", "actalis.it"},      {"SSL Corporation", "ssl.com"}, {"GlobalSign nv-sa", "globalsign.com"},
};

struct zone {
    const char *domain, *host, *smarthost;
    bool known; /* one of the server's domains */
};

static int read_known(void *arg, struct view *v)
{
    const struct zone *z = arg;
    return view_domain_known(v, z->domain);
}

/* ---- of the domain ---- */

static void print_mail(const struct zone *z)
{
    printf("; Mail for %s goes to %s, whose A and AAAA records are the server's addresses. Each address needs\n"
           "; a PTR record that names %s: many servers take no mail from one without.\n"
           "%s.  IN MX 10 %s.\n\n",
           z->domain, z->host, z->host, z->domain, z->host);
    printf("; SPF: the server that takes the domain's mail sends it, too. What else sends for %s goes before ~all,\n"
           "; as include:NAME says. ~all and not -all: by -all some refuse at once what was forwarded, although its\n"
           "; DKIM signature holds.\n"
           "%s%s%s"
           "%s.  IN TXT \"v=spf1 mx ~all\"\n\n",
           z->domain, z->smarthost[0] ? "; Mail goes out by " : "", z->smarthost,
           z->smarthost[0] ? ": its operator says what is to be included.\n" : "", z->domain);
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

static void print_rest(const struct zone *z)
{
    printf(
        "; DMARC: receivers put aside what says it is from %s and is neither signed by it nor sent from its servers.\n"
        "; Where others still send for it unsigned, begin with p=none.\n"
        "_dmarc.%s.  IN TXT \"v=DMARC1; p=quarantine\"\n\n",
        z->domain, z->domain);
    printf("; Mail clients find the server by these (RFC 6186, RFC 8314): TLS from the first octet, nothing else.\n"
           "_submissions._tcp.%s.  IN SRV 0 1 465 %s.\n"
           "_imaps._tcp.%s.  IN SRV 0 1 993 %s.\n"
           "_imap._tcp.%s.  IN SRV 0 0 0 .\n\n",
           z->domain, z->host, z->domain, z->host, z->domain);
}

/* ---- of the server's own name ---- */

static void print_tlsa(const struct zone *z, const struct cli_tls_facts *t)
{
    char hex[2 * sizeof(t->key_sha256) + 1];
    sodium_bin2hex(hex, sizeof(hex), t->key_sha256, sizeof(t->key_sha256));
    printf(
        "; DANE (RFC 7672): the key of the certificate in use, for servers that check it. It counts only in a zone\n"
        "; that is signed (DNSSEC). Before the certificate gets another key, that one's record stands beside this for\n"
        "; two days; an ACME client that keeps the key at renewals spares that.\n"
        "_25._tcp.%s.  IN TLSA 3 1 1 %s\n\n",
        z->host, hex);
}

static void print_caa(const struct zone *z, const struct cli_tls_facts *t)
{
    const char *caa = NULL;
    for (size_t n = 0; n < sizeof(issuers) / sizeof(issuers[0]); n++)
        if (!strcmp(issuers[n].organization, t->issuer))
            caa = issuers[n].caa;
    printf("; CAA: who may issue certificates for %s, and nobody else.%s\n"
           "%s%s.  IN CAA 0 issue \"%s\"\n",
           z->host, caa ? "" : " Put in the name that your issuer says:", caa ? "" : "; ", z->host,
           caa ? caa : "issuer.example");
}

static void print_host(const struct cli *c, const struct config *config, const struct zone *z)
{
    struct cli_tls_facts t;
    char path[CLI_PATH_MAX];
    if (strcmp(z->domain, z->host)) {
        printf("; The server's own name needs records as well: letterlock domain dns %s\n", z->host);
        return;
    }
    if (!z->known)
        printf("; SPF: the server sends bounces, which have no sender but its name.\n"
               "%s.  IN TXT \"v=spf1 a -all\"\n\n",
               z->host);
    cli_path(c, config->tls_chain, path);
    int err = cli_read_tls_facts(path, &t);
    if (err) {
        cli_mind(c, "no TLSA and CAA records: the certificate %s cannot be read: %s", path, cli_err_str(err));
        return;
    }
    print_tlsa(z, &t);
    print_caa(z, &t);
}

static int print_zone(const struct cli *c, struct instance *i, struct zone *z)
{
    struct signing_keys k;
    int err = view_run(i->view, read_known, z), rc;
    z->known = err == OK;
    if (err == ERR_NOT_FOUND && strcmp(z->domain, z->host))
        return cli_fail(c, "%s is not one of this server's domains; letterlock domain add adds it", z->domain);
    if (err != OK && err != ERR_NOT_FOUND)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    rc = z->known ? signing_keys_read(c, i, z->domain, &k) : EXIT_DONE;
    if (rc)
        return rc;
    printf("; DNS records for %s. MX, DKIM, SRV and CAA records that stand there already may stay beside these;\n"
           "; SPF and DMARC have one record each.\n\n",
           z->domain);
    if (z->known) {
        print_mail(z);
        print_dkim(z, &k);
        print_rest(z);
        signing_keys_free(&k);
    }
    print_host(c, &i->config, z);
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
    struct zone z = {domain, i.config.domain, i.config.smarthost, false};
    rc = print_zone(c, &i, &z);
    instance_close(&i);
    return rc;
}
