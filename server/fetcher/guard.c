#include "server/fetcher/guard.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/base/config.h"
#include "server/base/prefix.h"
#include "server/dns/message.h"

enum { ALLOW_MAX = 64, ITEM_MAX = 64 };

/* The open Internet in IPv6; what has been given out of 2000::/3 for something else stands in the table below. Outside
 * it is all that stands for an IPv4 address (mapped, compatible, NAT64), loopback, link-local, site-local (fec0::/10),
 * unique local, discard, multicast. */
static const char global_v6[] = "2000::/3";

/* IANA's registries of special-purpose addresses (RFC 6890), and multicast. What others reach is left out of them: the
 * addresses of AS112 (RFC 7534), AMT's (RFC 7450). */
static const char *const special[] = {
    "0.0.0.0/8",       /* this network (RFC 791) */
    "10.0.0.0/8",      /* private (RFC 1918) */
    "100.64.0.0/10",   /* shared by a carrier's customers (RFC 6598) */
    "127.0.0.0/8",     /* loopback (RFC 1122) */
    "169.254.0.0/16",  /* link-local (RFC 3927): clouds serve their secrets there */
    "172.16.0.0/12",   /* private */
    "192.0.0.0/24",    /* protocol assignments (RFC 6890) */
    "192.0.2.0/24",    /* documentation (RFC 5737) */
    "192.88.99.0/24",  /* 6to4 relays (RFC 7526) */
    "192.168.0.0/16",  /* private */
    "198.18.0.0/15",   /* benchmarks (RFC 2544) */
    "198.51.100.0/24", /* documentation */
    "203.0.113.0/24",  /* documentation */
    "224.0.0.0/4",     /* multicast (RFC 5771) */
    "240.0.0.0/4",     /* reserved (RFC 1112), and the limited broadcast */
    "2001::/23",       /* protocol assignments: Teredo (RFC 4380), ORCHID (RFC 7343), benchmarks (RFC 5180) */
    "2001:db8::/32",   /* documentation (RFC 3849) */
    "2002::/16",       /* 6to4 (RFC 3056): holds an IPv4 address */
    "3fff::/20",       /* documentation (RFC 9637) */
};
enum { SPECIAL = sizeof(special) / sizeof(*special) };

struct guard {
    struct prefix global, special[SPECIAL], allow[ALLOW_MAX];
    size_t nallow;
};

static int read_tables(struct guard *g, const char *allow)
{
    char one[ITEM_MAX];
    int err = prefix_parse(global_v6, &g->global);

    for (size_t i = 0; err == OK && i < SPECIAL; i++)
        err = prefix_parse(special[i], &g->special[i]);
    while (err == OK && config_list_next(&allow, one, sizeof(one)))
        err = g->nallow == ALLOW_MAX ? ERR_LIMIT : prefix_parse(one, &g->allow[g->nallow++]);
    return err;
}

int guard_create(const char *allow, struct guard **ret)
{
    struct guard *g = calloc(1, sizeof(*g));
    int err = g ? read_tables(g, allow) : ERR_MEMORY;

    if (err == OK)
        *ret = g;
    else
        free(g);
    return err;
}

void guard_destroy(struct guard *g)
{
    free(g);
}

static bool is_global(const struct guard *g, const uint8_t *octets, size_t len)
{
    if (len == 16 && !prefix_holds(&g->global, octets, len))
        return false;
    for (size_t i = 0; i < SPECIAL; i++)
        if (prefix_holds(&g->special[i], octets, len))
            return false;
    return true;
}

bool guard_address(const struct guard *g, const uint8_t *octets, size_t len, uint16_t *ret_port)
{
    for (size_t i = 0; i < g->nallow; i++)
        if (prefix_holds(&g->allow[i], octets, len)) {
            *ret_port = g->allow[i].port ? g->allow[i].port : GUARD_PORT;
            return true;
        }
    if (!is_global(g, octets, len))
        return false;
    *ret_port = GUARD_PORT;
    return true;
}

size_t guard_ports(const struct guard *g, uint16_t out[GUARD_PORTS_MAX])
{
    size_t n = 0;

    out[n++] = GUARD_PORT;
    for (size_t i = 0; i < g->nallow; i++)
        if (g->allow[i].port)
            out[n++] = g->allow[i].port;
    return n;
}

/* Lower case, and a name: its last label begins with a letter, as no address does in decimal, octal, hexadecimal or
 * with fewer parts (RFC 3696 section 2: no top-level domain is all digits). */
static bool take_host(const char *host, char out[GUARD_HOST_MAX + 1])
{
    const size_t len = strlen(host);
    const char *last;

    if (len > GUARD_HOST_MAX)
        return false;
    for (size_t i = 0; i <= len; i++)
        out[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i]);
    last = strrchr(out, '.');
    return dns_host_valid(out) && !strpbrk(out, "/_") && last && last[1] >= 'a' && last[1] <= 'z';
}

static bool has_part(CURLU *u, CURLUPart what)
{
    char *text = NULL;
    const bool has = curl_url_get(u, what, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static bool part_is(CURLU *u, CURLUPart what, unsigned flags, const char *wanted)
{
    char *text = NULL;
    const bool is = curl_url_get(u, what, &text, flags) == CURLUE_OK && strcmp(text, wanted) == 0;

    curl_free(text);
    return is;
}

static bool parts_allowed(CURLU *u, char host[GUARD_HOST_MAX + 1])
{
    char *text = NULL;
    const bool is_name = curl_url_get(u, CURLUPART_HOST, &text, 0) == CURLUE_OK && take_host(text, host);

    curl_free(text);
    return is_name && part_is(u, CURLUPART_SCHEME, 0, "https") &&
           part_is(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, "443") && !has_part(u, CURLUPART_USER) &&
           !has_part(u, CURLUPART_PASSWORD) && !has_part(u, CURLUPART_OPTIONS) && !has_part(u, CURLUPART_FRAGMENT) &&
           !has_part(u, CURLUPART_ZONEID);
}

/* What readers of URLs differ about is in none that is taken: blanks and controls, "\", one slash or three, a colon or
 * an escape in the authority, a user that is empty. */
static bool plain(const char *url)
{
    static const char scheme[] = "https://";
    const char *authority = url + sizeof(scheme) - 1;

    for (const char *s = url; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f || *s == '\\' || *s == '#')
            return false;
    return strncasecmp(url, scheme, sizeof(scheme) - 1) == 0 &&
           strspn(authority, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:") ==
               strcspn(authority, "/?") &&
           *authority != '/';
}

int guard_url(const char *url, CURLU **ret, char host[GUARD_HOST_MAX + 1])
{
    CURLU *u = plain(url) ? curl_url() : NULL;
    CURLUcode rc;

    if (!u)
        return plain(url) ? ERR_MEMORY : ERR_DENIED;
    rc = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
    if (rc == CURLUE_OK && parts_allowed(u, host)) {
        *ret = u;
        return OK;
    }
    curl_url_cleanup(u);
    return rc == CURLUE_OUT_OF_MEMORY ? ERR_MEMORY : ERR_DENIED;
}
