/* Counting by peer and network: how many sessions, how many bytes, how often a login failed of late. A table of fixed
 * size; when it is full the oldest idle entry goes. Keys are addr_peer_key / addr_network_key of base/conn. */
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
/* Failed logins of peer and network are forgotten by half every minute. The delay is what to wait (ms) before the next
 * try of this peer is answered, failed or successful: 0 at first, then doubling up to 30 s. Never by account. A network
 * is forgiven more than a peer. */
void peers_login_failed(struct peers *p, const struct sockaddr_storage *ss, uint64_t now_ms);
uint64_t peers_login_delay(struct peers *p, const struct sockaddr_storage *ss, uint64_t now_ms);

#endif
