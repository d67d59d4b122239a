/* See cookie.h. */
#include "webmail-api/session/cookie.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/base64url.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/proto/sasl.h"

const char cookie_clear[] = COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";

/* RFC 6265bis section 4.1.3.2: browsers keep a name with this prefix for this host, over TLS and all paths alone. */
void cookie_set(const uint8_t token[COOKIE_TOKEN_SIZE], uint32_t seconds, char out[COOKIE_SET_MAX])
{
    char text[BASE64URL_LEN(COOKIE_TOKEN_SIZE) + 1];
    int n;

    base64url_write(slice_of(token, COOKIE_TOKEN_SIZE), text);
    n = snprintf(out, COOKIE_SET_MAX, "%s=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%u", COOKIE_NAME, text,
                 seconds);
    bug_if(n < 0 || n >= COOKIE_SET_MAX);
    sodium_memzero(text, sizeof(text));
}

/* ---- fields ---- */

/* How many there are of that name; the last one's value. */
static unsigned find_field(const struct http_request *r, const char *name, const char **ret)
{
    unsigned n = 0;

    for (size_t i = 0; i < r->nfields; i++) {
        if (strcasecmp(r->fields[i].name, name) == 0) {
            *ret = r->fields[i].value;
            n++;
        }
    }
    return n;
}

/* ---- Cookie ---- */

/* RFC 6265bis section 4.2.1. Names are compared octet by octet: nothing is trimmed but the one blank behind ";", and
 * quotes, commas and "$Version" mean nothing. */
static unsigned count_cookies(const char *text, struct slice *ret)
{
    const size_t name = strlen(COOKIE_NAME "=");
    unsigned n = 0;

    while (*text) {
        const size_t len = strcspn(text, ";");
        if (strncmp(text, COOKIE_NAME "=", name) == 0) {
            *ret = slice_of(text + name, len - name);
            n++;
        } else if (len == name - 1 && strncmp(text, COOKIE_NAME, len) == 0) {
            *ret = slice_of(text, 0); /* it has no value */
            n++;
        }
        text += len;
        text += *text == ';';
        text += *text == ' ';
    }
    return n;
}

static int read_cookie(const struct http_request *r, struct credentials *c)
{
    struct slice value = {NULL, 0};
    unsigned n = 0;

    for (size_t i = 0; i < r->nfields; i++)
        if (strcasecmp(r->fields[i].name, "Cookie") == 0)
            n += count_cookies(r->fields[i].value, &value);
    if (n == 0)
        return OK;
    if (n > 1 || base64url_read(value, c->token, sizeof(c->token)) != sizeof(c->token))
        return ERR_FORMAT;
    c->kind = CREDENTIALS_COOKIE;
    return OK;
}

/* ---- Authorization ---- */

static bool is_b64token(const char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789-._~+/";
    const size_t n = strspn(s, digits);

    return n > 0 && s[n + strspn(s + n, "=")] == '\0';
}

/* RFC 6750 section 2.1. */
static int read_bearer(const char *value, struct credentials *c)
{
    const size_t len = strlen(value);

    if (len > CREDENTIALS_BEARER_MAX || !is_b64token(value))
        return ERR_FORMAT;
    memcpy(c->bearer, value, len + 1);
    c->kind = CREDENTIALS_BEARER;
    return OK;
}

static bool copy_text(struct slice s, char *out, size_t cap)
{
    if (s.len == 0 || s.len >= cap || !utf8_printable(s.data, s.len))
        return false;
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return true;
}

/* RFC 7617 section 2: what stands in front of the first colon is the user; the rest may have colons. */
static int read_basic(const char *value, struct credentials *c)
{
    uint8_t pair[CREDENTIALS_USER_MAX + 1 + CREDENTIALS_PASSWORD_MAX + 3];
    const long len = sasl_base64_decode(slice_str(value), pair, sizeof(pair));
    const uint8_t *colon = len > 0 ? memchr(pair, ':', (size_t)len) : NULL;
    bool fits = false;

    if (colon)
        fits = copy_text(slice_of(pair, (size_t)(colon - pair)), c->user, sizeof(c->user)) &&
               copy_text(slice_of(colon + 1, (size_t)(pair + len - colon - 1)), c->password, sizeof(c->password));
    sodium_memzero(pair, sizeof(pair));
    if (!fits)
        return ERR_FORMAT;
    c->kind = CREDENTIALS_BASIC;
    return OK;
}

static const struct {
    const char *name;
    int (*read)(const char *value, struct credentials *c);
} schemes[] = {{"Bearer", read_bearer}, {"Basic", read_basic}};

/* RFC 9110 section 11.4: a scheme in any case, blanks, and what belongs to it. */
static int read_authorization(const char *value, struct credentials *c)
{
    const size_t name = strcspn(value, " ");
    const char *rest = value + name + strspn(value + name, " ");

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
        if (strlen(schemes[i].name) == name && strncasecmp(value, schemes[i].name, name) == 0)
            return schemes[i].read(rest, c);
    return ERR_FORMAT;
}

int credentials_read(const struct http_request *r, struct credentials *ret)
{
    struct credentials c = {.kind = CREDENTIALS_NONE};
    const char *value = NULL;
    const unsigned n = find_field(r, "Authorization", &value);
    int err = n > 1 ? ERR_FORMAT : n == 1 ? read_authorization(value, &c) : read_cookie(r, &c);

    if (err == OK)
        *ret = c;
    sodium_memzero(&c, sizeof(c));
    return err;
}

/* ---- pages of others ---- */

/* Without the port that the scheme has by itself. */
static size_t host_len(const char *host, const char *port)
{
    const size_t len = strlen(host), tail = strlen(port);

    return len > tail && strcmp(host + len - tail, port) == 0 ? len - tail : len;
}

/* RFC 6454 section 7: scheme, host and port, or "null"; of this server they are as the request was asked. */
static bool is_own_origin(const struct http_request *r, const char *origin)
{
    const char *scheme = r->tls ? "https://" : "http://", *port = r->tls ? ":443" : ":80", *host = NULL;
    const size_t n = strlen(scheme);

    if (find_field(r, "Host", &host) != 1 || strncmp(origin, scheme, n) != 0)
        return false;
    const size_t len = host_len(host, port);
    return host_len(origin + n, port) == len && strncasecmp(origin + n, host, len) == 0;
}

static bool is_own_page(const struct http_request *r)
{
    const char *value = NULL;
    unsigned n = find_field(r, "Sec-Fetch-Site", &value);

    if (n > 1 || (n == 1 && strcmp(value, "same-origin") != 0 && strcmp(value, "none") != 0))
        return false;
    n = find_field(r, "Origin", &value);
    return n == 0 || (n == 1 && is_own_origin(r, value));
}

static bool changes_something(enum http_method m)
{
    return m != HTTP_GET && m != HTTP_HEAD && m != HTTP_OPTIONS;
}

bool csrf_fits(const struct http_request *r, enum credentials_kind by)
{
    const char *value = NULL;

    if (by == CREDENTIALS_BEARER)
        return true;
    if (!is_own_page(r))
        return false;
    if (by != CREDENTIALS_COOKIE || !changes_something(r->method))
        return true;
    return find_field(r, CSRF_FIELD, &value) == 1 && strcmp(value, "1") == 0;
}
