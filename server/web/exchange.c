/* A request from its head to the end of its answer. The library calls exchange_step when the head is there, for each
 * piece of the body, when all is there, and once more when it was woken. What it is answered in its first call ends the
 * connection, since what follows in it is then read by nobody; so that is where heads are refused. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/web/head.h"
#include "server/web/web.h"

enum {
    OCTETS_A_SECOND = 2000,     /* at least; web_transfer_timeout comes on top */
    HEAD_OCTETS_MAX = 16 * 1024 /* more than the library's memory for a connection holds */
};

enum at { AT_HEAD, AT_BODY, AT_HANDLER, AT_ANSWER };

struct web_exchange {
    struct http_exchange seam; /* the first, so that one is the other */
    struct web_conn *conn;
    enum at at;
    bool asleep;      /* the library was told to wait */
    unsigned status;  /* refused; 0: the row's handler answers */
    uint64_t wait_ms; /* of 429: until there will be another */
    struct http_match match;
    struct http_request request;
    void *head; /* what request points at, as long as it is */
    struct buf body;
    struct MHD_Response *answer; /* NULL at AT_ANSWER: there is none, and the connection ends */
    bool lent;                   /* the answer is its maker's */
    unsigned answer_status;
    uint64_t octets, began_ms;
    const char *target_at; /* where it stood */
    size_t target_len;
    char target[];
};

static void count_answer(struct web *web, unsigned status)
{
    if (status / 100 >= 2 && status / 100 <= 5)
        web->counts[COUNT_WEB_ANSWERS_2XX + (int)(status / 100) - 2]++;
}

static uint64_t transfer_seconds(const struct web_exchange *x, uint64_t octets)
{
    return x->conn->web->config.web_transfer_timeout + octets / OCTETS_A_SECOND;
}

/* ---- answers ---- */

static void answered(struct web_exchange *x, unsigned status, struct MHD_Response *r, uint64_t octets)
{
    x->answer = r;
    x->answer_status = status;
    x->octets = octets;
    x->at = AT_ANSWER;
    x->conn->waits = false;
    if (!x->asleep)
        return;
    x->asleep = false;
    MHD_resume_connection(x->conn->mhd);
    httpd_run_soon(x->conn->httpd);
}

static void answer(struct http_exchange *seam, const struct http_reply *a)
{
    struct web_exchange *x = (struct web_exchange *)seam;

    answered(x, a->status, reply_create(a, REPLY_PLAIN, x->match.flags, x->request.tls), a->body.len);
}

void exchange_answer_ready(struct http_exchange *seam, unsigned status, struct MHD_Response *r, uint64_t octets)
{
    seam->gone = NULL;
    ((struct web_exchange *)seam)->lent = true;
    answered((struct web_exchange *)seam, status, r, octets);
}

static enum MHD_Result queue(struct web_exchange *x)
{
    struct web_conn *c = x->conn;

    if (!x->answer)
        return MHD_NO;
    web_conn_deadline(c, transfer_seconds(x, x->octets));
    count_answer(c->web, x->answer_status);
    return MHD_queue_response(c->mhd, x->answer_status, x->answer);
}

static void answer_with_methods(struct web_exchange *x)
{
    char allow[64];
    struct http_field fields[4] = {{"Allow", http_allow(x->match.allowed, allow, sizeof(allow))}};
    size_t n = 1;

    if (x->match.flags & HTTP_ANY_ORIGIN && x->status == 204) {
        fields[n++] = (struct http_field){"Access-Control-Allow-Methods", allow};
        fields[n++] = (struct http_field){"Access-Control-Allow-Headers", "Content-Type"};
        fields[n++] = (struct http_field){"Access-Control-Max-Age", "86400"};
    }
    http_answer(&x->seam, &(struct http_reply){.status = x->status, .fields = fields, .nfields = n});
}

/* In the library's first call alone: the connection ends with it. */
static enum MHD_Result refuse(struct web_exchange *x, unsigned status)
{
    x->request.tls = x->conn->httpd->tls;
    x->status = status;
    if (status == 405)
        answer_with_methods(x);
    else
        http_answer_status(&x->seam, status);
    return queue(x);
}

/* ---- the head ---- */

void *exchange_begin(void *arg, const char *target, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct web_conn *c = info->socket_context;
    size_t len = target ? strlen(target) : 0;
    struct web_exchange *x = c && !c->x ? calloc(1, sizeof(*x) + len + 1) : NULL;

    if (!x)
        return NULL; /* exchange_step ends the connection */
    x->seam.answer = answer;
    x->conn = c;
    x->began_ms = loop_now_ms(c->web->loop);
    x->target_at = target;
    x->target_len = len;
    memcpy(x->target, len ? target : "", len);
    c->x = x;
    return x;
}

/* The library's field at this place, too: NULs that came could look like a colon or a line's end. */
struct alike {
    const struct http_head *head;
    size_t n;
    bool differ;
};

static enum MHD_Result compare(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct alike *a = arg;
    const struct http_field *f = a->n < a->head->nfields ? &a->head->fields[a->n] : NULL;

    a->n++;
    a->differ |= !f || f->name != name || f->value != value;
    return MHD_YES;
}

static bool read_alike(struct MHD_Connection *mhd, const struct http_head *h)
{
    struct alike a = {.head = h};

    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, compare, &a);
    return !a.differ && a.n == h->nfields;
}

/* Of the head that is being read: one is at a time. What lasts is copied, since requests wait in thousands. */
static struct {
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t nfields;
    struct http_intent intent;
} reading;

static unsigned read_head(struct web_exchange *x, const char *method)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct head_block block = {.data = (char *)method,
                               .len = info ? info->header_size : 0,
                               .target_len = x->target_len};
    struct http_head head;
    unsigned status;

    if (block.len == 0 || block.len > HEAD_OCTETS_MAX || !x->target_at || x->target_at < method)
        return 400;
    block.target_at = (size_t)(x->target_at - method);
    if (block.target_at + block.target_len >= block.len)
        return 400;
    status = head_read(&block, reading.fields, &head);
    if (!status && !read_alike(x->conn->mhd, &head))
        status = 400;
    if (status)
        return status;
    head.target = slice_of(x->target, x->target_len);
    reading.nfields = head.nfields;
    return http_head_read(&head, &reading.intent);
}

static const char *put(char **at, const char *text)
{
    const char *begin = *at;

    *at = stpcpy(*at, text) + 1;
    return begin;
}

static int fill_request(struct web_exchange *x)
{
    const struct http_intent *in = &reading.intent;
    const size_t fields = reading.nfields * sizeof(*reading.fields);
    char *at = malloc(fields + strlen(in->host) + strlen(in->path.text) + strlen(in->type) + 3);

    if (!at)
        return ERR_MEMORY;
    x->head = at;
    x->request.fields = memcpy(at, reading.fields, fields);
    x->request.nfields = reading.nfields;
    at += fields;
    x->request.method = in->method;
    x->request.tls = x->conn->httpd->tls;
    x->request.peer = &x->conn->peer;
    x->request.host = put(&at, in->host);
    x->request.path = put(&at, in->path.text);
    x->request.type = in->type[0] ? put(&at, in->type) : NULL;
    for (size_t i = 0; i < HTTP_PARAMS_MAX && x->match.params[i].data; i++)
        x->request.params[i] =
            slice_of(x->request.path + ((const char *)x->match.params[i].data - in->path.text), x->match.params[i].len);
    x->request.query = in->query;
    x->request.target = in->target;
    return OK;
}

static unsigned find_row(struct web_exchange *x)
{
    const struct web *web = x->conn->web;
    const struct http_intent *in = &reading.intent;

    if (in->path.len == 0) {
        x->match.allowed = HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS;
        return 204;
    }
    return http_route_find(web->tables, web->ntables, in->method, x->conn->httpd->tls, &in->path, &x->match);
}

/* 0 or 429. */
static unsigned count_lookup(struct web_exchange *x)
{
    struct web *web = x->conn->web;

    debts_take(web->lookups, &x->conn->peer, loop_now_ms(web->loop), &x->wait_ms);
    web->counts[x->wait_ms ? COUNT_WEB_LOOKUPS_REFUSED : COUNT_WEB_LOOKUPS]++;
    return x->wait_ms ? 429 : 0;
}

static enum MHD_Result take_head(struct web_exchange *x, const char *method)
{
    struct web_conn *c = x->conn;
    unsigned status = read_head(x, method);
    uint64_t body = reading.intent.body;

    c->web->counts[COUNT_WEB_REQUESTS]++;
    if (status) {
        c->web->counts[COUNT_WEB_MALFORMED]++;
        return refuse(x, status);
    }
    place_step(&c->place);
    x->status = find_row(x);
    if (!x->status && x->match.row->flags & HTTP_LOOKUP)
        x->status = count_lookup(x);
    if (fill_request(x) != OK)
        return refuse(x, 503);
    if (body > 0 && x->status)
        return refuse(x, x->status == 204 ? 413 : x->status);
    if (body > (x->match.row ? x->match.row->body_max : 0))
        return refuse(x, 413);
    x->at = AT_BODY;
    web_conn_deadline(c, transfer_seconds(x, body));
    if (body > 0)
        place_content_begin(&c->place);
    buf_init(&x->body, body ? (size_t)body : 1, true);
    return MHD_YES;
}

/* ---- the body ---- */

static void drop_body(struct web_exchange *x)
{
    budget_give(&x->conn->place, x->conn->place.held);
    buf_free(&x->body);
    place_content_end(&x->conn->place);
}

static void take_body(struct web_exchange *x, const char *data, size_t len)
{
    struct place *p = &x->conn->place;

    if (x->status)
        return;
    if (!(x->match.row->flags & HTTP_BODY_UNUSED) &&
        (budget_take(p, len) != OK || buf_append(&x->body, data, len) != OK)) {
        drop_body(x);
        x->status = 503;
        return;
    }
    place_content(p, len);
}

/* ---- the answer ---- */

static void answer_later(struct web_exchange *x)
{
    char seconds[24], line[128];
    const struct http_field field = {"Retry-After", seconds}; /* RFC 9110 section 10.2.3, RFC 6585 section 4 */
    int len = snprintf(line, sizeof(line), "%s\n", http_status_text(x->status));

    snprintf(seconds, sizeof(seconds), "%" PRIu64, x->wait_ms / 1000 + 1);
    http_answer(&x->seam, &(struct http_reply){.status = x->status,
                                               .type = "text/plain; charset=utf-8",
                                               .body = slice_of(line, (size_t)len),
                                               .fields = &field,
                                               .nfields = 1});
}

static void answer_refused(struct web_exchange *x)
{
    struct web *web = x->conn->web;

    if (x->status == 204 || x->status == 405)
        answer_with_methods(x);
    else if (x->status == 429)
        answer_later(x);
    else if (x->status != 404)
        http_answer_status(&x->seam, x->status);
    else
        web->not_found(web, &x->seam, &x->request);
}

static enum MHD_Result handle(struct web_exchange *x)
{
    place_content_end(&x->conn->place);
    idle_cancel(&x->conn->deadline);
    x->request.body = slice_of(x->body.data, x->body.len);
    x->at = AT_HANDLER;
    if (x->status)
        answer_refused(x);
    else
        x->match.row->handle(x->match.service, &x->seam, &x->request);
    if (x->at == AT_ANSWER)
        return queue(x);
    x->asleep = true;
    x->conn->waits = true;
    MHD_suspend_connection(x->conn->mhd);
    if (x->conn->left)
        web_conn_end(x->conn); /* nobody waits for it */
    return MHD_YES;
}

enum MHD_Result exchange_step(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context)
{
    struct web_exchange *x = *context;

    if (!x || x->conn->ended)
        return MHD_NO;
    if (*upload_len > 0) {
        take_body(x, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    switch (x->at) {
    case AT_HEAD: return take_head(x, method);
    case AT_BODY: return handle(x);
    case AT_ANSWER: return queue(x);
    case AT_HANDLER: break;
    }
    return MHD_YES;
}

static void gone(struct web_exchange *x)
{
    if (x->seam.gone)
        x->seam.gone(x->seam.gone_arg);
    x->seam.gone = NULL;
    answered(x, 0, NULL, 0);
}

void exchange_over(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
    struct web_exchange *x = *context;
    struct web_conn *c;

    if (!x)
        return;
    *context = NULL;
    c = x->conn;
    if (c->waits)
        gone(x);
    if (x->answer) {
        if (!x->lent)
            MHD_destroy_response(x->answer);
        log_event(web_answer, x->answer_status, x->octets, loop_now_ms(c->web->loop) - x->began_ms);
    }
    drop_body(x);
    c->x = NULL;
    free(x->head);
    free(x);
    if (c->web->stopping)
        web_conn_end(c);
    else
        web_conn_deadline(c, c->web->config.web_idle_timeout);
}

/* ---- clients that went away ---- */

void exchange_conn_ends(struct web_conn *c)
{
    if (c->waits)
        gone(c->x);
    drop_body(c->x);
}
