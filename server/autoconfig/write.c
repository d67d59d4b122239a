#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/bug.h"
#include "server/core/print.h"

enum { IMAPS = 993, SUBMISSIONS = 465, IMAP = 143, SUBMISSION = 587, ADDRESS_XML = 6 * 320 };

void autoconfig_take(struct autoconfig *a, const struct config *c)
{
    a->host = c->domain;
    a->imaps = c->imaps ? (uint16_t)(c->port_base + IMAPS) : 0;
    a->submissions = c->submissions ? (uint16_t)(c->port_base + SUBMISSIONS) : 0;
    a->imap = c->imap ? (uint16_t)(c->port_base + IMAP) : 0;
    a->submission = c->submission ? (uint16_t)(c->port_base + SUBMISSION) : 0;
}

/* The address as character data (XML section 2.4); "" for none. */
static void escape(const char *address, char out[ADDRESS_XML])
{
    size_t n = 0;
    for (const char *p = address ? address : ""; *p && n + 6 < ADDRESS_XML; p++) {
        const char *as = *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : NULL;
        n += (size_t)snprintf(out + n, ADDRESS_XML - n, as ? "%s" : "%.1s", as ? as : p);
    }
    out[n] = '\0';
}

/* ---- of every form: the servers, TLS from the first octet before STARTTLS (RFC 8314 section 3) ---- */

struct server {
    bool incoming, starttls;
    uint16_t port;
};

static size_t servers(const struct autoconfig *a, struct server ret[4])
{
    const struct server all[] = {{true, false, a->imaps},
                                 {true, true, a->imap},
                                 {false, false, a->submissions},
                                 {false, true, a->submission}};
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        if (all[i].port)
            ret[n++] = all[i];
    return n;
}

static void write_text(const struct autoconfig *a, struct print *o)
{
    struct server s[4];
    const size_t n = servers(a, s);
    for (size_t i = 0; i < n; i++)
        print_put(o, "%-10s %s  port %u  %s\n", s[i].incoming ? "IMAP" : "SMTP", a->host, s[i].port,
                  s[i].starttls ? "STARTTLS" : "TLS (SSL/TLS)");
    print_put(o, "user name  %s\npassword   an app password: letterlock app-password add %s --label NAME\n",
              a->address ? a->address : "the address", a->address ? a->address : "ADDRESS");
}

/* ---- draft-ietf-mailmaint-autoconfig ---- */

static void write_xml(const struct autoconfig *a, struct print *o)
{
    struct server s[4];
    const size_t n = servers(a, s);
    print_put(o,
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<clientConfig version=\"1.1\">\n"
              " <emailProvider id=\"%s\">\n"
              "  <domain>%s</domain>\n"
              "  <displayName>%s</displayName>\n"
              "  <displayShortName>%s</displayShortName>\n",
              a->domain, a->domain, a->domain, a->domain);
    for (size_t i = 0; i < n; i++) {
        const char *element = s[i].incoming ? "incomingServer" : "outgoingServer";
        print_put(o,
                  "  <%s type=\"%s\">\n"
                  "   <hostname>%s</hostname>\n"
                  "   <port>%u</port>\n"
                  "   <socketType>%s</socketType>\n"
                  "   <authentication>password-cleartext</authentication>\n"
                  "   <username>%%EMAILADDRESS%%</username>\n"
                  "  </%s>\n",
                  element, s[i].incoming ? "imap" : "smtp", a->host, s[i].port, s[i].starttls ? "STARTTLS" : "SSL",
                  element);
    }
    print_put(o, " </emailProvider>\n</clientConfig>\n");
}

/* ---- [MS-OXDSCLI] ---- */

static void write_autodiscover(const struct autoconfig *a, struct print *o)
{
    struct server s[4];
    char address[ADDRESS_XML];
    const size_t n = servers(a, s);
    escape(a->address, address);
    print_put(o,
              "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
              "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n"
              " <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\n"
              "  <Account>\n"
              "   <AccountType>email</AccountType>\n"
              "   <Action>settings</Action>\n");
    for (size_t i = 0; i < n; i++) {
        print_put(o,
                  "   <Protocol>\n"
                  "    <Type>%s</Type>\n"
                  "    <Server>%s</Server>\n"
                  "    <Port>%u</Port>\n"
                  "    <DomainRequired>off</DomainRequired>\n",
                  s[i].incoming ? "IMAP" : "SMTP", a->host, s[i].port);
        if (*address)
            print_put(o, "    <LoginName>%s</LoginName>\n", address);
        print_put(o,
                  "    <SPA>off</SPA>\n"
                  "    <SSL>on</SSL>\n"
                  "    <Encryption>%s</Encryption>\n"
                  "    <AuthRequired>on</AuthRequired>\n"
                  "   </Protocol>\n",
                  s[i].starttls ? "TLS" : "SSL");
    }
    print_put(o, "  </Account>\n </Response>\n</Autodiscover>\n");
}

/* ---- Apple's profile ---- */

enum { UUID_CAP = 37 };

/* The same for the same address, so that a profile replaces its former self on a device, instead of standing beside it;
 * and another for each address, or it would replace that of somebody's other account. */
static void make_uuid(const struct autoconfig *a, const char *what, char out[UUID_CAP])
{
    uint8_t id[16];
    crypto_generichash_state state;
    struct print p = {out, UUID_CAP};
    const char *of = a->address ? a->address : a->domain;
    crypto_generichash_init(&state, NULL, 0, sizeof(id));
    crypto_generichash_update(&state, (const uint8_t *)what, strlen(what) + 1);
    crypto_generichash_update(&state, (const uint8_t *)of, strlen(of));
    crypto_generichash_final(&state, id, sizeof(id));
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x80); /* version 8 (RFC 9562 section 5.8) */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(id); i++)
        print_put(&p, "%s%02X", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}

static void put_string(struct print *o, const char *key, const char *value)
{
    print_put(o, "<key>%s</key><string>%s</string>\n", key, value);
}

/* Whether a device replaces a profile or adds one goes by its identifier, not by its UUID. */
static void put_payload(struct print *o, const struct autoconfig *a, const char *what, const char *type)
{
    char uuid[UUID_CAP];
    make_uuid(a, what, uuid);
    print_put(o, "<key>PayloadIdentifier</key><string>%s.%s</string>\n", a->domain, uuid);
    put_string(o, "PayloadUUID", uuid);
    put_string(o, "PayloadType", type);
    print_put(o, "<key>PayloadVersion</key><integer>1</integer>\n</dict>\n");
}

static void put_server(struct print *o, const char *way, const char *host, uint16_t port, const char *address)
{
    print_put(o,
              "<key>%sMailServerAuthentication</key><string>EmailAuthPassword</string>\n"
              "<key>%sMailServerHostName</key><string>%s</string>\n"
              "<key>%sMailServerPortNumber</key><integer>%u</integer>\n"
              "<key>%sMailServerUseSSL</key><true/>\n",
              way, way, host, way, port, way);
    if (*address)
        print_put(o, "<key>%sMailServerUsername</key><string>%s</string>\n", way, address);
}

static void write_mobileconfig(const struct autoconfig *a, struct print *o)
{
    char address[ADDRESS_XML];
    escape(a->address, address);
    print_put(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                 "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                 "<plist version=\"1.0\">\n<dict>\n"
                 "<key>PayloadContent</key>\n<array>\n<dict>\n");
    put_string(o, "EmailAccountDescription", *address ? address : a->domain);
    put_string(o, "EmailAccountType", "EmailTypeIMAP");
    if (*address)
        put_string(o, "EmailAddress", address);
    put_server(o, "Incoming", a->host, a->imaps ? a->imaps : a->imap, address);
    put_server(o, "Outgoing", a->host, a->submissions ? a->submissions : a->submission, address);
    print_put(o, "<key>OutgoingPasswordSameAsIncomingPassword</key><true/>\n");
    put_string(o, "PayloadDisplayName", "Mail");
    put_payload(o, a, "account", "com.apple.mail.managed");
    print_put(o, "</array>\n<key>PayloadDisplayName</key><string>Mail of %s</string>\n",
              *address ? address : a->domain);
    put_payload(o, a, "profile", "Configuration");
    print_put(o, "</plist>\n");
}

/* ---- draft-ietf-mailmaint-pacc: TLS from the first octet, at the usual ports ---- */

static void write_pacc(const struct autoconfig *a, struct print *o)
{
    print_put(o, "{\"protocols\":{");
    if (a->imaps)
        print_put(o, "\"imap\":{\"host\":\"%s\"}%s", a->host, a->submissions ? "," : "");
    if (a->submissions)
        print_put(o, "\"smtp\":{\"host\":\"%s\"}", a->host);
    print_put(o, "},\"authentication\":{\"password\":true},\"info\":{\"provider\":{\"name\":\"%s\"}}}\n", a->domain);
}

static const struct form {
    const char *type;
    void (*write)(const struct autoconfig *a, struct print *o);
} forms[AUTOCONFIG_FORMS] = {
    [AUTOCONFIG_TEXT] = {"text/plain; charset=utf-8", write_text},
    [AUTOCONFIG_XML] = {"text/xml; charset=utf-8", write_xml},
    [AUTOCONFIG_AUTODISCOVER] = {"text/xml; charset=utf-8", write_autodiscover},
    [AUTOCONFIG_MOBILECONFIG] = {"application/x-apple-aspen-config", write_mobileconfig},
    [AUTOCONFIG_PACC] = {"application/json", write_pacc},
};

const char *const autoconfig_form_names[AUTOCONFIG_FORMS] = {
    [AUTOCONFIG_TEXT] = "text",
    [AUTOCONFIG_XML] = "autoconfig",
    [AUTOCONFIG_AUTODISCOVER] = "autodiscover",
    [AUTOCONFIG_MOBILECONFIG] = "mobileconfig",
    [AUTOCONFIG_PACC] = "pacc",
};

size_t autoconfig_write(const struct autoconfig *a, enum autoconfig_form form, char out[AUTOCONFIG_CAP])
{
    struct print o = {out, AUTOCONFIG_CAP};
    forms[form].write(a, &o);
    bug_if(!o.left);
    return AUTOCONFIG_CAP - o.left;
}

const char *autoconfig_type(enum autoconfig_form form)
{
    return forms[form].type;
}

void autoconfig_pacc_digest(const struct autoconfig *a, char out[AUTOCONFIG_DIGEST_CAP])
{
    char text[AUTOCONFIG_CAP];
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const uint8_t *)text, autoconfig_write(a, AUTOCONFIG_PACC, text));
    sodium_bin2base64(out, AUTOCONFIG_DIGEST_CAP, hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
}
