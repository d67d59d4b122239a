/* Pages (HTTPS), for every role that needs them: questions to `fetcher`, which alone connects to web servers, and to
 * such alone as stand in the open Internet. Whoever asks opens no socket. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/loop.h"
#include "server/core/wire.h"

/* What each may be stands in one table (fetch_kind_row, server/fetch/message.h). */
enum fetch_kind {
    FETCH_MTA_STS = 1, /* a domain's policy (RFC 8461 section 3.3) */
    FETCH_TLS_REPORT,  /* a report is posted (RFC 8460 section 5.4) */
    FETCH_DOCTOR,      /* how a page of ours looks from outside */
    FETCH_KEY,         /* certificates of an address: a Web Key Directory, a key server */
};

enum {
    FETCH_URL_MAX = 1024,
    FETCH_TYPE_MAX = 127,       /* of a media type (RFC 6838 section 4.2) */
    FETCH_BODY_MAX = 48 * 1024, /* octets of a body, either way */
};

struct fetch_answer {
    uint32_t status;   /* of HTTP: 200, 404; never a redirection, which is refused */
    const char *type;  /* media type, lower case, without parameters; "" if none is said */
    struct slice body; /* as it was sent: none is compressed */
};

struct fetch;
struct fetch_request;

struct fetch *fetch_create(struct loop *l);  /* NULL: no memory */
void fetch_destroy(struct fetch *f);         /* nobody is called; NULL is allowed */
void fetch_channel(struct fetch *f, int fd); /* the first channel to the fetcher, or a new one's; takes fd */

/* Called once, from the loop, never from fetch_ask. OK: a is set, valid during the call. ERR_DENIED: a forbidden
 * address, scheme or port; ERR_MOVED: a redirection; ERR_LIMIT: the answer is too large; ERR_TIMEOUT; ERR_CRYPTO: TLS
 * fails, or the certificate is another's; ERR_FORMAT: no answer of HTTP, or of a media type or coding that is not the
 * kind's; ERR_NOT_FOUND: the name has no address, which was an answer; ERR_AGAIN: names or the connection fail for
 * now, or too many ask; ERR_GONE: no fetcher. */
typedef void fetch_fn(void *arg, int err, const struct fetch_answer *a);
/* url: https, a name of two labels at least (A-labels), no user, no port but 443, no fragment. type and body are
 * what a kind that posts sends; others have "" and an empty one. ret may be NULL. ERR_FORMAT: not such; ERR_FULL,
 * ERR_MEMORY: fn is not called. */
int fetch_ask(struct fetch *f, enum fetch_kind kind, const char *url, const char *type, struct slice body, fetch_fn *fn,
              void *arg, struct fetch_request **ret);
void fetch_cancel(struct fetch_request *q); /* fn is not called */

#endif
