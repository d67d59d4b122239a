/* Any bytes as a request's head: method, target and fields, a line each. What is taken holds what route.h promises, and
 * rows find only paths that are theirs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route rows[] = {
    {.methods = HTTP_GET, .pattern = "/"},
    {.methods = HTTP_GET, .pattern = "/pks/lookup"},
    {.methods = HTTP_GET | HTTP_POST, .pattern = "/vks/v1/:kind/:what", .flags = HTTP_CLEAR_TOO},
    {.methods = HTTP_GET, .pattern = "/.well-known/openpgpkey/:domain/hu/:hash"},
};
static const struct http_routes table = {rows, 4, NULL};

static void check_path(const struct http_path *p)
{
    if (p->len != strlen(p->text) || p->text[0] != '/' || strstr(p->text, "//") || strstr(p->text, "/../") ||
        strstr(p->text, "/./") || strpbrk(p->text, "\\%\r\n\t") ||
        (p->len >= 3 && strcmp(p->text + p->len - 3, "/..") == 0))
        abort();
}

static void check_match(const struct http_intent *in, bool tls)
{
    struct http_match m;
    char allow[64];

    if (http_route_find(&table, 1, in->method, tls, &in->path, &m) != 0)
        return;
    if (!m.row || !(m.allowed & in->method) || (!tls && !(m.row->flags & HTTP_CLEAR_TOO)))
        abort();
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        if (m.params[i].len && memchr(m.params[i].data, '/', m.params[i].len))
            abort();
    http_allow(m.allowed, allow, sizeof(allow));
}

static void check(const struct http_intent *in, struct http_head *h)
{
    struct http_request r = {.query = in->query, .fields = h->fields, .nfields = h->nfields};
    struct slice value;
    char buf[256];

    if (!in->host[0] || strpbrk(in->host, "/\\@ \r\n%") || strlen(in->host) > HTTP_HOST_MAX)
        abort();
    if (in->path.len == 0)
        return;
    check_path(&in->path);
    check_match(in, true);
    check_match(in, false);
    if (http_query(&r, "q", buf, sizeof(buf), &value) && memchr(value.data, '\0', value.len))
        abort();
    if (http_header(&r, "Transfer-Encoding") || !http_header(&r, "host"))
        abort();
}

/* The lines end in "\n"; the first two are method and target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *lines[HTTP_FIELDS_MAX + 2];
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_intent in;
    struct http_head h = {.fields = fields};
    size_t n = 0;

    memcpy(text, data, size);
    text[size] = '\0';
    for (char *p = text; p && n < HTTP_FIELDS_MAX + 2;) {
        char *end = memchr(p, '\n', (size_t)(text + size - p));

        lines[n++] = p;
        if (end)
            *end = '\0';
        p = end ? end + 1 : NULL;
    }
    for (size_t i = 2; i < n; i++) {
        char *colon = strchr(lines[i], ':');

        if (!colon)
            continue;
        *colon = '\0';
        if (http_name_valid(slice_str(lines[i])) && http_value_valid(slice_str(colon + 1)))
            fields[h.nfields++] = (struct http_field){lines[i], colon + 1};
    }
    if (n >= 2) {
        h.method = lines[0];
        h.target = slice_str(lines[1]);
        if (http_head_read(&h, &in) == 0)
            check(&in, &h);
    }
    free(text);
    return 0;
}
