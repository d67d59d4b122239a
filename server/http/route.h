/* What answers HTTP, without knowing the library that speaks it: rows of a table, each a pattern of paths with its
 * methods, its limit for a body, and a handler. Whoever serves (server/web) finds the row (router.h), reads the body,
 * and calls the handler, in the one thread of its role; a handler answers at once, or later.
 *
 * What a handler is given was checked (request.h): the host is a name or an address, the path was decoded once, and
 * none of its segments has a slash, a NUL or a control character, or is "." or "..". */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/core/wire.h"

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2, /* comes with HTTP_GET; whoever serves leaves the body away */
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32 /* is answered from the table */
};

enum {
    HTTP_PARAMS_MAX = 4,
    HTTP_PATH_MAX = 1024,  /* octets of a path as it came, and of a query: more is 414 */
    HTTP_QUERY_MAX = 4096, /* of these a quarter for its largest value, decoded */
    HTTP_FIELDS_MAX = 64,  /* header fields: more is 431 */
    HTTP_HOST_MAX = 253,   /* octets (RFC 1035 section 2.3.4) */
    HTTP_TYPE_MAX = 127,   /* of a media type */
};

struct http_field {
    const char *name, *value;
};

/* Valid until its answer. */
struct http_request {
    enum http_method method;
    bool tls;
    const struct sockaddr_storage *peer;
    const char *host;                     /* lower case, without a port or a final dot */
    const char *path;                     /* decoded; segments behind a slash each, as the pattern has them */
    struct slice params[HTTP_PARAMS_MAX]; /* what stood for the pattern's ":name", in order */
    struct slice query;                   /* as it came, without "?" */
    struct slice target;                  /* path and query as they came: fit for a URL */
    struct slice body;
    const char *type; /* of the body: its media type in lower case, without parameters; NULL: none, or no type */
    const struct http_field *fields;
    size_t nfields;
};

/* The first of that name, decoded ("+" is a blank, as forms have it) into buf. false: there is none, or none that could
 * be decoded: RFC 3986 section 2.1, no NUL; or cap does not suffice. A value may be empty. */
bool http_query(const struct http_request *r, const char *name, char *buf, size_t cap, struct slice *ret);
const char *http_header(const struct http_request *r, const char *name); /* in any case; NULL: there is none */

struct http_reply {
    unsigned status;
    const char *type; /* NULL: no Content-Type */
    struct slice body;
    bool body_lasts;                 /* as long as the process; otherwise it is copied */
    const struct http_field *fields; /* besides; copied */
    size_t nfields;
};

/* One request that waits for its answer. Who serves has it within something of its own. */
struct http_exchange {
    void (*answer)(struct http_exchange *x, const struct http_reply *a);
    void (*gone)(void *arg);
    void *gone_arg;
};

/* Once, in the handler or later; x is not to be used afterwards. */
void http_answer(struct http_exchange *x, const struct http_reply *a);
/* The same with a line of text: what the status means, in English. */
void http_answer_status(struct http_exchange *x, unsigned status);
const char *http_status_text(unsigned status); /* never NULL */
/* Called once if the client leaves before its answer, which must not be given any more. A handler that answers later
 * sets it. */
void http_on_gone(struct http_exchange *x, void (*gone)(void *arg), void *arg);

typedef void http_handler(void *service, struct http_exchange *x, const struct http_request *r);

enum http_route_flag {
    HTTP_CLEAR_TOO = 1,   /* is answered without TLS as well; others are sent on to https:// */
    HTTP_ANY_ORIGIN = 2,  /* scripts of any page may read the answer (CORS) */
    HTTP_BODY_UNUSED = 4, /* a body is read, so that who sends it hears the answer, and is not kept */
    HTTP_LOOKUP = 8,      /* a peer may make so many, and is answered 429 past them */
    HTTP_FORM = 16,       /* its page has a form, which comes back here */
    HTTP_ANY_CASE = 32,   /* its path is the same in capitals */
};

struct http_route {
    unsigned methods;    /* of enum http_method; HEAD and OPTIONS need not be said */
    const char *pattern; /* "/pks/lookup", "/.well-known/openpgpkey/:domain/hu/:hash" */
    uint32_t body_max;   /* octets; 0: no body, which is what GET has */
    unsigned flags;      /* of enum http_route_flag */
    http_handler *handle;
};

struct http_routes {
    const struct http_route *rows;
    size_t n;
    void *service; /* of the handlers */
};

#endif
