/* The way into a role: its listening sockets, which all its instances accept from, and the places that sessions take.
 *
 * An instance that has taken its share stops watching the sockets: the others take what comes, and when all have their
 * share, connections wait in the kernel's queue until a session ends. Who then has a session that may be ended for a
 * newcomer (shed) looks at the queue now and then. Only the limit of one peer is answered with a refusal. */
#ifndef SERVICE_ACCEPTOR_H
#define SERVICE_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/loop.h"
#include "server/base/peers.h"
#include "server/base/roles.h"

struct acceptor;

struct acceptor_params {
    struct peers *peers;    /* counts the sessions of each peer; outlives the acceptor */
    uint32_t max, max_peer; /* sessions of this instance, and of one peer in it */
    const char *refusal;    /* the last words to a peer that has too many, with CRLF; not said where TLS comes first */
    /* A session for the connection, which holds a place until acceptor_leave(peer). Takes fd. */
    void (*open)(void *arg, int fd, const struct sockaddr_storage *peer, enum listener kind);
    bool (*shed)(void *arg);  /* ends the session that one can do without best; false: there is none. May be NULL */
    void (*empty)(void *arg); /* the last session left after acceptor_close. May be NULL */
    void *arg;
};

struct acceptor *acceptor_create(struct loop *l, const struct acceptor_params *p); /* NULL: no memory */
void acceptor_destroy(struct acceptor *a);                                         /* NULL is allowed */
/* fd is a listening socket, never owned; tls_first: the handshake comes before a word. Once a kind. ERR_MEMORY. */
int acceptor_listen(struct acceptor *a, int fd, enum listener kind, bool tls_first);
void acceptor_limits(struct acceptor *a, uint32_t max, uint32_t max_peer); /* sessions that stand stay */
void acceptor_close(struct acceptor *a);                                   /* no more sessions */

/* A place for a session of this peer, whatever max says. ERR_LIMIT: it has as many as it may have; ERR_FULL: no room to
 * count it. */
int acceptor_enter(struct acceptor *a, const struct sockaddr_storage *peer);
void acceptor_leave(struct acceptor *a, const struct sockaddr_storage *peer);
/* The session at the place of `from` turns out to be of another peer. As acceptor_enter; not OK: all stays. */
int acceptor_move(struct acceptor *a, const struct sockaddr_storage *from, const struct sockaddr_storage *to);

uint32_t acceptor_sessions(const struct acceptor *a);
uint64_t acceptor_refused(const struct acceptor *a); /* connections and moves, since the start */

#endif
