/* Header fields, a line each, "name: value": who a request says it comes from, and whether a page of somebody else's
 * may have sent it. The first line is the method. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "webmail-api/session/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t count(const struct http_request *r, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nfields; i++)
        n += strcasecmp(r->fields[i].name, name) == 0;
    return n;
}

/* A reader of its own: a token of ours, somewhere in a field of cookies, and nothing else of its name. */
static void check_cookie(const struct http_request *r, const struct credentials *c)
{
    char set[COOKIE_SET_MAX];
    size_t found = 0;

    cookie_set(c->token, 1, set);
    *strchr(set, ';') = '\0';
    for (size_t i = 0; i < r->nfields; i++)
        if (strcasecmp(r->fields[i].name, "Cookie") == 0)
            for (const char *at = strstr(r->fields[i].value, set); at; at = strstr(at + 1, set))
                found++;
    must(found >= 1 && count(r, "Authorization") == 0);
}

static void check(const struct http_request *r)
{
    struct credentials c, before;

    memset(&c, 0x5a, sizeof(c));
    before = c;
    if (credentials_read(r, &c) != OK) {
        must(memcmp(&c, &before, sizeof(c)) == 0);
    } else if (c.kind == CREDENTIALS_COOKIE) {
        check_cookie(r, &c);
    } else if (c.kind == CREDENTIALS_NONE) {
        must(count(r, "Authorization") == 0);
    } else {
        must(count(r, "Authorization") == 1);
        must(c.kind == CREDENTIALS_BEARER ? *c.bearer != '\0' : *c.user && *c.password && !strchr(c.user, ':'));
        must(utf8_printable(c.user, strlen(c.user)) && utf8_printable(c.password, strlen(c.password)));
    }
    must(csrf_fits(r, CREDENTIALS_BEARER));
    if (csrf_fits(r, CREDENTIALS_COOKIE))
        must(csrf_fits(r, CREDENTIALS_BASIC) && count(r, "Origin") <= 1 && count(r, "Sec-Fetch-Site") <= 1 &&
             (r->method == HTTP_GET || count(r, CSRF_FIELD) == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_request r = {.method = HTTP_GET, .tls = true, .fields = fields};
    char *text = calloc(1, size + 1), *rest = text, *line;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if ((line = strsep(&rest, "\n")))
        r.method = strcmp(line, "GET") == 0 ? HTTP_GET : HTTP_POST;
    while (r.nfields < HTTP_FIELDS_MAX && (line = strsep(&rest, "\n"))) {
        char *value = strstr(line, ": ");
        if (!value)
            continue;
        *value = '\0';
        fields[r.nfields++] = (struct http_field){line, value + 2};
    }
    check(&r);
    free(text);
    return 0;
}
