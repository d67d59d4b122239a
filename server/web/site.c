/* Rows of the role's own: the MTA-STS policy of hosted domains (RFC 8461 section 3.2), security.txt (RFC 9116), and the
 * way from http:// to https://. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "server/base/below.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/mta_sts.h"
#include "server/web/web.h"

enum { HTTPS_PORT = 443, SECURITY_DAYS = 30 };

struct site {
    struct web *web;
    char policy[MTA_STS_OWN_MAX];
    size_t policy_len;
    struct challenges challenges;
};

struct hosted {
    const char *domain;
};

static int ask_hosted(void *arg, struct view *v)
{
    const struct hosted *h = arg;

    return view_domain_known(v, h->domain);
}

bool site_is_hosted(struct site *s, const char *domain)
{
    struct hosted h = {domain};

    return view_run(s->web->view, ask_hosted, &h) == OK;
}

/* The domain behind the label; NULL: it does not begin so. */
static const char *below(const char *host, const char *label)
{
    size_t n = strlen(label);

    return strncmp(host, label, n) == 0 && host[n] == '.' ? host + n + 1 : NULL;
}

const char *site_domain(struct site *s, const char *host)
{
    for (size_t i = 0; i < BELOW_N; i++) {
        const char *domain = below(host, below_labels[i]);

        if (domain && site_is_hosted(s, domain))
            return domain;
    }
    return site_is_hosted(s, host) ? host : NULL;
}

bool site_is_ours(struct site *s, const char *host)
{
    return strcasecmp(host, s->web->config.domain) == 0 || site_domain(s, host);
}

void site_redirect(struct site *s, struct http_exchange *x, const struct http_request *r)
{
    const struct config *c = &s->web->config;
    char url[HTTP_HOST_MAX + HTTP_PATH_MAX + HTTP_QUERY_MAX + 32], port[8] = "";
    struct http_field location = {"Location", url};

    if (!c->https || !site_is_ours(s, r->host)) {
        http_answer_status(x, 404);
        return;
    }
    if (c->port_base)
        snprintf(port, sizeof(port), ":%u", c->port_base + HTTPS_PORT);
    snprintf(url, sizeof(url), "https://%s%s%.*s", r->host, port, (int)r->target.len, (const char *)r->target.data);
    http_answer(x, &(struct http_reply){.status = 308, .fields = &location, .nfields = 1});
}

static void give_policy(void *arg, struct http_exchange *x, const struct http_request *r)
{
    struct site *s = arg;
    const char *domain = below(r->host, BELOW_MTA_STS);

    if (!domain || !site_is_hosted(s, domain)) {
        s->web->not_found(s->web, x, r);
        return;
    }
    http_answer(x, &(struct http_reply){.status = 200,
                                        .type = "text/plain; charset=utf-8",
                                        .body = slice_of(s->policy, s->policy_len)});
}

static void give_security(void *arg, struct http_exchange *x, const struct http_request *r)
{
    const struct site *s = arg;
    char until[DATE_INTERNET_SIZE], text[512];
    int len;

    date_write_internet((int64_t)time(NULL) + SECURITY_DAYS * 86400, until);
    len = snprintf(text, sizeof(text), "Contact: mailto:postmaster@%s\nExpires: %s\n", s->web->config.domain, until);
    http_answer(x, &(struct http_reply){.status = 200,
                                        .type = "text/plain; charset=utf-8",
                                        .body = slice_of(text, (size_t)len)});
}

static void give_challenge(void *arg, struct http_exchange *x, const struct http_request *r)
{
    const struct site *s = arg;
    char token[CHALLENGE_TOKEN_MAX + 1];
    const char *text = NULL;

    if (r->params[0].len <= CHALLENGE_TOKEN_MAX) {
        memcpy(token, r->params[0].data, r->params[0].len);
        token[r->params[0].len] = '\0';
        text = challenges_find(&s->challenges, r->host, token);
    }
    if (text) /* RFC 8555 section 8.3 */
        http_answer(x,
                    &(struct http_reply){.status = 200, .type = "application/octet-stream", .body = slice_str(text)});
    else
        http_answer_status(x, 404);
}

void site_challenges(struct site *s, const struct challenges *c)
{
    s->challenges = *c;
}

void site_reload(struct site *s)
{
    const struct config *c = &s->web->config;
    const char *mx = c->mta_sts_mx[0] ? c->mta_sts_mx : c->domain;

    s->policy_len = mta_sts_policy_write(c->mta_sts_mode, mx, c->mta_sts_max_age, s->policy);
}

int site_create(struct web *web, struct site **ret)
{
    struct site *s = calloc(1, sizeof(*s));

    if (!s)
        return ERR_MEMORY;
    s->web = web;
    site_reload(s);
    *ret = s;
    return OK;
}

void site_destroy(struct site *s)
{
    free(s);
}

struct http_routes site_routes(struct site *s)
{
    static const struct http_route rows[] = {
        {.methods = HTTP_GET, .pattern = "/.well-known/mta-sts.txt", .handle = give_policy},
        {.methods = HTTP_GET, .pattern = "/.well-known/security.txt", .handle = give_security},
        {.methods = HTTP_GET,
         .pattern = "/.well-known/acme-challenge/:token",
         .flags = HTTP_CLEAR_TOO,
         .handle = give_challenge},
    };

    return (struct http_routes){rows, sizeof(rows) / sizeof(*rows), s};
}
