/* libcurl on our loop: one request over one connection, to addresses that are given. It looks up no name, follows
 * nothing, keeps nothing, opens no file; what it takes of an answer is bounded before and after it was decoded. */
#ifndef FETCHER_WEB_H
#define FETCHER_WEB_H

#include <curl/curl.h>
#include <netinet/in.h>

#include "server/base/loop.h"
#include "server/base/tls_client.h"
#include "server/fetch/message.h"

enum {
    WEB_ADDRESSES_MAX = 8,
    WEB_HEADERS_MAX = 32 * 1024, /* octets of all header fields, those of interim answers (1xx) included */
    WEB_HEADERS_LINES = 256,
    WEB_RECEIVED_MAX = 512 * 1024, /* octets of a connection, as they come */
};

struct web;
struct web_transfer;

/* Before the sandbox: libcurl and OpenSSL read what they want of the system then, and never again. roots: whom
 * certificates are verified by; stays the caller's; NULL: nobody is believed. NULL comes back: no memory. */
struct web *web_create(struct loop *l, struct tls_roots *roots);
void web_destroy(struct web *w); /* after its transfers; NULL is allowed */

union web_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
struct web_request {
    const struct fetch_kind_row *kind;
    const char *host; /* the URL's */
    CURLU *url;       /* checked; all of these stay the caller's until the end */
    const char *type; /* of what is posted */
    struct slice body;
    const union web_address *to; /* with their ports */
    size_t nto;                  /* 1 to WEB_ADDRESSES_MAX */
    uint32_t connect_ms;         /* for all addresses together */
};
/* Called once, from the loop, and the transfer is over; errors as in server/fetch/fetch.h. */
typedef void web_fn(void *arg, int err, const struct fetch_answer *a);
/* ERR_MEMORY. */
int web_begin(struct web *w, const struct web_request *q, web_fn *fn, void *arg, struct web_transfer **ret);
void web_cancel(struct web_transfer *t); /* fn is not called */

#endif
