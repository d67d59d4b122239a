#include "server/http/request.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_token_char(name.data[i]))
            return false;
    return name.len > 0;
}

bool http_value_valid(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.data[i] < 0x20 && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

/* How many there are; the last of them. */
static size_t field_find(const struct http_head *h, const char *name, const char **ret)
{
    size_t n = 0;

    for (size_t i = 0; i < h->nfields; i++)
        if (strcasecmp(h->fields[i].name, name) == 0) {
            *ret = h->fields[i].value;
            n++;
        }
    return n;
}

/* ---- where the body ends ---- */

/* A body in chunks is refused with 411, as RFC 9110 section 15.5.12 lets a server do: its framing is where two readers
 * of one stream differ most. */
static unsigned refuse_codings(const char *codings)
{
    const char *comma = strrchr(codings, ','), *last = comma ? comma + 1 + strspn(comma + 1, " \t") : codings;

    if (strcasecmp(last, "chunked") != 0)
        return 400; /* RFC 9112 section 6.3: nobody can say where it ends */
    return comma ? 501 : 411;
}

/* RFC 9112 section 6.3. */
static unsigned read_framing(const struct http_head *h, uint64_t *ret)
{
    const char *coding = "", *length = "0";
    size_t codings = field_find(h, "Transfer-Encoding", &coding), lengths = field_find(h, "Content-Length", &length);
    uint64_t n = 0;
    size_t digits = strspn(length, "0123456789");

    if (codings)
        return codings > 1 || lengths || h->http_1_0 ? 400 : refuse_codings(coding);
    if (lengths > 1 || digits == 0 || length[digits])
        return 400; /* a list of equal numbers could be one; RFC 9110 section 8.6 lets it be refused */
    if (digits > 18)
        return 413;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (uint64_t)(length[i] - '0');
    *ret = n;
    return 0;
}

/* ---- the host ---- */

static bool is_name(const char *s, size_t len)
{
    size_t label = 0;

    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? s[i] : '.';

        if (c == '.') {
            if (label == 0 || label > 63 || s[i - 1] == '-')
                return false;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static bool is_ipv6(const char *s, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;

    if (len < 4 || len - 2 >= sizeof(text) || s[0] != '[' || s[len - 1] != ']')
        return false;
    memcpy(text, s + 1, len - 2);
    text[len - 2] = '\0';
    return inet_pton(AF_INET6, text, &a) == 1;
}

/* RFC 3986 section 3.2, without a user: host and port, which may be empty. */
static bool read_authority(struct slice a, char host[HTTP_HOST_MAX + 1])
{
    const uint8_t *close = a.len && a.data[0] == '[' ? memchr(a.data, ']', a.len) : NULL;
    size_t from = close ? (size_t)(close - a.data) : 0, len = a.len;
    const uint8_t *colon = memchr(a.data + from, ':', a.len - from);

    if (colon) {
        len = (size_t)(colon - a.data);
        if (a.len - len - 1 > 5)
            return false;
        for (size_t i = len + 1; i < a.len; i++)
            if (a.data[i] < '0' || a.data[i] > '9')
                return false;
    }
    if (len > 1 && a.data[len - 1] == '.')
        len--;
    if (len == 0 || len > HTTP_HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        host[i] = (char)(a.data[i] >= 'A' && a.data[i] <= 'Z' ? a.data[i] + 32 : a.data[i]);
    host[len] = '\0';
    return is_name(host, len) || is_ipv6(host, len);
}

/* ---- the target ---- */

/* RFC 9112 section 3.2.2: what is behind the authority, which is taken over the field. */
static struct slice after_authority(struct slice target, struct slice *ret_authority)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]), at = n;

        if (target.len <= n || strncasecmp((const char *)target.data, schemes[i], n) != 0)
            continue;
        while (at < target.len && target.data[at] != '/' && target.data[at] != '?')
            at++;
        *ret_authority = slice_of(target.data + n, at - n);
        return slice_of(target.data + at, target.len - at);
    }
    return target;
}

static unsigned read_path(struct slice target, struct http_intent *in)
{
    const uint8_t *question = memchr(target.data, '?', target.len);
    size_t len = question ? (size_t)(question - target.data) : target.len;
    unsigned status = http_path_read(len ? slice_of(target.data, len) : slice_str("/"), &in->path);

    in->target = len ? target : slice_str("/");
    if (status || !question)
        return status;
    in->query = slice_of(question + 1, target.len - len - 1);
    return http_query_check(in->query);
}

static unsigned read_target(const struct http_head *h, struct http_intent *in)
{
    const char *field;
    struct slice authority = {0}, rest;

    if (field_find(h, "Host", &field) != 1 || !read_authority(slice_str(field), in->host))
        return 400; /* RFC 9112 section 3.2 */
    if (h->target.len == 1 && h->target.data[0] == '*')
        return in->method == HTTP_OPTIONS ? 0 : 400;
    if (h->target.len == 0)
        return 400;
    rest = after_authority(h->target, &authority);
    if (authority.data && !read_authority(authority, in->host))
        return 400;
    if (!authority.data && rest.data[0] != '/')
        return 400;
    return read_path(rest, in);
}

/* ---- the rest ---- */

/* RFC 9110 section 8.3.1: type "/" subtype. */
static void read_type(const char *value, char ret[HTTP_TYPE_MAX + 1])
{
    size_t len = strcspn(value, "; \t");
    const char *slash = memchr(value, '/', len);

    ret[0] = '\0';
    if (!slash || len > HTTP_TYPE_MAX || !http_name_valid(slice_of(value, (size_t)(slash - value))) ||
        !http_name_valid(slice_of(slash + 1, len - 1 - (size_t)(slash - value))))
        return;
    for (size_t i = 0; i < len; i++)
        ret[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] + 32 : value[i]);
    ret[len] = '\0';
}

unsigned http_head_read(const struct http_head *h, struct http_intent *ret)
{
    struct http_intent in = {.method = http_method_of(h->method)};
    const char *field;
    unsigned status = read_framing(h, &in.body);

    if (!status && !in.method)
        status = http_name_valid(slice_str(h->method)) ? 501 : 400;
    if (!status)
        status = read_target(h, &in);
    if (!status && field_find(h, "Expect", &field) && strcasecmp(field, "100-continue") != 0)
        status = 417;
    if (status)
        return status;
    if (field_find(h, "Content-Type", &field) == 1)
        read_type(field, in.type);
    *ret = in;
    return 0;
}

const char *http_header(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->nfields; i++)
        if (strcasecmp(r->fields[i].name, name) == 0)
            return r->fields[i].value;
    return NULL;
}
