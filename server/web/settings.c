/* Rows by which mail clients find their settings. They name a domain that is hosted here, never an account: whoever
 * asks learns what DNS says. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/autoconfig/autoconfig.h"
#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/web/web.h"

enum { AUTODISCOVER_MAX = 8 * 1024 /* octets of what Outlook posts */ };

/* What one asks about. */
struct asked {
    char address[ADDRESS_MAX]; /* "": any of the domain's */
    char domain[DOMAIN_CAP];
};

static bool take_address(struct web *web, const char *text, size_t len, struct asked *ret)
{
    char normal[ADDRESS_MAX];
    size_t at, plus;

    if (len >= sizeof(ret->address) || address_normalize(text, len, normal, &at, &plus) != OK ||
        !site_is_hosted(web->site, normal + at + 1))
        return false;
    memcpy(ret->address, text, len);
    ret->address[len] = '\0';
    snprintf(ret->domain, sizeof(ret->domain), "%s", normal + at + 1);
    return true;
}

static bool take_host(struct web *web, const char *host, struct asked *ret)
{
    const char *domain = site_domain(web->site, host);

    if (!domain)
        return false;
    ret->address[0] = '\0';
    snprintf(ret->domain, sizeof(ret->domain), "%s", domain);
    return true;
}

static void give(struct web *web, struct http_exchange *x, const struct asked *a, enum autoconfig_form form)
{
    static const struct http_field file = {"Content-Disposition", "attachment; filename=\"mail.mobileconfig\""};
    struct autoconfig c = {.domain = a->domain, .address = a->address[0] ? a->address : NULL};
    char text[AUTOCONFIG_CAP];
    size_t len;

    autoconfig_take(&c, &web->config);
    len = autoconfig_write(&c, form, text);
    http_answer(x, &(struct http_reply){.status = 200,
                                        .type = autoconfig_type(form),
                                        .body = slice_of(text, len),
                                        .fields = &file,
                                        .nfields = form == AUTOCONFIG_MOBILECONFIG});
}

/* Many clients send no address. One that does may have found this server by the MX of a domain that the host's name
 * does not tell. */
static void give_form(struct web *web, struct http_exchange *x, const struct http_request *r, enum autoconfig_form form)
{
    char text[ADDRESS_MAX];
    struct slice address;
    struct asked a;

    if ((http_query(r, "emailaddress", text, sizeof(text), &address) &&
         take_address(web, (const char *)address.data, address.len, &a)) ||
        take_host(web, r->host, &a))
        give(web, x, &a, form);
    else
        web->not_found(web, x, r);
}

static void give_xml(void *arg, struct http_exchange *x, const struct http_request *r)
{
    give_form(arg, x, r, AUTOCONFIG_XML);
}

static void give_mobileconfig(void *arg, struct http_exchange *x, const struct http_request *r)
{
    give_form(arg, x, r, AUTOCONFIG_MOBILECONFIG);
}

/* Its digest stands in DNS, so it is one document a domain. */
static void give_pacc(void *arg, struct http_exchange *x, const struct http_request *r)
{
    struct asked a;

    if (take_host(arg, r->host, &a))
        give(arg, x, &a, AUTOCONFIG_PACC);
    else
        http_answer_status(x, 404);
}

/* Outlook takes the domain's answer for the address it posts; one of another domain gets none. */
static void take_autodiscover(void *arg, struct http_exchange *x, const struct http_request *r)
{
    char address[ADDRESS_MAX];
    struct asked a;
    int err = autoconfig_read_autodiscover(r->body, address, sizeof(address));

    if (err != OK)
        http_answer_status(x, err == ERR_MEMORY ? 503 : 400);
    else if (!take_address(arg, address, strlen(address), &a))
        http_answer_status(x, 404);
    else
        give(arg, x, &a, AUTOCONFIG_AUTODISCOVER);
}

static void give_autodiscover(void *arg, struct http_exchange *x, const struct http_request *r)
{
    struct asked a;

    if (take_host(arg, r->host, &a))
        give(arg, x, &a, AUTOCONFIG_AUTODISCOVER);
    else
        http_answer_status(x, 404);
}

/* Newer ones ask first where that is; of other protocols there are none here. */
static void give_autodiscover_place(void *arg, struct http_exchange *x, const struct http_request *r)
{
    char protocol[32], text[HTTP_HOST_MAX + 128];
    struct slice p;
    struct asked a;
    int len;

    if (!http_query(r, "Protocol", protocol, sizeof(protocol), &p) || p.len != 14 ||
        strncasecmp((const char *)p.data, "AutodiscoverV1", 14) != 0 || !take_host(arg, r->host, &a)) {
        http_answer_status(x, 404);
        return;
    }
    len = snprintf(text, sizeof(text),
                   "{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"https://%s/autodiscover/autodiscover.xml\"}\n", r->host);
    http_answer(x,
                &(struct http_reply){.status = 200, .type = "application/json", .body = slice_of(text, (size_t)len)});
}

struct http_routes settings_routes(struct web *web)
{
    /* Of Outlook's path each version has its own spelling. */
    static const struct http_route rows[] = {
        {HTTP_GET, "/mail/config-v1.1.xml", 0, 0, give_xml},
        {HTTP_GET, "/.well-known/autoconfig/mail/config-v1.1.xml", 0, 0, give_xml},
        {HTTP_GET, "/mail/mail.mobileconfig", 0, 0, give_mobileconfig},
        {HTTP_GET, "/.well-known/user-agent-configuration.json", 0, HTTP_ANY_ORIGIN, give_pacc},
        {HTTP_GET, "/autodiscover/autodiscover.xml", 0, HTTP_ANY_CASE, give_autodiscover},
        {HTTP_POST, "/autodiscover/autodiscover.xml", AUTODISCOVER_MAX, HTTP_ANY_CASE, take_autodiscover},
        {HTTP_GET, "/autodiscover/autodiscover.json", 0, HTTP_ANY_CASE, give_autodiscover_place},
        {HTTP_GET, "/autodiscover/autodiscover.json/v1.0/:address", 0, HTTP_ANY_CASE, give_autodiscover_place},
    };

    return (struct http_routes){rows, sizeof(rows) / sizeof(*rows), web};
}
