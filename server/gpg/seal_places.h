/* Whose operation is next: places for those under way, and those that wait for one. Every account, and every peer, has
 * at most its share of either. No I/O. */
#ifndef GPG_SEAL_PLACES_H
#define GPG_SEAL_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct seal_place {
    struct seal_place *next, **at; /* internal */
    uint64_t account;
    uint8_t peer[17]; /* addr_peer_key and its length; zeros: the server itself, which has no share */
    bool under_way;
};

/* Zeroed at the start. */
struct seal_places {
    struct seal_place *first, **tail; /* in the order of coming */
    unsigned waiting, under_way;
    uint64_t last; /* the account that had the last place */
};

struct seal_place seal_place_of(uint64_t account, const struct sockaddr_storage *peer); /* peer: NULL is allowed */
bool seal_places_room(const struct seal_places *p, const struct seal_place *of);        /* to wait */
void seal_places_wait(struct seal_places *p, struct seal_place *e);
/* Of those that wait and may go: of the account with least under way, in turn; of its peers likewise; the first that
 * came. NULL: none may. */
struct seal_place *seal_places_next(const struct seal_places *p);
void seal_places_take(struct seal_places *p, struct seal_place *e); /* it is under way */
void seal_places_leave(struct seal_places *p, struct seal_place *e);

#endif
