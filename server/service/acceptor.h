/* The way into a role: its listening sockets, which all its instances accept from, and the places that sessions take.
 *
 * An instance that has taken its share stops watching the sockets: the others take what comes, and when all have their
 * share, connections wait in the kernel's queue until a session ends. Meanwhile it looks at the queue now and then, and
 * ends sessions that are not in good standing (server/service/place.h) for those that wait. Only the limits of a peer
 * and its networks are answered with a refusal. */
#ifndef SERVICE_ACCEPTOR_H
#define SERVICE_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/loop.h"
#include "server/base/roles.h"
#include "server/service/place.h"

struct acceptor;

struct acceptor_params {
    struct places *places; /* outlives the acceptor, which is told by acceptor_places_changed */
    const char *refusal;   /* the last words to a peer that has too many, with CRLF; not said where TLS comes first */
    /* A session for the connection. Takes fd, and the place: with place_begin, or places_leave where none comes of it.
     * on: the peer that it is counted for. */
    void (*open)(void *arg, int fd, const struct sockaddr_storage *peer, uint32_t on, enum listener kind);
    void (*empty)(void *arg); /* the last session left after acceptor_close. May be NULL */
    void *arg;
};

struct acceptor *acceptor_create(struct loop *l, const struct acceptor_params *p); /* NULL: no memory */
void acceptor_destroy(struct acceptor *a);                                         /* NULL is allowed */
/* fd is a listening socket, never owned; tls_first: the handshake comes before a word. Once a kind. ERR_MEMORY. */
int acceptor_listen(struct acceptor *a, int fd, enum listener kind, bool tls_first);
void acceptor_places_changed(struct acceptor *a);
void acceptor_close(struct acceptor *a); /* no more sessions */

#endif
