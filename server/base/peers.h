/* What each peer has: how many sessions, how many bytes. A table of fixed size (ERR_FULL past it). A peer is
 * addr_peer_key of base/conn: an IPv4 address, an IPv6 /64. Alone, the table counts what the peer has in this
 * process; with a tally, its limits are of all the role's processes together. */
#ifndef BASE_PEERS_H
#define BASE_PEERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/tally.h"

struct peers;
struct peers *peers_create(size_t entries_max); /* NULL: no memory */
void peers_destroy(struct peers *p);
/* Counts with the role's other processes from now on; t outlives p. Before anything is counted. */
void peers_share(struct peers *p, struct tally *t);
/* What a peer may have here whatever the others say they let it have: they may be subverted. At first nothing. */
void peers_always(struct peers *p, uint32_t sessions, uint64_t bytes);

/* Sessions: ERR_LIMIT when the peer has max already. Each OK needs one peers_leave. */
int peers_enter(struct peers *p, const struct sockaddr_storage *ss, uint32_t max);
void peers_leave(struct peers *p, const struct sockaddr_storage *ss);
/* Bytes in flight of one peer. ERR_LIMIT past max. */
int peers_take(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes, uint64_t max);
void peers_give(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes);

#endif
