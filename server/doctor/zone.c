#include "server/doctor/zone.h"

#include <stdio.h>
#include <string.h>

#include "server/base/below.h"
#include "server/core/error.h"
#include "server/mail/address.h"

/* What an issuer's certificates say of it, and the name by which CAA knows it (RFC 8659 section 4.2). */
static const struct {
    const char *organization, *caa;
} issuers[] = {
    {"Let's Encrypt", "letsencrypt.org"}, {"ZeroSSL", "sectigo.com"},
    {"Sectigo Limited", "sectigo.com"},   {"Google Trust Services", "pki.goog"},
    {"DigiCert Inc", "digicert.com"},     {"Actalis S.p.A.", "actalis.it"},
    {"SSL Corporation", "ssl.com"},       {"GlobalSign nv-sa", "globalsign.com"},
};

const char *zone_issuer(const struct zone *z)
{
    for (size_t n = 0; n < sizeof(issuers) / sizeof(issuers[0]); n++)
        if (strcmp(issuers[n].organization, z->issuer) == 0)
            return issuers[n].caa;
    return NULL;
}

void zone_init(struct zone *z, const char *domain, const struct config *c)
{
    *z = (struct zone){.domain = domain, .host = c->domain, .smarthost = c->smarthost, .https = c->https};
    if (c->https)
        z->policy_len = mta_sts_policy_write(c->mta_sts_mode, c->mta_sts_mx[0] ? c->mta_sts_mx : c->domain,
                                             c->mta_sts_max_age, z->policy);
    if (z->policy_len)
        mta_sts_policy_id(slice_of(z->policy, z->policy_len), z->sts_id);
}

void zone_take_chain(struct zone *z, const struct chain *c)
{
    z->has_chain = chain_key_sha256(c, z->key_sha256) == OK;
    chain_issuer(c, z->issuer);
}

enum { DATA_CAP = 700 };

static void mx(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "10 %s.", z->host);
}

static void dmarc(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "\"v=DMARC1; p=quarantine; rua=mailto:" ADDRESS_DMARC_REPORTS "@%s\"", z->domain);
}

static void reports(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "\"v=TLSRPTv1; rua=mailto:postmaster@%s\"", z->domain);
}

static void sts(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "\"v=STSv1; id=%s\"", z->sts_id[0] ? z->sts_id : "1");
}

static void host(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "%s.", z->host);
}

static void submissions(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "0 1 465 %s.", z->host);
}

static void imaps(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "0 1 993 %s.", z->host);
}

static void autodiscover(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "0 0 443 %s.", z->host);
}

static void pacc(const struct zone *z, char *out)
{
    snprintf(out, DATA_CAP, "\"v=UAAC1; a=sha256; d=%s\"", z->pacc_digest ? z->pacc_digest : "");
}

static void tlsa(const struct zone *z, char *out)
{
    int at = snprintf(out, DATA_CAP, "3 1 1 ");

    for (size_t i = 0; i < sizeof(z->key_sha256); i++)
        at += snprintf(out + at, DATA_CAP - (size_t)at, "%02x", z->key_sha256[i]);
}

static void caa(const struct zone *z, char *out)
{
    const char *issuer = zone_issuer(z);

    snprintf(out, DATA_CAP, "0 issue \"%s\"", issuer ? issuer : "issuer.example");
}

static const struct row {
    const char *prefix;
    bool of_host;
    const char *type;
    const char *data; /* NULL: write makes it */
    void (*write)(const struct zone *z, char *out);
} rows[ZONE_RECORDS] = {
    [ZONE_MX] = {"", false, "MX", NULL, mx},
    [ZONE_SPF] = {"", false, "TXT", "\"v=spf1 mx ~all\"", NULL},
    [ZONE_DMARC] = {"_dmarc.", false, "TXT", NULL, dmarc},
    [ZONE_TLS_REPORTS] = {"_smtp._tls.", false, "TXT", NULL, reports},
    [ZONE_STS] = {"_mta-sts.", false, "TXT", NULL, sts},
    [ZONE_STS_HOST] = {BELOW_MTA_STS ".", false, "CNAME", NULL, host},
    [ZONE_WKD_HOST] = {BELOW_OPENPGPKEY ".", false, "CNAME", NULL, host},
    [ZONE_SUBMISSIONS] = {"_submissions._tcp.", false, "SRV", NULL, submissions},
    [ZONE_IMAPS] = {"_imaps._tcp.", false, "SRV", NULL, imaps},
    [ZONE_IMAP] = {"_imap._tcp.", false, "SRV", "0 0 0 .", NULL},
    [ZONE_AUTOCONFIG] = {BELOW_AUTOCONFIG ".", false, "CNAME", NULL, host},
    [ZONE_AUTODISCOVER] = {BELOW_AUTODISCOVER ".", false, "CNAME", NULL, host},
    [ZONE_AUTODISCOVER_SRV] = {"_autodiscover._tcp.", false, "SRV", NULL, autodiscover},
    [ZONE_PACC_HOST] = {BELOW_PACC ".", false, "CNAME", NULL, host},
    [ZONE_PACC] = {"_ua-auto-config.", false, "TXT", NULL, pacc},
    [ZONE_HOST_SPF] = {"", true, "TXT", "\"v=spf1 a -all\"", NULL},
    [ZONE_TLSA] = {"_25._tcp.", true, "TLSA", NULL, tlsa},
    [ZONE_CAA] = {"", true, "CAA", NULL, caa},
};

void zone_record_write(const struct zone *z, enum zone_record r, char out[ZONE_RECORD_CAP])
{
    const struct row *row = &rows[r];
    char data[DATA_CAP];

    if (row->write)
        row->write(z, data);
    snprintf(out, ZONE_RECORD_CAP, "%s%s.  IN %s %s", row->prefix, row->of_host ? z->host : z->domain, row->type,
             row->write ? data : row->data);
}
