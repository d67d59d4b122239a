#include "server/http/router.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/digit.h"

/* RFC 3986 section 3.3: what a segment has without an escape. */
static bool is_pchar(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~!$&'()*+,;=:@", c));
}

/* The octet at p, with n behind it; how many it took, 0: a broken escape. */
static size_t unescape(const uint8_t *p, size_t n, uint8_t *ret)
{
    int high, low;

    if (*p != '%') {
        *ret = *p;
        return 1;
    }
    if (n < 3 || (high = digit_hex(p[1])) < 0 || (low = digit_hex(p[2])) < 0)
        return 0;
    *ret = (uint8_t)(high << 4 | low);
    return 3;
}

/* What an escape must not stand for: programs differ in whether it ends a segment or a name. "%" would be an escape's
 * beginning to whoever decodes twice. */
static bool is_trap(uint8_t c)
{
    return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == '%';
}

static bool is_dots(const char *segment, size_t len)
{
    return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

/* A segment has ended in ret; last: so has the path. */
static bool segment_ok(const struct http_path *p, size_t from, bool last)
{
    size_t len = p->len - from;

    return !is_dots(p->text + from, len) && (len > 0 || last);
}

unsigned http_path_read(struct slice raw, struct http_path *ret)
{
    struct http_path p = {.len = 1};
    size_t at = 1, took, from = 1;

    if (raw.len > HTTP_PATH_MAX)
        return 414;
    if (raw.len == 0 || raw.data[0] != '/')
        return 400;
    p.text[0] = '/';
    for (; at < raw.len; at += took) {
        uint8_t c = raw.data[at], octet;

        took = unescape(raw.data + at, raw.len - at, &octet);
        if (!took || (took == 3 ? is_trap(octet) : c != '/' && !is_pchar(c)))
            return 400;
        if (c == '/' && !segment_ok(&p, from, false))
            return 400;
        p.text[p.len++] = (char)octet;
        if (c == '/')
            from = p.len;
    }
    if (!segment_ok(&p, from, true))
        return 400;
    p.text[p.len] = '\0';
    *ret = p;
    return 0;
}

unsigned http_query_check(struct slice raw)
{
    if (raw.len > HTTP_QUERY_MAX)
        return 414;
    for (size_t at = 0; at < raw.len; at++) {
        uint8_t c = raw.data[at], octet;

        if (c == '%' ? !unescape(raw.data + at, raw.len - at, &octet) : !is_pchar(c) && c != '/' && c != '?')
            return 400;
    }
    return 0;
}

/* raw, decoded as forms are, into out. */
static bool decode(struct slice raw, char *out, size_t cap, size_t *ret_len)
{
    size_t len = 0, took;

    for (size_t at = 0; at < raw.len; at += took) {
        uint8_t octet;

        took = unescape(raw.data + at, raw.len - at, &octet);
        if (!took || octet == '\0' || len == cap)
            return false;
        out[len++] = took == 1 && octet == '+' ? ' ' : (char)octet;
    }
    *ret_len = len;
    return true;
}

bool http_query(const struct http_request *r, const char *name, char *buf, size_t cap, struct slice *ret)
{
    const uint8_t *p = r->query.data, *end = r->query.len ? p + r->query.len : p;
    size_t len;

    while (p < end) {
        const uint8_t *amp = memchr(p, '&', (size_t)(end - p)), *stop = amp ? amp : end;
        const uint8_t *eq = memchr(p, '=', (size_t)(stop - p)), *key_end = eq ? eq : stop;
        const uint8_t *value = eq ? eq + 1 : stop;

        if (decode(slice_of(p, (size_t)(key_end - p)), buf, cap, &len) && len == strlen(name) &&
            memcmp(buf, name, len) == 0) {
            if (!decode(slice_of(value, (size_t)(stop - value)), buf, cap, &len))
                return false;
            *ret = slice_of(buf, len);
            return true;
        }
        p = amp ? amp + 1 : end;
    }
    return false;
}

/* ---- rows ---- */

/* In the order of enum http_method's bits. */
static const char *const method_names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
enum { METHODS = sizeof(method_names) / sizeof(*method_names) };

/* Where the segment at p ends. */
static const char *segment_end(const char *p)
{
    return p + strcspn(p, "/");
}

static bool fits(const struct http_route *row, const char *path, struct slice params[HTTP_PARAMS_MAX])
{
    int (*differ)(const char *, const char *, size_t) = row->flags & HTTP_ANY_CASE ? strncasecmp : strncmp;
    const char *pattern = row->pattern;
    size_t n = 0;

    while (*pattern == '/' && *path == '/') {
        const char *want = pattern + 1, *have = path + 1;

        pattern = segment_end(want);
        path = segment_end(have);
        if (*want == ':') {
            if (path == have || n == HTTP_PARAMS_MAX)
                return false;
            params[n++] = slice_of(have, (size_t)(path - have));
        } else if (pattern - want != path - have || differ(want, have, (size_t)(path - have)) != 0) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

static unsigned methods_of(const struct http_route *row)
{
    return row->methods | (row->methods & HTTP_GET ? HTTP_HEAD : 0) | HTTP_OPTIONS;
}

unsigned http_route_find(const struct http_routes *tables, size_t ntables, enum http_method method, bool tls,
                         const struct http_path *path, struct http_match *ret)
{
    struct http_match m = {.row = NULL};

    for (size_t t = 0; t < ntables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct http_route *row = &tables[t].rows[i];
            struct slice params[HTTP_PARAMS_MAX] = {{0}};

            if (!(tls || row->flags & HTTP_CLEAR_TOO) || !fits(row, path->text, params))
                continue;
            m.allowed |= methods_of(row);
            m.flags |= row->flags;
            if (m.row || !(methods_of(row) & method))
                continue;
            m.row = row;
            m.service = tables[t].service;
            memcpy(m.params, params, sizeof(params));
        }
    *ret = m;
    if (m.row)
        return method == HTTP_OPTIONS ? 204 : 0;
    return m.allowed ? 405 : 404;
}

const char *http_allow(unsigned methods, char *out, size_t cap)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < METHODS; i++)
        if (methods & 1u << i && len < cap)
            len += (size_t)snprintf(out + len, cap - len, "%s%s", len ? ", " : "", method_names[i]);
    return out;
}

enum http_method http_method_of(const char *name)
{
    for (unsigned i = 0; i < METHODS; i++)
        if (strcmp(name, method_names[i]) == 0)
            return (enum http_method)(1u << i);
    return (enum http_method)0;
}
