/* The web role: what its files share. libmicrohttpd and GnuTLS are seen in this folder alone. One thread, one loop; the
 * library runs when its epoll descriptor says so. Layers, each of which needs only those before it:
 *   httpd        the library's two daemons, in the clear and with TLS
 *   conn         a connection from its first octet to its last
 *   exchange     a request from its head to the end of its answer
 *   site, settings, pages  rows of the role's own
 *   uploads      what the keyserver has done by other roles
 *   web_main     the role, which tells those below whom to call */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include <microhttpd.h>

#include "server/base/challenges.h"
#include "server/base/config.h"
#include "server/base/counters.h"
#include "server/base/debts.h"
#include "server/http/route.h"
#include "server/service/service.h"
#include "server/web/shown.h"

#define WEB_COUNT_ENUM(id, name) COUNT_##id,
enum web_count { WEB_COUNTERS(WEB_COUNT_ENUM) WEB_COUNTERS_N };

struct web;
struct web_conn;
struct web_exchange;

/* What a daemon calls; as the library has them, with the daemon for arg. */
struct httpd_hooks {
    MHD_NotifyConnectionCallback connection;
    gnutls_certificate_retrieve_function2 *certs;
    void *(*begin)(void *arg, const char *target, struct MHD_Connection *mhd);
    MHD_AccessHandlerCallback step;
    MHD_RequestCompletedCallback over;
};

/* A daemon of the library's. */
struct httpd {
    struct loop *loop;
    struct web *web; /* for those that it calls */
    bool tls;
    struct MHD_Daemon *mhd; /* NULL: there is none */
    struct watch *watch;    /* of its epoll descriptor */
    struct defer again;     /* it has more to do at once */
};

enum { WEB_TABLES_MAX = 5 };

struct web {
    struct loop *loop;
    struct view *view;
    struct places *places;
    struct debts *lookups; /* of each peer */
    struct config config;
    struct shown *shown; /* for handshakes that begin now; NULL: no TLS */
    struct httpd clear, secure;
    struct http_routes tables[WEB_TABLES_MAX];
    size_t ntables;
    struct web_conn *conns;
    struct web_conn *adding; /* the one that the library is just being given */
    int leave_fd;            /* tells of clients that go away (epoll) */
    struct watch *leave;
    bool stopping;
    uint64_t counts[WEB_COUNTERS_N];
    struct site *site;
    struct pages *pages;
    struct uploads *uploads;
    int ingest_fd; /* of its channel, until there are uploads; -1: none */
    struct keyserver *keyserver;
    struct login *login;
    struct api *api;
    void (*conn_ends)(struct web_conn *c); /* with a request in hand */
    void (*not_found)(struct web *web, struct http_exchange *x, const struct http_request *r);
};

/* httpd.c */
int httpd_start(struct httpd *h, struct web *web, bool tls, const struct httpd_hooks *hooks); /* ERR_MEMORY */
void httpd_stop(struct httpd *h); /* every connection is gone afterwards */
void httpd_run_soon(struct httpd *h);
int httpd_add(struct httpd *h, int fd, const struct sockaddr_storage *peer); /* takes fd. ERR_MEMORY */

/* conn.c */
struct web_conn {
    struct place place; /* the first, so that one is the other */
    struct web *web;
    struct httpd *httpd;
    struct web_conn *next, **at;
    struct MHD_Connection *mhd; /* NULL: the library has not taken it yet */
    int fd;
    struct sockaddr_storage peer;
    struct idle deadline;
    struct shown *shown;    /* of its handshake; NULL: none was begun */
    struct web_exchange *x; /* the request in hand */
    bool waits;             /* it waits for its handler */
    bool left;              /* the client has said its last word */
    bool ended;             /* no word more; it is about to be closed */
};

void web_conn_open(struct web *web, int fd, const struct sockaddr_storage *peer, uint32_t on, bool tls);
void web_conn_end(struct web_conn *c); /* the library closes it in one of its next turns */
bool web_conn_may_end(const struct place *p, enum place_why why);
void web_conn_end_place(struct place *p, enum place_why why);
void web_conn_deadline(struct web_conn *c, uint64_t seconds);
void web_conn_stop_all(struct web *web);
int web_conn_watch(struct web *web); /* for clients that go away. ERR_MEMORY, ERR_IO */
void web_conn_unwatch(struct web *web);
/* As the library tells. */
void web_conn_told(void *httpd, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code);
int web_conn_certs(gnutls_session_t session, const gnutls_datum_t *issuers, int nissuers,
                   const gnutls_pk_algorithm_t *algorithms, int nalgorithms, gnutls_pcert_st **chain, unsigned *n,
                   gnutls_privkey_t *key);

/* exchange.c */
void *exchange_begin(void *httpd, const char *target, struct MHD_Connection *mhd);
enum MHD_Result exchange_step(void *httpd, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context);
void exchange_over(void *httpd, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why);
void exchange_conn_ends(struct web_conn *c); /* its handler is told, and what it holds is given back */
/* An answer that is ready: instead of http_answer, in a handler. r is the caller's, and outlives the daemons. */
void exchange_answer_ready(struct http_exchange *x, unsigned status, struct MHD_Response *r, uint64_t octets);

/* reply.c */
enum reply_kind { REPLY_PLAIN, REPLY_PAGE /* with style and pictures of our own */ };
/* With the fields that every answer has. NULL: no memory. */
struct MHD_Response *reply_create(const struct http_reply *a, enum reply_kind kind, unsigned row_flags, bool tls);

/* site.c */
int site_create(struct web *web, struct site **ret); /* ERR_MEMORY */
void site_destroy(struct site *s);                   /* NULL is allowed */
void site_reload(struct site *s);
void site_challenges(struct site *s, const struct challenges *c);
struct http_routes site_routes(struct site *s);
bool site_is_hosted(struct site *s, const char *domain);
/* The hosted domain that the host's name stands for, itself or as mta-sts, openpgpkey, autoconfig, autodiscover or
 * ua-auto-config below it: in host, or NULL. */
const char *site_domain(struct site *s, const char *host);
bool site_is_ours(struct site *s, const char *host); /* the server's own, or one of those */
/* To the same place over TLS; 404 for names that are not ours. */
void site_redirect(struct site *s, struct http_exchange *x, const struct http_request *r);

/* settings.c */
struct http_routes settings_routes(struct web *web);

/* uploads.c: certificates that strangers send in, on their way to `ingest` and `vault`. */
int uploads_create(struct web *web, struct vault_client *vault, struct tally *tally, struct uploads **ret);
void uploads_destroy(struct uploads *u);         /* NULL is allowed */
void uploads_channel(struct uploads *u, int fd); /* to `ingest`; takes fd */
const struct keyserver_uploads *uploads_of(const struct uploads *u);

/* pages.c */
int pages_create(struct web *web, struct pages **ret); /* ERR_MEMORY */
void pages_destroy(struct pages *p);                   /* NULL is allowed */
struct http_routes pages_routes(struct pages *p);
void pages_not_found(struct pages *p, struct http_exchange *x, const struct http_request *r);

#endif
