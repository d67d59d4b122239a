/* The main of a role that serves clients, once for all of them: its birth, its sandbox, the loop, the store's read
 * side, the way to vault and gpg seal, the listeners, reload, the orderly stop and the counters that each has. What a
 * role does with a connection is its own: a table of functions. */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "server/base/role.h"
#include "server/gpg/gpg.h"
#include "server/service/acceptor.h"
#include "server/service/budget.h"
#include "store/client.h"
#include "store/view.h"

/* What a role works with. All of it is there before start and until finish has returned; config and tls change by a
 * reload. */
struct service {
    struct loop *loop;
    struct view *view;
    struct vault_client *vault;
    struct gpg_seal_client *gpg;
    struct places *places; /* of sessions, and the memory for messages in flight (budget.h) */
    struct tally *tally;   /* or NULL: the role is one process */
    struct certs *certs;   /* or NULL: the role goes without TLS */
    struct tls_ctx *tls;   /* made of them, as the role's row says; or NULL */
    struct config config;  /* with the instance's share of limits */
    uint32_t instance;
};

struct service_role {
    enum counter counters; /* the first of its SERVICE_COUNTERS */
    enum role role;
    unsigned tls_first;             /* LISTEN_BIT of those whose clients begin with the handshake */
    const char *refusal;            /* to a peer that has too many sessions: a line with CRLF */
    size_t sessions, sessions_peer; /* offsets of the u32s in struct config: how many in all, and of one peer */

    int (*start)(void *arg, const struct service *s); /* before the first connection */
    void (*finish)(void *arg);                        /* after the last turn; also after a start that failed */
    /* As acceptor_params has them. */
    void (*open)(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind);
    /* A channel of another role, its client or its server; takes fd. NULL: there is none. */
    void (*channel)(void *arg, enum role of, int fd);
    /* As places_params has them. */
    bool (*may_end)(const struct place *p, enum place_why why);
    void (*end)(struct place *p, enum place_why why);
    void (*stop)(void *arg); /* every session is to end as soon as nothing of it is in hand */
    void (*reloaded)(void *arg, const struct service *s);      /* its config or tls has changed. May be NULL */
    void (*challenges)(void *arg, const struct challenges *c); /* all of them, the call's time. May be NULL */
    vault_notice_fn *notice;                                   /* may be NULL */
    void (*status)(const void *arg, struct pack *reply);       /* the role's own counters */
};

/* Returns the exit status. Once a process. */
int service_main(const struct service_role *r, void *arg);

#endif
