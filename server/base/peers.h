/* What each peer has in one process: how many sessions, how many bytes. A table of fixed size (ERR_FULL past it). A peer
 * is addr_peer_key of base/conn: an IPv4 address, an IPv6 /64. */
#ifndef BASE_PEERS_H
#define BASE_PEERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct peers;
struct peers *peers_create(size_t entries_max); /* NULL: no memory */
void peers_destroy(struct peers *p);

/* Sessions: ERR_LIMIT when the peer has max already. Each OK needs one peers_leave. */
int peers_enter(struct peers *p, const struct sockaddr_storage *ss, uint32_t max);
void peers_leave(struct peers *p, const struct sockaddr_storage *ss);
/* Bytes in flight of one peer. ERR_LIMIT past max. */
int peers_take(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes, uint64_t max);
void peers_give(struct peers *p, const struct sockaddr_storage *ss, uint64_t bytes);

#endif
