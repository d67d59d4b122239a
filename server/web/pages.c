/* Files of the bundle, each with its answers made ready once: as it is, by gzip and by brotli (RFC 9110 sections 8.8.3,
 * 12.5.3 and 13.1.2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/web/bundle.h"
#include "server/web/web.h"

struct pages {
    struct web *web;
    struct http_route *rows;
    struct MHD_Response *(*ready)[BUNDLE_CODINGS];
    size_t missing; /* the file of what is not there */
};

static const char *const codings[BUNDLE_CODINGS] = {[BUNDLE_GZIP] = "gzip", [BUNDLE_BR] = "br"};

/* Whether the list has the coding, with a weight over 0. */
static bool accepts(const char *list, const char *coding)
{
    size_t n = strlen(coding);

    for (const char *p = list; p; p = strchr(p, ',')) {
        const char *q;

        p += strspn(p, ", \t");
        if (strncasecmp(p, coding, n) != 0 || !strchr(",; \t", p[n]))
            continue;
        q = p + n + strspn(p + n, " \t");
        q += *q == ';';
        q += strspn(q, " \t");
        return strncasecmp(q, "q=0", 3) != 0 || strcspn(q + 3, "123456789") < strcspn(q + 3, ",");
    }
    return false;
}

static enum bundle_coding choose(const struct bundle_file *f, const struct http_request *r)
{
    const char *list = http_header(r, "Accept-Encoding");

    for (int c = BUNDLE_CODINGS - 1; c > BUNDLE_PLAIN && list; c--)
        if (f->as[c].len && accepts(list, codings[c]))
            return (enum bundle_coding)c;
    return BUNDLE_PLAIN;
}

static bool has_it(const struct http_request *r, const char *etag)
{
    const char *list = http_header(r, "If-None-Match");

    return list && (strcmp(list, "*") == 0 || strstr(list, etag));
}

static void give(struct pages *p, size_t i, unsigned status, struct http_exchange *x, const struct http_request *r)
{
    const struct bundle_file *f = &bundle_files[i];
    const enum bundle_coding c = choose(f, r);

    if (!site_is_ours(p->web->site, r->host)) {
        http_answer_status(x, 421); /* RFC 9110 section 15.5.20 */
        return;
    }
    if (status == 200 && has_it(r, f->as[c].etag))
        status = 304;
    exchange_answer_ready(x, status, p->ready[i][c], status == 304 ? 0 : f->as[c].len);
}

static void give_page(void *arg, struct http_exchange *x, const struct http_request *r)
{
    struct pages *p = arg;

    for (size_t i = 0; i < bundle_files_n; i++)
        if (strcmp(bundle_files[i].path, r->path) == 0) {
            give(p, i, 200, x, r);
            return;
        }
    pages_not_found(p, x, r);
}

void pages_not_found(struct pages *p, struct http_exchange *x, const struct http_request *r)
{
    give(p, p->missing, 404, x, r);
}

static struct MHD_Response *make_ready(const struct bundle_file *f, enum bundle_coding c)
{
    struct http_field fields[4] = {
        {"ETag", f->as[c].etag},
        {"Cache-Control", f->immutable ? "public, max-age=31536000, immutable" : "no-cache"},
        {"Vary", "Accept-Encoding"},
        {"Content-Encoding", codings[c]},
    };

    return reply_create(&(struct http_reply){.type = f->type,
                                             .body = slice_of(bundle_data + f->as[c].at, f->as[c].len),
                                             .body_lasts = true,
                                             .fields = fields,
                                             .nfields = c == BUNDLE_PLAIN ? 3 : 4},
                        REPLY_PAGE, 0, true);
}

static int fill(struct pages *p)
{
    for (size_t i = 0; i < bundle_files_n; i++) {
        p->rows[i] = (struct http_route){.methods = HTTP_GET, .pattern = bundle_files[i].path, .handle = give_page};
        if (strcmp(bundle_files[i].path, "/404.html") == 0)
            p->missing = i;
        for (int c = 0; c < BUNDLE_CODINGS; c++)
            if ((c == BUNDLE_PLAIN || bundle_files[i].as[c].len) &&
                !(p->ready[i][c] = make_ready(&bundle_files[i], (enum bundle_coding)c)))
                return ERR_MEMORY;
    }
    return OK;
}

int pages_create(struct web *web, struct pages **ret)
{
    struct pages *p = calloc(1, sizeof(*p));

    if (!p)
        return ERR_MEMORY;
    p->web = web;
    p->rows = calloc(bundle_files_n, sizeof(*p->rows));
    p->ready = calloc(bundle_files_n, sizeof(*p->ready));
    if (!p->rows || !p->ready || fill(p) != OK) {
        pages_destroy(p);
        return ERR_MEMORY;
    }
    *ret = p;
    return OK;
}

void pages_destroy(struct pages *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->ready && i < bundle_files_n; i++)
        for (int c = 0; c < BUNDLE_CODINGS; c++)
            if (p->ready[i][c])
                MHD_destroy_response(p->ready[i][c]);
    free(p->ready);
    free(p->rows);
    free(p);
}

struct http_routes pages_routes(struct pages *p)
{
    return (struct http_routes){p->rows, bundle_files_n, p};
}
