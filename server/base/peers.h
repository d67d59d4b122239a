/* What each peer has, and each network it is in: how many sessions, how many octets. A peer is an IPv4 address or an
 * IPv6 /64, its networks are the /24, or the /56 and the /48. A table of fixed size (ERR_FULL past it). Alone, the
 * table counts what is in this process; with a tally, its limits are of all the role's processes together. */
#ifndef BASE_PEERS_H
#define BASE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/tally.h"

/* A network may have a multiple of what a peer may, but never more than half of all, nor less than two peers: where one
 * may have nearly all, so may its network. */
struct peers_limits {
    uint64_t sessions, octets;           /* of all peers, in all processes */
    uint64_t sessions_peer, octets_peer; /* of one */
    /* What a peer may have here, and a network in proportion, whatever the other processes say they let it have: they
     * may be subverted. */
    uint64_t sessions_always, octets_always;
};

struct peers;
struct peers *peers_create(size_t entries_max); /* an entry for each peer and each network. NULL: no memory */
void peers_destroy(struct peers *p);
/* Counts with the role's other processes from now on; t outlives p. Before anything is counted. */
void peers_share(struct peers *p, struct tally *t);
void peers_limit(struct peers *p, const struct peers_limits *l); /* at first nobody may have anything */

/* A session more. *ret_peer is its peer for the other calls, as long as the session stands. ERR_LIMIT: it, or a network
 * of it, has as many as it may have; lend: a network may have an eighth more. Each OK needs one peers_leave. */
int peers_enter(struct peers *p, const struct sockaddr_storage *ss, bool lend, uint32_t *ret_peer);
void peers_leave(struct peers *p, uint32_t peer);
/* The network because of which the address may not enter, while it might have one more itself. */
#define PEERS_NONE UINT32_MAX
uint32_t peers_full_network(struct peers *p, const struct sockaddr_storage *ss); /* PEERS_NONE: there is none */
bool peers_within(const struct peers *p, uint32_t peer, uint32_t network);
/* Octets in flight: whether it may have so many more, and that it has taken them. */
bool peers_room(const struct peers *p, uint32_t peer, uint64_t octets);
void peers_take(struct peers *p, uint32_t peer, uint64_t octets);
void peers_give(struct peers *p, uint32_t peer, uint64_t octets);

/* How crowded a session stands here: the sessions, or octets, of its peer or of a network of it, in thousandths of its
 * part of `share`, which is a /24's or a /48's, and a quarter of it a peer's or a /56's; the largest of these. */
uint64_t peers_crowd(const struct peers *p, uint32_t peer, uint64_t share);
uint64_t peers_crowd_octets(const struct peers *p, uint32_t peer, uint64_t share);
uint64_t peers_network_octets(const struct peers *p, uint32_t peer); /* of its /24 or /48, here */
uint32_t peers_networks(const struct peers *p);                      /* how many /24s and /48s are here */

#endif
