#include "server/base/relay_policy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/digit.h"
#include "server/core/error.h"

struct route_row {
    char domain[RELAY_NAME_MAX];
    uint32_t line;
    struct relay_route route;
};
struct source_row {
    char domain[RELAY_NAME_MAX];
    uint32_t line;
    struct relay_source source;
};
struct relay_policy {
    struct route_row *routes;
    struct source_row *sources;
    size_t nroutes, nsources;
};

/* ---- words ---- */

static bool name_valid(const char *s, size_t len)
{
    size_t label = 0;

    /* RFC 1123 section 2.1; underscores are met in the wild. */
    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i <= len; i++) {
        const char c = i < len ? s[i] : '.';
        if (c == '.') {
            if (label == 0 || label > 63 || s[i - 1] == '-')
                return false;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                   (c == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

static int take_name(const char *s, size_t len, char out[RELAY_NAME_MAX])
{
    if (!name_valid(s, len))
        return ERR_FORMAT;
    memcpy(out, s, len);
    out[len] = '\0';
    lower(out);
    return OK;
}

static int take_port(const char *s, uint16_t *ret)
{
    unsigned long port = 0;

    if (!*s)
        return ERR_FORMAT;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || (port = port * 10 + (unsigned long)(*s - '0')) > 65535)
            return ERR_FORMAT;
    }
    *ret = (uint16_t)port;
    return port ? OK : ERR_FORMAT;
}

int relay_host_parse(const char *text, struct relay_route *ret)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    const char *rest = end ? end + (text[0] == '[') : NULL;
    struct in6_addr six;
    struct relay_route r = *ret;
    size_t len;

    if (!end || (*rest && *rest != ':') || (*rest && take_port(rest + 1, &r.port) != OK))
        return ERR_FORMAT;
    if (!*rest)
        r.port = 0;
    len = (size_t)(end - text) - (text[0] == '[');
    if (len >= sizeof(r.host))
        return ERR_FORMAT;
    memcpy(r.host, text + (text[0] == '['), len);
    r.host[len] = '\0';
    lower(r.host);
    if (text[0] == '[' ? inet_pton(AF_INET6, r.host, &six) != 1 : !name_valid(r.host, len))
        return ERR_FORMAT;
    *ret = r;
    return OK;
}

bool relay_host_valid(const char *text)
{
    struct relay_route r = {0};

    return relay_host_parse(text, &r) == OK;
}

int relay_source_parse(const char *text, struct relay_source *ret)
{
    struct relay_source s = {0};
    char one[INET6_ADDRSTRLEN];

    for (;;) {
        size_t len = strcspn(text, ",");
        if (len >= sizeof(one))
            return ERR_FORMAT;
        memcpy(one, text, len);
        one[len] = '\0';
        if (!s.has4 && inet_pton(AF_INET, one, &s.v4) == 1)
            s.has4 = true;
        else if (!s.has6 && inet_pton(AF_INET6, one, &s.v6) == 1)
            s.has6 = true;
        else
            return ERR_FORMAT;
        if (!text[len])
            break;
        text += len + 1;
    }
    *ret = s;
    return OK;
}

static int take_tls(const char *word, struct relay_route *r)
{
    static const struct {
        const char *word;
        enum tls_policy policy;
    } rows[] = {{"may", TLS_MAY}, {"dane", TLS_DANE}, {"verify", TLS_VERIFY}};

    r->tls_said = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(word, rows[i].word) == 0) {
            r->tls = rows[i].policy;
            return OK;
        }
    if (strlen(word) != 2 * sizeof(r->fingerprint))
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof(r->fingerprint); i++) {
        int high = digit_hex((uint8_t)word[2 * i]), low = digit_hex((uint8_t)word[2 * i + 1]);
        if (high < 0 || low < 0)
            return ERR_FORMAT;
        r->fingerprint[i] = (uint8_t)(high << 4 | low);
    }
    r->tls = TLS_FINGERPRINT;
    return OK;
}

/* ---- lines ---- */

/* The next word of a line; NULL: none. The line is cut. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, " \t\r");
    size_t len = strcspn(word, " \t\r");

    if (!*word)
        return NULL;
    *line = word + len + (word[len] != '\0');
    word[len] = '\0';
    return word;
}

static const char *source_line(struct source_row *row, const char *domain, char *rest)
{
    const char *word = next_word(&rest);

    if (take_name(domain, strlen(domain), row->domain) != OK)
        return "@DOMAIN must be a domain of ours, in ASCII";
    if (!word || strncmp(word, "source=", 7) || relay_source_parse(word + 7, &row->source) != OK || next_word(&rest))
        return "behind @DOMAIN stands source= with an IPv4 address, an IPv6 address, or both with a comma";
    return NULL;
}

static const char *route_line(struct route_row *row, const char *domain, char *rest)
{
    const char *word;
    bool route = false;

    if (take_name(domain, strlen(domain), row->domain) != OK)
        return "a line begins with a domain, in ASCII, or with @ and a domain of ours";
    while ((word = next_word(&rest))) {
        if (!route && strncmp(word, "route=", 6) == 0) {
            if (relay_host_parse(word + 6, &row->route) != OK)
                return "route= takes HOST or HOST:PORT, an IPv6 address in brackets";
            route = true;
        } else if (!row->route.tls_said && strncmp(word, "tls=", 4) == 0) {
            if (take_tls(word + 4, &row->route) != OK)
                return "tls= takes may, dane, verify, or the 64 hex digits of a key's SHA-256";
        } else {
            return "behind a domain stand route= and tls=, each once at most";
        }
    }
    return route || row->route.tls_said ? NULL : "behind a domain stands route=, tls=, or both";
}

static const char *read_line(struct relay_policy *p, char *line, uint32_t number)
{
    char *word;

    line[strcspn(line, "#")] = '\0';
    if (!(word = next_word(&line)))
        return NULL;
    if (word[0] == '@') {
        p->sources[p->nsources].line = number;
        return source_line(&p->sources[p->nsources++], word + 1, line);
    }
    p->routes[p->nroutes].line = number;
    return route_line(&p->routes[p->nroutes++], word, line);
}

static int by_domain(const void *a, const void *b)
{
    return strcmp(a, b); /* a row begins with its domain */
}

/* Two rows of a domain would be one too many: the line of the second; 0: there is none. */
static uint32_t twice(const struct relay_policy *p)
{
    for (size_t i = 1; i < p->nroutes; i++)
        if (strcmp(p->routes[i - 1].domain, p->routes[i].domain) == 0)
            return p->routes[i].line > p->routes[i - 1].line ? p->routes[i].line : p->routes[i - 1].line;
    for (size_t i = 1; i < p->nsources; i++)
        if (strcmp(p->sources[i - 1].domain, p->sources[i].domain) == 0)
            return p->sources[i].line > p->sources[i - 1].line ? p->sources[i].line : p->sources[i - 1].line;
    return 0;
}

static int read_all(struct relay_policy *p, char *text, char *why, size_t why_cap)
{
    const char *wrong = NULL;
    uint32_t number = 0;

    for (char *line = text, *end; line && !wrong; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (++number > RELAY_POLICY_LINES_MAX)
            wrong = "too many lines";
        else
            wrong = read_line(p, line, number);
    }
    if (!wrong) {
        qsort(p->routes, p->nroutes, sizeof(*p->routes), by_domain);
        qsort(p->sources, p->nsources, sizeof(*p->sources), by_domain);
        number = twice(p);
        wrong = number ? "this domain has a line already" : NULL;
    }
    if (wrong)
        snprintf(why, why_cap, "line %u: %s", number, wrong);
    return wrong ? ERR_FORMAT : OK;
}

int relay_policy_parse(const char *text, size_t len, struct relay_policy **ret, char *why, size_t why_cap)
{
    struct relay_policy *p;
    size_t lines = 1;
    char *copy;
    int err;

    if (len > RELAY_POLICY_TEXT_MAX || memchr(text, '\0', len)) {
        snprintf(why, why_cap, "line 1: it is too large, or no text");
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    if (lines > RELAY_POLICY_LINES_MAX)
        lines = RELAY_POLICY_LINES_MAX;
    p = calloc(1, sizeof(*p));
    copy = malloc(len + 1);
    if (p) {
        p->routes = calloc(lines, sizeof(*p->routes));
        p->sources = calloc(lines, sizeof(*p->sources));
    }
    err = p && copy && p->routes && p->sources ? OK : ERR_MEMORY;
    if (err == OK) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        err = read_all(p, copy, why, why_cap);
    } else {
        snprintf(why, why_cap, "out of memory");
    }
    free(copy);
    if (err == OK)
        *ret = p;
    else
        relay_policy_free(p);
    return err;
}

void relay_policy_free(struct relay_policy *p)
{
    if (!p)
        return;
    free(p->routes);
    free(p->sources);
    free(p);
}

static const void *find(const void *rows, size_t n, size_t size, const char *domain)
{
    char name[RELAY_NAME_MAX];

    if (strlen(domain) >= sizeof(name))
        return NULL;
    memcpy(name, domain, strlen(domain) + 1);
    lower(name);
    return n ? bsearch(name, rows, n, size, by_domain) : NULL;
}

const struct relay_route *relay_policy_route(const struct relay_policy *p, const char *domain)
{
    const struct route_row *row = p ? find(p->routes, p->nroutes, sizeof(*p->routes), domain) : NULL;

    return row ? &row->route : NULL;
}

const struct relay_source *relay_policy_source(const struct relay_policy *p, const char *domain)
{
    const struct source_row *row = p ? find(p->sources, p->nsources, sizeof(*p->sources), domain) : NULL;

    return row ? &row->source : NULL;
}

size_t relay_policy_ports(const struct relay_policy *p, uint16_t *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; p && i < p->nroutes; i++) {
        const uint16_t port = p->routes[i].route.port;
        bool known = port == 0;
        for (size_t k = 0; k < n; k++)
            known |= out[k] == port;
        if (!known && n < max)
            out[n++] = port;
    }
    return n;
}

bool relay_source_is_private(const struct relay_source *s)
{
    const uint8_t *p = (const uint8_t *)&s->v4, *q = (const uint8_t *)&s->v6;
    const bool private4 = p[0] == 10 || (p[0] == 172 && (p[1] & 0xf0) == 16) || (p[0] == 192 && p[1] == 168) ||
                          (p[0] == 100 && (p[1] & 0xc0) == 64); /* RFC 1918, RFC 6598 */
    const bool private6 = (q[0] & 0xfe) == 0xfc;                /* RFC 4193 */

    return (s->has4 && private4) || (s->has6 && private6);
}
